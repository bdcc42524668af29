"""A training that is killed ends as if it had not been. Long form: tests/jobs/kills.py."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from jobs import kills


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_training_killed_at_a_random_moment_ends_the_same():
    job = Path(__file__).parents[1] / "jobs" / "kills.py"
    process = subprocess.run(
        [sys.executable, str(job), "--kills", str(len(kills.CASES))],
        capture_output=True,
        text=True,
        timeout=200,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.returncode == 0, process.stdout + process.stderr
    assert f"bit for bit: {len(kills.CASES)} of {len(kills.CASES)}" in process.stdout


def test_the_comparison_sees_a_difference_of_one_bit(tmp_path):
    training = kills.fresh("Adam")
    list(training.epochs(1))
    before = kills.outcome(training)
    training.network.parameters.view("uint32")[0] ^= 1
    assert kills.outcome(training) != before
