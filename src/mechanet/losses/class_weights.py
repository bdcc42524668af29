"""Class weights: one number a class, as a sequence or a mapping from label to number; 1 for those left out."""

from collections.abc import Mapping, Sequence
from typing import Any, Self, TypeAlias

from mechanet import checks
from mechanet.losses.base import Loss
from mechanet.types import Array

ClassWeight: TypeAlias = Sequence[float] | Mapping[int, float] | None


class WeighsClasses(Loss):
    """A loss with an option `class_weight`."""

    class_weight: ClassWeight

    def to_plain(self) -> dict[str, Any]:
        """Of a mapping, pairs: JSON has no integer keys."""
        return {**super().to_plain(), "class_weight": to_plain(self.class_weight)}

    @classmethod
    def from_plain(cls, options: dict[str, Any]) -> Self:
        """One with the options that `to_plain` gave."""
        return super().from_plain({**options, "class_weight": from_plain(options.get("class_weight"))})


def of_rows(class_weight: ClassWeight, labels: Array, classes: int) -> Array | None:
    """The weight of each row's class, float64 (m,), or None without class weights."""
    if class_weight is None:
        return None
    if isinstance(class_weight, Mapping):
        unknown = [label for label in class_weight if label not in range(classes)]
        if unknown:
            raise ValueError(
                f"class_weight expects labels from 0 to {classes - 1}. Received: label {unknown[0]!r}."
            )
        table = [class_weight.get(label, 1.0) for label in range(classes)]
    else:
        table = list(class_weight)
    if len(table) != classes:
        raise ValueError(f"class_weight expects {classes} numbers, one a class. Received: {len(table)}.")
    table = [checks.real("class_weight", weight, 0.0) for weight in table]
    weights = labels.astype("float64")
    for label, weight in enumerate(table):
        weights[labels == label] = weight
    return weights


def to_plain(class_weight: ClassWeight) -> list[Any] | None:
    """Class weights as plain data."""
    if class_weight is None:
        return None
    if isinstance(class_weight, Mapping):
        return [[int(label), float(weight)] for label, weight in class_weight.items()]
    return [float(weight) for weight in class_weight]


def from_plain(plain: Any) -> ClassWeight:
    """The class weights that `to_plain` described."""
    if plain is not None and not isinstance(plain, (list, tuple)):
        raise TypeError(f"class_weight expects a list. Received: class_weight={plain!r}.")
    if not plain or not isinstance(plain[0], (list, tuple)):
        return plain
    return {checks.integer("label", label, 0): checks.real("class_weight", weight, 0.0) for label, weight in plain}
