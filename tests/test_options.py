"""Every option of every layer, optimizer and loss: the ends of its range, and the error that names it beyond them."""

import numpy as np
import pytest

import mechanet as mn
from mechanet.layers import layer_from_config
from mechanet.losses import loss_from_config
from mechanet.optimizers import optimizer_from

ABOVE_0, AT_LEAST_0, BELOW_1 = "a finite number above 0", "a finite number of at least 0", "a number in [0, 1)"

OPTIONS = [
    # make, option, what it expects, values that are taken, values that are not
    (mn.SGD, "learning_rate", ABOVE_0, [1e-9, 5], [0, -1, np.inf]),
    (mn.SGD, "weight_decay", AT_LEAST_0, [0, 2.5], [-0.1]),
    (mn.SGD, "momentum", BELOW_1, [0, 0.999], [1, 1.5, -0.1]),
    (mn.Momentum, "learning_rate", ABOVE_0, [1e-9], [0]),
    (mn.Momentum, "momentum", "a number in [0, 1]", [0, 1], [1.001, -0.1]),
    (mn.RMSProp, "rho", BELOW_1, [0, 0.999], [1, -0.1]),
    (mn.RMSProp, "epsilon", ABOVE_0, [1e-30, 2], [0, -1]),
    (mn.Adam, "learning_rate", ABOVE_0, [1e-9], [0]),
    (mn.Adam, "beta1", BELOW_1, [0, 0.999], [1, -0.1]),
    (mn.Adam, "beta2", BELOW_1, [0, 0.9999], [1, -0.1]),
    (mn.Adam, "epsilon", ABOVE_0, [1e-30, 2], [0]),
    (mn.AdamW, "weight_decay", AT_LEAST_0, [0, 3], [-1]),
    (mn.LeakyReLU, "slope", "a number in [0, 1]", [0, 1], [-0.1, 1.1]),
    (mn.ELU, "alpha", ABOVE_0, [1e-9, 0.5, 3], [0, -1]),
    (mn.Dropout, "rate", BELOW_1, [0, 0.999], [1, -0.1]),
    (mn.Scale, "factor", "a finite number", [-2, 0, 1e9], [np.inf, np.nan]),
    (mn.CrossEntropy, "label_smoothing", BELOW_1, [0, 0.5], [1, -0.1]),
    (mn.Huber, "delta", ABOVE_0, [1e-9, 4], [0, -1]),
]
CASES = [pytest.param(*case, id=f"{case[0].__name__}-{case[1]}") for case in OPTIONS]


@pytest.mark.parametrize(("make", "option", "expected", "fine", "wrong"), CASES)
def test_a_number_within_its_range_is_kept_and_beyond_it_refused_by_name(make, option, expected, fine, wrong):
    for value in fine:
        assert getattr(make(**{option: value}), option) == value
    for value in wrong:
        with pytest.raises(ValueError) as caught:
            make(**{option: value})
        assert str(caught.value) == f"{option} expects {expected}. Received: {option}={value!r}."
    for value in ("1", None, True, [1]):
        with pytest.raises(TypeError) as caught:
            make(**{option: value})
        assert str(caught.value) == f"{option} expects a number. Received: {option}={value!r}."


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: mn.Dense(0), ValueError, "units expects an integer of at least 1. Received: units=0."),
        (lambda: mn.Dense(2.0), TypeError, "units expects an integer. Received: units=2.0."),
        (lambda: mn.Dense(True), TypeError, "units expects an integer. Received: units=True."),
        (lambda: mn.Reshape("ab"), TypeError, "shape expects a tuple of integers such as (784,). Received: shape='ab'"),
        (lambda: mn.Reshape((2, 0)), ValueError, "shape[1] expects an integer of at least 1. Received: shape[1]=0."),
        (lambda: mn.Dense(2, "he"), ValueError, "initializer expects one of "),
        (lambda: mn.Dense(2, bias_initializer="x"), ValueError, "Received: bias_initializer='x'."),
        (lambda: mn.Network([mn.Dense(2)], (3,), seed=-1), ValueError, "seed expects an integer of at least 0."),
        (lambda: mn.Network([mn.Dense(2)], 3.5), TypeError, "input_shape expects a tuple of integers"),
        (lambda: mn.Network([mn.Dense(2)], (3,), dtype="float16"), ValueError, "dtype expects one of float32, float64"),
        (lambda: mn.Network([mn.Dense(2)], (3,), "x"), ValueError, "loss expects one of binary_cross_entropy, "),
    ],
)  # fmt: skip
def test_what_is_no_number_of_units_shape_or_name(make, error, text):
    with pytest.raises(error) as caught:
        make()
    assert text in str(caught.value)


def test_a_network_with_functions_of_ones_own_says_why_it_cannot_be_saved(tmp_path):
    own = mn.Activation(lambda xp, Z: Z, lambda xp, dA, Z, A: dA)
    net = mn.Network([own, mn.Dense(2)], (3,))
    with pytest.raises(ValueError) as caught:
        net.save(tmp_path / "net")
    assert str(caught.value) == (
        "a network with an Activation of your own functions cannot be saved: a file never holds code. "
        "Use one of the activations that mechanet names, or put yours into a class with @mechanet.register "
        "above it, or keep net.parameters yourself."
    )


def test_an_evaluation_weights_its_rows():
    net = mn.Network([mn.Dense(1)], (1,), "squared_error", "float64")
    net.parameters[...] = [1.0, 0.0]  # Z = X
    # ½ 2² and ½ 4²: the mean is 5, and with weights 3 and 1 it is (3 · 2 + 8) / 4
    assert net.evaluate([[2.0], [4.0]], [0.0, 0.0]) == {"loss": 5.0}
    assert net.evaluate([[2.0], [4.0]], [0.0, 0.0], [3.0, 1.0]) == {"loss": 3.5}


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


def test_the_slope_of_elu_at_zero_is_that_of_its_left_side():
    """f(0) = 0 and exp(0) = 1, so from the left f' = alpha; from the right it is 1."""
    net = mn.Network([mn.Dense(1, bias=False), mn.ELU(0.5)], (1,), "squared_error", "float64")
    net.parameters[...] = [0.0]
    net.loss_and_gradient([[1.0]], [-1.0])  # dZ = 1 · f'(0), dW = dZ
    assert net.gradient.tolist() == [0.5]


def test_the_slope_of_leaky_relu_at_zero_is_that_of_its_left_side():
    net = mn.Network([mn.Dense(1, bias=False), mn.LeakyReLU(0.25)], (1,), "squared_error", "float64")
    net.parameters[...] = [0.0]
    net.loss_and_gradient([[1.0]], [-1.0])
    assert net.gradient.tolist() == [0.25]


def test_gradients_have_the_shape_that_reshape_was_given():
    layers = [mn.Dense(6), mn.Reshape((3, 2)), mn.Tanh(), mn.Reshape((2, 3)), mn.ReLU(), mn.Flatten(), mn.Dense(2)]
    rng = np.random.default_rng(0)
    net = mn.Network(layers, (4,), "squared_error")
    assert mn.check_gradients(net, rng.normal(size=(5, 4)), rng.normal(size=(5, 2)))


def test_text_is_no_target_and_y_is_named():
    net = mn.Network([mn.Dense(1)], (1,), "squared_error")
    with pytest.raises(TypeError, match=r"y expects real numbers\. Received: y with dtype=<U1\."):
        net.evaluate([[1.0]], [["a"]])
    with pytest.raises(ValueError) as caught:
        mn.SGD(0.1, nesterov=True)
    assert str(caught.value) == "nesterov expects a momentum above 0. Received: momentum=0."


def test_dropout_drops_a_share_and_scales_the_rest():
    layers = [mn.Dropout(0.25)]
    net = mn.Network([*layers, mn.Dense(1)], (1000,), "squared_error")
    drop = net.layers[0]
    X = np.linspace(1.0, 2.0, 200_000, dtype="float32").reshape(200, 1000)
    A, M = drop.forward(X, np.random.default_rng(5))
    kept = np.random.default_rng(5).random((200, 1000), dtype="float32") >= 0.25
    np.testing.assert_allclose(A, np.where(kept, X / 0.75, 0.0), rtol=1e-6)  # scaled by 1 / (1 - rate)
    assert abs(np.mean(A == 0.0) - 0.25) < 0.005
    assert abs(np.mean(A) / np.mean(X) - 1.0) < 0.01  # the mean stays
    dA = np.full_like(X, 3.0)
    np.testing.assert_allclose(drop.backward(dA, M), np.where(kept, 4.0, 0.0), rtol=1e-6)


@pytest.mark.parametrize(("rate", "rng"), [(0.0, np.random.default_rng(0)), (0.5, None)])
def test_dropout_that_drops_nothing_passes_the_rows_on(rate, rng):
    drop = mn.Network([mn.Dropout(rate), mn.Dense(1)], (3,)).layers[0]
    X = np.ones((2, 3), "float32")
    A, M = drop.forward(X, rng)
    assert A is X
    assert M is None
    assert drop.backward(X, M) is X


@pytest.mark.parametrize(
    ("read", "name"),
    [(optimizer_from, "optimizer"), (loss_from_config, "loss"), (layer_from_config, "layer")],
)
def test_plain_data_without_a_name_or_with_another_is_refused(read, name):
    with pytest.raises(ValueError, match=f"^{name} expects one of .*Received: {name}=None"):
        read({})
    with pytest.raises(ValueError, match=f"^{name} expects one of .*Received: {name}='x'"):
        read({"name": "x", "layer": "x"})


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


def test_class_weights_of_a_file_may_be_small():
    loss = loss_from_config({"name": "cross_entropy", "class_weight": [[0, 0.5], [2, 0.0]]})
    assert loss.class_weight == {0: 0.5, 2: 0.0}


def test_accuracy_of_rows_of_probabilities_is_that_of_their_largest():
    net = mn.Network([mn.Dense(3, bias=False)], (3,), dtype="float64")
    net.parameters[...] = np.eye(3).ravel()  # Z = X
    x = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    y = [[1.0, 0.0, 0.0], [0.2, 0.5, 0.3], [0.1, 0.2, 0.7], [0.0, 0.0, 1.0]]  # the last one is missed
    assert net.evaluate(x, y)["accuracy"] == 0.75
