"""Reads the formulas that the code carries in words, and computes them with plain NumPy; mechanet has no part in it.

A formula is written as on paper: ``v ← ρ v + (1 - ρ) dθ²``. Symbols side by side are multiplied, entry by entry; a
function takes what stands behind it, ``log P`` or ``√(a + b)``. ``a where c, else b`` and ``a if c else b`` choose entry
by entry. Definitions may follow after commas: ``Q (D - ½ Q), Q = D cut to [-δ, δ], D = Z - T``.
"""

import re

import numpy as np

FUNCTIONS = {
    "exp": np.exp, "log": np.log, "tanh": np.tanh, "√": np.sqrt, "max": np.maximum, "min": np.minimum,
    "σ": lambda z: 1.0 / (1.0 + np.exp(-z)),
    "softmax": lambda z: np.exp(z) / np.exp(z).sum(axis=1, keepdims=True),
}  # fmt: skip
CONSTANTS = {"π": np.pi, "½": 0.5}
POWERS = {"²": 2, "³": 3}
TOKEN = re.compile(r"\d+(?:\.\d+)?|[^\W\d½√²³ᵗ][^\W½²³ᵗ]*|\S")  # numbers, names, signs


def run(line: str, names: dict) -> None:
    """Assign what a line such as ``s ← β₁ s + dθ, m = (1 - β₁) s`` assigns, part by part."""
    for part in re.split(r", (?=\w+ [=←])", line.removesuffix(" (weights)")):
        target, expression = re.split(r" [=←] ", part, maxsplit=1)
        names[target] = value(expression, names)


def value(text: str, names: dict):
    """The value of an expression, with the definitions that follow it."""
    expression, *definitions = re.split(r", (?=\w+ = )", text)
    names = dict(names)
    for definition in reversed(definitions):
        name, meaning = definition.split(" = ", 1)
        names[name] = value(meaning, names)
    chosen = re.fullmatch(r"(.+) (?:where|if) (.+) > (\S+?),? else (.+)", expression)
    if chosen:
        yes, left, right, no = (_Reader(part, names).whole() for part in chosen.groups())
        return np.where(left > right, yes, no)
    cut = re.fullmatch(r"(.+) cut to \[(.+), (.+)\]", expression)
    if cut:
        return np.clip(*(_Reader(part, names).whole() for part in cut.groups()))
    mean = re.fullmatch(r"(-?)Σ_i c_i Σ_k (.+)", expression)
    if mean:
        row_losses = np.broadcast_to(_Reader(mean[2], names).whole(), names["Z"].shape).sum(axis=1)
        return (-1.0 if mean[1] else 1.0) * float(names["c"][:, 0] @ row_losses)
    return _Reader(expression, names).whole()


class _Reader:
    """Sums of products of powers, from left to right."""

    def __init__(self, text: str, names: dict):
        self.tokens = [token.removesuffix("_ik") for token in TOKEN.findall(text)]
        self.names = names | CONSTANTS

    def whole(self):
        found = self.sum()
        if self.tokens:
            raise ValueError(f"not read: {self.tokens}")
        return found

    def next(self) -> str:
        return self.tokens[0] if self.tokens else ""

    def take(self, *wanted: str) -> str:
        return self.tokens.pop(0) if self.next() in wanted else ""

    def sum(self):
        found = self.product()
        while sign := self.take("+", "-"):
            found = found + self.product() if sign == "+" else found - self.product()
        return found

    def product(self):
        found = -self.power() if self.take("-") else self.power()
        while self.next() not in ("", "+", "-", ")", ","):
            divide = self.take("·", "∘", "/") == "/"
            found = found / self.power() if divide else found * self.power()
        return found

    def power(self):
        found = self.atom()
        while sign := self.take("ᵗ", *POWERS):
            found = found ** (self.names["t"] if sign == "ᵗ" else POWERS[sign])
        return found

    def atom(self):
        token = self.tokens.pop(0)
        if token == "(":
            found = self.sum()
            assert self.take(")")
            return found
        if token in FUNCTIONS and self.take("("):
            arguments = [self.sum()]
            while self.take(","):
                arguments.append(self.sum())
            assert self.take(")")
            return FUNCTIONS[token](*arguments)
        if token in FUNCTIONS:
            return FUNCTIONS[token](self.atom())
        return float(token) if token[0].isdecimal() else self.names[token]
