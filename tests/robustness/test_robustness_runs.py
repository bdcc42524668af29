"""Long runs, many threads, other processes: the same results, and no growth."""

import concurrent.futures
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import mechanet as mn

JOBS = Path(__file__).parents[1] / "jobs"


def network(width=64):
    layers = [mn.Dense(width), mn.ReLU(), mn.Dropout(0.5), mn.Dense(10)]
    return mn.Network(layers, (20,), seed=1)


def rows(count=40, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 20)).astype("float32")


def test_eight_threads_predict_what_one_predicts():
    net = network()
    batches = [rows(1 + 37 * number, number) for number in range(64)]
    want = [net.predict_proba(x) for x in batches]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            for got, expected in zip(pool.map(net.predict_proba, batches), want, strict=True):
                assert got.tobytes() == expected.tobytes()


def test_predictions_during_a_training_step_leave_it_alone():
    def trained(on_step=None):
        run = mn.Training(network(), rows(), np.arange(40) % 10, batch_size=8, seed=3)
        list(run.epochs(3, on_step))
        return run.network.parameters.tobytes()

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        watched = trained(lambda run: pool.submit(run.network.predict_proba, rows(300)))
    assert watched == trained()


def probabilities(net, x):
    return net.predict_proba(x)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_predict_what_their_parent_predicts(method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system has no {method}")
    script = f"""
import multiprocessing
import sys
import numpy as np
sys.path[:0] = {sys.path!r}
import test_robustness_runs as runs
if __name__ == "__main__":
    net, x = runs.network(), runs.rows()
    want = net.predict_proba(x)
    with multiprocessing.get_context("{method}").Pool(2) as pool:
        for got in pool.starmap(runs.probabilities, [(net, x)] * 4):
            assert got.tobytes() == want.tobytes()
    print("same")
"""
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert process.stdout == "same\n", process.stderr


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="resident memory is read from /proc")
def test_memory_does_not_grow_with_the_epochs():
    process = subprocess.run(
        [sys.executable, str(JOBS / "growth.py"), "--epochs", "2000"],
        capture_output=True,
        text=True,
        timeout=200,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.returncode == 0, process.stdout + process.stderr
