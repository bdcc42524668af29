"""The power goes at a random call; what was reported written is there. Long form: tests/jobs/powercut.py."""

import random

import pytest
from jobs.powercut import Forgetful, checkpoints_until_the_power_goes, training_until_the_power_goes


def test_a_checkpoint_survives_each_of_a_hundred_power_cuts(tmp_path):
    rng = random.Random(0)
    _, calls = checkpoints_until_the_power_goes(tmp_path / "whole", 0, rng)
    for cut in range(100):
        checkpoints_until_the_power_goes(tmp_path / str(cut), 1 + cut % calls, rng)


class NoFileSync(Forgetful):
    def sync(self, file):
        self.call()
        file.flush()


class NoDirectorySync(Forgetful):
    def sync_directory(self, directory):
        self.call()


@pytest.mark.parametrize("disk", [NoFileSync, NoDirectorySync])
def test_the_simulation_finds_a_sync_that_is_missing(tmp_path, disk):
    rng = random.Random(0)

    def cut_after_cut():
        for cut in range(100):
            checkpoints_until_the_power_goes(tmp_path / str(cut), 1 + cut % 34, rng, disk)

    with pytest.raises((AssertionError, ValueError, FileNotFoundError)):
        cut_after_cut()


def test_a_training_cut_off_at_random_goes_on_to_the_same_end(tmp_path):
    rng = random.Random(1)
    whole, calls = training_until_the_power_goes(tmp_path / "whole", 0, rng, "Adam")
    for cut in range(3):
        got, _ = training_until_the_power_goes(tmp_path / str(cut), rng.randrange(1, calls + 1), rng, "Adam")
        assert got == whole
