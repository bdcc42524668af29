"""The places that the same tests run in, as one fixture; and a GPU, where there is none."""

import ctypes
import functools
import importlib
import os
import signal
from dataclasses import dataclass, field
from typing import Any

# Two BLAS threads on small products can be ten times slower than one; set before NumPy is loaded.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import cpucuda  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402


@dataclass(frozen=True)
class Place:
    """An array namespace on a device, as a user would name it to `Network`.

    Attributes
    ----------
    options : dict
        The arguments ``device`` and ``xp`` of a network that computes here.
    backend : mechanet.backend.Backend
        The same, resolved.
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    readonly: bool = False

    @property
    def backend(self):
        import mechanet.backend

        return mechanet.backend.resolve(**self.options)

    @property
    def xp(self):
        return self.backend.xp

    def asarray(self, x, dtype=None):
        """An array of this place with the values of `x`; it cannot be written to in the read-only place."""
        array = self.backend.asarray(np.array(x, dtype=dtype))
        if self.readonly:
            array.flags.writeable = False
        return array

    def to_host(self, x) -> np.ndarray:
        return self.backend.to_host(x)


PLACES = ("numpy", "numpy-readonly", "strict", "strict-device1", "torch", "cuda")


def _place(name: str) -> Place:
    if name.startswith("numpy"):
        return Place(name, readonly=name == "numpy-readonly")
    if name == "cuda":
        return Place(name, {"device": "cuda"})
    module = importlib.import_module({"strict": "array_api_strict", "torch": "torch"}[name.partition("-")[0]])
    return Place(name, {"xp": module, "device": name.partition("-")[2] or "cpu"})


def pytest_addoption(parser):
    parser.addoption("--require-gpu", action="store_true", help="fail, rather than skip, tests that need a GPU")
    parser.addoption("--slow", action="store_true", help="run the long jobs too")
    parser.addoption(
        "--emulate-cuda", action="store_true",
        help="emulate CUDA (tests/cpucuda) beside a driver too, and fail where that is not possible",
    )  # fmt: skip


def pytest_configure():
    # Under nohup SIGINT is ignored, here and in all that a test starts: who sends it would wait for good.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--slow"):
        skip = pytest.mark.skip(reason="a long job: run with --slow")
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(skip)


# --- a GPU, where there is none: real CuPy executed on the CPU (tests/cpucuda) -----------------------------------


def pytest_collection_finish(session):
    """Where a test needs a GPU, emulate one before any test can import CuPy."""
    asked = session.config.getoption("--emulate-cuda")
    if (asked or any(item.get_closest_marker("gpu") for item in session.items)) and _emulates(session.config):
        cpucuda.install(address_sanitizer="CPUCUDA_ASAN" in os.environ)


@functools.cache
def _emulates(config) -> bool:
    """Whether this run emulates CUDA: it is asked to, or there is no driver, and everything it takes is there."""
    reason = cpucuda.unavailable()
    if config.getoption("--emulate-cuda"):
        if reason:
            raise pytest.UsageError(f"--emulate-cuda: {reason}")
        return True
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return reason is None and not config.getoption("--require-gpu")
    return False


def pytest_runtest_setup(item):
    needs_gpu = item.get_closest_marker("gpu") is not None
    if cpucuda.installed():
        import mechanet.backend.cuda

        cpucuda.show(needs_gpu)  # every other test finds what it finds on a machine without a GPU
        mechanet.backend.cuda.backend.cache_clear()
    if needs_gpu:
        _require_gpu(item.config)


def _require_gpu(config):
    import mechanet.backend

    try:
        mechanet.backend.resolve("cuda")
    except mechanet.backend.DeviceError as error:
        if config.getoption("--require-gpu") or _emulates(config):
            pytest.fail(f"a GPU was asked for: {error}")
        emulated = cpucuda.unavailable() or "run with --emulate-cuda"
        pytest.skip(f"needs a CUDA GPU: {error} Or an emulated one: {emulated}.")


@pytest.fixture
def emulator():
    """The emulated driver, which counts what happens on its devices; a real one does not."""
    if not cpucuda.installed():
        pytest.skip("needs the emulated driver: run with --emulate-cuda")
    return cpucuda


@pytest.fixture(params=[pytest.param(name, marks=[pytest.mark.gpu] if name == "cuda" else []) for name in PLACES])
def place(request) -> Place:
    """Each place in turn; a test that takes it must hold everywhere."""
    if request.param == "torch":
        pytest.importorskip("torch", reason="PyTorch is not installed")
    return _place(request.param)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture(autouse=True)
def _registered_classes_are_forgotten():
    """What a test, or a page that it runs, makes known by `mechanet.register`."""
    from mechanet import Layer, Loss, Optimizer, initializers, schedules

    families = [kind.family for kind in (Layer, Loss, Optimizer, initializers.Initializer, schedules.Schedule)]
    before = [dict(family.classes) for family in families]
    yield
    for family, classes in zip(families, before, strict=True):
        family.classes.clear()
        family.classes.update(classes)


@pytest.fixture(params=["with loops", "NumPy alone"])
def loops(request, monkeypatch):
    """Both: the loops that a C compiler made, and what there is without one."""
    from mechanet.backend import cpu_loops

    if request.param == "NumPy alone":
        monkeypatch.setattr(cpu_loops, "LOOPS", {})
    elif not cpu_loops.LOOPS:
        pytest.skip("the package was built without a C compiler")
