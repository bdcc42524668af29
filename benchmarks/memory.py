"""In a process of its own: train mechanet on a million rows that stay in their file.

The parent watches what the process holds besides the pages of that file (the system keeps those, and drops
them when it needs the room), from the start of the interpreter to the end of an epoch.
"""

import sys
from pathlib import Path

COLUMNS = 784


def write_rows(path: Path, rows: int) -> None:
    """A file of `rows` x 784 random bytes, written in pieces."""
    import numpy as np

    piece = np.random.default_rng(0).integers(0, 256, (1000, COLUMNS), dtype=np.uint8).tobytes()
    with path.open("wb") as file:
        for _ in range(rows // 1000):
            file.write(piece)


def held(pid: int, besides: Path) -> int:
    """Bytes of memory that process `pid` holds now, pages of the file `besides` left out."""
    total, counted = 0, True
    with open(f"/proc/{pid}/smaps") as maps:
        for line in maps:
            if line.startswith("Rss:"):
                total += 1024 * int(line.split()[1]) if counted else 0
            elif not line[0].isupper():  # the first line of a mapping: addresses, then the file's path
                counted = str(besides) not in line
    return total


def main(path: str, rows: str) -> None:
    import numpy as np

    import mechanet as mn

    X = np.memmap(path, np.uint8, "r", shape=(int(rows), COLUMNS))
    Y = np.random.default_rng(0).integers(0, 10, int(rows))
    net = mn.Network(
        [mn.Scale(1 / 255), mn.Dense(128), mn.ReLU(), mn.Dense(10)],
        input_shape=(COLUMNS,),
        loss="cross_entropy",
    )
    training = mn.Training(net, X, Y, optimizer=mn.Adam(1e-3), batch_size=128, seed=0)
    next(iter(training.epochs(1)))


if __name__ == "__main__":
    main(*sys.argv[1:])
