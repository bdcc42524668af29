"""Constant vectors on the host: one of each type, as long as the longest that was ever asked for."""

from collections.abc import Callable
from typing import Any

import numpy as np


class Constant:
    """``constant(length, dtype)`` is a read-only view of the first numbers of a vector that grows when needed."""

    def __init__(self, make: Callable[[int, Any], np.ndarray]):
        self.make = make
        self.vectors: dict[Any, np.ndarray] = {}

    def __call__(self, length: int, dtype: Any) -> np.ndarray:
        vector = self.vectors.get(dtype)
        if vector is None or len(vector) < length:
            vector = self.make(length, dtype)
            vector.flags.writeable = False
            self.vectors[dtype] = vector  # if two threads do this at once, each has one that is long enough
        return vector[:length]


zeros = Constant(np.zeros)
ones = Constant(np.ones)
counting = Constant(lambda length, dtype: np.arange(length, dtype=dtype))  # 0, 1, ..., length - 1
