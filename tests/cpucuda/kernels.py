"""Compile CuPy's generated CUDA sources with g++ instead of NVRTC."""

import os
import re
from collections.abc import Sequence

from cpucuda import on_source
from cpucuda.libraries import HERE, cache, compile_once, digest, run

FLAGS = ["g++", "-O1", "-w", "-std=c++17", "-shared", "-fPIC", "-fpermissive", "-fno-strict-aliasing"]
ASAN_FLAGS = ["-g", "-fno-omit-frame-pointer", "-fsanitize=address"]
EMULATION = "\n".join((HERE / name).read_text() for name in ("execution.h", "cuda_on_cpu.h"))
# What CuPy puts at the head of every kernel that it generates itself.
CUPY_HEADERS = "".join(
    f"#include <cupy/{name}>\n" for name in ("complex.cuh", "carray.cuh", "atomics.cuh", "math_constants.h")
)
ENTRY = re.compile(r'extern\s+"C"\s+__global__\s+void\s+(?:__launch_bounds__\s*\([^)]*\)\s*)?(\w+)\s*\(')
DYNAMIC_SHARED = re.compile(r"extern\s+__shared__\s+([\w:<> ]+?)\s+(\w+)\s*\[\s*\]\s*;")
HAS_BARRIERS = re.compile(r"\b__sync|\b__shfl")


class Compiler:
    """From CUDA source to a shared library with one `__emu_NAME` entry for each kernel.

    Parameters
    ----------
    address_sanitizer : bool
        Compile with AddressSanitizer and debugging lines.
    """

    def __init__(self, address_sanitizer: bool) -> None:
        self.flags = FLAGS + (ASAN_FLAGS if address_sanitizer else [])

    def __call__(self, source: str, options: Sequence[str] = (), expressions: Sequence[str] = ()) -> str:
        """The path of the compiled `source`; `expressions` are template instances asked for by name."""
        names = [] if expressions else ENTRY.findall(source)
        for hook in on_source:
            hook(source, options, names)
        # Of the include folders only CuPy's own: a CUDA toolkit's headers are not for g++ and not needed.
        include = [o for o in options if o.startswith("-D") or (o.startswith("-I") and "cupy" in o)]
        head, body = "", source
        if source.startswith(CUPY_HEADERS):
            head, body = self._precompiled(include), source.removeprefix(CUPY_HEADERS)
        # Dynamic shared memory has the size of the launch; the kernel sees it as a pointer.
        body = DYNAMIC_SHARED.sub(r"\1* \2 = (\1*)emu.dynamic_shared;", body)
        entries = [(n, n) for n in names] + [(f"e{i}", e) for i, e in enumerate(expressions)]
        stubs = "".join(
            f'extern "C" void __emu_{name}(const unsigned* sizes, void** values) '
            f"{{ emu_launch({int(bool(HAS_BARRIERS.search(source)))}, &{kernel}, sizes, values); }}\n"
            for name, kernel in entries
        )
        command = [*self.flags, *include, *(["-include", head] if head else [])]
        first = "" if head else EMULATION + "\n"
        text = f'{first}#line 1 "{(names or ["kernel"])[0]}.cu"\n{body}\n{stubs}'
        return str(compile_once(text, command, ".so", f"kernel {', '.join(names) or expressions}"))

    def _precompiled(self, include: list[str]) -> str:
        """A precompiled header of the emulation and CuPy's own headers: it halves the time of each kernel."""
        text = f"{EMULATION}\n{CUPY_HEADERS}"
        path = cache() / f"head-{digest(text, *self.flags, *include)}.h"
        compiled = path.with_suffix(".h.gch")
        if not compiled.exists():
            partial = path.with_suffix(f".{os.getpid()}")
            partial.write_text(text)
            os.replace(partial, path)
            flags = [f for f in self.flags if f != "-shared"]
            run([*flags, *include, "-x", "c++-header", str(path), "-o", str(partial)], "CuPy's headers")
            os.replace(partial, compiled)
        return str(path)
