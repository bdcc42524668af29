"""NumPy's fast paths against the plain lines; and BLAS threads, chosen and given back."""

import os
import platform
import shutil
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import threadpoolctl
from blas import blas_threads

import mechanet as mn
from mechanet import kernels
from mechanet.backend import NUMPY, cpu_loops, cpu_threads, resolve
from mechanet.kernels import cpu
from mechanet.losses import CrossEntropy, SquaredError


@pytest.mark.usefixtures("loops")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("m", "k"), [(1, 2), (7, 3), (128, 10), (1000, 33)])
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_cross_entropy_by_classes_is_the_plain_one(dtype, m, k, scale, rng):
    plain = CrossEntropy().bind(NUMPY, k, np.dtype(dtype))
    Z = (scale * rng.standard_normal((m, k))).astype(dtype)
    T = rng.integers(0, k, m)
    c = rng.random(m).astype(dtype)
    c /= c.sum()
    Z.flags.writeable = False
    value, dZ, right = kernels.fused(NUMPY, plain).measure(np, Z, T, c)
    expected, expected_dZ, expected_right = plain.measure(np, Z, T, c)
    tolerance = {"float32": 2e-6, "float64": 1e-14}[dtype]
    np.testing.assert_allclose(value, expected, rtol=tolerance)
    np.testing.assert_allclose(dZ, expected_dZ, rtol=0, atol=tolerance * np.abs(c).max())
    assert (value.dtype, dZ.dtype, dZ.shape) == (np.dtype(dtype), np.dtype(dtype), (m, k))
    assert right == expected_right


@pytest.mark.usefixtures("loops")
def test_cross_entropy_by_classes_worked_by_hand():
    """Two rows, equal weights: P = (¾, ¼) for scores log 3 and 0."""
    fast = kernels.fused(NUMPY, CrossEntropy().bind(NUMPY, 2, np.dtype("float64")))
    Z = np.log([[3.0, 1.0], [1.0, 3.0]])
    value, dZ, right = fast.measure(np, Z, np.array([0, 0]), np.array([0.5, 0.5]))
    assert value == pytest.approx(-0.5 * (np.log(0.75) + np.log(0.25)))
    np.testing.assert_allclose(dZ, [[-0.125, 0.125], [-0.375, 0.375]])
    assert right == 1


@pytest.mark.usefixtures("loops")
def test_targets_of_probabilities_take_the_plain_lines(rng):
    plain = CrossEntropy().bind(NUMPY, 3, np.dtype("float64"))
    Z, T, c = rng.standard_normal((4, 3)), np.full((4, 3), 1 / 3), np.full(4, 0.25)
    value, dZ, _ = kernels.fused(NUMPY, plain).measure(np, Z, T, c)
    expected, expected_dZ = plain(np, Z, T, c)
    assert value == expected
    np.testing.assert_array_equal(dZ, expected_dZ)


@pytest.mark.usefixtures("loops")
def test_what_has_no_faster_form_stays_as_it_is():
    class Mine(mn.Adam):
        pass

    smoothed = CrossEntropy(label_smoothing=0.1).bind(NUMPY, 3, np.dtype("float32"))
    for plain in (smoothed, SquaredError(), Mine(), np.sum):
        assert kernels.fused(NUMPY, plain) is plain


@pytest.mark.parametrize(
    "optimizer",
    [mn.SGD(0.1), mn.SGD(0.1, momentum=0.9, nesterov=True), mn.RMSProp(), mn.Adam(weight_decay=0.1), mn.AdamW()],
    ids=repr,
)
def test_steps_in_parts_are_the_whole_step_bit_for_bit(optimizer, rng):
    length = 2 * cpu.PART + 17
    gradient = rng.standard_normal(length).astype("float32")
    decay = np.where(rng.random(length) < 0.5, np.float32(0.1), np.float32(0.0))
    ends = []
    for step in (optimizer.step, cpu.InParts(optimizer).step):
        theta = np.linspace(-1, 1, length, dtype="float32")
        state = {name: np.zeros(length, "float32") for name in optimizer.vectors}
        for t in (1, 2, 3):
            step(np, theta, gradient, state, 0.01, t, decay if optimizer.weight_decay else None)
        ends.append([theta, *state.values()])
    for whole, parts in zip(*ends, strict=True):
        np.testing.assert_array_equal(whole, parts)


def test_steps_in_parts_allocate_parts(rng):
    """No temporary as long as θ: at most three parts at a time, whatever the length."""
    import tracemalloc

    length = 40 * cpu.PART
    theta, gradient = np.ones(length, "float32"), np.ones(length, "float32")
    state = {"s": np.zeros(length, "float32"), "r": np.zeros(length, "float32")}
    tracemalloc.start()
    cpu.InParts(mn.Adam()).step(np, theta, gradient, state, 0.01, 1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3.1 * cpu.PART * 4


@pytest.mark.parametrize(
    ("m", "n", "k"), [(1, 600, 1), (33, 513, 3), (128, 784, 10), (127, 1000, 15), (1500, 784, 9)]
)
def test_products_in_pieces(m, n, k, rng, monkeypatch):
    """Against float64; and each piece is within the size that needs no packing."""
    X, W, dZ = (rng.standard_normal(shape).astype("float32") for shape in ((m, n), (n, k), (m, k)))
    for array in (X, W, dZ):
        array.flags.writeable = False
    dW = np.full((n, k), np.nan, "float32")
    matmul, sizes = np.matmul, []

    def seen(A, B, out):
        sizes.append(A.shape[-2] * A.shape[-1] * B.shape[-1])
        return matmul(A, B, out=out)

    monkeypatch.setattr(np, "matmul", seen)
    cpu.gradient(X, dZ, dW)
    wide = [array.astype("float64") for array in (X, W, dZ)]
    np.testing.assert_allclose(cpu.product(X, W), wide[0] @ wide[1], rtol=0, atol=1e-6 * n)
    np.testing.assert_allclose(dW, wide[0].T @ wide[2], rtol=0, atol=1e-6 * m + 1e-5)
    assert max(sizes) <= cpu.SMALL
    assert len(sizes) <= 6  # stacks of pieces: a call for each would let go of the interpreter as often


@pytest.mark.parametrize(("length", "most"), [(1, 1), (10, 3), (10, 10), (10, 99), (7, 0)])
def test_cut_covers_all_of_it_evenly(length, most):
    parts = list(cpu.cut(length, most))
    assert [i for part in parts for i in range(length)[part]] == list(range(length))
    sizes = [part.stop - part.start for part in parts]
    assert max(sizes) <= max(most, 1)
    assert max(sizes[:-1], default=0) == min(sizes[:-1], default=0)


@pytest.mark.usefixtures("loops")
@pytest.mark.parametrize("kernels", [False, True], ids=["any BLAS", "AVX-512"])
@pytest.mark.parametrize("units", [(1,), (10, 3), (64, 1), (5, 5, 2)], ids=str)
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
def test_dense_and_relu_are_the_plain_ones(units, bias, kernels, monkeypatch, rng):
    """Forward, backward and dX of a chain as it runs, against its layers one by one in float64."""
    monkeypatch.setattr(cpu, "avx512", lambda: kernels)
    layers = [layer for n in units for layer in (mn.Dense(n, bias=bias), mn.ReLU())][:-1]
    net = mn.Network(layers, (600,), "squared_error", seed=3)
    plain = mn.Network(layers, (600,), "squared_error", dtype="float64", seed=3)
    plain.chain.steps = (plain.chain.steps[0], *plain.layers)
    plain.parameters[...] = net.parameters
    assert len(net.chain.steps) == 1 + len(units)
    X, dZ = rng.standard_normal((50, 600)), rng.standard_normal((50, units[-1]))
    Z, caches = net.chain.forward(X.astype("float32"))
    dX = net.chain.backward(dZ.astype("float32"), caches, to_input=True)
    expected, caches = plain.chain.forward(X.astype("float32").astype("float64"))
    expected_dX = plain.chain.backward(dZ, caches, to_input=True)
    np.testing.assert_allclose(Z, expected, atol=1e-4)
    np.testing.assert_allclose(dX, expected_dX, atol=1e-4)
    np.testing.assert_allclose(net.gradient, plain.gradient, atol=1e-3)


@pytest.mark.usefixtures("loops")
def test_layers_of_your_own_keep_their_lines():
    class Mine(mn.Dense):
        pass

    class MyReLU(mn.ReLU):
        pass

    net = mn.Network([Mine(3), mn.ReLU(), mn.Dense(3), MyReLU(), mn.Tanh(), mn.Dense(2)], (4,))
    kinds = [type(step).__name__ for step in net.chain.steps]
    assert kinds[1:] == ["Mine", "ReLU", "Dense", "MyReLU", "Tanh", "Dense"]


@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (400, 64)])
def test_sum_of_rows(shape, rng):
    A = rng.standard_normal(shape)
    out = np.empty(shape[1])
    cpu_loops.sum_rows(A, out)
    np.testing.assert_allclose(out, [sum(column) for column in A.T.tolist()], rtol=1e-12)


# --- threads ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("work", "most", "threads"),
    [(0, 8, 1), (1.1e9, 8, 1), (1.2e9, 8, 2), (1.2e9, 1, 1), (1e12, 8, 4)],
)
def test_threads_grow_with_the_work_up_to_the_cores(work, most, threads, monkeypatch):
    monkeypatch.setattr(cpu_threads, "cores", lambda: 4)
    assert cpu_threads.threads_for(work, most) == threads


def train(threads, seen, units=8, rows=600):
    net = mn.Network([mn.Dense(units), mn.ReLU(), mn.Dense(2)], (4,))
    x, y = np.ones((rows, 4), "float32"), np.zeros(rows, int)
    training = mn.Training(net, x, y, threads=threads)
    for _ in training.epochs(1, on_step=lambda training: seen.append(blas_threads())):
        seen.append(blas_threads())


@pytest.mark.parametrize(("threads", "inside"), [("auto", 1), (1, 1), (2, 2), (None, 2)])
def test_an_epoch_has_its_threads_and_gives_them_back(threads, inside):
    seen = []
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        train(threads, seen)
        after = seen.pop()
    assert all(found == {inside} for found in seen)
    assert after == {2}  # between epochs they are the caller's


def test_auto_takes_no_more_than_there_were(monkeypatch):
    monkeypatch.setattr(cpu_threads, "WORK_OF_A_THREAD", 1.0)
    monkeypatch.setattr(cpu_threads, "cores", lambda: 8)
    seen = []
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        train("auto", seen)
    assert all(found == {1} for found in seen)


def test_an_error_in_an_epoch_gives_the_threads_back():
    def fail(training):
        raise KeyError

    net = mn.Network([mn.Dense(2)], (4,))
    training = mn.Training(net, np.ones((8, 4)), np.zeros(8, int), threads=1)
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        with pytest.raises(KeyError):
            list(training.epochs(1, on_step=fail))
        assert blas_threads() == {2}


@pytest.mark.parametrize("threads", [0, -1])
def test_too_few_threads(threads):
    net = mn.Network([mn.Dense(2)], (4,))
    with pytest.raises(
        ValueError, match=f"threads expects an integer of at least 1. Received: threads={threads}."
    ):
        mn.Training(net, np.ones((8, 4)), np.zeros(8, int), threads=threads)


@pytest.mark.parametrize("threads", ["many", 1.5])
def test_threads_that_are_no_number(threads):
    net = mn.Network([mn.Dense(2)], (4,))
    with pytest.raises(TypeError, match="threads expects"):
        mn.Training(net, np.ones((8, 4)), np.zeros(8, int), threads=threads)


def test_two_trainings_at_once_do_not_disturb_each_other():
    """Threads of Python that train side by side: whichever ends last, BLAS has what it had."""
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        workers = [threading.Thread(target=train, args=("auto", [])) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert blas_threads() == {2}


@pytest.mark.parametrize(("threads", "outer", "inner"), [("auto", 3, 3), (2, 1, 2), (None, 1, 3)])
def test_the_workers_of_an_outer_and_an_inner_block(monkeypatch, threads, outer, inner):
    """With "auto" a small product gets one thread of BLAS, and a worker for each thread that BLAS had."""
    monkeypatch.setattr(cpu_threads, "cores", lambda: 3)
    with threadpoolctl.threadpool_limits(3, "blas"):
        with NUMPY.threads(threads, 48.0) as first, NUMPY.threads("auto", 48.0) as second:
            assert (first, second, NUMPY.workers()) == (outer, inner, inner)
        assert NUMPY.workers() == 1


def test_another_library_has_one_worker():
    strict = pytest.importorskip("array_api_strict", reason="array-api-strict is not installed")
    with resolve(xp=strict).threads("auto", 1e12) as alone:
        assert alone == 1


def test_an_error_beside_is_raised_and_nothing_warns():
    """The second task fails; the first, in the same context, divides by zero in silence."""
    def fail():
        raise MemoryError("beside")

    with pytest.raises(MemoryError, match="does not have enough memory for blocks"), NUMPY.current("blocks"):
        cpu_threads.run_parallel([lambda: np.ones(1) / 0, fail], 2)
    with NUMPY.current("blocks"):
        results = cpu_threads.run_parallel([lambda i=i: float(np.float64(i) / 0.0) for i in (1, -1, 2)], 3)
    assert results == [np.inf, -np.inf, np.inf]


def test_a_worker_that_is_held_up_holds_up_nobody():
    """Of five tasks the first takes as long as the other four: they are done meanwhile, by one other worker."""
    others = threading.Event()
    done = []

    def first():
        assert others.wait(10)
        return 0

    def other(number):
        done.append(number)
        if len(done) == 4:
            others.set()
        return number

    tasks = [first, *(lambda number=number: other(number) for number in (1, 2, 3, 4))]
    assert cpu_threads.run_parallel(tasks, 2) == [0, 1, 2, 3, 4]


def test_after_an_error_no_new_work_begins():
    begun = []

    def fail():
        raise ValueError("here")

    with pytest.raises(ValueError, match="here"):
        list(cpu_threads.run_parallel([fail, *[lambda: begun.append(1) or time.sleep(0.01)] * 50], 2))
    assert len(begun) < 50


@pytest.mark.usefixtures("loops")
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_two_scales_at_the_start_both_act(dtype):
    net = mn.Network([mn.Scale(0.5), mn.Scale(3.0), mn.Dense(1)], (2,), "squared_error", "float64")
    net.parameters[...] = [1.0, 10.0, 7.0]  # W = (1, 10), b = 7
    x = np.array([[2, 4], [6, 0]], dtype)
    np.testing.assert_array_equal(net.forward(x), [[3 + 60 + 7], [9 + 7]])
    net.loss_and_gradient(x, [69.0, 15.0])  # dZ = (1, 1) / 2
    np.testing.assert_array_equal(net.gradient, [(3 + 9) / 2, 6 / 2, 1])


@pytest.mark.usefixtures("loops")
def test_scaled_rows_leave_the_data_as_it_is(rng):
    net = mn.Network([mn.Scale(0.5), mn.Dense(2)], (3,), seed=1)
    x = rng.standard_normal((4, 3)).astype("float32")
    before = x.copy()
    Z = net.forward(x)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_allclose(Z, 0.5 * x.astype("float64") @ net.layers[1].W, rtol=1e-5, atol=1e-6)
    rows = net.chain.forward(x, rows=np.array([2, 0]))[0]
    np.testing.assert_array_equal(rows, Z[[2, 0]])
    pixels = (255 * rng.random((4, 3))).astype("uint8")
    np.testing.assert_allclose(net.forward(pixels), 0.5 * pixels @ net.layers[1].W, rtol=1e-5, atol=1e-3)


# --- compiled loops ---------------------------------------------------------------------------------------------

OPTIMIZERS = [
    mn.SGD(0.1), mn.SGD(0.1, weight_decay=0.1), mn.SGD(0.1, momentum=0.9), mn.SGD(0.1, 0.9, True, 0.1),
    mn.Momentum(0.1), mn.Momentum(0.1, nesterov=False, weight_decay=0.1), mn.RMSProp(), mn.RMSProp(weight_decay=0.1),
    mn.Adam(), mn.Adam(weight_decay=0.1), mn.optimizers.AdamHat(), mn.AdamW(), mn.AdamW(weight_decay=0.0),
]  # fmt: skip
built = pytest.mark.skipif(not cpu_loops.LOOPS, reason="the package was built without a C compiler")


def test_loops_are_built_where_there_is_a_compiler():
    compiler = shutil.which(os.environ.get("CC", "cc").split()[0])
    if compiler is None or sys.platform == "win32":
        pytest.skip("no C compiler")
    says = subprocess.run([compiler, "--version"], capture_output=True, text=True).stdout
    if platform.machine() == "x86_64" and ("clang" in says or platform.libc_ver()[0] != "glibc"):
        pytest.skip("on x86-64 the loops take GCC, and glibc")
    assert cpu_loops.LOOPS, "pip install -e . builds them"


@built
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_loops_of_optimizers_are_the_plain_lines_bit_for_bit(optimizer, dtype, rng):
    gradients = [(10.0 ** rng.uniform(-9, 3, 1001) * rng.choice([-1, 0, 1], 1001)).astype(dtype) for _ in range(5)]
    decay = np.where(rng.random(1001) < 0.5, 0.1, 0.0).astype(dtype) if optimizer.weight_decay else None
    ends = []
    for step in (optimizer.step, kernels.fused(NUMPY, optimizer).step):
        theta = np.linspace(-1, 1, 1001, dtype=dtype)
        state = {name: np.zeros(1001, dtype) for name in optimizer.vectors}
        for t, gradient in enumerate(gradients, 1):
            step(np, theta, gradient, state, 0.01 / t, t, decay)
        ends.append([theta, *state.values()])
    for plain, looped in zip(*ends, strict=True):
        np.testing.assert_array_equal(plain, looped)


@built
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["uint8", "int64", "float32", "float64"])
@pytest.mark.parametrize("scale", [None, 1 / 255, 0.0])
@pytest.mark.parametrize("shape", [(5,), (16, 16), (300,)], ids=str)
def test_rows_are_the_plain_ones_bit_for_bit(dtype, kind, scale, shape, rng):
    chain = [mn.Flatten(), mn.Dense(2)] if scale is None else [mn.Scale(scale), mn.Flatten(), mn.Dense(2)]
    net = mn.Network(chain, shape, dtype=dtype)
    X = rng.integers(0, 256, (40, *shape)).astype(kind)
    rows = rng.permutation(40)[:33]
    for data in (X, X[::2], np.asfortranarray(X), X[:20]):  # not each of them as the loops need it
        for chosen in (None, rows % len(data), (rows % len(data)).astype("int32")):
            A, _ = net.chain.steps[0].forward((data, chosen))
            expected = (data if chosen is None else data[chosen]).astype(dtype)
            if scale is not None:
                expected = expected * np.dtype(dtype).type(scale)
            assert A.dtype == dtype
            np.testing.assert_array_equal(A, expected)
            assert not np.shares_memory(A, data) or kind == dtype


@built
@pytest.mark.parametrize("kind", ["uint8", "float32"])
@pytest.mark.parametrize("row", [-1, 40])
def test_rows_that_are_not_there(kind, row):
    net = mn.Network([mn.Dense(2)], (784,))
    with pytest.raises(IndexError, match=f"expected rows from 0 to 39. Received: {row}."):
        net.chain.forward(np.zeros((40, 784), kind), rows=np.array([1, row, 2]))


@built
@pytest.mark.parametrize("label", [-1, 3])
def test_labels_that_are_not_there(label):
    loss = kernels.fused(NUMPY, CrossEntropy().bind(NUMPY, 3, np.dtype("float64")))
    with pytest.raises(IndexError, match="expected labels from 0 to 2. Received: others."):
        loss.measure(np, np.zeros((2, 3)), np.array([0, label]), np.full(2, 0.5))


def test_relu_takes_arrays_that_lie_in_another_way(rng):
    """What the loops cannot run over goes by NumPy's lines: other orders, other types, read-only."""
    net = mn.Network([mn.Dense(6), mn.ReLU(), mn.Dense(2)], (4,), dtype="float32", seed=1)
    dense = net.chain.steps[1]
    X, dA = rng.standard_normal((5, 4)).astype("float32"), rng.standard_normal((5, 6)).astype("float32")
    results = []
    for way in (np.array, np.asfortranarray, lambda A: A.astype("float64")):
        A, cache = dense.forward(way(X))
        results.append((A, dense.backward(way(dA), cache), net.gradient.copy()))
    for other in results[1:]:
        for first, found in zip(results[0], other, strict=True):
            np.testing.assert_allclose(first, found, rtol=2e-6, atol=1e-6)
    plain = np.maximum(X @ net.layers[0].W + net.layers[0].b, 0)
    np.testing.assert_allclose(results[0][0], plain, rtol=2e-6, atol=1e-6)


def test_nan_goes_through_relu():
    net = mn.Network([mn.Dense(2), mn.ReLU()], (2,), loss="squared_error")
    A, _ = net.chain.steps[1].forward(np.array([[np.nan, 1.0]], "float32"))
    assert np.isnan(A).all()


@built
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("m", "n"), [(1, 1), (2, 7), (33, 65), (128, 10)])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
def test_the_loops_of_relu_are_the_plain_lines_bit_for_bit(m, n, bias, dtype, rng):
    net = mn.Network([mn.Dense(n, bias=bias), mn.ReLU(), mn.Dense(1)], (3,), dtype=dtype)
    step, dense, relu = net.chain.steps[1], *net.layers[:2]
    if bias:
        dense.b[...] = rng.standard_normal(n)
    X, dA = rng.standard_normal((m, 3)).astype(dtype), rng.standard_normal((m, n)).astype(dtype)
    A, cache = step.forward(X)
    Z, _ = dense.forward(X)
    plain, plain_cache = relu.forward(Z)
    np.testing.assert_array_equal(A, plain)
    dZ = relu.backward(dA.copy(), plain_cache)
    step.backward(dA, cache)
    np.testing.assert_array_equal(dA, dZ)
    if bias:
        arange = np.zeros(n, dtype)
        for row in dZ:
            arange += row
        np.testing.assert_array_equal(dense.db, arange)
        dense.backward(dZ, X)
        np.testing.assert_array_equal(dense.db, arange)


@built
def test_loops_are_not_run_over_what_does_not_fit():
    theta, long = np.ones(4), np.ones(5)
    step = kernels.fused(NUMPY, mn.SGD(0.1)).step
    with pytest.raises(ValueError, match="a step on 4 float64 expects vectors like that. Received: 5 float64."):
        step(np, theta, long, {}, 0.1, 1)
    with pytest.raises(ValueError, match="Received: 4 float32."):
        step(np, theta, np.ones(4, "float32"), {}, 0.1, 1)
    with pytest.raises(ValueError, match="a loop expects a contiguous array. Received: strides="):
        step(np, theta, np.ones(8)[::2], {}, 0.1, 1)
    with pytest.raises(TypeError, match="not C contiguous"):
        step(np, np.ones(8)[::2], theta, {}, 0.1, 1)
    fixed, gradient = np.ones(4), np.ones(4)
    fixed.flags.writeable = gradient.flags.writeable = False
    with pytest.raises(TypeError, match="not writable"):
        step(np, fixed, gradient, {}, 0.1, 1)
    step(np, theta, gradient, {}, 0.1, 1)  # what is only read may be read-only
    np.testing.assert_array_equal(theta, 0.9)
    loss = kernels.fused(NUMPY, CrossEntropy().bind(NUMPY, 3, np.dtype("float64")))
    with pytest.raises(ValueError, match="shape|broadcast"):
        loss.measure(np, np.zeros((4, 3)), np.array([0, 1]), np.full(4, 0.25))


@built
def test_trainings_with_and_without_loops_agree(monkeypatch, rng):
    """The same network either way: to the last bit but for exp's sum in the loss."""
    x, y = rng.random((200, 400)).astype("float32"), rng.integers(0, 4, 200)
    found = []
    for loops in (cpu_loops.LOOPS, {}):
        monkeypatch.setattr(cpu_loops, "LOOPS", loops)
        net = mn.Network([mn.Dense(20), mn.ReLU(), mn.Dense(4)], (400,))
        training = mn.Training(net, x, y, batch_size=32)
        found.append([epoch.loss for epoch in training.epochs(3)])
    np.testing.assert_allclose(*found, rtol=1e-6)
