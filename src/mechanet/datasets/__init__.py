"""Data to learn from: bundled digits, files of your own, published sets by name, points in the plane.

Everything here is a NumPy array on the host; `mechanet.Network` takes it from there.
"""

from mechanet.datasets.csv import read_csv
from mechanet.datasets.dataset import Dataset, Split
from mechanet.datasets.idx import read_idx
from mechanet.datasets.images import read_image
from mechanet.datasets.loading import load
from mechanet.datasets.planes import circles, moons, spiral, xor

__all__ = [
    "Dataset", "Split", "circles", "load", "moons", "read_csv", "read_idx", "read_image", "spiral", "xor",
]  # fmt: skip
