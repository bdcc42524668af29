"""The command line: what it does is what the library does, and a mistake is one line and exit code 2."""

import csv
import gzip
import json
import struct
import subprocess
import sys

import numpy as np
import pytest

import mechanet as mn
from mechanet.cli import main
from mechanet.initializers import INITIALIZERS
from mechanet.layers import ACTIVATIONS
from mechanet.losses import LOSSES
from mechanet.optimizers import OPTIMIZERS
from mechanet.schedules import SCHEDULES

SPIRAL = ["train", "--data", "spiral", "--layers", "8", "--epochs", "3", "--no-plot"]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(capsys):
    """Run a command that must succeed; what it printed on standard output and on standard error."""

    def run(*argv):
        code = main([str(word) for word in argv])
        printed = capsys.readouterr()
        assert code == 0, printed.err
        return printed

    return run


@pytest.fixture(scope="session")
def digits_model(tmp_path_factory):
    """A model of the bundled digits, trained for one epoch."""
    path = tmp_path_factory.mktemp("model") / "digits.safetensors"
    assert main(["train", "--epochs", "1", "--layers", "32", "--no-plot", "--out", str(path)]) == 0
    return path


def idx(values):
    return struct.pack(f">4B{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes()


# Train


def test_train_without_options_meets_its_figure(tmp_path):
    """The README's first command, in a process of its own: 95 % on the digits that it has not seen."""
    done = subprocess.run(
        [sys.executable, "-c", "import sys, mechanet.cli; sys.exit(mechanet.cli.main())", "train", "--no-plot"],
        cwd=tmp_path, capture_output=True, text=True, env=_environment(),
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "784-128-10, 101,770 parameters, float32, on cpu\ndigits: 10,000 training rows\n" in done.stdout
    digits = mn.datasets.load("digits")
    accuracy = mn.Network.load(tmp_path / "digits.safetensors").evaluate(digits.test.x, digits.test.y)["accuracy"]
    assert accuracy >= 0.95
    assert f"test accuracy {100 * accuracy:.2f} %" in done.stdout
    assert "on 2,000 rows never seen in training" in done.stdout


def _environment():
    import os
    from pathlib import Path

    return os.environ | {"PYTHONPATH": str(Path(mn.__file__).parent.parent)}


def test_python_m_mechanet():
    done = subprocess.run(
        [sys.executable, "-m", "mechanet", "--version"], capture_output=True, text=True, env=_environment()
    )
    assert (done.returncode, done.stdout) == (0, f"mechanet {mn.__version__}\n")


def test_train_is_the_librarys_training(run):
    run(*SPIRAL, "--activation", "tanh", "--optimizer", "sgd", "--learning-rate", 0.3, "--schedule", "one-cycle",
        "--batch-size", 50, "--momentum", 0.9, "--weight-decay", 0.01, "--gradient-clip", 0.5, "--dropout", 0.1,
        "--label-smoothing", 0.05, "--initializer", "glorot-uniform", "--dtype", "float64", "--seed", 3,
        "--validation", "test", "--early-stopping", 2, "--out", "by_command.safetensors")  # fmt: skip
    spiral = mn.datasets.load("spiral")
    net = mn.Network(
        [mn.Dense(8, "glorot_uniform"), mn.Tanh(), mn.Dropout(0.1), mn.Dense(3, "glorot_uniform")],
        input_shape=(2,), loss=mn.CrossEntropy(label_smoothing=0.05), dtype="float64", seed=3,
    )  # fmt: skip
    mn.fit(
        net, spiral.train.x, spiral.train.y, epochs=3, optimizer=mn.SGD(0.3, 0.9, weight_decay=0.01), batch_size=50,
        schedule="one_cycle", gradient_clip=0.5, validation=(spiral.test.x, spiral.test.y), early_stopping=2,
        seed=3, progress=False,
    )  # fmt: skip
    loaded = mn.Network.load("by_command.safetensors")
    assert loaded.config() == net.config()
    assert np.array_equal(loaded.parameters, net.parameters)


def test_train_as_json_is_one_document(run):
    printed = run(*SPIRAL, "--json", "--validation", 0.25)
    report = json.loads(printed.out)
    assert [epoch["number"] for epoch in report["epochs"]] == [1, 2, 3]
    assert report["test"]["rows"] == 200
    assert report["model"] == "spiral.safetensors"
    assert report["curves"] is None
    assert report["recipe"]["layers"] == "8"
    measured = mn.Network.load("spiral.safetensors").evaluate(*_rows(mn.datasets.load("spiral").test))
    assert report["test"]["accuracy"] == measured["accuracy"]
    assert "validation accuracy" in printed.err


def _rows(split):
    return split.x, split.y


def test_train_draws_the_curves(run):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    run(*SPIRAL[:-1], "--out", "a.safetensors")
    run(*SPIRAL[:-1], "--plot", "b.png")
    for name in ("a.png", "b.png"):
        with open(name, "rb") as file:
            assert file.read(8) == b"\x89PNG\r\n\x1a\n"


def test_rows_to_test_with_are_never_trained_on(run, tmp_path):
    """The same training rows, other test rows: the same model, also with early stopping."""
    x, y = _rows(mn.datasets.load("spiral", n=200).train)
    for name, test_x in (("one", x[:20] * 3 + 1), ("two", -x[:20])):
        (tmp_path / name).mkdir()
        for part, rows, labels in (("train", x, y), ("test", test_x, y[:20])):
            with open(tmp_path / name / f"{part}.csv", "w", newline="") as file:
                lines = csv.writer(file)
                lines.writerow(["label", "a", "b"])
                lines.writerows([[label, *row] for label, row in zip(labels.tolist(), rows.tolist(), strict=True)])
    models = []
    for name in ("one", "two"):
        run("train", "--data", name, "--epochs", 5, "--validation", 0.2, "--early-stopping", 1, "--no-plot")
        models.append(mn.Network.load(f"{name}.safetensors").parameters)
    assert np.array_equal(*models)


def test_rows_held_out_are_not_trained_on():
    from mechanet.cli.recipes import hold_out

    spiral = mn.datasets.load("spiral")
    rows = {tuple(row) for row in spiral.train.x.tolist()}
    for validation, count in (("0.25", 200), ("100", 100)):
        (x, _), (held, labels) = hold_out(validation, spiral, seed=1)
        assert (len(x), len(held), len(labels)) == (800 - count, count, count)
        assert {tuple(row) for row in x.tolist()} | {tuple(row) for row in held.tolist()} == rows
    assert np.array_equal(held, spiral.train.x[:100])
    assert hold_out("none", spiral, seed=1)[1] is None
    assert hold_out("test", spiral, seed=1)[0][0] is spiral.train.x


def test_a_regression(run, tmp_path):
    rows = [[i / 10, (i / 10) ** 2] for i in range(-10, 11)]
    (tmp_path / "square.csv").write_text("y,x\n" + "".join(f"{y},{x}\n" for x, y in rows))
    printed = run("train", "--data", "square.csv", "--epochs", 100, "--no-plot").out
    assert "1-128-1" in printed
    assert "accuracy" not in printed
    assert "no labelled test rows; see --validation" in printed
    (tmp_path / "new.csv").write_text("x\n0.5\n-0.5\n")
    run("predict", "square.safetensors", "new.csv", "--out", "values.csv")
    lines = (tmp_path / "values.csv").read_text().splitlines()
    expected = mn.Network.load("square.safetensors").predict([[0.5], [-0.5]]).tolist()
    assert lines == ["Id,Value", f"1,{expected[0]}", f"2,{expected[1]}"]
    assert "accuracy" not in run("evaluate", "square.safetensors", "--data", "square.csv").out


def test_labels_that_are_words_come_back_as_words(run, tmp_path):
    (tmp_path / "pets.csv").write_text("label,weight\n" + "cat,-1\ndog,1\n" * 30)
    run("train", "--data", "pets.csv", "--layers", "none", "--epochs", 50, "--learning-rate", 0.1, "--no-plot")
    (tmp_path / "new.csv").write_text("weight\n2\n-2\n")
    predictions = json.loads(run("predict", "pets.safetensors", "new.csv", "--json").out)["predictions"]
    assert [one["label"] for one in predictions] == ["dog", "cat"]
    assert min(one["probability"] for one in predictions) > 0.5
    assert not (tmp_path / "submission.csv").exists()


def test_two_classes_with_one_output(run, tmp_path):
    run("train", "--data", "moons", "--loss", "binary-cross-entropy", "--epochs", 30, "--no-plot")
    measured = json.loads(run("evaluate", "moons.safetensors", "--data", "moons", "--json").out)
    assert measured["accuracy"] > 0.9
    x = mn.datasets.load("moons").test.x[:8].tolist()
    (tmp_path / "new.csv").write_text("a,b\n" + "".join(f"{a},{b}\n" for a, b in x))
    predictions = json.loads(run("predict", "moons.safetensors", "new.csv", "--json").out)["predictions"]
    yes = mn.Network.load("moons.safetensors").predict_proba(x)[:, 0].tolist()
    assert min(yes) < 0.5 < max(yes)
    assert [one["label"] for one in predictions] == [str(int(p > 0.5)) for p in yes]
    assert [one["probability"] for one in predictions] == pytest.approx([p if p > 0.5 else 1 - p for p in yes])


def test_an_interrupted_training_says_so(monkeypatch, capsys):
    def interrupted(self, *arguments):
        self.progress.total_epochs, self.progress.epoch = 3, 1
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(mn.Training, "epochs", interrupted)
    assert main(SPIRAL) == 130
    assert capsys.readouterr().err == "mechanet: interrupted in epoch 2 of 3; no model was written\n"


def test_a_training_that_diverges_fails_with_what_to_try(capsys):
    assert main([*SPIRAL, "--optimizer", "sgd", "--learning-rate", "1e30"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("mechanet: the training diverged in epoch 1")
    assert error.count("\n") == 1


# Evaluate, predict, explain, devices


def test_evaluate_measures_what_the_library_does(run, digits_model):
    digits = mn.datasets.load("digits")
    net = mn.Network.load(digits_model)
    for split in ("test", "train"):
        rows = getattr(digits, split)
        found = json.loads(run("evaluate", digits_model, "--split", split, "--json").out)
        assert found == {
            "model": str(digits_model), "data": "digits", "split": split, "rows": len(rows),
            **net.evaluate(rows.x, rows.y),
        }  # fmt: skip
    measured = net.evaluate(digits.test.x, digits.test.y)
    assert run("evaluate", digits_model).out == (
        f"digits, test rows: accuracy {100 * measured['accuracy']:.2f} %, loss {measured['loss']:.4f}, "
        "on 2,000 rows\n"
    )


def test_predict_pictures(run, digits_model):
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    digits = mn.datasets.load("digits")
    net = mn.Network.load(digits_model)
    for i in range(3):
        image.fromarray(digits.test.x[i].reshape(28, 28)).save(f"{i}.png")
    row = mn.datasets.read_image("0.png").reshape(1, -1)
    label, probability = int(net.predict(row)[0]), float(net.predict_proba(row).max())
    printed = run("predict", digits_model, "0.png", "1.png", "2.png").out.splitlines()
    assert printed[0] == f"0.png  {label}  {100 * probability:.1f} %"
    assert [line[:5] for line in printed] == ["0.png", "1.png", "2.png"]
    found = json.loads(run("predict", digits_model, "0.png", "--json").out)
    assert found == {"predictions": [{"file": "0.png", "label": str(label), "probability": probability}]}


def test_predict_kaggles_test_file_writes_a_submission(run, digits_model, tmp_path):
    x = mn.datasets.load("digits").test.x[:7]
    with open("test.csv", "w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow([f"pixel{i}" for i in range(784)])
        lines.writerows(x.tolist())
    assert run("predict", digits_model, "test.csv").out == "7 predictions written to submission.csv\n"
    labels = mn.Network.load(digits_model).predict(x).tolist()
    expected = "ImageId,Label\n" + "".join(f"{i},{label}\n" for i, label in enumerate(labels, 1))
    assert (tmp_path / "submission.csv").read_text() == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == ["submission.csv", "test.csv"]


@pytest.mark.parametrize("packed", [False, True])
def test_predict_idx(run, digits_model, tmp_path, packed):
    x = mn.datasets.load("digits").test.x[:5]
    data = idx(x.reshape(5, 28, 28))
    (tmp_path / "images").write_bytes(gzip.compress(data) if packed else data)
    run("predict", digits_model, "images", "--out", "labels.csv")
    labels = [int(line.split(",")[1]) for line in (tmp_path / "labels.csv").read_text().splitlines()[1:]]
    assert labels == mn.Network.load(digits_model).predict(x).tolist()


def test_explain_shows_the_row_that_was_asked_for(run, digits_model, tmp_path):
    digits = mn.datasets.load("digits")
    net = mn.Network.load(digits_model)
    expected = mn.explain(net, digits.test.x[7:8], digits.test.y[7:8], "sgd", image_shape=(28, 28))
    assert json.loads(run("explain", digits_model, "--index", 7, "--json").out) == json.loads(
        json.dumps(expected.to_dict())
    )
    assert run("explain", digits_model, "--index", 7).out == f"{expected}\n"
    assert run("explain", digits_model, "--index", 7, "--html", "seven.html").out == "written: seven.html\n"
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    assert run("explain", digits_model, "--index", 7, "--plot", "seven.png").out == "written: seven.png\n"
    assert (tmp_path / "seven.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "seven.html").read_text().lstrip().lower().startswith("<!doctype html>")


def test_devices_are_those_of_the_library(run):
    found = json.loads(run("devices", "--json").out)["devices"]
    assert [device["name"] for device in found] == [device.name for device in mn.devices()]
    text = run("devices").out
    assert text.startswith(f"cpu      usable      NumPy {np.__version__}, with")
    for device in mn.devices():
        assert device.problem in text


def test_devices_in_words(run, monkeypatch):
    found = [
        mn.backend.Device("cpu", "NumPy 2.1", True),
        mn.backend.Device("cuda:0", "a GPU", True, memory_bytes=16 << 30, free_bytes=3 << 29),
        mn.backend.Device("cuda", "CuPy", False, "There is no driver."),
    ]
    monkeypatch.setattr(mn, "devices", lambda: found)
    assert run("devices").out.splitlines() == [
        "cpu      usable      NumPy 2.1",
        "cuda:0   usable      a GPU, 1.5 of 16.0 GiB free",
        "cuda     not usable  CuPy",
        "         There is no driver.",
    ]


# Help and mistakes


def test_a_fault_of_ours_is_a_plain_traceback(monkeypatch, capsys):
    """One that can be copied into a report: no frames, no colours."""

    def broken():
        raise RuntimeError("ours")

    monkeypatch.setattr(mn, "devices", broken)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # put back afterwards: typer sets its own
    with pytest.raises(RuntimeError) as caught:
        main(["devices"])
    sys.excepthook(caught.type, caught.value, caught.tb)
    lines = capsys.readouterr().err.splitlines()
    assert (lines[0], lines[-1]) == ("Traceback (most recent call last):", "RuntimeError: ours")


def test_help_says_how_it_is_used(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    assert "mechanet train" in run().out
    assert run("--help").out.strip() == run("-h").out.strip()
    for command in ("train", "evaluate", "predict", "explain", "devices"):
        text = run(command, "--help").out
        assert "Examples:" in text
        assert text.count(f"  mechanet {command}") >= 2
    text = run("train", "--help").out
    for option in (
        "data", "layers", "activation", "loss", "optimizer", "learning-rate", "batch-size", "epochs", "device",
        "dtype", "seed", "validation", "out", "plot", "json", "recipe",
    ):  # fmt: skip
        assert f"--{option} " in text
    assert "[default: (128)]" in text
    assert "[default: (cosine)]" in text


def test_help_lists_the_names_of_the_tables_with_dashes(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    text = run("train", "--help").out
    for table in (ACTIVATIONS, INITIALIZERS, LOSSES, OPTIMIZERS, SCHEDULES):
        assert f" {', '.join(table).replace('_', '-')}." in text
    assert "leaky-relu" in text
    assert "0.003 for adam, 0.001 for adam-hat" in text
    assert f"Whose update is shown: {', '.join(OPTIMIZERS).replace('_', '-')}." in run("explain", "--help").out


def test_names_with_dashes_are_those_of_the_library(run, digits_model):
    run(*SPIRAL, "--optimizer", "adam-hat", "--activation", "leaky-relu", "--loss", "cross-entropy", "--initializer",
        "glorot-normal", "--schedule", "warm-up", "--out", "net")  # fmt: skip
    dense, activation = mn.Network.load("net").layers[:2]
    assert (dense.initializer, activation) == (mn.initializers.GlorotNormal(), mn.LeakyReLU())
    assert "AdamHat" in run("explain", digits_model, "--optimizer", "adam-hat").out


MISTAKES = {
    "train --epochs 0": "epochs expects an integer of at least 1. Received: epochs=0.",
    "train --epochs many": "Invalid value for '--epochs': Input should be a valid integer, unable to parse "
    "string as an integer",
    "train --layers 12,": '--layers expects the units of each hidden layer, such as 128 or 512,256, or "none". '
    "Received: '12,'.",
    "train --layers 0": '--layers expects the units of each hidden layer, such as 128 or 512,256, or "none". '
    "Received: '0'.",
    "train --activation relo": f"activation expects one of {', '.join(sorted(ACTIVATIONS))}. "
    "Received: activation='relo'. Did you mean 'relu'?",
    "train --optimizer adm": f"optimizer expects one of {', '.join(sorted(OPTIMIZERS))}. Received: optimizer='adm'. "
    "Did you mean 'adam'?",
    "train --loss square": f"loss expects one of {', '.join(sorted(LOSSES))}. "
    "Received: loss='square'. Did you mean 'squared_error'?",
    "train --recipe orignal": "recipe expects one of default, original. Received: recipe='orignal'. "
    "Did you mean 'original'?",
    "train --dtype float16": "dtype expects one of float32, float64. Received: dtype='float16'. "
    "Did you mean 'float64'?",
    "train --device gpu": 'device expects "cpu", "cuda", "cuda:N" or "auto". Received: device=\'gpu\'.',
    "train --batch-size 0": "--batch-size expects a number of rows, or \"full\". Received: '0'.",
    "train --learning-rate -1": "learning_rate expects a finite number above 0. Received: learning_rate=-1.0.",
    "train --momentum 0.9": "--momentum goes with --optimizer sgd or momentum. Received: adam.",
    "train --dropout 1": "rate expects a number in [0, 1). Received: rate=1.0.",
    "train --threads 0": "threads expects an integer of at least 1. Received: threads=0.",
    "train --seed -1": "seed expects an integer of at least 0. Received: seed=-1.",
    "train --label-smoothing 0.1 --loss huber": "--label-smoothing goes with --loss cross_entropy. Received: huber.",
    "train --validation most": '--validation expects "none", "test", a share in (0, 1), or a count below the '
    "10000 rows. Received: 'most'.",
    "train --validation 10000": '--validation expects "none", "test", a share in (0, 1), or a count below the '
    "10000 rows. Received: '10000'.",
    "train --validation nan": '--validation expects "none", "test", a share in (0, 1), or a count below the '
    "10000 rows. Received: 'nan'.",
    "train --early-stopping 3": "early_stopping expects validation=(x, y), since it watches validation_loss. "
    'Received: validation=None. Pass it, or EarlyStopping(monitor="loss").',
    "train --out missing/a.safetensors": "expected a path in an existing folder. "
    "Received: 'missing/a.safetensors'.",
    "train --data unlabelled.csv": "expected data with labelled training rows. Received: data='unlabelled.csv', "
    "which has none.",
    "train --data prices.csv": "expected labels below 1000. Received: 250000. Are these values to regress on? "
    "Then add --loss squared_error; or number the classes from 0.",
    "evaluate missing.safetensors": "missing.safetensors: No such file or directory",
    "evaluate {model} --data spiral": "expected x of shape (n, 784). Received: x.shape=(200, 2).",
    "evaluate {model} --split all": "split expects one of test, train. Received: split='all'.",
    "evaluate {model} --data unlabelled.csv": "expected data with labelled test or train rows. "
    "Received: data='unlabelled.csv', which has none.",
    "predict {model} missing.png": "missing.png: expected a file to predict. Received: no such file.",
    "predict {model} unlabelled.csv unlabelled.csv": "expected pictures, or one file of rows. "
    "Received: 2 files that are not all pictures.",
    "predict {model}": "Missing argument 'FILES...'.",
    "explain {model} --index 2000": "--index expects a row from 0 to 1999. Received: 2000.",
    "play": "No such command 'play'.",
}  # fmt: skip


@pytest.mark.parametrize("command", MISTAKES)
def test_a_mistake_is_one_line_and_exit_code_2(command, capsys, digits_model, tmp_path):
    (tmp_path / "unlabelled.csv").write_text("a,b\n1,2\n")
    (tmp_path / "prices.csv").write_text("label,rooms\n250000,3\n180000,2\n")
    before = sorted(tmp_path.iterdir())
    capsys.readouterr()
    assert main(command.format(model=digits_model).split()) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == f"mechanet: {MISTAKES[command]}\n"
    assert sorted(tmp_path.iterdir()) == before


def test_a_device_that_is_not_there_is_a_mistake_too(capsys):
    broken = [device for device in mn.devices() if not device.usable]
    if not broken:
        pytest.skip("all devices that mechanet knows are usable here")
    assert main([*SPIRAL, "--device", "cuda"]) == 2
    assert capsys.readouterr().err == f"mechanet: {' '.join(broken[0].problem.split())}\n"


def test_a_file_that_is_no_model(capsys, tmp_path):
    (tmp_path / "not.safetensors").write_bytes(b"no model")
    assert main(["evaluate", "not.safetensors"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("mechanet: not.safetensors cannot be read as a mechanet file: ")
    assert error.count("\n") == 1


def test_importing_the_library_loads_nothing_of_the_command_line():
    code = "import sys, mechanet; print([m for m in ('typer', 'rich', 'mechanet.cli') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=_environment())
    assert done.stdout == "[]\n"


# The original run


def test_the_original_recipe_is_the_network_this_project_began_from(run, tmp_path):
    """784-10-10, ReLU then softmax, all parameters in (-½, ½), full batch, α = 0.1, first 1,000 rows held out."""
    from mechanet.cli.recipes import RECIPES, network_of, training_of

    digits = mn.datasets.load("digits")
    recipe = RECIPES["original"]
    net = network_of(recipe, digits, "float64", "cpu", seed=0)
    assert [type(layer).__name__ for layer in net.layers] == ["Scale", "Dense", "ReLU", "Dense"]
    assert [layer.output_shape for layer in net.layers] == [(784,), (10,), (10,), (10,)]
    assert net.layers[0].factor == 1 / 255
    assert net.loss.name == "cross_entropy"
    for layer in (net.layers[1], net.layers[3]):
        for view in (layer.W, layer.b):
            assert -0.5 <= view.min() < -0.3 < 0.3 < view.max() < 0.5
    training = training_of(recipe, net, digits, seed=0)
    assert (recipe.epochs, training.optimizer, len(training.batches)) == (5000, mn.SGD(0.1), 1)
    np.testing.assert_array_equal(training.batches.X, digits.train.x[1000:])
    np.testing.assert_array_equal(training.validation.X, digits.train.x[:1000])
    assert net.layers[0].factor == 1 / 255
    assert [training.schedule(progress) for progress in (0.0, 0.5, 1.0)] == [1.0, 1.0, 1.0]

    printed = run("train", "--recipe", "original", "--epochs", 20, "--json", "--no-plot")
    report = json.loads(printed.out)
    assert [report["recipe"][name] for name in ("layers", "epochs")] == ["10", 20]
    losses = [epoch["validation_loss"] for epoch in report["epochs"]]
    assert losses[-1] < losses[0]


class PostDense(mn.Dense):
    """The post's dense layer: its bias gradient is one number for the whole layer, summed over all units."""

    def backward(self, dZ, cache, input_gradient=True):
        dX = super().backward(dZ, cache, input_gradient)
        self.db[...] = dZ.sum()
        return dX


def test_the_posts_bias_gradient_fails_the_gradient_check_and_ours_passes(rng):
    x, y = rng.random((12, 6)), rng.integers(0, 4, 12)
    for dense, right in ((mn.Dense, True), (PostDense, False)):
        layers = [dense(5, "uniform", "uniform"), mn.ReLU(), dense(4, "uniform", "uniform")]
        net = mn.Network(layers, input_shape=(6,), dtype="float64", seed=2)
        report = mn.check_gradients(net, x, y)
        assert bool(report) is right
        wrong = {check.name for check in report.checks if not check.passed}
        assert all(right or name in wrong for name in ("layers.0.b", "layers.2.b")), report
        assert not any(name.endswith(".W") for name in wrong)
