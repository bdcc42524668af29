"""Every picture on the CPU and on a device that is not: a file that opens, every text whole and apart from the others."""

import io
import math
import re
import subprocess
import sys
from pathlib import Path

import array_api_strict
import numpy as np
import pytest

import mechanet as mn

pytest.importorskip("matplotlib", reason="matplotlib is not installed")
Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")

from matplotlib.figure import Figure  # noqa: E402
from matplotlib.text import Text  # noqa: E402

from mechanet.plots import canvas, planes  # noqa: E402

PLACES = {"cpu": {}, "device1": {"xp": array_api_strict, "device": "device1"}}
SHAPES = [(depth, units) for depth in (1, 2, 5) for units in (1, 1000)]


def chain(depth, units, inputs=2, outputs=3, loss="cross_entropy", place="cpu"):
    """`depth` dense layers, the hidden ones of `units`; a single layer has that many outputs."""
    hidden = [layer for _ in range(depth - 1) for layer in (mn.Dense(units), mn.ReLU())]
    last = units if depth == 1 else outputs
    return mn.Network([*hidden, mn.Dense(last)], (inputs,), loss, seed=1, **PLACES[place])


def batch(net, rng, rows=60):
    x = rng.standard_normal((rows, *net.input_shape))
    outputs = net.output_shape[0]
    if net.loss.name == "cross_entropy":
        return x, rng.integers(0, outputs, rows)
    return x, rng.random((rows, outputs))


def drawn_texts(figure, file=None):
    """Every text that is drawn when a figure is written to a file, with its box in pixels."""
    found, draw = {}, Text.draw

    def watched(self, renderer, *args, **kwargs):
        if self.get_visible() and self.get_text().strip():
            found[id(self)] = self.get_text(), self.get_window_extent(renderer)  # matplotlib draws twice
        return draw(self, renderer, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Text, "draw", watched)
        figure.savefig(file or io.BytesIO(), dpi=figure.dpi)
    return list(found.values())


def faults(figure, file=None, slack=1.5):
    """Texts that leave the picture, and pairs that lie on each other."""
    texts, page = drawn_texts(figure, file), figure.bbox
    wrong = [
        f"cut off: {text!r}"
        for text, box in texts
        if box.x0 < page.x0 - slack or box.y0 < page.y0 - slack or box.x1 > page.x1 + slack or box.y1 > page.y1 + slack
    ]  # fmt: skip
    for i, (text, a) in enumerate(texts):
        for other, b in texts[i + 1 :]:
            across = min(a.x1, b.x1) - max(a.x0, b.x0)
            up = min(a.y1, b.y1) - max(a.y0, b.y0)
            if across > slack and up > slack:
                wrong.append(f"{text!r} lies on {other!r}")
    return wrong


def check(figure, tmp_path):
    assert isinstance(figure, Figure)
    figure.set_dpi(70)
    assert faults(figure, tmp_path / "picture.png") == []
    with Image.open(tmp_path / "picture.png") as picture:
        picture.load()
        assert picture.size == pytest.approx(tuple(figure.bbox.size), abs=1)
        assert len(picture.convert("L").getcolors(256)) > 3


def all_pictures(net, rng, points=5):
    x, y = batch(net, rng)
    plots = mn.plots
    yield plots.network(net)
    yield plots.network(net, x)
    yield plots.weights(net)
    yield plots.activations(net, x)
    yield plots.gradients(net, x, y)
    yield plots.landscape(net, x[:10], y[:10], points=points)
    if net.loss.classifies:
        yield plots.confusion(net, x, y)
        yield plots.mistakes(net, x, y, 4)
    if net.loss.classifies or net.output_shape == (1,):
        yield plots.decision_boundary(net, x, y)
    training = mn.Training(net, x, y, optimizer="sgd")
    for _ in training.epochs(3):
        pass
    yield plots.history(training.history)


def test_a_text_that_is_cut_off_or_covered_is_found():
    figure = canvas.figure(3, 2)
    ax = figure.add_subplot()
    ax.text(0.5, 0.5, "first")
    ax.text(0.52, 0.51, "second")
    figure.text(0.9, 0.5, "beyond the edge")
    wrong = faults(figure)
    assert "'first' lies on 'second'" in wrong
    assert "cut off: 'beyond the edge'" in wrong
    assert len(wrong) == 2


def test_all_pictures(tmp_path, rng):
    for figure in all_pictures(chain(3, 14), rng):
        check(figure, tmp_path)


def test_networks_and_data_of_any_place_are_drawn(place, rng):
    net = mn.Network([mn.Dense(5), mn.ReLU(), mn.Dense(3)], (2,), seed=1, **place.options)
    at_home = mn.Network([mn.Dense(5), mn.ReLU(), mn.Dense(3)], (2,), seed=1)
    x, y = batch(net, rng, 20)
    there = place.asarray(x, "float32"), place.asarray(y)
    np.testing.assert_allclose(canvas.class_probabilities(net, there[0]), at_home.predict_proba(x), rtol=1e-5)
    for draw in (mn.plots.activations, mn.plots.network):
        assert draw(net, there[0]).axes
    for draw in (mn.plots.gradients, mn.plots.confusion, mn.plots.mistakes, mn.plots.decision_boundary):
        assert draw(net, *there).axes
    assert mn.plots.landscape(net, *there, points=3).axes
    np.testing.assert_allclose(mn.plots.weights(net).axes[0].images[0].get_array(), at_home.layers[0].W)


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["cross_entropy", "squared_error"])
@pytest.mark.parametrize(("depth", "units"), SHAPES)
@pytest.mark.parametrize("place", PLACES)
def test_all_pictures_of_every_shape(place, depth, units, loss, tmp_path, rng):
    if (units, depth, loss) == (1, 1, "cross_entropy"):
        loss = "binary_cross_entropy"  # a softmax over one class has nothing to decide
    for figure in all_pictures(chain(depth, units, loss=loss, place=place), rng):
        check(figure, tmp_path)


@pytest.mark.parametrize(("depth", "units"), SHAPES)
def test_the_network_of_every_shape(depth, units, tmp_path, rng):
    net = chain(depth, units)
    figure = mn.plots.network(net, rng.standard_normal(2))
    check(figure, tmp_path)
    shown = [len(artist.get_offsets()) for artist in figure.axes[0].collections if artist.get_offsets().shape[0] > 0
             and artist.__class__.__name__ == "PathCollection"]  # fmt: skip
    hidden = [min(units, 12)] * (depth - 1)
    assert shown == [2, *hidden, min(units, 12) if depth == 1 else 3]
    ellipses = [text for text, _ in drawn_texts(figure) if text == "⋮"]
    assert len(ellipses) == (0 if units == 1 else 1 if depth == 1 else depth - 1)


def test_edges_say_the_sign_by_dash_and_the_size_by_width():
    net = mn.Network([mn.Dense(2, bias=False)], (2,), "squared_error")
    net.parameters[...] = [4.0, -2.0, 0.0, 1.0]
    positive, negative = (c for c in mn.plots.network(net).axes[0].collections if hasattr(c, "get_segments"))
    assert [len(c.get_segments()) for c in (positive, negative)] == [2, 1]
    np.testing.assert_allclose(positive.get_linewidths(), [0.3 + 1.8 / 4, 0.3 + 1.8])
    assert all(dashes is None for _, dashes in positive.get_linestyles())
    assert all(dashes is not None for _, dashes in negative.get_linestyles())
    np.testing.assert_allclose(positive.get_segments()[1], [[0, 0.5], [1, 0.5]])  # from input 0 to unit 0


def test_images_are_shown_as_images(tmp_path, rng):
    net = mn.Network([mn.Scale(1 / 255), mn.Dense(20), mn.ReLU(), mn.Dense(10)], (784,), seed=0)
    x, y = rng.integers(0, 256, (50, 784)).astype("uint8"), rng.integers(0, 10, 50)
    figure = mn.plots.weights(net)
    sheet = figure.axes[0].images[0].get_array()
    assert sheet.shape == (4 * 29 - 1, 5 * 29 - 1)  # 20 units as 28 x 28, in 4 rows of 5
    np.testing.assert_allclose(sheet[29:57, 58:86], net.layers[1].W[:, 7].reshape(28, 28))
    check(figure, tmp_path)
    check(mn.plots.weights(net, 3), tmp_path)
    check(mn.plots.mistakes(net, x, y, 5, classes="abcdefghij"), tmp_path)
    picture = mn.plots.network(net, x[4], classes="abcdefghij")
    np.testing.assert_array_equal(picture.axes[0].child_axes[0].images[0].get_array(), x[4].reshape(28, 28))
    check(picture, tmp_path)
    assert mn.plots.weights(net, image_shape=(14, 56)).axes[0].images[0].get_array().shape[0] == 4 * 15 - 1


def test_confusion_counts_what_scikit_learn_counts(rng):
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    net = chain(2, 9)
    x, y = batch(net, rng, 200)
    figure = mn.plots.confusion(net, x, y)
    expected = metrics.confusion_matrix(y, net.predict(x), labels=[0, 1, 2])
    shares = figure.axes[0].images[0].get_array()
    np.testing.assert_allclose(shares, 100 * expected / expected.sum(axis=1, keepdims=True))
    written = sorted(int(text.get_text()) for text in figure.axes[0].texts)
    assert written == sorted(int(count) for count in expected.ravel() if count)


def test_the_worst_mistakes_come_first():
    net = mn.Network([mn.Dense(2, bias=False)], (2,))
    net.parameters[...] = [1.0, 0.0, 0.0, 1.0]  # the scores are the inputs
    x = np.array([[1.0, 0.0], [3.0, 0.0], [0.0, 2.0], [5.0, 0.0]])
    figure = mn.plots.mistakes(net, x, [1, 1, 0, 0])
    titles = [ax.get_title() for ax in figure.axes if ax.get_title()]
    assert titles == ["row 1", "0 instead of 1", "row 2", "1 instead of 0", "row 0", "0 instead of 1"]
    bars = figure.axes[1].patches
    np.testing.assert_allclose(
        [bar.get_width() for bar in bars], [100 / (1 + math.exp(-3)), 100 / (1 + math.exp(3))]
    )
    assert [bar.get_hatch() for bar in bars] == [None, "////"]
    assert [text for text, _ in drawn_texts(mn.plots.mistakes(net, x, [0, 0, 1, 0]))] == ["No mistakes in 4 rows"]


def test_dead_units_are_named(rng):
    net = mn.Network([mn.Dense(4), mn.ReLU(), mn.Dense(3)], (2,))
    net.layers[0].b[...] = [0.0, -100.0, 0.0, -100.0]
    x, y = batch(net, rng)
    assert [ax.get_title(loc="left") for ax in mn.plots.activations(net, x).axes] == [
        "0 Dense", "1 ReLU: 2 of 4 dead, units 1, 3", "2 Dense"
    ]  # fmt: skip
    assert [ax.get_title(loc="left") for ax in mn.plots.gradients(net, x, y).axes] == [
        "0 Dense: 2 of 4 dead, units 1, 3", "2 Dense"
    ]  # fmt: skip


def test_the_shares_of_a_distribution_add_up_to_a_hundred(rng):
    net = chain(3, 20)
    x, y = batch(net, rng)
    for figure in (mn.plots.activations(net, x), mn.plots.gradients(net, x, y)):
        for ax in figure.axes:
            assert sum(bar.get_height() for bar in ax.patches) == pytest.approx(100)


def test_directions_are_as_long_as_the_units_weights():
    net = chain(3, 7)
    first, second = planes.directions(net, seed=3)
    offset = 0
    for layer in net.layers:
        for name, view in layer.parameters.items():
            for found in (first, second):
                part = found[offset : offset + view.size].reshape(view.shape)
                if name == "b":
                    assert not part.any()
                else:
                    np.testing.assert_allclose(
                        np.linalg.norm(part, axis=0), np.linalg.norm(view, axis=0), rtol=1e-6
                    )
            offset += view.size
    assert abs(first @ second) < 0.9 * np.linalg.norm(first) * np.linalg.norm(second)


def test_the_landscape_of_a_parabola(rng):
    # z = w x with x = 1 and target 0: L = ½ w², along both directions, whose one weight is as long as w itself.
    net = mn.Network([mn.Dense(1, bias=False)], (1,), "squared_error", "float64")
    net.parameters[...] = [2.0]
    figure = mn.plots.landscape(net, [[1.0]], [0.0], points=5, span=1.0)
    first, second = planes.directions(net)
    assert abs(first[0]) == abs(second[0]) == 2.0
    contours = figure.axes[0].collections[0]
    np.testing.assert_allclose(
        [contours.get_clim()[0], contours.get_clim()[1]], [-12, math.log10(18)]
    )  # 0 to ½ 6²
    assert "at θ it is 2" in figure.axes[0].get_title()
    np.testing.assert_array_equal(net.parameters, [2.0])


def test_decision_boundary_of_a_network_that_compares_its_inputs(tmp_path, rng):
    net = mn.Network([mn.Dense(2, bias=False)], (2,))
    net.parameters[...] = [1.0, 0.0, 0.0, 1.0]
    x = rng.uniform(-1, 1, (80, 2))
    y = (x[:, 1] > x[:, 0]).astype(int)
    figure = mn.plots.decision_boundary(net, x, y, classes=["right", "left"])
    assert "100.0% of 80 rows correct" in figure.axes[0].get_title()
    lines = figure.axes[0].collections[0].get_paths()[0].vertices
    np.testing.assert_allclose(lines[:, 0], lines[:, 1], atol=0.03)  # the line between them is the diagonal
    markers = {c.get_paths()[0].vertices.shape for c in figure.axes[0].collections if len(c.get_offsets()) > 1}
    assert len(markers) == 2  # legible without colour
    check(figure, tmp_path)
    small = canvas.figure(4.6, 4.0).add_subplot()  # as in a film
    check(mn.plots.decision_boundary(net, x, y, ax=small), tmp_path)
    regression = mn.Network([mn.Dense(1)], (2,), "squared_error")
    check(mn.plots.decision_boundary(regression, x, x[:, 0]), tmp_path)


@pytest.mark.parametrize("place", PLACES)
def test_a_film_of_the_boundary_and_of_the_weights(place, tmp_path, rng):
    plane = chain(2, 8, place=place)
    training = mn.Training(plane, *batch(plane, rng))
    path = mn.plots.training_film(training, 7, tmp_path / "plane.gif", frames=4)
    with Image.open(path) as film:
        assert (film.format, film.n_frames) == ("GIF", 5)  # the start, epochs 2, 4, 6 and 7
        film.seek(4)
        film.load()
        assert film.info["duration"] == 2000
    assert training.epoch == 7
    images = mn.Network([mn.Dense(4)], (64,), **PLACES[place])
    path = mn.plots.training_film(mn.Training(images, *batch(images, rng)), 2, tmp_path / "weights.gif")
    with Image.open(path) as film:
        assert film.n_frames == 3


def test_histories_of_one_epoch_of_many_and_without_accuracy(tmp_path):
    def epochs(n, accuracy, validation):
        return mn.History(
            [mn.Epoch(i + 1, 2.0 / (i + 1), accuracy, validation, accuracy, 0.1, 0.1) for i in range(n)]
        )

    check(mn.plots.history(epochs(1, None, None)), tmp_path)
    check(mn.plots.history(epochs(1, 0.5, 0.7)), tmp_path)
    long = mn.plots.history(epochs(1000, 0.5, 0.7))
    check(long, tmp_path)
    training, validation = long.axes[0].lines
    assert (training.get_linestyle(), validation.get_linestyle()) == ("-", "--")
    np.testing.assert_allclose(training.get_ydata()[:3], [2.0, 1.0, 2.0 / 3.0])


def test_panels_are_drawn_into_axes_that_are_given(rng):
    net = chain(2, 6)
    x, y = batch(net, rng)
    figure = canvas.figure(10, 8)
    axes = figure.subplots(2, 3).ravel()
    history = mn.History([mn.Epoch(1, 1.0, 0.5, None, None, 0.1, 0.1)])
    drawn = [
        mn.plots.network(net, ax=axes[0]), mn.plots.weights(net, ax=axes[1]), mn.plots.confusion(net, x, y, ax=axes[2]),
        mn.plots.decision_boundary(net, x, y, ax=axes[3]), mn.plots.landscape(net, x, y, points=3, ax=axes[4]),
        mn.plots.history(history, quantity="accuracy", ax=axes[5]),
    ]  # fmt: skip
    assert all(own is figure for own in drawn)
    assert all(ax.has_data() for ax in axes)


def test_a_figure_shows_itself_in_a_notebook_and_pyplot_keeps_none(rng):
    figure = mn.plots.network(chain(1, 2))
    with Image.open(io.BytesIO(figure._repr_png_())) as picture:
        assert picture.format == "PNG"
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


def test_nothing_of_the_network_is_changed(rng):
    net = chain(2, 9)
    x, y = batch(net, rng)
    net.loss_and_gradient(x, y)
    before = net.parameters.copy(), net.gradient.copy(), x.copy()
    pictures = (mn.plots.network(net, x), mn.plots.activations(net, x), mn.plots.gradients(net, x, y),
                mn.plots.landscape(net, x, y, points=3), mn.plots.decision_boundary(net, x, y))  # fmt: skip
    assert len(pictures) == 5
    for a, b in zip(before, (net.parameters, net.gradient, x), strict=True):
        np.testing.assert_array_equal(a, b)


def test_without_matplotlib_the_error_says_what_to_install():
    code = "import sys; sys.modules['matplotlib'] = None; import mechanet as mn; mn.plots.network(mn.Network([mn.Dense(1)], (1,)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert (
        "ImportError: mechanet.plots needs matplotlib. Install it with: pip install 'mechanet[plots]'"
        in done.stderr
    )


def test_errors_say_what_to_do(rng):
    net, regression = chain(2, 4), mn.Network([mn.Dense(2)], (3,), "squared_error")
    x, y = batch(net, rng)
    with pytest.raises(ValueError, match=r"two inputs. Received: input_shape=\(3,\)"):
        mn.plots.decision_boundary(regression, rng.random((4, 3)), rng.random((4, 2)))
    with pytest.raises(ValueError, match="confusion expects a classification.*Received: loss='squared_error'"):
        mn.plots.confusion(regression, rng.random((4, 3)), rng.random((4, 2)))
    with pytest.raises(ValueError, match=r"layer expects one with weights, of \[0, 2\]. Received: layer=1"):
        mn.plots.weights(net, 1)
    with pytest.raises(ValueError, match=r"image_shape expects \(height, width\) of 2 entries"):
        mn.plots.weights(net, image_shape=(3, 3))
    with pytest.raises(ValueError, match="n expects an integer of at least 1. Received: n=0"):
        mn.plots.mistakes(net, x, y, 0)
    with pytest.raises(ValueError, match="history expects at least one epoch"):
        mn.plots.history(mn.History())
    with pytest.raises(ValueError, match="points expects an integer of at least 2. Received: points=1"):
        mn.plots.landscape(net, x, y, points=1)
    with pytest.raises(ValueError, match="span expects a finite number above 0. Received: span=0"):
        mn.plots.landscape(net, x, y, span=0.0)
    with pytest.raises(ValueError, match="frames expects an integer of at least 1. Received: frames=0"):
        mn.plots.training_film(mn.Training(net, x, y), 2, "film.gif", frames=0)


def test_the_pictures_of_the_readme_open_and_are_small():
    folder = Path(__file__).parents[2] / "docs" / "images"
    for name, kind in (("network.png", "PNG"), ("training.gif", "GIF")):
        with Image.open(folder / name) as picture:
            picture.load()
            assert picture.format == kind
        assert (folder / name).stat().st_size < 1_000_000
    svg = (folder / "explanation.svg").read_text(encoding="utf-8")
    assert "298371109" in svg
    assert not re.search(r"url\(.?http|href=.?http", svg)  # it fetches nothing
