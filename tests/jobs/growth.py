"""Memory after many epochs against memory after 100, with validation, checkpoints on disk and the history kept.

    PYTHONPATH=src python tests/jobs/growth.py --epochs 10000
"""

import argparse
import gc
import sys
import tempfile
from pathlib import Path

import numpy as np

import mechanet as mn
from mechanet.training.checkpoints import Checkpoints


def resident():
    """The memory this process has in RAM, in MB."""
    gc.collect()
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmRSS"].split()[0]) / 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=10_000)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 4)), rng.integers(0, 2, 40)
    net = mn.Network([mn.Dense(8), mn.ReLU(), mn.Dropout(0.1), mn.Dense(2)], (4,))
    training = mn.Training(net, x, y, batch_size=16, validation=(x, y), optimizer=mn.Adam(1e-4))
    with tempfile.TemporaryDirectory() as directory:
        for epoch in Checkpoints(training, directory, f"{max(options.epochs // 100, 1)}epochs").epochs(
            options.epochs
        ):
            if epoch.number == 100:
                before = resident()
        after = resident()
    growth = after - before
    print(f"{before:.1f} MB after 100 epochs, {after:.1f} MB after {options.epochs}: {growth:+.2f} MB")
    sys.exit(growth > 5.0)


if __name__ == "__main__":
    main()
