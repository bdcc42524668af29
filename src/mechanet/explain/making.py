"""How an explanation is made: one training step on a copy of the network, every value kept."""

import math
from typing import Any

import numpy as np

from mechanet import checks
from mechanet.explain import analysis, formulas
from mechanet.explain.explanation import Explanation
from mechanet.explain.tree import Step
from mechanet.explain.walk import Walk
from mechanet.layers import Dropout
from mechanet.network import Network
from mechanet.optimizers import SGD, clip, optimizer_from


def explained(network, x, y, optimizer, sample_weight, training, masks, image_shape, check, seed) -> Explanation:
    """See `mechanet.explain`."""
    if not isinstance(network, Network):
        raise TypeError(f"explain expects a mechanet.Network first. Received: network={network!r:.80}.")
    if training is not None and (optimizer is not None or masks is not None):
        raise ValueError("explain expects either training= or optimizer= and masks=. Received: both.")
    if masks is not None:
        masks = _check_masks(masks)
    x, y, sample_weight = _as_batch(network, x, y, sample_weight)
    twin = network.to(network.backend)
    with twin.backend.current():
        update = _Update(twin, optimizer, training)
        masks = update.masks if training is not None else masks
        walk = Walk(twin, x, y, sample_weight, masks)
        walk.back()
        names = _output_names(twin)
        told = Explanation(
            repr(network), twin.loss.classifies, *_steps(walk, names),
            targets=walk.host(walk.T), row_losses=walk.row_losses(),
            predictions=walk.joined([twin.loss.link(twin.xp, outputs[-1]) for outputs in walk.outputs]),
            contributions=analysis.contributions(walk), loss_before=float(walk.value),
            image_shape=_image_shape(network.input_shape, image_shape), notes=update.notes,
        )  # fmt: skip
        if check:
            exact = walk
            if twin.dtype != "float64":
                exact = Walk(twin.to(twin.backend, dtype="float64"), x, y, sample_weight, masks)
                exact.back()
            told.checks.extend(analysis.check_entries(walk, exact, _slope_names(twin, names), seed))
        told.update.extend(update.take(walk))
        object.__setattr__(told, "loss_after", walk.loss_from())
    return told


def _check_masks(masks) -> tuple[int, int, int]:
    if not isinstance(masks, (tuple, list)) or len(masks) != 3:
        raise ValueError(f"masks expects (seed, epoch, step). Received: masks={masks!r}.")
    seed, epoch, step = masks
    checks.integer("masks[0]", seed, 0)
    return seed, checks.integer("masks[1]", epoch), checks.integer("masks[2]", step)


def _as_batch(network: Network, x, y, sample_weight):
    """A single row becomes a batch of one."""
    if tuple(np.shape(x) if not hasattr(x, "shape") else x.shape) != network.input_shape:
        return x, y, sample_weight
    y, X = network.backend.to_host(y), x if hasattr(x, "shape") else np.asarray(x)
    return X[None, ...], y[None, ...], None if sample_weight is None else [sample_weight]


def _image_shape(input_shape: tuple[int, ...], given) -> tuple[int, int] | None:
    size = math.prod(input_shape)
    if given is not None:
        shape = checks.shape("image_shape", given)
        if len(shape) != 2 or math.prod(shape) != size:
            raise ValueError(f"image_shape expects (height, width) of {size} entries. Received: {given!r}.")
        return shape[0], shape[1]
    if len(input_shape) == 2:
        return input_shape[0], input_shape[1]
    side = math.isqrt(size)
    return (side, side) if side >= 8 and side * side == size and len(input_shape) == 1 else None


def _output_names(network: Network) -> list[tuple[int | None, str]]:
    """Layer and symbol of the input and of every layer's output."""
    return [(None, "X")] + [(i, layer.symbols[1]) for i, layer in enumerate(network.layers)]


def _slope_names(network: Network, names) -> list[tuple[int | None, str]]:
    """The same for the gradients with respect to them."""
    return [(layer, "d" + symbol) for layer, symbol in names]


def _steps(walk: Walk, names) -> tuple[list[Step], list[Step], list[Step]]:
    """Forward, loss and backward."""
    network = walk.network
    values = [walk.joined([outputs[i] for outputs in walk.outputs]) for i in range(len(names))]
    slopes = [walk.joined([slopes[i] for slopes in walk.slopes]) for i in range(len(names))]
    parameters = [{name: walk.host(view) for name, view in layer.parameters.items()} for layer in network.layers]
    gradients = _named(walk, walk.gradient)

    forward = [Step("forward", None, "input", "X", "X", values[0])]
    for i, layer in enumerate(network.layers):
        cache, name, symbol = walk.caches[0][i], formulas.label(layer), names[i + 1][1]
        for key, parameter in parameters[i].items():
            forward.append(Step("forward", i, name, key, f"{key}, as it is", parameter))
        if isinstance(layer, Dropout) and cache is not None:
            drawn = f"M = 0 with probability {layer.rate:g}, else 1 / {1.0 - layer.rate:g}"
            forward.append(Step("forward", i, name, "M", drawn, walk.joined([c[i] for c in walk.caches])))
        worked = formulas.work_forward(layer, symbol, values[i], values[i + 1], parameters[i])
        formula = formulas.forward_formula(layer, cache)
        forward.append(Step("forward", i, name, symbol, formula, values[i + 1], worked))

    link, value, slope = formulas.loss_formulas(network.loss, names[-1][1])
    P = walk.joined([network.loss.link(network.xp, outputs[-1]) for outputs in walk.outputs])
    last = len(network.layers) - 1
    lost = [
        Step("loss", None, network.loss.name, "P", link, P),
        Step("loss", None, network.loss.name, "T", "T, the targets", walk.host(walk.T)),
        Step("loss", None, network.loss.name, "c", "c, the weights of the rows, Σ c = 1", walk.host(walk.c)),
        Step("loss", None, network.loss.name, "L", value, walk.host(walk.network.xp.asarray(walk.value))),
        Step("loss", None, network.loss.name, "d" + names[-1][1], slope, slopes[-1]),
    ]

    backward = []
    for i in range(last, -1, -1):
        layer, name = network.layers[i], formulas.label(network.layers[i])
        came = "d" + names[i + 1][1]
        source = "the slope of the loss" if i == last else f"what layer {i + 1} gave back"
        backward.append(Step("backward", i, name, came, f"{came} = {source}", slopes[i + 1], same_as=source))
        for symbol, array in [*gradients[i].items(), ("d" + layer.symbols[0], slopes[i])]:
            worked = formulas.work_backward(layer, symbol, array, values[i], slopes[i + 1], parameters[i].get("W"))
            formula = formulas.backward_formula(layer, symbol)
            backward.append(Step("backward", i, name, symbol, formula, array, worked))
    return forward, lost, backward


def _named(walk: Walk, vector) -> list[dict[str, np.ndarray]]:
    """A vector over θ as arrays by layer, named as the gradient names them: dW, db."""
    views = walk.network.chain.views(walk.host(vector))
    return [{analysis.gradient_symbol(name): view for name, view in named.items()} for named in views]


class _Update:
    """The update of a step: of a fresh optimizer, or of a training where it stands."""

    def __init__(self, twin: Network, optimizer, training: Any):
        self.network, xp = twin, twin.xp
        self.notes: dict[str, str] = {}
        if training is None:
            self.optimizer = SGD() if optimizer is None else optimizer_from(optimizer)
            self.alpha, self.t, self.clip, self.masks = self.optimizer.learning_rate, 1, None, None
            vectors = dict.fromkeys(self.optimizer.vectors, twin.parameters)
        else:
            self.optimizer, self.alpha = training.optimizer, training.learning_rate()
            self.t = training.global_step - training.progress.optimizer_start + 1
            self.clip = training.gradient_clip
            self.masks = (training.seed, training.epoch + 1, training.step + 1)
            vectors = training.state
            self.notes["step"] = f"epoch {training.epoch + 1}, step {training.step + 1}"
        self.state = {}
        for name, vector in vectors.items():
            self.state[name] = xp.zeros_like(vector)
            if training is not None:
                self.state[name][...] = vector
        self.notes["optimizer"] = type(self.optimizer).__name__
        self.notes["update"] = "; ".join(formulas.update_formulas(self.optimizer, self.clip))
        self.notes["settings"] = formulas.settings(self.optimizer, self.alpha, self.t)

    def take(self, walk: Walk) -> list[Step]:
        """Change the twin's θ; return the values before and after."""
        net, name = self.network, self.notes["optimizer"]
        gradient, decay = walk.copy(walk.gradient), None
        steps = []
        if self.clip is not None:
            clip(net.xp, gradient, self.clip)
        strength = self.optimizer.weight_decay
        if strength:
            decay = net.chain.spread(lambda parameter: strength if parameter.decays else 0.0)
        before = walk.host(net.parameters)
        self.optimizer.step(net.xp, net.parameters, gradient, self.state, self.alpha, self.t, decay)
        after = walk.host(net.parameters)

        gradient = walk.host(gradient)
        steps.append(Step("update", None, name, "θ", "θ, all parameters", before))
        steps.append(Step("update", None, name, "dθ", "dθ, as the update uses it", gradient))
        for key, vector in self.state.items():
            steps.append(Step("update", None, name, f"{key}_new", f"{key} after the update", walk.host(vector)))
        steps.append(Step("update", None, name, "θ_new", self.notes["update"], after))
        parts = zip(net.layers, *map(net.chain.views, (before, after, gradient)), strict=True)
        for i, (layer, olds, news, slopes) in enumerate(parts):
            for symbol, old in olds.items():
                new, at = news[symbol], formulas.chosen(news[symbol] - old)
                worked = f"{formulas.entry(symbol, at)}: {formulas.number(old[at])} → {formulas.number(new[at])}"
                if type(self.optimizer) is SGD and not self.state and decay is None:
                    slope = formulas.factor(slopes[symbol][at])
                    worked = (
                        f"{formulas.entry(symbol, at)} ← {formulas.number(old[at])} - "
                        f"{formulas.number(self.alpha)}·{slope} = {formulas.number(new[at])}"
                    )
                kind = formulas.label(layer)
                steps.append(Step("update", i, kind, f"{symbol}_new", f"{symbol} after the update", new, worked))
        return steps
