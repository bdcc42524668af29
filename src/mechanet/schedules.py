"""Schedules: the learning rate's factor as a plain function of progress.

A schedule is called with the progress of the training, from 0 at the first step to 1 at the last, and
returns the factor by which the optimizer's learning rate is multiplied.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from mechanet import checks
from mechanet.registry import Family, Named, register


@dataclass(frozen=True)
class Schedule(Named):
    """What all schedules share. A schedule is a frozen dataclass: its fields are its options."""

    family: ClassVar[Family] = Family("schedule")

    def __call__(self, progress: float) -> float:
        """The learning rate's factor."""
        raise NotImplementedError


@dataclass(frozen=True)
class Constant(Schedule):
    """1, all the way."""

    def __call__(self, progress: float) -> float:
        return 1.0


@dataclass(frozen=True)
class Step(Schedule):
    """factor^⌊progress · steps⌋: the learning rate falls by `factor`, `steps` - 1 times, at equal distances."""

    steps: int = 3
    factor: float = 0.1

    def __post_init__(self) -> None:
        checks.integer("steps", self.steps)
        checks.real("factor", self.factor, 0.0, open_low=True)

    def __call__(self, progress: float) -> float:
        return self.factor ** min(math.floor(progress * self.steps), self.steps - 1)


@dataclass(frozen=True)
class Exponential(Schedule):
    """final^progress: falls by equal ratios to `final`."""

    final: float = 0.01

    def __post_init__(self) -> None:
        checks.real("final", self.final, 0.0, open_low=True)

    def __call__(self, progress: float) -> float:
        return math.pow(self.final, progress)


@dataclass(frozen=True)
class Cosine(Schedule):
    """final + (1 - final) ½ (1 + cos(π progress)) (Loshchilov and Hutter 2017, SGDR, equation 5)."""

    final: float = 0.0

    def __post_init__(self) -> None:
        checks.real("final", self.final, 0.0)

    def __call__(self, progress: float) -> float:
        return self.final + (1.0 - self.final) * 0.5 * (1.0 + math.cos(math.pi * progress))


@dataclass(frozen=True)
class WarmUp(Schedule):
    """From `start` linearly to 1 over the first `fraction` of the training, then another schedule over the rest.

    References
    ----------
    Goyal et al. (2017), Accurate, large minibatch SGD, section 2.2.
    """

    fraction: float = 0.1
    then: Schedule = Constant()
    start: float = 0.0

    def __post_init__(self) -> None:
        checks.real("fraction", self.fraction, 0.0, 1.0, open_low=True, open_high=True)
        checks.real("start", self.start, 0.0, 1.0)
        if not isinstance(self.then, Schedule):
            raise TypeError(f"then expects a schedule such as Cosine(). Received: then={self.then!r}.")

    def __call__(self, progress: float) -> float:
        if progress < self.fraction:
            return self.start + (1.0 - self.start) * progress / self.fraction
        return self.then((progress - self.fraction) / (1.0 - self.fraction))


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Up from 1 / `division` to 1 over the first `fraction` along a cosine, then down to `final` along another.

    References
    ----------
    Smith and Topin (2018), Super-convergence; cosine halves as in Howard and Gugger (2020), fastai.
    """

    fraction: float = 0.3
    division: float = 25.0
    final: float = 1e-5

    def __post_init__(self) -> None:
        checks.real("fraction", self.fraction, 0.0, 1.0, open_low=True, open_high=True)
        checks.real("division", self.division, 1.0)
        checks.real("final", self.final, 0.0)

    def __call__(self, progress: float) -> float:
        if progress < self.fraction:
            start, end, along = 1.0 / self.division, 1.0, progress / self.fraction
        else:
            start, end, along = 1.0, self.final, (progress - self.fraction) / (1.0 - self.fraction)
        return end + (start - end) * 0.5 * (1.0 + math.cos(math.pi * along))


SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Constant,
    "step": Step,
    "exponential": Exponential,
    "cosine": Cosine,
    "warm_up": WarmUp,
    "one_cycle": OneCycle,
}
for _schedule in SCHEDULES.values():
    register(_schedule)


def schedule_from(value: str | Mapping[str, Any] | Schedule | None) -> Schedule:
    """Return a schedule given by name, as an object, or as the plain data of `Schedule.config`."""
    if value is None:
        return Constant()
    if isinstance(value, Schedule):
        return value
    if isinstance(value, Mapping):
        return Schedule.from_config(value)
    return SCHEDULES[checks.one_of("schedule", value, SCHEDULES)]()
