"""Kill a training at a random moment, resume it, and compare its end with the uninterrupted one's.

    PYTHONPATH=src:tests python tests/jobs/kills.py --kills 200 --seed 0

Every kill is a SIGKILL to a process of its own that writes a checkpoint after each step, so that many fall inside a
save. After it no checkpoint may be unreadable. θ and the losses at the end must be the same, bit for bit.
"""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import mechanet as mn
from mechanet import storage
from mechanet.training import checkpoints

CASES = {
    "SGD with momentum": {"optimizer": mn.SGD(0.05, momentum=0.9)},
    "Adam": {"optimizer": mn.Adam(0.01)},
    "dropout": {"optimizer": mn.AdamW(0.01), "dropout": 0.3},
    "early stopping": {"optimizer": mn.RMSProp(0.02), "early_stopping": 3},
    "one-cycle": {"optimizer": mn.SGD(0.1, momentum=0.9, nesterov=True), "schedule": "one_cycle"},
}
EPOCHS = 12
QUIET = {"notify": lambda text: None}


def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 8)).astype("float32")
    return x, (x[:, :3].sum(axis=1) > 0).astype("int64") + (x[:, 4] > 1)


def fresh(case):
    options = dict(CASES[case])
    x, y = data()
    layers = [mn.Dense(16), mn.ReLU(), mn.Dropout(options.pop("dropout", 0.0)), mn.Dense(3)]
    net = mn.Network(layers, (8,), seed=3)
    return mn.Training(net, x, y, batch_size=32, validation=(x[:40], y[:40]), gradient_clip=5.0, seed=4, **options)


def run(case, directory):
    """Train to the end with a checkpoint after each step, from the newest one if there is one."""
    x, y = data()
    if storage.CheckpointFiles(directory).paths():
        training = checkpoints.resume(directory, x, y, validation=(x[:40], y[:40]), **QUIET)
        count = None
    else:
        training, count = fresh(case), EPOCHS
    for _ in checkpoints.Checkpoints(training, directory, "1step", **QUIET).epochs(count):
        pass
    return training


def outcome(training):
    losses = np.array(training.history.column("validation_loss") + training.history.column("loss"))
    return training.network.parameters.tobytes(), losses.tobytes()


def killed_after(case, directory, seconds):
    """Start the training in a process of its own and kill it; whether it was still running."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, b".")
            run(case, directory)
        finally:
            os._exit(0)
    os.read(reading, 1)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    os.close(reading)
    os.close(writing)
    return os.WIFSIGNALED(status)


def trial(case, place, rng, expected, seconds):
    """One kill; whether it came in time, whether it fell inside a save, and whether the end is the same."""
    directory = Path(place, "checkpoints")
    shutil.rmtree(directory, ignore_errors=True)
    in_time = killed_after(case, directory, rng.uniform(0.0, seconds))
    inside = directory.exists() and any(path.suffix == ".tmp" for path in directory.iterdir())
    for path in storage.CheckpointFiles(directory).paths():
        storage.read(path)  # a kill leaves no unreadable checkpoint, neither the newest nor another
    return in_time, inside, outcome(run(case, directory)) == expected


def prepare(case, place):
    """What the uninterrupted training ends with, and how long it takes with a checkpoint after each step."""
    whole = fresh(case)
    for _ in whole.epochs(EPOCHS):
        pass
    started = time.monotonic()
    shutil.rmtree(place, ignore_errors=True)
    run(case, place)
    return outcome(whole), time.monotonic() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    same = inside = done = 0
    with tempfile.TemporaryDirectory() as place:
        prepared = {case: prepare(case, Path(place, "whole")) for case in CASES}
        while done < options.kills:
            case = list(CASES)[done % len(CASES)]
            in_time, in_save, equal = trial(case, place, rng, *prepared[case])
            if not equal:
                print(f"DIFFERENT: {case}, kill {done}", flush=True)
            done += in_time
            same += in_time and equal
            inside += in_time and in_save
    print(
        f"seed={options.seed}: {done} kills, {inside} inside a save; the same end, bit for bit: {same} of {done}"
    )
    sys.exit(same != done)


if __name__ == "__main__":
    main()
