"""What is asked of a walk once it is done: are its gradients right, and what mattered most."""

import functools
from collections.abc import Callable

import numpy as np

import mechanet.backend
from mechanet.explain.tree import ROUNDED, Contribution, EntryCheck, Share
from mechanet.explain.walk import Walk
from mechanet.gradcheck import KINK, STEP, TOLD, WRONG, Comparison, compare, rounding_of

TOLERANCE = 1e-6
OUTPUTS = 10
SHARES = 5


def check_entries(walk: Walk, exact: Walk, symbols: list[tuple[int | None, str]], seed: int) -> list[EntryCheck]:
    """Two entries of every gradient of `walk`, the largest and a random one, against numerical slopes.

    Parameters
    ----------
    walk : Walk
        The gradients in question, in the network's data type.
    exact : Walk
        The same in float64. It is held against the slopes; where `walk` differs from it, that is rounding.
    symbols : list of (layer, symbol)
        What dL/dq of every output q of the walk is called.
    seed : int
        Of the random entries.
    """
    network, xp, rng = exact.network, exact.xp, mechanet.backend.generator(seed)
    size = float(xp.sqrt(xp.sum(exact.gradient * exact.gradient)))
    unit = sum(
        network.loss(xp, xp.zeros_like(outputs[-1]), exact.T[block, ...], exact.c[block])[0]
        for block, outputs in zip(exact.blocks, exact.outputs, strict=True)
    )
    rounding = rounding_of(xp, exact.value, unit, network.parameters, exact.gradient)
    checks = []

    def check(layer, symbol, q, dq, exact_dq, loss_with: Callable[[tuple, float], float]) -> None:
        """Entries of dq; `loss_with` tells the loss with a change to an entry of q."""
        for at in dict.fromkeys([int(np.abs(dq).argmax()), int(rng.integers(dq.size))]):
            index = tuple(int(i) for i in np.unravel_index(at, dq.shape))
            step = STEP * max(1.0, float(np.abs(q).max()))
            along = functools.partial(loss_with, index)
            found = compare(float(exact_dq[index]), along, step, rounding, TOLERANCE, size)
            if found.verdict == WRONG and _on_a_kink(exact):
                found = found._replace(verdict=KINK)
            checks.append(EntryCheck(layer, symbol, index, *_as_shown(float(dq[index]), found)))

    gradients, exact_gradients = (network.chain.views(w.host(w.gradient)) for w in (walk, exact))
    for i, layer in enumerate(network.layers):
        for name, view in layer.parameters.items():

            def loss_with(index, change, view=view, i=i):
                before = float(view[index])
                view[index] = before + change
                value = exact.loss_from(i)
                view[index] = before
                return value

            check(
                i, gradient_symbol(name), exact.host(view), gradients[i][name], exact_gradients[i][name], loss_with
            )

    for number, (layer_index, symbol) in enumerate(symbols):
        q = exact.joined([outputs[number] for outputs in exact.outputs])
        dq, exact_dq = (w.joined([slopes[number] for slopes in w.slopes]) for w in (walk, exact))
        check(layer_index, symbol, q, dq, exact_dq, functools.partial(exact.loss_with, number))
    return checks


def _as_shown(analytic: float, exact: Comparison) -> Comparison:
    """What was found of an entry in float64, for the entry as the network's data type has it."""
    scale = max(abs(analytic), abs(exact.numerical)) or 1.0
    shown = exact._replace(analytic=analytic, error=abs(analytic - exact.numerical) / scale)
    seen = abs(analytic - exact.analytic) > TOLD * scale
    return shown._replace(verdict=ROUNDED) if exact.passed and seen else shown


def _on_a_kink(walk: Walk) -> bool:
    """Whether a layer bends at inputs of exactly 0, as a ReLU does at a row of zeros while the biases are 0.

    There the loss may have slopes that backward knows nothing of, and the same ones to both sides.
    """
    xp, backend, rng, h = walk.xp, walk.network.backend, mechanet.backend.generator(0), 1e-6
    for outputs in walk.outputs:
        for layer, q in zip(walk.network.layers, outputs[:-1], strict=True):
            q = xp.astype(q, walk.network.parameters.dtype)
            d = h * backend.asarray(rng.standard_normal(tuple(q.shape))) * xp.astype(q == 0.0, q.dtype)
            ahead, here, behind = (layer.forward(moved)[0] for moved in (q + d, q, q - d))
            if float(xp.max(xp.abs(ahead - here - (here - behind)))) > 1e-3 * h:
                return True
    return False


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
