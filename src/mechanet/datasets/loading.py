"""`load`, the one function for all data sets."""

import inspect
import os
from pathlib import Path

from mechanet.datasets import planes
from mechanet.datasets.dataset import Dataset
from mechanet.datasets.digits import digits
from mechanet.datasets.fetch import load_known
from mechanet.datasets.folders import read_path
from mechanet.datasets.known import KNOWN

PLANES = {"spiral": planes.spiral, "moons": planes.moons, "circles": planes.circles, "xor": planes.xor}
NAMES = ("digits", *KNOWN, *PLANES)


def load(name_or_path="digits", **options) -> Dataset:
    """Load a data set by its name, or from a file or a folder.

    Parameters
    ----------
    name_or_path : str or path-like
        A name:

        - "digits": the bundled sample of MNIST, 10,000 training rows and 2,000 test rows;
        - "mnist", "fashion-mnist": 60,000 and 10,000 rows, from ``$MECHANET_DATA``, the user's cache, or a
          public mirror (this needs the extra ``fetch``);
        - "spiral", "moons", "circles", "xor": labelled points in the plane.

        Or a path, to

        - a folder with MNIST's four files, or files in that format, plain or ``.gz``;
        - a folder with one ``...train.csv`` and perhaps one ``...test.csv``, such as Kaggle's
          digit-recognizer;
        - one CSV file: with labels it becomes `train`, without labels `test`;
        - one IDX file of images: it becomes `test`.

        A name takes precedence over a path; write ``"./digits"`` for a folder of that name.
    **options
        For points in the plane: `n`, `noise`, `seed`, `test_fraction` and, for "spiral" and "circles",
        `classes`. For CSV: `label`, the name of the label's column.

    Returns
    -------
    Dataset

    Raises
    ------
    ValueError
        The name is unknown, or a file does not hold what it should.
    TypeError
        An option that this data set does not have.
    OSError
        A file cannot be read, or data cannot be fetched.

    Examples
    --------
    >>> from mechanet import datasets
    >>> datasets.load("digits").train
    Split(x=(10000, 784) uint8, y=(10000,) int64)
    """
    if not isinstance(name_or_path, (str, os.PathLike)):
        raise TypeError(
            f"expected name_or_path to be a name ({', '.join(NAMES)}) or a path. "
            f"Received: {type(name_or_path).__name__}."
        )
    if name_or_path == "digits":
        return _call(digits, name_or_path, (), options)
    if name_or_path in PLANES:
        return _call(PLANES[name_or_path], name_or_path, (), options)
    if name_or_path in KNOWN:
        return _call(load_known, name_or_path, (KNOWN[name_or_path],), options)
    if not Path(name_or_path).exists():
        raise ValueError(
            f"expected name_or_path to be one of {', '.join(NAMES)}, or an existing file or folder. "
            f"Received: {str(name_or_path)!r}."
        )
    return _call(read_path, name_or_path, (name_or_path,), options)


def _call(loader, name, arguments, options):
    accepted = list(inspect.signature(loader).parameters)[len(arguments) :]
    for option in options:
        if option not in accepted:
            raise TypeError(
                f"expected the options of {str(name)!r} to be among: {', '.join(accepted) or 'none'}. "
                f"Received: {option}={options[option]!r}."
            )
    return loader(*arguments, **options)
