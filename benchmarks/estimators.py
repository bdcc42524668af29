"""Our scikit-learn estimators beside scikit-learn's own, in turn, on one BLAS thread.

    python -m benchmarks.estimators time --mnist FOLDER   # fit time: MNIST, 128 hidden, batch 128, adam
    python -m benchmarks.estimators scores                # ten seeds on five sets of data: mean scores

Both get the same rows, parameters and `random_state`. `time` takes the processor time of each fit, ours and theirs
alternating, and reports the median of the ratios of neighbours: what else runs on the machine meets both alike.
The fastest of each tells what a quiet machine would show, for a busy one takes the caches from both.
"""

import os

from . import let_go

let_go()
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse  # noqa: E402
import platform  # noqa: E402
import statistics  # noqa: E402
import time  # noqa: E402
import warnings  # noqa: E402

import numpy as np  # noqa: E402
import sklearn  # noqa: E402
from sklearn import datasets, neural_network  # noqa: E402
from sklearn.model_selection import train_test_split  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from threadpoolctl import threadpool_info  # noqa: E402

import mechanet  # noqa: E402
from mechanet import estimators  # noqa: E402

from .data import mnist  # noqa: E402


def conditions() -> str:
    """The versions and thread counts that figures hold for."""
    pools = ", ".join(
        f"{pool['internal_api']} {pool.get('architecture', '')} {pool['num_threads']} thread(s)"
        for pool in threadpool_info()
    )
    return (
        f"mechanet {mechanet.__version__}, scikit-learn {sklearn.__version__}, NumPy {np.__version__}, "
        f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores; {pools}"
    )


def digits(folder: str | None, rows: int) -> tuple[np.ndarray, np.ndarray, str]:
    """Images (rows, 784) float32 in [0, 1] and labels; MNIST where a folder is given, else the bundled digits."""
    if folder is not None:
        x, y = mnist(folder)
        source = "MNIST"
    else:
        bundled = mechanet.datasets.load("digits").train
        repeats = -(-rows // len(bundled.y))
        x, y = np.tile(bundled.x, (repeats, 1)), np.tile(bundled.y, repeats)
        source = "the bundled digits, repeated"
    return x[:rows].astype("float32") / 255, y[:rows], source


def compare_times(folder: str | None, rows: int, epochs: int, pairs: int) -> None:
    x, y, source = digits(folder, rows)
    options = {"hidden_layer_sizes": (128,), "batch_size": 128, "max_iter": epochs, "random_state": 0}
    kinds = {"mechanet": estimators.MLPClassifier, "scikit-learn": neural_network.MLPClassifier}
    losses = {name: kind(**options | {"max_iter": 1}).fit(x, y).loss_ for name, kind in kinds.items()}  # warm-up
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    for pair in range(pairs):
        for name in list(kinds) if pair % 2 else reversed(kinds):
            started = time.process_time()
            kinds[name](**options).fit(x, y)
            seconds[name].append(time.process_time() - started)
    ratios = [a / b for a, b in zip(*seconds.values(), strict=True)]
    print(f"{rows} x 784 float32 ({source}), 128 hidden, batch 128, adam, {epochs} epochs, {pairs} pairs")
    for name, taken in seconds.items():
        each = statistics.median(taken) / epochs
        fastest = min(taken) / epochs
        print(f"  {name:13} {each:.3f} s an epoch (fastest {fastest:.3f}), loss after one: {losses[name]:.6f}")
    fastest = min(seconds["mechanet"]) / min(seconds["scikit-learn"])
    print(
        f"  ratio         {statistics.median(ratios):.3f} (from {min(ratios):.3f} to {max(ratios):.3f}), "
        f"of the fastest {fastest:.3f}"
    )


def sets(seed: int):
    """Five sets of data: name, estimator, X, y, options."""
    yield "digits", "MLPClassifier", *datasets.load_digits(return_X_y=True), {"max_iter": 60}
    yield "breast cancer", "MLPClassifier", *datasets.load_breast_cancer(return_X_y=True), {}
    yield "wine", "MLPClassifier", *datasets.load_wine(return_X_y=True), {}
    yield "diabetes", "MLPRegressor", *datasets.load_diabetes(return_X_y=True), {"max_iter": 500}
    made = datasets.make_classification(20_000, 20, n_informative=10, n_classes=4, random_state=seed)
    yield "20,000 synthetic", "MLPClassifier", *made, {"max_iter": 15}


def compare_scores(seeds: int) -> None:
    found: dict[str, list[tuple[float, float]]] = {}
    for seed in range(seeds):
        for name, kind, x, y, options in sets(seed):
            x_train, x_test, y_train, y_test = train_test_split(x, y, random_state=seed)
            scaler = StandardScaler().fit(x_train)
            pair = []
            for module in (estimators, neural_network):
                model = getattr(module, kind)(random_state=seed, **options)
                model.fit(scaler.transform(x_train), y_train)
                pair.append(100 * model.score(scaler.transform(x_test), y_test))
            found.setdefault(name, []).append((pair[0], pair[1]))
    print(f"{seeds} seeds, mean score on a held-out quarter (accuracy or R², in points)")
    print(f"  {'':18} {'mechanet':>9} {'scikit-learn':>13} {'difference':>11} {'largest of a seed':>18}")
    for name, pairs in found.items():
        ours, theirs = np.mean(pairs, axis=0)
        largest = max(abs(a - b) for a, b in pairs)
        print(f"  {name:18} {ours:9.3f} {theirs:13.3f} {ours - theirs:+11.3f} {largest:18.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.estimators", description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["time", "scores"])
    parser.add_argument("--mnist", metavar="FOLDER", help="MNIST's IDX files; without it the bundled digits")
    parser.add_argument("--rows", type=int, default=41_000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # of epochs that end before the loss has settled: wanted here
    print(conditions())
    if options.what == "time":
        compare_times(options.mnist, options.rows, options.epochs, options.pairs)
    else:
        compare_scores(options.seeds)


if __name__ == "__main__":
    main()
