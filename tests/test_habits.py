"""What a stranger relies on: one list of checks, every supported Python tried, one version, one repository."""

import re
import tomllib
from pathlib import Path

import pytest

import mechanet as mn

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
PYTHONS = re.findall(r"Python :: (3\.\d+)$", "\n".join(PROJECT["classifiers"]), re.M)


def load(path):
    return yaml.safe_load((ROOT / path).read_text("utf-8"))


def workflow(name):
    return load(f".github/workflows/{name}.yml")


def commands(job):
    return [step["run"] for step in job["steps"] if "run" in step]


def test_lint_and_types_are_one_list_that_ci_runs():
    ci = (ROOT / ".ci" / "run").read_text("utf-8")
    assert "pre-commit run --all-files" in ci
    entries = [hook["entry"] for repository in load(".pre-commit-config.yaml")["repos"] for hook in repository["hooks"]]
    assert {"ruff check .", "ruff format --check src", "python -m mypy"} < set(entries)
    for tool in ("ruff", "mypy"):  # nowhere else, and so never differently
        assert tool not in ci


def test_the_workflows_try_every_python_and_every_system_on_the_oldest_and_the_newest():
    assert PYTHONS[0] == PROJECT["requires-python"].removeprefix(">=")
    assert [f"3.{minor}" for minor in range(11, 11 + len(PYTHONS))] == PYTHONS  # none left out between
    matrix = workflow("test")["jobs"]["tests"]["strategy"]["matrix"]
    assert {system.partition("-")[0] for system in matrix["os"]} == {"ubuntu", "macos", "windows"}
    assert matrix["python"] == [PYTHONS[0], PYTHONS[-1]]
    assert [each["python"] for each in matrix["include"]] == PYTHONS[1:-1]


def test_wheels_are_built_on_the_oldest_python_and_tried_on_the_newest():
    built = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["cibuildwheel"]["build"]
    oldest, newest = (python.removeprefix("3.") for python in (PYTHONS[0], PYTHONS[-1]))
    assert all(pattern.startswith(f"cp3{{{oldest},{newest}}}-") for pattern in built)


def test_one_job_runs_on_the_oldest_dependencies():
    job = workflow("test")["jobs"]["oldest"]
    assert any("--resolution lowest-direct" in command for command in commands(job))
    assert {step["with"]["python-version"] for step in job["steps"] if "with" in step} == {PYTHONS[0]}


def test_the_documentation_is_built_as_its_own_page_says():
    build = "python -m mkdocs build --strict -f .mkdocs.yml"
    assert build in commands(workflow("docs")["jobs"]["build"])
    assert build in (ROOT / "CONTRIBUTING.md").read_text("utf-8").splitlines()


def test_only_the_job_that_publishes_a_release_may_and_it_waits_for_every_other():
    release = workflow("release")
    assert release["permissions"] == {"contents": "read"}
    jobs = release["jobs"]
    assert [name for name, job in jobs.items() if "permissions" in job] == ["publish"]
    assert set(jobs["publish"]["needs"]) == set(jobs) - {"publish"}
    assert jobs["publish"]["if"] == "startsWith(github.ref, 'refs/tags/')"


def test_the_citation_has_the_version_and_the_address_of_the_package():
    citation = load("CITATION.cff")
    assert citation["version"] == mn.__version__
    assert citation["repository-code"] == PROJECT["urls"]["Repository"]
    assert citation["keywords"] == PROJECT["keywords"]
    assert citation["abstract"] == PROJECT["description"]


def test_addresses_are_of_one_repository_and_of_files_that_are_there():
    repository = PROJECT["urls"]["Repository"]
    (contact,) = load(".github/ISSUE_TEMPLATE/config.yml")["contact_links"]
    for address in [*PROJECT["urls"].values(), contact["url"]]:
        assert address.startswith(repository)
        path = address.removeprefix(repository).partition("/blob/main/")[2]
        assert (ROOT / path).exists(), address


def test_the_policy_is_a_page_and_says_what_the_package_says():
    text = (ROOT / "docs" / "policy.md").read_text("utf-8")
    assert re.search(r"^ +- policy\.md$", (ROOT / ".mkdocs.yml").read_text("utf-8"), re.M)
    (numpy,) = (need.removeprefix("numpy>=") for need in PROJECT["dependencies"] if need.startswith("numpy>="))
    assert f"Python {PYTHONS[0]} to {PYTHONS[-1]}, and NumPy from {numpy}." in text


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "SECURITY.md"])
def test_what_a_stranger_looks_for_is_at_the_root_once_and_its_links_lead_somewhere(name):
    text = (ROOT / name).read_text("utf-8")
    assert [path for path in (ROOT / "docs").rglob("*.md") if path.name.lower() == name.lower()] == []
    assert re.search(rf"^ +- {re.escape(name)}$", (ROOT / ".mkdocs.yml").read_text("utf-8"), re.M)
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", text)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
