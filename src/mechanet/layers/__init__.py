"""Layers: each forward beside its backward.

A layer describes itself: the shape it gives, the parameters it needs, how they start. It owns no numbers: a
network binds it to an array namespace and to views (W, b) into its one vector θ and (dW, db) into the
gradient. What backward needs is returned by forward as `cache`; nothing is written onto the layer.

X and dX are the layer's input and dL/dX, A (or Z) and dA (or dZ) its output and dL/dA. m is the number of rows.
"""

from collections.abc import Mapping
from typing import Any

from mechanet import checks
from mechanet.layers.activation import (
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

LAYERS = {
    layer.__name__: layer
    for layer in (
        Dense, ReLU, LeakyReLU, ELU, GELU, SiLU, Sigmoid, Tanh, Softplus, Dropout, Flatten, Reshape, Scale,
    )
}  # fmt: skip


def layer_from_config(config: Mapping[str, Any]) -> Layer:
    """Return the layer that `Layer.config` described."""
    options = dict(config)
    return LAYERS[checks.one_of("layer", options.pop("layer", None), LAYERS)](**options)


__all__ = [
    *LAYERS, "LAYERS", "Activation", "ActivationLayer", "Composite", "Gather", "Layer", "Parameter", "Pass",
    "Statistic", "Views", "chain_shapes", "layer_from_config",
]  # fmt: skip
