"""The places that the same tests run in: array namespaces and devices, as one fixture."""

import importlib
import os
from dataclasses import dataclass, field
from typing import Any

# Two BLAS threads on small products can be ten times slower than one; set before NumPy is loaded.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

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
        help="run the tests that need a GPU, and only those, on real CuPy executed on the CPU (tests/cpucuda)",
    )  # fmt: skip


def pytest_configure(config):
    if config.getoption("--emulate-cuda"):
        import cpucuda

        reason = cpucuda.unavailable()
        if reason:
            raise pytest.UsageError(f"--emulate-cuda: {reason}")
        cpucuda.install(address_sanitizer="CPUCUDA_ASAN" in os.environ)


def pytest_collection_modifyitems(config, items):
    if config.getoption("--emulate-cuda"):
        others = [item for item in items if not item.get_closest_marker("gpu")]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item.get_closest_marker("gpu")]
    if not config.getoption("--slow"):
        skip = pytest.mark.skip(reason="a long job: run with --slow")
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(skip)


def pytest_runtest_setup(item):
    if item.get_closest_marker("gpu"):
        _require_gpu(item.config)


def _require_gpu(config):
    import mechanet.backend

    try:
        mechanet.backend.resolve("cuda")
    except mechanet.backend.DeviceError as error:
        if config.getoption("--require-gpu") or config.getoption("--emulate-cuda"):
            pytest.fail(f"a GPU was asked for: {error}")
        pytest.skip(f"needs a CUDA GPU: {error}")


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
