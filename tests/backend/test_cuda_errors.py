"""The reasons why device="cuda" does not work, each told apart, with what to do and the original error chained."""

import importlib
import types

import pytest

import mechanet as mn
import mechanet.backend
from mechanet.backend import cuda, cuda_errors


class CUDARuntimeError(RuntimeError):
    def __init__(self, status, text="cudaError"):
        super().__init__(text)
        self.status = status


@pytest.fixture
def machine(monkeypatch):
    """A stand-in for CuPy on a machine of which the test says what is wrong."""

    def make(packages=("cupy-cuda13x",), error=None, library=None, driver=13000, devices=1, runtime=13000):
        def device_count():
            if isinstance(error, CUDARuntimeError):
                raise error
            return devices

        functions = types.SimpleNamespace(
            getDeviceCount=device_count, driverGetVersion=lambda: driver, runtimeGetVersion=lambda: runtime
        )
        fake = types.SimpleNamespace(cuda=types.SimpleNamespace(runtime=functions))

        def import_module(name):
            if name.partition(".")[0] != "cupy":
                return importlib.__import__(name)
            if isinstance(error, ImportError):
                raise error
            if name == "cupy.cublas" and library:
                raise ImportError(library)
            return fake

        monkeypatch.setattr(cuda.importlib, "import_module", import_module)
        monkeypatch.setattr(cuda_errors, "installed_packages", lambda: list(packages))
        cuda.backend.cache_clear()

    yield make
    monkeypatch.undo()
    cuda.backend.cache_clear()


def refused(device="cuda"):
    with pytest.raises(mn.DeviceError) as caught:
        mn.Network([mn.Dense(2)], input_shape=(3,), device=device)
    return str(caught.value), caught.value.__cause__


def test_cupy_is_not_installed(machine):
    error = ModuleNotFoundError("No module named 'cupy'", name="cupy")
    machine(packages=(), error=error)
    text, cause = refused()
    assert "CuPy, which is not installed" in text
    assert "pip install 'mechanet[cuda13]' (or 'mechanet[cuda12]' for CUDA 12)" in text
    assert cause is error


@pytest.mark.parametrize(
    "error",
    [ImportError("undefined symbol"), CUDARuntimeError(35), ModuleNotFoundError("cupy._core", name="cupy._core")],
)
def test_two_cupy_packages(machine, error):
    machine(packages=("cupy-cuda12x", "cupy-cuda13x"), error=error)
    text, cause = refused()
    assert "exactly one CuPy package. Installed are cupy-cuda12x and cupy-cuda13x" in text
    assert "pip uninstall cupy-cuda12x cupy-cuda13x" in text
    assert cause is error


def test_cupy_does_not_import(machine):
    error = ImportError("numpy.core.multiarray failed to import")
    machine(error=error)
    text, cause = refused()
    assert "installed (cupy-cuda13x) but does not import: numpy.core.multiarray failed to import" in text
    assert "pip uninstall cupy-cuda13x" in text
    assert cause is error


def test_a_library_is_missing(machine):
    machine(packages=("cupy-cuda12x",), library='Failure finding "libcublas.so.12": No such file: libcublas.so.12')
    text, cause = refused()
    assert "needs libcublas of the CUDA toolkit, which CuPy does not find" in text
    assert "pip install 'mechanet[cuda12]'" in text
    assert isinstance(cause, ImportError)


def test_there_is_no_driver(machine):
    machine(error=CUDARuntimeError(35), driver=0)
    text, cause = refused()
    assert "needs an NVIDIA driver, and there is none on this machine" in text
    assert "CUDA 13 needs driver 580 or newer" in text
    assert "--gpus all" in text
    assert isinstance(cause, CUDARuntimeError)


def test_the_driver_is_too_old(machine):
    machine(error=CUDARuntimeError(35), driver=12040)
    text, _ = refused()
    assert "this one supports CUDA 12.4, the installed CuPy is for CUDA 13.0" in text
    assert "CUDA 13 needs driver 580 or newer: update the driver, or install the CuPy for your driver" in text
    assert "mechanet[cuda12]" in text


def test_the_driver_is_too_old_for_both(machine):
    machine(error=CUDARuntimeError(35), driver=11040)
    text, _ = refused()
    assert "supports CUDA 11.4" in text
    assert "mechanet[cuda12]" not in text


def test_a_later_cuda_names_no_driver(machine):
    machine(error=CUDARuntimeError(35), driver=13000, runtime=14000)
    text, _ = refused()
    assert "CUDA 14 needs a driver that supports it: update the driver" in text


def test_the_driver_shows_no_gpu(machine, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    machine(error=CUDARuntimeError(100))
    text, _ = refused()
    assert "the NVIDIA driver is there but shows none. CUDA_VISIBLE_DEVICES='7' may hide it." in text


def test_another_error_of_cuda_keeps_its_text(machine):
    machine(error=CUDARuntimeError(802, "cudaErrorSystemNotReady: system not yet initialized"))
    text, _ = refused()
    assert "CUDA says: cudaErrorSystemNotReady" in text


def test_no_such_device(machine):
    machine(devices=2)
    text, _ = refused("cuda:5")
    assert 'device="cuda:5" does not exist on this machine; there are: cuda:0, cuda:1.' in text


def test_devices_and_auto_go_on_without_cuda(machine):
    machine(packages=(), error=ModuleNotFoundError("No module named 'cupy'", name="cupy"))
    cpu, gpu = mn.devices()
    assert (cpu.name, cpu.usable, gpu.name, gpu.usable) == ("cpu", True, "cuda", False)
    assert "not installed" in gpu.problem
    assert mn.Network([mn.Dense(2)], input_shape=(3,), device="auto").device == "cpu"


def test_missing_headers_and_libraries_at_work_are_explained():
    class CompileException(Exception):
        pass

    missing = cuda_errors.missing_library
    assert missing(CompileException('error: cannot open source file "vector_types.h"')) == "vector_types.h"
    assert missing(ImportError("libnvJitLink.so.13: cannot open shared object file")) == "libnvJitLink"
    assert missing(RuntimeError("Failure finding libnvrtc.so.13")) == "libnvrtc"
    assert missing(ValueError("libcublas.so")) is None
    explained = cuda_errors.explain(CompileException('cannot open source file "cuda_fp16.h"'), "cuda:0", int, "")
    assert "needs cuda_fp16.h of the CUDA toolkit" in str(explained)


def test_an_error_of_the_users_is_left_as_it_is():
    assert cuda_errors.explain(ValueError("x"), "cuda:0", int, "") is None
    assert cuda_errors.explain(MemoryError("on the host"), "cuda:0", int, "") is None


def test_this_machine_says_what_it_has():
    """The real CuPy, or none, of the machine the tests run on: whatever is wrong is told with what to do."""
    cpu, *others = mn.devices()
    assert cpu.usable
    assert others
    for device in others:
        assert (
            device.usable
            or "pip install" in device.problem
            or "driver" in device.problem
            or "GPU" in device.problem
        )
