"""Checks of inputs, and the one wording of errors: what was expected, what was received, what to do."""

import math
import operator
from collections.abc import Iterable
from typing import Any

import numpy as np

CHUNK = 16_384


def one_of(name: str, value: Any, options: Iterable[str]) -> str:
    """Return `value` if it is one of `options`; else say which there are and which is nearest."""
    options = sorted(options)
    if value in options:
        return value
    import difflib  # only where something is wrong: it would slow down `import mechanet`

    near = difflib.get_close_matches(str(value), options, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"{name} expects one of {', '.join(options)}. Received: {name}={value!r}.{hint}")


def integer(name: str, value: Any, minimum: int = 1) -> int:
    """Return `value` as an int of at least `minimum`; booleans and floats are refused."""
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} expects an integer. Received: {name}={value!r}.") from None
    if number < minimum:
        raise ValueError(f"{name} expects an integer of at least {minimum}. Received: {name}={number}.")
    return number


def real(name: str, value: Any, low: float = -math.inf, high: float = math.inf, *, open_low=False,
         open_high=False) -> float:  # fmt: skip
    """Return `value` as a finite float within [low, high]; `open_low` and `open_high` exclude the ends."""
    if isinstance(value, (str, bytes, bool, np.bool_)):
        raise TypeError(f"{name} expects a number. Received: {name}={value!r}.")
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"{name} expects a number. Received: {name}={value!r}.") from None
    below = number <= low if open_low else number < low
    above = number >= high if open_high else number > high
    if not math.isfinite(number) or below or above:
        if math.isinf(low) and math.isinf(high):
            bounds = "a finite number"
        elif math.isinf(high):
            bounds = f"a finite number {'above' if open_low else 'of at least'} {low:g}"
        else:
            bounds = f"a number in {'(' if open_low else '['}{low:g}, {high:g}{')' if open_high else ']'}"
        raise ValueError(f"{name} expects {bounds}. Received: {name}={value!r}.")
    return number


def shape(name: str, value: Any) -> tuple[int, ...]:
    """Return `value`, an integer or a sequence of integers, as a tuple of positive integers."""
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        value = (value,)
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise TypeError(f"{name} expects a tuple of integers such as (784,). Received: {name}={value!r}.")
    return tuple(integer(f"{name}[{axis}]", size) for axis, size in enumerate(value))


def numeric(name: str, x: np.ndarray) -> np.ndarray:
    """Return host array `x` if its entries are real numbers or booleans."""
    if x.dtype.kind not in "buif":
        raise TypeError(
            f"{name} expects real numbers. Received: {name} with dtype={x.dtype}. "
            "Convert text and objects to numbers first, for example with x.astype('float32')."
        )
    return x


def rows(name: str, x: Any, row_shape: tuple[int, ...]) -> None:
    """Check that `x` is a non-empty batch of rows of shape `row_shape`."""
    received = tuple(x.shape)
    if len(received) != len(row_shape) + 1 or received[1:] != row_shape:
        wanted = ", ".join(["n", *map(str, row_shape)])
        if received == row_shape:
            hint = " For a single row pass x[None]."
        elif received[::-1][1:] == row_shape:
            hint = " Did you pass the batch transposed?"
        else:
            hint = ""
        raise ValueError(f"expected {name} of shape ({wanted}). Received: {name}.shape={received}.{hint}")
    if received[0] == 0:
        raise ValueError(f"expected at least one row in {name}. Received: {name}.shape={received}.")


def finite(name: str, x: np.ndarray) -> None:
    """Check, a block of rows at a time (`x` may be a memory map), that host array `x` has no NaN or infinity."""
    if x.dtype.kind != "f":
        return
    for start in range(0, x.shape[0], CHUNK):
        block = x[start : start + CHUNK]
        if not np.isfinite(block).all():
            at = np.argwhere(~np.isfinite(block))[0]
            index = (start + int(at[0]), *map(int, at[1:]))
            value = block[tuple(at)]
            raise ValueError(
                f"expected finite numbers in {name}. Received: {name}[{', '.join(map(str, index))}]={value}. "
                "Remove or fill in such rows first."
            )


def same_length(name: str, x: Any, other: str, y: Any) -> None:
    """Check that `x` and `y` have the same number of rows."""
    if x.shape[0] != y.shape[0]:
        raise ValueError(
            f"expected as many rows in {other} as in {name}. "
            f"Received: {name} with {x.shape[0]} rows, {other} with {y.shape[0]}."
        )


def weights(sample_weight: Any, n: int, class_weights: np.ndarray | None = None) -> np.ndarray | None:
    """Check weights of n rows, times the weights of their classes; float64 (n,), or None where all are 1."""
    if sample_weight is None:
        product = class_weights
    else:
        product = numeric("sample_weight", np.asarray(sample_weight)).astype("float64")
        if product.shape != (n,):
            raise ValueError(
                f"expected sample_weight of shape ({n},), one number a row. "
                f"Received: sample_weight.shape={product.shape}."
            )
        finite("sample_weight", product)
        if (product < 0).any():
            at = int((product < 0).argmax())
            raise ValueError(
                f"expected sample_weight of at least 0. Received: sample_weight[{at}]={product[at]:g}."
            )
        if class_weights is not None:
            product = product * class_weights
    if product is not None and not product.sum() > 0:
        raise ValueError("expected weights with a sum above 0. Received: the weights of all rows are 0.")
    return product
