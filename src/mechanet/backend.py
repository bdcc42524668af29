"""Where arrays live: a device string becomes an array namespace, and arrays move in and out.

The mathematics above this file is written once, against the array API standard. Here, and only here, it is
decided which library computes it: NumPy for ``"cpu"``, CuPy for ``"cuda"``, or any other namespace that a
curious user names (``xp=array_api_strict``, ``xp=torch``).
"""

import contextlib
import functools
import importlib
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import array_api_compat
import numpy as np

from mechanet import checks

DTYPES = ("float32", "float64")
HostArray = np.ndarray


def in_order(n: int) -> np.ndarray:
    """0, 1, ..., n - 1, on the host."""
    return np.arange(n)


def generator(*seeds: int) -> "np.random.Generator":
    """A host generator: the only source of randomness, so that all devices draw the same numbers."""
    return np.random.default_rng(seeds)


class DeviceError(RuntimeError):
    """A device that this machine cannot give; the message says why and what to do."""


class Backend:
    """An array namespace on a device of it.

    This class uses nothing beyond the standard. Its subclasses use what their library adds: an ``out=``
    argument that saves a temporary, or a current device.

    Attributes
    ----------
    xp : module
        The array namespace, as array-api-compat presents it.
    device : object
        What `xp` calls the device; None for its default.
    name : str
        The device string users see.
    block_bytes : int
        The size of a block of rows that is worked on at a time: small enough to stay in a CPU's cache.
    """

    block_bytes = 8 << 20

    def __init__(self, xp: ModuleType, device: Any, name: str):
        self.xp = xp
        self.device = device
        self.name = name

    def __repr__(self) -> str:
        return f"Backend({self.name!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Backend) and (self.xp, self.name) == (other.xp, other.name)

    def __hash__(self) -> int:
        return hash((self.xp, self.name))

    def __reduce__(self):
        return resolve, (str(self.device) if self.device is not None else "cpu", _module_name(self.xp))

    def current(self) -> contextlib.AbstractContextManager:
        """Make this device the current one, for libraries that have such a thing."""
        return contextlib.nullcontext()

    def dtype(self, name: str) -> Any:
        """The namespace's data type of that name."""
        return getattr(self.xp, name)

    def holds(self, x: Any) -> bool:
        """Whether `x` is an array of this namespace on this device."""
        return (
            array_api_compat.is_array_api_obj(x)
            and array_api_compat.array_namespace(x) is self.xp
            and (self.device is None or array_api_compat.device(x) == self.device)
        )

    def asarray(self, x: Any, dtype: Any = None) -> Any:
        """Bring `x` (an array of any library, or a sequence) to this device, without a copy where possible."""
        if not self.holds(x):
            x = to_host(x)
            if not x.flags.writeable:  # PyTorch shares memory with what it is given, and has no read-only tensors
                x = x.copy()
            x = self.xp.asarray(x, device=self.device)
        return x if dtype is None or x.dtype == dtype else self.xp.astype(x, dtype)

    def to_host(self, x: Any) -> np.ndarray:
        """Bring an array of this device to the host, waiting for it."""
        return to_host(x)

    def zeros(self, shape: Any, dtype: Any) -> Any:
        return self.xp.zeros(shape, dtype=dtype, device=self.device)

    def fits(self, size: int) -> bool:
        """Whether an array of `size` bytes is best moved to the device at once, rather than batch by batch."""
        return True

    def like(self, result: Any, x: Any) -> Any:
        """Give `result` where `x`, which came in at the door, lives: host arrays and sequences in, host out."""
        if not array_api_compat.is_array_api_obj(x) or array_api_compat.is_numpy_array(x):
            return self.to_host(result)
        if array_api_compat.array_namespace(x) is self.xp:
            device = array_api_compat.device(x)
            here = array_api_compat.device(result) == device
            return result if here else array_api_compat.to_device(result, device)
        return array_api_compat.array_namespace(x).asarray(self.to_host(result), device=array_api_compat.device(x))

    def check_scores(self, Z: Any, x: Any) -> None:
        """Refuse scores that are not finite; only where `x` came from the host, so that no device waits."""
        if isinstance(x, np.ndarray) and not np.isfinite(self.to_host(Z)).all():
            checks.finite("x", x)
            raise ValueError(
                "the network's scores are not finite although x is. Received: parameters or data so large that "
                "they overflow. Scale the data, or train again with a lower learning rate."
            )

    def fused(self, plain: Any) -> Any:
        """What does the same as `plain` in fewer steps on this device, or `plain` itself.

        `plain` is a chain of layers as a tuple, a loss, an optimizer or a function of the mathematics.
        """
        return plain

    def matmul(self, A: Any, B: Any, out: Any) -> None:
        """out ← A B."""
        out[...] = A @ B

    def sum_rows(self, A: Any, out: Any) -> None:
        """out ← Σ_rows A."""
        out[...] = self.xp.sum(A, axis=0)


class OutBackend(Backend):
    """A namespace whose functions take ``out=``: the result is written where it belongs, without a copy."""

    def matmul(self, A: Any, B: Any, out: Any) -> None:
        self.xp.matmul(A, B, out=out)

    def sum_rows(self, A: Any, out: Any) -> None:
        self.xp.sum(A, axis=0, out=out)


class NumpyBackend(OutBackend):
    """NumPy: the host itself."""

    def current(self):
        # What is not finite is found and named at the doors; a warning from inside would only come first.
        return np.errstate(over="ignore", invalid="ignore", divide="ignore")

    def holds(self, x: Any) -> bool:
        return type(x) is np.ndarray

    def like(self, result: Any, x: Any) -> Any:
        return result if isinstance(x, np.ndarray) else super().like(result, x)


class CudaBackend(OutBackend):
    """CuPy on one CUDA device, made current at every door and given back after."""

    block_bytes = 256 << 20

    def __init__(self, xp: ModuleType, number: int):
        super().__init__(xp, _cupy().cuda.Device(number), f"cuda:{number}")

    def __reduce__(self):
        return resolve, (self.name,)

    def current(self) -> contextlib.AbstractContextManager:
        return _cupy().cuda.Device(self.device.id)

    def asarray(self, x: Any, dtype: Any = None) -> Any:
        with self.current():
            if not self.holds(x):
                cupy = _cupy()
                if array_api_compat.is_cupy_array(x):
                    x = cupy.array(x)  # from another GPU
                elif hasattr(x, "__dlpack_device__") and x.__dlpack_device__()[0] in (2, 13):
                    x = cupy.from_dlpack(x)
                else:
                    x = cupy.asarray(to_host(x))
            return x if dtype is None or x.dtype == dtype else x.astype(dtype)

    def to_host(self, x: Any) -> np.ndarray:
        with self.current():
            return _cupy().asnumpy(x)

    def fits(self, size: int) -> bool:
        with self.current():
            free, _ = _cupy().cuda.runtime.memGetInfo()
            pool = _cupy().get_default_memory_pool()
            return size < 0.5 * (free + pool.free_bytes())

    def fused(self, plain: Any) -> Any:
        kernels = _cuda_kernels()
        return kernels.fused(plain) if kernels else plain

    def like(self, result: Any, x: Any) -> Any:
        if array_api_compat.is_torch_array(x) and x.device.type == "cuda":
            return array_api_compat.array_namespace(x).from_dlpack(result)
        return super().like(result, x)

    def zeros(self, shape: Any, dtype: Any) -> Any:
        with self.current():
            return self.xp.zeros(shape, dtype=dtype)


def to_host(x: Any) -> np.ndarray:
    """Bring an array of any library, or a sequence of numbers, to the host as a NumPy array."""
    if type(x) is np.ndarray:
        return x
    if array_api_compat.is_cupy_array(x):
        return x.get()
    if array_api_compat.is_torch_array(x):
        return x.detach().cpu().numpy()
    if array_api_compat.is_array_api_obj(x):
        strict = array_api_compat.array_namespace(x)
        if hasattr(strict, "Device"):
            x = array_api_compat.to_device(x, strict.Device("CPU_DEVICE"))
    return np.asarray(x)


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
    return _cuda(int(number or 0))


def _explicit(xp: ModuleType | str, device: Any) -> Backend:
    module = importlib.import_module(xp) if isinstance(xp, str) else xp
    # An array of the namespace tells what array-api-compat calls it.
    xp = array_api_compat.array_namespace(module.zeros(1) if hasattr(module, "zeros") else module.empty(1))
    if array_api_compat.is_numpy_namespace(xp):
        return NUMPY
    if array_api_compat.is_cupy_namespace(xp):
        return _cuda(0 if device == "cpu" else int(str(device).rpartition(":")[2] or 0))
    if hasattr(xp, "Device"):  # array-api-strict
        default = isinstance(device, str) and device == "cpu"
        device = xp.Device("CPU_DEVICE") if default else (xp.Device(device) if isinstance(device, str) else device)
        return Backend(xp, device, f"{_module_name(xp)}:{str(device).split(chr(39))[1]}")
    if array_api_compat.is_torch_namespace(xp):
        return OutBackend(xp, module.device(device), f"torch:{device}")
    return Backend(xp, None if device == "cpu" else device, _module_name(xp))


def _module_name(xp: ModuleType) -> str:
    return xp.__name__.removeprefix("array_api_compat.")


def _cupy() -> ModuleType:
    return importlib.import_module("cupy")


@functools.cache
def _cuda_kernels() -> ModuleType | None:
    """The fused kernels; the library does without them where their file is not there."""
    try:
        return importlib.import_module("mechanet.cuda_kernels")
    except ModuleNotFoundError as error:
        if error.name != "mechanet.cuda_kernels":
            raise
        return None


@functools.cache
def _cuda(number: int) -> CudaBackend:
    try:
        cupy = _cupy()
    except ModuleNotFoundError as error:
        raise DeviceError(
            'device="cuda" needs CuPy, which is not installed. '
            "Install it with: pip install 'mechanet[cuda13]' (or 'mechanet[cuda12]' for CUDA 12)."
        ) from error
    except ImportError as error:
        raise DeviceError(f'device="cuda" needs CuPy, which is installed but does not import: {error}') from error
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise DeviceError(
            'device="cuda" needs an NVIDIA driver that fits the installed CuPy '
            f"(525 or newer for CUDA 12, 580 or newer for CUDA 13). CUDA says: {error}"
        ) from error
    if number >= count:
        there = ", ".join(f"cuda:{i}" for i in range(count)) or "none"
        raise DeviceError(f'device="cuda:{number}" does not exist on this machine; there are: {there}.')
    return CudaBackend(importlib.import_module("array_api_compat.cupy"), number)


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
    found = [Device("cpu", f"NumPy {np.__version__}", True)]
    number = 0
    while True:
        try:
            backend = _cuda(number)
        except DeviceError as error:
            if number == 0:
                found.append(Device("cuda", "CuPy", False, str(error)))
            return found
        cupy = _cupy()
        with backend.current():
            free, total = cupy.cuda.runtime.memGetInfo()
            properties = cupy.cuda.runtime.getDeviceProperties(number)
        name = properties["name"]
        name = name.decode() if isinstance(name, bytes) else name
        found.append(Device(backend.name, f"{name}, CuPy {cupy.__version__}", True, "", total, free))
        number += 1


def check_dtype(name: str) -> str:
    """Return the name of a data type that networks compute in."""
    return checks.one_of("dtype", getattr(name, "__name__", str(name)), DTYPES)


NUMPY = NumpyBackend(np, "cpu", "cpu")
