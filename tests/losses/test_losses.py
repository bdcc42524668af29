"""Losses against hand-worked numbers, scalar loops in double precision, and PyTorch."""

import math

import numpy as np
import pytest

import mechanet as mn
from mechanet.losses import LOSSES, loss_from, loss_from_config, sigmoid, softmax

Z = [[1.0, 2.0, 3.0], [0.5, -1.0, 0.0]]
TARGETS = {
    "cross_entropy": np.array([2, 0]),
    "binary_cross_entropy": np.array([[1.0, 0.0, 1.0], [0.0, 0.25, 1.0]]),
    "squared_error": np.array([[0.0, 2.5, 1.0], [3.0, -1.0, 0.5]]),
    "huber": np.array([[0.25, 2.5, 1.0], [3.0, -1.0, 0.5]]),
    "poisson": np.array([[0.0, 2.0, 1.0], [3.0, 0.0, 0.5]]),
}


def softmax_row(row):
    return [math.exp(z) / sum(math.exp(v) for v in row) for z in row]


def row_losses(name, z, t):
    """Each row's loss, by the textbook, one number at a time."""
    if name == "cross_entropy":
        return [-math.log(softmax_row(row)[label]) for row, label in zip(z, t, strict=True)]
    if name == "binary_cross_entropy":
        p = [[1.0 / (1.0 + math.exp(-v)) for v in row] for row in z]
        return [
            -sum(y * math.log(q) + (1 - y) * math.log(1 - q) for q, y in zip(a, b, strict=True))
            for a, b in zip(p, t, strict=True)
        ]
    if name == "poisson":
        return [
            sum(math.exp(v) - y * v + (y * math.log(y) - y if y else 0.0) for v, y in zip(a, b, strict=True))
            for a, b in zip(z, t, strict=True)
        ]
    d = [[abs(v - y) for v, y in zip(a, b, strict=True)] for a, b in zip(z, t, strict=True)]
    if name == "squared_error":
        return [sum(0.5 * v * v for v in row) for row in d]
    return [sum(0.5 * v * v if v <= 1.0 else v - 0.5 for v in row) for row in d]


def evaluate(place, loss, z, t, c, dtype="float64"):
    """The value and dZ of a loss, by itself and bound: the same numbers."""
    plain = loss_from(loss)
    targets, _ = plain.check_targets(np.asarray(t), len(z[0]))
    T = place.asarray(targets) if targets.ndim == 1 else place.asarray(targets, dtype)
    Z, c = place.asarray(z, dtype), place.asarray(c, dtype)
    bound = plain.bind(place.backend, len(z[0]), place.backend.dtype(dtype))
    (value, dZ), (own_value, own_dZ) = (kind(place.xp, Z, T, c) for kind in (bound, plain))
    assert float(value) == float(own_value)
    np.testing.assert_array_equal(place.to_host(dZ), place.to_host(own_dZ))
    return float(value), place.to_host(dZ)


def test_every_loss_is_tested():
    missing = set(LOSSES) - set(TARGETS)
    assert not missing, f"write targets for {missing} into TARGETS and the loss of a row into row_losses, from a book"


@pytest.mark.parametrize("name", TARGETS)
def test_value_is_the_weighted_mean_of_the_rows(place, name):
    value, _ = evaluate(place, name, Z, TARGETS[name], [0.75, 0.25])
    first, second = row_losses(name, Z, TARGETS[name])
    assert value == pytest.approx(0.75 * first + 0.25 * second, rel=1e-12)


@pytest.mark.parametrize("name", TARGETS)
def test_gradient_is_the_slope_of_the_value(place, name):
    _, dZ = evaluate(place, name, Z, TARGETS[name], [0.75, 0.25])
    h = 1e-6
    for row in range(2):
        for column in range(3):
            sides = []
            for step in (h, -h):
                z = [list(r) for r in Z]
                z[row][column] += step
                first, second = row_losses(name, z, TARGETS[name])
                sides.append(0.75 * first + 0.25 * second)
            assert dZ[row, column] == pytest.approx((sides[0] - sides[1]) / (2 * h), abs=2e-8)


def test_cross_entropy_by_hand(place):
    """Two equal scores: P = (½, ½), L = log 2, dZ = (-½, ½)."""
    value, dZ = evaluate(place, "cross_entropy", [[7.0, 7.0]], [0], [1.0])
    assert value == pytest.approx(math.log(2.0), rel=1e-15)
    np.testing.assert_allclose(dZ, [[-0.5, 0.5]], rtol=1e-15)


def test_one_hot_rows_and_labels_agree(place):
    by_label = evaluate(place, "cross_entropy", Z, [2, 0], [0.5, 0.5])
    by_row = evaluate(place, "cross_entropy", Z, [[0, 0, 1], [1, 0, 0]], [0.5, 0.5])
    assert by_label[0] == pytest.approx(by_row[0], rel=1e-14)
    np.testing.assert_allclose(by_label[1], by_row[1], rtol=1e-14)


def test_probabilities_as_targets(place):
    """L = -Σ T log P, by the textbook."""
    t = [[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]]
    value, dZ = evaluate(place, "cross_entropy", Z, t, [0.5, 0.5])
    p = [softmax_row(row) for row in Z]
    expected = [-sum(y * math.log(q) for q, y in zip(a, b, strict=True)) for a, b in zip(p, t, strict=True)]
    assert value == pytest.approx(sum(expected) / 2, rel=1e-13)
    np.testing.assert_allclose(dZ, (np.array(p) - t) / 2, rtol=1e-12, atol=1e-16)


def test_poisson_by_hand(place):
    """A mean of 1 for a count of 1 costs nothing; for a count of 0 it costs 1; dZ = P - T."""
    value, dZ = evaluate(place, "poisson", [[0.0], [0.0]], [[1.0], [0.0]], [0.5, 0.5])
    assert value == pytest.approx(0.5, rel=1e-15)
    np.testing.assert_allclose(dZ, [[0.0], [0.5]], atol=1e-15)


def test_poisson_is_scikit_learns_half_deviance(place, rng):
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    z, y = rng.normal(size=(20, 1)), rng.poisson(2.0, (20, 1))
    value, _ = evaluate(place, "poisson", z, y, np.full(20, 1 / 20))
    assert value == pytest.approx(metrics.mean_poisson_deviance(y[:, 0], np.exp(z[:, 0])) / 2, rel=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted(set(TARGETS) - {"poisson"}))  # its value is exp(Z) itself
def test_extreme_scores_stay_finite(place, name, dtype):
    z = [[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4]]
    value, dZ = evaluate(place, name, z, TARGETS[name], [0.5, 0.5], dtype)
    assert math.isfinite(value)
    assert np.isfinite(dZ).all()
    assert str(dZ.dtype) == dtype


def test_a_confident_right_answer_costs_nothing_and_a_wrong_one_its_margin(place):
    """Scores 1e4 apart in float32: exp(1e4) has no place in any number, the loss has."""
    assert evaluate(place, "cross_entropy", [[1e4, 0.0]], [0], [1.0], "float32")[0] == 0.0
    assert evaluate(place, "cross_entropy", [[1e4, 0.0]], [1], [1.0], "float32")[0] == 1e4
    assert evaluate(place, "binary_cross_entropy", [[-1e4]], [1], [1.0], "float32")[0] == 1e4


def test_label_smoothing_by_hand(place):
    """ε = 0.2 of two classes: T = (0.9, 0.1). Scores log 9 and 0 are P = (0.9, 0.1), so dZ = 0; L is T's entropy."""
    for t in ([0], [[1.0, 0.0]]):
        value, dZ = evaluate(place, mn.CrossEntropy(label_smoothing=0.2), [[math.log(9.0), 0.0]], t, [1.0])
        assert value == pytest.approx(-0.9 * math.log(0.9) - 0.1 * math.log(0.1), rel=1e-14)
        np.testing.assert_allclose(dZ, [[0.0, 0.0]], atol=1e-15)


@pytest.mark.parametrize("t", [[2, 0], [[0.0, 0.25, 0.75], [1.0, 0.0, 0.0]]], ids=["labels", "probabilities"])
def test_label_smoothing_mixes_in_a_share_of_every_class(place, t):
    """T ← (1 - ε) T + ε / k, then the textbook: L = -Σ T log P, dZ = P - T, one number at a time."""
    ε, k = 0.3, 3
    rows = [[float(label == j) for j in range(k)] for label in t] if isinstance(t[0], int) else t
    smooth = [[(1 - ε) * v + ε / k for v in row] for row in rows]
    p = [softmax_row(row) for row in Z]
    losses = [-sum(y * math.log(q) for q, y in zip(a, b, strict=True)) for a, b in zip(p, smooth, strict=True)]
    value, dZ = evaluate(place, mn.CrossEntropy(label_smoothing=ε), Z, t, [0.75, 0.25])
    assert value == pytest.approx(0.75 * losses[0] + 0.25 * losses[1], rel=1e-13)
    expected = [[c * (q - y) for q, y in zip(a, b, strict=True)] for c, a, b in zip([0.75, 0.25], p, smooth, strict=True)]
    np.testing.assert_allclose(dZ, expected, rtol=1e-12)


def test_label_smoothing_is_pytorchs(place, rng):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    z, y = rng.normal(size=(6, 4)), rng.integers(0, 4, 6)
    scores = torch.tensor(z, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(scores, torch.tensor(y), label_smoothing=0.1)
    expected.backward()
    value, dZ = evaluate(place, mn.CrossEntropy(label_smoothing=0.1), z, y, np.full(6, 1 / 6))
    assert value == pytest.approx(float(expected.detach()), rel=1e-12)
    np.testing.assert_allclose(dZ, scores.grad.numpy(), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("cross_entropy", lambda F, z, t: F.cross_entropy(z, t.long())),
        ("binary_cross_entropy", lambda F, z, t: F.binary_cross_entropy_with_logits(z, t, reduction="sum") / 2),
        ("squared_error", lambda F, z, t: F.mse_loss(z, t, reduction="sum") / 2 / 2),
        ("huber", lambda F, z, t: F.huber_loss(z, t, reduction="sum") / 2),
    ],
)
def test_agrees_with_pytorch(name, other):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    scores = torch.tensor(Z, dtype=torch.float64, requires_grad=True)
    expected = other(torch.nn.functional, scores, torch.tensor(TARGETS[name], dtype=torch.float64))
    expected.backward()
    loss = loss_from(name).bind(mn.backend.NUMPY, 3, "float64")
    value, dZ = loss(np, np.array(Z), TARGETS[name], np.array([0.5, 0.5]))
    assert value == pytest.approx(float(expected.detach()), rel=1e-12)
    np.testing.assert_allclose(dZ, scores.grad.numpy(), rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("given", [[1.0, 5.0, 0.5], {1: 5.0, 2: 0.5}], ids=["list", "mapping"])
def test_class_weights_weigh_each_row_by_its_class(given, rng):
    """Σ w L / Σ w, one row at a time."""
    x, y, weight = rng.normal(size=(9, 5)), rng.integers(0, 3, 9), [1.0, 5.0, 0.5]
    net = mn.Network([mn.Dense(3)], (5,), mn.CrossEntropy(class_weight=given), dtype="float64", seed=3)
    losses = [-math.log(softmax_row(row)[label]) for row, label in zip(net.forward(x).tolist(), y, strict=True)]
    w = [weight[label] for label in y]
    expected = sum(a * b for a, b in zip(w, losses, strict=True)) / sum(w)
    assert net.evaluate(x, y)["loss"] == pytest.approx(expected, rel=1e-12)


def test_class_weights_are_pytorchs_weighted_mean(rng):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    x, y, weight = rng.normal(size=(9, 5)), rng.integers(0, 3, 9), [1.0, 5.0, 0.5]
    for given in (weight, {1: 5.0, 2: 0.5}):
        net = mn.Network([mn.Dense(3)], (5,), mn.CrossEntropy(class_weight=given), dtype="float64", seed=3)
        scores = torch.tensor(net.forward(x))
        expected = torch.nn.functional.cross_entropy(scores, torch.tensor(y), torch.tensor(weight).double())
        assert net.evaluate(x, y)["loss"] == pytest.approx(float(expected), rel=1e-12)


def test_links(place):
    P = place.to_host(softmax(place.xp, place.asarray(Z, "float64")))
    np.testing.assert_allclose(P, [softmax_row(row) for row in Z], rtol=1e-14)
    S = place.to_host(sigmoid(place.xp, place.asarray([0.0, math.log(3.0)], "float64")))
    np.testing.assert_allclose(S, [0.5, 0.75], rtol=1e-15)


@pytest.mark.parametrize(
    "loss",
    [mn.CrossEntropy(0.1, [1.0, 2.0]), mn.CrossEntropy(class_weight={1: 3.0}), mn.Huber(2.5), mn.SquaredError(),
     mn.BinaryCrossEntropy({0: 2.0})],
)  # fmt: skip
def test_configuration_there_and_back(loss):
    assert loss_from_config(loss.config()) == loss


@pytest.mark.parametrize(
    ("loss", "y", "error", "text"),
    [
        ("cross_entropy", [0, 3], ValueError, "labels from 0 to 2, since the network has 3 outputs. Received: y[1]=3"),
        ("cross_entropy", [-1, 0], ValueError, "labels from 0 to 2, since the network has 3 outputs. Received: y[0]=-1"),
        ("cross_entropy", [0.0, 1.0], TypeError, "integer labels from 0 to 2. Received: y with dtype=float64"),
        ("cross_entropy", [[0.5, 0.6, 0.0], [1, 0, 0]], ValueError, "sum to 1 (or integer labels). Received: y[0]="),
        ("cross_entropy", [[1.5, -0.5, 0.0], [1, 0, 0]], ValueError, "probabilities that sum to 1"),
        ("cross_entropy", [[1.0, 0.0], [1.0, 0.0]], ValueError, "y of shape (n, 3)"),
        ("cross_entropy", ["a", "b"], TypeError, "y expects real numbers. Received: y with dtype=<U1."),
        ("cross_entropy", [[math.nan, 0, 1], [1, 0, 0]], ValueError, "finite numbers in y. Received: y[0, 0]=nan"),
        ("binary_cross_entropy", [[0, 1, 2], [0, 1, 0]], ValueError, "y between 0 and 1. Received: y[0, 2]=2"),
        ("binary_cross_entropy", [0, 1], ValueError, "y of shape (n, 3)"),
        ("poisson", [[0, 1, -2], [0, 1, 0]], ValueError, "y of at least 0, such as counts. Received: y[0, 2]=-2"),
        ("squared_error", [0.0, 1.0], ValueError, "y of shape (n, 3), as many columns as the network has outputs"),
        ("squared_error", [[0, 1, math.inf], [0, 1, 0]], ValueError, "finite numbers in y. Received: y[0, 2]=inf"),
    ],
)  # fmt: skip
def test_wrong_targets(loss, y, error, text):
    net = mn.Network([mn.Dense(3)], (2,), loss)
    with pytest.raises(error) as caught:
        net.evaluate(np.zeros((2, 2)), y)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: mn.CrossEntropy(label_smoothing=1.0), "label_smoothing expects a number in [0, 1). Received"),
        (lambda: mn.Huber(0.0), "delta expects a finite number above 0. Received: delta=0.0"),
        (lambda: mn.Network([mn.Dense(2)], (2,), "crossentropy"), "Did you mean 'cross_entropy'?"),
        (lambda: mn.Network([mn.Dense(2)], (2,), "x"), "loss expects one of binary_cross_entropy, "),
    ],
)
def test_wrong_options(make, text):
    with pytest.raises(ValueError) as caught:
        make()
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("weight", "text"),
    [
        ([1.0, 2.0], "class_weight expects 3 numbers, one a class. Received: 2"),
        ({5: 1.0}, "class_weight expects labels from 0 to 2. Received: label 5"),
        ([1.0, -1.0, 1.0], "class_weight expects a finite number of at least 0. Received: class_weight=-1.0"),
        ([0.0, 1.0, 1.0], "a sum above 0. Received: the weights of all rows are 0"),
    ],
)
def test_wrong_class_weights(weight, text):
    net = mn.Network([mn.Dense(3)], (2,), mn.CrossEntropy(class_weight=weight))
    with pytest.raises(ValueError) as caught:
        net.evaluate(np.zeros((2, 2)), [0, 0])
    assert text in str(caught.value)


def test_many_classes_take_no_table_of_all_their_target_rows(rng):
    net = mn.Network([mn.Dense(3000)], (4,), mn.CrossEntropy(label_smoothing=0.1), "float64", seed=1)
    x, y = rng.normal(size=(5, 4)), rng.integers(0, 3000, 5)
    bound = net.loss.bind(net.backend, 3000, np.float64)
    assert vars(bound) == {"plain": net.loss}  # a table would take 72 MB; for 100,000 classes 40 GB
    T = np.full((5, 3000), 0.1 / 3000)
    T[np.arange(5), y] += 0.9
    Z = net.forward(x)
    P = np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(float(net.loss_and_gradient(x, y)), -(T * np.log(P)).sum() / 5, rtol=1e-12)
    np.testing.assert_allclose(net.layers[0].db, (P - T).sum(axis=0) / 5, atol=1e-14)


def test_class_weights_of_a_binary_loss():
    """At Z = 0 each row's loss is log 2 and its gradient σ(0) - T; the weights are 2 for a no, 1 for a yes."""
    for weights in ({0: 2.0}, [2.0, 1.0]):
        loss = mn.BinaryCrossEntropy(weights)
        net = mn.Network([mn.Dense(1)], (1,), loss, "float64")
        net.parameters[...] = [0.0, 0.0]
        np.testing.assert_allclose(float(net.loss_and_gradient([[1.0], [10.0], [100.0]], [0, 1, 0.5])), math.log(2))
        # dW = Σ c (σ - T) X with c = 2/5, 1/5 and, since a half is a no, 2/5
        np.testing.assert_allclose(net.gradient, [0.4 * 0.5 - 0.2 * 0.5 * 10, 0.4 * 0.5 - 0.2 * 0.5], rtol=1e-12)


def test_class_weights_of_a_binary_loss_want_one_output():
    net = mn.Network([mn.Dense(2)], (1,), mn.BinaryCrossEntropy([1.0, 2.0]))
    with pytest.raises(ValueError) as caught:
        net.evaluate([[1.0]], [[0, 1]])
    assert str(caught.value) == (
        "class_weight of binary_cross_entropy expects one output. Received: 2 outputs. Pass sample_weight instead."
    )


def test_probabilities_are_made_to_sum_to_one_and_weighted_by_their_largest_class():
    """A row that sums to 0.9995 is divided by that; its class weight is that of its largest entry."""
    loss = mn.CrossEntropy(class_weight=[1.0, 2.0, 5.0])
    y = np.array([[0.2, 0.7995, 0.0], [0.1, 0.1, 0.8]])
    T, weights = loss.check_targets(y, 3)
    np.testing.assert_allclose(T, [[0.2 / 0.9995, 0.7995 / 0.9995, 0.0], [0.1, 0.1, 0.8]], rtol=1e-12)
    np.testing.assert_array_equal(weights, [2.0, 5.0])


def test_a_column_of_labels_is_labels():
    labels, _ = mn.CrossEntropy().check_targets(np.array([[1], [0]]), 2)
    np.testing.assert_array_equal(labels, [1, 0])


@pytest.mark.parametrize("row", [[-0.5, 1.5], [1.5, -0.5], [0.5, 0.6]])
def test_the_row_that_is_no_probability_is_named(row):
    y = np.array([[0.0, 1.0], [1.0, 0.0], row, row])
    with pytest.raises(ValueError, match=r"Received: y\[2\]="):
        mn.CrossEntropy().check_targets(y, 2)


def test_each_row_is_held_against_its_own_maximum():
    """Beside scores of 1e4, a row of two equal scores at -1e4 still has the loss log 2."""
    Z, c = np.array([[1e4, 0.0], [-1e4, -1e4]], "float32"), np.array([0.0, 1.0], "float32")
    value, dZ = mn.CrossEntropy()(np, Z, np.array([[1.0, 0.0], [1.0, 0.0]], "float32"), c)
    assert float(value) == pytest.approx(np.log(2.0), rel=1e-6)
    np.testing.assert_allclose(dZ, [[0.0, 0.0], [-0.5, 0.5]], rtol=1e-6)


def test_probabilities_of_rows_far_apart_do_not_touch_each_other():
    net = mn.Network([mn.Dense(2, bias=False)], (2,), dtype="float64")
    net.parameters[...] = [1.0, 0.0, 0.0, 1.0]  # Z = X
    got = net.predict_proba([[1e4, 1e4], [-1e4, -1e4 + np.log(3.0)], [700.0, -700.0]])
    np.testing.assert_allclose(got, [[0.5, 0.5], [0.25, 0.75], [1.0, 0.0]], rtol=1e-9, atol=1e-300)


def test_a_score_of_zero_is_a_no():
    net = mn.Network([mn.Dense(1, bias=False)], (1,), "binary_cross_entropy")
    net.parameters[...] = [1.0]
    labels = net.predict([[0.0], [1e-6], [-1e-6]])
    assert labels.tolist() == [0, 1, 0]
    assert labels.dtype == np.int64


def test_accuracy_of_rows_of_probabilities_is_that_of_their_largest():
    net = mn.Network([mn.Dense(3, bias=False)], (3,), dtype="float64")
    net.parameters[...] = np.eye(3).ravel()  # Z = X
    x = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    y = [[1.0, 0.0, 0.0], [0.2, 0.5, 0.3], [0.1, 0.2, 0.7], [0.0, 0.0, 1.0]]  # the last one is missed
    assert net.evaluate(x, y)["accuracy"] == 0.75


def test_class_weights_of_a_file_may_be_small():
    loss = loss_from_config({"name": "cross_entropy", "class_weight": [[0, 0.5], [2, 0.0]]})
    assert loss.class_weight == {0: 0.5, 2: 0.0}


@pytest.mark.parametrize(
    ("plain", "error", "text"),
    [
        ({"0": 1}, TypeError, "class_weight expects a list. Received: class_weight={'0': 1}."),
        ([[-1, 1.0]], ValueError, "label expects an integer of at least 0. Received: label=-1."),
        (
            [[0, -0.5]],
            ValueError,
            "class_weight expects a finite number of at least 0. Received: class_weight=-0.5.",
        ),
        ([["a", 1.0]], TypeError, "label expects an integer. Received: label='a'."),
    ],
)
def test_class_weights_of_a_file_are_checked(plain, error, text):
    with pytest.raises(error) as caught:
        loss_from_config({"name": "cross_entropy", "class_weight": plain})
    assert str(caught.value) == text
