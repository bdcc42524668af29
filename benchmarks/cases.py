"""What is measured: each case is a network, a batch, an optimizer, and the ratios it has to keep to."""

from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Case:
    """One piece of work that every peer does in the same way.

    Attributes
    ----------
    name, title : str
        The name on the command line, and the line in the table.
    sizes : tuple of int
        Inputs, hidden units, outputs. One output means regression on half squared error.
    rows : int
        Rows of one epoch, or of one prediction.
    batch : int or None
        Rows of a step; None takes all of them in one, unshuffled.
    optimizer : {"sgd", "adam"}
    work : {"train", "predict"}
        What one call is: an epoch of training, or the prediction of all rows.
    calls : int
        Calls in one timed round, so that a round is long enough to time.
    limits : dict of str to float
        For a peer, the largest ratio (mechanet's time over its time) that the project accepts.
    scaled : bool
        Whether the rows are bytes that the network scales; only mechanet looks at it.
    """

    name: str
    title: str
    sizes: tuple[int, ...]
    rows: int
    batch: int | None = 128
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    work: str = "train"
    calls: int = 1
    limits: dict[str, float] = field(default_factory=dict)
    scaled: bool = False

    @property
    def regression(self) -> bool:
        return self.sizes[-1] == 1

    def batches(self) -> list[tuple[int, int]]:
        """First and last row of every step; the last step may be shorter."""
        size = self.batch or self.rows
        return [(first, min(first + size, self.rows)) for first in range(0, self.rows, size)]


CASES = [
    Case(
        "full-batch",
        "784-10-10, full batch of 41,000 rows, SGD",
        (784, 10, 10),
        41_000,
        batch=None,
        optimizer="sgd",
        learning_rate=0.1,
        limits={"pytorch": 0.8, "post": 0.5, "floor": 0.9},
    ),
    Case(
        "small",
        "784-10-10, batch 128, SGD",
        (784, 10, 10),
        41_000,
        optimizer="sgd",
        learning_rate=0.1,
        limits={"pytorch": 0.35, "sklearn": 0.6, "jax": 1.0},
    ),
    Case(
        "tabular",
        "20-64-64-1, 100,000 rows, batch 256, Adam",
        (20, 64, 64, 1),
        100_000,
        batch=256,
        limits={"pytorch": 0.4, "jax": 1.6},
    ),
    Case(
        "medium",
        "784-128-10, batch 128, Adam",
        (784, 128, 10),
        41_000,
        limits={"pytorch": 0.55, "sklearn": 0.5, "jax": 1.15},
    ),
    Case(
        "wide",
        "784-512-512-10, 12,800 rows, batch 128, Adam",
        (784, 512, 512, 10),
        12_800,
        limits={"pytorch": 0.85, "jax": 1.1, "floor": 1.3},
    ),
    Case(
        "large",
        "784-1024-1024-10, 10,240 rows, batch 512, SGD",
        (784, 1024, 1024, 10),
        10_240,
        batch=512,
        optimizer="sgd",
        learning_rate=0.1,
        limits={"pytorch": 1.0, "floor": 1.08},
    ),
    Case(
        "predict-1",
        "784-128-10, predict one row",
        (784, 128, 10),
        1,
        work="predict",
        calls=2_000,
        limits={"pytorch": 0.5, "jax": 0.5},
    ),
    Case(
        "predict-10000",
        "784-128-10, predict 10,000 rows",
        (784, 128, 10),
        10_000,
        work="predict",
        calls=5,
        limits={"floor": 1.15},
    ),
]

_SWEPT = Case("", "", (784, 128, 10), 12_800)

# How the cost of an epoch grows: one line of a chart for each peer, along one size at a time.
SWEEPS = {
    "width": [
        replace(_SWEPT, name=f"width-{n}", title=f"784-{n}-10", sizes=(784, n, 10))
        for n in (8, 16, 32, 64, 128, 256, 512, 1024)
    ],
    "depth": [
        replace(_SWEPT, name=f"depth-{n}", title=f"784-{'64-' * n}10", sizes=(784, *(64,) * n, 10))
        for n in (1, 2, 4, 8, 16)
    ],
    "batch": [
        replace(_SWEPT, name=f"batch-{n}", title=f"784-128-10, batch {n}", batch=n)
        for n in (8, 32, 128, 512, 2048, 8192)
    ],
    "rows": [
        replace(_SWEPT, name=f"rows-{n}", title=f"784-128-10, {n:,} rows", rows=n)
        for n in (128, 512, 2_048, 8_192, 32_768, 131_072)
    ],
}


def quick(case: Case) -> Case:
    """The same case with little to do: to see that everything runs, not to quote."""
    steps = 4 * (case.batch or 512)
    return replace(case, rows=min(case.rows, steps), calls=min(case.calls, 20))
