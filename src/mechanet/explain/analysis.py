"""What is asked of a walk once it is done: are its gradients right, and what mattered most."""

import functools
import math
from collections.abc import Callable

import numpy as np

import mechanet.backend
from mechanet.explain.tree import Contribution, EntryCheck, Share
from mechanet.explain.walk import Walk
from mechanet.layers import ActivationLayer

STEPS = (1e-4, 1e-5, 1e-6)
TOLERANCES = {"float64": 1e-6, "float32": 1e-3}
OUTPUTS = 10
SHARES = 5


def check_entries(walk: Walk, exact: Walk, symbols: list[tuple[int | None, str]], seed: int) -> list[EntryCheck]:
    """Two entries of every gradient of `walk`, the largest and a random one, against numerical slopes.

    Parameters
    ----------
    walk : Walk
        The gradients in question, in the network's data type.
    exact : Walk
        The same forward in float64, on which the slopes are measured.
    symbols : list of (layer, symbol)
        What dL/dq of every output q of the walk is called.
    seed : int
        Of the random entries.
    """
    network, rng = exact.network, mechanet.backend.generator(seed)
    tolerance = TOLERANCES[walk.network.dtype]
    loss = abs(float(walk.value))
    checks = []

    def check(layer, symbol, values: np.ndarray, loss_at: Callable[[tuple, float], float], near) -> None:
        size = float(np.abs(values).max())
        largest = int(np.abs(values).argmax())
        for at in dict.fromkeys([largest, int(rng.integers(values.size))]):
            index = tuple(int(i) for i in np.unravel_index(at, values.shape))
            along = functools.partial(loss_at, index)
            numerical, h = _slope(along, max(1.0, abs(near(index))), tolerance)
            analytic = float(values[index])
            # Two losses that differ by less than rounding tell nothing of a slope below this.
            noise = 1e-15 * max(loss, 1e-3) / h
            scale = max(abs(analytic), abs(numerical), 1e-3 * size, noise / tolerance, 1e-300)
            error = abs(analytic - numerical) / scale
            passed = error <= tolerance
            kink = not passed and (_on_a_kink(exact) or _bends(along, 0.5 * abs(analytic - numerical)))
            checks.append(EntryCheck(layer, symbol, index, analytic, numerical, error, passed, kink))

    gradients = network.chain.views(walk.host(walk.gradient))
    for i, (layer, named) in enumerate(zip(network.layers, gradients, strict=True)):
        for name, gradient in named.items():

            def loss_at(index, d, view=layer.parameters[name], i=i):
                before = float(view[index])
                view[index] = before + d
                value = exact.loss_from(i)
                view[index] = before
                return value

            def near(index, view=layer.parameters[name]):
                return float(view[index])

            check(i, gradient_symbol(name), gradient, loss_at, near)

    for number, (layer_index, symbol) in enumerate(symbols):
        values = exact.joined([outputs[number] for outputs in exact.outputs])
        slopes = walk.joined([slopes[number] for slopes in walk.slopes])
        check(
            layer_index,
            symbol,
            slopes,
            functools.partial(exact.loss_with, number),
            lambda index, values=values: float(values[index]),
        )
    return checks


def _slope(loss_at: Callable[[float], float], scale: float, tolerance: float) -> tuple[float, float]:
    """The slope of the loss, by Richardson's extrapolation of central differences, and the step it was taken with.

    Where the differences at h and h / 2 do not agree there is a kink, or much curvature: a shorter step is tried.
    """
    best = (math.inf, 0.0, 1.0)
    for h in (step * scale for step in STEPS):
        coarse, fine = ((loss_at(d) - loss_at(-d)) / (2.0 * d) for d in (h, h / 2.0))
        gap = abs(coarse - fine)
        best = min(best, (gap, (4.0 * fine - coarse) / 3.0, h))
        if gap <= 0.1 * tolerance * max(abs(fine), 1e-12):
            break
    return best[1], best[2]


def _bends(loss_at: Callable[[float], float], jump: float) -> bool:
    """Whether the slopes of the loss to both sides differ by `jump` or more."""
    h, here = STEPS[-1], loss_at(0.0)
    return abs((loss_at(h) - here) - (here - loss_at(-h))) >= jump * h


def _on_a_kink(walk: Walk) -> bool:
    """Whether an activation stands at exactly 0, as those of a row of zeros do while the biases are 0."""
    activations = [i for i, layer in enumerate(walk.network.layers) if isinstance(layer, ActivationLayer)]
    return any(bool(walk.xp.any(outputs[i] == 0.0)) for outputs in walk.outputs for i in activations)


def contributions(walk: Walk) -> list[Contribution]:
    """For the outputs with the highest scores: q ∂z/∂q of every input and parameter q, the mean over the rows.

    For a network of ReLUs without biases these add up to the score (Euler's theorem on homogeneous functions).
    """
    network, xp = walk.network, walk.xp
    rows = walk.X.shape[0]
    scores = walk.joined([outputs[-1] for outputs in walk.outputs]).mean(axis=0)  # (k,)
    theta = walk.host(network.parameters)
    places = network.chain.views(np.arange(len(theta)))
    X = walk.joined([outputs[0] for outputs in walk.outputs])
    means = X.mean(axis=0)
    found = []
    for k in np.argsort(-scores, kind="stable")[:OUTPUTS].tolist():
        slopes, gradient = [], 0.0
        for outputs, caches in zip(walk.outputs, walk.caches, strict=True):
            pick = xp.zeros_like(outputs[-1])
            pick[:, k] = 1.0 / rows
            slopes.append(walk.back_from(pick, caches)[0])
            gradient = gradient + walk.host(network.gradient)
        by_input = (X * walk.joined(slopes)).sum(axis=0)
        by_weight = theta * gradient
        inputs = [
            Share("X", index, float(means[index]), float(by_input[index])) for index in _largest(by_input, SHARES)
        ]
        weights = [_weight(places, at, theta, by_weight) for (at,) in _largest(by_weight, SHARES)]
        found.append(Contribution(k, float(scores[k]), inputs, weights, by_input))
    return found


def _largest(values: np.ndarray, count: int) -> list[tuple[int, ...]]:
    size = np.abs(values).ravel()
    count = min(count, size.size)
    part = np.argpartition(-size, count - 1)[:count] if count else np.arange(0)
    order = part[np.argsort(-size[part], kind="stable")]
    return [tuple(int(i) for i in np.unravel_index(at, values.shape)) for at in order]


def _weight(places, at: int, theta: np.ndarray, by_weight: np.ndarray) -> Share:
    named = ((i, name, place) for i, parts in enumerate(places) for name, place in parts.items())
    layer, name, place = next(part for part in named if at <= part[2].flat[-1])
    index = tuple(int(i) for i in np.unravel_index(at - int(place.flat[0]), place.shape))
    return Share(f"{layer}.{name}", index, float(theta[at]), float(by_weight[at]))


def gradient_symbol(name: str) -> str:
    """What dL/dq of the parameter q of that name is called: dW; of one within a composite, 0.dW."""
    inside, dot, last = name.rpartition(".")
    return f"{inside}{dot}d{last}"
