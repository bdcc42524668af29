"""Write docker/constraints.txt and docs/licences.md from what pip would install.

    python docs/supply_chain.py

pip resolves every extra but cuda12 (which cannot stand beside cuda13), downloads nothing it need not, and
reports each package's own metadata. Both files are made from that one report.
"""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
LEFT_OUT = {"cuda12"}


def resolve(extras):
    """Every package of the extras, by canonical name, as pip's report describes it."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
    command += ["--report", "-", f"{ROOT}[{','.join(extras)}]"]
    report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    packages = [entry["metadata"] for entry in report["install"]]
    return {canonicalize_name(package["name"]): package for package in packages}


def needed_by(packages, extra):
    """Canonical names of all that ``extra`` ("" for none) brings in, mechanet itself left out."""
    seen, waiting = set(), [("mechanet", frozenset({extra}))]
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen or name not in packages:
            continue
        seen.add((name, extras))
        for text in packages[name].get("requires_dist", []):
            need = Requirement(text)
            if need.marker is None or any(need.marker.evaluate({"extra": e}) for e in extras | {""}):
                waiting.append((canonicalize_name(need.name), frozenset(need.extras or {""})))
    return {name for name, _ in seen} - {"mechanet"}


def licence(package):
    """The licence as the package states it: an SPDX expression, a short field, or its classifiers."""
    field = (package.get("license") or "").strip()
    stated = [c.split(" :: ")[-1] for c in package.get("classifier", []) if c.startswith("License ::")]
    short = field if len(field) < 40 and "\n" not in field else ""
    return package.get("license_expression") or short or ", ".join(stated) or "not stated"


def main():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = sorted(set(project["optional-dependencies"]) - LEFT_OUT)
    packages = resolve(extras)
    sets = {extra: needed_by(packages, extra) for extra in ["", *extras]}
    names = sorted(set(packages) - {"mechanet"})
    pins = [f"{name}=={packages[name]['version']}\n" for name in names]
    (ROOT / "docker" / "constraints.txt").write_text(
        "# What mechanet is built and tested with, on Linux. Made by: python docs/supply_chain.py\n"
        "# Use: pip install -c docker/constraints.txt .\n" + "".join(pins)
    )
    rows = [
        f"| {name} | {packages[name]['version']} | {licence(packages[name])} | "
        + ("every install" if name in sets[""] else ", ".join(e for e in extras if name in sets[e]))
        + " |\n"
        for name in names
    ]
    (ROOT / "docs" / "licences.md").write_text(
        "# Licences of the dependencies\n\n"
        "mechanet itself is under the MIT licence; the bundled digits carry their own notice beside them.\n"
        "This list is made by `python docs/supply_chain.py` from the packages' own metadata, for Linux.\n\n"
        "| package | version | licence | comes with |\n| --- | --- | --- | --- |\n" + "".join(rows)
    )
    print(f"{len(names)} packages pinned, {len(sets[''])} of them in every install")


if __name__ == "__main__":
    main()
