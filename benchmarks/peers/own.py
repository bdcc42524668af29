"""mechanet, through its public face."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

import mechanet as mn

from ..cases import Case

PACKAGE = "mechanet"


def described() -> str:
    """Where this mechanet lies, and what computes for it."""
    return f"{Path(mn.__file__).parent}: {mn.devices()[0].description}"


class Model:
    def __init__(self, case: Case, X, Y, weights, device: str = "cpu", threads: int | str | None = None,
                 loops: bool = True) -> None:  # fmt: skip
        if not loops:  # as where the package was built without a C compiler
            from mechanet.backend import cpu_loops

            if not cpu_loops.LOOPS:
                raise NotImplementedError("mechanet itself was built without compiled loops")
            cpu_loops.LOOPS.clear()
        layers = [layer for size in case.sizes[1:-1] for layer in (mn.Dense(size), mn.ReLU())]
        if case.scaled:
            X, layers = np.rint(X * 255).astype(np.uint8), [mn.Scale(1 / 255), *layers]
        self.net = mn.Network(
            [*layers, mn.Dense(case.sizes[-1])],
            input_shape=(case.sizes[0],),
            loss="squared_error" if case.regression else "cross_entropy",
            dtype="float32",
            device=device,
        )
        flat = np.concatenate([np.concatenate([W.ravel(), b]) for W, b in weights])
        self.net.parameters[...] = self.net.xp.asarray(flat)
        self.sizes = case.sizes
        if case.work == "train":
            optimizer = {"sgd": mn.SGD, "adam": mn.Adam}[case.optimizer](case.learning_rate)
            options = {} if threads is None else {"threads": threads}
            training = mn.Training(self.net, X, Y, optimizer=optimizer, batch_size=case.batch, seed=0, **options)
            self.epochs: Iterator = iter(training.epochs(10**9))

    def epoch(self) -> None:
        next(self.epochs)

    def predict(self, X) -> np.ndarray:
        return self.net.predict(X)

    def weights(self) -> list[tuple[np.ndarray, np.ndarray]]:
        flat, pairs = self.net.to("cpu").parameters, []
        for n, m in zip(self.sizes, self.sizes[1:], strict=False):
            W, b, flat = flat[: n * m], flat[n * m : n * m + m], flat[n * m + m :]
            pairs.append((W.reshape(n, m).copy(), b.copy()))
        return pairs
