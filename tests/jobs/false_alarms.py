"""The gradient check on networks that have learned: right gradients must not be called wrong, wrong ones must.

    PYTHONPATH=src:tests python tests/jobs/false_alarms.py --checks 10000 --seed 0

For every activation, loss and data type, and for digits and small tables, a network is trained, some for long, and
checked on batches of 1 to 8 rows, with weights and dropout now and then. Each check is made again with the same
gradients times 1.001: where there was something to tell it must say WRONG. Every tenth batch is also explained.
"""

import argparse
import functools
import itertools
import json
import sys
import time
from collections import Counter

import numpy as np

import mechanet as mn
from mechanet.layers import ACTIVATIONS
from mechanet.losses import LOSSES

WIDTHS = ([16], [24, 12])
# What they are trained by: optimizer, rows of a batch, epochs, rows in all. The last learn ten rows by heart: their
# slopes are the smallest.
TRAININGS = [
    (mn.Adam(3e-3), 50, 8, None), (mn.SGD(0.1), None, 200, None), (mn.Adam(1e-2), 50, 40, None),
    (mn.Adam(1e-2), None, 1500, 10),
]  # fmt: skip
KINDS = list(itertools.product(ACTIVATIONS, LOSSES, ("float32", "float64"), ("digits", "table")))


def activation(name):
    return ACTIVATIONS[name]


@functools.cache
def rows(loss, problem):
    """x, y and the number of outputs."""
    rng = np.random.default_rng(3)
    if problem == "digits":
        x, labels = (
            array[:600] for array in (mn.datasets.load("digits").train.x, mn.datasets.load("digits").train.y)
        )
        return x, labels if loss == "cross_entropy" else np.eye(10)[labels], 10
    if loss == "cross_entropy":
        plane = mn.datasets.planes.spiral(500).train
        return plane.x, plane.y, 3
    if loss == "binary_cross_entropy":
        plane = mn.datasets.planes.moons(500).train
        return plane.x, plane.y, 1
    x = rng.normal(size=(400, 5))
    y = np.stack([np.sin(x[:, 0]) + x[:, 1] * x[:, 2], x[:, 3] ** 2 - x[:, 4]], axis=1)
    return x, rng.poisson(np.exp(0.7 * y)) if loss == "poisson" else y + 0.1 * rng.normal(size=y.shape), 2


def trained(name, loss, dtype, problem, number=0):
    """A network of this activation and loss, trained in one of the ways by its number; and the rows it knows."""
    x, y, outputs = rows(loss, problem)
    layers = [mn.Scale(1 / 255)] if problem == "digits" else []
    for units in WIDTHS[number % 2]:
        layers += [mn.Dense(units), activation(name)(), mn.Dropout(0.1 * (number % 3))]
    net = mn.Network([*layers, mn.Dense(outputs)], x.shape[1:], loss, dtype, seed=number)
    optimizer, batch_size, epochs, many = TRAININGS[number % 4]
    options = {"optimizer": optimizer, "batch_size": batch_size, "gradient_clip": 1.0, "seed": number}
    list(mn.Training(net, x[:many], y[:many], **options).epochs(epochs))
    return net, x[:many], y[:many]


def with_fault(net, factor=1.001):
    """The same network with gradients that are wrong by a factor."""
    kind = type(net.loss)

    class Faulty(kind):
        def __call__(self, xp, Z, T, c):
            value, dZ = super().__call__(xp, Z, T, c)
            return value, factor * dZ

    faulty = mn.Network(net.chain.specification, net.input_shape, Faulty(), net.dtype)
    faulty.parameters[...] = net.parameters
    return faulty


def batch(x, y, rng):
    at = rng.integers(0, len(x), int(rng.integers(1, 9)))
    return x[at], y[at], rng.random(len(at)) if rng.random() < 0.3 else None


def count(counts, right, faulty):
    """Count the verdicts on right gradients, and on those with a fault where there was one to tell."""
    counts["batches"] += 1
    counts["false alarms"] += any(check.verdict == "WRONG" for check in right.values())
    counts["checks"] += len(right)
    counts.update(check.verdict for check in right.values())
    faults = [faulty[key] for key, check in right.items() if check.passed and check.analytic and key in faulty]
    counts["faults"] += len(faults)
    counts["faults found"] += sum(check.verdict == "WRONG" for check in faults)


def checked(net, x, y, rng, counts):
    """Check a batch."""
    x, y, weights = batch(x, y, rng)
    options = {
        "dropout_seed": int(rng.integers(99)) if rng.random() < 0.3 else None,
        "seed": int(rng.integers(99)),
    }
    reports = (mn.check_gradients(n, x, y, weights, **options) for n in (net, with_fault(net)))
    count(counts, *({check.name: check for check in report.checks} for report in reports))


def explained(net, x, y, rng, counts):
    """Explain a batch."""
    x, y, weights = batch(x, y, rng)
    options = {"masks": (1, 1, 1) if rng.random() < 0.3 else None, "seed": int(rng.integers(99))}
    told = (mn.explain(n, x, y, sample_weight=weights, **options) for n in (net, with_fault(net)))
    count(counts, *({(check.layer, check.symbol, check.index): check for check in one.checks} for one in told))


def run(checks, seed, kinds=KINDS, every=10):
    """Check so many batches in all; the counts of the checks and of the explanations."""
    found = {"check_gradients": Counter(), "explain": Counter()}
    for number, kind in enumerate(kinds):
        rng = np.random.default_rng((seed, number))
        learned = trained(*kind, number=number + number // 4 + seed)
        for i in range(-(-checks // len(kinds))):
            checked(*learned, rng, found["check_gradients"])
            if i % every == 0:
                explained(*learned, rng, found["explain"])
        print(*kind, {name: dict(counts) for name, counts in found.items()}, flush=True)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checks", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    start = time.perf_counter()
    found = run(options.checks, options.seed)
    print(json.dumps(found, indent=1), f"{time.perf_counter() - start:.0f} s", sep="\n")
    sys.exit(any(counts["false alarms"] or counts["faults"] > counts["faults found"] for counts in found.values()))


if __name__ == "__main__":
    main()
