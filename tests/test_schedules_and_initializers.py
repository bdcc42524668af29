"""Schedules against hand-worked values and PyTorch's; initializers against the papers' ranges and variances."""

import math

import numpy as np
import pytest

from mechanet import initializers, schedules
from mechanet.initializers import INITIALIZERS, initializer_from
from mechanet.schedules import SCHEDULES, schedule_from

BY_HAND = [
    (schedules.Constant(), {0.0: 1, 0.5: 1, 1.0: 1}),
    (schedules.Step(3, 0.1), {0.0: 1, 0.33: 1, 0.34: 0.1, 0.66: 0.1, 0.67: 0.01, 1.0: 0.01}),
    (schedules.Exponential(0.01), {0.0: 1, 0.5: 0.1, 1.0: 0.01}),
    (schedules.Cosine(), {0.0: 1, 1 / 3: 0.75, 0.5: 0.5, 2 / 3: 0.25, 1.0: 0}),
    (schedules.Cosine(0.2), {0.0: 1, 0.5: 0.6, 1.0: 0.2}),
    (schedules.WarmUp(0.1), {0.0: 0, 0.05: 0.5, 0.1: 1, 1.0: 1}),
    (schedules.WarmUp(0.2, schedules.Cosine(), 0.5), {0.0: 0.5, 0.1: 0.75, 0.2: 1, 0.6: 0.5, 1.0: 0}),
    (schedules.OneCycle(0.25, 10, 0), {0.0: 0.1, 0.125: 0.55, 0.25: 1, 0.625: 0.5, 1.0: 0}),
]


def test_every_schedule_and_initializer_is_tested():
    missing = set(SCHEDULES.values()) - {type(schedule) for schedule, _ in BY_HAND}
    assert not missing, f"write {missing} with values worked by hand into BY_HAND"
    missing = set(INITIALIZERS) - set(VARIANCE)
    assert not missing, f"write the variance of {missing} for 300 inputs and 200 outputs into VARIANCE, from the paper"


@pytest.mark.parametrize(("schedule", "values"), BY_HAND, ids=repr)
def test_schedules_by_hand(schedule, values):
    for progress, factor in values.items():
        assert schedule(progress) == pytest.approx(factor, abs=1e-12)


def test_schedules_are_pytorchs():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    steps = 50

    def theirs(make):
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        schedule, rates = make(optimizer), []
        for _ in range(steps):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        return rates

    def ours(schedule):
        return [schedule(step / (steps - 1)) for step in range(steps)]

    np.testing.assert_allclose(
        ours(schedules.Cosine()),
        theirs(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, steps - 1)), atol=1e-9,
    )  # fmt: skip
    fraction = (0.3 * steps - 1) / (steps - 1)  # theirs peaks at step 0.3 · steps - 1
    np.testing.assert_allclose(
        ours(schedules.OneCycle(fraction, 25.0, 1e-4 / 25.0)),
        theirs(lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 1.0, total_steps=steps + 1 - 1, pct_start=0.3)),
        atol=1e-9,
    )


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule_configuration_there_and_back(name):
    assert schedule_from(schedule_from(name).config()) == schedule_from(name)


def test_nested_schedule_configuration_there_and_back():
    schedule = schedules.WarmUp(0.2, schedules.Step(2, 0.5))
    assert schedule_from(schedule.config()) == schedule


VARIANCE = {
    "he_normal": 2 / 300, "he_uniform": 2 / 300, "glorot_normal": 2 / 500, "glorot_uniform": 2 / 500,
    "lecun_normal": 1 / 300, "lecun_uniform": 1 / 300, "uniform": 1 / 12, "zeros": 0.0,
}  # fmt: skip


@pytest.mark.parametrize("name", VARIANCE)
def test_initializers_have_the_papers_variance(name):
    draws = initializer_from(name)(np.random.default_rng(0), (300, 200), 300, 200)
    assert draws.shape == (300, 200)
    # 60,000 draws: the mean is within 5 standard errors, the variance within 5 % of the paper's.
    assert abs(draws.mean()) <= 5 * math.sqrt(VARIANCE[name] / 60_000)
    assert draws.var() == pytest.approx(VARIANCE[name], rel=0.05)


@pytest.mark.parametrize(
    ("name", "limit"), [("he_uniform", 0.02), ("glorot_uniform", 0.012), ("lecun_uniform", 0.01)]
)
def test_uniform_initializers_have_the_papers_limits(name, limit):
    """√(6/300), √(6/500), √(3/300), each squared."""
    draws = initializer_from(name)(np.random.default_rng(0), (300, 200), 300, 200)
    assert np.abs(draws).max() <= math.sqrt(limit)
    assert np.abs(draws).max() >= 0.999 * math.sqrt(limit)


@pytest.mark.parametrize("name", INITIALIZERS)
def test_initializer_configuration_there_and_back(name):
    assert initializer_from(initializer_from(name).config()) == initializer_from(name)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: schedules.Step(0), "steps expects an integer of at least 1. Received: steps=0."),
        (lambda: schedules.WarmUp(1.0), "fraction expects a number in (0, 1). Received: fraction=1.0."),
        (lambda: schedule_from("cosin"), "Did you mean 'cosine'?"),
        (lambda: initializers.Uniform(1, 0), "high expects a finite number of at least 1. Received: high=0."),
        (lambda: initializer_from("he"), "initializer expects one of "),
    ],
)
def test_wrong_options(make, text):
    with pytest.raises(ValueError) as caught:
        make()
    assert text in str(caught.value)
