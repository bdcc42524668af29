"""The state of a training as named arrays and plain data, and back: what `Training.save` writes."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import mechanet.backend
from mechanet import checks
from mechanet.network import Network
from mechanet.network import file as network_file
from mechanet.training.history import QUANTITIES, History
from mechanet.training.progress import Progress
from mechanet.training.tally import Tally

FILE_FORMAT = "mechanet training"
FILE_VERSION = 3


def save(training: Any, path: str | Path) -> None:
    """Write a state; see `Training.save`."""
    from mechanet import storage  # on first use, for the sake of the import

    storage.write(path, *describe(training))


def describe(training: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The vectors, on the host, and the header of a training's state."""
    net, rule, tally, watch = training.network, training.early_stopping, training.tally, training.watch
    vectors = {"epoch_start": training.epoch_start}
    vectors |= {f"optimizer.{name}": vector for name, vector in training.state.items()}
    if watch and watch.best is not None:
        vectors["best"] = watch.best
    with net.backend.current():
        if training.step:
            vectors["values"] = net.xp.stack(tally.values)
            if tally.correct:
                vectors["correct"] = net.xp.stack(tally.correct)
        arrays = net.named_arrays() | {name: net.backend.to_host(vector) for name, vector in vectors.items()}
    # What grows with the training goes into arrays: a header has a limit.
    arrays["history"] = mechanet.backend.to_host(training.history.numbers).reshape(-1, len(QUANTITIES))
    if training.step:
        arrays["weights"] = mechanet.backend.to_host(tally.weights).astype("float64")
    header = {
        "format": FILE_FORMAT,
        "version": FILE_VERSION,
        "network": net.config(),
        "optimizer": training.optimizer.config(),
        "schedule": training.schedule.config(),
        "gradient_clip": training.gradient_clip,
        "early_stopping": None if rule is None else asdict(rule),
        "batch_size": training.batches.batch_size,
        "rows": training.batches.rows,
        "shuffle": training.batches.shuffle,
        "seed": training.seed,
        "progress": training.progress.to_plain(),
        "watch": {"value": watch.value, "epoch": watch.epoch, "waited": watch.waited} if watch else None,
    }
    return arrays, header


def parameters_of(arrays: dict[str, Any]) -> dict[str, Any]:
    """The network's own arrays among those of a state."""
    return {name: array for name, array in arrays.items() if name.startswith("layers.")}


def resume(kind: type[Any], path: str | Path, x: Any, y: Any, validation: Any, sample_weight: Any,
           device: Any, xp: Any) -> Any:  # fmt: skip
    """A training of class `kind`; see `Training.resume`."""
    from mechanet import storage  # on first use, for the sake of the import

    arrays, header = storage.read(path)
    try:
        _check(header)
        network = network_file.build(Network, header["network"], parameters_of(arrays), device, xp)
        names = ("optimizer", "schedule", "gradient_clip", "batch_size", "shuffle", "seed", "early_stopping")
        options = {name: header[name] for name in names}
        training = kind(network, x, y, validation=validation, sample_weight=sample_weight, **options)
        _restore(training, arrays, header)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise ValueError(f"{path}: this training cannot go on. {error}") from error
    return training


def _check(header: dict[str, Any]) -> None:
    """Refuse what is not a training's state of the version this release knows."""
    if header.get("format") != FILE_FORMAT:
        raise ValueError(f"expected a file of format {FILE_FORMAT!r}. Received: {header.get('format')!r}.")
    if header.get("version") != FILE_VERSION:
        raise ValueError(
            f"expected version {FILE_VERSION} of the format. Received: {header.get('version')!r}. "
            "A state is resumed by the release that wrote it; a saved network can be read by any later one."
        )


def _restore(training: Any, arrays: dict[str, Any], header: dict[str, Any]) -> None:
    """Put a fresh training of the same options where the saved one was."""
    net, batches, watch = training.network, training.batches, training.watch
    if header["rows"] != batches.rows:
        raise ValueError(f"expected the same data, {header['rows']} rows. Received: {batches.rows} rows.")
    training.progress = progress = Progress.from_plain(header["progress"])
    if len(batches) and progress.step > len(batches):
        raise ValueError(f"expected at most {len(batches)} steps an epoch. Received: step={progress.step}.")
    training.history = _history_from(arrays)
    targets = {"epoch_start": training.epoch_start}
    targets |= {f"optimizer.{name}": vector for name, vector in training.state.items()}
    with net.backend.current():
        if watch is not None:
            seen = header["watch"]
            watch.value = None if seen["value"] is None else float(seen["value"])
            watch.epoch, watch.waited = (checks.integer(name, seen[name], 0) for name in ("epoch", "waited"))
            if "best" in arrays:
                targets["best"] = watch.best = net.xp.zeros_like(net.chain.learned)
        for name, vector in targets.items():
            vector[...] = net.backend.asarray(_vector(arrays, name, vector.shape[0], net.dtype))
        if progress.step:
            training.tally = _tally_from(arrays, net, progress.step)


def _tally_from(arrays: dict[str, Any], net: Network, steps: int) -> Tally:
    tally = Tally()
    tally.weights = _vector(arrays, "weights", steps, "float64").tolist()
    values = net.backend.asarray(_vector(arrays, "values", steps, net.dtype))
    tally.values = [values[i] for i in range(steps)]
    if net.loss.classifies:
        correct = net.backend.asarray(_vector(arrays, "correct", steps, "int64"))
        tally.correct = [correct[i] for i in range(steps)]
    return tally


def _history_from(arrays: dict[str, Any]) -> History:
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


def _vector(arrays: dict[str, Any], name: str, length: int, dtype: str) -> Any:
    vector = arrays.get(name)
    if vector is None or vector.shape != (length,) or vector.dtype != dtype:
        received = "none" if vector is None else f"shape {vector.shape}, dtype {vector.dtype}"
        raise ValueError(f"expected {name!r} of shape ({length},), dtype {dtype}. Received: {received}.")
    return vector
