"""Models as the command line saves them: a network, and the names of its labels."""

from dataclasses import dataclass
from pathlib import Path

from mechanet import Network, datasets
from mechanet.network import file as network_file


@dataclass(frozen=True)
class Model:
    """A network, and the names of its labels if known."""

    network: Network
    classes: tuple[str, ...] | None = None

    def name_of(self, label: int) -> str:
        """A predicted label by its name."""
        return str(label) if self.classes is None or label >= len(self.classes) else self.classes[label]


def save(path: Path, network: Network, data: datasets.Dataset) -> None:
    """Write a network trained on `data`."""
    network_file.write(network, path, {"classes": list(data.classes)} if data.classes else None)


def load(path: Path, device: str) -> Model:
    """Read a network; errors are those of `Network.load`."""
    network = Network.load(path, device)
    classes = network_file.notes(path).get("classes")
    return Model(network, tuple(map(str, classes)) if isinstance(classes, list) else None)
