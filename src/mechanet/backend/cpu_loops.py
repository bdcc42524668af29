"""The compiled loops of `cpu_loops.c`: one pass over the arrays where NumPy makes several.

They exist if the package was built with a C compiler; `mechanet.kernels` calls them.
"""

import contextlib
import ctypes
import os
import zlib
from typing import Any

import numpy as np

from mechanet.backend import constants

# The arguments of each loop: n a count, p an array, r a real number, b a boolean; then what it returns, if any.
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

    OSError if they were not built, or built from another version of the source; AttributeError if one is missing.
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


def writable(array: np.ndarray) -> Any:
    """A pointer for a loop to write through; TypeError unless the array is writable and contiguous."""
    return ctypes.byref(Char.from_buffer(array))  # faster than `array.ctypes`


def pointer(array: np.ndarray | None) -> Any:
    """A pointer for a loop to read from; ValueError unless the array is contiguous. None is a null pointer."""
    if array is None:
        return None
    try:
        return writable(array)
    except TypeError:  # read-only
        if not array.flags.c_contiguous:
            raise ValueError(f"a loop expects a contiguous array. Received: strides={array.strides}.") from None
        return array.ctypes.data


def suits(array: np.ndarray, dtype: Any) -> bool:
    """Whether a loop for `dtype` can run on the array without a copy."""
    flags = array.flags
    return array.dtype == dtype and flags.c_contiguous and flags.aligned


def sum_rows(A: np.ndarray, out: np.ndarray) -> None:
    """out ← Σ_rows A, by a loop, or as the product 1ᵀ A: faster than NumPy's own sum along the first axis."""
    if LOOPS and suits(A, out.dtype):
        LOOPS[A.dtype].sum_rows(*A.shape, pointer(A), writable(out))
    else:
        np.matmul(constants.ones(A.shape[0], A.dtype), A, out=out)
