"""An explanation as plain data: a tree of named values, which any view can render."""

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mechanet.gradcheck import sound

BINS = 24
ROUNDED = "ok in float64"


@dataclass(frozen=True)
class Summary:
    """What a large array comes down to.

    Attributes
    ----------
    minimum, mean, maximum, norm : float
        Over all entries; the norm is the square root of the sum of their squares.
    zeros : float
        The share of entries that are exactly 0.
    histogram : tuple of int
        Counts in bins of equal width from `minimum` to `maximum`.
    """

    minimum: float
    mean: float
    maximum: float
    norm: float
    zeros: float
    histogram: tuple[int, ...]

    @classmethod
    def of(cls, values: np.ndarray) -> "Summary":
        flat = values.ravel().astype("float64", copy=False)
        low, high = float(flat.min()), float(flat.max())
        counts: tuple[int, ...] = ()
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is shown as it is
            if math.isfinite(low) and math.isfinite(high):
                width = (0.5 * high - 0.5 * low) or 1.0  # halved, for the whole width may be beyond all floats
                bins = np.clip((0.5 * flat - 0.5 * low) / width * BINS, 0, BINS - 1).astype("int64")
                counts = tuple(int(count) for count in np.bincount(bins, minlength=BINS))
            zeros = 1.0 - np.count_nonzero(flat) / flat.size
            return cls(low, float(flat.mean()), high, float(np.linalg.norm(flat)), zeros, counts)


@dataclass(frozen=True, eq=False)
class Step:
    """One named value of a training step.

    Attributes
    ----------
    part : {"forward", "loss", "backward", "update"}
    layer : int or None
        Which of ``network.layers`` it belongs to; None for what belongs to none, such as X or θ.
    name : str
        The layer, for example ``Dense(128)``.
    symbol : str
        ``Z``, ``A``, ``dW`` and so on; ``W_new`` is W after the update.
    formula : str
        How it was computed.
    values : array
        On the host, in the data type in which the network computes.
    worked : str
        One entry worked out with its numbers.
    same_as : str
        Which value before it this one is, where it only has another name.
    """

    part: str
    layer: int | None
    name: str
    symbol: str
    formula: str
    values: np.ndarray
    worked: str = ""
    same_as: str = ""

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    @functools.cached_property
    def summary(self) -> Summary:
        return Summary.of(self.values)


@dataclass(frozen=True)
class EntryCheck:
    """One entry of a gradient against the slope of the loss there.

    Attributes
    ----------
    layer, symbol, index
        Which entry.
    analytic, numerical : float
        What backward says, and the slope from the differences of losses.
    error : float
        How far they are apart, relative to the larger.
    passed : bool
        Whether what backward says is right, if only in float64.
    verdict : {"ok", "ok in float64", "WRONG", "at a kink", "too small to tell"}
        "ok in float64": the same backward in float64 is right, and in the network's own type its rounding can be
        seen. At a kink, as where a ReLU stands at 0, there is no slope to compare with; and a slope can be too
        small to be told from rounding.
    doubt : float
        How far `numerical` may be off.
    """

    layer: int | None
    symbol: str
    index: tuple[int, ...]
    analytic: float
    numerical: float
    error: float
    passed: bool
    verdict: str
    doubt: float


@dataclass(frozen=True)
class Share:
    """What one input or parameter q brought to a score z: q ∂z/∂q, the mean over the rows."""

    name: str
    index: tuple[int, ...]
    value: float
    contribution: float


@dataclass(frozen=True, eq=False)
class Contribution:
    """The inputs and parameters that brought most to one output.

    Attributes
    ----------
    output : int
    score : float
        The mean over the rows of this output's raw score.
    inputs, weights : list of Share
        Largest first, by absolute value. `value` of an input is its mean over the rows.
    all_inputs : array of `input_shape`
        The contribution of every input.
    """

    output: int
    score: float
    inputs: list[Share]
    weights: list[Share]
    all_inputs: np.ndarray


@dataclass(frozen=True, eq=False)
class Tree:
    """One training step as a tree of named values.

    Attributes
    ----------
    network : str
        What was explained.
    forward, loss, backward, update : list of Step
        In the order in which they were computed.
    checks : list of EntryCheck
        Sampled entries of every gradient against numerical slopes.
    contributions : list of Contribution
        One an output; the ten with the highest scores where there are more.
    targets, predictions, row_losses : array (m,) or (m, k), (m, k), (m,)
        What was asked, what the link makes of the scores, and each row's own loss.
    loss_before, loss_after : float
        The loss of the batch, with the parameters before and after the update.
    image_shape : tuple of int or None
        How a row of x is to be drawn, where it is an image.
    notes : dict from str to str
        Settings of the step, such as the learning rate.
    """

    network: str
    classifies: bool
    forward: list[Step] = field(default_factory=list)
    loss: list[Step] = field(default_factory=list)
    backward: list[Step] = field(default_factory=list)
    update: list[Step] = field(default_factory=list)
    checks: list[EntryCheck] = field(default_factory=list)
    contributions: list[Contribution] = field(default_factory=list)
    targets: Any = None
    predictions: Any = None
    row_losses: Any = None
    loss_before: float = math.nan
    loss_after: float = math.nan
    image_shape: tuple[int, int] | None = None
    notes: dict[str, str] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Step]:
        for part in (self.forward, self.loss, self.backward, self.update):
            yield from part

    def __getitem__(self, key: str | tuple[int, str]) -> np.ndarray:
        """The values of a step: ``explanation[1, "dW"]`` of a layer, ``explanation["L"]`` of none."""
        layer, symbol = key if isinstance(key, tuple) else (None, key)
        for step in self:
            if (step.layer, step.symbol) == (layer, symbol):
                return step.values
        there = sorted({step.symbol for step in self if step.layer == layer})
        raise KeyError(f"no {symbol!r} of layer {layer}; there are: {', '.join(there) or 'none'}")

    @property
    def passed(self) -> bool:
        """Whether no gradient entry that was checked is wrong, and any was found right."""
        return not self.checks or sound(self.checks)

    def to_dict(self, largest: float = 1000) -> dict:
        """Plain data for JSON: numbers, strings, lists and dicts, nothing else.

        Parameters
        ----------
        largest : float
            Arrays with more entries than this are given by their summary only; ``math.inf`` gives all.
        """

        def step(s: Step) -> dict:
            whole = s.values.size <= largest
            return {
                "layer": s.layer, "name": s.name, "symbol": s.symbol, "formula": s.formula,
                "shape": list(s.shape), "values": plain(s.values) if whole else None,
                "summary": {name: plain(value) for name, value in vars(s.summary).items()},
                "worked": s.worked, "same_as": s.same_as,
            }  # fmt: skip

        def share(s: Share) -> dict:
            return {name: plain(value) for name, value in vars(s).items()}

        return {
            "network": self.network,
            "classifies": self.classifies,
            "notes": dict(self.notes),
            "loss_before": plain(self.loss_before),
            "loss_after": plain(self.loss_after),
            "targets": plain(self.targets),
            "predictions": plain(self.predictions),
            "row_losses": plain(self.row_losses),
            "image_shape": plain(self.image_shape),
            **{part: [step(s) for s in getattr(self, part)] for part in ("forward", "loss", "backward", "update")},
            "checks": [{name: plain(value) for name, value in vars(check).items()} for check in self.checks],
            "contributions": [
                {"output": c.output, "score": plain(c.score), "inputs": [share(s) for s in c.inputs],
                 "weights": [share(s) for s in c.weights]}
                for c in self.contributions
            ],
        }  # fmt: skip


def plain(value: Any) -> Any:
    """Arrays, tuples and NumPy scalars as lists and numbers; what is not finite, which JSON lacks, as None."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            return plain(value.tolist())
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value
