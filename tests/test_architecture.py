"""The shape of the house: what may import what, how long files are, what an import loads, what is public.

Each rule is a function from a source folder to a list of complaints, so that it can be shown a house with a
fault in it (the last tests of each section) as well as ours.
"""

import ast
import graphlib
import inspect
import json
import os
import re
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

import mechanet as mn
from benchmarks.once import import_over_numpy

SRC = Path(mn.__file__).parent

# The levels of the house, docs/architecture.md: an import points to a lower level. A package stands on one level.
LEVELS: list[tuple[float, set[str]]] = [
    (0, {"backend", "checks", "notebook", "registry", "storage", "types"}),
    (1, {"activations", "datasets", "initializers", "losses", "optimizers", "schedules"}),
    (2, {"layers"}),
    (3, {"kernels"}),  # speed knows the mathematics, never the reverse
    (4, {"network"}),
    (5, {"gradcheck", "training"}),
    (6, {"explain"}),
    (7, {"estimators", "plots"}),  # none imports another
    (8, {"__init__"}),
    (9, {"cli"}),  # a user of the public face
    (10, {"__main__"}),
]
SAME_LEVEL: dict[str, set[str]] = {
    "backend": {"checks"},
    "losses": {"activations"},
    "registry": {"checks"},
    "storage": {"checks"},
}

# The one source of the mathematics: no array library by name, no branch on the device.
MATHEMATICS = ("activations", "initializers", "layers", "losses", "network", "optimizers", "schedules")
ARRAY_LIBRARIES = {"numpy", "cupy", "torch", "jax", "array_api_strict"}
MAY_NAME_CUPY = {"backend", "kernels"}

LONGEST_FILE = 350
LONGEST_CLASS = 250

OPTIONAL = (
    "cupy", "matplotlib", "sklearn", "scipy", "onnx", "starlette", "rich", "typer", "pooch", "PIL", "pandas",
    "torch", "jax", "array_api_strict", "requests",
)  # fmt: skip


# --- reading a source folder ------------------------------------------------------------------------------------


def modules(folder: Path) -> dict[str, ast.Module]:
    """Dotted names under the package (``layers.dense``, ``layers`` for its ``__init__``) and their syntax trees."""
    found = {}
    for path in sorted(folder.rglob("*.py")):
        parts = list(path.relative_to(folder).with_suffix("").parts)
        if parts[-1] == "__init__" and len(parts) > 1:
            parts.pop()
        found[".".join(parts)] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def imports(tree: ast.Module, known) -> set[str]:
    """The modules of the package that a module imports, at its top or inside its functions."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level:
            found.add(f"a relative import, line {node.lineno}")
            continue
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            # importlib.import_module("mechanet.plots") is an import too
            names = [node.value] if re.fullmatch(r"mechanet(\.\w+)+", node.value) else []
        else:
            continue
        for name in names:
            package, _, rest = name.partition(".")
            if package != "mechanet":
                continue
            while rest and rest not in known:  # a name inside a module: take the module
                rest = rest.rpartition(".")[0]
            found.add(rest or "__init__")
    return found


def unit(module: str) -> str:
    return module.partition(".")[0]


# --- import levels ----------------------------------------------------------------------------------------------


def wrong_imports(folder: Path) -> list[str]:
    """Imports that point up or sideways, modules without a level, cycles."""
    trees = modules(folder)
    level = {name: number for number, names in LEVELS for name in names}
    graph = {name: imports(tree, trees) for name, tree in trees.items()}
    wrong = []
    for name, imported in graph.items():
        here = unit(name)
        if here not in level:
            wrong.append(f"{name} has no level: give it one in tests/test_architecture.py and docs/architecture.md")
            continue
        for other in sorted(imported):
            there = unit(other)
            if there == here and name != other:
                continue  # inside a package; the cycles are looked for below
            if there not in level:
                wrong.append(f"{name} imports {other}, which has no level")
            elif level[there] > level[here] or (
                level[there] == level[here] and there not in SAME_LEVEL.get(here, ())
            ):
                wrong.append(f"{name} (level {level[here]}) imports {other} (level {level[there]})")
    try:
        # A package's __init__ gathers its files; what they take from it would be a cycle, and is found as one.
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        wrong.append(f"a cycle: {' -> '.join(error.args[1])}")
    return wrong


def house(tmp_path: Path, **files: str) -> Path:
    for name, text in files.items():
        path = tmp_path / (name.replace("__", "/") + ".py")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def test_imports_point_downwards():
    assert wrong_imports(SRC) == []


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({"layers": "import mechanet.network", "network": ""}, "layers (level 2) imports network (level 4)"),
        ({"losses": "from mechanet import network", "network": ""}, "losses (level 1) imports network"),
        ({"losses": "from mechanet import Network"}, "losses (level 1) imports __init__"),
        ({"losses": "def f():\n    from mechanet.network import Network", "network": ""}, "imports network"),
        ({"network": "import_module('mechanet.plots')", "plots": ""}, "network (level 4) imports plots (level 7)"),
        ({"plots": "from mechanet import estimators", "estimators": ""}, "plots (level 7) imports estimators"),
        ({"layers__dense": "from mechanet.network import Network", "network": ""}, "layers.dense (level 2) imports"),
        ({"layers__a": "from mechanet.layers import b", "layers__b": "from mechanet.layers.a import x"}, "a cycle"),
        ({"training__a": "import mechanet.training.b", "training__b": "import mechanet.training.a"}, "a cycle"),
        ({"layers": "import mechanet.kernels", "kernels": ""}, "layers (level 2) imports kernels (level 3)"),
        ({"misc": ""}, "misc has no level"),
        ({"layers": "from . import base"}, "a relative import"),
    ],
)
def test_a_wrong_import_is_found(tmp_path, files, complaint):
    assert complaint in "\n".join(wrong_imports(house(tmp_path, **files)))


def test_a_right_import_is_not_complained_of(tmp_path):
    files = {"network": "from mechanet.losses import loss_from\nfrom mechanet import checks", "losses": "", "checks": ""}
    assert wrong_imports(house(tmp_path, **files)) == []


# --- one source of the mathematics ------------------------------------------------------------------------------


def named_libraries(folder: Path) -> list[str]:
    """Array libraries and devices named where the mathematics is written, and CuPy named outside its two files."""
    wrong = []
    for name, tree in modules(folder).items():
        mathematics = unit(name) in MATHEMATICS
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                roots = {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                roots = {(node.module or "").partition(".")[0]}
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                roots = {node.value.partition(".")[0]} & {"cupy"}
            elif isinstance(node, (ast.Name, ast.Attribute)):
                word = node.id if isinstance(node, ast.Name) else node.attr
                roots = {"cupy"} & set(word.lower().split("_"))
            elif isinstance(node, ast.Compare):
                literals = [n.value for n in ast.walk(node) if isinstance(n, ast.Constant)]
                if mathematics and any(re.match(r"(cpu|cuda)\b", str(value)) for value in literals):
                    wrong.append(f"{name}, line {node.lineno}: a branch on the device")
                continue
            else:
                continue
            forbidden = ARRAY_LIBRARIES if mathematics else {"cupy"} if unit(name) not in MAY_NAME_CUPY else set()
            wrong.extend(f"{name}, line {node.lineno}: names {root}" for root in sorted(roots & forbidden))
    return wrong


def test_the_mathematics_names_no_library_and_no_device():
    assert named_libraries(SRC) == []


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({"losses": "import numpy as np"}, "losses, line 1: names numpy"),
        ({"layers__dense": "def f():\n    from numpy import exp"}, "layers.dense, line 2: names numpy"),
        ({"network": "import cupy"}, "network, line 1: names cupy"),
        ({"training": "import_module('cupy')"}, "training, line 1: names cupy"),
        ({"training": "if is_cupy_array(x): pass"}, "training, line 1: names cupy"),
        ({"optimizers": "fast = device == 'cuda'"}, "optimizers, line 1: a branch on the device"),
    ],
)
def test_a_named_library_is_found(tmp_path, files, complaint):
    assert complaint in named_libraries(house(tmp_path, **files))


# --- the length of files and classes ---------------------------------------------------------------------------


def too_long(folder: Path) -> list[str]:
    """Files and classes beyond their limits; without exceptions."""
    wrong = []
    for path in sorted(folder.rglob("*.py")):
        name, text = path.relative_to(folder).as_posix(), path.read_text(encoding="utf-8")
        if len(text.splitlines()) > LONGEST_FILE:
            wrong.append(f"{name} has {len(text.splitlines())} lines, more than {LONGEST_FILE}")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef) and node.end_lineno - node.lineno + 1 > LONGEST_CLASS:
                wrong.append(f"{name}: {node.name} has {node.end_lineno - node.lineno + 1} lines, more than "
                             f"{LONGEST_CLASS}")  # fmt: skip
    return wrong


def test_files_and_classes_stay_small():
    assert too_long(SRC) == []


def test_a_long_file_and_a_long_class_are_found(tmp_path):
    assert too_long(house(tmp_path, losses="\n" * 351)) == ["losses.py has 351 lines, more than 350"]
    body = "class Loss:\n" + "    a = 1\n" * LONGEST_CLASS
    assert too_long(house(tmp_path, losses=body)) == [f"losses.py: Loss has {LONGEST_CLASS + 1} lines, more than {LONGEST_CLASS}"]


# --- what an import loads, and how long it takes ----------------------------------------------------------------


def python(code: str, **environment: str) -> str:
    env = os.environ | {"PYTHONPATH": str(SRC.parent)} | environment
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout


def test_an_import_loads_no_optional_package():
    code = "import json, sys, mechanet; print(json.dumps(sorted(sys.modules)))"
    loaded = {name.partition(".")[0] for name in json.loads(python(code))}
    assert loaded.isdisjoint(OPTIONAL)
    assert "numpy" in loaded  # the list is of what was loaded indeed


def test_an_import_is_quick(record_property):
    """At most 40 ms of CPU over `import numpy`; on a machine that is slow or busy, at most what NumPy itself takes."""
    best = {"numpy": 1e9, "mechanet": 1e9}
    for run, (numpy_took, mechanet_took) in enumerate(islice(import_over_numpy(), 13)):  # the first one compiles
        best["numpy"], best["mechanet"] = min(best["numpy"], numpy_took), min(best["mechanet"], mechanet_took)
        limit = max(0.040, best["numpy"])
        if best["mechanet"] <= (0.040 if run < 4 else limit):
            break
    record_property("import numpy, ms", round(1000 * best["numpy"]))
    record_property("import mechanet over it, ms", round(1000 * best["mechanet"]))
    print(f"import numpy {1000 * best['numpy']:.0f} ms, mechanet over it {1000 * best['mechanet']:.0f} ms")
    assert best["mechanet"] <= limit


# --- the public face --------------------------------------------------------------------------------------------


def public(name: str):
    if name in mn.LAZY:
        try:
            return getattr(mn, name)
        except ImportError as error:
            pytest.skip(f"mechanet.{name} needs an optional package: {error}")
    return getattr(mn, name)


def test_all_is_complete():
    defined = {
        name
        for name, value in vars(mn).items()
        if not name.startswith("_") and getattr(value, "__module__", "").startswith("mechanet")
    }
    assert defined - set(mn.__all__) == set()
    assert set(mn.LAZY) <= set(mn.__all__)
    assert len(mn.__all__) == len(set(mn.__all__))
    assert set(mn.__all__) <= set(dir(mn))


def test_unknown_names_are_refused():
    with pytest.raises(AttributeError, match="module 'mechanet' has no attribute 'Netwrok'"):
        _ = mn.Netwrok


def undocumented(name: str, value) -> list[str]:
    """What of a public name has no docstring of its own, or only the one that dataclasses make up."""
    wrong = []
    text = inspect.getdoc(value) or ""
    if len(text) < 10 or re.match(rf"{re.escape(name)}\(", text):
        wrong.append(name)
    if inspect.isclass(value):
        for part, member in vars(value).items():
            if part.startswith("_") or not (inspect.isfunction(member) or isinstance(member, (property, classmethod))):
                continue
            if not inspect.getdoc(getattr(value, part)):  # inherited documentation counts
                wrong.append(f"{name}.{part}")
    return wrong


@pytest.mark.parametrize("name", mn.__all__)
def test_every_public_name_is_documented(name):
    value = public(name)
    assert undocumented(name, value) == []
    if inspect.ismodule(value):
        for part in getattr(value, "__all__", [n for n in vars(value) if not n.startswith("_")]):
            member = getattr(value, part)
            if (inspect.isclass(member) or inspect.isfunction(member)) and member.__module__.startswith("mechanet"):
                assert undocumented(part, member) == []


def test_a_missing_docstring_is_found():
    class Bare:
        def method(self):
            pass

    assert undocumented("Bare", Bare) == ["Bare", "Bare.method"]
