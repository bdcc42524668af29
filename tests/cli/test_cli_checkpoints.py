"""mechanet train --checkpoint, --resume, and the signals, in processes of their own."""

import os
import signal
import subprocess
import sys

import pytest

import mechanet as mn
from mechanet import storage
from mechanet.cli import main

TRAIN = ["train", "--data", "spiral", "--layers", "16,16", "--no-plot", "--epochs"]


def command(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "mechanet", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUNBUFFERED": "1"},
    )


def parameters(path):
    return mn.Network.load(path).parameters.tobytes()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_and_the_same_command_resumes(tmp_path, number, code, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train = [*TRAIN, "600", "--checkpoint", "run", "--out", "net.safetensors"]
    process = command(*train)
    for line in process.stdout:
        if line.split()[:1] == ["50"]:
            break
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code, said
    assert "mechanet: Stopped in epoch" in said
    assert "To resume, repeat the command with --resume." in said
    assert not (tmp_path / "net.safetensors").exists()
    assert len(storage.CheckpointFiles("run").paths()) == 1

    assert main([*train, "--resume"]) == 0
    assert main([*TRAIN, "600", "--out", "whole.safetensors"]) == 0
    assert parameters("net.safetensors") == parameters("whole.safetensors")


def test_more_epochs_than_were_planned(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    options = ["--checkpoint", "run", "--schedule", "constant", "--out", "net.safetensors"]
    assert main([*TRAIN, "3", *options]) == 0
    assert main([*TRAIN, "5", *options, "--resume"]) == 0
    assert "Resuming from" in capsys.readouterr().err
    assert main([*TRAIN, "5", "--schedule", "constant", "--out", "whole.safetensors"]) == 0
    assert parameters("net.safetensors") == parameters("whole.safetensors")
    assert main([*TRAIN, "4", *options, "--resume"]) == 2
    assert "expects at least the 5 epochs that were planned. Received: epochs=4" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--resume"], "--resume expects --checkpoint DIR"),
        (["--checkpoint", "run", "--checkpoint-every", "5"], "every expects a time or a count such as"),
        (["--checkpoint", "run", "--keep", "0"], "keep expects an integer of at least 1. Received: keep=0"),
        (["--checkpoint", "none", "--resume"], "There is no checkpoint in"),
        (["--checkpoint", "run"], "with those of an earlier training. Resume that one (--resume)"),
        (["--checkpoint", "run", "--resume", "--learning-rate", "0.5"], "Received: optimizer is"),
        (["--checkpoint", "run", "--resume", "--seed", "1"], "Received: network is"),
        (["--checkpoint", "run", "--resume", "--batch-size", "7"], "Received: batch_size is 7, and was"),
    ],
)
def test_what_cannot_go_on_is_said(tmp_path, monkeypatch, capsys, arguments, text):
    monkeypatch.chdir(tmp_path)
    assert main([*TRAIN, "2", "--checkpoint", "run"]) == 0
    capsys.readouterr()
    assert main([*TRAIN, "2", *arguments]) == 2
    assert text in capsys.readouterr().err


def test_as_many_checkpoints_stay_as_asked_and_a_damaged_one_is_reported(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    options = ["--checkpoint", "run", "--checkpoint-every", "1epoch", "--keep", "2"]
    assert main([*TRAIN, "4", *options]) == 0
    older, newest = storage.CheckpointFiles("run").paths()
    newest.write_bytes(newest.read_bytes()[:-9])
    before = parameters("spiral.safetensors")
    assert main([*TRAIN, "4", *options, "--resume"]) == 0
    said = capsys.readouterr().err
    assert f"mechanet: A newer checkpoint was skipped: {newest}" in said
    assert f"mechanet: Resuming from {older}" in said
    assert parameters("spiral.safetensors") == before
