"""A network on disk: its configuration in the header, its parameters as named arrays."""

from typing import Any

import mechanet.backend
from mechanet import checks
from mechanet.layers import chain_shapes, layer_from_config
from mechanet.losses import loss_from_config

FILE_FORMAT = "mechanet network"
FILE_VERSION = 1


def write(network, path, notes: dict[str, Any] | None = None) -> None:
    """Write a network; see `Network.save`. Notes are plain data for people, which `read` does not look at."""
    from mechanet import storage  # here and below on first use, for the sake of the import

    header = {"format": FILE_FORMAT, "version": FILE_VERSION, "network": network.config()}
    storage.write(path, network.named_arrays(), header | ({"notes": notes} if notes else {}))


def notes(path) -> dict[str, Any]:
    """The notes that stand beside a network, or none; for errors see `Network.load`."""
    from mechanet import storage

    found = storage.read(path)[1].get("notes")
    return found if isinstance(found, dict) else {}


def read(kind, path, device, xp, allow_nonfinite: bool):
    """Read a network of class `kind`; see `Network.load`."""
    from mechanet import storage

    arrays, header = storage.read(path)
    if header.get("format") != FILE_FORMAT:
        raise ValueError(f"{path}: expected a file of format {FILE_FORMAT!r}. Received: {header.get('format')!r}.")
    if header.get("version") != FILE_VERSION:
        raise ValueError(
            f"{path}: expected version {FILE_VERSION} of the format. Received: {header.get('version')!r}. "
            "A newer release of mechanet may read it."
        )
    try:
        return build(kind, header.get("network"), arrays, device, xp, allow_nonfinite)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: not a sound network. {error}") from error


def build(kind, config: Any, arrays: dict[str, Any], device="cpu", xp=None, allow_nonfinite: bool = False):
    """A network of class `kind` from `Network.config` and `Network.named_arrays`."""
    if not isinstance(config, dict) or not isinstance(config.get("layers"), list):
        raise ValueError(f"expected a network's configuration. Received: {config!r:.100}.")
    layers = [layer_from_config(layer) for layer in config["layers"]]
    input_shape = checks.shape("input_shape", config.get("input_shape"))
    dtype = mechanet.backend.check_dtype(config.get("dtype", ""))
    # Compared before anything is allocated: a file may claim any size.
    expected = {
        f"layers.{i}.{name}": each.shape
        for i, (layer, shape) in enumerate(zip(layers, chain_shapes(layers, input_shape)[0], strict=True))
        for name, each in (layer.parameters_for(shape) | layer.statistics_for(shape)).items()
    }
    received = {name: array.shape for name, array in arrays.items()}
    if expected != received:
        raise ValueError(f"expected parameters of shapes {expected}. Received: {received}.")
    for name, array in arrays.items():
        if array.dtype.name != dtype:
            raise ValueError(f"expected parameters of dtype {dtype}. Received: {name} with dtype={array.dtype}.")
        if not allow_nonfinite:
            checks.finite(name, array)
    loss = loss_from_config(config.get("loss", {}))
    network = kind(layers, input_shape, loss, dtype, device, config.get("seed", 0), xp)
    with network.backend.current():
        for i, layer in enumerate(network.layers):
            for name, view in (layer.parameters | layer.statistics).items():
                view[...] = network.backend.asarray(arrays[f"layers.{i}.{name}"])
    return network
