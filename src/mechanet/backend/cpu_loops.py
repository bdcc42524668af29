"""The loops of `cpu_loops.c`, loaded: one pass where NumPy makes several.

They are there where the package was built with a C compiler; `mechanet.kernels` calls them.
"""

import contextlib
import ctypes
import functools
import os
import zlib
from typing import Any

import numpy as np

# The arguments of each loop: n a count, p an array, r a real number, b a truth; then what it returns, if anything.
SIGNATURES = {
    "sgd": "npppr",
    "sgd_momentum": "npppprrb",
    "velocity": "npppprrb",
    "rmsprop": "npppprrr",
    "adam": "nppppprrrr",
    "shrink": "nppr",
    "bias_relu": "nnpp",
    "sum_rows": "nnpp",
    "relu_backward": "nnppp",
    "gathered_rows": "nnnppp n",
    "scaled_rows": "nnnpprp n",
    "less_largest": "nnppppp n",
    "softmax_less_labels": "nnpppp",
}


def _load(dtype: str, number: Any) -> ctypes.CDLL:
    """The loops for numbers of type `dtype`.

    OSError where they were not built, or from another text than this; AttributeError where one is missing.
    """
    stem = os.path.splitext(__file__)[0]
    with open(f"{stem}.c", "rb") as source:
        library = ctypes.CDLL(f"{stem}_{zlib.crc32(source.read()):08x}_{dtype}.so")
    kinds = {"n": ctypes.c_int64, "p": ctypes.c_void_p, "r": number, "b": ctypes.c_int}
    for name, signature in SIGNATURES.items():
        arguments, _, result = signature.partition(" ")
        function = getattr(library, name)
        function.argtypes = [kinds[letter] for letter in arguments]
        function.restype = kinds.get(result)
    return library


LOOPS: dict[Any, ctypes.CDLL] = {}
Char: Any = ctypes.c_char
with contextlib.suppress(OSError, AttributeError):
    LOOPS |= {
        np.dtype("float32"): _load("float32", ctypes.c_float),
        np.dtype("float64"): _load("float64", ctypes.c_double),
    }


def writes(array: np.ndarray) -> Any:
    """Where a loop may write; TypeError where it may not, or where the numbers do not lie one after another."""
    return ctypes.byref(Char.from_buffer(array))  # faster than the array's own ways to say it


def at(array: np.ndarray | None) -> Any:
    """Where a loop reads: the numbers of a contiguous array."""
    if array is None:
        return None
    try:
        return writes(array)
    except TypeError:  # read-only
        if not array.flags.c_contiguous:
            raise ValueError("a loop expects an array whose numbers lie one after another") from None
        return array.ctypes.data


def suits(array: np.ndarray, dtype: Any) -> bool:
    """Whether a loop for `dtype` may run over the array as it lies."""
    flags = array.flags
    return array.dtype == dtype and flags.c_contiguous and flags.aligned


def sum_rows(A: np.ndarray, out: np.ndarray) -> None:
    """out ← Σ_rows A, by a loop, or as the product 1ᵀ A: faster than NumPy's own sum along the first axis."""
    if LOOPS and suits(A, out.dtype):
        LOOPS[A.dtype].sum_rows(*A.shape, at(A), writes(out))
    else:
        np.matmul(_ones(A.shape[0], A.dtype), A, out=out)


@functools.lru_cache(maxsize=16)
def _ones(length: int, dtype: Any) -> np.ndarray:
    return np.ones(length, dtype)
