"""Models as the command line saves them: a network, and what its inputs and labels stand for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mechanet import Network, datasets, network_file


@dataclass(frozen=True)
class Model:
    """A network with the names of its labels and the shape of its images, where these are known."""

    network: Network
    classes: tuple[str, ...] | None = None
    image_shape: tuple[int, ...] | None = None

    def name_of(self, label: int) -> str:
        """A predicted label by its name."""
        if self.classes is not None and int(label) < len(self.classes):
            return self.classes[int(label)]
        return str(label)


def save(path: Path, network: Network, data: datasets.Dataset) -> None:
    """Write a network trained on `data`."""
    notes: dict[str, Any] = {}
    if data.classes:
        notes["classes"] = list(data.classes)
    if data.image_shape:
        notes["image_shape"] = list(data.image_shape)
    network_file.write(network, path, notes)


def load(path: Path, device: str) -> Model:
    """Read a network; `Network.load` says what is raised."""
    network = Network.load(path, device)
    notes = network_file.notes(path)
    classes, shape = notes.get("classes"), notes.get("image_shape")
    return Model(
        network,
        tuple(map(str, classes)) if isinstance(classes, list) else None,
        tuple(shape) if isinstance(shape, list) else None,
    )
