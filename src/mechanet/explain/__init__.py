"""One training step, explained: every value with its formula, its shape and its numbers, each gradient checked."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mechanet.explain.explanation import Explanation
    from mechanet.explain.tree import Contribution, EntryCheck, Share, Step, Summary
    from mechanet.network import Network
    from mechanet.optimizers import Optimizer

__all__ = ["Contribution", "EntryCheck", "Explanation", "Share", "Step", "Summary", "explain"]


def __getattr__(name: str) -> Any:
    # What explaining needs is loaded when something is first explained: importing mechanet stays quick.
    if name in __all__:
        place = "explanation" if name == "Explanation" else "tree"
        return getattr(importlib.import_module(f"{__name__}.{place}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def explain(network: "Network", x, y, optimizer: "str | Optimizer | None" = None, *, sample_weight=None,
            training=None, masks: tuple[int, int, int] | None = None, image_shape: tuple[int, ...] | None = None,
            check: bool = True, seed: int = 0) -> "Explanation":  # fmt: skip
    """Take one training step on a copy of the network and keep, name and check every value on the way.

    Parameters
    ----------
    network : Network
        Left as it is, its gradient included.
    x, y : array-like
        A batch, or a single row with its target.
    optimizer : str or Optimizer, optional
        Makes the update, as the first step of a training would. Plain gradient descent with α = 0.1 without it.
    sample_weight : array (m,), optional
        Weights of the rows.
    training : Training, optional
        Explain the step that this training would take next if the batch were its next: its optimizer with the
        vectors it has gathered, its learning rate, gradient clipping and dropout masks.
    masks : (seed, epoch, step), optional
        Dropout as in that step of a training, epoch and step counted from 1. Without it, and without `training`,
        layers behave as in prediction.
    image_shape : (height, width), optional
        How a row is drawn. A row of a square number of entries, 64 or more, is taken for an image without it.
    check : bool
        Hold sampled entries of every gradient against numerical slopes, in float64.
    seed : int
        Of the random entries among those checked.

    Returns
    -------
    Explanation
        Printed, it is a view for a terminal; in a notebook, a page; `to_html` and `to_dict` write it down. All its
        values equal, bit for bit on the CPU, what a training computes for the same batch.

    Raises
    ------
    ValueError, TypeError
        If the batch does not fit the network, or a setting is not sound.

    Examples
    --------
    >>> import mechanet as mn
    >>> net = mn.Network([mn.Dense(2), mn.ReLU(), mn.Dense(1)], input_shape=(2,), loss="squared_error", seed=1)
    >>> explanation = mn.explain(net, [[1.0, 2.0]], [0.5], optimizer=mn.SGD(0.1))
    >>> explanation[0, "Z"].shape, explanation.passed, explanation.loss_after < explanation.loss_before
    ((1, 2), True, True)
    """
    from mechanet.explain.making import explained

    return explained(network, x, y, optimizer, sample_weight, training, masks, image_shape, check, seed)
