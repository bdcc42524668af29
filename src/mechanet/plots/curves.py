"""Curves over the epochs, and distributions layer by layer."""

from typing import Any

import numpy as np

from mechanet.explain.walk import Walk
from mechanet.layers import ActivationLayer
from mechanet.plots import canvas

PANELS = 12  # layers to draw, at most
NAMED = 10  # dead units to name, at most


def history(history, *, quantity: str = "loss", ax=None) -> Any:
    """Loss and accuracy, of training and validation, over the epochs.

    Parameters
    ----------
    history : History
    quantity : {"loss", "accuracy"}
        Which of them is drawn into `ax`; without `ax` both are.
    ax : Axes, optional

    Returns
    -------
    Figure
    """
    if not len(history):
        raise ValueError("history expects at least one epoch. Received: none.")
    if quantity not in ("loss", "accuracy"):
        raise ValueError(f"quantity expects 'loss' or 'accuracy'. Received: quantity={quantity!r}.")
    if ax is not None:
        figure, panels = ax.figure, [(quantity, ax)]
    else:
        names = ["loss"] if history[0].accuracy is None else ["loss", "accuracy"]
        figure = canvas.figure(4.6 * len(names), 3.4)
        panels = list(zip(names, np.atleast_1d(figure.subplots(1, len(names))), strict=True))
    for name, panel in panels:
        _curve(history, name, panel)
    return figure


def _curve(history, name: str, ax) -> None:
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    epochs = history.column("number")
    lines = [(name, "training", "-", "o"), (f"validation_{name}", "validation", "--", "s")]
    for (column, label, dash, marker), colour in zip(lines, (canvas.COLOURS[0], canvas.COLOURS[3]), strict=True):
        values = [np.nan if value is None else value for value in history.column(column)]
        if not np.isnan(values).all():
            every = max(1, len(epochs) // 12)
            ax.plot(epochs, values, dash, color=colour, marker=marker, markevery=every, ms=4, label=label)
    ax.set_xlabel("epoch")
    ax.set_ylabel("loss (mean over the rows)" if name == "loss" else "accuracy (% of the decisions)")
    ax.set_title(name)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
    if len(epochs) == 1:
        ax.set_xlim(0.5, 1.5)
    if name == "accuracy":
        ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    ax.grid(alpha=0.25)
    ax.legend(frameon=False)


def activations(net, x) -> Any:
    """The distribution of every layer's outputs over the rows of x, and which units are dead.

    Parameters
    ----------
    net : Network
    x : array-like (m, ...)

    Returns
    -------
    Figure
        One panel for each layer. A unit is called dead if its activation outputs 0 for every row: a ReLU that
        these rows never activate, and that can learn nothing from them.
    """
    values = canvas.outputs(net, x)
    panels = []
    for i, layer in enumerate(net.layers):
        if not (layer.parameters or isinstance(layer, ActivationLayer)):
            continue
        A = values[i + 1]
        silent = ~A.reshape(len(A), -1).any(axis=0)
        dead = np.flatnonzero(silent) if isinstance(layer, ActivationLayer) else np.arange(0)
        panels.append((canvas.layer_name(net, i), layer.symbols[1], A.ravel(), dead, A[0].size))
    rows = f"{len(values[0]):,} row{'s' if len(values[0]) > 1 else ''}"
    return _distributions(panels, f"Outputs of every layer, over {rows}", logarithmic=False)


def gradients(net, x, y) -> Any:
    """The distribution of the size of every weight's gradient, and the units that no gradient reaches.

    Parameters
    ----------
    net : Network
    x, y : array-like
        A batch.

    Returns
    -------
    Figure
        One panel for each layer with weights, over powers of ten: distributions that shift to the left from the
        last layer to the first show a vanishing gradient. A unit is called dead if dW is 0 for all its weights.
    """
    copy = net.to(net.backend)
    with copy.backend.current():
        walk = Walk(copy, canvas.host(x), y, None, None)
        walk.back()
    parts, panels = copy.chain.views(walk.host(walk.gradient)), []
    for i in canvas.trained_layers(copy):
        dW = parts[i]["W"]
        dead = np.flatnonzero(~dW.any(axis=0))
        panels.append((canvas.layer_name(net, i), "|dW|", np.abs(dW[dW != 0.0]), dead, dW.shape[1]))
    rows = f"{walk.X.shape[0]:,} row{'s' if walk.X.shape[0] > 1 else ''}"
    return _distributions(panels, f"Gradient of every weight, from {rows}", logarithmic=True)


def _distributions(panels, title: str, logarithmic: bool) -> Any:
    from matplotlib.ticker import NullFormatter

    left_out = len(panels) - PANELS
    panels = panels[:PANELS]
    figure = canvas.figure(6.4, 1.0 + 1.35 * len(panels))
    powers = None
    if logarithmic:  # one scale for all panels, so that they can be compared
        sizes = np.concatenate([values[np.isfinite(values)] for _, _, values, _, _ in panels])
        low, high = (
            (np.floor(np.log10(sizes.min())), np.ceil(np.log10(sizes.max()))) if len(sizes) else (-1.0, 0.0)
        )
        powers = np.logspace(low, max(high, low + 1), 61)
    for ax, (name, symbol, values, dead, units) in zip(
        np.atleast_1d(figure.subplots(len(panels), 1)), panels, strict=True
    ):
        values = values[np.isfinite(values)]
        weights = np.full(len(values), 100.0 / max(len(values), 1))
        if powers is not None:
            ax.set_xscale("log")
            ax.xaxis.set_minor_formatter(NullFormatter())
            ax.set_xlim(powers[0], powers[-1])
        edges: Any = 40 if powers is None else powers
        if len(values):
            ax.hist(values, bins=edges, weights=weights, color=canvas.COLOURS[0], edgecolor="white", linewidth=0.3)
        else:
            ax.text(0.5, 0.5, "all are 0", ha="center", va="center", transform=ax.transAxes)
        said = ""
        if len(dead):
            said = f": {len(dead)} of {units} dead, unit{'s' if len(dead) > 1 else ''} {canvas.short(dead, NAMED)}"
        ax.set_title(f"{name}{said}", fontsize=9, loc="left")
        ax.set_xlabel(symbol, fontsize=8, labelpad=1)
        ax.set_ylabel("% of values", fontsize=8)
        ax.tick_params(labelsize=7)
    more = f" (the first {PANELS} of {left_out + PANELS} layers)" if left_out > 0 else ""
    figure.suptitle(title + more, fontsize=11)
    return figure
