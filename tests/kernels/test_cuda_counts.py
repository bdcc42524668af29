"""What a training does on a CUDA device, counted by the emulated driver (tests/cpucuda): launches, copies, memory."""

import numpy as np
import pytest

import mechanet as mn

pytestmark = pytest.mark.gpu
QUIET = ("d2h", "h2d", "malloc", "sync", "pinned")


def training_of(sizes=(784, 128, 10), rows=2000, batch_size=128, validation=False, **options):
    rng = np.random.default_rng(3)
    x, y = rng.integers(0, 256, (rows, sizes[0]), dtype="uint8"), rng.integers(0, sizes[-1], rows)
    chain = [mn.Scale(1 / 255)]
    for size in sizes[1:-1]:
        chain += [mn.Dense(size), mn.ReLU()]
    net = mn.Network([*chain, mn.Dense(sizes[-1])], input_shape=(sizes[0],), device="cuda")
    if validation:
        options["validation"] = (x[:500], y[:500])
    return mn.Training(net, x, y, batch_size=batch_size, **options)


def count_a_step(emulator, training, after=3, steps=4):
    """Counts of a step in the steady state, and the log of all of them."""
    counted = {}

    def on_step(training):
        if training.global_step == after:
            emulator.reset(log=True)
        if training.global_step == after + steps:
            counted.update(emulator.counts(), log=emulator.log())

    list(training.epochs(1, on_step=on_step))
    return {name: count / steps for name, count in counted.items() if name != "log"}, counted["log"]


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop", "momentum"])
def test_launches_of_a_step(emulator, optimizer):
    counts, log = count_a_step(emulator, training_of(optimizer=optimizer))
    launches = counts["launch"] + counts["gemm"]
    print(f"{optimizer}: {launches:g} launches a step, of them {counts['gemm']:g} products")
    assert launches <= 14, log
    assert counts["gemm"] == 5  # forward 2, backward 3: nobody asks for dX of the first layer
    assert {name: counts[name] for name in QUIET} == dict.fromkeys(QUIET, 0)


def test_launches_of_a_layer_more(emulator):
    def launches(*sizes):
        counts, _ = count_a_step(emulator, training_of(sizes))
        return counts["launch"] + counts["gemm"]

    assert launches(784, 32, 32, 32, 10) - launches(784, 32, 32, 10) <= 6


def test_clipping_and_decay_take_two_launches_more(emulator):
    plain, _ = count_a_step(emulator, training_of(optimizer=mn.Adam(1e-3)))
    more, log = count_a_step(emulator, training_of(optimizer=mn.AdamW(1e-3, weight_decay=0.1), gradient_clip=1.0))
    assert more["launch"] - plain["launch"] <= 2, log
    assert {name: more[name] for name in QUIET} == dict.fromkeys(QUIET, 0)


def test_read_backs_of_an_epoch_with_validation(emulator):
    epochs = training_of(validation=True, early_stopping=5).epochs(3)
    next(epochs)
    emulator.reset()
    next(epochs)
    print(emulator.counts())
    assert emulator.counts()["d2h"] <= 2


def test_nothing_is_compiled_after_the_first_step_of_an_epoch(emulator):
    """The last, shorter batch too runs on kernels that are there; after the first epoch nothing is compiled."""
    seen = []
    training = training_of(rows=129, batch_size=64, validation=True)  # the third batch is one row
    hook = lambda source, options, names: seen.append((training.epoch, training.step, names))  # noqa: E731
    emulator.on_source.append(hook)
    try:
        list(training.epochs(3))
    finally:
        emulator.on_source.remove(hook)
    assert [entry for entry in seen if entry[0] > 0] == []
    assert [entry for entry in seen if entry[1] in (1, 2)] == []


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_memory_of_a_training_on_bytes(emulator, optimizer):
    """6,000 images of 784 bytes: the data as it is, θ three times, and 2 MB."""
    import cupy

    pool = cupy.cuda.MemoryPool()
    with cupy.cuda.using_allocator(pool.malloc):
        training = training_of(rows=6_000, optimizer=optimizer)
        data = training.batches.X.nbytes + training.batches.T.nbytes
        theta = training.network.parameters.nbytes
        list(training.epochs(1))
        peak = pool.total_bytes()  # what was ever needed at once: the pool gives nothing back
        print(f"{optimizer}: peak {peak:,} bytes, data {data:,}, θ {theta:,}, rest {peak - data - 3 * theta:,}")
        assert training.batches.X.dtype == np.uint8
        assert peak <= data + 3 * theta + 2_000_000
        del training


def test_data_that_does_not_fit_is_streamed(emulator, monkeypatch):
    """One copy a batch through two pinned buffers, nothing allocated in the steady state, and the same numbers."""
    whole = training_of(rows=700, optimizer="sgd")
    expected = [epoch.loss for epoch in whole.epochs(2)]
    monkeypatch.setattr(type(whole.network.backend), "fits", lambda self, size: False)
    streamed = training_of(rows=700, optimizer="sgd")
    assert isinstance(streamed.batches.X, np.ndarray)
    counts, log = count_a_step(emulator, streamed, after=2, steps=2)
    assert counts["h2d"] == 1, log
    assert counts["pinned"] == 0
    assert counts["malloc"] == 0
    again = training_of(rows=700, optimizer="sgd")
    assert [epoch.loss for epoch in again.epochs(2)] == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(
        again.network.parameters.get(), whole.network.parameters.get(), rtol=1e-5, atol=1e-6
    )
