"""A disk that forgets what was not synced, and checkpoints written to it until the power goes.

    PYTHONPATH=src:tests python tests/jobs/powercut.py --cuts 100 --seed 0

The model is the harshest that POSIX allows. After a cut a file holds what it held at its last sync; what was
written since may be there, in part, as zeros, or not at all. Of the changes to a directory since its last
sync (create, rename, remove) any subset has happened, in order. Nothing that was synced is lost.
"""

import argparse
import os
import random
import sys
import tempfile
from pathlib import Path

import numpy as np
from jobs import kills

from mechanet import storage


class PowerCut(BaseException):
    """The machine is off: nothing catches this by mistake."""


class Forgetful(storage.Disk):
    """Works on real files below ``root`` and counts its calls; the power goes at call number ``cut_at``."""

    def __init__(self, root, cut_at, rng):
        self.root, self.cut_at, self.rng = Path(root), cut_at, rng
        self.calls = 0
        self.dead = False
        self.contents = []  # by inode: what a sync has brought to the disk
        self.inode = {}  # what the living system sees: path -> inode
        self.durable = {}  # what is on the disk: path -> inode
        self.journal = []  # changes to directories since their last sync: (operation, path, inode)

    def call(self):
        if self.dead:
            raise OSError(5, "the power is off")
        self.calls += 1
        if self.calls == self.cut_at:
            self.dead = True
            raise PowerCut

    def create(self, path):
        self.call()
        file = super().create(path)
        self.inode[path] = len(self.contents)
        self.journal.append(("link", path, len(self.contents)))
        self.contents.append(b"")
        return file

    def write(self, file, data):
        self.call()
        super().write(file, data)

    def sync(self, file):
        self.call()
        super().sync(file)
        self.contents[self.inode[file.name]] = Path(file.name).read_bytes()

    def replace(self, old, new):
        self.call()
        super().replace(old, new)
        self.inode[new] = self.inode.pop(old)
        self.journal += [("link", new, self.inode[new]), ("unlink", old, None)]

    def sync_directory(self, directory):
        self.call()
        for change in [c for c in self.journal if os.path.dirname(c[1]) == directory]:
            self.happen(change)
            self.journal.remove(change)

    def remove(self, path):
        self.call()
        super().remove(path)
        self.inode.pop(path, None)
        self.journal.append(("unlink", path, None))

    def happen(self, change):
        operation, path, inode = change
        if operation == "link":
            self.durable[path] = inode
        else:
            self.durable.pop(path, None)

    def power_on(self):
        """Make the real files what a disk may hold after the cut."""
        written = {inode: Path(path).read_bytes() for path, inode in self.inode.items()}
        for change in self.journal:
            if self.rng.random() < 0.5:
                self.happen(change)
        for path in [p for p in self.root.rglob("*") if p.is_file()]:
            path.unlink()
        for path, inode in self.durable.items():
            Path(path).write_bytes(self.survivor(self.contents[inode], written.get(inode, b"")))

    def survivor(self, synced, written):
        if synced == written or synced:
            return synced  # our files are written once and then synced
        part = written[: self.rng.randrange(len(written) + 1)]
        return self.rng.choice([b"", part, b"\0" * len(written), part.ljust(len(written), b"\0"), written])


def checkpoints_until_the_power_goes(root, cut_at, rng, disk=Forgetful, saves=6, keep=2):
    """Save checkpoints until the cut; return how many saves were reported done, and what the disk then holds.

    Raises AssertionError when a checkpoint that was reported written is not there, with its numbers.
    """
    os.makedirs(root)
    storage.disk = layer = disk(root, cut_at, rng)
    files, done = storage.CheckpointFiles(root, keep), 0
    try:
        for step in range(1, saves + 1):
            files.save({"theta": np.full(50, float(step))}, {"step": step}, step)
            done = step
    except PowerCut:
        pass
    finally:
        storage.disk = storage.Disk()
    layer.power_on()
    if done:
        arrays, header, _, _ = files.newest()
        assert header["step"] in (done, done + 1), f"checkpoint {header['step']} where {done} was reported written"
        assert arrays["theta"].tolist() == [float(header["step"])] * 50
    return done, layer.calls


def training_until_the_power_goes(root, cut_at, rng, case):
    """A real training with a checkpoint after each step; after the cut it resumes, and must end as if there was none."""
    os.makedirs(root)
    storage.disk = layer = Forgetful(root, cut_at, rng)
    try:
        kills.run(case, root)
    except PowerCut:
        pass
    finally:
        storage.disk = storage.Disk()
    layer.power_on()
    return kills.outcome(kills.run(case, root)), layer.calls


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cuts", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as place:
        _, calls = checkpoints_until_the_power_goes(Path(place, "whole"), 0, rng)
        after = [
            checkpoints_until_the_power_goes(Path(place, str(cut)), rng.randrange(1, calls + 1), rng)[0]
            for cut in range(options.cuts)
        ]
        same = 0
        for cut in range(options.cuts):
            case = list(kills.CASES)[cut % len(kills.CASES)]
            whole, steps = training_until_the_power_goes(Path(place, f"whole {cut}"), 0, rng, case)
            at = rng.randrange(1, steps + 1)
            same += training_until_the_power_goes(Path(place, f"cut {cut}"), at, rng, case)[0] == whole
    print(
        f"seed={options.seed}: {options.cuts} cuts among {calls} calls; "
        f"{sum(map(bool, after))} after a checkpoint was reported written, and it was there every time\n"
        f"{options.cuts} cuts of real trainings; resumed {same} ended the same, bit for bit"
    )
    return same != options.cuts


if __name__ == "__main__":
    sys.exit(main())
