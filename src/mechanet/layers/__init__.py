"""Layers: each forward beside its backward.

A layer describes itself: the shape it gives, the parameters it needs, how they start. It owns no numbers: a
network binds it to an array namespace and to views (W, b) into its one vector θ and (dW, db) into the
gradient. What backward needs is returned by forward as `cache`; nothing is written onto the layer.

X and dX are the layer's input and dL/dX, A (or Z) and dA (or dZ) its output and dL/dA. m is the number of rows.
"""

from collections.abc import Mapping
from typing import Any

from mechanet.layers.activation import (
    ACTIVATIONS,
    ELU,
    GELU,
    Activation,
    ActivationLayer,
    LeakyReLU,
    ReLU,
    Sigmoid,
    SiLU,
    Softplus,
    Tanh,
)
from mechanet.layers.base import Layer, Parameter, Pass, Statistic, Views, chain_shapes
from mechanet.layers.composite import Composite
from mechanet.layers.dense import Dense
from mechanet.layers.dropout import Dropout
from mechanet.layers.gather import Gather
from mechanet.layers.shape import Flatten, Reshape, Scale
from mechanet.registry import register

_LISTED: list[type[Layer]] = [Dense, *ACTIVATIONS.values(), Dropout, Flatten, Reshape, Scale]
LAYERS = {layer.__name__: register(layer) for layer in _LISTED}


def layer_from_config(config: Mapping[str, Any]) -> Layer:
    """Return the layer that `Layer.config` described."""
    return Layer.from_config(config)


__all__ = [
    "ACTIVATIONS", "ELU", "GELU", "LAYERS", "Activation", "ActivationLayer", "Composite", "Dense", "Dropout",
    "Flatten", "Gather", "Layer", "LeakyReLU", "Parameter", "Pass", "ReLU", "Reshape", "Scale", "SiLU", "Sigmoid",
    "Softplus", "Statistic", "Tanh", "Views", "chain_shapes", "layer_from_config",
]  # fmt: skip
