"""One module per peer. Each has PACKAGE, the distribution whose version is printed, and a class Model:

    Model(case, X, Y, weights, device)   takes float32 rows, targets, and a list of (W, b) to start from
    model.epoch()                        one pass over X in shuffled batches (or all of X in one step)
    model.predict(X)                     labels, or values for regression, as a NumPy array
    model.weights()                      the list of (W, b) as NumPy arrays, W of shape (n_in, n_out)

A Model raises NotImplementedError where a peer has no such case.
"""

from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType


@dataclass(frozen=True)
class Peer:
    """How a peer is called, shown and found."""

    name: str
    title: str
    module: str
    needs: str  # the module that has to be importable
    device: str = "cpu"
    options: dict[str, object] = field(default_factory=dict)  # what its Model takes beside

    def missing(self) -> str | None:
        """Why this peer cannot take part, or None."""
        if find_spec(self.needs) is None:
            return f"{self.needs} is not installed"
        if self.device != "cpu" and not _cuda_works(self.needs):
            return "no CUDA device"
        return None

    def load(self) -> ModuleType:
        return import_module(f"benchmarks.peers.{self.module}")


def _cuda_works(package: str) -> bool:
    module = import_module(package)
    return bool(module.cuda.is_available())


PEERS = [
    Peer("mechanet", "mechanet", "own", "mechanet"),
    Peer("mechanet-numpy", "mechanet, NumPy alone", "own", "mechanet", options={"loops": False}),
    Peer("pytorch", "PyTorch", "pytorch", "torch"),
    Peer("sklearn", "scikit-learn", "scikit", "sklearn"),
    Peer("jax", "JAX", "jaxlike", "jax"),
    Peer("post", "the post's NumPy", "post", "numpy"),
    Peer("floor", "floor", "floor", "numpy"),
    Peer("mechanet-cuda", "mechanet, CUDA", "own", "cupy", "cuda"),
    Peer("pytorch-cuda", "PyTorch, CUDA", "pytorch", "torch", "cuda"),
]
