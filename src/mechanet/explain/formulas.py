"""The formulas of a step in words and with numbers: those that the code itself does not carry as data."""

from dataclasses import fields

import numpy as np

from mechanet.layers import Dense, Dropout, Flatten, Layer, Reshape, Scale
from mechanet.optimizers import SGD, Adam, AdamHat, AdamW, Momentum, Optimizer, RMSProp

TERMS = 3  # of a long sum, written out

LOSSES = {
    "cross_entropy": ("P = softmax(Z)", "L = -Σ_i c_i Σ_k T_ik log P_ik", "dZ = c (P - T)"),
    "binary_cross_entropy": ("P = σ(Z)", "L = -Σ_i c_i Σ_k (T log P + (1 - T) log(1 - P))", "dZ = c (P - T)"),
    "squared_error": ("P = Z", "L = Σ_i c_i Σ_k ½ (Z - T)²", "dZ = c (Z - T)"),
    "poisson": ("P = exp(Z)", "L = Σ_i c_i Σ_k (P - T Z + T log T - T)", "dZ = c (P - T)"),
    "huber": ("P = Z", "L = Σ_i c_i Σ_k Q (D - ½ Q), Q = D cut to [-δ, δ], D = Z - T", "dZ = c Q"),
}


def loss_formulas(name: str, symbol: str) -> tuple[str, ...]:
    """How the link, the loss and its gradient are computed from the scores, which `symbol` names: Z or A."""
    lines = LOSSES.get(name, ("P = link(Z)", "L = loss(Z, T)", "dZ = dL/dZ"))
    return tuple(line.replace("Z", symbol) for line in lines)


def label(layer: Layer) -> str:
    """A layer with the options that tell it from its like."""
    kind = type(layer).__name__
    if isinstance(layer, Dense):
        return f"{kind}({layer.units})"
    if isinstance(layer, Flatten):
        return kind
    options = [getattr(layer, f.name) for f in fields(layer)]  # type: ignore[arg-type]
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
    if isinstance(layer, Reshape):
        return "dX = dA, reshaped"
    if layer.kind == "activation":
        documented = (layer.pair[1].__doc__ or "").strip().splitlines()  # type: ignore[attr-defined]
        return documented[0].rstrip(".") if documented else "dZ = dA ∘ f'(Z)"
    return f"{symbol} = dL/{symbol[1:]}"


def update_formulas(optimizer: Optimizer, clip: float | None) -> list[str]:
    """The lines of an update, in order."""
    lines = []
    if clip is not None:
        lines.append(f"dθ ← dθ min(1, {clip:g} / ‖dθ‖)")
    if optimizer.weight_decay:
        lines.append("θ ← θ - α λ θ (weights)" if isinstance(optimizer, AdamW) else "dθ ← dθ + λ θ (weights)")
    if isinstance(optimizer, Adam):
        hat = isinstance(optimizer, AdamHat)
        lines += ["s ← β₁ s + dθ, m = (1 - β₁) s", "r ← β₂ r + dθ², v = (1 - β₂) r",
                  "θ ← θ - α √(1 - β₂ᵗ) / (1 - β₁ᵗ) m / (√v + ε)" if hat else
                  "θ ← θ - α (m / (1 - β₁ᵗ)) / (√(v / (1 - β₂ᵗ)) + ε)"]  # fmt: skip
    elif isinstance(optimizer, RMSProp):
        lines += ["v ← ρ v + (1 - ρ) dθ²", "θ ← θ - α dθ / (√v + ε)"]
    elif isinstance(optimizer, Momentum):
        lines += ["v ← μ v - α dθ", "θ ← θ + μ v - α dθ" if optimizer.nesterov else "θ ← θ + v"]
    elif isinstance(optimizer, SGD) and optimizer.momentum:
        lines += ["u ← μ u + dθ", "θ ← θ - α (dθ + μ u)" if optimizer.nesterov else "θ ← θ - α u"]
    elif isinstance(optimizer, SGD):
        lines.append("θ ← θ - α dθ")
    else:
        lines.append(f"θ ← {type(optimizer).__name__}(θ, dθ)")
    return lines


def settings(optimizer: Optimizer, alpha: float, t: int) -> str:
    """The numbers that stand in `update_formulas`."""
    letters = {"momentum": "μ", "rho": "ρ", "beta1": "β₁", "beta2": "β₂", "epsilon": "ε", "weight_decay": "λ"}
    named = [(letter, getattr(optimizer, name, 0.0)) for name, letter in letters.items()]
    values = [f"{letter} = {value:g}" for letter, value in named if value]
    return ", ".join([f"α = {alpha:g}", *values, f"t = {t}"])


# One entry worked out with its numbers.


def chosen(values: np.ndarray) -> tuple[int, ...]:
    """The entry that is worked out: the first of a small array, the largest of one too large to be shown."""
    at = 0 if values.size <= 16 else int(np.abs(values).argmax())
    return tuple(int(i) for i in np.unravel_index(at, values.shape))


def entry(symbol: str, index: tuple[int, ...]) -> str:
    return f"{symbol}[{', '.join(map(str, index))}]" if index else symbol


def number(value: float) -> str:
    return f"{float(value) + 0.0:.9g}"  # + 0.0: no minus sign before a zero


def _factor(value: float) -> str:
    return f"({number(value)})" if value < 0 else number(value)


def products(symbol: str, index, a: np.ndarray, b: np.ndarray, more: float | None, total: float) -> str:
    """``Z[0, 1] = 0.05·0.25 + 0.1·0.3 + 0.35 = 0.3925``: a sum of products, its largest terms written out."""
    order = np.argsort(-np.abs(a * b), kind="stable")[:TERMS]
    terms = [f"{_factor(a[i])}·{_factor(b[i])}" for i in (sorted(order) if len(a) <= TERMS else order)]
    if len(a) > TERMS:
        terms.append(f"… ({len(a) - TERMS} more)")
    if more is not None:
        terms.append(_factor(more))
    return f"{entry(symbol, index)} = {' + '.join(terms)} = {number(total)}"


def work_forward(layer: Layer, symbol: str, X: np.ndarray, values: np.ndarray, W=None, b=None) -> str:
    """One entry of a layer's output."""
    at = chosen(values)
    if isinstance(layer, Dense):
        return products(symbol, at, X[at[0]], W[:, at[1]], None if b is None else b[at[1]], values[at])
    if layer.kind == "activation":
        return f"{entry(symbol, at)} = {label(layer)}({number(X[at])}) = {number(values[at])}"
    if isinstance(layer, Scale):
        return f"{entry(symbol, at)} = {number(layer.factor)}·{_factor(X[at])} = {number(values[at])}"
    return ""


def work_backward(layer: Layer, symbol: str, values: np.ndarray, X, dA, W=None) -> str:
    """One entry of what a layer's backward gives; dA is what came to it from the layer behind."""
    at = chosen(values)
    if isinstance(layer, Dense) and symbol == "dW":
        return products(symbol, at, X[:, at[0]], dA[:, at[1]], None, values[at])
    if isinstance(layer, Dense) and symbol == "dX":
        return products(symbol, at, dA[at[0]], W[at[1]], None, values[at])
    if symbol == "db" and len(dA) > 1:
        terms = [_factor(v) for v in dA[:TERMS, at[0]]]
        if len(dA) > TERMS:
            terms.append(f"… ({len(dA) - TERMS} more)")
        return f"{entry(symbol, at)} = {' + '.join(terms)} = {number(values[at])}"
    if layer.kind == "activation" and dA[at]:
        slope = values[at] / dA[at]
        return f"{entry(symbol, at)} = dA f'(Z) = {_factor(dA[at])}·{_factor(slope)} = {number(values[at])}"
    return ""
