"""The original run beside the post's own NumPy: the same data, the same iterations, in turn.

    python -m benchmarks.original [FOLDER] [--iterations 20] [--rounds 5] [--threads 2]

FOLDER holds MNIST's IDX files or Kaggle's train.csv; without it the bundled digits are taken. Ours is what
`mechanet train --recipe original` runs, its measuring of the held-out rows included; the post's is
`peers/post.py`, float64, examples in columns, the one-hot matrix rebuilt at every iteration. Both get the same
BLAS threads.
"""

from . import let_go

let_go()

# ruff: noqa: E402
import time
from statistics import median
from types import SimpleNamespace
from typing import Annotated

import numpy as np
import threadpoolctl
import typer

import mechanet as mn
from mechanet.cli.recipes import RECIPES, network_of, training_of

from .peers import post


def _ours(data):
    recipe = RECIPES["original"]
    training = training_of(recipe, network_of(recipe, data, "float32", "cpu", seed=0), data, seed=0)
    epochs = training.epochs(10**9)
    return lambda: next(epochs)


def _posts(data):
    rng = np.random.default_rng(0)
    weights = [(rng.uniform(-0.5, 0.5, (n, 10)), rng.uniform(-0.5, 0.5, 10)) for n in (784, 10)]
    case = SimpleNamespace(batch=None, optimizer="sgd", work="train", learning_rate=0.1)
    return post.Model(case, data.train.x[1000:] / 255, data.train.y[1000:], weights).epoch  # type: ignore[arg-type]


def main(
    folder: Annotated[str, typer.Argument()] = "digits", iterations: int = 20, rounds: int = 5, threads: int = 2
) -> None:
    """Time one iteration of each, in turn, and print the medians."""
    data = mn.datasets.load(folder)
    sides = {"mechanet": _ours(data), "the post's NumPy": _posts(data)}
    times: dict[str, list[float]] = {name: [] for name in sides}
    with threadpoolctl.threadpool_limits(threads):
        for step in sides.values():
            step()
        for _ in range(rounds):
            for name, step in sides.items():
                started = time.perf_counter()
                for _ in range(iterations):
                    step()
                times[name].append((time.perf_counter() - started) / iterations)
    pools = threadpoolctl.threadpool_info()
    blas = ", ".join(f"{pool['internal_api']} {pool.get('architecture', '')}: {threads} threads" for pool in pools)
    print(f"{data.name}, {len(data.train.x) - 1000:,} rows, NumPy {np.__version__}, {blas}")
    for name, taken in times.items():
        print(f"{name:18} {1e3 * median(taken):7.1f} ms an iteration, {1e3 * min(taken):7.1f} at best")
    pairs = [slow / fast for fast, slow in zip(*times.values(), strict=True)]
    print(f"the post takes {median(pairs):.2f} times as long (median of {rounds} rounds side by side)")


if __name__ == "__main__":
    typer.run(main)
