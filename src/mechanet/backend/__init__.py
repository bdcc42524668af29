"""Where arrays live: a device string becomes an array namespace, and arrays move in and out.

The mathematics in the layers above is written once, against the array API standard. The choice of the library that
computes it is made here and nowhere else: NumPy for ``"cpu"``, CuPy for ``"cuda"``, or any other namespace that a
curious user names (``xp=array_api_strict``, ``xp=torch``).
"""

import copyreg
import importlib
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import array_api_compat
import numpy as np

from mechanet import checks
from mechanet.backend import cpu_loops, cuda
from mechanet.backend.base import Backend, DeviceError, NumpyBackend, OutBackend, in_blocks, to_host
from mechanet.backend.draws import uniform

__all__ = [
    "DTYPES", "NUMPY", "Backend", "Device", "DeviceError", "HostArray", "NumpyBackend", "arange",
    "check_dtype", "devices", "generator", "in_blocks", "resolve", "to_host", "uniform",
]  # fmt: skip

DTYPES = ("float32", "float64")
HostArray = np.ndarray
NUMPY = NumpyBackend(np, "cpu", "cpu")


def resolve(device: str | Any = "cpu", xp: ModuleType | str | None = None) -> Backend:
    """Turn a device, and optionally an explicit namespace, into a backend.

    Parameters
    ----------
    device : {"cpu", "cuda", "cuda:N", "auto"} or object
        ``"auto"`` is CUDA if it works, else the CPU. With `xp`, a device of that namespace.
    xp : module, optional
        An array namespace, for example ``array_api_strict`` or ``torch``. With ``device="cpu"`` its default device
        is used.

    Raises
    ------
    ValueError
        For an unknown device string.
    DeviceError
        For a device that cannot be used on this machine, with the reason and what to do.
    """
    if isinstance(device, Backend):
        return device
    if xp is not None:
        return _explicit(xp, device)
    if not isinstance(device, str):
        raise TypeError(f'device expects "cpu", "cuda", "cuda:N" or "auto". Received: device={device!r}.')
    if device == "cpu":
        return NUMPY
    if device == "auto":
        try:
            return resolve("cuda")
        except DeviceError:
            return NUMPY
    kind, _, number = device.partition(":")
    if kind != "cuda" or (":" in device and not (number.isascii() and number.isdigit())):
        raise ValueError(f'device expects "cpu", "cuda", "cuda:N" or "auto". Received: device={device!r}.')
    return cuda.backend(int(number or 0))


def backend_of(x: Any) -> Backend:
    """The backend of array `x`; NumPy's if `x` is not an array, such as a list."""
    if not array_api_compat.is_array_api_obj(x) or array_api_compat.is_numpy_array(x):
        return NUMPY
    if array_api_compat.is_cupy_array(x):
        return cuda.backend(x.device.id)
    return _explicit(array_api_compat.array_namespace(x), array_api_compat.device(x))


def numpy_reads(x: Any) -> bool:
    """Whether NumPy, and what is built on it, can read `x` in place: not if it is on a GPU."""
    if array_api_compat.is_torch_array(x):
        return x.device.type == "cpu"
    if array_api_compat.is_array_api_obj(x) and hasattr(xp := array_api_compat.array_namespace(x), "Device"):
        return array_api_compat.device(x) == xp.Device("CPU_DEVICE")  # array-api-strict's others stand for a GPU
    return not array_api_compat.is_cupy_array(x)


def _explicit(xp: ModuleType | str, device: Any) -> Backend:
    module = importlib.import_module(xp) if isinstance(xp, str) else xp
    if module.__name__.partition(".")[0] == "cupy" or module.__name__ == "array_api_compat.cupy":
        return cuda.backend(0 if device == "cpu" else int(str(device).rpartition(":")[2] or 0))
    # array-api-compat has its own wrapper of a namespace, which it gives for an array.
    xp = array_api_compat.array_namespace(module.zeros(1) if hasattr(module, "zeros") else module.empty(1))
    if array_api_compat.is_numpy_namespace(xp):
        return NUMPY
    if hasattr(xp, "Device"):  # array-api-strict
        default = isinstance(device, str) and device == "cpu"
        device = xp.Device("CPU_DEVICE") if default else (xp.Device(device) if isinstance(device, str) else device)
        return Backend(xp, device, f"{_module_name(xp)}:{str(device).split(chr(39))[1]}")
    if array_api_compat.is_torch_namespace(xp):
        return OutBackend(xp, module.device(device), f"torch:{device}")
    return Backend(xp, None if device == "cpu" else device, _module_name(xp))


def _module_name(xp: ModuleType) -> str:
    return xp.__name__.removeprefix("array_api_compat.")


def _reduce(backend: Backend) -> tuple[Any, ...]:
    """How a backend is pickled and copied: by the name a user would give."""
    if isinstance(backend, (NumpyBackend, cuda.CudaBackend)):
        return resolve, (backend.name,)
    return resolve, ("cpu" if backend.device is None else backend.device, _module_name(backend.xp))


for _kind in (Backend, OutBackend, NumpyBackend, cuda.CudaBackend):
    copyreg.pickle(_kind, _reduce)


@dataclass(frozen=True)
class Device:
    """A device of this machine, or one that cannot be used and why."""

    name: str
    description: str
    usable: bool
    problem: str = ""
    memory_bytes: int = 0
    free_bytes: int = 0


def devices() -> list[Device]:
    """List the values that ``device=`` accepts on this machine; devices that do not work say why."""
    loops = "with" if cpu_loops.LOOPS else "without"
    found = [Device("cpu", f"NumPy {np.__version__}, {loops} compiled loops", True)]
    try:
        found += [Device(**cuda.describe(number)) for number in range(cuda.count())]
    except DeviceError as error:
        found.append(Device("cuda", "CuPy", False, str(error)))
    return found


def arange(n: int) -> np.ndarray:
    """0, 1, ..., n - 1, on the host."""
    return np.arange(n)


def generator(*seeds: int) -> "np.random.Generator":
    """A generator on the host: the only source of randomness, so that all devices draw the same numbers."""
    return np.random.default_rng(seeds)


def check_dtype(name: str) -> str:
    """Return the name of a data type that networks can compute in."""
    return checks.one_of("dtype", getattr(name, "__name__", str(name)), DTYPES)
