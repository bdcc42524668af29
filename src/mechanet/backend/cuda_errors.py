"""The reasons why CUDA may not work, each with what to do about it."""

import os
import re
from collections.abc import Callable
from types import ModuleType

from mechanet.backend.base import DeviceError

# The oldest driver of each CUDA version: NVIDIA, CUDA Compatibility, "minor version compatibility".
DRIVERS = {12: "525", 13: "580"}
INSTALL = "pip install 'mechanet[cuda13]' (or 'mechanet[cuda12]' for CUDA 12)"
INSUFFICIENT_DRIVER, NO_DEVICE = 35, 100  # cudaError_t


class DeviceMemoryError(DeviceError, MemoryError):
    """The device does not have enough memory; the message says for what, and what to try."""


def version(number: int) -> str:
    """CUDA's version number as people write it: 13000 is 13.0."""
    return f"{number // 1000}.{number % 1000 // 10}"


def unusable(error: Exception, cupy: Callable[[], ModuleType]) -> DeviceError:
    """The error that says why CUDA cannot be used on this machine."""
    packages = installed_packages()
    if isinstance(error, ModuleNotFoundError) and error.name == "cupy":
        return DeviceError(f'device="cuda" needs CuPy, which is not installed. Install it with: {INSTALL}.')
    if len(packages) > 1:
        return DeviceError(
            f'device="cuda" needs exactly one CuPy package. Installed are {" and ".join(packages)}, '
            f"which overwrite each other. Run: pip uninstall {' '.join(packages)}, then {INSTALL}."
        )
    if isinstance(error, ImportError):
        library = missing_library(error)
        if library:
            return DeviceError(_library_text(library))
        return DeviceError(
            f'device="cuda" needs CuPy, which is installed ({", ".join(packages) or "not by pip"}) but does not '
            f"import: {error}. Reinstall it: pip uninstall {' '.join(packages) or 'cupy'}, then {INSTALL}."
        )
    status = getattr(error, "status", None)
    if status == INSUFFICIENT_DRIVER:
        runtime = cupy().cuda.runtime
        driver, wanted = runtime.driverGetVersion(), runtime.runtimeGetVersion()
        oldest = DRIVERS.get(wanted // 1000)
        need = (
            f"CUDA {wanted // 1000} needs {f'driver {oldest} or newer' if oldest else 'a driver that supports it'}"
        )
        if not driver:
            return DeviceError(
                'device="cuda" needs an NVIDIA driver, and there is none on this machine. Install it '
                f"({need}); start a container with --gpus all, by the NVIDIA Container Toolkit."
            )
        older = "" if driver < 12000 else ", or install the CuPy for your driver: pip install 'mechanet[cuda12]'"
        return DeviceError(
            f'device="cuda" needs a newer NVIDIA driver: this one supports CUDA {version(driver)}, '
            f"the installed CuPy is for CUDA {version(wanted)}. {need}: update the driver{older}."
        )
    if status == NO_DEVICE:
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
        why = f" CUDA_VISIBLE_DEVICES={hidden!r} may hide it." if hidden is not None else ""
        return DeviceError(
            f'device="cuda" needs a GPU: the NVIDIA driver is there but shows none.{why} '
            "See what nvidia-smi says; start a container with --gpus all."
        )
    return DeviceError(f'device="cuda" does not work on this machine. CUDA says: {error}')


def no_such_device(number: int, count: int) -> DeviceError:
    """The error for a device number that does not exist."""
    there = ", ".join(f"cuda:{i}" for i in range(count)) or "none"
    return DeviceError(
        f'device="cuda:{number}" does not exist on this machine; there are: {there}. '
        "CUDA_VISIBLE_DEVICES chooses which of the machine's GPUs are counted."
    )


def explain(error: Exception, device: str, free_bytes: Callable[[], int], work: str) -> DeviceError | None:
    """The error to raise in place of one that occurred on `device`, or None to leave it as it is."""
    if type(error).__name__ == "OutOfMemoryError":  # CuPy's; the host's is a plain MemoryError
        wanted = re.search(r"allocating ([\d,]+) bytes", str(error))
        import traceback  # needed only here

        traceback.clear_frames(error.__traceback__)  # their arrays would stay alive as long as the error does
        return DeviceMemoryError(
            f"{device} does not have enough memory{f' for {work}' if work else ''}: "
            f"{f'{wanted[1]} more bytes were needed, ' if wanted else ''}{free_bytes():,} bytes are free. "
            'Try a smaller batch_size, data as uint8 or float32, dtype="float32", or a smaller network; '
            "nvidia-smi shows what else is using the device."
        )
    library = missing_library(error)
    if library:
        return DeviceError(_library_text(library))
    if type(error).__name__ in ("CUDARuntimeError", "CUDADriverError", "CUBLASError"):
        return DeviceError(
            f"{device} stopped working{f' ({work})' if work else ''}, and what its memory held is lost. "
            f"CUDA says: {error}. Start a new process; a training resumes from its last checkpoint, "
            'on this device or on another: Training.resume(path, x, y, device="cpu").'
        )
    return None


def missing_library(error: Exception) -> str | None:
    """The name of the CUDA library (or header) that was not found, if that is the reason for `error`."""
    text = str(error)
    if isinstance(error, ImportError):
        found = re.search(r"\b(lib(?:cu|nv)\w+)\.so", text)
        return found[1] if found else None
    if type(error).__name__ in ("CompileException", "NVRTCError", "RuntimeError"):
        found = re.search(r"\b(libnvrtc\S*?)\.so|cannot open source file \"(\w[\w./]*)\"", text)
        return (found[1] or found[2]) if found else None
    return None


def _library_text(library: str) -> str:
    extra = {12: "cuda12", 13: "cuda13"}
    packages = installed_packages()
    suffix = "".join(re.findall(r"cuda(\d\d)x", " ".join(packages)))
    name = extra.get(int(suffix or 0), "cuda13")
    return (
        f'device="cuda" needs {library} of the CUDA toolkit, which CuPy does not find. '
        f"Install it beside CuPy: pip install 'mechanet[{name}]' brings all that is needed. Or set CUDA_PATH to a "
        "toolkit of CuPy's version."
    )


def installed_packages() -> list[str]:
    """The installed distributions that provide a package called cupy."""
    import importlib.metadata  # takes as long to load as all of mechanet, and is needed only here

    names = {distribution.metadata["Name"] for distribution in importlib.metadata.distributions()}
    return sorted(name for name in names if name and re.fullmatch(r"cupy(-(cuda\w+|rocm\S+))?", name.lower()))
