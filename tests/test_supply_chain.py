"""The pinned versions are ones the package allows, and every pinned package is in the licence list."""

import re
import tomllib
from pathlib import Path

import pytest

packaging = pytest.importorskip("packaging", reason="packaging is not installed")
from packaging.requirements import Requirement  # noqa: E402
from packaging.utils import canonicalize_name  # noqa: E402

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = dict(re.findall(r"^([a-z0-9.-]+)==(\S+)$", (ROOT / "docker" / "constraints.txt").read_text(), re.M))
NEEDS = {
    text
    for extra, needs in {"": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}.items()
    for text in needs
    if extra != "cuda12" and not text.startswith("mechanet[")
}


@pytest.mark.parametrize("text", sorted(NEEDS))
def test_every_dependency_is_pinned_to_a_version_it_allows(text):
    need = Requirement(text)
    name = canonicalize_name(need.name)
    assert name in PINS, "run: python docs/supply_chain.py"
    assert need.specifier.contains(PINS[name])


def test_every_pinned_package_stands_in_the_licence_list():
    text = (ROOT / "docs" / "licences.md").read_text()
    rows = re.findall(r"^\| ([a-z0-9.-]+) \| (\d\S*) \| (.+?) \|", text, re.M)
    assert {name: version for name, version, _ in rows} == PINS
    unknown = [name for name, _, licence in rows if licence == "not stated"]
    assert unknown in ([], ["cuda-toolkit"]), "a package without a stated licence: look it up before using it"
