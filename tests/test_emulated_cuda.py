"""Every test that takes a device, on real CuPy executed on the CPU: a run of pytest in a process of its own."""

import re
import subprocess
import sys

import cpucuda
import pytest


def test_the_device_tests_pass_on_emulated_cuda(pytestconfig):
    reason = cpucuda.unavailable()
    if reason:
        pytest.skip(reason)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--emulate-cuda", "-q", "-p", "no:cacheprovider"],
        cwd=pytestconfig.rootpath,
        capture_output=True,
        text=True,
    )
    print(done.stdout)  # shown by -rP, and where this fails
    assert done.returncode == 0, done.stderr
    counted = {what: int(count) for count, what in re.findall(r"(\d+) (passed|skipped)", done.stdout)}
    assert counted["passed"] > 0
    assert "skipped" not in counted  # there are two emulated devices, so nothing has a reason to skip
