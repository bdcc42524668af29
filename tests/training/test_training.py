"""Training: epochs, order, early stopping, schedules, weights, every kind of data, and resuming."""

import math

import numpy as np
import pytest

import mechanet as mn
from mechanet.network import blocks


def clouds(rng, n=200, classes=2):
    y = np.arange(n) % classes
    centres = rng.normal(scale=4.0, size=(classes, 2))
    return (centres[y] + rng.normal(size=(n, 2))).astype("float32"), y


def small(place=None, seed=1, dtype="float32", layers=None, loss="cross_entropy"):
    layers = layers or [mn.Dense(8), mn.ReLU(), mn.Dense(2)]
    return mn.Network(layers, (2,), loss, dtype, seed=seed, **(place.options if place else {}))


def finish(training, count=None):
    return list(training.epochs(count))


def test_the_whole_path_learns(place, rng):
    """Two overlapping clouds: the network finds the line between them, whatever computes it."""
    x = rng.normal(size=(200, 2)).astype("float32") + np.repeat([[-2.0, 0.0], [2.0, 0.0]], 100, axis=0)
    y = np.repeat([0, 1], 100)
    net = small(place)
    epochs = finish(mn.Training(net, place.asarray(x, "float32"), y, optimizer=mn.Adam(0.01), batch_size=32), 10)
    assert [epoch.number for epoch in epochs] == list(range(1, 11))
    assert epochs[-1].loss < epochs[0].loss
    assert net.evaluate(x, y)["accuracy"] > 0.95


def test_an_epoch_by_hand(place):
    """One weight, no bias, half squared error, two batches of one row, in order: every number on paper.

    θ = 1. Row 1: x = 1, y = 0: z = 1, loss ½, dθ = 1, θ = 0.9. Row 2: x = 2, y = 1: z = 1.8, loss ½ 0.8² = 0.32,
    dθ = 0.8 · 2 = 1.6, θ = 0.74. The epoch's loss is the mean, 0.41. After it: losses ½ 0.74² and ½ 0.48².
    """
    net = mn.Network([mn.Dense(1, bias=False)], (1,), "squared_error", "float64", **place.options)
    net.parameters[...] = 1.0
    x, y = place.asarray([[1.0], [2.0]], "float64"), [0.0, 1.0]
    training = mn.Training(net, x, y, optimizer=mn.SGD(0.1), batch_size=1, shuffle=False, validation=(x, y))
    (epoch,) = training.epochs(1)
    assert epoch.loss == pytest.approx(0.41, rel=1e-12)
    assert float(net.parameters[0]) == pytest.approx(0.74, rel=1e-12)
    assert epoch.validation_loss == pytest.approx((0.5 * 0.74**2 + 0.5 * 0.48**2) / 2, rel=1e-12)
    assert epoch.accuracy is None
    assert epoch.validation_accuracy is None
    assert epoch.learning_rate == 0.1


def test_a_short_last_batch_counts_by_its_rows():
    """Batches of 2 and 1 with a rate too small to move anything: the mean over 3 rows, not over 2 batches."""
    net = mn.Network([mn.Dense(1, bias=False)], (1,), "squared_error", "float64")
    net.parameters[...] = 1.0
    x, y = np.array([[1.0], [1.0], [4.0]]), [0.0, 0.0, 0.0]
    training = mn.Training(net, x, y, optimizer=mn.SGD(1e-300), batch_size=2, shuffle=False)
    assert finish(training, 1)[0].loss == pytest.approx((0.5 + 0.5 + 8.0) / 3, rel=1e-14)


def test_accuracy_is_the_share_of_right_rows(place, rng):
    """Against a count in plain Python, with a rate too small to move anything, in any order."""
    x, y = clouds(rng, 101, 3)
    net = mn.Network([mn.Dense(3)], (2,), seed=3, **place.options)
    right = sum(int(np.argmax(row)) == label for row, label in zip(net.forward(x), y, strict=True))
    training = mn.Training(net, place.asarray(x), y, optimizer=mn.SGD(1e-30), batch_size=7, validation=(x, y))
    epoch = finish(training, 1)[0]
    assert epoch.accuracy == right / 101
    assert epoch.validation_accuracy == right / 101


def test_the_order_is_a_function_of_seed_and_epoch(rng):
    x, y = clouds(rng, 50)
    orders = [mn.Training(small(), x, y, batch_size=8, seed=5).batches.order(e).tolist() for e in (1, 2, 3)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert orders[0] != orders[1]
    # Another network, another batch size, epochs asked for in another order: the same.
    other = mn.Training(small(seed=9), x, y, batch_size=3, seed=5).batches
    assert [other.order(e).tolist() for e in (3, 1, 2)] == [orders[2], orders[0], orders[1]]
    assert mn.Training(small(), x, y, batch_size=8, seed=6).batches.order(1).tolist() != orders[0]


def test_full_batch_is_one_exact_step(place, rng):
    """batch_size=None: θ - α dθ with the gradient of all rows, also when they are worked on in blocks."""
    x, y = clouds(rng, 900)
    net = small(place, dtype="float64")
    twin = small(place, dtype="float64")
    twin.loss_and_gradient(x, y)
    expected = place.to_host(twin.parameters) - 0.1 * place.to_host(twin.gradient)
    for rows in (10_000, 100):
        net.parameters[...] = twin.parameters
        net.chain.block_rows = rows
        finish(mn.Training(net, place.asarray(x), y, optimizer=mn.SGD(0.1), batch_size=None), 1)
        np.testing.assert_allclose(place.to_host(net.parameters), expected, rtol=1e-12)


def test_bytes_stay_bytes(place, rng):
    """uint8 images are kept as they are; the network scales a batch at a time."""
    x, y = rng.integers(0, 256, (60, 12)).astype("uint8"), rng.integers(0, 3, 60)
    losses = []
    for data in (x, x.astype("float32")):
        net = mn.Network([mn.Scale(1 / 255), mn.Dense(3)], (12,), **place.options)
        training = mn.Training(net, place.asarray(data), y, batch_size=16)
        losses.append(finish(training, 2)[-1].loss)
        if data is x:
            assert training.batches.X.dtype == place.xp.uint8
    assert losses[0] == losses[1]


def test_a_memory_map_is_read_batch_by_batch(tmp_path, rng):
    x, y = rng.integers(0, 256, (500, 20)).astype("uint8"), rng.integers(0, 2, 500)
    x.tofile(tmp_path / "x.bin")
    mapped = np.memmap(tmp_path / "x.bin", dtype="uint8", mode="r", shape=(500, 20))
    losses = []
    for data in (x, mapped):
        net = mn.Network([mn.Scale(1 / 255), mn.Dense(2)], (20,))
        training = mn.Training(net, data, y, validation=(data, y))
        losses.append([(e.loss, e.validation_loss) for e in training.epochs(3)])
        assert np.shares_memory(training.batches.X, data)
    assert losses[0] == losses[1]


def test_an_iterable_of_batches(place, rng):
    """The same rows in the same order, as arrays and as batches: the same training."""
    x, y = clouds(rng, 90)
    w = rng.random(90)
    batches = [(place.asarray(x[i : i + 32]), y[i : i + 32], w[i : i + 32]) for i in range(0, 90, 32)]
    arrays = mn.Training(small(place), place.asarray(x), y, sample_weight=w, batch_size=32, shuffle=False)
    expected = [(e.loss, e.accuracy) for e in arrays.epochs(3)]
    for given in (batches, lambda: iter(batches)):
        result = [(e.loss, e.accuracy) for e in mn.Training(small(place), given).epochs(3)]
        np.testing.assert_allclose(result, expected, rtol=1e-5)


def test_wrong_iterables():
    x, y = np.zeros((4, 2), "float32"), [0, 1, 0, 1]
    once = mn.Training(small(), iter([(x, y)]))
    with pytest.raises(ValueError, match="run through once an epoch. Received: an iterator"):
        finish(once, 2)
    with pytest.raises(ValueError, match="at least one batch an epoch. Received: none"):
        finish(mn.Training(small(), []), 1)
    with pytest.raises(
        TypeError, match="batches \\(x, y\\) or \\(x, y, sample_weight\\). Received: batch 1 of type ndarray"
    ):
        finish(mn.Training(small(), [x]), 1)
    with pytest.raises(ValueError, match="labels from 0 to 1"):
        finish(mn.Training(small(), [(x, y), (x, [0, 1, 2, 0])]), 1)


def test_gradient_clip(rng):
    """Far from the target with a huge gradient: one step moves θ by α · limit exactly."""
    net = mn.Network([mn.Dense(1)], (2,), "squared_error", "float64")
    before = net.parameters.copy()
    finish(mn.Training(net, [[1.0, 2.0]], [1e6], optimizer=mn.SGD(0.5), gradient_clip=3.0), 1)
    assert np.linalg.norm(net.parameters - before) == pytest.approx(1.5, rel=1e-12)


def test_schedules_run_over_all_planned_epochs(rng):
    """20 rows in batches of 10, 3 epochs: 6 steps. Cosine at steps 0 to 5 of 5, read from on_step."""
    x, y = clouds(rng, 20)
    rates = []
    training = mn.Training(
        small(), x, y, optimizer=mn.SGD(2.0), batch_size=10, schedule="cosine", gradient_clip=1e-9
    )
    list(training.epochs(3, on_step=lambda t: rates.append(t.progress.learning_rate)))
    expected = [1.0 + math.cos(math.pi * step / 5) for step in range(6)]
    np.testing.assert_allclose(rates, expected, atol=1e-12)
    assert [e.learning_rate for e in training.history] == rates[1::2]


def test_the_rate_of_an_iterable_follows_its_schedule_epoch_by_epoch(rng):
    """How many batches will come is not known: cosine at 0, ¼, ½, ¾ and 1 of five epochs."""
    x, y = clouds(rng, 20)
    batches = [(x[:10], y[:10]), (x[10:], y[10:])]
    for given in (batches, lambda: iter(batches)):
        training = mn.Training(small(), given, optimizer=mn.SGD(2.0), schedule="cosine")
        rates = [epoch.learning_rate for epoch in training.epochs(5)]
        np.testing.assert_allclose(rates, [2.0, 1.0 + math.sqrt(0.5), 1.0, 1.0 - math.sqrt(0.5), 0.0], atol=1e-12)


def early(rng, losses, rule, epochs=10):
    x, y = clouds(rng, 20)
    training = mn.Training(small(), x, y, validation=(x, y), early_stopping=rule)
    measured, thetas = iter(losses), {}
    with pytest.MonkeyPatch.context() as patch:  # validation losses as the test wants them
        patch.setattr(blocks, "loss_and_correct", lambda *_: (np.float64(next(measured)), np.int64(0)))
        for epoch in training.epochs(epochs):
            thetas[epoch.number] = training.network.parameters.copy()
    return training, thetas


@pytest.mark.parametrize(
    ("losses", "rule", "stopped_after", "best"),
    [
        ([5, 3, 4, 3.5, 3.2, 1], mn.EarlyStopping(3), 5, 2),
        ([5, 3, 4, 2.9, 3, 3, 3], mn.EarlyStopping(3), 7, 4),
        ([5, 3, 2.95, 2.9, 1], mn.EarlyStopping(2, min_delta=0.2), 4, 2),
        ([5, 6, 7], mn.EarlyStopping(1), 2, 1),
    ],
)
def test_early_stopping_rules(rng, losses, rule, stopped_after, best):
    training, thetas = early(rng, losses, rule)
    assert len(training.history) == stopped_after
    assert training.progress.stopped_early
    assert training.watch.epoch == best
    np.testing.assert_array_equal(training.network.parameters, thetas[best])
    assert not np.array_equal(thetas[best], thetas[stopped_after])


def test_early_stopping_without_restoring(rng):
    training, thetas = early(rng, [5, 6, 7], mn.EarlyStopping(2, restore_best=False))
    np.testing.assert_array_equal(training.network.parameters, thetas[3])


def test_divergence_is_told_and_undone(rng):
    x, y = clouds(rng, 40)
    net = mn.Network([mn.Dense(1)], (2,), "squared_error")
    training = mn.Training(net, x * 1e4, y, optimizer=mn.SGD(1e4), batch_size=8)
    start = net.parameters.copy()
    with pytest.raises(
        mn.DivergenceError, match="diverged in epoch 1.*learning rate 10000.*gradient_clip"
    ) as caught:
        finish(training, 5)
    assert caught.value.epoch == 1
    assert caught.value.learning_rate == 1e4
    np.testing.assert_array_equal(net.parameters, start)


def test_validation_is_never_trained_on(rng):
    """Other validation data, the same training."""
    x, y = clouds(rng, 40)
    thetas = []
    for validation in (None, (x, y), (x[:3] * 100, 1 - y[:3])):
        net = small()
        finish(mn.Training(net, x, y, batch_size=8, validation=validation), 3)
        thetas.append(net.parameters.copy())
    np.testing.assert_array_equal(thetas[0], thetas[1])
    np.testing.assert_array_equal(thetas[0], thetas[2])


TASKS = [("cross_entropy", 3), ("binary_cross_entropy", 2), ("squared_error", 2)]


@pytest.mark.parametrize("weighted", [False, True], ids=["even", "weighted"])
@pytest.mark.parametrize(("loss", "outputs"), TASKS)
def test_validation_is_an_evaluation_after_the_epoch(loss, outputs, weighted, rng):
    """Nothing is dropped, and of several yes-or-no outputs each decision counts."""
    layers = [mn.Dense(12), mn.ReLU(), mn.Dropout(0.5), mn.Dense(outputs)]
    net = mn.Network(layers, (2,), loss, seed=1)
    x = rng.normal(size=(60, 2))
    y = rng.integers(0, 3, 60) if loss == "cross_entropy" else rng.integers(0, 2, (60, outputs))
    validation = (x[:25], y[:25], rng.random(25)) if weighted else (x[:25], y[:25])
    for epoch in mn.Training(net, x, y, batch_size=16, validation=validation).epochs(3):
        measured = net.evaluate(*validation)
        assert epoch.validation_loss == measured["loss"]
        assert epoch.validation_accuracy == measured.get("accuracy")


@pytest.mark.parametrize(("loss", "outputs"), TASKS)
def test_weights_of_held_out_rows_count(loss, outputs, rng):
    """A row of weight 2 is that row twice, a row of weight 0 is no row."""
    x, weights = rng.normal(size=(30, 2)), rng.integers(0, 3, 30)
    y = rng.integers(0, 3, 30) if loss == "cross_entropy" else rng.integers(0, 2, (30, outputs))
    found = []
    for validation in ((x, y, weights), (np.repeat(x, weights, axis=0), np.repeat(y, weights, axis=0)), (x, y)):
        net = mn.Network([mn.Dense(outputs)], (2,), loss, "float64", seed=1)
        (epoch,) = mn.Training(net, x, y, validation=validation).epochs(1)
        found.append(epoch.validation_loss)
    assert found[0] == pytest.approx(found[1], rel=1e-12)
    assert found[0] != pytest.approx(found[2], rel=1e-3)


@pytest.mark.parametrize("optimizer", [mn.SGD(0.5, weight_decay=0.1), mn.AdamW(0.5, weight_decay=0.1)], ids=repr)
def test_weight_decay_spares_biases(place, optimizer):
    """W = 2 and b = 1 twice, and a target that is met, so that dθ = 0: weights shrink by α λ = 0.05, biases stay."""
    two, one = mn.initializers.Uniform(2, 2), mn.initializers.Uniform(1, 1)
    net = mn.Network([mn.Dense(1, two, one), mn.Dense(1, two, one)], (1,), "squared_error", "float64", **place.options)
    finish(mn.Training(net, [[0.0]], [3.0], optimizer=optimizer), 1)  # (0 · 2 + 1) 2 + 1
    np.testing.assert_allclose(net.predict([[0.0], [1.0]]), [1.0 * 1.9 + 1.0, (1.9 + 1.0) * 1.9 + 1.0], rtol=1e-12)


def test_epochs_can_be_left_and_taken_up(rng):
    """10 epochs in one loop, or 4 and then 6, or left by break: the same training."""
    x, y = clouds(rng, 40)
    thetas = []
    for parts in ((10,), (4, 6)):
        net = small()
        training = mn.Training(net, x, y, batch_size=8)
        for part in parts:
            finish(training, part)
        thetas.append(net.parameters.copy())
    net = small()
    training = mn.Training(net, x, y, batch_size=8)
    for epoch in training.epochs(10):
        if epoch.number == 3:
            break
    finish(training)
    assert len(training.history) == 10
    np.testing.assert_array_equal(thetas[0], thetas[1])
    np.testing.assert_array_equal(thetas[0], net.parameters)


SETTINGS = {
    "momentum": {"optimizer": mn.SGD(0.05, 0.9), "schedule": "one_cycle"},
    "adam": {"optimizer": mn.Adam(0.01, weight_decay=0.01), "gradient_clip": 0.5},
    "early stopping": {"optimizer": "rmsprop", "early_stopping": 4},
    "weights": {"optimizer": "adamw"},
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_resuming_is_as_if_it_had_never_stopped(place, setting, rng, tmp_path):
    """Saved after every step of 6 epochs of 5 steps, dropout and all; each state leads to the same end, bit for bit."""
    x, y = clouds(rng, 40)
    X, T = place.asarray(x), place.asarray(y)
    layers = [mn.Dense(6), mn.Tanh(), mn.Dropout(0.3), mn.Dense(2)]
    weights = np.linspace(0.1, 2.0, 40) if setting == "weights" else None
    data = {"validation": (x[:10], y[:10]), "sample_weight": weights}
    if setting == "weights":
        data["validation"] += (weights[:10],)

    def save(training):
        training.save(tmp_path / f"{training.epoch}-{training.step}.ckpt")

    training = mn.Training(small(place, layers=layers), X, T, batch_size=9, seed=4, **data, **SETTINGS[setting])
    list(training.epochs(6, on_step=save))
    states = sorted(tmp_path.iterdir())
    assert len(states) >= 25
    for state in states[::4]:
        resumed = mn.Training.resume(state, X, T, **data, **place.options)
        finish(resumed)
        np.testing.assert_array_equal(
            place.to_host(resumed.network.parameters), place.to_host(training.network.parameters)
        )
        columns = ("number", "loss", "accuracy", "validation_loss", "validation_accuracy", "learning_rate")
        for name in columns:
            assert resumed.history.column(name) == training.history.column(name)


@pytest.mark.parametrize("saved_after", range(1, 6))
def test_a_resumed_training_remembers_its_best_epoch_and_its_patience(place, saved_after, tmp_path):
    """One weight on its way from 0 to 1 by tenths of what is left: 0.1, 0.19, 0.271, 0.3439, 0.40951, 0.468559.

    The held-out row asks for 0.3: epoch 3 is the best, and after three that are worse the training stops.
    """
    net = mn.Network([mn.Dense(1, "zeros", bias=False)], (1,), "squared_error", "float64", **place.options)
    validation = ([[1.0]], [0.3])
    training = mn.Training(net, [[1.0]], [1.0], optimizer=mn.SGD(0.1), validation=validation, early_stopping=3)
    for epoch in training.epochs(20):
        if epoch.number == saved_after:
            break
    training.save(tmp_path / "state")
    resumed = mn.Training.resume(tmp_path / "state", [[1.0]], [1.0], validation=validation, **place.options)
    finish(resumed)
    assert resumed.history.column("number") == [1, 2, 3, 4, 5, 6]
    assert resumed.network.predict([[1.0]])[0] == pytest.approx(0.271, rel=1e-12)


def test_resuming_elsewhere(place, rng, tmp_path):
    """A state from NumPy goes on anywhere, to rounding."""
    x, y = clouds(rng, 40)
    training = mn.Training(small(dtype="float64"), x, y, batch_size=8)
    list(training.epochs(4, on_step=lambda t: t.save(tmp_path / "state") if t.global_step == 8 else None))
    resumed = mn.Training.resume(tmp_path / "state", x, y, **place.options)
    finish(resumed)
    np.testing.assert_allclose(
        place.to_host(resumed.network.parameters), training.network.parameters, rtol=1e-9, atol=1e-12
    )


def test_resuming_with_batches(rng, tmp_path):
    """From the middle of an epoch of an iterable: the batches done are passed over, and their rows counted."""
    x, y = clouds(rng, 40)
    batches = [(x[i : i + 8], y[i : i + 8]) for i in range(0, 40, 8)]
    training = mn.Training(small(), batches)
    list(training.epochs(3, on_step=lambda t: t.save(tmp_path / "state") if t.global_step == 8 else None))
    resumed = mn.Training.resume(tmp_path / "state", batches)
    finish(resumed)
    np.testing.assert_array_equal(resumed.network.parameters, training.network.parameters)
    assert resumed.history.column("accuracy") == training.history.column("accuracy")


def test_a_state_does_not_go_with_other_data(rng, tmp_path):
    x, y = clouds(rng, 40)
    training = mn.Training(small(), x, y)
    finish(training, 1)
    training.save(tmp_path / "state")
    with pytest.raises(
        ValueError, match="this training cannot go on. expected the same data, 40 rows. Received: 39"
    ):
        mn.Training.resume(tmp_path / "state", x[:39], y[:39])
    small().save(tmp_path / "net")
    with pytest.raises(
        ValueError, match="expected a file of format 'mechanet training'. Received: 'mechanet network'"
    ):
        mn.Training.resume(tmp_path / "net", x, y)
    with pytest.raises(
        ValueError, match="expected a file of format 'mechanet network'. Received: 'mechanet training'"
    ):
        mn.Network.load(tmp_path / "state")


@pytest.mark.parametrize(
    ("epoch", "text"),
    [
        (mn.Epoch(1, 0.5, 0.9, 0.4, 0.8, 0.1, 2.0),
         "epoch 1, loss 0.5000, accuracy 90.00%, validation loss 0.4000, validation accuracy 80.00%, 2.00 s"),
        (mn.Epoch(12, 0.12345, None, 0.4, None, 0.1, 0.125), "epoch 12, loss 0.1235, validation loss 0.4000, 0.12 s"),
        (mn.Epoch(3, 1.0, None, None, None, 0.1, 61.0), "epoch 3, loss 1.0000, 61.00 s"),
    ],
)  # fmt: skip
def test_an_epoch_in_words(epoch, text):
    assert str(epoch) == text


def test_history(rng):
    x, y = clouds(rng, 20)
    training = mn.Training(small(), x, y)
    finish(training, 3)
    history = training.history
    assert len(history) == 3
    assert history.column("number") == [1, 2, 3]
    assert [row["number"] for row in history.to_list()] == [1, 2, 3]
    assert [e.number for e in history[1:]] == [2, 3]
    assert str(history[0]).startswith("epoch 1, loss ")
