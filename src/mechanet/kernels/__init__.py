"""Faster forms of the mathematics: the same as layers in a row, a loss or an optimizer, in fewer steps.

Each file here serves one kind of backend and ends in two tables. CHAINS gives the form of layers in a row, by
their classes; PIECES that of a loss, an optimizer or a function. Only the exact class counts: a subclass of yours
keeps its own lines. These files add speed and nothing else; a test compares each form with the plain lines.
"""

import importlib
from types import FunctionType, ModuleType
from typing import Any

import mechanet.backend.cpu_loops
from mechanet.backend import Backend, NumpyBackend
from mechanet.backend.cuda import CudaBackend
from mechanet.layers import Composite
from mechanet.losses import BoundLoss


def _forms(backend: Backend) -> ModuleType | None:
    """The file for `backend`, loaded on first use; None if there is none, or if it was left out."""
    if isinstance(backend, NumpyBackend):
        name = "mechanet.kernels.loops" if mechanet.backend.cpu_loops.LOOPS else "mechanet.kernels.cpu"
    elif isinstance(backend, CudaBackend):
        name = "mechanet.kernels.cuda"
    else:
        return None
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return None


def steps(backend: Backend, layers: tuple[Any, ...]) -> tuple[Any, ...]:
    """What runs for a chain of layers: the form of the longest run that has one, else the layer itself."""
    chains = getattr(_forms(backend), "CHAINS", {})
    found: list[Any] = []
    i = 0
    while i < len(layers):
        runs = (layers[i : i + n] for n in (2, 1))
        run = next((run for run in runs if tuple(map(type, run)) in chains), None)
        found.append(_inside(backend, layers[i]) if run is None else chains[tuple(map(type, run))](*run))
        i += len(run or (1,))
    return tuple(found)


def _inside(backend: Backend, layer: Any) -> Any:
    """A layer that has no form itself; the layers of a composite may have them."""
    if isinstance(layer, Composite):
        layer.steps = steps(backend, layer.steps)
    return layer


def fused(backend: Backend, plain: Any) -> Any:
    """What runs for a bound loss, an optimizer or a function: its form, or `plain` itself."""
    form = getattr(_forms(backend), "PIECES", {}).get(_key(plain))
    return form(plain) if form else plain


def _key(plain: Any) -> Any:
    """How PIECES knows it: a function itself, an object by its class, a bound loss by that of its loss."""
    if isinstance(plain, FunctionType):
        return plain
    return type(plain.plain if isinstance(plain, BoundLoss) else plain)
