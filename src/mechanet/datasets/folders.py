"""The user's own files and folders: MNIST's four IDX files, Kaggle's CSV files, single files of either."""

from pathlib import Path

import numpy as np

from mechanet.datasets.csv import PIXELS, Table, read_csv
from mechanet.datasets.dataset import DIGITS, Dataset, Split
from mechanet.datasets.idx import read_idx
from mechanet.datasets.known import recognise


def read_path(path, *, label=None):
    """Read a folder or a file into a `Dataset`; see `mechanet.datasets.load` for what it may hold."""
    path = Path(path)
    if path.is_dir():
        if idx_file(path, "train", "images") or idx_file(path, "t10k", "images"):
            return read_idx_folder(path)
        return _read_csv_folder(path, label)
    with open(path, "rb") as file:
        head = file.read(2)
    if head in (b"\0\0", b"\x1f\x8b"):
        x, image_shape = _rows(read_idx(path), path)
        return Dataset(path.name, train=None, test=Split(x, None), image_shape=image_shape)
    table = read_csv(path, label=label)
    classes = _classes(table)
    split = Split(table.x, _encode(table, classes))
    train, test = (None, split) if split.y is None else (split, None)
    return Dataset(path.name, train, test, _image_shape(table), classes)


def idx_file(folder, part, kind):
    """The path of the images or labels of "train" or "t10k" in a folder, or None."""
    dimensions = {"images": 3, "labels": 1}[kind]
    for ending in ("", ".gz"):
        for separator in "-.":
            path = Path(folder) / f"{part}-{kind}{separator}idx{dimensions}-ubyte{ending}"
            if path.is_file():
                return path
    return None


def read_idx_folder(folder):
    """Read the training set, the test set or both from a folder with MNIST's file names."""
    folder = Path(folder)
    (train, train_shape, _), (test, test_shape, labels) = (
        _read_idx_pair(folder, part) for part in ("train", "t10k")
    )
    if train and test and train_shape != test_shape:
        raise ValueError(
            f"{folder}: expected test images of the size of the training images, {train_shape}. "
            f"Received: {test_shape}."
        )
    known = recognise(labels) if test else None
    image_shape = train_shape or test_shape
    if known is None:
        return Dataset(folder.resolve().name, train, test, image_shape)
    return Dataset(known.name, train, test, image_shape, known.classes, known.source, known.licence)


def _read_idx_pair(folder, part):
    """Images and labels of one part: the split, the images' shape, the labels as they are stored."""
    images_at, labels_at = (idx_file(folder, part, kind) for kind in ("images", "labels"))
    if images_at is None:
        return None, None, None
    if labels_at is None:
        raise ValueError(
            f"{folder}: expected {part}-labels-idx1-ubyte or {part}-labels-idx1-ubyte.gz beside "
            f"{images_at.name}. Received: no such file."
        )
    x, image_shape = _rows(read_idx(images_at), images_at)
    labels = read_idx(labels_at)
    if labels.ndim != 1 or labels.dtype != np.uint8:
        raise ValueError(
            f"{labels_at}: expected labels, IDX bytes in 1 dimension. Received: {labels.dtype} values of "
            f"shape {labels.shape}."
        )
    if len(labels) != len(x):
        raise ValueError(f"{labels_at}: expected {len(x)} labels, as many as images. Received: {len(labels)}.")
    return Split(x, labels.astype(np.int64)), image_shape, labels


def _rows(images, path):
    """One image a row: (n, rows, columns) becomes (n, rows * columns)."""
    if images.ndim != 3 or images.dtype != np.uint8:
        raise ValueError(
            f"{path}: expected images, IDX bytes in 3 dimensions (n, rows, columns). Received: {images.dtype} "
            f"values of shape {images.shape}."
        )
    return images.reshape(len(images), -1), images.shape[1:]  # (n, rows * columns)


def _read_csv_folder(folder, label):
    """Read the one ...train.csv and the one ...test.csv, if any, of a folder."""
    found = {part: sorted(folder.glob(f"*{part}.csv")) for part in ("train", "test")}
    if len(found["train"]) != 1 or len(found["test"]) > 1:
        received = ", ".join(file.name for files in found.values() for file in files)
        raise ValueError(
            f"{folder}: expected train-images-idx3-ubyte (or .gz) and its labels, or one file that ends in "
            f"train.csv and at most one that ends in test.csv. Received: {received or 'neither'}."
        )
    train = read_csv(found["train"][0], label=label)
    classes = _classes(train)
    test = None
    if found["test"]:
        table = read_csv(found["test"][0], label=label, unlabelled=True)
        if table.x.shape[1] != train.x.shape[1] or (
            table.columns and train.columns and table.columns != train.columns
        ):
            raise ValueError(
                f"{table.path}: expected the columns of {train.path.name}, {_listed(train)}. "
                f"Received: {_listed(table)}."
            )
        test = Split(table.x, _encode(table, classes))
    return Dataset(
        folder.resolve().name, Split(train.x, _encode(train, classes)), test, _image_shape(train), classes
    )


def _listed(table):
    names = (
        ": " + ", ".join(table.columns[:6]) + (", ..." if len(table.columns) > 6 else "") if table.columns else ""
    )
    return f"{table.x.shape[1]} columns{names}"


def _image_shape(table):
    return (28, 28) if table.x.shape[1] == PIXELS else None


def _classes(table: Table):
    """The labels' names: the texts in alphabetical order, or the ten digits if the rows are pixels."""
    if table.labels is None:
        return None
    if table.labels.dtype == object:
        return tuple(sorted(set(table.labels)))
    if (
        table.x.shape[1] == PIXELS
        and table.labels.dtype == np.int64
        and set(table.labels.tolist()) <= set(range(10))
    ):
        return DIGITS
    return None


def _encode(table: Table, classes):
    """Labels written as text become their position in `classes`; numbers stay as they are."""
    if table.labels is None or table.labels.dtype != object:
        return table.labels
    code = {name: position for position, name in enumerate(classes or ())}
    unknown = sorted(set(table.labels) - code.keys())
    if unknown:
        raise ValueError(
            f"{table.path}: expected labels that occur in the training rows. Received: {unknown[0]!r}."
        )
    return np.array([code[name] for name in table.labels], np.int64)
