"""Two trees are told apart by one constant. Long form: tests/jobs/same_numbers.py."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
from jobs import same_numbers

JOBS = "schedule 0, constant"  # four: Adam and momentum, float32 and float64


def test_a_constant_that_differs_by_a_tenth_of_a_millionth_is_noticed(tmp_path):
    shutil.copytree(same_numbers.HERE / "src", tmp_path / "src")
    optimizers = tmp_path / "src" / "mechanet" / "optimizers.py"
    text = optimizers.read_text(encoding="utf-8")
    assert "epsilon: float = 1e-8\n" in text
    optimizers.write_text(text.replace("epsilon: float = 1e-8\n", "epsilon: float = 1.0000001e-8\n"), encoding="utf-8")
    command = [sys.executable, same_numbers.__file__, str(tmp_path), "--only", JOBS]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "as built: 4 jobs, 2 of them differ" in done.stdout
    assert "without compiled loops: 4 jobs, 2 of them differ" in done.stdout
    assert "4 differences" in done.stdout
    assert "momentum" not in done.stdout


NUMBERS = {"a | theta": np.array([1.0, 2.0]), "b | theta": np.array([np.nan])}


def test_equal_numbers_are_equal():
    assert same_numbers.compare(NUMBERS, {key: value.copy() for key, value in NUMBERS.items()}) == []


@pytest.mark.parametrize(
    ("other", "line"),
    [
        ({"a | theta": np.nextafter([1.0, 2.0], 3)}, "a: theta: 2 of 2 numbers, the first at [0], by 4.4e-16 at most"),
        ({"a | theta": np.array([1, 2])}, "a: theta: float64 (2,) and int64 (2,)"),
        ({"b | theta": np.array([0.0])}, "b: theta: 1 of 1 numbers, the first at [0], by 0.0e+00 at most"),
        ({"c | theta": np.array([0.0])}, "c: theta only in the other"),
        ({"a | raised": np.array("Traceback\nValueError: x")}, "a: raised in the other: ValueError: x"),
    ],
)
def test_what_differs_is_said(other, line):
    assert same_numbers.compare(NUMBERS, NUMBERS | other) == [line]
