"""`mn.explain` against published numbers, against float64 loops, and against training itself, bit for bit."""

import json
import math
import re
import subprocess
import sys
import time
from collections import Counter
from html.parser import HTMLParser

import numpy as np
import pytest

import mechanet as mn
from mechanet.explain import terminal
from mechanet.explain.tree import Summary
from mechanet.layers import Gather, Views

PAGE_BYTES = 2_000_000


def mazur(**options):
    """Matt Mazur's network, A step by step backpropagation example (2015)."""
    layers = [mn.Dense(2), mn.Sigmoid(), mn.Dense(2), mn.Sigmoid()]
    net = mn.Network(layers, input_shape=(2,), loss="squared_error", **{"dtype": "float64"} | options)
    net.parameters[...] = net.backend.asarray(
        np.array([0.15, 0.25, 0.20, 0.30, 0.35, 0.35, 0.40, 0.50, 0.45, 0.55, 0.60, 0.60], dtype=net.dtype)
    )
    return net


@pytest.fixture
def worked():
    return mn.explain(mazur(), [[0.05, 0.10]], [[0.01, 0.99]], mn.SGD(0.5))


def digits_network(dtype="float64", rate=0.3, **options):
    layers = [mn.Scale(1 / 255), mn.Dense(128), mn.ReLU(), mn.Dropout(rate), mn.Dense(10)]
    return mn.Network(layers, input_shape=(784,), dtype=dtype, seed=3, **options)


def images(rng, rows):
    return rng.integers(0, 256, (rows, 784)).astype("uint8"), rng.integers(0, 10, rows)


# Every number of his page, with the digits he prints.
MAZUR = [
    ((0, "Z"), (0, 0), 0.3775),
    ((1, "A"), (0, 0), 0.593269992),
    ((1, "A"), (0, 1), 0.596884378),
    ((2, "Z"), (0, 0), 1.105905967),
    ((3, "A"), (0, 0), 0.75136507),
    ((3, "A"), (0, 1), 0.772928465),
    ("L", (), 0.298371109),
    ("dA", (0, 0), 0.74136507),
    ((3, "dZ"), (0, 0), 0.138498562),
    ((2, "dW"), (0, 0), 0.082167041),
    ((2, "dX"), (0, 0), 0.036350306),
    ((0, "dW"), (0, 0), 0.000438568),
    ((2, "W_new"), (0, 0), 0.35891648),
    ((2, "W_new"), (1, 0), 0.408666186),
    ((2, "W_new"), (0, 1), 0.511301270),
    ((2, "W_new"), (1, 1), 0.561370121),
    ((0, "W_new"), (0, 0), 0.149780716),
    ((0, "W_new"), (1, 0), 0.19956143),
    ((0, "W_new"), (0, 1), 0.24975114),
    ((0, "W_new"), (1, 1), 0.29950229),
]


@pytest.mark.parametrize(("key", "at", "printed"), MAZUR)
def test_mazurs_example_to_his_digits(worked, key, at, printed):
    digits = len(repr(printed).partition(".")[2])
    assert worked[key][at] == pytest.approx(printed, abs=0.5000001 * 10**-digits)


def test_mazurs_next_loss_with_his_biases_left_alone():
    net = mn.Network([mn.Dense(2), mn.Sigmoid(), mn.Dense(2), mn.Sigmoid()], (2,), "squared_error", "float64")
    told = mn.explain(mazur(), [[0.05, 0.10]], [[0.01, 0.99]], mn.SGD(0.5))
    for i in (0, 2):
        net.layers[i].W[...], net.layers[i].b[...] = told[i, "W_new"], told[i, "b"]
    w1, w2, w3, w4 = 0.149780716132763, 0.199561432265526, 0.249751143632370, 0.299502287264739
    w5, w6, w7, w8 = 0.358916479717885, 0.408666186076233, 0.511301270273816, 0.561370121107989

    def sigmoid(z):
        return 1.0 / (1.0 + math.exp(-z))

    h1, h2 = sigmoid(0.05 * w1 + 0.1 * w2 + 0.35), sigmoid(0.05 * w3 + 0.1 * w4 + 0.35)
    o1, o2 = sigmoid(h1 * w5 + h2 * w6 + 0.6), sigmoid(h1 * w7 + h2 * w8 + 0.6)
    by_hand = 0.5 * (0.01 - o1) ** 2 + 0.5 * (0.99 - o2) ** 2
    loss = mn.explain(net, [[0.05, 0.10]], [[0.01, 0.99]]).loss_before
    assert loss == pytest.approx(by_hand, abs=1e-12)
    # He prints 0.291027924. His own weights give 0.291027774: the one number of his page with a slip.
    assert loss == pytest.approx(0.291027774, abs=5e-10)


def test_the_slope_of_the_sigmoid_is_printed_to_his_digits(worked):
    text = str(worked)
    assert "dA f'(Z) = 0.74136507·0.186815602 = 0.138498562" in text
    assert "0.0363503064·0.241300709" in text
    assert "W[0, 0] ← 0.4 - 0.5·0.0821670406 = 0.35891648" in text
    assert "Z[0, 0] = 0.05·0.15 + 0.1·0.2 + 0.35 = 0.3775" in text


def test_mazurs_example_everywhere(place):
    net = mazur(**place.options)
    told = mn.explain(net, place.asarray([[0.05, 0.10]]), place.asarray([[0.01, 0.99]]), mn.SGD(0.5))
    assert told.loss_before == pytest.approx(0.298371109, abs=5e-10)
    assert told[2, "W_new"][1, 1] == pytest.approx(0.561370121, abs=5e-10)
    assert told.passed
    json.dumps(told.to_dict(), allow_nan=False)
    assert all(type(step.values) is np.ndarray for step in told)


class Recorder:
    """Wraps a network's layers, has them run one by one, and writes down what a training computes in them."""

    def __init__(self, net):
        self.seen = {}
        gather = Gather(net.chain.array_dtype).bind(net.backend, net.input_shape, Views({}, {}, {}, {}))
        net.chain.steps = (gather, *net.layers)
        for i, layer in enumerate(net.layers):
            self.wrap(i, layer)

    def wrap(self, i, layer):
        forward, backward = layer.forward, layer.backward

        def forward_seen(X, training=None):
            out, cache = forward(X, training)
            self.seen[i, "out"] = out.copy()
            return out, cache

        def backward_seen(dA, cache, input_gradient=True):
            dX = backward(dA, cache, input_gradient)
            self.seen[i, "dout"] = dA.copy()
            self.seen[i, "din"] = None if dX is None else dX.copy()
            self.seen[i, "dparameters"] = {name: view.copy() for name, view in layer.gradients.items()}
            return dX

        layer.forward, layer.backward = forward_seen, backward_seen


@pytest.mark.parametrize(
    ("optimizer", "clip", "weighted", "batch"),
    [
        (mn.SGD(0.1), None, False, 32),
        (mn.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=1e-3), 0.5, True, 32),
        (mn.RMSProp(1e-3), None, False, 17),
        (mn.Adam(1e-3, weight_decay=1e-3), 1.0, True, 32),
        (mn.AdamW(1e-3), None, False, 128),
        (mn.Momentum(0.05), None, False, 32),
    ],
)
@pytest.mark.parametrize("layers", ["one by one", "as they run"])
def test_every_value_is_what_the_training_computes(optimizer, clip, weighted, batch, layers, rng):
    x, y = images(rng, 160)
    weight = rng.random(160) if weighted else None
    net = digits_network()
    training = mn.Training(
        net, x, y, optimizer=optimizer, batch_size=batch, gradient_clip=clip, schedule="cosine",
        sample_weight=weight, seed=5,
    )  # fmt: skip
    told, compared = {}, []
    recorder = Recorder(net) if layers == "one by one" else None

    def look(training):
        done = training.step
        rows = training.batches.order(training.epoch + 1)
        if done - 1 in told:
            compare(told.pop(done - 1), training)
        here = rows[done * batch : (done + 1) * batch]
        if len(here):
            own = None if weight is None else weight[here]
            told[done] = mn.explain(net, x[here], y[here], sample_weight=own, training=training)

    def compare(e, training):
        for i, layer in enumerate(net.layers if recorder else ()):
            seen = recorder.seen
            dense, activation = isinstance(layer, mn.Dense), isinstance(layer, mn.ReLU)
            np.testing.assert_array_equal(e[i, "Z" if dense else "A"], seen[i, "out"])
            if i:  # a training goes no further back than the first layer with parameters
                np.testing.assert_array_equal(e[i, "dZ" if dense else "dA"], seen[i, "dout"])
                if seen[i, "din"] is not None:
                    np.testing.assert_array_equal(e[i, "dZ" if activation else "dX"], seen[i, "din"])
                for name, view in seen[i, "dparameters"].items():
                    np.testing.assert_array_equal(e[i, "d" + name], view)
        assert float(e["L"]) == e.loss_before == float(training.tally.values[-1])
        np.testing.assert_array_equal(e["dθ"], net.gradient)
        np.testing.assert_array_equal(e["θ_new"], net.parameters)
        for name, vector in training.state.items():
            np.testing.assert_array_equal(e[f"{name}_new"], vector)
        compared.append(training.step)

    for _ in training.epochs(2, on_step=look):
        told.clear()
    assert len(compared) >= 2


def test_dropout_masks_are_those_of_the_step_that_is_named(rng):
    x, y = images(rng, 40)
    net = digits_network()
    training = mn.Training(net, x, y, optimizer="sgd", batch_size=40, seed=11)
    masked = mn.explain(net, x, y, "sgd", masks=(11, 1, 1), check=False)
    assert 0.2 < float(np.mean(masked[3, "M"] == 0)) < 0.4
    np.testing.assert_allclose(np.unique(masked[3, "M"]), [0.0, 1 / 0.7])
    other = mn.explain(net, x, y, "sgd", masks=(11, 1, 2), check=False)
    assert not np.array_equal(masked[3, "M"], other[3, "M"])
    for _ in training.epochs(1):
        pass
    np.testing.assert_array_equal(masked["θ_new"], net.parameters)


def test_a_batch_larger_than_a_block_is_summed_as_a_training_sums_it(rng):
    net = digits_network(rate=0.5)
    net.chain.block_rows = 64
    x, y = images(rng, 150)
    training = mn.Training(net, x, y, optimizer="adam", batch_size=None, seed=2)
    twin_blocks = mn.Network.to

    def to(self, *args, **kwargs):
        twin = twin_blocks(self, *args, **kwargs)
        twin.chain.block_rows = self.chain.block_rows
        return twin

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mn.Network, "to", to)
        told = mn.explain(net, x, y, training=training)
    for _ in training.epochs(1):
        pass
    np.testing.assert_array_equal(told["θ_new"], net.parameters)
    assert told.loss_before == training.history[0].loss
    assert told.passed
    assert told[1, "Z"].shape == (150, 128)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nothing_is_changed(dtype, rng):
    x, y = images(rng, 12)
    net = digits_network(dtype)
    net.loss_and_gradient(x, y)
    training = mn.Training(net, x, y, batch_size=4)
    next(iter(training.epochs(1)))
    before = [net.parameters.copy(), net.gradient.copy(), x.copy(), y.copy(), training.state["s"].copy()]
    told = mn.explain(net, x, y, training=training)
    copies = [step.values.copy() for step in told]
    str(told), told._repr_html_(), told.to_dict()
    mn.explain(net, x[::-1], y[::-1], "adam")
    for a, b in zip(before, [net.parameters, net.gradient, x, y, training.state["s"]], strict=True):
        np.testing.assert_array_equal(a, b)
    for step, copied in zip(told, copies, strict=True):
        np.testing.assert_array_equal(step.values, copied)
        assert step.values.dtype == dtype or step.symbol == "T"


def test_a_gradient_that_is_wrong_is_found(rng, monkeypatch):
    def crooked(self, dZ, cache, input_gradient=True):
        self.backend.matmul(cache.T, dZ, out=self.dW)
        self.backend.sum_rows(dZ * 1.001, out=self.db)
        return dZ @ self.W.T

    x, y = images(rng, 5)
    good = mn.explain(digits_network(), x, y)
    monkeypatch.setattr(mn.Dense, "backward", crooked)
    bad = mn.explain(digits_network(), x, y)
    assert good.passed
    assert not bad.passed
    assert {check.symbol for check in bad.checks if not check.passed} == {"db"}
    assert "WRONG" in str(bad)
    assert "WRONG" in bad._repr_html_()


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy", "squared_error", "huber"])
@pytest.mark.parametrize("layer", [
    mn.ReLU(), mn.LeakyReLU(), mn.ELU(), mn.GELU(), mn.SiLU(), mn.Sigmoid(), mn.Tanh(), mn.Softplus(),
    mn.Dropout(0.4), mn.Reshape((2, 3)),
])  # fmt: skip
def test_every_layer_and_loss_is_explained_and_right(layer, loss, rng):
    net = mn.Network([mn.Dense(6), layer, mn.Flatten(), mn.Dense(3, bias=False)], (4,), loss, "float64", seed=1)
    x = rng.standard_normal((5, 4))
    y = rng.integers(0, 3, 5) if loss == "cross_entropy" else rng.integers(0, 2, (5, 3)).astype(float)
    told = mn.explain(net, x, y, mn.Adam(0.01), masks=(1, 1, 1))
    assert told.passed, str(told)
    assert {(c.layer, c.symbol) for c in told.checks} >= {(0, "dW"), (0, "db"), (3, "dW"), (None, "dX"), (0, "dZ")}
    assert told.row_losses.mean() == pytest.approx(told.loss_before)
    assert all(step.formula for step in told)
    assert "Z = X W\n" in str(told)  # without its bias


def test_what_contributed_most_in_a_linear_network():
    # z = 2·3 - 1·4 + 0.5 = 2.5: the inputs brought 6 and -4, the bias 0.5.
    net = mn.Network([mn.Dense(1)], (2,), "squared_error", "float64")
    net.parameters[...] = [2.0, -1.0, 0.5]
    (found,) = mn.explain(net, [[3.0, 4.0]], [1.0]).contributions
    assert found.score == 2.5
    assert [(s.index, s.value, s.contribution) for s in found.inputs] == [((0,), 3.0, 6.0), ((1,), 4.0, -4.0)]
    assert [(s.name, s.index, s.contribution) for s in found.weights] == [
        ("0.W", (0, 0), 6.0), ("0.W", (1, 0), -4.0), ("0.b", (0,), 0.5)
    ]  # fmt: skip


def test_contributions_of_a_relu_network_without_biases_add_up_to_the_score(rng):
    net = mn.Network([mn.Dense(9, bias=False), mn.ReLU(), mn.Dense(12, bias=False)], (6,), dtype="float64")
    told = mn.explain(net, rng.standard_normal((4, 6)), [0, 1, 2, 3])
    assert len(told.contributions) == 10  # of 12 outputs
    for found in told.contributions:
        assert found.all_inputs.sum() == pytest.approx(found.score)
    assert told.contributions[0].score == max(c.score for c in told.contributions)


def test_a_single_row_is_a_batch_of_one(rng):
    x, y = images(rng, 3)
    net = digits_network()
    one, batch = mn.explain(net, x[1], y[1], check=False), mn.explain(net, x[1:2], y[1:2], check=False)
    np.testing.assert_array_equal(one["θ_new"], batch["θ_new"])
    assert one["X"].shape == (1, 784)
    assert mn.explain(mazur(), [0.05, 0.1], [0.01, 0.99]).loss_before == pytest.approx(0.298371109, abs=5e-10)


def test_summary_of_a_large_array():
    s = Summary.of(np.array([[-2.0, 0.0], [0.0, 6.0]]))
    assert (s.minimum, s.mean, s.maximum, s.zeros) == (-2.0, 1.0, 6.0, 0.5)
    assert s.norm == pytest.approx(math.sqrt(40))
    assert (s.histogram[0], s.histogram[-1], sum(s.histogram)) == (1, 1, 4)
    assert sum(Summary.of(np.full(9, 0.1)).histogram) == 9
    assert sum(Summary.of(np.array([1e308, -1e308])).histogram) == 2
    assert Summary.of(np.array([np.inf, 1.0])).histogram == ()
    assert terminal.sparkline(Summary(0, 0, 0, 0, 0, (0, 1, 4, 8))) == " ▁▄█"


def test_the_plain_view_needs_no_rich():
    code = (
        "import sys; sys.modules['rich'] = None\n"
        "import mechanet as mn\n"
        "net = mn.Network([mn.Dense(2)], (2,), seed=1)\n"
        "print(mn.explain(net, [[1.0, 2.0]], [1]))"
    )
    done = subprocess.run([sys.executable, "-X", "utf8", "-c", code], capture_output=True, text=True, check=True,
                          encoding="utf-8", env={"PYTHONPATH": ":".join(sys.path)})  # fmt: skip
    assert "dW = Xᵀ dZ" in done.stdout
    assert "gradient entries checked are right" in done.stdout


def test_the_view_for_rich(worked):
    rich = pytest.importorskip("rich.console")
    console = rich.Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(worked)
    console.file.close()
    text = console.export_text()
    assert "0.298371109" in text
    assert "Backward: how the loss changes with every value" in text


class Strict(HTMLParser):
    """Counts open elements: each one is closed, in order."""

    VOID = ("meta", "img", "br", "rect", "path", "circle", "polyline", "link")

    def __init__(self):
        super().__init__()
        self.open, self.links = [], []

    def handle_starttag(self, tag, attributes):
        self.links += [value for name, value in attributes if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


def parsed(text):
    parser = Strict()
    parser.feed(text)
    assert not parser.open
    assert all(link.startswith("data:image/png;base64,") for link in parser.links)
    assert "<script" not in text
    assert not re.search(r"url\(|@import|https?://", text)
    return parser


def test_the_page_is_one_sound_file(worked, tmp_path, rng):
    worked.to_html(tmp_path / "mazur.html")
    page = (tmp_path / "mazur.html").read_text(encoding="utf-8")
    parsed(page)
    for shown in ("0.298371109", "0.561370121", "prefers-color-scheme: dark", "dW = Xᵀ dZ"):
        assert shown in page
    x, y = images(rng, 12)
    html = mn.explain(digits_network(), x, y, "adam")._repr_html_()
    assert len(parsed(html).links) > 30  # the digits, the units of the first layer, the contributions
    assert "… and 4 more rows" in html


def test_names_that_look_like_html_are_escaped(worked):
    told = mn.explain(mazur(), [[0.05, 0.10]], [[0.01, 0.99]])
    told.notes["step"] = "<b>&"
    assert "<code>&lt;b&gt;&amp;</code>" in told._repr_html_()


def test_a_large_network_makes_a_small_page(tmp_path, rng):
    layers = [mn.Scale(1 / 255), mn.Dense(512), mn.ReLU(), mn.Dense(512), mn.ReLU(), mn.Dense(10)]
    net = mn.Network(layers, input_shape=(784,))
    began = time.process_time()
    told = mn.explain(net, *images(rng, 128), "adam")
    told.to_html(tmp_path / "large.html")
    assert time.process_time() - began < 2.0
    assert (tmp_path / "large.html").stat().st_size < PAGE_BYTES
    assert told.passed
    assert len(json.dumps(told.to_dict(), allow_nan=False)) < PAGE_BYTES
    assert len(str(told).splitlines()) < 400


def test_plain_data_is_whole_where_it_is_asked_for(worked, rng):
    data = json.loads(json.dumps(worked.to_dict(), allow_nan=False))
    assert data["forward"][1]["values"] == [[0.15, 0.25], [0.2, 0.3]]
    assert data["loss_before"] == worked.loss_before
    assert [step["symbol"] for step in data["update"]][-1] == "b_new"
    told = mn.explain(digits_network(), *images(rng, 2), check=False)
    weights = next(s for s in told.to_dict()["forward"] if s["symbol"] == "W")
    assert weights["values"] is None
    assert weights["summary"]["maximum"] == told[1, "W"].max()
    whole = next(s for s in told.to_dict(largest=math.inf)["forward"] if s["symbol"] == "W")
    assert np.shape(whole["values"]) == (784, 128)


def test_numbers_that_json_lacks_are_none(worked):
    net = mazur()
    net.parameters[...] = 1e308
    data = mn.explain(net, [[1e3, 1e3]], [[0.0, 0.0]], check=False).to_dict()
    assert data["forward"][3]["values"] == [[None, None]]
    json.dumps(data, allow_nan=False)


def test_kinks_do_not_fool_the_check():
    # The unit's Z lies closer to the kink than the first steps reach.
    net = mn.Network([mn.Dense(1), mn.ReLU(), mn.Dense(1)], (1,), "squared_error", "float64")
    net.parameters[...] = [1.0, 2e-5, 1.0, 0.0]
    assert mn.explain(net, [[0.0]], [3.0]).passed


def test_a_network_that_stands_on_its_kinks_is_not_called_wrong():
    # Zero biases and a row of zeros: every ReLU stands at 0, where the loss has no slope.
    net = mn.Network([mn.Dense(8), mn.ReLU(), mn.Dense(1)], (2,), "binary_cross_entropy", "float64")
    for seed in range(20):
        told = mn.explain(net, [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0, 1, 1, 0], seed=seed)
        assert told.passed, str(told)
    assert mn.explain(net, [[0.0, 0.0]], [1], seed=1).passed


@pytest.mark.parametrize("activation", [mn.ReLU(), mn.Tanh()])
def test_zeros_hide_a_wrong_gradient_only_where_the_loss_bends(activation, monkeypatch):
    """All Z are 0: a ReLU stands on its kink, where no slope is right; a Tanh does not."""
    net = mn.Network([mn.Dense(4), activation, mn.Dense(1)], (2,), "squared_error", "float64", seed=1)
    assert mn.explain(net, [[0.0, 0.0]], [1.0]).passed
    backward = mn.Dense.backward
    monkeypatch.setattr(mn.Dense, "backward", lambda *a, **k: 1.001 * backward(*a, **k))
    verdicts = {c.verdict for c in mn.explain(net, [[0.0, 0.0]], [1.0]).checks if c.symbol == "dX"}
    assert verdicts == {"at a kink"} if isinstance(activation, mn.ReLU) else {"WRONG"}


def test_kinks_whose_slopes_agree_are_kinks():
    """relu(x) - relu(-x) is x, of slope 1 to both sides; at 0 backward says 0."""
    net = mn.Network([mn.Dense(2), mn.ReLU(), mn.Dense(1)], (1,), "squared_error", "float64")
    net.parameters[...] = [1.0, -1.0, 0.0, 0.0, 1.0, -1.0, 0.0]
    told = mn.explain(net, [[0.0]], [1.0])
    (check,) = (c for c in told.checks if (c.layer, c.symbol) == (None, "dX"))
    assert (check.analytic, check.verdict) == (0.0, "at a kink")
    assert check.numerical == pytest.approx(-1.0)
    assert told.passed


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", [mn.ReLU(), mn.Tanh(), mn.GELU()])
def test_a_network_that_has_learned_is_not_called_wrong(activation, dtype, monkeypatch):
    """Its losses are about 1e-5, its slopes small. P - T in float32 has few digits left, and a thousandth is lost."""
    digits = mn.datasets.load("digits").train
    x, y = digits.x[:10], digits.y[:10]
    net = mn.Network([mn.Scale(1 / 255), mn.Dense(16), activation, mn.Dense(10)], (784,), dtype=dtype, seed=3)
    list(mn.Training(net, x, y, optimizer=mn.Adam(1e-2), batch_size=None).epochs(100))
    right = [mn.explain(net, x[i : i + 2], y[i : i + 2], seed=i) for i in range(0, 10, 2)]
    backward = mn.Dense.backward

    def crooked(self, dZ, cache, input_gradient=True):
        dX = backward(self, dZ, cache, input_gradient)
        self.dW *= 1.001
        return dX

    monkeypatch.setattr(mn.Dense, "backward", crooked)
    wrong = [mn.explain(net, x[i : i + 2], y[i : i + 2], seed=i) for i in range(0, 10, 2)]
    assert all(told.passed for told in right), "\n".join(map(str, right))
    verdicts = Counter(check.verdict for told in right for check in told.checks)
    assert (verdicts["ok in float64"] > 0) == (dtype == "float32")
    assert verdicts["ok"] + verdicts["ok in float64"] > 0.9 * verdicts.total()
    if dtype == "float32":
        (shown, *_) = (told for told in right if any(check.verdict == "ok in float64" for check in told.checks))
        assert " of them in float64 alone" in str(shown)
        assert '<span class="ok">✓ ok in float64</span>' in shown._repr_html_()
    faults = 0
    for good, bad in zip(right, wrong, strict=True):
        for before, after in zip(good.checks, bad.checks, strict=True):
            fault = after.symbol == "dW" and after.analytic != 0.0 and before.passed
            assert after.verdict == ("WRONG" if fault else before.verdict)
            faults += fault
    assert faults > 5


def test_what_is_too_small_to_tell_is_said():
    """P = 1 - exp(-40), and in float64 the loss does not move."""
    net = mn.Network([mn.Dense(2)], (1,), dtype="float64")
    net.parameters[...] = [40.0, 0.0, 0.0, 0.0]
    told = mn.explain(net, [[1.0]], [0])
    assert {check.verdict for check in told.checks} == {"too small to tell"}
    assert not told.passed
    assert str(told).endswith(
        f"0 of {len(told.checks)} gradient entries checked are right, {len(told.checks)} too small to tell"
    )
    page = told._repr_html_()
    assert page.count("<td>too small to tell</td>") == len(told.checks)
    assert "WRONG" not in page
    assert {check["verdict"] for check in told.to_dict()["checks"]} == {"too small to tell"}


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"masks": (0, 1)}, ValueError, r"masks expects \(seed, epoch, step\). Received: masks=\(0, 1\)."),
        ({"masks": (0, 0, 1)}, ValueError, r"masks\[1\] expects an integer of at least 1"),
        ({"image_shape": (2, 2)}, ValueError, r"expects \(height, width\) of 2 entries. Received: \(2, 2\)."),
        ({"optimizer": "sdg"}, ValueError, "Did you mean 'sgd'?"),
        ({"training": object(), "optimizer": "sgd"}, ValueError, "either training= or optimizer= and masks=."),
    ],
)  # fmt: skip
def test_errors_say_what_to_do(options, error, message):
    with pytest.raises(error, match=message):
        mn.explain(mazur(), [[0.05, 0.10]], [[0.01, 0.99]], **options)


def test_what_is_not_a_network_is_refused(worked):
    with pytest.raises(TypeError, match=r"explain expects a mechanet.Network first. Received: network='net'."):
        mn.explain("net", [[1.0]], [1.0])
    with pytest.raises(KeyError, match="no 'Q' of layer 0; there are: W, W_new, Z"):
        worked[0, "Q"]
    with pytest.raises(ValueError, match=r"expected x of shape \(n, 2\)"):
        mn.explain(mazur(), [[1.0, 2.0, 3.0]], [[0.0, 0.0]])


def test_cards_of_networks_and_histories(rng):
    net = digits_network()
    parsed(net._repr_html_())
    assert "100,480" in net._repr_html_()
    assert "predictions by softmax" in net._repr_html_()
    parsed(mn.History()._repr_html_())
    training = mn.Training(net, *images(rng, 20), validation=images(rng, 5))
    for _ in training.epochs(3):
        html = training.history._repr_html_()
        parsed(html)
    assert html.count("<polyline") == 4
    assert "validation accuracy" in html
