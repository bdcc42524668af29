"""Checkpoints written during a training, signals, and what a disk that fails does not end."""

import errno
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

import mechanet as mn
from mechanet import storage
from mechanet.training import checkpoints


def problem(rows=50):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 3)).astype("float32")
    return x, (x[:, 0] > 0).astype("int64")


def training(**options):
    x, y = problem()
    layers = [mn.Dense(5), mn.ReLU(), mn.Dropout(0.2), mn.Dense(2)]
    return mn.Training(mn.Network(layers, (3,), seed=1), x, y, batch_size=16, seed=2, **options)


def uninterrupted(epochs, **options):
    whole = training(**options)
    list(whole.epochs(epochs))
    return whole


def assert_same(a, b):
    assert a.network.parameters.tobytes() == b.network.parameters.tobytes()
    assert a.history.column("loss") == b.history.column("loss")


@pytest.mark.parametrize(
    ("every", "expected"),
    [("90s", (90, "s")), ("5m", (5, "m")), ("1h", (1, "h")), ("2epochs", (2, "epoch")), ("1 epoch", (1, "epoch")),
     ("20steps", (20, "step")), ("1step", (1, "step"))],
)  # fmt: skip
def test_every_is_a_time_or_a_count(every, expected):
    assert checkpoints.check_every(every) == expected


@pytest.mark.parametrize("every", ["", "5", "0s", "-1m", "1.5m", "m", "5 minutes", "1d", None, 5])
def test_any_other_every_is_refused(every):
    with pytest.raises(ValueError, match="every expects a time or a count such as"):
        checkpoints.check_every(every)


def test_checkpoints_are_written_every_so_many_epochs_and_at_the_end(tmp_path):
    run = checkpoints.Checkpoints(training(), tmp_path, "2epochs", keep=2)
    assert [epoch.number for epoch in run.epochs(5)] == [1, 2, 3, 4, 5]
    steps = [int(path.stem[11:]) for path in run.files.paths()]
    assert steps == [16, 20]  # 4 steps an epoch: the ends of epochs 4 and 5


def test_checkpoints_are_written_every_so_many_steps(tmp_path):
    run = checkpoints.Checkpoints(training(), tmp_path, "3steps", keep=9)
    list(run.epochs(2))
    assert [int(path.stem[11:]) for path in run.files.paths()] == [3, 6, 8]


def test_checkpoints_are_written_when_the_time_has_come(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: now[0])
    run = checkpoints.Checkpoints(training(), tmp_path, "1m", keep=9)
    for _ in run.epochs(4):
        now[0] += 31.0
    assert [int(path.stem[11:]) for path in run.files.paths()] == [9, 16]  # after 62 s, and the end


@pytest.mark.parametrize("steps", [1, 3, 4, 6])
def test_a_training_resumed_ends_as_if_it_had_not_stopped(tmp_path, steps):
    first = training()
    run = checkpoints.Checkpoints(first, tmp_path, f"{steps}steps")
    for epoch in run.epochs(3):
        if epoch.number == 2:
            break
    x, y = problem()
    said = []
    again = checkpoints.resume(tmp_path, x, y, notify=said.append)
    assert 0 < again.global_step <= 8
    list(checkpoints.Checkpoints(again, tmp_path, "1h").epochs())
    assert_same(again, uninterrupted(3))
    assert said[0].startswith(f"Resuming from {tmp_path}")


def test_a_damaged_newest_checkpoint_is_reported_and_the_one_before_it_used(tmp_path):
    list(checkpoints.Checkpoints(training(), tmp_path, "1epoch").epochs(3))
    newest = storage.CheckpointFiles(tmp_path).paths()[-1]
    newest.write_bytes(newest.read_bytes()[:100])
    x, y = problem()
    said = []
    again = checkpoints.resume(tmp_path, x, y, notify=said.append)
    assert again.epoch == 2
    assert said[0].startswith(f"A newer checkpoint was skipped: {newest} cannot be read")
    list(checkpoints.Checkpoints(again, tmp_path, "1epoch").epochs())
    assert_same(again, uninterrupted(3))


def test_a_new_training_does_not_write_over_an_earlier_ones_checkpoints(tmp_path):
    list(checkpoints.Checkpoints(training(), tmp_path).epochs(1))
    with pytest.raises(ValueError, match="expects a directory without checkpoints. Received: .*, with those of an earlier training"):
        checkpoints.Checkpoints(training(), tmp_path)


def test_nothing_to_resume_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no checkpoint in"):
        checkpoints.resume(tmp_path, *problem())


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_writes_a_checkpoint_and_says_how_to_resume(tmp_path, number, code, capfd):
    first, said = training(), []
    run = checkpoints.Checkpoints(first, tmp_path, "1h", notify=said.append)
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)

    def three_epochs():
        for epoch in run.epochs(5):
            if epoch.number == 3:
                signal.raise_signal(number)

    with pytest.raises(checkpoints.Interrupted) as caught:
        three_epochs()
    assert caught.value.code == code
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert "Finishing the batch and writing a checkpoint" in capfd.readouterr().err
    how = "To resume, repeat the command with --resume."
    assert said == [f"Stopped in epoch 4 after step 12; the checkpoint is {run.last}. {how}"]
    again = checkpoints.resume(tmp_path, *problem(), notify=said.append)
    list(again.epochs())
    assert_same(again, uninterrupted(5))


def test_a_signal_in_the_middle_of_an_epoch_finishes_the_batch(tmp_path):
    first = training()
    run = checkpoints.Checkpoints(first, tmp_path, "1h", notify=lambda text: None)
    update = first._update

    def interrupted_update(decay):
        update(decay)
        if first.global_step == 6:
            signal.raise_signal(signal.SIGINT)

    first._update = interrupted_update
    with pytest.raises(checkpoints.Interrupted):
        list(run.epochs(5))
    assert [int(path.stem[11:]) for path in run.files.paths()] == [6]
    again = checkpoints.resume(tmp_path, *problem(), notify=lambda text: None)
    assert (again.epoch, again.step) == (1, 2)
    list(again.epochs())
    assert_same(again, uninterrupted(5))


SCRIPT = """
import sys, time
import numpy as np
import mechanet as mn
from mechanet.training.checkpoints import Checkpoints
x = np.ones((64, 4)); y = np.zeros(64, "int64")
training = mn.Training(mn.Network([mn.Dense(2)], (4,)), x, y, batch_size=32)
training._update = lambda decay, update=training._update: (update(decay), print("step", flush=True), time.sleep({pause}))
for epoch in Checkpoints(training, sys.argv[1], "1h").epochs(100_000):
    pass
"""


def start(tmp_path, pause):
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(pause=pause), str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout.readline() == "step\n"
    return process


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_process_that_is_told_to_stop_leaves_a_checkpoint_and_the_right_code(tmp_path, number, code):
    process = start(tmp_path, 0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert "To resume, repeat the command with --resume." in err
    assert len(storage.CheckpointFiles(tmp_path).paths()) == 1


def test_a_second_ctrl_c_leaves_at_once(tmp_path):
    process = start(tmp_path, 60)
    process.send_signal(signal.SIGINT)
    assert process.stderr.readline() == "\n"
    assert process.stderr.readline().startswith("Finishing the batch and writing a checkpoint; Ctrl-C again leaves at")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == -signal.SIGINT


def test_a_signal_that_is_ignored_stays_ignored(tmp_path, monkeypatch):
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        for _ in checkpoints.Checkpoints(training(), tmp_path).epochs(2):
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, handler)


def test_signals_are_left_alone_outside_the_main_thread(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    done = []
    thread = threading.Thread(
        target=lambda: done.extend(checkpoints.Checkpoints(training(), tmp_path).epochs(2)),
    )
    thread.start()
    thread.join()
    assert len(done) == 2
    assert signal.getsignal(signal.SIGINT) is before


class Full(storage.Disk):
    def write(self, file, data):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_disk_that_fills_up_does_not_end_the_training(tmp_path, monkeypatch):
    first, said = training(), []
    run = checkpoints.Checkpoints(first, tmp_path, "1epoch", notify=said.append)
    for epoch in run.epochs(4):
        if epoch.number == 2:
            monkeypatch.setattr(storage, "disk", Full())
    assert_same(first, uninterrupted(4))
    assert len(said) == 3  # epochs 3 and 4, and the end once more
    assert said[0].startswith("No checkpoint was written at step 12: ")
    assert "No space left on device" in said[0]
    assert said[0].endswith("The last good one is " + str(tmp_path / "checkpoint-000000000008.safetensors") + ".")
    assert storage.CheckpointFiles(tmp_path).newest()[2] == run.last


def test_checkpoints_that_somebody_removes_are_no_end_either(tmp_path):
    run = checkpoints.Checkpoints(training(), tmp_path / "run", "1epoch")
    for epoch in run.epochs(4):
        if epoch.number == 2:
            for path in run.files.paths():
                path.unlink()
            (tmp_path / "run").rmdir()
    assert [int(path.stem[11:]) for path in run.files.paths()] == [12, 16]


def test_parameters_that_are_not_finite_are_never_a_checkpoint(tmp_path):
    first, said = training(optimizer=mn.SGD(1e30)), []
    run = checkpoints.Checkpoints(first, tmp_path, "1step", notify=said.append)
    with pytest.raises(mn.DivergenceError):
        list(run.epochs(3))
    assert any("expected finite numbers in layers." in text for text in said)
    for path in run.files.paths():
        for name, array in storage.read(path)[0].items():
            assert np.isfinite(array).all() or name in ("values", "history"), name


def test_after_a_divergence_the_last_good_checkpoint_is_named(tmp_path):
    first, said = training(), []
    run = checkpoints.Checkpoints(first, tmp_path, "1epoch", notify=said.append)
    epochs = run.epochs(5)
    next(epochs)
    first.network.parameters[...] = float("inf")
    with pytest.raises(mn.DivergenceError):
        list(epochs)
    assert said[-1] == f"The last good checkpoint is {tmp_path / 'checkpoint-000000000004.safetensors'}."
