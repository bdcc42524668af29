"""Class weights: one number a class, as a sequence or a mapping from label to number; 1 for those left out."""

from collections.abc import Mapping

from mechanet import checks


def to_plain(class_weight):
    """Class weights as plain data; a mapping becomes pairs, since JSON has no integer keys."""
    if class_weight is None:
        return None
    if isinstance(class_weight, Mapping):
        return [[int(label), float(weight)] for label, weight in class_weight.items()]
    return [float(weight) for weight in class_weight]


def of_rows(class_weight, labels, classes):
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


def from_plain(plain):
    """The class weights that `to_plain` described."""
    if plain is not None and not isinstance(plain, (list, tuple)):
        raise TypeError(f"class_weight expects a list. Received: class_weight={plain!r}.")
    if not plain or not isinstance(plain[0], (list, tuple)):
        return plain
    return {checks.integer("label", label, 0): checks.real("class_weight", weight, 0.0) for label, weight in plain}
