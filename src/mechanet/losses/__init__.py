"""Losses: raw scores Z and targets in, the value and its gradient dZ out; and the links to predictions.

A loss is a function of raw scores. The link (softmax, sigmoid, identity) turns scores into predictions and is
applied only where a prediction is wanted; inside the loss it is folded into a form that never overflows.
For every canonical pair the gradient is the same line, dZ = (prediction - target) / m.

All losses are weighted means over the rows of a batch, L = Σ_i c_i ℓ_i with Σ_i c_i = 1: c_i = 1/m without
weights, w_i / Σ w with `sample_weight` or class weights. Shapes: Z (m, k), T (m, k), c (m,).
"""

from collections.abc import Mapping
from typing import Any

from mechanet import checks
from mechanet.activations import sigmoid
from mechanet.losses.base import BoundLoss, Loss, identity
from mechanet.losses.classification import BinaryCrossEntropy, CrossEntropy, softmax
from mechanet.losses.regression import Huber, Poisson, SquaredError, exp
from mechanet.registry import register

__all__ = [
    "LOSSES", "BinaryCrossEntropy", "BoundLoss", "CrossEntropy", "Huber", "Loss", "Poisson", "SquaredError", "exp",
    "identity", "loss_from", "loss_from_config", "sigmoid", "softmax",
]  # fmt: skip

_LISTED: list[type[Loss]] = [CrossEntropy, BinaryCrossEntropy, SquaredError, Huber, Poisson]
LOSSES = {loss.name: register(loss) for loss in _LISTED}


def loss_from(value: str | Loss) -> Loss:
    """Return a loss given by name or as an object."""
    if isinstance(value, Loss):
        return value
    return LOSSES[checks.one_of("loss", value, LOSSES)]()


def loss_from_config(config: Mapping[str, Any]) -> Loss:
    """Return the loss that `Loss.config` described."""
    return Loss.from_config(config)
