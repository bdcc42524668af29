"""The state of a training as named arrays and plain data, and back: what `Training.save` writes."""

from dataclasses import asdict
from typing import Any

import mechanet.backend
from mechanet import checks
from mechanet.training.history import QUANTITIES, History

FILE_FORMAT = "mechanet training"
FILE_VERSION = 3
PROGRESS = (
    "epoch", "step", "seen", "updates", "planned", "best_value", "best_epoch", "waited", "stopped_early", "_rate",
)  # fmt: skip


def describe(training) -> tuple[dict[str, Any], dict[str, Any]]:
    """The vectors, on the host, and the header of a training's state."""
    net, early = training.network, training.early_stopping
    vectors = {"epoch_start": training._epoch_start}
    vectors |= {f"optimizer.{name}": vector for name, vector in training.state.items()}
    if training._best is not None:
        vectors["best"] = training._best
    with net.backend.current():
        if training.step:
            vectors["values"] = net.xp.stack(training._values)
            if training._correct:
                vectors["correct"] = net.xp.stack(training._correct)
        arrays = net.named_parameters() | {name: net.backend.to_host(vector) for name, vector in vectors.items()}
    # What grows with the training goes into arrays: a header has a limit.
    arrays["history"] = mechanet.backend.to_host(training.history.numbers).reshape(-1, len(QUANTITIES))
    if training.step:
        arrays["weights"] = mechanet.backend.to_host(training._weights).astype("float64")
    header = {
        "format": FILE_FORMAT,
        "version": FILE_VERSION,
        "network": net.config(),
        "optimizer": training.optimizer.config(),
        "schedule": training.schedule.config(),
        "gradient_clip": training.gradient_clip,
        "early_stopping": None if early is None else asdict(early),
        "batch_size": training.batches.batch_size,
        "rows": training.batches.rows,
        "shuffle": training.batches.shuffle,
        "seed": training.seed,
        "progress": {name: getattr(training, name) for name in PROGRESS},
    }
    return arrays, header


def check(header: dict[str, Any]) -> None:
    """Refuse what is not a training's state of a version this release knows."""
    if header.get("format") != FILE_FORMAT:
        raise ValueError(f"expected a file of format {FILE_FORMAT!r}. Received: {header.get('format')!r}.")
    if header.get("version") != FILE_VERSION:
        raise ValueError(
            f"expected version {FILE_VERSION} of the format. Received: {header.get('version')!r}. "
            "A state is resumed by the release that wrote it; a saved network can be read by any later one."
        )


def parameters_of(arrays: dict[str, Any]) -> dict[str, Any]:
    """The network's own arrays among those of a state."""
    return {name: array for name, array in arrays.items() if name.startswith("layers.")}


def options_of(header: dict[str, Any]) -> dict[str, Any]:
    """The arguments a training was made with, data aside."""
    names = ("optimizer", "schedule", "gradient_clip", "batch_size", "shuffle", "seed", "early_stopping")
    return {name: header[name] for name in names}


def restore(training, arrays: dict[str, Any], header: dict[str, Any]) -> None:
    """Put a fresh training of the same options where the saved one was."""
    net, batches = training.network, training.batches
    if header["rows"] != batches.rows:
        raise ValueError(f"expected the same data, {header['rows']} rows. Received: {batches.rows} rows.")
    progress = header["progress"]
    for name in PROGRESS:
        value = progress[name]
        if name in ("best_value", "_rate"):
            value = None if value is None and name == "best_value" else float(value)
        elif name == "stopped_early":
            value = bool(value)
        else:
            value = checks.integer(name, value, 0)
        setattr(training, name, value)
    if training.step > max(len(batches), 0) and len(batches):
        raise ValueError(f"expected at most {len(batches)} steps an epoch. Received: step={training.step}.")
    training.history = _history_from(arrays)

    with net.backend.current():
        if "best" in arrays:
            training._best = net.xp.zeros_like(net.parameters)
        targets = {"epoch_start": training._epoch_start, "best": training._best}
        targets |= {f"optimizer.{name}": vector for name, vector in training.state.items()}
        for name, vector in targets.items():
            if vector is not None:
                vector[...] = net.backend.asarray(_vector(arrays, name, net.parameters.shape[0], net.dtype))
        if training.step:
            training._weights = _vector(arrays, "weights", training.step, "float64").tolist()
            values = net.backend.asarray(_vector(arrays, "values", training.step, net.dtype))
            training._values = [values[i] for i in range(training.step)]
            if net.loss.classifies:
                correct = net.backend.asarray(_vector(arrays, "correct", training.step, "int64"))
                training._correct = [correct[i] for i in range(training.step)]


def _history_from(arrays):
    numbers = arrays.get("history")
    if numbers is None or numbers.ndim != 2 or numbers.shape[1] != len(QUANTITIES) or numbers.dtype != "float64":
        received = "none" if numbers is None else f"shape {numbers.shape}, dtype {numbers.dtype}"
        expected = f"expected 'history' of shape (epochs, {len(QUANTITIES)}), dtype float64"
        raise ValueError(f"{expected}. Received: {received}.")
    if (numbers[:, 0] != 1 + mechanet.backend.arange(numbers.shape[0])).any():
        raise ValueError("expected 'history' to count epochs from 1 in its first column. Received: other numbers.")
    history = History()
    history.numbers.frombytes(numbers.tobytes())
    return history


def _vector(arrays, name, length, dtype):
    vector = arrays.get(name)
    if vector is None or vector.shape != (length,) or vector.dtype != dtype:
        received = "none" if vector is None else f"shape {vector.shape}, dtype {vector.dtype}"
        raise ValueError(f"expected {name!r} of shape ({length},), dtype {dtype}. Received: {received}.")
    return vector
