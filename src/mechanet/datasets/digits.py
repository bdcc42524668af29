"""The bundled digits: a stratified sample of MNIST that needs no network and no other file."""

from pathlib import Path

from mechanet.datasets.dataset import DIGITS, Dataset
from mechanet.datasets.folders import read_idx_folder
from mechanet.datasets.known import MNIST

BUNDLED = Path(__file__).parent / "bundled"


def digits():
    """Load the bundled digits: 10,000 training rows and 2,000 test rows of 28x28 pixels.

    Returns
    -------
    Dataset
        x (n, 784) uint8, 0 for the background and 255 for full ink; y (n,) int64, the digit. The
        training rows come from MNIST's training set and the test rows from its test set, each digit in the
        proportion that it has there, chosen by `mechanet.datasets.make_digits`.
    """
    sample = read_idx_folder(BUNDLED)
    return Dataset("digits", sample.train, sample.test, (28, 28), DIGITS, MNIST.source, MNIST.licence)
