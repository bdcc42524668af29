"""The same losses and parameters as another checkout, bit for bit: nets without dropout, with and without loops.

    python tests/jobs/same_numbers.py OTHER [--data FOLDER] [--epochs 10] [--only TEXT]

OTHER is the root of a checkout; its loops have to be compiled if this tree's are. Each tree trains in a process
of its own, through the public API alone: MNIST from FOLDER (the bundled digits without it), then short trainings
with every optimizer, activation, loss, schedule, initializer and way to hand over rows, and the estimators.
Compared are the figures of all epochs, θ at the end and predictions. It prints what differs, and how many jobs
do; exit status 1 if there are any, or if a job could not run. --only takes the jobs whose name holds a text.
"""

import argparse
import functools
import os
import subprocess
import sys
import tempfile
import traceback
import warnings
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parents[2]
FIGURES = ("loss", "accuracy", "validation_loss", "validation_accuracy")
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


# --- in a process of its own: the jobs of one tree --------------------------------------------------------------


def numbers(history, net, x) -> dict:
    """What is compared of a training: the figures of its epochs, θ, predictions."""
    figures = [[getattr(epoch, name) for name in FIGURES] for epoch in history]
    return {
        "figures of epochs": np.array(figures, dtype="float64"),
        "theta": np.array(net.parameters),
        "predictions": net.predict_proba(x[:200]),
    }


def train(
    x, y, hidden=None, outputs=10, loss="cross_entropy", dtype="float32", seed=0, epochs=3, first=(), **options
):
    """Train a chain and return its numbers; `hidden` are layers, `options` are for `Training`."""
    import mechanet as mn

    shape = np.asarray(x[0][0] if y is None else x).shape[1:]
    if hidden is None:
        hidden = [mn.Dense(128), mn.ReLU(), mn.Dense(16), mn.ReLU()]
    net = mn.Network([*first, *hidden, mn.Dense(outputs)], shape, loss, dtype, seed=seed)
    training = mn.Training(net, x, y, **{"batch_size": 32, "seed": seed, **options})
    return numbers(list(training.epochs(epochs)), net, x[0][0] if y is None else x)


def resumed(x, y):
    """Two epochs, a state in a file, two more, and the network in a file."""
    import mechanet as mn

    net = mn.Network([mn.Scale(1 / 255), mn.Dense(32), mn.ReLU(), mn.Dense(10)], (784,), seed=0)
    training = mn.Training(net, x, y, optimizer=mn.SGD(0.1, momentum=0.9), batch_size=32, schedule="cosine")
    with tempfile.TemporaryDirectory() as folder:
        training.save(f"{folder}/start")
        list(training.epochs(2))
        training.save(f"{folder}/state")
        training = mn.Training.resume(f"{folder}/state", x, y)
        list(training.epochs(2))
        training.network.save(f"{folder}/net.safetensors")
        return numbers(training.history, mn.Network.load(f"{folder}/net.safetensors"), x)


def fitted(x, y):
    """`fit`, which is a training to its end."""
    import mechanet as mn

    net = mn.Network([mn.Scale(1 / 255), mn.Dense(32), mn.Tanh(), mn.Dense(10)], (784,), seed=0)
    return numbers(mn.fit(net, x, y, epochs=3, validation=(x[:100], y[:100]), progress=False), net, x)


@functools.cache
def bundled(name: str) -> tuple:
    """Rows and targets of a set that scikit-learn brings along, small enough to train on as they are."""
    from sklearn import datasets

    if name == "labels":  # several yes-or-no labels a row
        x, y = bundled("iris")
        return x, np.eye(3, dtype=int)[y]
    if name == "counts":
        x, y = bundled("diabetes")
        return x, y // 0.3
    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    return x / x.max(axis=0), y / 100 if name == "diabetes" else y


def estimated(kind, data, calls=("fit",), fit_options=None, **parameters):
    """Fit an estimator of ours, once or more, and return its numbers."""
    from mechanet import estimators

    x, y = bundled(data)
    estimator = getattr(estimators, kind)(**{"random_state": 0, "max_iter": 20, **parameters})
    for call in calls:
        more = {"classes": np.unique(y)} if call == "partial_fit" and kind == "MLPClassifier" else {}
        getattr(estimator, call)(x, y, **(fit_options or {}), **more)
    predict = estimator.predict_proba if kind == "MLPClassifier" else estimator.predict
    return {
        "loss curve": np.array(getattr(estimator, "loss_curve_", [])),
        "validation scores": np.array(getattr(estimator, "validation_scores_", None) or []),
        "loss": np.array(estimator.loss_),
        "theta": np.concatenate([np.ravel(part) for part in (*estimator.coefs_, *estimator.intercepts_)]),
        "predictions": np.array(predict(x)),
    }


def on_mnist(data, epochs: int) -> dict:
    """The job of the docs: ten epochs of 784-128-10 in float32; and the original run's full batch."""
    import mechanet as mn

    x, y = data.train.x, data.train.y
    held = (data.test.x, data.test.y)
    job = partial(train, x, y, first=[mn.Scale(1 / 255)], hidden=[mn.Dense(128), mn.ReLU()], epochs=epochs)
    uniform = {"initializer": "uniform", "bias_initializer": "uniform"}
    original = [mn.Dense(10, **uniform), mn.ReLU()]
    return {
        "MNIST, sgd": partial(job, batch_size=128, optimizer="sgd"),
        "MNIST, adam": partial(job, batch_size=128, optimizer="adam", validation=held),
        "MNIST, as the command line": partial(job, batch_size=128, optimizer=mn.Adam(3e-3), schedule="cosine"),
        "MNIST, original": partial(job, hidden=original, batch_size=None, optimizer="sgd"),
        "MNIST, original, float64": partial(
            job, hidden=original, batch_size=None, optimizer="sgd", dtype="float64"
        ),
    }


def numbered(kind: str, values: list) -> list[tuple]:
    """Pairs of a name and a value; a name that does not depend on how a tree prints the value."""
    names = (value if isinstance(value, str) else type(value).__name__ for value in values)
    return [(f"{kind} {i}, {name}", value) for i, (name, value) in enumerate(zip(names, values, strict=True))]


def of_kinds(digits, dtype: str) -> dict:
    """Every optimizer, activation, loss, schedule and initializer, a few epochs each."""
    import mechanet as mn

    x, y = digits.train.x[:500], digits.train.y[:500]
    onehot = np.eye(10)[y]
    rng = np.random.default_rng(0)
    job = partial(train, x, y, first=[mn.Scale(1 / 255)], dtype=dtype)
    jobs = {}

    optimizers = [
        mn.SGD(0.1), mn.SGD(0.1, momentum=0.9), mn.SGD(0.1, momentum=0.9, nesterov=True), mn.Momentum(0.1),
        mn.Momentum(0.1, nesterov=False), mn.RMSProp(), mn.Adam(3e-3, beta1=0.8, beta2=0.99), mn.AdamHat(),
        mn.AdamW(),
    ]  # fmt: skip
    optimizers += ["sgd", "momentum", "rmsprop", "adam", "adam_hat", "adamw"]
    for name, optimizer in numbered("optimizer", optimizers):
        jobs[name] = partial(job, optimizer=optimizer)
        jobs[f"{name}, clipped"] = partial(job, optimizer=optimizer, gradient_clip=0.5)
        if not isinstance(optimizer, str):
            decaying = replace(optimizer, weight_decay=0.03)
            jobs[f"{name}, decay"] = partial(job, optimizer=decaying)
            jobs[f"{name}, decay, clipped"] = partial(job, optimizer=decaying, gradient_clip=0.5)

    activations = [
        mn.ReLU(), mn.LeakyReLU(), mn.LeakyReLU(0.2), mn.ELU(), mn.ELU(0.5), mn.GELU(), mn.SiLU(), mn.Sigmoid(),
        mn.Tanh(), mn.Softplus(), mn.Activation(lambda xp, Z: Z * Z, lambda xp, dA, Z, A: 2.0 * dA * Z),
    ]  # fmt: skip
    for name, activation in numbered("activation", activations):
        jobs[name] = partial(job, hidden=[mn.Dense(64), activation, mn.Dense(16), activation])
        jobs[f"{name}, full batch"] = partial(job, hidden=[mn.Dense(64), activation], batch_size=None)

    smooth = 0.9 * onehot + 0.01
    losses = {
        "cross_entropy": (mn.CrossEntropy(), y, 10),
        "cross_entropy, one-hot": (mn.CrossEntropy(), onehot, 10),
        "cross_entropy, probabilities": (mn.CrossEntropy(), smooth / smooth.sum(axis=1, keepdims=True), 10),
        "cross_entropy, smoothed": (mn.CrossEntropy(label_smoothing=0.1), y, 10),
        "cross_entropy, weighted": (mn.CrossEntropy(class_weight=[1, 2, 1, 1, 0.5, 1, 1, 0, 1, 3]), y, 10),
        "cross_entropy, smoothed, some weighted": (mn.CrossEntropy(0.1, {3: 2.0, 7: 0.5}), y, 10),
        "cross_entropy, two classes": ("cross_entropy", y % 2, 2),
        "binary_cross_entropy": ("binary_cross_entropy", y % 2, 1),
        "binary_cross_entropy, ten outputs": ("binary_cross_entropy", onehot, 10),
        "binary_cross_entropy, weighted": (mn.BinaryCrossEntropy(class_weight=[1.0, 3.0]), y % 2, 1),
        "squared_error": ("squared_error", y / 9, 1),
        "squared_error, ten outputs": ("squared_error", onehot, 10),
        "huber": ("huber", y, 1),
        "huber, 0.3, ten outputs": (mn.Huber(0.3), 3 * onehot, 10),
        "poisson": ("poisson", y, 1),
        "poisson, ten outputs": (mn.Poisson(), onehot, 10),
    }
    weights = rng.random(500) * (rng.random(500) > 0.1)
    for name, (loss, targets, outputs) in losses.items():
        of_loss = partial(train, x, targets, first=[mn.Scale(1 / 255)], loss=loss, outputs=outputs, dtype=dtype)
        held = (x[:100], targets[:100], weights[:100])
        jobs[name] = of_loss
        jobs[f"{name}, weights"] = partial(of_loss, sample_weight=weights, validation=held, optimizer=mn.SGD(0.01))
        jobs[f"{name}, full batch, weights"] = partial(of_loss, sample_weight=weights, batch_size=None)
        jobs[f"{name}, full batch"] = partial(of_loss, batch_size=None, optimizer=mn.SGD(0.05, momentum=0.9))

    schedules = mn.schedules
    for name, schedule in numbered("schedule", [
        "constant", "step", "exponential", "cosine", "warm_up", "one_cycle", schedules.Step(4, 0.5),
        schedules.Exponential(0.1), schedules.Cosine(0.05), schedules.WarmUp(0.3, schedules.Cosine(), 0.1),
        schedules.OneCycle(0.4, 10.0, 0.01),
    ]):  # fmt: skip
        jobs[name] = partial(job, schedule=schedule)
        jobs[f"{name}, momentum"] = partial(job, schedule=schedule, optimizer=mn.Momentum(0.05))

    for name in ("he_normal", "he_uniform", "glorot_normal", "glorot_uniform", "lecun_normal", "lecun_uniform",
                 "uniform", "zeros"):  # fmt: skip
        hidden = [mn.Dense(32, initializer=name, bias_initializer="uniform"), mn.Tanh()]
        jobs[name] = partial(job, hidden=hidden, seed=3)

    stopping = {"optimizer": mn.SGD(0.5), "validation": (x[:100], y[:100]), "epochs": 12}
    jobs["early stopping"] = partial(job, early_stopping=2, **stopping)
    keep = mn.EarlyStopping(3, monitor="validation_accuracy", restore_best=False)
    jobs["early stopping, by accuracy, last kept"] = partial(job, early_stopping=keep, **stopping)
    return {f"{name}, {dtype}": call for name, call in jobs.items()}


def of_rows(digits, dtype: str) -> dict:
    """Every way to hand over rows, batches of many sizes, and nets of many shapes."""
    import mechanet as mn

    x, y = digits.train.x[:500], digits.train.y[:500]
    scaled, rng = x / 255, np.random.default_rng(1)
    job = partial(train, dtype=dtype)
    bytes_ = partial(job, first=[mn.Scale(1 / 255)])
    batches = [(scaled[first : first + 60], y[first : first + 60]) for first in range(0, 500, 60)]
    weighted = [(*batch, np.arange(1.0, 1.0 + len(batch[1]))) for batch in batches]
    table = rng.normal(size=(2000, 20))
    regression = np.sin(table[:, 0]) + table[:, 1] * table[:, 2]
    deep = [layer for _ in range(8) for layer in (mn.Dense(24), mn.Tanh())]
    jobs = {
        "float64 rows": partial(job, scaled, y),
        "float32 rows": partial(job, scaled.astype("float32"), y),
        "rows of Fortran's order": partial(job, np.asfortranarray(scaled), y),
        "every second row and column": partial(job, scaled[::2, ::2], y[::2]),
        "lists": partial(job, scaled[:60, 300:400].tolist(), y[:60].tolist()),
        "booleans": partial(job, x > 128, y),
        "int64 rows": partial(bytes_, x.astype("int64"), y),
        "a list of batches": partial(job, batches, None),
        "a list of batches with weights": partial(job, weighted, None, optimizer=mn.SGD(0.1), gradient_clip=1.0),
        "batches of 1": partial(bytes_, x[:40], y[:40], batch_size=1),
        "batches of 7, unshuffled": partial(bytes_, x, y, batch_size=7, shuffle=False),
        "batches of 499": partial(bytes_, x, y, batch_size=499),
        "batches of 500": partial(bytes_, x, y, batch_size=500, seed=5),
        "no hidden layer": partial(bytes_, x, y, hidden=[]),
        "linear layers": partial(bytes_, x, y, hidden=[mn.Dense(12), mn.Dense(8), mn.Scale(2.0)]),
        "deep": partial(bytes_, x, y, hidden=deep),
        "wide": partial(bytes_, x, y, hidden=[mn.Dense(512), mn.ReLU(), mn.Dense(512), mn.ReLU()], batch_size=128),
        "images, flattened": partial(job, scaled.reshape(-1, 28, 28), y, first=[mn.Flatten()]),
        "reshaped": partial(bytes_, x, y, hidden=[mn.Reshape((28, 28)), mn.Flatten(), mn.Dense(16), mn.Sigmoid()]),
        "a table": partial(job, table, regression, loss="squared_error", outputs=1, batch_size=256,
                           hidden=[mn.Dense(64), mn.ReLU(), mn.Dense(64), mn.ReLU()]),
    }  # fmt: skip
    many, labels = digits.train.x, digits.train.y  # more than a block
    for threads in ("auto", None, 1, 2):
        jobs[f"full batch in blocks, threads={threads}"] = partial(
            bytes_, many, labels, batch_size=None, threads=threads, optimizer=mn.SGD(0.3)
        )
    rare = rng.random(len(labels))
    jobs["full batch in blocks, weights, clipped"] = partial(
        bytes_, many, labels, batch_size=None, sample_weight=rare, gradient_clip=0.1, optimizer=mn.SGD(0.3)
    )
    jobs["full batch in blocks, floats"] = partial(job, many / 255, labels, batch_size=None, optimizer="sgd")
    return {f"{name}, {dtype}": call for name, call in jobs.items()}


def of_estimators() -> dict:
    """Our estimators on the sets that scikit-learn brings along."""
    weights = np.random.default_rng(2).random(150)
    settings = {
        "lbfgs": {"solver": "lbfgs", "max_iter": 60},
        "adam": {"solver": "adam"},
        "sgd": {"solver": "sgd", "learning_rate_init": 0.05},
        "sgd, invscaling, no momentum": {"solver": "sgd", "learning_rate": "invscaling", "momentum": 0.0},
        "sgd, adaptive, plain momentum": {
            "solver": "sgd",
            "learning_rate": "adaptive",
            "nesterovs_momentum": False,
        },
        "adam, cosine, clipped": {"learning_rate": "cosine", "gradient_clip": 0.1},
        "adam, early stopping": {"early_stopping": True, "n_iter_no_change": 3},
        "adam, batches of 7, unshuffled": {"batch_size": 7, "shuffle": False, "alpha": 0.1},
        "adam, float32": {"dtype": "float32"},
        "lbfgs, float32": {"solver": "lbfgs", "dtype": "float32"},
    }
    jobs = {}
    for name, parameters in settings.items():
        for kind, data in (
            ("MLPClassifier", "iris"), ("MLPClassifier", "breast_cancer"), ("MLPClassifier", "labels"),
            ("MLPRegressor", "diabetes"),
        ):  # fmt: skip
            jobs[f"{kind}, {name}, {data}"] = partial(estimated, kind, data, **parameters)
    for activation in ("identity", "logistic", "tanh", "leaky_relu", "elu", "gelu", "silu", "softplus"):
        for solver in ("lbfgs", "adam"):
            jobs[f"MLPClassifier, {activation}, {solver}"] = partial(
                estimated, "MLPClassifier", "iris", activation=activation, solver=solver, hidden_layer_sizes=(9, 5)
            )
    for loss in ("squared_error", "poisson", "huber"):
        for solver in ("lbfgs", "sgd", "adam"):
            jobs[f"MLPRegressor, {loss}, {solver}"] = partial(
                estimated, "MLPRegressor", "counts", loss=loss, solver=solver
            )
    classifier = partial(estimated, "MLPClassifier", "iris")
    for solver in ("lbfgs", "sgd", "adam"):
        weighted = partial(classifier, solver=solver, fit_options={"sample_weight": weights})
        jobs[f"MLPClassifier, {solver}, weights"] = weighted
        jobs[f"MLPClassifier, {solver}, class weights"] = partial(weighted, class_weight={0: 2.0, 2: 0.5})
        jobs[f"MLPClassifier, {solver}, smoothed"] = partial(classifier, solver=solver, label_smoothing=0.1)
        jobs[f"MLPClassifier, {solver}, warm"] = partial(
            classifier, calls=("fit", "fit"), solver=solver, warm_start=True
        )
    jobs["MLPClassifier, partial_fit"] = partial(classifier, calls=("partial_fit",) * 3)
    jobs["MLPRegressor, partial_fit"] = partial(estimated, "MLPRegressor", "diabetes", calls=("partial_fit",) * 3)
    return jobs


def run(arguments) -> None:
    """Run the jobs in the tree that PYTHONPATH names, and write what they found."""
    import mechanet as mn
    from mechanet.backend import cpu_loops

    if arguments.without_loops:
        cpu_loops.LOOPS.clear()
    digits = mn.datasets.load("digits")
    jobs = on_mnist(mn.datasets.load(arguments.data) if arguments.data else digits, arguments.epochs)
    for dtype in ("float32", "float64"):
        jobs |= of_kinds(digits, dtype) | of_rows(digits, dtype)
    jobs |= {
        "resumed": partial(resumed, digits.train.x[:500], digits.train.y[:500]),
        "fitted": partial(fitted, digits.train.x[:500], digits.train.y[:500]),
    }
    found = {"tree": np.array([mn.__file__, mn.devices()[0].description])}
    if find_spec("sklearn"):
        jobs |= of_estimators()
    else:
        found["left out"] = np.array("the estimators, since scikit-learn is not installed")
    warnings.simplefilter("ignore")  # few iterations are meant
    for name, job in jobs.items():
        if arguments.only in name:
            try:
                found |= {f"{name} | {part}": value for part, value in job().items()}
            except Exception:
                found[f"{name} | raised"] = np.array(traceback.format_exc())
    np.savez(arguments.into, **found)


# --- beside: two processes, and what differs --------------------------------------------------------------------


def both(trees: list[Path], arguments, options: list[str]) -> list[dict]:
    """What the jobs give in each of two trees; the two work at the same time."""
    with tempfile.TemporaryDirectory() as folder:
        files = [f"{folder}/this.npz", f"{folder}/other.npz"]
        passed = ["--epochs", str(arguments.epochs), "--only", arguments.only, *options]
        passed += ["--data", str(Path(arguments.data).resolve())] if arguments.data else []
        processes = [
            subprocess.Popen(
                [sys.executable, __file__, str(tree), "--into", file, *passed],
                env=os.environ | ONE_THREAD | {"PYTHONPATH": str(tree / "src")},
            )
            for tree, file in zip(trees, files, strict=True)
        ]
        codes = [process.wait() for process in processes]
        if any(codes):
            raise SystemExit("A process of the jobs failed; see above.")
        return [dict(np.load(file)) for file in files]


def apart(one: np.ndarray, two: np.ndarray) -> str | None:
    """How two arrays differ, or None where they are the same bit for bit."""
    if (one.dtype, one.shape) != (two.dtype, two.shape):
        return f"{one.dtype} {one.shape} and {two.dtype} {two.shape}"
    if one.tobytes() == two.tobytes():
        return None
    rows = np.flatnonzero((one != two) & ~((one != one) & (two != two)))
    largest = np.abs(one - two).max(initial=0, where=np.isfinite(one - two))
    return f"{len(rows)} of {one.size} numbers, the first at {rows[:1]}, by {largest:.1e} at most"


def compare(this: dict, other: dict) -> list[str]:
    """One line for every job whose numbers differ, or that could not run."""
    lines = {}
    for key in [*this, *(key for key in other if key not in this)]:
        name, _, part = key.partition(" | ")
        if part == "raised":
            error = str(this.get(key, other.get(key))).strip().splitlines()[-1]
            where = "both" if key in this and key in other else "this tree" if key in this else "the other"
            lines[name] = f"{name}: raised in {where}: {error}"
        elif key in this and key in other:
            if part and (difference := apart(this[key], other[key])):
                lines.setdefault(name, f"{name}: {part}: {difference}")
        else:
            lines.setdefault(
                name, f"{name}: {part or 'the jobs'} only in {'this' if key in this else 'the other'}"
            )
    return list(lines.values())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("other", type=Path)
    parser.add_argument("--data", help="folder of MNIST; the bundled digits without it")
    parser.add_argument("--epochs", type=int, default=10, help="on MNIST")
    parser.add_argument("--only", default="", help="the jobs whose name holds this text")
    parser.add_argument("--into", help=argparse.SUPPRESS)
    parser.add_argument("--without-loops", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.into:
        run(arguments)
        return 0
    trees = [HERE, arguments.other.resolve()]
    count = 0
    for words, options in (("as built", []), ("without compiled loops", ["--without-loops"])):
        this, other = both(trees, arguments, options)
        for tree, found in zip(trees, (this, other), strict=True):
            package, device = found["tree"]
            assert Path(package).is_relative_to(tree), f"{package} is not of {tree}"
            print(f"{package}: {device}")
        if "left out" in this:
            print(f"left out: {this['left out']}")
        differing = compare(this, other)
        jobs = {key.partition(" | ")[0] for key in this if " | " in key}
        print(*differing, f"{words}: {len(jobs)} jobs, {len(differing)} of them differ", sep="\n", flush=True)
        count += len(differing)
        if not jobs:
            print("no job was run")
            count += 1
    print(f"{count} differences")
    return int(count > 0)


if __name__ == "__main__":
    sys.exit(main())
