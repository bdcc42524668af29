"""What all pictures share: figures, colours, and a network's values on the host."""

import io
import math
from typing import Any

import numpy as np

import mechanet.backend
from mechanet.network.batch import check_inputs

# Okabe and Ito's colours, in an order whose greys differ, with a marker and a dash for each.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#333333", "#F0E442")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
SIGNED = "cividis"  # from dark, negative, to light, positive: in grey too
POSITIVE, NEGATIVE = "#D55E00", "#0072B2"
DPI = 110


def matplotlib() -> Any:
    """The package; ImportError with what to do if it is missing."""
    try:
        import matplotlib
        import matplotlib.figure
    except ImportError as error:
        raise ImportError(
            "mechanet.plots needs matplotlib. Install it with: pip install 'mechanet[plots]'"
        ) from error
    return matplotlib


def figure(width: float, height: float) -> Any:
    """A figure of that many inches, unknown to pyplot: it keeps nothing open and opens no window."""

    matplotlib()
    from matplotlib.figure import Figure

    class Picture(Figure):
        """A Figure that shows itself in a notebook."""

        def _repr_png_(self) -> bytes:
            file = io.BytesIO()
            self.savefig(file, format="png")
            return file.getvalue()

    picture = Picture(figsize=(width, height), dpi=DPI, layout="constrained")
    picture.get_layout_engine().set(w_pad=0.1, h_pad=0.1)  # type: ignore[call-arg,union-attr]
    return picture


def axes(ax, width: float, height: float) -> tuple[Any, Any]:
    """The figure and the Axes to draw into: those of `ax`, or new ones."""
    if ax is not None:
        return ax.figure, ax
    new = figure(width, height)
    return new, new.add_subplot()


def short(names, most: int = 12) -> str:
    """Names in a row; of many, the first ones."""
    names = list(map(str, names))
    return ", ".join(names[:most]) + (f" … ({len(names) - most} more)" if len(names) > most else "")


def host(x) -> np.ndarray:
    """An array of any device on the host."""
    return mechanet.backend.to_host(x)


def layer_name(network, i: int) -> str:
    return f"{i} {type(network.layers[i]).__name__}"


def outputs(network, x) -> list[np.ndarray]:
    """The input and every layer's output (m, ...) on the host, as in prediction."""
    with network.backend.current():
        X = network.backend.asarray(check_inputs(network.chain, host(x)), network.parameters.dtype)
        values = [X]
        for layer in network.layers:
            X, _ = layer.forward(X)
            values.append(X)
        return [network.backend.to_host(value) for value in values]


def trained_layers(network) -> list[int]:
    """The layers that have weights."""
    return [i for i, layer in enumerate(network.layers) if "W" in layer.parameters]


def image_shape(network, given=None) -> tuple[int, int] | None:
    """The image shape of a row of the input: as `given`, by its own shape, or a square; None if it is no image."""
    size = math.prod(network.input_shape)
    if given is not None:
        given = tuple(given)
        if len(given) != 2 or math.prod(given) != size:
            raise ValueError(f"image_shape expects (height, width) of {size} entries. Received: {given!r}.")
        return given
    if len(network.input_shape) == 2:
        return tuple(network.input_shape)
    side = math.isqrt(size)
    return (side, side) if side >= 8 and side * side == size and len(network.input_shape) == 1 else None


def mosaic(tiles: np.ndarray, columns: int, gap: float = np.nan) -> np.ndarray:
    """Images (n, height, width) side by side, with an empty line between them."""
    n, height, width = tiles.shape
    rows = -(-n // columns)
    sheet = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1), gap)
    for i, tile in enumerate(tiles):
        top, left = (i // columns) * (height + 1), (i % columns) * (width + 1)
        sheet[top : top + height, left : left + width] = tile
    return sheet


def classifier(network, what: str) -> None:
    """Check that the network classifies."""
    if not network.loss.classifies:
        raise ValueError(
            f"{what} expects a classification, with cross_entropy or binary_cross_entropy. "
            f"Received: loss={network.loss.name!r}."
        )


def class_probabilities(network, x) -> np.ndarray:
    """Probabilities (m, k) of k mutually exclusive classes; one output stands for two classes."""
    P = host(network.predict_proba(host(x)))
    P = P[:, None] if P.ndim == 1 else P
    return np.concatenate([1.0 - P, P], axis=1) if P.shape[1] == 1 else P


def true_labels(network, y) -> np.ndarray:
    """Labels (m,) from labels, or from rows of probabilities."""
    y = host(y)
    if y.ndim == 2 and y.shape[1] > 1:
        return y.argmax(axis=1)
    return np.rint(y.reshape(len(y))).astype("int64")
