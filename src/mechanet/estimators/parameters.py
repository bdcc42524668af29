"""Constructor parameters: what each may be, and the layers and the optimizer that they describe."""

import math
from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np

from mechanet import checks
from mechanet.initializers import Uniform
from mechanet.layers import ACTIVATIONS as NAMED_ACTIVATIONS
from mechanet.layers import Activation, Dense, Dropout, Layer, Sigmoid
from mechanet.losses import LOSSES, Loss
from mechanet.optimizers import AdamHat, Momentum, Optimizer
from mechanet.schedules import SCHEDULES, Schedule

try:
    from sklearn.utils._param_validation import InvalidParameterError
except ImportError:  # a private name: should it move, both of its bases are still caught

    class InvalidParameterError(ValueError, TypeError):  # type: ignore[no-redef]
        """A parameter of an estimator that has the wrong type or value."""


SOLVERS = ("lbfgs", "sgd", "adam")
POLICIES = ("constant", "invscaling", "adaptive")
ACTIVATIONS: dict[str, type[Layer] | None] = {"identity": None, "logistic": Sigmoid, **NAMED_ACTIVATIONS}
REGRESSION_LOSSES = {name: loss for name, loss in LOSSES.items() if not loss.classifies}


def check(estimator) -> None:
    """Check the parameters of an estimator.

    Raises
    ------
    InvalidParameterError
        A ValueError and a TypeError, as scikit-learn's estimators raise it.
    """
    given = estimator.get_params(deep=False)
    try:
        for name, rule in RULES.items():
            if name in given:
                rule(name, given[name])
        activations_of(given["activation"], hidden_sizes(given["hidden_layer_sizes"]))
        rates = dropout_of(given["dropout"], hidden_sizes(given["hidden_layer_sizes"]))
    except (ValueError, TypeError) as error:
        raise InvalidParameterError(f"{type(estimator).__name__}: {error}") from None
    if any(rates) and given["solver"] == "lbfgs":
        raise ValueError(
            "lbfgs expects a loss that is the same at each evaluation. Received: solver='lbfgs' with "
            f"dropout={given['dropout']!r}. Use solver='adam' or 'sgd', or alpha to regularize."
        )


def hidden_sizes(sizes) -> list[int]:
    """The units of the hidden layers, as a list."""
    sizes = [sizes] if isinstance(sizes, Integral) else list(sizes)
    for size in sizes:
        if isinstance(size, (bool, np.bool_)) or not isinstance(size, Integral):
            raise TypeError(f"hidden_layer_sizes expects integers. Received: {size!r}.")
        if size <= 0:
            raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
    return [int(size) for size in sizes]


def activations_of(activation, sizes: list[int]) -> list[Layer | None]:
    """One activation layer for each hidden layer; None for the identity."""
    if isinstance(activation, (str, Layer)) or _is_pair(activation):
        return [_activation(activation) for _ in sizes]
    if not isinstance(activation, Sequence):
        raise TypeError(
            "activation expects a name, a layer such as mechanet.LeakyReLU(0.1), a pair (forward, backward) of "
            f"functions, or a list with one of these for each hidden layer. Received: activation={activation!r}."
        )
    if len(activation) != len(sizes):
        raise ValueError(
            f"activation expects one entry for each of {len(sizes)} hidden layers. Received: {len(activation)}."
        )
    return [_activation(one) for one in activation]


def _is_pair(activation) -> bool:
    return isinstance(activation, tuple) and len(activation) == 2 and all(map(callable, activation))


def _activation(value) -> Layer | None:
    if isinstance(value, Layer):
        return value
    if _is_pair(value):
        return Activation(*value)
    kind = ACTIVATIONS[checks.one_of("activation", value, ACTIVATIONS)]
    return None if kind is None else kind()


def dropout_of(dropout, sizes: list[int]) -> list[float]:
    """The rate of the dropout after each hidden layer."""
    if isinstance(dropout, Sequence) and not isinstance(dropout, str):
        if len(dropout) != len(sizes):
            raise ValueError(
                f"dropout expects one rate, or one for each of {len(sizes)} hidden layers. "
                f"Received: {len(dropout)}."
            )
        return [checks.real("dropout", rate, 0.0, 1.0, open_high=True) for rate in dropout]
    return [checks.real("dropout", dropout, 0.0, 1.0, open_high=True)] * len(sizes)


def layers_of(estimator, n_features: int, n_outputs: int) -> list[Layer]:
    """The chain from the features to the raw scores.

    W and b start from U(-a, a) with a = √(6 / (n_in + n_out)), or √(2 / (n_in + n_out)) for the logistic sigmoid,
    as in scikit-learn (Glorot and Bengio 2010, equation 16).
    """
    sizes = hidden_sizes(estimator.hidden_layer_sizes)
    activations = activations_of(estimator.activation, sizes)
    rates = dropout_of(estimator.dropout, sizes)
    layers: list[Layer] = []
    factor = 2.0 if estimator.activation == "logistic" else 6.0
    n_in = n_features
    for units, activation, rate in zip(sizes, activations, rates, strict=True):
        factor = 2.0 if isinstance(activation, Sigmoid) else 6.0
        layers.append(_dense(n_in, units, factor))
        if activation is not None:
            layers.append(activation)
        if rate:
            layers.append(Dropout(rate))
        n_in = units
    return [*layers, _dense(n_in, n_outputs, factor)]


def _dense(n_in: int, n_out: int, factor: float) -> Dense:
    a = math.sqrt(factor / (n_in + n_out))
    return Dense(n_out, Uniform(-a, a), Uniform(-a, a))


def optimizer_of(estimator) -> Optimizer:
    """The optimizer of a stochastic solver."""
    if estimator.solver == "adam":
        return AdamHat(estimator.learning_rate_init, estimator.beta_1, estimator.beta_2, estimator.epsilon)
    return Momentum(estimator.learning_rate_init, estimator.momentum, bool(estimator.nesterovs_momentum))


def schedule_of(estimator) -> Schedule | str | None:
    """The schedule of a training; None for scikit-learn's policies, which go by epochs and losses."""
    policy = isinstance(estimator.learning_rate, str) and estimator.learning_rate in POLICIES
    return None if policy else estimator.learning_rate


def regression_loss(loss) -> Loss:
    """The loss of a regression, given by name or as an object."""
    if isinstance(loss, Loss):
        if loss.classifies:
            raise ValueError(f"loss expects a loss for regression. Received: loss={loss!r}. Use MLPClassifier.")
        return loss
    return REGRESSION_LOSSES[checks.one_of("loss", loss, REGRESSION_LOSSES)]()


def _real(low, high=math.inf, **open_ends):
    return lambda name, value: checks.real(name, value, low, high, **open_ends)


def _boolean(name, value):
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} expects True or False. Received: {name}={value!r}.")


def _verbose(name, value):
    if not isinstance(value, (bool, np.bool_)):
        checks.integer(name, value, 0)


def _batch_size(name, value):
    if not (isinstance(value, str) and value == "auto"):
        checks.integer(name, value)


def _count_or_endless(name, value):
    if not (isinstance(value, float) and value == math.inf):
        checks.integer(name, value)


def _learning_rate(name, value):
    if not isinstance(value, Schedule):
        checks.one_of(name, value, {*POLICIES, *SCHEDULES})


def _gradient_clip(name, value):
    if value is not None:
        checks.real(name, value, 0.0, open_low=True)


def _class_weight(name, value):
    balanced = isinstance(value, str) and value == "balanced"
    if not (value is None or balanced or isinstance(value, (Mapping, list))):
        raise ValueError(f"{name} expects None, 'balanced' or a mapping of labels. Received: {name}={value!r}.")


def _validation_data(name, value):
    if value is not None and not (isinstance(value, (tuple, list)) and len(value) in (2, 3)):
        raise TypeError(
            f"{name} expects (X, y) or (X, y, sample_weight). Received: {name} of type {type(value).__name__}."
        )


def _on_epoch(name, value):
    if value is not None and not callable(value):
        raise TypeError(f"{name} expects a function of the estimator and the epoch. Received: {name}={value!r}.")


def _dtype(name, value):
    if value is not None:
        checks.one_of(name, getattr(value, "__name__", str(value)), ("float32", "float64"))


RULES: dict[str, Any] = {
    "hidden_layer_sizes": lambda name, value: hidden_sizes(value),
    "solver": lambda name, value: checks.one_of(name, value, SOLVERS),
    "loss": lambda name, value: regression_loss(value),
    "alpha": _real(0.0),
    "batch_size": _batch_size,
    "learning_rate": _learning_rate,
    "learning_rate_init": _real(0.0, open_low=True),
    "power_t": _real(0.0),
    "max_iter": checks.integer,
    "shuffle": _boolean,
    "tol": _real(0.0),
    "verbose": _verbose,
    "warm_start": _boolean,
    "momentum": _real(0.0, 1.0),
    "nesterovs_momentum": _boolean,
    "early_stopping": _boolean,
    "validation_fraction": _real(0.0, 1.0, open_high=True),
    "beta_1": _real(0.0, 1.0, open_high=True),
    "beta_2": _real(0.0, 1.0, open_high=True),
    "epsilon": _real(0.0, open_low=True),
    "n_iter_no_change": _count_or_endless,
    "max_fun": checks.integer,
    "dtype": _dtype,
    "label_smoothing": _real(0.0, 1.0, open_high=True),
    "class_weight": _class_weight,
    "gradient_clip": _gradient_clip,
    "validation_data": _validation_data,
    "on_epoch": _on_epoch,
}
