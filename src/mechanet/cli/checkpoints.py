"""``mechanet train --checkpoint``: checkpoints written during a training, and a training resumed from them."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mechanet as mn
from mechanet.training import checkpoints
from mechanet.training.fit import shown

SAME = ("network", "optimizer", "schedule", "gradient_clip", "early_stopping", "seed")


def check(checkpoint: Path | None, every: str, keep: int, resume: bool) -> None:
    """Check the options of checkpoints, before the data is loaded."""
    checkpoints.check_every(every)
    mn.checks.integer("keep", keep)
    if resume and checkpoint is None:
        raise ValueError("--resume expects --checkpoint DIR, the folder to go on from. Received: no such option.")


def resumed(checkpoint: Path, network: mn.Network, x, y, *, validation, **options: Any) -> mn.Training:
    """Resume from the newest checkpoint in the folder, if its training is the one asked for."""
    training = checkpoints.resume(checkpoint, x, y, validation=validation, device=network.backend, notify=say)
    few = None if validation is None else tuple(rows[:1] for rows in validation)
    asked = mn.Training(network, x[:1], y[:1], validation=few, **options)
    size = options["batch_size"] or len(x)
    pairs = {name: (_part(training, name), _part(asked, name)) for name in SAME}
    pairs["batch_size"] = (training.batches.batch_size, min(size, len(x)))
    for name, (saved, wanted) in pairs.items():
        if saved != wanted:
            raise ValueError(
                f"--resume expects the options that the training began with. Received: {name} is {wanted}, "
                f"and was {saved}. Give the same options, or start a new training in another folder."
            )
    return training


def _part(training: mn.Training, name: str) -> Any:
    part = getattr(training, name)
    return part.config() if hasattr(part, "config") else part


def epochs(training: mn.Training, count: int, report, checkpoint: Path | None, every: str,
           keep: int) -> Iterator[mn.Epoch]:  # fmt: skip
    """The epochs up to number `count`, shown on `report`; checkpoints go to the folder `checkpoint`, if given."""
    if training.global_step and count < training.total_epochs:
        raise ValueError(
            f"--resume expects at least the {training.total_epochs} epochs that were planned. "
            f"Received: epochs={count}."
        )
    # None lets a resumed training end as it was planned, early stopping included.
    more = None if count == training.total_epochs else count - training.epoch
    if checkpoint is None:
        return shown(training, more, report)
    run = checkpoints.Checkpoints(training, checkpoint, every, keep, notify=say)
    return run.epochs(more, lambda number, on_step: shown(training, number, report, on_step))


def say(text: str) -> None:
    """A line for the person at the terminal."""
    print(f"mechanet: {text}", file=sys.stderr, flush=True)
