"""Gradient check: the gradient that backward computes against the slope of the loss itself.

Along a random unit direction u, in float64, the central difference (L(θ + h u) - L(θ - h u)) / 2h must equal
u · dθ to about h². One pair of forwards checks every entry of dθ at once, since u touches them all. The check is
made once for all of θ, and for each parameter alone so that a wrong one is named.

At a kink (ReLU at 0) the slope jumps and the difference is of no use. A direction whose differences at h and h / 2
do not agree crosses a kink: another is drawn, and h halved. And since biases start at 0, where a row of zeros sits
on the kink of every ReLU, all is checked a little beside θ.
"""

from dataclasses import dataclass, field

import mechanet.backend
from mechanet import checks
from mechanet.layers import Pass
from mechanet.network import Network
from mechanet.network.batch import check_batch

STEP = 1e-5
BESIDE = 1e-3
TRIES = 10


@dataclass(frozen=True)
class Check:
    """One direction: what backward says, what the differences say, and how far apart they are."""

    name: str
    analytic: float
    numerical: float
    error: float
    passed: bool


@dataclass(frozen=True)
class GradientReport:
    """The result of a gradient check; true if all of it passed.

    Attributes
    ----------
    checks : list of Check
        First all parameters together, then each alone; with `inputs`, dL/dX last.
    tolerance : float
        The largest relative error that passes.
    """

    tolerance: float
    checks: list[Check] = field(default_factory=list)

    def __bool__(self) -> bool:
        return all(check.passed for check in self.checks)

    @property
    def error(self) -> float:
        """The largest relative error."""
        return max(check.error for check in self.checks)

    def __str__(self) -> str:
        width = max(len(check.name) for check in self.checks)
        lines = [
            f"{c.name.ljust(width)}  analytic {c.analytic:+.9e}  numerical {c.numerical:+.9e}  "
            f"error {c.error:.1e}  {'ok' if c.passed else 'WRONG'}"
            for c in self.checks
        ]
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
        The largest error, relative to the size of the derivative, that passes.
    dropout_seed : int, optional
        With it layers behave as in training, with masks drawn from this seed; else as in prediction.
    seed : int
        Of the directions.

    Returns
    -------
    GradientReport
        True if everything passed; printed, a line a parameter.

    References
    ----------
    Nocedal and Wright (2006), Numerical Optimization, section 8.1: the error of a central difference is of
    order h², here below 1e-9.
    """
    checks.integer("directions", directions)
    twin = network.to(network.backend, dtype="float64")
    backend, xp = twin.backend, twin.xp
    rng = mechanet.backend.generator(seed)
    report = GradientReport(checks.real("tolerance", tolerance, 0.0, open_low=True))
    with backend.current():
        beside = backend.asarray(BESIDE * rng.standard_normal(network.parameters.shape[0]))
        twin.set_parameters(twin.parameters + beside)
        batch = check_batch(twin.chain, twin.loss, x, y, sample_weight)
        X, T, c = backend.asarray(batch.X, twin.parameters.dtype), batch.T, batch.c
        training = None if dropout_seed is None else Pass(dropout_seed)
        Z, caches = twin.chain.forward(X, training=training)
        dX = twin.chain.backward(twin.loss(xp, Z, T, c)[1], caches, to_input=True)
        gradient = xp.zeros_like(twin.gradient)
        gradient[...] = twin.gradient
        theta = xp.zeros_like(gradient)
        theta[...] = twin.parameters

        def loss_along(direction, h):
            twin.parameters[...] = theta + h * direction
            return float(twin.loss(xp, twin.chain.forward(X, training=training)[0], T, c)[0])

        def loss_along_input(direction, h):
            return float(twin.loss(xp, twin.chain.forward(X + h * direction, training=training)[0], T, c)[0])

        size = float(xp.sqrt(xp.sum(gradient * gradient)))
        for name, segment in [("all parameters", slice(0, theta.shape[0])), *segments(twin)]:

            def draw(segment=segment):
                direction = xp.zeros_like(theta)
                part = rng.standard_normal(segment.stop - segment.start)
                direction[segment] = backend.asarray(part / (part @ part) ** 0.5)
                return direction

            report.checks.append(_worst(name, draw, gradient, loss_along, directions, size, tolerance, xp))
        twin.parameters[...] = theta

        def draw_input():
            part = rng.standard_normal(tuple(X.shape))
            return backend.asarray(part / (part * part).sum() ** 0.5)

        size = float(xp.sqrt(xp.sum(dX * dX)))
        step = STEP * max(1.0, float(xp.max(xp.abs(X))))  # bytes need a longer step than numbers near 1
        report.checks.append(_worst("dX", draw_input, dX, loss_along_input, directions, size, tolerance, xp, step))
    return report


def segments(network: Network) -> list[tuple[str, slice]]:
    """Names such as ``layers.1.W`` and where θ holds each."""
    named, offset = [], 0
    for i, layer in enumerate(network.layers):
        for name, view in layer.parameters.items():
            length = 1
            for n in view.shape:
                length *= n
            named.append((f"layers.{i}.{name}", slice(offset, offset + length)))
            offset += length
    return named


def _worst(name, draw, gradient, loss_along, directions, size, tolerance, xp, step=STEP) -> Check:
    found = [_one(name, draw, gradient, loss_along, size, tolerance, xp, step) for _ in range(directions)]
    return max(found, key=lambda check: check.error)


def _one(name, draw, gradient, loss_along, size, tolerance, xp, step) -> Check:
    for _ in range(TRIES):
        direction = draw()
        analytic = float(xp.sum(gradient * direction))
        # Richardson: the differences at h and h / 2 agree to O(h²) unless a kink lies between.
        coarse, fine = (
            (loss_along(direction, h) - loss_along(direction, -h)) / (2.0 * h) for h in (step, step / 2.0)
        )
        scale = max(abs(analytic), abs(fine), 1e-3 * size, 1e-12)
        if abs(coarse - fine) <= 0.1 * tolerance * scale:
            break
        step /= 2.0
    error = abs(analytic - fine) / scale
    return Check(name, analytic, fine, error, error <= tolerance)
