"""The long checks of the CUDA kernels, on a machine without a GPU: run with --slow."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import cpucuda
import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow


def run(*command, **environment):
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])
    environment = {**os.environ, "PYTHONPATH": path, **environment}
    return subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True)


def test_all_sources_compile_for_real_devices_and_our_kernels_spill_nothing():
    reason = runpy.run_path(str(ROOT / "tests" / "jobs" / "compile_cuda.py"))["unavailable"]()
    if reason:
        pytest.skip(reason)
    done = run("tests/jobs/compile_cuda.py")
    print(done.stdout)
    assert done.returncode == 0, done.stderr
    assert "sources compiled for sm_80 and sm_90" in done.stdout
    assert "softmax_cross_entropy    float   sm_90" in done.stdout


def test_our_kernels_stay_within_their_arrays_and_depend_on_no_order():
    """The kernels' own tests once more, under AddressSanitizer, with blocks and threads run backwards."""
    if cpucuda.unavailable():
        pytest.skip(cpucuda.unavailable())
    library = subprocess.check_output(["g++", "-print-file-name=libasan.so"], text=True).strip()
    done = run("-m", "pytest", "--emulate-cuda", "-q", "-p", "no:cacheprovider", "tests/test_cuda_kernels.py",
               LD_PRELOAD=library, ASAN_OPTIONS="detect_leaks=0", CPUCUDA_ASAN="1", CPUCUDA_REVERSE="1")  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_library_works_without_the_kernels(tmp_path):
    """With mechanet/cuda_kernels.py left out, every test of the device passes but the kernels' own."""
    if cpucuda.unavailable():
        pytest.skip(cpucuda.unavailable())
    for name in ("src", "tests", "conftest.py", "pyproject.toml"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "src").unlink()
    (tmp_path / "src" / "mechanet").mkdir(parents=True)
    for path in (ROOT / "src" / "mechanet").iterdir():
        if path.name not in ("cuda_kernels.py", "__pycache__"):
            (tmp_path / "src" / "mechanet" / path.name).symlink_to(path)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--emulate-cuda", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path),
         "tests/test_network.py", "tests/test_training.py", "tests/test_cuda_device.py", "tests/test_cuda_kernels.py"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
