"""A neural network whose mechanics you can read, watch and trust, on any array backend."""

import importlib
from typing import TYPE_CHECKING, Any

from mechanet import initializers, losses, optimizers, schedules
from mechanet.backend import Device, DeviceError, devices
from mechanet.explain import explain
from mechanet.layers import (
    ELU,
    GELU,
    Activation,
    Dense,
    Dropout,
    Flatten,
    Layer,
    LeakyReLU,
    ReLU,
    Reshape,
    Scale,
    Sigmoid,
    SiLU,
    Softplus,
    Tanh,
)
from mechanet.losses import BinaryCrossEntropy, CrossEntropy, Huber, Loss, Poisson, SquaredError
from mechanet.network import Network
from mechanet.optimizers import SGD, Adam, AdamHat, AdamW, Momentum, Optimizer, RMSProp
from mechanet.registry import register
from mechanet.training import EarlyStopping, Training
from mechanet.training.divergence import DivergenceError
from mechanet.training.fit import fit
from mechanet.training.history import Epoch, History

if TYPE_CHECKING:
    from mechanet import datasets, estimators, plots
    from mechanet.explain.explanation import Explanation
    from mechanet.gradcheck import check_gradients

__version__ = "0.1.0"

# What a training can do without, and where it is: loaded when it is first used.
LAZY = {
    "Explanation": "explain.explanation",
    "check_gradients": "gradcheck",
    "datasets": "datasets",
    "estimators": "estimators",
    "plots": "plots",
}

__all__ = [
    "ELU",
    "GELU",
    "SGD",
    "Activation",
    "Adam",
    "AdamHat",
    "AdamW",
    "BinaryCrossEntropy",
    "CrossEntropy",
    "Dense",
    "Device",
    "DeviceError",
    "DivergenceError",
    "Dropout",
    "EarlyStopping",
    "Epoch",
    "Explanation",
    "Flatten",
    "History",
    "Huber",
    "Layer",
    "LeakyReLU",
    "Loss",
    "Momentum",
    "Network",
    "Optimizer",
    "Poisson",
    "RMSProp",
    "ReLU",
    "Reshape",
    "Scale",
    "SiLU",
    "Sigmoid",
    "Softplus",
    "SquaredError",
    "Tanh",
    "Training",
    "check_gradients",
    "datasets",
    "devices",
    "estimators",
    "explain",
    "fit",
    "initializers",
    "losses",
    "optimizers",
    "plots",
    "register",
    "schedules",
]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    if name not in LAZY:
        raise AttributeError(f"module 'mechanet' has no attribute {name!r}")
    module = importlib.import_module(f"mechanet.{LAZY[name]}")
    return module if name == LAZY[name] else getattr(module, name)
