"""The benchmark compares like with like: every peer computes the same training, and the sums are right."""

import gc
import os
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest

import benchmarks
from benchmarks import against, data, memory, report, rounds
from benchmarks.cases import CASES, Case, quick
from benchmarks.peers import PEERS, floor, own

FULL_BATCH = [
    Case("sgd", "", (20, 16, 10), 300, batch=None, optimizer="sgd", learning_rate=0.1),
    Case("adam", "", (20, 16, 8, 10), 300, batch=None),
    Case("regression", "", (20, 16, 1), 300, batch=None),
]


def test_what_holds_blas_back_is_set_aside_and_said(monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setenv("OPENBLAS_L2_SIZE", "512")
    given = rounds.variables(1)
    assert "OPENBLAS_CORETYPE" not in given
    assert "OPENBLAS_L2_SIZE" not in given
    assert given["OPENBLAS_NUM_THREADS"] == "1"
    assert report.machine()["set aside: OPENBLAS_CORETYPE"] == "Haswell"
    benchmarks.let_go()
    assert "OPENBLAS_CORETYPE" not in os.environ


def peer_named(name):
    return next(peer for peer in PEERS if peer.name == name)


def trained(name, case, epochs=5):
    peer = peer_named(name)
    if reason := peer.missing():
        pytest.skip(reason)
    X, Y, _ = data.load(case, None)
    model = peer.load().Model(case, X, Y, data.starting_weights(case), peer.device)
    for _ in range(epochs):
        model.epoch()
    return model, X


@pytest.mark.parametrize("case", FULL_BATCH, ids=lambda case: case.name)
@pytest.mark.parametrize("name", ["pytorch", "sklearn", "jax"])
def test_every_peer_computes_the_same_training(name, case):
    own, _ = trained("mechanet", case)
    other, _ = trained(name, case)
    for ours, theirs in zip(own.weights(), other.weights(), strict=True):
        for mine, yours in zip(ours, theirs, strict=True):
            difference = np.abs(mine - yours)
            if name == "sklearn" and case.optimizer == "adam":
                # It adds ε to the root before its correction, which shows where a gradient is nearly zero.
                assert difference.mean() < 1e-4
            else:
                assert difference.max() < 1e-6


@pytest.mark.parametrize("name", ["mechanet", "pytorch", "sklearn", "jax"])
def test_every_peer_learns_in_batches_with_a_short_last_one(name):
    case = Case("", "", (20, 64, 10), 1_000, batch=96, learning_rate=3e-3)
    model, X = trained(name, case, epochs=20)
    _, Y, _ = data.load(case, None)
    assert (model.predict(X) == Y).mean() > 0.85  # chance is 0.1


def test_the_post_trains_with_its_own_bias_gradient():
    post, _ = trained("post", FULL_BATCH[0], epochs=1)
    own, _ = trained("mechanet", FULL_BATCH[0], epochs=1)
    (W1, b1), (W2, b2) = post.weights()
    (W1_own, b1_own), (W2_own, b2_own) = own.weights()
    np.testing.assert_allclose(W1, W1_own, atol=1e-6)
    np.testing.assert_allclose(W2, W2_own, atol=1e-6)
    # One sum for the layer: each of its biases moves by the sum of what ours move by.
    np.testing.assert_allclose(b1, np.full(16, b1_own.sum()), atol=1e-6)
    np.testing.assert_allclose(b2, np.full(10, b2_own.sum()), atol=1e-6)


def test_the_floor_makes_the_products_of_an_epoch_and_no_others(monkeypatch):
    made, matmul = [], np.matmul

    def counted(A, B, out):
        made.append((*A.shape, B.shape[1]))
        return matmul(A, B, out=out)

    case = Case("", "", (20, 16, 10), 200, batch=128)
    X, Y, _ = data.load(case, None)
    model = floor.Model(case, X, Y, data.starting_weights(case))
    monkeypatch.setattr(np, "matmul", counted)
    model.epoch()
    step = [(128, 20, 16), (128, 16, 10), (16, 128, 10), (128, 10, 16), (20, 128, 16)]
    last = [tuple(72 if size == 128 else size for size in product) for product in step]
    assert made == step + last


def test_workers_take_turns_and_say_what_they_ran_on():
    case = quick(next(case for case in CASES if case.name == "full-batch"))
    peers = [peer_named("mechanet"), peer_named("floor"), peer_named("post")]
    results = list(rounds.run([case], peers, rounds=2, threads=1, data=None))
    assert [result.peer.name for result in results] == ["mechanet", "floor", "post"]
    for result in results:
        assert len(result.rounds) == 2
        assert all(seconds["wall"] > 0 for seconds in result.rounds)
        assert set(result.environment["threads"].values()) == {1}
        if hasattr(os, "sched_getaffinity"):
            assert len(result.environment["cores"]) == 1


def test_another_tree_is_run_in_turn_with_this_one(tmp_path):
    shutil.copytree(rounds.ROOT / "src", tmp_path / "src")
    sources = [rounds.ROOT / "src", tmp_path / "src"]
    case = quick(against.CASE["original"])
    results = against.beside(case, peer_named("mechanet"), sources, rounds=1, threads=1, data=None)
    for result, source in zip(results, sources, strict=True):
        assert result.environment["described"].startswith(f"{source / 'mechanet'}: NumPy")
        assert len(result.rounds) == against.BLOCKS
    assert against.cells("original", case, results)[0] == "original: 784-10-10, batch of all, sgd"


def test_bytes_are_scaled_by_the_network():
    case = Case("", "", (20, 16, 10), 300, batch=None, optimizer="sgd", learning_rate=0.1)
    X, Y, _ = data.load(case, None)
    X = np.rint(X * 255) / 255
    trained = []
    for scaled in (False, True):
        model = own.Model(replace(case, scaled=scaled), X, Y, data.starting_weights(case))
        model.epoch()
        trained.append(np.concatenate([part.ravel() for pair in model.weights() for part in pair]))
    np.testing.assert_allclose(*trained, atol=1e-6)


def test_a_peer_without_the_case_is_left_out_with_its_reason():
    case = quick(next(case for case in CASES if case.name == "small"))
    (result,) = rounds.run([case], [peer_named("post")], rounds=1, threads=1, data=None)
    assert result.rounds == []
    assert "full batch" in result.skipped


def result_of(name, seconds):
    return rounds.Result(CASES[0], peer_named(name), [{"wall": second, "cpu": 0.0} for second in seconds])


def test_ratios_are_those_of_rounds_in_pairs():
    own, other = result_of("mechanet", [1.0, 2.0, 9.0]), result_of("pytorch", [2.0, 4.0, 10.0])
    assert report.ratios(own, other, "wall") == [0.5, 0.5, 0.9]
    table = report.comparison([own, other], "wall")
    assert "| PyTorch | 0.50 (0.50 to 0.70) | ≤ 0.8 | yes |" in table


def test_a_ratio_above_its_aim_is_said_to_be():
    table = report.comparison([result_of("mechanet", [9.0]), result_of("pytorch", [10.0])], "wall")
    assert "0.90 (0.90 to 0.90) | ≤ 0.8 | **no** |" in table


@pytest.mark.parametrize(
    ("value", "shown"),
    [(2.5, "2.5 s"), (0.0123, "12.3 ms"), (4.2e-6, "4.2 µs"), (3e-8, "0.03 µs")],
)
def test_durations_are_shown_in_a_fitting_unit(value, shown):
    assert report.seconds(value) == shown


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory by mapping is read from Linux's /proc")
def test_memory_held_counts_all_but_the_pages_of_the_file(tmp_path):
    path = tmp_path / "rows.bin"
    memory.write_rows(path, 20_000)  # 15.7 MB
    gc.collect()  # what other tests left must not go in between
    before = memory.held(os.getpid(), path)
    mapped = np.memmap(path, np.uint8, "r")
    assert int(mapped.max()) == 255
    assert memory.held(os.getpid(), path) - before < 4e6
    kept = np.ones(5_000_000)  # 40 MB: malloc maps what is above 32 MiB anew, and never gives what it had kept
    assert memory.held(os.getpid(), path) - before > 0.9 * kept.nbytes
