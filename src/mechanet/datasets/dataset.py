"""What every loader returns: a `Dataset` of two `Split`s, host arrays and where the data come from."""

from dataclasses import dataclass

import numpy as np

DIGITS = tuple("0123456789")


@dataclass(frozen=True, eq=False)
class Split:
    """Rows that belong together: the training rows or the test rows.

    Attributes
    ----------
    x : numpy.ndarray, shape (n, features)
        One example a row: uint8 pixels in 0..255, or floats.
    y : numpy.ndarray, shape (n,), or None
        The labels, int64 (or float64 values to regress on); None if the rows are not labelled.
    """

    x: np.ndarray
    y: np.ndarray | None

    def __post_init__(self):
        if self.x.ndim != 2 or len(self.x) == 0:
            raise ValueError(
                f"expected at least one row of x, shape (n, features). Received: x.shape={self.x.shape}."
            )
        if self.y is not None and self.y.shape != (len(self.x),):
            raise ValueError(
                f"expected one label for each row of x. Received: {len(self.x)} rows and "
                f"labels of shape {self.y.shape}."
            )

    def __len__(self):
        return len(self.x)

    def __repr__(self):
        y = "None" if self.y is None else f"{self.y.shape} {self.y.dtype}"
        return f"Split(x={self.x.shape} {self.x.dtype}, y={y})"


@dataclass(frozen=True, eq=False)
class Dataset:
    """Training examples and test examples.

    Attributes
    ----------
    name : str
        "digits", "mnist", ..., or the name of the file or folder that was read.
    train, test : Split or None
        None if the source has no such part. A single file without labels becomes `test`: it can be
        predicted but not trained on.
    image_shape : tuple of int or None
        (rows, columns) of the image in each row of x, e.g. (28, 28); None if rows are not images.
    classes : tuple of str or None
        The name of each label, in the order of the labels; None if unknown.
    source, licence : str
        Where the data come from and under what terms, if known.
    """

    name: str
    train: Split | None
    test: Split | None
    image_shape: tuple[int, int] | None = None
    classes: tuple[str, ...] | None = None
    source: str = ""
    licence: str = ""
