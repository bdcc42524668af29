"""The hook that compiles the loops when the package is built: with a C compiler, and without."""

import ctypes
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import zlib
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from mechanet.backend import cpu_loops

ROOT = Path(__file__).parent.parent


HAS_COMPILER = os.name != "nt" and shutil.which(os.environ.get("CC", "cc").split()[0]) is not None
needs_compiler = pytest.mark.skipif(not HAS_COMPILER, reason="no C compiler")


class Interface:
    """What of hatchling's class the hook uses."""

    def __init__(self, root, target="wheel"):
        self.root, self.target_name, self.warnings = str(root), target, []
        self.app = SimpleNamespace(display_warning=self.warnings.append)
        builder = SimpleNamespace(get_best_matching_tag=lambda: "cp314-cp314-macosx_11_0_arm64")
        self.build_config = SimpleNamespace(builder=builder)


@pytest.fixture
def hook(monkeypatch):
    module = ModuleType("hatchling.builders.hooks.plugin.interface")
    module.BuildHookInterface = Interface
    monkeypatch.setitem(sys.modules, module.__name__, module)
    path = ROOT / ".hatch_build.py"
    if not path.exists():
        pytest.skip("these tests stand beside an installed package")
    specification = importlib.util.spec_from_file_location("hatch_build", path)
    loaded = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(loaded)
    return loaded


@pytest.fixture
def project(tmp_path, hook):
    (tmp_path / hook.SOURCE).parent.mkdir(parents=True)
    shutil.copy(ROOT / hook.SOURCE, tmp_path / hook.SOURCE)
    return tmp_path


@pytest.fixture
def quick(hook, monkeypatch):
    """Where it matters when the loops are built and not how: the compiler takes a tenth of the time."""
    monkeypatch.setattr(hook, "FLAGS", ["-O0", "-fPIC", "-shared"])


def build(hook, project, target="wheel"):
    loops, data = hook.Loops(project, target), {"artifacts": [], "pure_python": True}
    loops.initialize("standard", data)
    return data, loops.warnings


@needs_compiler
def test_with_a_compiler_the_loops_are_part_of_the_wheel(hook, project):
    data, warnings = build(hook, project)
    assert warnings == []
    assert data["pure_python"] is False
    assert data["tag"] == "py3-none-macosx_11_0_arm64"  # of every Python, and of this platform alone
    built = [str(path.relative_to(project)) for path in project.rglob("*.so")]
    assert sorted(data["artifacts"]) == sorted(built)
    assert len(built) == 2
    for name in built:
        assert ctypes.CDLL(str(project / name)).adam


@needs_compiler
def test_a_compiler_whose_loops_would_be_slower_than_numpy_makes_none(hook, project, monkeypatch):
    if platform.machine() != "x86_64":
        pytest.skip("of x86-64")
    monkeypatch.setenv("CC", "cc -D__clang__")
    data, warnings = build(hook, project)
    (warning,) = warnings
    assert "returned non-zero exit status" in warning  # it was there, and refused
    assert data["pure_python"]


@needs_compiler
def test_loops_of_another_text_are_neither_kept_nor_loaded(hook, project, monkeypatch, quick):
    """After a change of the source, until it is built again, NumPy does everything."""
    (project / hook.SOURCE.with_name("cpu_loops_00000000_float32.so")).write_text("old")
    first, _ = build(hook, project)[0]["artifacts"]
    assert not (project / hook.SOURCE.with_name("cpu_loops_00000000_float32.so")).exists()
    monkeypatch.setattr(cpu_loops, "__file__", str(project / hook.SOURCE.with_suffix(".py")))
    assert cpu_loops._load("float32", ctypes.c_float).adam
    with (project / hook.SOURCE).open("a") as source:
        source.write("/* changed */")
    with pytest.raises(OSError, match="cpu_loops_"):
        cpu_loops._load("float32", ctypes.c_float)
    build(hook, project)
    assert cpu_loops._load("float32", ctypes.c_float).adam
    assert not (project / first).exists()


@pytest.mark.parametrize("compiler", ["no-such-compiler", "false"])
def test_without_a_compiler_the_package_is_built_all_the_same(hook, project, compiler, monkeypatch):
    monkeypatch.setenv("CC", compiler)
    data, (warning,) = build(hook, project)
    assert data == {"artifacts": [], "pure_python": True}
    assert warning.startswith(f"mechanet is built without its compiled loops, and slower: {compiler}: ")


def test_libraries_that_lack_a_loop_or_are_none_are_not_loaded(hook, project, quick):
    """Whatever a compiler made of it: the import of mechanet goes on, with NumPy alone."""
    shutil.copytree(ROOT / "src", project / "src", ignore=shutil.ignore_patterns("*.so", "__pycache__"), dirs_exist_ok=True)
    code = "from mechanet.backend import cpu_loops; import mechanet as mn; print(mn.devices()[0].description)"
    folder = project / hook.SOURCE.parent
    text = zlib.crc32((project / hook.SOURCE).read_bytes())
    for name in ("float32", "float64"):
        (folder / f"cpu_loops_{text:08x}_{name}.so").write_text("no library")
    assert "without compiled loops" in python(code, project)
    if HAS_COMPILER:
        for name in ("float32", "float64"):
            library = folder / f"cpu_loops_{text:08x}_{name}.so"
            compiler = os.environ.get("CC", "cc").split()
            subprocess.run([*compiler, "-shared", "-fPIC", "-x", "c", "-", "-o", library], input=b"int sgd;", check=True)
        assert "without compiled loops" in python(code, project)
        build(hook, project)
        assert "with compiled loops" in python(code, project)


def python(code, project):
    environment = {**os.environ, "PYTHONPATH": str(project / "src")}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    ).stdout


def test_a_source_distribution_is_compiled_where_it_is_installed(hook, project):
    assert build(hook, project, "sdist") == ({"artifacts": [], "pure_python": True}, [])


@pytest.mark.slow
def test_the_loops_stay_within_their_arrays(hook, tmp_path, monkeypatch):
    """The tests that run them, once more with GCC's sanitizers of addresses and of undefined behaviour."""
    if shutil.which("gcc") is None:
        pytest.skip("no gcc")
    for name in ("tests", "conftest.py", "pyproject.toml"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    monkeypatch.setenv("CC", "gcc -fsanitize=address,undefined -fno-sanitize-recover=undefined")
    assert build(hook, tmp_path)[1] == []
    found = (
        subprocess.check_output(["gcc", f"-print-file-name={name}.so"], text=True).strip()
        for name in ("libasan", "libubsan")
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path),
         "tests/kernels/test_kernels_cpu.py", "tests/network/test_network.py", "tests/training/test_training.py"],
        cwd=tmp_path, env={**os.environ, "LD_PRELOAD": " ".join(found), "ASAN_OPTIONS": "detect_leaks=0"},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout
