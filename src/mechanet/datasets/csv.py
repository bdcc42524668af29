"""Tables as CSV: Kaggle's digit-recognizer files, other MNIST exports, and any table of numbers with labels.

A first line that is not all numbers names the columns. The column called label, labels, target, class or y
(or the one that `label=` names) is the label; without such a column the rows are unlabelled. A file without
names is taken for digits if its width fits: 785 columns are the label and 784 pixels, 784 are the pixels
alone. 784 columns beside the label are always the pixels of a 28x28 image, whole numbers in 0..255.
"""

import csv
import warnings
from array import array
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

LABELS = ("label", "labels", "target", "class", "y")
PIXELS = 784


@dataclass(frozen=True, eq=False)
class Table:
    """A CSV file: x (n, columns) uint8 or float64, the labels or None, the names of x's columns or None."""

    x: np.ndarray
    labels: np.ndarray | None
    columns: tuple[str, ...] | None
    path: Path


def read_csv(path, *, label=None, unlabelled=False):
    """Read one CSV file.

    Parameters
    ----------
    path : str or path-like
        UTF-8 text, fields separated by commas.
    label : str, optional
        The name of the label's column; by default the one called label, labels, target, class or y.
    unlabelled : bool
        Accept a file that has no column called `label`.

    Returns
    -------
    Table
        With x uint8 if a row is 784 pixels, else float64. The labels are int64 if all are whole numbers,
        float64 if all are numbers, else text.

    Raises
    ------
    ValueError
        The file is empty or not text, a row has more or fewer fields than the first line, a field is not a
        finite number, a pixel is not a whole number in 0..255, or no column is called `label`. The text names
        the line.
    OSError
        The file cannot be read.
    """
    path = Path(path)
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            first = next(csv.reader(file), None)
            if not first:
                raise ValueError(
                    f"{path}: expected a line of column names or of numbers. Received: an empty line."
                )
            columns, label_at = _layout(path, first, label, unlabelled)
            width = len(first) - (label_at is not None)
            if width == 0:
                raise ValueError(
                    f"{path}: expected at least one column beside the label. Received: only {first[0]!r}."
                )
            x, labels = (_read_digits if width == PIXELS else _read_any)(path, file, columns, label_at, width)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: expected UTF-8 text. Received: other bytes ({error}).") from error
    except csv.Error as error:
        raise ValueError(f"{path}: expected comma-separated fields. Received: malformed CSV ({error}).") from error
    if len(x) == 0:
        raise ValueError(f"{path}: expected at least one row below the column names. Received: none.")
    if columns is not None and label_at is not None:
        columns = columns[:label_at] + columns[label_at + 1 :]
    return Table(x, labels, columns, path)


def _layout(path, first, label, unlabelled):
    """The column names, None if the first line already holds numbers, and the index of the label's column."""
    names = tuple(name.strip() for name in first)
    if all(_is_number(name) for name in names):
        if label is not None or len(names) not in (PIXELS, PIXELS + 1):
            raise ValueError(
                f"{path}: expected a first line that names the columns (only rows of {PIXELS} pixels, with "
                f"or without a label before them, need no names). Received: {len(names)} numbers."
            )
        return None, (0 if len(names) == PIXELS + 1 else None)
    if label is None:
        lowered = [name.lower() for name in names]
        return names, next((lowered.index(name) for name in LABELS if name in lowered), None)
    if label not in names:
        if unlabelled:
            return names, None
        shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
        raise ValueError(f"{path}: expected a column called label={label!r}. Received: the columns {shown}.")
    return names, names.index(label)


def _read_digits(path, file, columns, label_at, width):
    """Read rows of pixels: all at once if every field is a whole number in 0..255, else field by field.

    The second way accepts other spellings (7.0, labels as text) and reports where something is wrong.
    """
    file.seek(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # loadtxt warns about a file without rows
            rows = np.loadtxt(
                file, np.uint8, comments=None, delimiter=",", quotechar='"', ndmin=2,
                encoding="utf-8", skiprows=int(columns is not None),
            )  # fmt: skip
    except (ValueError, UserWarning):
        rows = None
    if rows is None or rows.shape[1] != width + (label_at is not None):
        x, labels = _read_any(path, file, columns, label_at, width)
        return x.astype(np.uint8), labels
    if label_at is None:
        return rows, None
    return np.delete(rows, label_at, axis=1), rows[:, label_at].astype(np.int64)


def _read_any(path, file, columns, label_at, width):
    """Read rows of numbers and labels of any kind, field by field."""
    values, labels = array("d"), []
    fields = width + (label_at is not None)
    for line, row in _rows(file, columns):
        if len(row) != fields:
            raise ValueError(f"{path}, line {line}: expected {fields} fields. Received: {len(row)}.")
        numbers = row
        if label_at is not None:
            numbers = row[:label_at] + row[label_at + 1 :]
            labels.append(row[label_at].strip())
            if not labels[-1]:
                raise ValueError(f"{path}, line {line}: expected a label. Received: an empty field.")
        try:
            values.extend(map(float, numbers))
        except ValueError:
            raise ValueError(_wrong_field(path, line, row, columns, label_at, width)) from None
    x = np.array(values).reshape(-1, width)
    valid = _is_valid(x, width).all(axis=1)
    if not valid.all():
        line, row = next(islice(_rows(file, columns), int(np.argmin(valid)), None))
        raise ValueError(_wrong_field(path, line, row, columns, label_at, width))
    return x, (_as_labels(labels) if label_at is not None else None)


def _rows(file, columns):
    """The rows below the column names, each with its line number; empty lines are skipped."""
    file.seek(0)
    lines = csv.reader(file)
    if columns is not None:
        next(lines)
    return ((lines.line_num, row) for row in lines if row)


def _is_valid(x, width):
    """Which numbers are finite; of rows of pixels, which are whole and in 0..255."""
    return np.isfinite(x) if width != PIXELS else (x >= 0) & (x <= 255) & (x == np.floor(x))


def _wrong_field(path, line, row, columns, label_at, width):
    """Say which field of a row is not what its column expects."""
    position, text = next(
        (position, text)
        for position, text in enumerate(row)
        if position != label_at and not (_is_number(text) and _is_valid(np.float64(text), width))
    )
    expected = "a whole number in 0..255, a pixel" if width == PIXELS else "a finite number"
    name = f"column {columns[position]!r}" if columns is not None else f"column {position + 1}"
    return f"{path}, line {line}, {name}: expected {expected}. Received: {text[:40]!r}."


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def _as_labels(texts):
    """int64 where every label is a whole number, float64 where every one is a finite number, else text."""
    try:
        numbers = np.array([float(text) for text in texts], np.float64)
    except ValueError:
        return np.array(texts, object)
    if not np.isfinite(numbers).all():
        return np.array(texts, object)
    whole = (numbers == np.floor(numbers)) & (np.abs(numbers) < 2**53)
    return numbers.astype(np.int64) if whole.all() else numbers
