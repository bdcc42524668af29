"""Make the bundled digits from the four files of MNIST: ``python -m mechanet.datasets.make_digits FOLDER``.

The sample is stratified (each digit keeps its share) and systematic (within a digit, rows at equal steps
through the file, so early and late writers are drawn alike). It needs no random numbers: anyone gets the same
rows. The training rows come from MNIST's training set, the test rows from its test set.
"""

import gzip
import sys
from pathlib import Path

import numpy as np

from mechanet.datasets.idx import pack_idx, read_idx

BUNDLED = Path(__file__).parent / "bundled"
ROWS = {"train": 10_000, "t10k": 2_000}


def stratified_rows(labels, rows):
    """Choose `rows` row numbers, in ascending order, with each label in proportion to its frequency.

    A label's share n_c · rows / n is rounded down; the rest goes, one each, to the largest remainders
    (Hamilton's method). Row i of label c's k_c is number ⌊(i + ½) n_c / k_c⌋ of its n_c.
    """
    counts = np.bincount(labels)
    share, remainder = np.divmod(counts * rows, len(labels))
    share[np.argsort(-remainder, kind="stable")[: rows - share.sum()]] += 1
    chosen = [
        np.flatnonzero(labels == c)[(2 * np.arange(k) + 1) * n // (2 * k)]
        for c, (n, k) in enumerate(zip(counts.tolist(), share.tolist(), strict=True))
        if k
    ]
    return np.sort(np.concatenate(chosen))


def make(source, target=BUNDLED):
    """Write the sample of the MNIST folder `source` into the folder `target`, as four gzipped IDX files."""
    for part, rows in ROWS.items():
        labels = read_idx(Path(source) / f"{part}-labels-idx1-ubyte.gz")
        images = read_idx(Path(source) / f"{part}-images-idx3-ubyte.gz")
        chosen = stratified_rows(labels, rows)
        for kind, values in (("images-idx3", images[chosen]), ("labels-idx1", labels[chosen])):
            packed = gzip.compress(pack_idx(values), 9, mtime=0)  # the same bytes whenever it is made
            (Path(target) / f"{part}-{kind}-ubyte.gz").write_bytes(packed)


if __name__ == "__main__":
    make(*sys.argv[1:])
