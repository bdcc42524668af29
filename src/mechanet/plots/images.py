"""What units look for, and what a classifier confuses."""

import math
from typing import Any

import numpy as np

from mechanet import checks
from mechanet.plots import canvas

UNITS = 64  # to draw as images, at most
NUMBERED = 36  # images at most, for each to have its number on it
CELLS = 20  # classes at most, for the counts to be written into the matrix


def weights(net, layer: int | None = None, *, image_shape=None, ax=None) -> Any:
    """What each unit of a layer looks for: its weights, as an image if the layer sees images.

    Parameters
    ----------
    net : Network
    layer : int, optional
        Its index in ``net.layers``; by default that of the first layer with weights.
    image_shape : (height, width), optional
        How the input is drawn. By default a square number of inputs, 64 or more, is taken for an image.
    ax : Axes, optional

    Returns
    -------
    Figure
        One colour scale for all units. A layer that does not see images is drawn as its matrix W. Of more than 64
        units that see images the first 64 are drawn.
    """
    trained = canvas.trained_layers(net)
    if layer is None:
        if not trained:
            raise ValueError("weights expects a network with a Dense layer. Received: none.")
        layer = trained[0]
    if layer not in trained:
        raise ValueError(f"layer expects one with weights, of {trained}. Received: layer={layer!r}.")
    W = canvas.host(net.layers[layer].W)
    limit = float(np.abs(W).max()) or 1.0
    shape = canvas.image_shape(net, image_shape) if layer == trained[0] else None
    name = f"layer {canvas.layer_name(net, layer)}"
    if shape is not None and math.prod(shape) == W.shape[0]:
        figure = _units(W, shape, limit, name, ax)
    else:
        figure = _matrix(W, limit, name, ax)
    return figure


def _units(W, shape, limit: float, name: str, ax) -> Any:
    shown = min(W.shape[1], UNITS)
    columns = math.ceil(math.sqrt(shown))
    rows = -(-shown // columns)
    figure, ax = canvas.axes(ax, max(4.8, min(8.0, 0.85 * columns + 1.2)), max(2.8, min(8.0, 0.85 * rows + 0.8)))
    sheet = canvas.mosaic(W[:, :shown].T.reshape(shown, *shape), columns)
    picture = ax.imshow(sheet, cmap=canvas.SIGNED, vmin=-limit, vmax=limit, interpolation="nearest")
    if 1 < shown <= NUMBERED:
        for j in range(shown):
            x, y = (j % columns) * (shape[1] + 1), (j // columns) * (shape[0] + 1)
            ax.text(x + 0.3, y + 0.2, str(j), fontsize=7, va="top", color="white",
                    bbox={"facecolor": "black", "alpha": 0.55, "pad": 0.8, "linewidth": 0})  # fmt: skip
    ax.axis("off")
    said = f"the first {shown} of {W.shape[1]:,} units" if shown < W.shape[1] else _count(shown)
    ax.set_title(f"What {said} of {name}\nlook{'s' if shown == 1 else ''} for", fontsize=10)
    figure.colorbar(picture, ax=ax, label="weight", shrink=0.85)
    return figure


def _count(units: int) -> str:
    return "the unit" if units == 1 else f"the {units} units"


def _matrix(W, limit: float, name: str, ax) -> Any:
    from matplotlib.ticker import MaxNLocator

    n_in, n_out = W.shape
    figure, ax = canvas.axes(
        ax, float(np.clip(0.3 * n_out + 2.6, 4.2, 8.0)), float(np.clip(0.3 * n_in + 1.4, 2.8, 6.0))
    )
    picture = ax.imshow(W, cmap=canvas.SIGNED, vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest")
    ax.set_xlabel("unit")
    ax.set_ylabel("input of the layer")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(nbins=10, integer=True, min_n_ticks=1))
    ax.set_title(f"W of {name}, {n_in:,} × {n_out:,}", fontsize=10)
    figure.colorbar(picture, ax=ax, label="weight")
    return figure


def confusion(net, x, y, *, classes=None, ax=None) -> Any:
    """How often each class was mistaken for each other class.

    Parameters
    ----------
    net : Network
        A classification.
    x, y : array-like
    classes : sequence of str, optional
        Names of the classes.
    ax : Axes, optional

    Returns
    -------
    Figure
        Rows are true classes and columns predicted ones. Cells are shaded by their share of the row; up to 20
        classes, the counts are written into them.
    """
    canvas.classifier(net, "confusion")
    truth = canvas.true_labels(net, y)
    P = canvas.class_probabilities(net, x)
    k = P.shape[1]
    counts = np.zeros((k, k), "int64")
    np.add.at(counts, (truth, P.argmax(axis=1)), 1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)

    names = list(map(str, classes)) if classes is not None else list(map(str, range(k)))
    side = float(np.clip(0.5 * k + 1.6, 3.8, 8.0))
    figure, ax = canvas.axes(ax, side + 0.7, side)
    picture = ax.imshow(100.0 * shares, cmap="Blues", vmin=0.0, vmax=100.0, interpolation="nearest")
    if k <= CELLS:
        for i, j in np.ndindex(k, k):
            if counts[i, j]:
                colour = "white" if shares[i, j] > 0.55 else "black"
                ax.text(j, i, f"{counts[i, j]}", ha="center", va="center", fontsize=8, color=colour)
        long = max(map(len, names)) > 3
        ax.set_xticks(range(k), names, rotation=45 if long else 0, ha="right" if long else "center")
        ax.set_yticks(range(k), names)
    ax.set_xlabel("predicted class")
    ax.set_ylabel("true class")
    ax.set_title(
        f"{np.trace(counts):,} of {counts.sum():,} correct: {np.trace(counts) / counts.sum():.1%}", fontsize=10
    )
    figure.colorbar(picture, ax=ax, label="% of the true class", shrink=0.85)
    return figure


def mistakes(net, x, y, n: int = 9, *, classes=None, image_shape=None) -> Any:
    """The rows misclassified with the greatest confidence, each with its probabilities.

    Parameters
    ----------
    net : Network
        A classification.
    x, y : array-like
    n : int
        How many.
    classes : sequence of str, optional
        Names of the classes.
    image_shape : (height, width), optional
        How a row is drawn; see `weights`.

    Returns
    -------
    Figure
        Beside each row the probabilities of the classes (of more than 10 the five highest); the true class is
        hatched.
    """
    canvas.classifier(net, "mistakes")
    n = checks.integer("n", n)
    X, truth, P = canvas.host(x), canvas.true_labels(net, y), canvas.class_probabilities(net, x)
    guess = P.argmax(axis=1)
    wrong = np.flatnonzero(guess != truth)
    worst = wrong[np.argsort(-P[wrong, guess[wrong]], kind="stable")][:n]
    if not len(worst):
        figure = canvas.figure(4.0, 1.6)
        figure.text(0.5, 0.5, f"No mistakes in {len(X):,} rows", ha="center", va="center", fontsize=12)
        return figure

    names = list(map(str, classes)) if classes is not None else list(map(str, range(P.shape[1])))
    columns = min(3, len(worst))
    rows = -(-len(worst) // columns)
    figure = canvas.figure(3.5 * columns, 2.0 * rows + 0.5)
    figure.suptitle(
        f"{len(worst)} of {len(wrong):,} mistakes in {len(X):,} rows; the true class is hatched", fontsize=10
    )
    grid = figure.subfigures(rows, columns, squeeze=False)
    shape = canvas.image_shape(net, image_shape)
    for cell, i in zip(grid.ravel(), worst, strict=False):
        left, right = cell.subplots(1, 2, width_ratios=[1.0, 1.15])
        _draw_row(left, X[i], shape)
        left.set_title(f"row {i}", fontsize=8)
        _draw_probabilities(right, P[i], names, int(truth[i]))
        right.set_title(f"{names[guess[i]]} instead of {names[truth[i]]}", fontsize=8)
    return figure


def _draw_row(ax, row, shape) -> None:
    if shape is not None:
        ax.imshow(row.reshape(shape), cmap="gray", interpolation="nearest")
        ax.axis("off")
        return
    from matplotlib.ticker import MaxNLocator

    ax.bar(range(row.size), row.ravel(), color=canvas.COLOURS[0])
    ax.axhline(0.0, color="#333333", linewidth=0.6)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
    ax.set_xlabel("input", fontsize=7, labelpad=1)
    ax.set_ylabel("value", fontsize=7, labelpad=1)
    ax.tick_params(labelsize=6)


def _draw_probabilities(ax, p, names, truth: int) -> None:
    order = list(range(len(p))) if len(p) <= 10 else np.argsort(-p, kind="stable")[:5].tolist()
    if truth not in order:
        order.append(truth)
    y = np.arange(len(order))[::-1]
    bars = ax.barh(y, 100.0 * p[order], color=canvas.COLOURS[4], edgecolor="#333333", linewidth=0.6)
    for bar, k in zip(bars, order, strict=True):
        if k == truth:
            bar.set_hatch("////")
    ax.set_yticks(y, [names[k] for k in order], fontsize=6)
    ax.set_xlim(0.0, 100.0)
    ax.tick_params(axis="x", labelsize=6)
    ax.set_xlabel("probability, %", fontsize=7, labelpad=1)
