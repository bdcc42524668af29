"""How much a step costs: array calls, and read-backs to the host, held to stated figures."""

import contextlib
import tracemalloc
from collections import Counter

import array_api_strict
import numpy as np
import pytest

import mechanet as mn

# Views and descriptions: they move and compute nothing.
VIEWS = {"reshape", "isdtype", "finfo", "iinfo", "broadcast_to", "permute_dims", "expand_dims", "squeeze",
         "get_array_api_strict_flags"}  # fmt: skip
OPERATORS = [
    "add", "sub", "mul", "truediv", "matmul", "pow", "neg", "abs", "eq", "ne", "lt", "le", "gt", "ge", "and", "or",
    "iadd", "isub", "imul", "itruediv", "imatmul", "ipow", "radd", "rsub", "rmul", "rtruediv",
]  # fmt: skip
IN_PLACE = {"iadd", "isub", "imul", "itruediv", "imatmul", "ipow"}
# Not counted: setitem. Where a namespace has out=, as NumPy and CuPy have, `Backend.matmul` and `sum_rows` write
# their result where it belongs; array-api-strict has not, and copies it there.
READ_BACKS = ["float", "int", "bool", "index", "array", "complex", "dlpack"]


class Counting:
    """Counts the functions and operators of array-api-strict that compute, and the conversions that read back.

    `_functions` inside the library call each other with arrays as well: only the outermost counts.
    """

    def __init__(self):
        self.calls = Counter()
        self.read_backs = Counter()
        self._depth = 0

    def _wrap(self, name, function, counter):
        def counted(*args, **kwargs):
            if self._depth == 0:
                counter[name] += 1
            self._depth += 1
            try:
                return function(*args, **kwargs)
            finally:
                self._depth -= 1

        return counted

    @contextlib.contextmanager
    def installed(self, monkeypatch):
        xp, array = array_api_strict, type(array_api_strict.zeros(1))
        with monkeypatch.context() as patch:
            for name in xp.__all__:
                function = getattr(xp, name)
                if callable(function) and not isinstance(function, type) and name not in VIEWS:
                    patch.setattr(xp, name, self._wrap(name, function, self.calls))
            for name in OPERATORS:
                patch.setattr(array, f"__{name}__", self._wrap(name, getattr(array, f"__{name}__"), self.calls))
            for name in READ_BACKS:
                if hasattr(array, f"__{name}__"):
                    function = getattr(array, f"__{name}__")
                    patch.setattr(array, f"__{name}__", self._wrap(name, function, self.read_backs))
            yield self


@pytest.fixture
def training_of(rng):
    """A training on array-api-strict's second device: 784-128-10, batch 128."""

    def make(optimizer, **options):
        net = mn.Network([mn.Dense(128), mn.ReLU(), mn.Dense(10)], (784,), xp=array_api_strict, device="device1")
        x, y = rng.random((1280, 784), dtype="float32"), rng.integers(0, 10, 1280)
        return mn.Training(net, x, y, optimizer=optimizer, **options)

    return make


def count_steps(training, monkeypatch, steps=4):
    """Counts of `steps` steps in the steady state: from the end of the third to that of the seventh."""
    counting = Counting()
    stack = contextlib.ExitStack()

    def on_step(training):
        if training.global_step == 3:
            stack.enter_context(counting.installed(monkeypatch))
        if training.global_step == 3 + steps:
            stack.close()

    with stack:
        list(training.epochs(1, on_step=on_step))
    return counting


# What a step of 784-128-10 takes, in array calls: gather 3 (rows of X, of y, one-hot rows), forward 6 (two products,
# two biases, ReLU 2), loss 11, right decisions 3, backward 8 (three products, two sums, ReLU 3), optimizer 2 or 10.
FIGURES = {"sgd": 33, "adam": 41}
# Those of them that make a new array; the others, `z += b` and its like, work in place.
ALLOCATIONS = {"sgd": 30, "adam": 34}


@pytest.mark.parametrize("optimizer", FIGURES)
def test_array_calls_and_read_backs_of_a_step(optimizer, training_of, monkeypatch):
    counting = count_steps(training_of(optimizer), monkeypatch)
    assert counting.read_backs.total() == 0, counting.read_backs
    assert counting.calls.total() / 4 <= FIGURES[optimizer], counting.calls
    assert counting.calls["matmul"] == 4 * 5  # forward 2, backward 3: nobody asks for dX of the first layer
    in_place = sum(counting.calls[name] for name in OPERATORS if name in IN_PLACE)
    assert (counting.calls.total() - in_place) / 4 <= ALLOCATIONS[optimizer], counting.calls


@pytest.mark.parametrize("optimizer", FIGURES)
def test_memory_of_a_step(optimizer, rng):
    """At its peak a step of 784-128-10 on NumPy holds the batch, five arrays (128, 128), and parts of θ's length."""
    net = mn.Network([mn.Dense(128), mn.ReLU(), mn.Dense(10)], (784,))
    x, y = rng.random((1280, 784), dtype="float32"), rng.integers(0, 10, 1280)
    training = mn.Training(net, x, y, optimizer=optimizer)
    peaks, started = [], []

    def on_step(training):
        if started:
            peaks.append(tracemalloc.get_traced_memory()[1] - started.pop())
        tracemalloc.reset_peak()
        started.append(tracemalloc.get_traced_memory()[0])

    tracemalloc.start()
    try:
        list(training.epochs(1, on_step=on_step))
    finally:
        tracemalloc.stop()
    batch, hidden, part = 128 * 784 * 4, 128 * 128 * 4, 65_536 * 4
    assert len(peaks) == 9
    assert max(peaks[2:]) < batch + max(5 * hidden, 3 * part) + 100_000


def test_one_read_back_an_epoch(training_of, monkeypatch, rng):
    """However many steps, with validation: all that was measured comes over in one transfer."""
    validation = (rng.random((50, 784), dtype="float32"), rng.integers(0, 10, 50))
    training = training_of("adam", validation=validation, early_stopping=5)
    transfers = []
    real = type(training.network.backend).to_host
    monkeypatch.setattr(
        type(training.network.backend), "to_host", lambda self, x: transfers.append(1) or real(self, x)
    )
    counting = Counting()
    epochs = training.epochs(3)
    next(epochs)
    transfers.clear()
    with counting.installed(monkeypatch):
        next(epochs)
    assert len(transfers) == 1
    assert counting.read_backs.total() <= 1  # the transfer itself


def test_the_counter_counts(monkeypatch):
    """Two products, one sum, one read-back: no more, no less."""
    x = array_api_strict.ones((2, 2))
    counting = Counting()
    with counting.installed(monkeypatch):
        y = x @ x
        y += array_api_strict.matmul(x, x)
        float(array_api_strict.sum(y))
    assert counting.calls == {"matmul": 2, "iadd": 1, "sum": 1}
    assert counting.read_backs == {"float": 1}
    assert np.asarray(x).sum() == 4


def test_a_prediction_keeps_nothing_of_the_layers_it_has_passed():
    """Ten layers of a megabyte each: three are alive at once, where training keeps them all."""
    net = mn.Network([layer for _ in range(10) for layer in (mn.Dense(512), mn.Tanh())] + [mn.Dense(2)], (512,))
    net.chain.block_rows, x = 512, np.zeros((512, 512), "float32")
    peaks = []
    for work in (net.forward, net.chain.forward):
        work(x)
        tracemalloc.start()
        work(x)
        peaks.append(tracemalloc.get_traced_memory()[1] / x.nbytes)
        tracemalloc.stop()
    assert peaks[0] < 3.1
    assert peaks[1] > 9
