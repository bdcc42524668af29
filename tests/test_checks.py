"""Checks and the wording of errors: every number that is an option, the ends of its range, and what lies beyond."""

from dataclasses import fields

import numpy as np
import pytest

import mechanet as mn
from mechanet import schedules
from mechanet.layers import LAYERS, layer_from_config
from mechanet.losses import LOSSES, loss_from_config
from mechanet.optimizers import OPTIMIZERS, optimizer_from
from mechanet.schedules import SCHEDULES, schedule_from

ABOVE_0, AT_LEAST_0, BELOW_1 = "a finite number above 0", "a finite number of at least 0", "a number in [0, 1)"
ADAMS = (mn.Adam, mn.AdamHat, mn.AdamW)
EVERY_OPTIMIZER = (mn.SGD, mn.Momentum, mn.RMSProp, *ADAMS)

OPTIONS = [
    # whose, option, what it expects, values that are taken, values that are not
    (EVERY_OPTIMIZER, "learning_rate", ABOVE_0, [1e-9, 5], [0, -1, np.inf]),
    (EVERY_OPTIMIZER, "weight_decay", AT_LEAST_0, [0, 2.5], [-0.1]),
    ((mn.SGD,), "momentum", BELOW_1, [0, 0.999], [1, 1.5, -0.1]),
    ((mn.Momentum,), "momentum", "a number in [0, 1]", [0, 1], [1.001, -0.1]),
    ((mn.RMSProp,), "rho", BELOW_1, [0, 0.999], [1, -0.1]),
    (ADAMS, "beta1", BELOW_1, [0, 0.999], [1, -0.1]),
    (ADAMS, "beta2", BELOW_1, [0, 0.9999], [1, -0.1]),
    ((mn.RMSProp, *ADAMS), "epsilon", ABOVE_0, [1e-30, 2], [0, -1]),
    ((schedules.Step,), "factor", ABOVE_0, [1e-9, 2], [0, -0.1]),
    ((schedules.Exponential,), "final", ABOVE_0, [1e-9, 2], [0, -0.1]),
    ((schedules.Cosine, schedules.OneCycle), "final", AT_LEAST_0, [0, 2], [-0.1]),
    ((schedules.WarmUp, schedules.OneCycle), "fraction", "a number in (0, 1)", [1e-9, 0.999], [0, 1]),
    ((schedules.WarmUp,), "start", "a number in [0, 1]", [0, 1], [-0.1, 1.1]),
    ((schedules.OneCycle,), "division", "a finite number of at least 1", [1, 1e3], [0.9]),
    ((mn.LeakyReLU,), "slope", "a number in [0, 1]", [0, 1], [-0.1, 1.1]),
    ((mn.ELU,), "alpha", ABOVE_0, [1e-9, 0.5, 3], [0, -1]),
    ((mn.Dropout,), "rate", BELOW_1, [0, 0.999], [1, -0.1]),
    ((mn.Scale,), "factor", "a finite number", [-2, 0, 1e9], [np.inf, np.nan]),
    ((mn.CrossEntropy,), "label_smoothing", BELOW_1, [0, 0.5], [1, -0.1]),
    ((mn.Huber,), "delta", ABOVE_0, [1e-9, 4], [0, -1]),
    ((mn.EarlyStopping,), "min_delta", AT_LEAST_0, [0, 0.1], [-0.1]),
]
CASES = [pytest.param(make, *rest, id=f"{make.__name__}-{rest[0]}") for makes, *rest in OPTIONS for make in makes]


def test_every_number_that_is_an_option_is_tested():
    tables = (OPTIMIZERS, SCHEDULES, LAYERS, LOSSES)
    kinds = {kind for table in tables for kind in table.values()}
    numbers = {(kind, field.name) for kind in kinds for field in fields(kind) if field.type in (float, "float")}
    assert {(make, option) for makes, option, *_ in OPTIONS for make in makes} == numbers | {(mn.EarlyStopping, "min_delta")}


@pytest.mark.parametrize(("make", "option", "expected", "fine", "wrong"), CASES)
def test_a_number_within_its_range_is_kept_and_beyond_it_refused_by_name(make, option, expected, fine, wrong):
    for value in fine:
        assert getattr(make(**{option: value}), option) == value
    for value in wrong:
        with pytest.raises(ValueError) as caught:
            make(**{option: value})
        assert str(caught.value) == f"{option} expects {expected}. Received: {option}={value!r}."
    for value in ("1", None, True, [1]):
        with pytest.raises(TypeError) as caught:
            make(**{option: value})
        assert str(caught.value) == f"{option} expects a number. Received: {option}={value!r}."


@pytest.mark.parametrize(
    ("read", "name"),
    [(optimizer_from, "optimizer"), (loss_from_config, "loss"), (layer_from_config, "layer"),
     (schedule_from, "schedule")],
)  # fmt: skip
def test_plain_data_without_a_name_or_with_another_is_refused(read, name):
    with pytest.raises(ValueError, match=f"^{name} expects one of .*Received: {name}=None"):
        read({})
    with pytest.raises(ValueError, match=f"^{name} expects one of .*Received: {name}='x'"):
        read({"name": "x", "layer": "x"})
