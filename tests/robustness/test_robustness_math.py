"""The mathematics over random networks, shapes, scales and memory layouts: right or refused, inputs untouched."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mechanet as mn
from mechanet import layers

ACTIVATIONS = [mn.LeakyReLU(0.2), *(kind() for kind in layers.ACTIVATIONS.values())]
LOSSES = ["cross_entropy", "binary_cross_entropy", "squared_error", "huber"]
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def targets(rng, loss, rows, outputs):
    if loss == "cross_entropy":
        return rng.integers(0, outputs, rows)
    if loss == "binary_cross_entropy":
        return rng.integers(0, 2, (rows, outputs))
    return rng.normal(size=(rows, outputs))


@st.composite
def problems(draw, dtypes=("float32", "float64")):
    """A network of 1 to 4 dense layers of 1 to 9 units, and a batch of 1 to 12 rows for it."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    loss = draw(st.sampled_from(LOSSES))
    widths = draw(st.lists(st.integers(1, 9), min_size=1, max_size=4))
    n_in, rows = draw(st.integers(1, 9)), draw(st.integers(1, 12))
    layers = []
    for width in widths:
        layers += [mn.Dense(width, bias=draw(st.booleans())), draw(st.sampled_from(ACTIVATIONS))]
    net = mn.Network(layers[:-1], (n_in,), loss, draw(st.sampled_from(dtypes)), seed=draw(st.integers(0, 99)))
    return net, rng.normal(size=(rows, n_in)), targets(rng, loss, rows, widths[-1])


@quick
@given(problems(["float64"]))
def test_gradients_of_any_network_agree_with_differences(problem):
    net, x, y = problem
    report = mn.check_gradients(net, x, y, directions=1, tolerance=1e-5)
    # A network all of whose ReLUs are off has a loss that nothing moves: there is nothing to tell.
    dead = all(check.analytic == check.numerical == 0.0 and check.verdict != "WRONG" for check in report.checks)
    assert report or dead, str(report)


@quick
@given(problems(), st.sampled_from([1e-30, 1e-20, 1e-8, 1e-3, 1.0, 1e3, 1e8, 1e20, 1e30]))
def test_at_any_scale_the_results_are_finite_or_the_error_says_why(problem, scale):
    net, x, y = problem
    x = x * scale
    try:
        outputs = net.predict_proba(x)
    except ValueError as error:
        if "scores are not finite although x is" not in str(error):
            raise
        return
    assert np.isfinite(outputs).all()
    if net.loss.classifies:
        assert (outputs >= 0).all()
        assert (outputs <= 1).all()
    training = mn.Training(net, x, y, optimizer=mn.SGD(1e-3), batch_size=None)
    try:
        epochs = list(training.epochs(3))
    except mn.DivergenceError as error:
        if "Try a lower learning rate, gradient_clip=1.0, or data scaled" not in str(error):
            raise
    else:
        assert np.isfinite([epoch.loss for epoch in epochs]).all()
    assert np.isfinite(net.parameters).all()


def layouts(x):
    """The same numbers in every memory layout that NumPy has."""
    wide = np.zeros((2 * x.shape[0], 3 * x.shape[1]), x.dtype)
    wide[::2, ::3] = x
    read_only = x.copy()
    read_only.flags.writeable = False
    return {
        "Fortran": np.asfortranarray(x),
        "strided": wide[::2, ::3],
        "reversed": x[::-1, ::-1].copy()[::-1, ::-1],
        "read-only": read_only,
        "big-endian": x.astype(x.dtype.newbyteorder(">")),
        "list": x.tolist(),
    }


@quick
@given(problems())
def test_memory_layout_changes_nothing_and_inputs_stay(problem):
    net, x, y = problem
    x = x.astype(net.dtype)
    y_before = y.copy()
    want, probabilities = net.forward(x), net.predict_proba(x)
    loss = float(net.loss_and_gradient(x, y))
    gradient = net.gradient.copy()
    for name, same in layouts(x).items():
        before = np.array(same)
        tolerance = {"rtol": 1e-4, "atol": 1e-5} if net.dtype == "float32" else {"rtol": 1e-10, "atol": 1e-12}
        np.testing.assert_allclose(net.forward(same), want, err_msg=name, **tolerance)
        np.testing.assert_allclose(net.predict_proba(same), probabilities, err_msg=name, **tolerance)
        np.testing.assert_allclose(float(net.loss_and_gradient(same, y)), loss, err_msg=name, **tolerance)
        np.testing.assert_allclose(net.gradient, gradient, err_msg=name, **tolerance)
        list(mn.Training(net.to("cpu"), same, y, batch_size=3, shuffle=False).epochs(2))
        np.testing.assert_array_equal(np.array(same), before)
    np.testing.assert_array_equal(y, y_before)


@pytest.mark.parametrize("dtype", ["bool", "u1", "i1", "i4", "i8", "u8", "f2", "f4", "f8", ">f4"])
def test_any_type_of_number_is_read_as_that_number(tmp_path, dtype):
    x = np.arange(12).reshape(4, 3).astype(dtype)
    net = mn.Network([mn.Dense(2)], (3,), dtype="float64", seed=1)
    want = net.forward(x.astype("float64"))
    np.testing.assert_allclose(net.forward(x), want, rtol=1e-12)
    mapped = np.memmap(tmp_path / "x", dtype, "w+", shape=x.shape)
    mapped[...] = x
    np.testing.assert_allclose(net.forward(mapped), want, rtol=1e-12)
    mapped = np.memmap(tmp_path / "x", dtype, "r", shape=x.shape)
    list(mn.Training(net, mapped, [0, 1, 0, 1], batch_size=3).epochs(2))
    np.testing.assert_array_equal(mapped, x)


@pytest.mark.parametrize(("rows", "n_in", "units"), [(1, 1, 1), (1, 5, 1), (7, 1, 1), (1, 1, 3)])
@pytest.mark.parametrize("loss", LOSSES)
def test_the_smallest_shapes_train(rows, n_in, units, loss):
    rng = np.random.default_rng(0)
    net = mn.Network([mn.Dense(1), mn.Tanh(), mn.Dense(units)], (n_in,), loss, "float64")
    x, y = rng.normal(size=(rows, n_in)), targets(rng, loss, rows, units)
    assert mn.check_gradients(net, x, y)
    epochs = list(mn.Training(net, x, y, batch_size=2).epochs(3))
    assert np.isfinite(epochs[-1].loss)
    assert len(net.predict(x)) == rows


@pytest.mark.parametrize("shape", [(0, 3), (0,), (3,), (2, 4), (2, 3, 1), ()])
def test_a_batch_of_another_shape_is_refused_everywhere(shape):
    net = mn.Network([mn.Dense(2)], (3,))
    x, y = np.zeros(shape), np.zeros(shape[:1], "int64")
    for call in (
        lambda: net.forward(x),
        lambda: net.predict(x),
        lambda: net.evaluate(x, y),
        lambda: net.loss_and_gradient(x, y),
        lambda: mn.Training(net, x, y),
        lambda: mn.check_gradients(net, x, y),
    ):
        with pytest.raises(ValueError, match=r"expected (x of shape \(n, 3\)|at least one row in x)"):
            call()


@quick
@given(st.lists(st.floats(width=32) | st.none() | st.text(max_size=2), max_size=6))
def test_any_list_gives_a_result_or_an_error_of_ours(values):
    net = mn.Network([mn.Dense(2)], (3,))
    for x in (values, [values], [values, values]):
        try:
            assert np.isfinite(net.predict_proba(x)).all()
        except (ValueError, TypeError):
            continue
        assert np.shape(x)[1:] == (3,)
