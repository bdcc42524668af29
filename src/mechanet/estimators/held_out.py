"""Rows that are held out of a training, and what a network makes of them."""

import numpy as np
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split

from mechanet.estimators.rows import rows_of
from mechanet.network.batch import check_targets
from mechanet.network.blocks import slices


class HeldOut:
    """Rows held out of a training.

    Parameters
    ----------
    network : Network
    X
        Rows, as `mechanet.estimators.arrays.read` gives them.
    targets : array
        As the network takes them, on the host.
    weights : array (n,) or None
        Weights of the rows.
    """

    def __init__(self, network, X, targets, weights):
        with network.backend.current():
            self.X = rows_of(network, X)
            self.T, weights = check_targets(network.chain, network.loss, targets, self.X, weights)
            share = np.full(X.shape[0], 1.0 / X.shape[0]) if weights is None else weights / weights.sum()
            self.c = network.backend.asarray(share, network.parameters.dtype)
            self.truth = network.backend.to_host(network.loss.truth(network.xp, self.T)) if (
                network.loss.classifies) else np.asarray(targets)  # fmt: skip
        self.weights = weights

    def measure(self, network) -> tuple[float, float]:
        """The loss, without penalty, and the score: accuracy (a row with all labels) or R²; it can be NaN."""
        with network.backend.current():
            loss, parts = 0.0, []
            for block in slices(self.X.shape[0], network.chain.block_rows):
                Z = network.chain.scores(network.backend.asarray(self.X[block, ...]))
                loss = loss + network.loss(network.xp, Z, self.T[block, ...], self.c[block])[0]
                parts.append(network.loss.labels(network.xp, Z))
            predictions = network.backend.to_host(network.xp.concat(parts, axis=0))
            loss = float(loss)
        if network.loss.classifies:
            correct = (predictions == self.truth).reshape(len(self.truth), -1).all(axis=1)
            return loss, float(np.average(correct, weights=self.weights))
        if not np.isfinite(predictions).all():
            return loss, float("nan")
        with np.errstate(over="ignore"):
            return loss, float(r2_score(self.truth, predictions, sample_weight=self.weights))


def split(n: int, fraction: float, random_state, stratify):
    """Row numbers to train on and to hold out, as scikit-learn's `train_test_split` draws them."""
    train, held_out = train_test_split(
        np.arange(n), random_state=random_state, test_size=fraction, stratify=stratify
    )
    if len(held_out) < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' or the size of your dataset. "
            f"Received: validation_fraction={fraction}, {n} rows."
        )
    return train, held_out
