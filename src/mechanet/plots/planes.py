"""Maps of a plane: the predictions of a network with two inputs, and the loss around θ."""

from typing import Any

import numpy as np

import mechanet.backend
from mechanet import checks
from mechanet.network import blocks
from mechanet.network.batch import check_batch
from mechanet.plots import canvas

GRID = 200
POINTS = 2000  # rows to draw as points, about, at most


def decision_boundary(net, x, y, *, classes=None, ax=None) -> Any:
    """The predictions of a network with two inputs at every point around the rows of x.

    Parameters
    ----------
    net : Network
        With ``input_shape == (2,)``.
    x : array-like (m, 2)
    y : array-like
        Its targets: labels of a classification, numbers of a regression with one output.
    classes : sequence of str, optional
        Names of the classes.
    ax : Axes, optional

    Returns
    -------
    Figure
        For a classification, coloured regions, paler where the network is less sure, with lines between them and a
        marker for each class; for a regression, a map of its values. Of more than 2,000 rows only some are drawn.
    """
    from matplotlib.ticker import MaxNLocator

    if net.input_shape != (2,):
        raise ValueError(
            f"decision_boundary expects a network with two inputs. Received: input_shape={net.input_shape}."
        )
    if not net.loss.classifies and net.output_shape != (1,):
        raise ValueError(f"decision_boundary expects one output of a regression. Received: {net.output_shape[0]}.")
    X, y = canvas.host(x).astype("float64"), canvas.host(y)
    low, high = X.min(axis=0), X.max(axis=0)
    margin = 0.12 * np.where(high > low, high - low, 1.0)
    across, up = (np.linspace(low[i] - margin[i], high[i] + margin[i], GRID) for i in (0, 1))
    points = np.stack([a.ravel() for a in np.meshgrid(across, up)], axis=1)
    figure, ax = canvas.axes(ax, 5.4, 4.4)
    every = slice(None, None, -(-len(X) // POINTS))
    if net.loss.classifies:
        P = canvas.class_probabilities(net, points)
        _regions(ax, across, up, P)
        _points(ax, X[every], canvas.true_labels(net, y)[every], P.shape[1], classes)
        accuracy = net.evaluate(X, y)["accuracy"]
        ax.set_title(f"{accuracy:.1%} of {len(X):,} rows correct", fontsize=10)
    else:
        values = canvas.host(net.predict(points)).reshape(GRID, GRID)
        wanted = y.reshape(-1)
        limits = min(values.min(), wanted.min()), max(values.max(), wanted.max())
        picture = ax.pcolormesh(
            across, up, values, cmap="cividis", vmin=limits[0], vmax=limits[1], rasterized=True
        )
        ax.scatter(*X[every].T, c=wanted[every], cmap="cividis", vmin=limits[0], vmax=limits[1], s=16,
                   edgecolors="white", linewidths=0.5)  # fmt: skip
        figure.colorbar(picture, ax=ax, label="value; of the points, the target")
        ax.set_title(f"mean loss {net.evaluate(X, y)['loss']:.4g} over {len(X):,} rows", fontsize=10)
    ax.set_xlim(across[0], across[-1])
    ax.set_ylim(up[0], up[-1])
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(6))
    ax.set_xlabel("input 0")
    ax.set_ylabel("input 1")
    return figure


def _regions(ax, across, up, P: np.ndarray) -> None:
    from matplotlib.colors import to_rgb

    k = P.shape[1]
    label, sure = P.argmax(axis=1), P.max(axis=1)
    colours = np.array([to_rgb(canvas.COLOURS[i % len(canvas.COLOURS)]) for i in range(k)])[label]
    strength = 0.12 + 0.43 * (sure - 1.0 / k) / (1.0 - 1.0 / k)
    image = (1.0 - strength[:, None] * (1.0 - colours)).reshape(GRID, GRID, 3)
    extent = (across[0], across[-1], up[0], up[-1])
    ax.imshow(np.clip(image, 0.0, 1.0), origin="lower", extent=extent, aspect="auto", interpolation="bilinear")
    for i in np.unique(label) if len(np.unique(label)) > 1 else ():
        others = np.delete(P, i, axis=1).max(axis=1)
        ax.contour(
            across, up, (P[:, i] - others).reshape(GRID, GRID), levels=[0.0], colors="#222222", linewidths=1.1
        )


def _points(ax, X, labels, k: int, classes) -> None:
    for label in np.unique(labels):
        rows = labels == label
        ax.scatter(
            *X[rows].T, s=20, marker=canvas.MARKERS[label % len(canvas.MARKERS)],
            color=canvas.COLOURS[label % len(canvas.COLOURS)], edgecolors="white", linewidths=0.6,
            label=str(classes[label]) if classes is not None else f"class {label}",
        )  # fmt: skip
    if k <= 12:
        ax.legend(loc="upper right", fontsize=8, framealpha=0.85)


def landscape(net, x, y, *, span: float = 1.0, points: int = 25, seed: int = 0, ax=None) -> Any:
    """The loss around θ along two random directions, filter-normalised.

    Parameters
    ----------
    net : Network
        Left unchanged: the parameters of a copy are varied.
    x, y : array-like
        The rows on which the loss is measured, `points`² times; a few hundred are enough.
    span : float
        How far to go, in lengths of each unit's own weights.
    points : int
        Grid points along each direction.
    seed : int
        Seed of the directions.
    ax : Axes, optional

    Returns
    -------
    Figure
        A map of the loss with level lines, θ in the middle.

    References
    ----------
    Li, Xu, Taylor, Studer and Goldstein (2018), Visualizing the loss landscape of neural nets, section 4: each
    unit's part of a direction is as long as the unit's weights, and biases stay.
    """
    points = checks.integer("points", points, 2)
    span = checks.real("span", span, 0.0, open_low=True)
    steps = np.linspace(-span, span, points)
    theta = canvas.host(net.parameters).astype("float64")
    first, second = directions(net, seed)
    losses = np.empty((points, points))
    copy = net.to(net.backend)
    with copy.backend.current():
        batch = check_batch(copy.chain, copy.loss, canvas.host(x), y)
        batch.X = copy.backend.asarray(batch.X)
        for (i, b), (j, a) in ((p, q) for p in enumerate(steps) for q in enumerate(steps)):
            copy.set_parameters(theta + a * first + b * second)
            losses[i, j] = float(blocks.loss_and_correct(copy.chain, copy.bound_loss, batch)[0])

    figure, ax = canvas.axes(ax, 5.6, 4.4)
    shown = np.where(np.isfinite(losses), losses, np.nan)
    logs = np.log10(np.maximum(shown, 1e-12))
    levels = np.linspace(np.nanmin(logs), max(np.nanmax(logs), np.nanmin(logs) + 0.005), 15)
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    picture = ax.contourf(steps, steps, logs, levels=levels, cmap="cividis")
    ax.contour(steps, steps, logs, levels=levels[1:-1], colors="white", linewidths=0.4)
    ax.plot(0.0, 0.0, "*", ms=13, color="white", markeredgecolor="black", label="θ")
    ax.legend(loc="upper right", fontsize=9)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.set_xlabel("along the first direction\n(lengths of each unit's weights)")
    ax.set_ylabel("along the second")
    middle = losses[points // 2, points // 2] if points % 2 else float(net.evaluate(canvas.host(x), y)["loss"])
    ax.set_title(f"The loss around θ; at θ it is {middle:.4g}", fontsize=10)
    bar = figure.colorbar(picture, ax=ax, label="loss, mean over the rows (logarithmic)")
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{10.0**value:.4g}"))
    return figure


def directions(net, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two random directions over θ: each unit's part as long as its weights, 0 for biases."""
    rng = mechanet.backend.generator(seed)
    found: tuple[list, list] = ([], [])
    for layer, declared in zip(net.layers, net.chain.declared, strict=True):
        for name, view in layer.parameters.items():
            W = canvas.host(view).astype("float64")
            for parts in found:
                drawn = rng.standard_normal(W.shape)
                if not declared[name].decays:
                    parts.append(np.zeros(W.shape))
                    continue
                lengths = np.sqrt((drawn * drawn).sum(axis=0, keepdims=True))
                parts.append(drawn / lengths * np.sqrt((W * W).sum(axis=0, keepdims=True)))
    return tuple(np.concatenate([part.ravel() for part in parts]) for parts in found)  # type: ignore[return-value]
