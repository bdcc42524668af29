"""Gradient check: the gradient that backward computes against the slope of the loss itself.

Along a random unit direction u, in float64, the slope of φ(t) = L(θ + t u) at t = 0 must be u · dθ. One direction
checks every entry of dθ at once, since u touches them all. The check is made once for all of θ, and for each
parameter alone so that a wrong one is named.

How well is a slope known that is measured by differences? Two errors pull against each other:

    (φ(h) - φ(-h)) / 2h = φ'(0) + a₁ h² + a₂ h⁴ + … ± r / h

A long step h bends; a short one drowns in r, the rounding of a loss. So steps of falling length are taken, the
powers of h are eliminated one after the other (Richardson), and of all values the one is kept whose error is
estimated smallest: how far it is from its neighbours in the table, and r / h (Ridders). A kink at 0 would deceive
these differences, which agree on the mean of the slopes to both sides. So half the difference of the two, which
must vanish, goes through the same elimination and is added to the error.

What is left is a slope and how far it may be off. Where a gradient that is wrong by a thousandth could not be seen
for it, the check says so, and why: at a kink, or too small to tell from rounding.

Biases start at 0, where a row of zeros sits on the kink of every ReLU: all is checked a little beside θ and X.

References
----------
Ridders (1982), Accurate computation of F'(x) and F'(x) F''(x). Press, Teukolsky, Vetterling and Flannery (2007),
Numerical Recipes, section 5.7.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import mechanet.backend
from mechanet import checks
from mechanet.layers import Pass
from mechanet.network import Network
from mechanet.network.batch import check_batch

OK, WRONG, KINK, SMALL = "ok", "WRONG", "at a kink", "too small to tell"
RANKS = (WRONG, OK, KINK, SMALL)  # of several directions the first of these is what is known
TOLD = 2.5e-4  # of a slope: what is known better than this tells a gradient that is wrong by a thousandth
BESIDE = 1e-3
STEP = 0.03  # the first, relative to what it moves
RATIO = 4.0  # of a step to the next
STEPS = 20
TRIES = 5
EPSILON = 2.0**-52
ROUNDINGS = 4.0  # for safety: of one of what `rounding_of` adds up, 0.8 was the most that was ever seen


class Slope(NamedTuple):
    """A slope measured by differences, by how much they contradict one another, and what rounding may add."""

    value: float
    spread: float
    noise: float

    @property
    def doubt(self) -> float:
        """How far `value` may be off."""
        return self.spread + self.noise


def slope_of(loss_along: Callable[[float], float], step: float, rounding: float, precision: float) -> Slope:
    """The slope of `loss_along` at 0, by steps from `step` down.

    They end where the slope is known to `precision`, relative to itself, or where `rounding`, by which a loss may
    be off, hides more than the best one so far leaves open.
    """
    here, h = loss_along(0.0), step
    best = Slope(math.nan, math.inf, math.inf)
    slopes: list[float] = []  # a row of the table: column j is free of h², h⁴, … h²ʲ
    jumps: list[float] = []  # of half the slope ahead less that behind: free of h, h³, …
    for _ in range(STEPS):
        noise = rounding / h
        if noise >= best.doubt or best.doubt <= precision * abs(best.value):
            break
        ahead, behind, before = loss_along(h), loss_along(-h), slopes
        slopes = _next_row(slopes, (ahead - behind) / (2.0 * h), 2)
        jumps = _next_row(jumps, ((ahead - here) - (here - behind)) / (2.0 * h), 1)
        for j in range(1, len(slopes)):
            spread = max(abs(slopes[j] - slopes[j - 1]), abs(slopes[j] - before[j - 1])) + abs(jumps[j])
            if spread + noise < best.doubt:
                best = Slope(slopes[j], spread, noise)
        h /= RATIO
    return best


def _next_row(before: list[float], first: float, power: int) -> list[float]:
    row = [first]
    for j, value in enumerate(before):
        row.append(row[j] + (row[j] - value) / (RATIO ** (power + 2 * j) - 1.0))
    return row


def rounding_of(xp, value, unit, theta, gradient) -> float:
    """How far a computed loss may be off: ε (|L| + L₀ + Σ |θ ∘ dθ|), some times over.

    The first two are the rounding of the loss for given scores: no loss is finer than that of scores of 0, L₀,
    since log Σ exp Z and the like are differences of numbers of that size, however small the rest. The third is
    what the roundings in the layers come to: each entry's own relative error, times its share in the loss.
    """
    return ROUNDINGS * EPSILON * (abs(float(value)) + abs(float(unit)) + float(xp.sum(xp.abs(theta * gradient))))


class Comparison(NamedTuple):
    """A derivative as backward says and as the differences say."""

    analytic: float
    numerical: float
    error: float
    passed: bool
    verdict: str
    doubt: float


def compare(analytic: float, loss_along: Callable[[float], float], step: float, rounding: float, tolerance: float,
            size: float) -> Comparison:  # fmt: skip
    """Judge an analytic slope of `loss_along`, part of a gradient of the given size."""
    slope = slope_of(loss_along, step, rounding, 0.01 * tolerance)
    found = _judge(analytic, slope, tolerance, size)
    if found.verdict == WRONG:  # no coincidence, if other steps say so too
        other = slope_of(loss_along, 0.6 * step, rounding, 0.01 * tolerance)
        apart, better = abs(slope.value - other.value), min(slope, other, key=lambda one: one.doubt)
        found = _judge(analytic, better._replace(spread=max(better.spread, apart)), tolerance, size)
    return found


def _judge(analytic: float, slope: Slope, tolerance: float, size: float) -> Comparison:
    scale = max(abs(analytic), abs(slope.value)) or size
    gap, told = abs(analytic - slope.value), slope.doubt <= TOLD * scale
    if not math.isfinite(gap):
        verdict = WRONG
    elif not told and slope.spread > slope.noise:
        verdict = KINK
    elif gap > tolerance * scale + slope.doubt:
        verdict = WRONG
    else:
        verdict = OK if told else SMALL
    return Comparison(analytic, slope.value, gap / (scale or 1.0), verdict == OK, verdict, slope.doubt)


def sound(checks) -> bool:
    """Whether none of the checks is wrong, and any passed: what cannot be told is no success."""
    return all(check.verdict != WRONG for check in checks) and any(check.passed for check in checks)


@dataclass(frozen=True)
class Check:
    """One direction: what backward says, what the differences say, and how far apart they are.

    Attributes
    ----------
    name : str
        Which part of θ the direction moves.
    analytic, numerical : float
        u · dθ, and the slope of the loss along u.
    error : float
        How far they are apart, relative to the larger.
    passed : bool
        Whether the verdict is "ok".
    verdict : {"ok", "WRONG", "at a kink", "too small to tell"}
        With the last two, a gradient wrong by a thousandth could not be told from a right one.
    doubt : float
        How far `numerical` may be off; an error that this explains is none.
    """

    name: str
    analytic: float
    numerical: float
    error: float
    passed: bool
    verdict: str
    doubt: float


@dataclass(frozen=True)
class GradientReport:
    """The result of a gradient check; true if nothing is wrong and something could be told.

    Attributes
    ----------
    checks : list of Check
        First all parameters together, then each alone, dL/dX last.
    tolerance : float
        The largest relative error that passes, beside what rounding explains.
    """

    tolerance: float
    checks: list[Check] = field(default_factory=list)

    def __bool__(self) -> bool:
        return sound(self.checks)

    @property
    def told(self) -> int:
        """Of how many checks there is something to tell: they are right, or wrong."""
        return sum(check.verdict in (OK, WRONG) for check in self.checks)

    @property
    def error(self) -> float:
        """The largest relative error of those that could be told; nan if none could."""
        return max((check.error for check in self.checks if check.verdict in (OK, WRONG)), default=math.nan)

    def __str__(self) -> str:
        width = max(len(check.name) for check in self.checks)
        lines = [
            f"{c.name.ljust(width)}  analytic {c.analytic:+.9e}  numerical {c.numerical:+.9e}  "
            f"error {c.error:.1e}  {c.verdict}"
            for c in self.checks
        ]
        if self.told < len(self.checks):
            lines.append(f"{self.told} of {len(self.checks)} could be told")
        return "\n".join(lines)


def check_gradients(network: Network, x, y, sample_weight=None, *, directions: int = 3, tolerance: float = 1e-6,
                    dropout_seed: int | None = None, seed: int = 0) -> GradientReport:  # fmt: skip
    """Check dθ, each parameter's part of it, and dX against numerical derivatives.

    Parameters
    ----------
    network : Network
        Left as it is: a float64 copy is checked, on the same device.
    x, y, sample_weight
        A batch; a handful of rows is enough.
    directions : int
        Random directions per parameter; the worst is reported.
    tolerance : float
        The largest error, relative to the size of the derivative, that passes beside what rounding explains.
    dropout_seed : int, optional
        With it layers behave as in training, with masks drawn from this seed; else as in prediction.
    seed : int
        Of the directions.

    Returns
    -------
    GradientReport
        True if nothing is wrong, and something could be told; printed, a line a parameter.

    Notes
    -----
    The gradients of a network that has learned can be smaller than the rounding of its loss lets differences show.
    Such a check is "too small to tell": neither right nor wrong. Rows that the network gets wrong tell more. A
    report of nothing else, as of a network whose units are all off, is false: nothing in it was shown to be right.
    """
    checks.integer("directions", directions)
    report = GradientReport(checks.real("tolerance", tolerance, 0.0, open_low=True))
    exact = network.to(network.backend, dtype="float64")
    chain, backend, xp = exact.chain, exact.backend, exact.xp
    training = None if dropout_seed is None else Pass(dropout_seed)
    rng = mechanet.backend.generator(seed)
    with backend.current():
        batch = check_batch(chain, exact.loss, x, y, sample_weight)
        X, T, c = backend.asarray(batch.X, chain.array_dtype), batch.T, batch.c
        X = X + BESIDE * _reach(xp.max(xp.abs(X))) * backend.asarray(rng.standard_normal(tuple(X.shape)))
        theta = chain.parameters + BESIDE * backend.asarray(rng.standard_normal(chain.parameters.shape[0]))
        chain.parameters[...] = theta
        Z, caches = chain.forward(X, training=training)
        value, dZ = exact.loss(xp, Z, T, c)
        dX = chain.backward(dZ, caches, to_input=True)
        gradient = chain.gradient + 0.0
        unit = exact.loss(xp, xp.zeros_like(Z), T, c)[0]
        rounding = rounding_of(xp, value, unit, theta, gradient)

        def loss_along(direction, t):
            chain.parameters[...] = theta + t * direction
            return float(exact.loss(xp, chain.forward(X, training=training)[0], T, c)[0])

        def loss_along_input(direction, t):
            return float(exact.loss(xp, chain.forward(X + t * direction, training=training)[0], T, c)[0])

        def whole(vector):
            return vector

        def check(name, along, at, slopes, part=whole):
            """The worst of some directions that move a part of `at`; one that meets a kink is drawn anew."""
            found = []
            for _ in range(directions):
                for _ in range(TRIES):
                    direction = xp.zeros_like(at)
                    drawn = rng.standard_normal(tuple(part(at).shape))
                    part(direction)[...] = backend.asarray(drawn / (drawn * drawn).sum() ** 0.5)
                    analytic, step = float(xp.sum(slopes * direction)), STEP * _reach(_norm(xp, part(at)))
                    moved = functools.partial(along, direction)
                    one = compare(analytic, moved, step, rounding, tolerance, size)
                    if one.verdict != KINK:
                        break
                found.append(one)
            report.checks.append(Check(name, *min(found, key=lambda one: (RANKS.index(one.verdict), -one.error))))

        size = _norm(xp, gradient)
        check("all parameters", loss_along, theta, gradient)
        for i, layer in enumerate(chain.layers):
            for name in layer.parameters:
                part = functools.partial(_part, chain, i, name)
                check(f"layers.{i}.{name}", loss_along, theta, gradient, part)
        chain.parameters[...] = theta
        check("dX", loss_along_input, X, dX)
    return report


def _reach(size) -> float:
    """What steps are relative to: the size of what they move, or 1 where it is smaller."""
    return max(1.0, float(size))


def _norm(xp, array) -> float:
    return float(xp.sqrt(xp.sum(array * array)))


def _part(chain, i: int, name: str, vector):
    """Where `vector` holds a parameter of layer i."""
    return chain.views(vector)[i][name]
