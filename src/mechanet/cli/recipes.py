"""Recipes: what `mechanet train` does where no option says otherwise; and what their words stand for."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

import mechanet as mn
from mechanet import checks, datasets
from mechanet.layers import ACTIVATIONS
from mechanet.optimizers import OPTIMIZERS

Rows = tuple[np.ndarray, np.ndarray]
MOST_CLASSES = 1000  # whole numbers above are rather values to regress on than labels


@dataclass(frozen=True)
class Recipe:
    """How to train; the fields are options of the command line."""

    layers: str = "128"
    activation: str = "relu"
    initializer: str = "he_normal"
    bias_initializer: str = "zeros"
    dropout: float = 0.0
    loss: str | None = None
    label_smoothing: float = 0.0
    optimizer: str = "adam"
    learning_rate: float | None = None
    momentum: float = 0.0
    weight_decay: float | None = None
    gradient_clip: float | None = None
    schedule: str = "cosine"
    batch_size: str = "128"
    epochs: int = 20
    validation: str = "none"
    early_stopping: int | None = None

    def with_options(self, **options: Any) -> "Recipe":
        """The recipe with the options that were given, those that are not None."""
        return replace(self, **{name: value for name, value in options.items() if value is not None})


RECIPES = {
    "default": Recipe(),
    # The network this project began from: 784-10-10, every weight and bias in (-½, ½), full-batch descent.
    "original": Recipe(
        layers="10", activation="relu", initializer="uniform", bias_initializer="uniform",
        optimizer="sgd", learning_rate=0.1, schedule="constant", batch_size="full", epochs=5000, validation="1000",
    ),
}  # fmt: skip
# The command line trains for few epochs, with a rate that falls to 0: Adam's can start higher than usual.
LEARNING_RATES = {name: kind().learning_rate for name, kind in OPTIMIZERS.items()}
LEARNING_RATES |= {"adam": 3e-3, "adamw": 3e-3}


def network_of(recipe: Recipe, data: datasets.Dataset, dtype: str, device: str, seed: int) -> mn.Network:
    """The network of a recipe, with the inputs and outputs that the data ask for."""
    x, y = _rows(data.train)
    activation = _activation(recipe.activation)
    layers: list[mn.Layer] = [mn.Scale(1 / 255)] if x.dtype == "uint8" else []
    for units in _sizes(recipe.layers):
        layers += [_dense(recipe, units), activation()]
        if recipe.dropout:
            layers.append(mn.Dropout(recipe.dropout))
    loss = _loss(recipe, y, data.classes)
    layers.append(_dense(recipe, _outputs(loss, y, data.classes)))
    return mn.Network(layers, x.shape[1:], loss, dtype, device, seed)


def training_of(recipe: Recipe, network: mn.Network, data: datasets.Dataset, seed: int,
                make: Callable[..., mn.Training] = mn.Training) -> mn.Training:  # fmt: skip
    """The training of a recipe, with the rows that are held out of it as its validation."""
    (x, y), held_out = hold_out(recipe.validation, data, seed)
    return make(
        network, x, y, optimizer=_optimizer(recipe), batch_size=_batch_size(recipe.batch_size),
        validation=held_out, schedule=words(recipe.schedule),
        gradient_clip=recipe.gradient_clip, early_stopping=recipe.early_stopping, seed=seed,
    )  # fmt: skip


def hold_out(validation: str, data: datasets.Dataset, seed: int) -> tuple[Rows, Rows | None]:
    """The rows to train on, and those that are watched meanwhile.

    "none"; "test", the rows to test with; a count, the first so many of the rows to train on; or a share of
    them, drawn at random by the seed. Of the rows to train on none is in both.
    """
    x, y = _rows(data.train)
    n = len(x)
    if validation == "none":
        return (x, y), None
    if validation == "test":
        if data.test is None or data.test.y is None:
            raise ValueError("--validation test expects labelled rows to test with. Received: data without them.")
        return (x, y), _rows(data.test)
    expected = f'--validation expects "none", "test", a share in (0, 1), or a count below the {n} rows.'
    try:
        first = validation.isdecimal()
        count = int(validation) if first else round(checks.real("share", float(validation), 0.0, 1.0) * n)
        if not 0 < count < n:
            raise ValueError
    except ValueError:
        raise ValueError(f"{expected} Received: {validation!r}.") from None
    order = mn.backend.arange(n) if first else mn.backend.generator(seed).permutation(n)
    held, kept = order[:count], order[count:]
    return (x[kept], y[kept]), (x[held], y[held])


def _rows(split: datasets.Split | None) -> Rows:
    assert split is not None
    assert split.y is not None
    return split.x, split.y


def words(name: str) -> str:
    """A name as the library writes it: one-cycle is one_cycle."""
    return name.replace("-", "_")


def dashed(names: Iterable[str]) -> str:
    """Names as the command line writes them, for a help text."""
    return ", ".join(name.replace("_", "-") for name in names)


def _sizes(layers: str) -> list[int]:
    if layers == "none":
        return []
    sizes = layers.split(",")
    if not all(size.strip().isdecimal() and int(size) for size in sizes):
        raise ValueError(
            f'--layers expects the units of each hidden layer, such as 128 or 512,256, or "none". '
            f"Received: {layers!r}."
        )
    return [int(size) for size in sizes]


def _batch_size(batch_size: str) -> int | None:
    if batch_size == "full":
        return None
    if not (batch_size.isdecimal() and int(batch_size)):
        raise ValueError(f'--batch-size expects a number of rows, or "full". Received: {batch_size!r}.')
    return int(batch_size)


def _activation(name: str) -> type[mn.Layer]:
    return ACTIVATIONS[checks.one_of("activation", words(name), ACTIVATIONS)]


def _dense(recipe: Recipe, units: int) -> mn.Dense:
    return mn.Dense(units, words(recipe.initializer), words(recipe.bias_initializer))


def _loss(recipe: Recipe, labels: np.ndarray, classes: tuple[str, ...] | None) -> mn.Loss:
    name = recipe.loss and words(recipe.loss)
    if name is None:
        name = "cross_entropy" if labels.dtype.kind in "iu" else "squared_error"
        if name == "cross_entropy" and classes is None and labels.max() >= MOST_CLASSES:
            raise ValueError(
                f"expected labels below {MOST_CLASSES}. Received: {labels.max()}. Are these values to regress "
                "on? Then add --loss squared_error; or number the classes from 0."
            )
    loss = mn.losses.loss_from(name)
    if recipe.label_smoothing:
        if name != "cross_entropy":
            raise ValueError(f"--label-smoothing goes with --loss cross_entropy. Received: {name}.")
        loss = mn.CrossEntropy(label_smoothing=recipe.label_smoothing)
    return loss


def _outputs(loss: mn.Loss, labels: np.ndarray, classes: tuple[str, ...] | None) -> int:
    if not isinstance(loss, mn.CrossEntropy):
        return 1
    return len(classes) if classes else max(2, int(labels.max()) + 1)


def _optimizer(recipe: Recipe) -> mn.Optimizer:
    name = words(recipe.optimizer)
    kind = OPTIMIZERS[checks.one_of("optimizer", name, OPTIMIZERS)]
    options = {"learning_rate": LEARNING_RATES[name]}
    if recipe.learning_rate is not None:
        options["learning_rate"] = recipe.learning_rate
    if recipe.weight_decay is not None:
        options["weight_decay"] = recipe.weight_decay
    if recipe.momentum:
        if "momentum" not in {field.name for field in fields(kind)}:
            raise ValueError(f"--momentum goes with --optimizer sgd or momentum. Received: {recipe.optimizer}.")
        options["momentum"] = recipe.momentum
    return kind(**options)
