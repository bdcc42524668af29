"""What jobs of their own say of the CUDA kernels on a machine without a GPU; the long ones run with --slow."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import cpucuda
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
PARITY = "tests/jobs/mnist_parity.py"


def run(*command, **environment):
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])
    environment = {**os.environ, "PYTHONPATH": path, **environment}
    return subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
def test_numpy_and_emulated_cuda_train_the_same_bits_in_float32(optimizer):
    """Where the libraries beneath round alike: no parameter of a training differs, so no line of ours does."""
    if cpucuda.unavailable():
        pytest.skip(cpucuda.unavailable())
    done = run(PARITY, "digits", "--rows", "700", "--epochs", "2", "--optimizer", optimizer)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "same order: True; 0 of 101770 parameters differ" in done.stdout


def test_the_parity_job_sees_what_is_apart():
    job = runpy.run_path(str(ROOT / PARITY))
    one = job["Trained"]([0.5, 0.25], 0.97, np.array([1, 0]), np.array([1.0, 2.0, 3.0]))
    text, agree = job["compare"](one, one)
    assert agree
    assert "0 of 3 parameters differ" in text
    text, agree = job["compare"](one, one._replace(losses=[0.5, 0.25003]))
    assert not agree
    assert "apart at most 1.2e-04" in text
    text, agree = job["compare"](one, one._replace(order=np.array([0, 1])))
    assert not agree
    assert "same order: False" in text
    assert not job["compare"](one, one._replace(accuracy=0.972))[1]
    text, agree = job["compare"](one, one._replace(theta=np.array([1.0, 2.5, 3.0])))
    assert agree
    assert "1 of 3 parameters differ" in text


@pytest.mark.slow
def test_all_sources_compile_for_real_devices_and_our_kernels_spill_nothing():
    reason = runpy.run_path(str(ROOT / "tests" / "jobs" / "compile_cuda.py"))["unavailable"]()
    if reason:
        pytest.skip(reason)
    done = run("tests/jobs/compile_cuda.py")
    print(done.stdout)
    assert done.returncode == 0, done.stderr
    assert "sources compiled for sm_80 and sm_90" in done.stdout
    assert "softmax_cross_entropy    float   sm_90" in done.stdout


@pytest.mark.slow
def test_our_kernels_stay_within_their_arrays_and_depend_on_no_order():
    """The kernels' own tests once more, under AddressSanitizer, with blocks and threads run backwards."""
    if cpucuda.unavailable():
        pytest.skip(cpucuda.unavailable())
    library = subprocess.check_output(["g++", "-print-file-name=libasan.so"], text=True).strip()
    done = run("-m", "pytest", "--emulate-cuda", "-m", "gpu", "-q", "-p", "no:cacheprovider", "tests/kernels/test_kernels_cuda.py",
               LD_PRELOAD=library, ASAN_OPTIONS="detect_leaks=0", CPUCUDA_ASAN="1", CPUCUDA_REVERSE="1")  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_the_library_works_without_the_kernels(tmp_path):
    """With mechanet/kernels/cuda.py left out, every test of the device passes but the kernels' own."""
    if cpucuda.unavailable():
        pytest.skip(cpucuda.unavailable())
    for name in ("src", "tests", "conftest.py", "pyproject.toml"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "src").unlink()
    (tmp_path / "src" / "mechanet").mkdir(parents=True)
    for path in (ROOT / "src" / "mechanet").iterdir():
        if path.name not in ("kernels", "__pycache__"):
            (tmp_path / "src" / "mechanet" / path.name).symlink_to(path)
    kernels = tmp_path / "src" / "mechanet" / "kernels"
    kernels.mkdir()
    for path in (ROOT / "src" / "mechanet" / "kernels").glob("*.py"):
        if path.name not in ("cuda.py", "cuda_source.py"):
            (kernels / path.name).symlink_to(path)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--emulate-cuda", "-m", "gpu", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path),
         "tests/network/test_network.py", "tests/training/test_training.py", "tests/backend/test_cuda_device.py",
         "tests/kernels/test_kernels_cuda.py"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
