"""Real CuPy, executed without a GPU: see README.md beside this file.

`cpucuda.install()` comes before the first `import cupy`, in a process of its own. Then CuPy finds emulated
devices of compute capability 9.0, and everything that happens on them is counted.
"""

import importlib.metadata
import platform
import shutil
import sys

WHEEL, VERSION = "cupy-cuda13x", "14.2.0"

__all__ = ["VERSION", "WHEEL", "counts", "install", "installed", "log", "on_source", "reset", "show", "unavailable"]

#: Functions f(source, options, names) that see every CUDA source CuPy generates, compiled before or not.
on_source: list = []


def unavailable() -> str | None:
    """Why real CuPy cannot be emulated on this machine, or None if it can."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return f"cpucuda runs on Linux on x86-64; this machine is {sys.platform} on {platform.machine()}"
    if shutil.which("g++") is None or shutil.which("nm") is None:
        return "cpucuda compiles kernels with g++ and reads symbols with nm: apt-get install g++"
    try:
        found = importlib.metadata.version(WHEEL)
    except importlib.metadata.PackageNotFoundError:
        return f"cpucuda needs the wheel {WHEEL}: pip install {WHEEL}=={VERSION}"
    if found != VERSION:
        return (
            f"cpucuda replaces private functions of {WHEEL} {VERSION}, found {found}: "
            f"pip install {WHEEL}=={VERSION}"
        )
    return None


def install(devices: int = 2, address_sanitizer: bool = False) -> None:
    """Prepare this process so that `import cupy` works, and import it.

    Parameters
    ----------
    devices : int
        How many emulated devices CuPy finds. They share the host's memory and reach each other's arrays only
        through CuPy's own copies.
    address_sanitizer : bool
        Compile kernels with AddressSanitizer and give every array an allocation of its exact size, so that
        an access out of bounds ends the process with the kernel's line. The process must have been started
        with LD_PRELOAD naming libasan.

    Raises
    ------
    ImportError
        CuPy is already imported, or cannot be emulated here (the text of `unavailable`).
    """
    reason = unavailable()
    if reason:
        raise ImportError(reason)
    if "cupy" in sys.modules or "cupy_backends" in sys.modules:
        raise ImportError("cpucuda.install() must come before the first import of cupy")
    from cpucuda import runtime

    runtime.install(devices, address_sanitizer)


def installed() -> bool:
    """Whether this process has emulated devices."""
    return "cpucuda.runtime" in sys.modules


def show(shown: bool) -> None:
    """Whether CuPy finds the devices, from now on; while it does not, it is told that there is no device."""
    from cpucuda import runtime

    runtime.show(shown)


def counts() -> dict[str, int]:
    """What has happened on the devices since `reset`: launch, gemm, h2d, d2h, d2d, memset, sync, ... ."""
    from cpucuda import runtime

    return runtime.counts()


def reset(log: bool = False) -> None:
    """Set all counts to zero and empty the log; keep a log from now on if `log`."""
    from cpucuda import runtime

    runtime.reset(log)


def log() -> list[str]:
    """One line per event since `reset(log=True)`: a kernel's name, a product with its shape, or "!event"."""
    from cpucuda import runtime

    return runtime.log()
