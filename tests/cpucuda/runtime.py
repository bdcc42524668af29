"""Put the stand-ins in the place of the CUDA runtime, and import CuPy.

CuPy's extension modules reach the runtime through the capsules in
`cupy_backends.cuda.api.runtime.__pyx_capi__`; importing that module alone and exchanging the capsules
before the others are imported is all it takes. An entry that is not exchanged stays NVIDIA's and raises
`cudaErrorInsufficientDriver`: nothing fails silently.
"""

import ctypes
import os
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from cpucuda import kernels, libraries

# The order of the counters in driver.cpp.
COUNT_NAMES = ("launch", "gemm", "h2d", "d2h", "d2d", "memset", "sync", "malloc", "free", "pinned")
LAUNCH = COUNT_NAMES.index("launch")

# capsule name -> function of driver.cpp, where it is not "rt_" + the name
OTHER_NAMES = {
    "_ensure_context": "rt_ensure_context",
    "_getCUDAMajorVersion": "rt_major",
    "_deviceEnsurePeerAccess": "rt_ensurePeerAccess",
    "runtimeGetVersion": "rt_version",
    "driverGetVersion": "rt_version",
    "profilerStart": "rt_nothing0",
    "profilerStop": "rt_nothing0",
    "eventCreate": "rt_handle",
    "eventCreateWithFlags": "rt_handle1",
    "eventDestroy": "rt_nothing",
    "eventQuery": "rt_nothing",
    "streamCreate": "rt_handle",
    "streamCreateWithFlags": "rt_handle1",
    "streamCreateWithPriority": "rt_handle2",
    "streamDestroy": "rt_nothing",
    "streamGetPriority": "rt_zero",
    "streamIsCapturing": "rt_zero",
    "pointerGetMemoryType": "rt_zero",
}
SAME_NAMES = (  # noqa: SIM905
    "check_status deviceCanAccessPeer deviceGetAttribute deviceSynchronize eventElapsedTime eventRecord "
    "eventSynchronize free freeAsync freeHost getDevice getDeviceCount hostAlloc malloc mallocAsync "
    "memGetInfo memcpy memcpyAsync memcpyPeer memcpyPeerAsync memset memsetAsync pointerGetAttributes setDevice "
    "streamQuery streamSynchronize streamWaitEvent"
).split()

_cuda: Any = None  # the loaded libcuda stand-in, once installed


def counts() -> dict[str, int]:
    return dict(zip(COUNT_NAMES, (ctypes.c_long * len(COUNT_NAMES)).in_dll(_cuda, "emu_counts"), strict=True))


def reset(log: bool) -> None:
    _cuda.emu_reset(int(log))


def show(shown: bool) -> None:
    _cuda.emu_show(int(shown))


def log() -> list[str]:
    return _cuda.emu_log().decode().splitlines()


def install(devices: int, address_sanitizer: bool) -> None:
    """What `cpucuda.install` does, once it has checked that it can."""
    global _cuda
    os.environ["CUPY_ACCELERATORS"] = ""  # CUB is precompiled device code in the wheel
    os.environ.setdefault("CUDA_PATH", str(libraries.HERE))  # no toolkit is needed
    _cuda = libraries.load()
    _cuda.emu_log.restype = ctypes.c_char_p
    import cupy_backends.cuda.api.runtime as runtime

    classes = (ctypes.py_object(c) for c in (runtime.CUDARuntimeError, runtime.PointerAttributes))
    _cuda.emu_configure(devices, int(address_sanitizer), *classes)
    _exchange_capsules(runtime.__pyx_capi__)
    _exchange_python(runtime)
    import cupy

    _compile_with_gxx(kernels.Compiler(address_sanitizer))
    _refuse_precompiled(cupy)
    if address_sanitizer:
        cupy.cuda.set_allocator(None)  # the pool rounds sizes up and would hide the end of an array


def _exchange_capsules(capsules: dict[str, Any]) -> None:
    new, name_of = ctypes.pythonapi.PyCapsule_New, ctypes.pythonapi.PyCapsule_GetName
    new.restype = ctypes.py_object
    new.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    name_of.restype, name_of.argtypes = ctypes.c_char_p, [ctypes.py_object]
    for entry, function in {**OTHER_NAMES, **{n: "rt_" + n for n in SAME_NAMES}}.items():
        signature = ctypes.create_string_buffer(name_of(capsules[entry]))
        _signatures.append(signature)
        address = ctypes.cast(getattr(_cuda, function), ctypes.c_void_p)
        capsules[entry] = new(address, ctypes.cast(signature, ctypes.c_char_p), None)


_signatures: list[Any] = []  # a capsule does not own its name


def _exchange_python(runtime: Any) -> None:
    """The functions of the runtime that CuPy's and our Python code call by name."""
    api = ctypes.PyDLL(_cuda._name)  # keeps the interpreter's lock, and passes exceptions on

    def integer(name: str) -> Callable[..., int]:
        return lambda *arguments: getattr(api, name)(*arguments, 0)

    for name in ("getDeviceCount", "getDevice", "deviceGetAttribute", "deviceCanAccessPeer"):
        setattr(runtime, name, integer("rt_" + name))
    runtime.runtimeGetVersion = runtime.driverGetVersion = integer("rt_version")
    for name in ("setDevice", "deviceSynchronize", "memGetInfo"):
        function = getattr(api, "rt_" + name)
        function.restype = ctypes.py_object
        setattr(runtime, name, lambda *arguments, f=function: f(*arguments, 0))
    runtime.getDeviceProperties = lambda device: {
        "name": b"CPU emulation",
        "multiProcessorCount": 132,
        "maxThreadsPerBlock": 1024,
        "maxThreadsPerMultiProcessor": 2048,
        "sharedMemPerBlock": 49152,
        "warpSize": 32,
        "major": 9,
        "minor": 0,
        "totalGlobalMem": 80 << 30,
    }


def _compile_with_gxx(build: kernels.Compiler) -> None:
    from cupy.cuda import compiler, function

    def compile_module(
        source: str, options: tuple[str, ...] = (), *, name_expressions: Any = None, **_: Any
    ) -> Any:
        expressions = sorted(name_expressions or ())
        module = function.Module()
        module.load(b"CPUCUDA:" + build(source, options, expressions).encode() + b"\0")
        if expressions:
            module._set_mapping({expression: f"e{i}" for i, expression in enumerate(expressions)})
        return module

    compiler._get_nvrtc_version = lambda: (13, 0)
    compiler._compile_module_with_cache = compile_module


def _refuse_precompiled(cupy: Any) -> None:
    """Precompiled device code of the wheel: sorting runs on NumPy, all else raises, never returns garbage."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from cupy.cuda import cub, thrust

    def view(pointer: int, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        return np.frombuffer((ctypes.c_char * size).from_address(pointer), dtype=dtype).reshape(shape)

    def sort(dtype: Any, data: int, keys: int, shape: tuple[int, ...]) -> None:
        _cuda.emu_count(LAUNCH, b"thrust::sort")
        view(data, shape, dtype).sort(axis=-1)

    def argsort(dtype: Any, index: int, data: int, keys: int, shape: tuple[int, ...]) -> None:
        _cuda.emu_count(LAUNCH, b"thrust::argsort")
        view(index, shape, np.intp)[...] = np.argsort(view(data, shape, dtype), axis=-1, kind="stable")

    def refusal(what: str) -> Callable[..., None]:
        def refuse(*_: Any, **__: Any) -> None:
            raise NotImplementedError(f"cpucuda: {what} is precompiled device code and is not emulated")

        return refuse

    thrust.sort, thrust.argsort, thrust.lexsort = sort, argsort, refusal("thrust.lexsort")
    for name in dir(cub):
        if name.startswith(("device_", "cub_")):
            setattr(cub, name, refusal(f"cub.{name}"))
    cupy.random.default_rng = cupy.random.Generator = refusal("cupy.random.Generator")
