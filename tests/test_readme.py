"""What the README says is so: its files are there, its commands are the ones that CI runs."""

import importlib.util
import re
import tomllib
from pathlib import Path

from mechanet.cli import app

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_file_has_its_line():
    specification = importlib.util.spec_from_file_location("readme_tree", ROOT / "docs" / "readme_tree.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    assert module.readme() == README, "run: python docs/readme_tree.py"


def test_each_command_sets_itself_up_and_ci_runs_the_tests_by_it():
    commands = re.findall(r"^python3 -m venv \.venv && \.venv/bin/pip install -q .*$", README, re.M)
    assert [command.rpartition("/")[2] for command in commands] == ["mechanet train", "python -m pytest -n auto"]
    pattern = re.search(r"grep -m 1 -- '(.*)' README\.md", (ROOT / ".ci" / "run").read_text())[1]
    assert [line for line in README.splitlines() if re.search(pattern, line)] == [commands[1]]


def test_the_commands_and_extras_it_names_are_there():
    named = set(re.findall(r"`mechanet (\w+)", README))
    assert named == {command.callback.__name__ for command in app.registered_commands}
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    install = README.partition("## Install")[2].partition("\n\n")[2].partition("\n\n")[0]
    for extra in re.findall(r"`(\w+)`", install):
        assert extra in extras

