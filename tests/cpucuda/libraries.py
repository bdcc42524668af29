"""Compile and load the stand-ins for libcuda, libcublas and libcurand."""

import ctypes
import hashlib
import importlib.util
import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

HERE = Path(__file__).parent


def cache() -> Path:
    """The folder of everything compiled: CPUCUDA_CACHE, else `cpucuda` in the user's cache."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(os.environ.get("CPUCUDA_CACHE") or Path(home) / "cpucuda")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


def run(command: list[str], what: str) -> str:
    """Run a compiler; its standard output, or a RuntimeError with the first of what it complained about."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"cpucuda: {what} does not compile\n{' '.join(command)}\n{done.stderr[:3000]}")
    return done.stdout


def compile_once(source: str, command: list[str], suffix: str, what: str) -> Path:
    """The compiled `source`, from the cache or made now; several processes may ask at once."""
    made = cache() / (digest(source, *command) + suffix)
    if not made.exists():
        with tempfile.TemporaryDirectory(dir=cache()) as folder:
            text, out = Path(folder, "source.cpp"), Path(folder, "out")
            text.write_text(source)
            run([*command, str(text), "-o", str(out)], what)
            os.replace(out, made)
    return made


def wanted_symbols(module: str, library: str) -> list[str]:
    """The names that CuPy's extension `module` takes from the shared `library`."""
    spec = importlib.util.find_spec("cupy_backends")
    assert spec is not None
    folder = Path(next(iter(spec.submodule_search_locations or [])), "cuda", "libs")
    extension = next(folder.glob(module + ".*.so"))
    lines = run(["nm", "-D", "--undefined-only", str(extension)], module).split("\n")
    return sorted(line.split()[1].split("@")[0] for line in lines if f"@{library}" in line)


def with_stubs(source: str, module: str, library: str, status: int) -> str:
    """`source`, and for each symbol CuPy wants that it lacks a function that says so and returns `status`."""
    missing = [name for name in wanted_symbols(module, library) if f" {name}(" not in source]
    stubs = (
        f'extern "C" int {n}() {{ fprintf(stderr, "cpucuda: {n} is not emulated\\n"); return {status}; }}'
        for n in missing
    )
    return "\n".join([source, "#include <cstdio>", *stubs, ""])


def load() -> ctypes.CDLL:
    """Compile what is not cached and load it under the names CuPy links against; returns libcuda."""
    flags = ["g++", "-O2", "-std=c++17", "-fPIC", "-shared", "-w", "-x", "c++"]

    def library(soname: str, source: str, *extra: str) -> ctypes.CDLL:
        version = cache() / f"{soname}.map"  # CuPy asks for symbols of this very version
        version.write_text(f"{soname} {{ global: *; }};")
        named = [f"-Wl,-soname,{soname}", f"-Wl,--version-script={version}"]
        made = compile_once(source, [*flags, *named, *extra], f"-{soname}", soname)
        return ctypes.CDLL(str(made), mode=ctypes.RTLD_GLOBAL)

    driver = "\n".join((HERE / name).read_text() for name in ("driver.cpp", "execution.h", "execution.cpp"))
    cuda = library("libcuda.so.1", driver, "-I" + sysconfig.get_paths()["include"])
    blas = (HERE / "cublas.cpp").read_text()
    cublas = library("libcublas.so.13", with_stubs(blas, "cublas", "libcublas.so.13", 15))
    library("libcublasLt.so.13", 'extern "C" int cublasLtEmulated() { return 0; }')
    rand = (HERE / "curand.cpp").read_text()
    library("libcurand.so.10", with_stubs(rand, "curand", "libcurand.so.10", 999))
    give_blas(cublas)
    return cuda


def give_blas(cublas: ctypes.CDLL) -> None:
    """Let the stand-in for cuBLAS multiply with SciPy's BLAS; without SciPy its plain loop stays."""
    if importlib.util.find_spec("scipy") is None:
        print("cpucuda: no SciPy, so matrix products run in a plain loop", file=sys.stderr)
        return
    from scipy.linalg import cython_blas

    pointer, name = ctypes.pythonapi.PyCapsule_GetPointer, ctypes.pythonapi.PyCapsule_GetName
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    name.restype, name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    capsules = [cython_blas.__pyx_capi__[n] for n in ("sgemm", "dgemm")]
    cublas.emu_set_gemm(*(ctypes.c_void_p(pointer(c, name(c))) for c in capsules))
