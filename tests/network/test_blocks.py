"""Rows worked on in blocks: the numbers of one piece, and the same bits however many threads share the blocks."""

import threading
import time
from typing import ClassVar

import numpy as np
import pytest
import threadpoolctl
from blas import blas_threads

import mechanet as mn
from mechanet.backend import cpu_loops, cpu_threads

LOOPS = [
    pytest.param(cpu_loops.LOOPS, id="with loops",
                 marks=pytest.mark.skipif(not cpu_loops.LOOPS, reason="the package was built without a C compiler")),
    pytest.param({}, id="NumPy alone"),
]  # fmt: skip


def test_blocks_of_rows_add_up(place, rng):
    """Many more rows than a block: the same loss and gradient as in one piece, and the same predictions."""
    x, y = rng.normal(size=(2000, 6)), rng.integers(0, 3, 2000)
    weight = rng.random(2000)
    net = mn.Network([mn.Dense(5), mn.Tanh(), mn.Dense(3)], (6,), dtype="float64", **place.options)
    results = []
    for rows in (2000, 300):
        net.chain.block_rows = rows
        value = float(net.loss_and_gradient(place.asarray(x), y, weight))
        results.append(
            (value, place.to_host(net.gradient).copy(), net.predict_proba(x), net.evaluate(x, y, weight))
        )
    (v1, g1, p1, e1), (v2, g2, p2, e2) = results
    assert v1 == pytest.approx(v2, rel=1e-12)
    np.testing.assert_allclose(g1, g2, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(p1, p2, rtol=1e-12)
    assert e1 == pytest.approx(e2, rel=1e-12)


@pytest.mark.parametrize("batch_size", [None, 1_100], ids=["full batch", "shuffled batches"])
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_a_batch_in_blocks_is_the_batch_in_one(batch_size, dropout, rng):
    """Rows, masks, loss, correct predictions and gradient are those of the same step on all its rows at once."""
    x, y = rng.random((2_300, 6)), rng.integers(0, 3, 2_300)
    weights = rng.random(2_300)
    found = []
    for block_rows in (10_000, 300):
        net = mn.Network([mn.Dense(7), mn.Tanh(), mn.Dropout(dropout), mn.Dense(3)], (6,), dtype="float64", seed=3)
        net.chain.block_rows = block_rows
        training = mn.Training(net, x, y, optimizer=mn.SGD(0.5), batch_size=batch_size, sample_weight=weights, seed=4)
        found.append([(epoch.loss, epoch.accuracy) for epoch in training.epochs(3)])
        found[-1].append(net.parameters)
    for one, in_blocks in zip(*found, strict=True):
        np.testing.assert_allclose(one, in_blocks, rtol=1e-12, atol=1e-15)


# --- side by side -------------------------------------------------------------------------------------------------


class Watching(mn.Scale):
    """Scale, which notes by which threads rows come, and how many threads BLAS has then; and lets others go first."""

    seen: ClassVar[set[tuple[int, ...]]] = set()  # of all of them

    def forward(self, *args):
        self.seen.add((threading.get_ident(), *blas_threads()))
        time.sleep(0.001)
        return super().forward(*args)


@pytest.fixture
def seen(monkeypatch):
    """The threads that worked on blocks, with the number of threads that BLAS had, on a machine of three cores."""
    monkeypatch.setattr(cpu_threads, "cores", lambda: 3)
    Watching.seen.clear()
    return Watching.seen


def full_batch(had, dropout=0.0, **options):
    """θ and losses after three epochs of eleven blocks, where BLAS had so many threads."""
    rng = np.random.default_rng(1)
    masks = [mn.Dropout(dropout)] if dropout else []
    net = mn.Network([mn.Scale(0.5), mn.Dense(6), mn.ReLU(), *masks, Watching(1.0), mn.Dense(3)], (5,), dtype="float64")
    net.chain.block_rows = 100
    x, y = rng.standard_normal((1037, 5)), rng.integers(0, 3, 1037)
    with threadpoolctl.threadpool_limits(had, user_api="blas"):
        training = mn.Training(net, x, y, optimizer="sgd", batch_size=None, **options)
        losses = [epoch.loss for epoch in training.epochs(3)]
    return net.parameters, losses


@pytest.mark.parametrize("loops", LOOPS)
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_blocks_side_by_side_give_the_same_sum(loops, dropout, seen, monkeypatch):
    """One after the other, and on two and three threads: the same loss and θ bit for bit, whatever the masks."""
    monkeypatch.setattr(cpu_loops, "LOOPS", loops)
    alone, losses = full_batch(1, dropout)
    assert seen == {(threading.get_ident(), 1)}
    for threads in (2, 3):
        seen.clear()
        theta, beside = full_batch(threads, dropout)
        assert {blas for _, blas in seen} == {1}
        assert len(seen) >= 2
        assert beside == losses
        np.testing.assert_array_equal(theta, alone)


def test_predictions_and_measures_are_worked_on_side_by_side(seen, rng):
    """Five blocks on three threads give what one thread gives; BLAS has its threads again afterwards."""
    x, y = rng.random((2500, 6)), rng.integers(0, 3, 2500)
    net = mn.Network([mn.Dense(5), mn.ReLU(), Watching(1.0), mn.Dense(3)], (6,), dtype="float64", seed=3)
    net.chain.block_rows = 512
    found = []
    for had in (1, 3):
        with threadpoolctl.threadpool_limits(had, "blas"):
            for ask in (lambda: net.forward(x), lambda: net.evaluate(x, y)):
                seen.clear()
                found.append(ask())
                assert {blas for _, blas in seen} == {1}
                assert (len(seen) > 1) == (had > 1)
                assert blas_threads() == {had}
    np.testing.assert_array_equal(found[0], found[2])
    assert found[1] == found[3]
    np.testing.assert_allclose(found[0][-1], net.forward(x[-1:])[0], rtol=1e-12)


def test_threads_that_are_named_are_for_blas_alone(seen):
    full_batch(1, threads=2)
    assert seen == {(threading.get_ident(), 2)}
