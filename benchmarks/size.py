"""What an installation weighs: the package and all that it needs, byte by byte of the installed files."""

import re
import tomllib
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

from .rounds import ROOT


def closure(requirements: list[str]) -> dict[str, Distribution]:
    """Every installed distribution that `requirements` lead to, extras left out."""
    found: dict[str, Distribution] = {}
    waiting = list(requirements)
    while waiting:
        requirement = Requirement(waiting.pop())
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        if name in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        found[name] = distribution(name)
        waiting += found[name].requires or []
    return found


def installed_bytes(package: Distribution) -> int:
    """The bytes of a distribution's files, its compiled Python left out (it comes and goes)."""
    paths = [Path(str(package.locate_file(file))) for file in package.files or [] if ".pyc" not in file.name]
    return sum(path.stat().st_size for path in paths if path.exists())


def sizes() -> dict[str, float]:
    """Megabytes of each peer with its dependencies; those that are not installed are left out."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    own = sum(
        path.stat().st_size for path in (ROOT / "src").rglob("*") if path.is_file() and path.suffix != ".pyc"
    )
    wanted = {
        "mechanet": project["dependencies"],
        "torch": ["torch"],
        "scikit-learn": ["scikit-learn"],
        "jax": ["jax"],
    }
    found = {}
    for name, requirements in wanted.items():
        try:
            total = sum(map(installed_bytes, closure(requirements).values()))
        except PackageNotFoundError:
            continue
        found[name] = (total + (own if name == "mechanet" else 0)) / 1e6
    return found
