"""The formulas of a step in words, as the mathematics carries them, and worked out with numbers."""

from dataclasses import fields

import numpy as np

from mechanet.layers import ActivationLayer, Dense, Dropout, Flatten, Layer, Reshape, Scale
from mechanet.losses import Loss
from mechanet.optimizers import Optimizer

TERMS = 3  # of a long sum, written out


def loss_formulas(loss: Loss, symbol: str) -> tuple[str, ...]:
    """How the link, the loss and its gradient are computed from the scores, which `symbol` names: Z or A."""
    return tuple(line.replace("Z", symbol) for line in loss.formula)


def label(layer: Layer) -> str:
    """A layer with the options that tell it from its like."""
    kind = type(layer).__name__
    if isinstance(layer, Dense):
        return f"{kind}({layer.units})"
    options = [getattr(layer, f.name) for f in fields(layer)]
    numbers = [f"{value:.6g}" if isinstance(value, float) else str(value) for value in options if _plain(value)]
    return f"{kind}({', '.join(numbers)})" if numbers else kind


def _plain(value) -> bool:
    return isinstance(value, (int, float, tuple))


def forward_formula(layer: Layer, cache) -> str:
    if isinstance(layer, Dense) and not layer.bias:
        return "Z = X W"
    if isinstance(layer, Dropout) and cache is None:
        return "A = X, as in prediction"
    return layer.formula or "A = f(X)"


def backward_formula(layer: Layer, symbol: str) -> str:
    """How a layer's backward computes `symbol`: for an activation, the first line of that function's docstring."""
    if isinstance(layer, Dense):
        return {"dW": "dW = Xᵀ dZ", "db": "db = Σ_rows dZ", "dX": "dX = dZ Wᵀ"}[symbol]
    if isinstance(layer, Dropout):
        return "dX = dA ∘ M"
    if isinstance(layer, Scale):
        return "dX = factor dA"
    if isinstance(layer, (Flatten, Reshape)):
        return "dX = dA, reshaped"
    if isinstance(layer, ActivationLayer):
        documented = (layer.pair[1].__doc__ or "").strip().splitlines()
        return documented[0].rstrip(".") if documented else "dZ = dA ∘ f'(Z)"
    return f"{symbol} = dL/{symbol[1:]}"


def update_formulas(optimizer: Optimizer, clip: float | None) -> list[str]:
    """The lines of an update, in order."""
    return ([] if clip is None else [f"dθ ← dθ min(1, {clip:g} / ‖dθ‖)"]) + optimizer.formulas()


def settings(optimizer: Optimizer, alpha: float, t: int) -> str:
    """The numbers that stand in `update_formulas`; options that are 0 do not."""
    options = {f.name: getattr(optimizer, f.name) for f in fields(optimizer)} | {"learning_rate": alpha}
    values = [
        f"{optimizer.symbols.get(name, name)} = {value:g}"
        for name, value in options.items()
        if value and isinstance(value, (int, float)) and not isinstance(value, bool)
    ]
    return ", ".join([*values, f"t = {t}"])


# One entry worked out with its numbers.


def chosen(values: np.ndarray) -> tuple[int, ...]:
    """The entry that is worked out: the first of a small array, the largest of one too large to be shown."""
    at = 0 if values.size <= 16 else int(np.abs(values).argmax())
    return tuple(int(i) for i in np.unravel_index(at, values.shape))


def entry(symbol: str, index: tuple[int, ...]) -> str:
    return f"{symbol}[{', '.join(map(str, index))}]" if index else symbol


def number(value: float) -> str:
    return f"{float(value) + 0.0:.9g}"  # + 0.0: no minus sign before a zero


def factor(value: float) -> str:
    return f"({number(value)})" if value < 0 else number(value)


def products(symbol: str, index, a: np.ndarray, b: np.ndarray, more: float | None, total: float) -> str:
    """``Z[0, 1] = 0.05·0.25 + 0.1·0.3 + 0.35 = 0.3925``: a sum of products, its largest terms written out."""
    order = np.argsort(-np.abs(a * b), kind="stable")[:TERMS]
    terms = [f"{factor(a[i])}·{factor(b[i])}" for i in (sorted(order) if len(a) <= TERMS else order)]
    if len(a) > TERMS:
        terms.append(f"… ({len(a) - TERMS} more)")
    if more is not None:
        terms.append(factor(more))
    return f"{entry(symbol, index)} = {' + '.join(terms)} = {number(total)}"


def work_forward(layer: Layer, symbol: str, X: np.ndarray, values: np.ndarray, parameters: dict) -> str:
    """One entry of a layer's output."""
    at = chosen(values)
    if isinstance(layer, Dense):
        W, b = parameters["W"], parameters.get("b")
        return products(symbol, at, X[at[0]], W[:, at[1]], None if b is None else b[at[1]], values[at])
    if isinstance(layer, ActivationLayer):
        return f"{entry(symbol, at)} = {label(layer)}({number(X[at])}) = {number(values[at])}"
    if isinstance(layer, Scale):
        return f"{entry(symbol, at)} = {number(layer.factor)}·{factor(X[at])} = {number(values[at])}"
    return ""


def work_backward(layer: Layer, symbol: str, values: np.ndarray, X, dA, W=None) -> str:
    """One entry of what a layer's backward gives; dA is what came to it from the layer behind."""
    at = chosen(values)
    if isinstance(layer, Dense) and symbol == "dW":
        return products(symbol, at, X[:, at[0]], dA[:, at[1]], None, values[at])
    if isinstance(layer, Dense) and symbol == "dX":
        return products(symbol, at, dA[at[0]], W[at[1]], None, values[at])
    if isinstance(layer, Dense) and symbol == "db" and len(dA) > 1:
        terms = [factor(v) for v in dA[:TERMS, at[0]]]
        if len(dA) > TERMS:
            terms.append(f"… ({len(dA) - TERMS} more)")
        return f"{entry(symbol, at)} = {' + '.join(terms)} = {number(values[at])}"
    if isinstance(layer, ActivationLayer) and dA[at]:
        slope = values[at] / dA[at]
        return f"{entry(symbol, at)} = dA f'(Z) = {factor(dA[at])}·{factor(slope)} = {number(values[at])}"
    return ""
