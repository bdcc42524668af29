"""`mn.fit` trains as `Training` does; what it shows is what happened, on a terminal and in a log."""

import doctest
import io

import numpy as np
import pytest

import mechanet as mn
from mechanet.training import fit as fitting


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clouds(rng):
    x = rng.normal(size=(60, 2)).astype("float32") + np.repeat([[-2.0, 0.0], [2.0, 0.0]], 30, axis=0)
    return x, np.repeat([0, 1], 30)


def new_net():
    return mn.Network([mn.Dense(4), mn.Tanh(), mn.Dense(2)], input_shape=(2,), seed=3)


def test_fit_is_training_to_its_end(clouds):
    by_hand, fitted = new_net(), new_net()
    training = mn.Training(by_hand, *clouds, optimizer=mn.SGD(0.1), batch_size=16, seed=5)
    epochs = list(training.epochs(4))
    history = mn.fit(fitted, *clouds, epochs=4, progress=False, optimizer=mn.SGD(0.1), batch_size=16, seed=5)
    assert np.array_equal(by_hand.parameters, fitted.parameters)
    assert history.column("loss") == [epoch.loss for epoch in epochs]


def test_fit_shows_a_table_in_a_log_and_nothing_without_progress(clouds, capsys):
    mn.fit(new_net(), *clouds, epochs=2, progress=False)
    assert capsys.readouterr() == ("", "")
    history = mn.fit(new_net(), *clouds, epochs=2, validation=clouds)
    names, first, second = capsys.readouterr().out.splitlines()
    assert names.split("  ")[-1] == " elapsed"
    assert " ".join(names.split()) == "epoch loss accuracy validation loss validation accuracy elapsed"
    assert first.split()[:4] == ["1", f"{history[0].loss:.4f}", f"{100 * history[0].accuracy:.2f}", "%"]
    assert second.split()[0] == "2"


def test_a_terminal_gets_the_same_rows_above_a_bar(clouds):
    terminal = Terminal()
    training = mn.Training(new_net(), *clouds)
    losses = [epoch.loss for epoch in fitting.shown(training, 3, terminal)]
    assert "epoch 1 of 3" in terminal.getvalue()
    for loss in losses:
        assert f"{loss:.4f}" in terminal.getvalue()


@pytest.mark.parametrize(
    ("epochs", "rows"),
    [
        (3, [1, 2, 3]),
        (25, list(range(1, 26))),
        (30, [1, *range(2, 31, 2)]),
        (51, [1, *range(5, 51, 5), 51]),
        (5000, [1, *range(200, 5001, 200)]),
    ],
)
def test_a_long_training_shows_round_epochs_the_first_and_the_last(epochs, rows):
    table = fitting._Table(epochs)
    shown = []
    for number in range(1, epochs + 1):
        row = table.row(mn.Epoch(number, 1.0, None, None, None, 0.1, 0.0))
        if row:
            shown.append(int(row.splitlines()[-1].split()[0].replace(",", "")))
    assert shown == rows


def test_the_last_epoch_is_shown_where_training_stops_early(clouds, capsys):
    history = mn.fit(new_net(), *clouds, epochs=100, validation=clouds, early_stopping=mn.EarlyStopping(
        patience=8, monitor="validation_accuracy"))  # fmt: skip
    assert len(history) % 5 != 0
    assert int(capsys.readouterr().out.splitlines()[-1].split()[0]) == len(history)


def test_steps_are_passed_on_beside_the_bar(clouds):
    for file in (Terminal(), io.StringIO()):
        seen = []
        training = mn.Training(new_net(), *clouds, batch_size=30)
        for _ in fitting.shown(training, 2, file, on_step=lambda t, seen=seen: seen.append((t.epoch, t.step))):
            pass
        assert seen == [(0, 1), (0, 2), (1, 1), (1, 2)]


def test_batches_whose_number_is_not_known_are_shown_too(clouds):
    x, y = clouds
    terminal = Terminal()
    training = mn.Training(new_net(), [(x[:30], y[:30]), (x[30:], y[30:])])
    assert len(list(fitting.shown(training, 2, terminal))) == 2


@pytest.mark.parametrize(("epochs", "error"), [(0, ValueError), (2.5, TypeError)])
def test_wrong_numbers_of_epochs(clouds, epochs, error):
    with pytest.raises(error, match="^epochs expects an integer"):
        mn.fit(new_net(), *clouds, epochs=epochs)


def test_its_example():
    assert doctest.testmod(fitting).failed == 0
