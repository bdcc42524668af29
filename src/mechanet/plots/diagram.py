"""The picture everyone knows: nodes in columns, with the weights between them."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mechanet.layers import ActivationLayer
from mechanet.plots import canvas

SHOWN = 12  # nodes of a layer at most; of a wider layer the first and the last


@dataclass
class Column:
    """A layer as it is drawn: which units, at which heights, with which values."""

    title: str
    units: int
    index: np.ndarray
    y: np.ndarray
    values: np.ndarray | None = None
    layer: int | None = None

    @property
    def shortened(self) -> bool:
        return len(self.index) < self.units


def network(net, x=None, *, classes=None, ax=None) -> Any:
    """Draw a network: nodes in columns, edges coloured and weighted by W.

    Parameters
    ----------
    net : Network
    x : array-like, optional
        One row, or a batch whose first row is used: nodes are shaded by their activations, output nodes by their
        predictions.
    classes : sequence of str, optional
        Names of the outputs.
    ax : Axes, optional

    Returns
    -------
    Figure
        Solid edges are positive weights and dashed ones negative, wider and darker the larger they are, relative
        to the largest of their layer. Of a layer with more than 12 units the first six and the last six are drawn.
        Of rows with more than one axis, such as images, the units are those of the last axis, and their values the
        means over the others; where W does not connect the nodes that are drawn, the place of the edges says so.
    """
    columns = _columns(net, x)
    shape = canvas.image_shape(net)
    pictured = x is not None and shape is not None
    tallest = max(len(column.y) for column in columns)
    figure, ax = canvas.axes(ax, max(5.0, 1.7 * (len(columns) + pictured) + 1.6), max(3.2, 0.36 * tallest + 2.0))
    for i in range(1, len(columns)):
        _edges(net, ax, columns[i - 1], columns[i], i)
    for i, column in enumerate(columns):
        _nodes(ax, column, i)
    _label_outputs(net, ax, columns[-1], len(columns) - 1, classes)

    from matplotlib.lines import Line2D

    ax.legend(
        handles=[Line2D([], [], color=canvas.POSITIVE, label="positive weight"),
                 Line2D([], [], color=canvas.NEGATIVE, linestyle=(0, (4, 2)), label="negative weight")],
        loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=2, frameon=False, fontsize=8,
    )  # fmt: skip
    lit = "" if x is None else ", lit up by one row: the darker, the larger"
    ax.set_title(f"{net.parameters.shape[0]:,} parameters{lit}", fontsize=10)
    heights = np.concatenate([column.y for column in columns])
    ax.set_xlim(-1.5 if pictured else -0.55, len(columns) - 1 + (0.75 if x is None else 1.05))
    ax.set_ylim(heights.min() - 2.1, heights.max() + 0.8)
    if pictured:
        picture = ax.inset_axes((-1.45, -2.5, 1.2, 5.0), transform=ax.transData)
        picture.imshow(_first_row(net, x).reshape(shape), cmap="gray", interpolation="nearest")
        picture.axis("off")
    ax.axis("off")
    return figure


def _first_row(net, x) -> np.ndarray:
    x = canvas.host(x)
    return x if x.shape == net.input_shape else x[0]


def _columns(net, x) -> list[Column]:
    """The input, and each layer with weights together with the activation after it."""
    values = None
    if x is not None:
        values = canvas.outputs(net, _first_row(net, x)[None, ...])
    trained = canvas.trained_layers(net)
    ends = [*trained[1:], len(net.layers)]
    first = trained[0] if trained else len(net.layers)
    units = int(np.prod(net.layers[first - 1].output_shape)) if first else int(np.prod(net.input_shape))
    columns = [_column("input", units, values[first][0] if values else None, None)]
    for i, end in zip(trained, ends, strict=True):
        kinds = [layer for layer in net.layers[i:end] if layer.parameters or isinstance(layer, ActivationLayer)]
        title = "\n".join(type(layer).__name__ for layer in kinds)
        last = i + max(k for k, layer in enumerate(net.layers[i:end]) if layer in kinds)
        *places, units = net.layers[last].output_shape
        shown = values[last + 1][0].reshape(-1, units).mean(axis=0) if values else None
        if places:
            title += f"\nmean over {' × '.join(map(str, places))}"
        if values and end == len(net.layers):
            shown = canvas.host(net.loss.link(np, values[-1]))[0]
            title += f"\n{net.loss.link.__name__}" if net.loss.link.__name__ != "identity" else ""
        columns.append(_column(title, units, shown, i))
    return columns


def _column(title, units, values, layer) -> Column:
    if units <= SHOWN:
        index = np.arange(units)
        y = (units - 1) / 2.0 - index
    else:
        half = SHOWN // 2
        index = np.concatenate([np.arange(half), np.arange(units - half, units)])
        y = np.concatenate([half - np.arange(half) - 0.25, -np.arange(half) - 0.75])
    return Column(title, units, index, y, None if values is None else values.ravel()[index], layer)


def _edges(net, ax, before: Column, after: Column, at: int) -> None:
    from matplotlib.collections import LineCollection
    from matplotlib.colors import to_rgba

    W = canvas.host(net.layers[after.layer].W)
    if W.shape != (before.units, after.units):  # one node stands for a unit at many places
        ax.text(
            at - 0.5, 0.0, f"no edges:\nW is {W.shape[0]:,} × {W.shape[1]:,}", ha="center", va="center", fontsize=7
        )
        return
    W = W[np.ix_(before.index, after.index)]
    strength = np.abs(W) / (np.abs(W).max() or 1.0)
    for sign, colour, dash in ((1, canvas.POSITIVE, "solid"), (-1, canvas.NEGATIVE, (0, (4, 2)))):
        rows, columns = np.nonzero(W * sign > 0)
        order = np.argsort(strength[rows, columns])
        rows, columns = rows[order], columns[order]
        lines = [[(at - 1, before.y[r]), (at, after.y[c])] for r, c in zip(rows, columns, strict=True)]
        s = strength[rows, columns]
        pens = [to_rgba(colour, 0.06 + 0.94 * v) for v in s]
        ax.add_collection(
            LineCollection(lines, colors=pens, linewidths=0.3 + 1.8 * s, linestyles=[dash], zorder=1)
        )


def _nodes(ax, column: Column, at: int) -> None:
    if column.values is None:
        fill = np.full(len(column.y), 0.0)
    else:
        low, high = min(0.0, float(column.values.min())), float(column.values.max())
        fill = (column.values - low) / ((high - low) or 1.0)
    ax.scatter(
        np.full(len(column.y), at), column.y, s=130, c=fill, cmap="Greys", vmin=0.0, vmax=1.25,
        edgecolors="#333333", linewidths=0.9, zorder=3,
    )  # fmt: skip
    if column.shortened:
        ax.text(at, -0.25, "⋮", ha="center", va="center", fontsize=13, zorder=4)
    units = "unit" if column.units == 1 else "units"
    bottom = column.y.min() - 0.55
    ax.text(at, bottom, f"{column.title}\n{column.units:,} {units}", ha="center", va="top", fontsize=8)


def _label_outputs(net, ax, column: Column, at: int, classes) -> None:
    for j, y in zip(column.index, column.y, strict=True):
        name = str(classes[j]) if classes is not None else (str(j) if column.units > 1 else "")
        k = int(np.flatnonzero(column.index == j)[0])
        value = "" if column.values is None else f"{column.values[k]:.3g}"
        text = "  ".join(part for part in (name, value) if part)
        ax.text(at + 0.13, y, text, ha="left", va="center", fontsize=8)
