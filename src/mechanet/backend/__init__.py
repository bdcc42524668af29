"""Where arrays live: a device string becomes an array namespace, and arrays move in and out.

The mathematics above this is written once, against the array API standard. Here, and only here, it is decided
which library computes it: NumPy for ``"cpu"``, CuPy for ``"cuda"``, or any other namespace that a curious user
names (``xp=array_api_strict``, ``xp=torch``).
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
    "DTYPES", "NUMPY", "Backend", "Device", "DeviceError", "HostArray", "arange", "check_dtype", "devices",
    "generator", "in_blocks", "resolve", "to_host", "uniform",
]  # fmt: skip

DTYPES = ("float32", "float64")
HostArray = np.ndarray
NUMPY = NumpyBackend(np, "cpu", "cpu")


def resolve(device: str | Any = "cpu", xp: ModuleType | str | None = None) -> Backend:
    """Turn a device, and optionally an explicit namespace, into a backend.

    Parameters
    ----------
    device : {"cpu", "cuda", "cuda:N", "auto"} or object
        ``"auto"`` is CUDA where it works and the CPU elsewhere. With `xp` it is a device of that namespace.
    xp : module, optional
        An array namespace, for example ``array_api_strict`` or ``torch``; its default device if `device`
        is ``"cpu"``.

    Raises
    ------
    ValueError
        For an unknown device string.
    DeviceError
        For a device that this machine cannot give, with the reason and what to do.
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
    """The backend that array `x` is of; NumPy's for what is no array, such as a list."""
    if not array_api_compat.is_array_api_obj(x) or array_api_compat.is_numpy_array(x):
        return NUMPY
    if array_api_compat.is_cupy_array(x):
        return cuda.backend(x.device.id)
    return _explicit(array_api_compat.array_namespace(x), array_api_compat.device(x))


def numpy_reads(x: Any) -> bool:
    """Whether NumPy, and what is built on it, can read `x` where it is: not if it is on a GPU."""
    if array_api_compat.is_torch_array(x):
        return x.device.type == "cpu"
    if array_api_compat.is_array_api_obj(x) and hasattr(xp := array_api_compat.array_namespace(x), "Device"):
        return array_api_compat.device(x) == xp.Device("CPU_DEVICE")  # array-api-strict's others stand for a GPU
    return not array_api_compat.is_cupy_array(x)


def _explicit(xp: ModuleType | str, device: Any) -> Backend:
    module = importlib.import_module(xp) if isinstance(xp, str) else xp
    if module.__name__.partition(".")[0] == "cupy" or module.__name__ == "array_api_compat.cupy":
        return cuda.backend(0 if device == "cpu" else int(str(device).rpartition(":")[2] or 0))
    # An array of the namespace tells what array-api-compat calls it.
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


def _reduce(backend: Backend) -> tuple:
    """Pickled and copied as what a user would name it by."""
    if isinstance(backend, (NumpyBackend, cuda.CudaBackend)):
        return resolve, (backend.name,)
    return resolve, ("cpu" if backend.device is None else backend.device, _module_name(backend.xp))


for _kind in (Backend, OutBackend, NumpyBackend, cuda.CudaBackend):
    copyreg.pickle(_kind, _reduce)


@dataclass(frozen=True)
class Device:
    """A device of this machine, or one that was asked for and why it cannot be used."""

    name: str
    description: str
    usable: bool
    problem: str = ""
    memory_bytes: int = 0
    free_bytes: int = 0


def devices() -> list[Device]:
    """List the devices that ``device=`` takes on this machine; those that do not work say why."""
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
    """A host generator: the only source of randomness, so that all devices draw the same numbers."""
    return np.random.default_rng(seeds)


def check_dtype(name: str) -> str:
    """Return the name of a data type that networks compute in."""
    return checks.one_of("dtype", getattr(name, "__name__", str(name)), DTYPES)
