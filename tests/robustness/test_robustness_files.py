"""Models and training states that are damaged or lie: a result, a ValueError or an OSError, and nothing else.

Long form: tests/jobs/headers.py and tests/jobs/fuzz.py.
"""

import random
import re
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jobs import headers

import mechanet as mn
from mechanet import storage

# One file per released version: when a version changes, the new file joins the old ones, made by
# headers.model().save(...) and headers.training().save(...).
DATA = Path(__file__).parents[1] / "data"
KINDS = {kind: headers.seed_file(kind) for kind in ("model", "state")}


def attempt(kind, path):
    with np.errstate(all="ignore"):
        return headers.attempt(kind, path)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.safetensors"


@pytest.mark.parametrize("kind", KINDS)
def test_the_files_that_are_twisted_are_sound_before(path, kind):
    storage.write(path, *KINDS[kind])
    assert attempt(kind, path) == "read"


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_header_that_lies_is_refused_or_read(tmp_path_factory, kind, seed):
    path = tmp_path_factory.getbasetemp() / f"{kind}.safetensors"
    try:
        storage.write(path, *headers.twisted(*KINDS[kind], random.Random(seed)))
    except (TypeError, ValueError):
        return  # what a file cannot hold
    attempt(kind, path)


def edited(kind, *steps, **arrays):
    """The good file with one entry of the header replaced, and arrays replaced or (None) removed."""
    *outer, key, value = steps or ("format", KINDS[kind][1]["format"])
    _, header = twist = ({n: a.copy() for n, a in KINDS[kind][0].items()}, headers.copy.deepcopy(KINDS[kind][1]))
    for step in outer:
        header = header[step]
    header[key] = value
    for name, array in arrays.items():
        twist[0][name] = array
        if array is None:
            del twist[0][name]
    return twist


W = "layers.3.W"
REFUSED = [
    ("model", edited("model", "format", "pt"), "expected a file of format 'mechanet network'. Received: 'pt'"),
    ("model", edited("model", "version", 2), "expected version 1 of the format. Received: 2. A newer release"),
    ("model", edited("model", "network", None), "expected a network's configuration. Received: None"),
    ("model", edited("model", "network", "layers", 3, "layer", "Sparse"), "layer expects one of .*'Sparse'"),
    ("model", edited("model", "network", "layers", 3, "layer", "Activation"), "layer expects one of"),
    ("model", edited("model", "network", "layers", 3, "layer", "os.system"), "layer expects one of"),
    ("model", edited("model", "network", "layers", 3, "units", 5), "expected parameters of shapes"),
    ("model", edited("model", "network", "layers", 3, "units", 10**12), "expected parameters of shapes"),
    ("model", edited("model", "network", "layers", 0, "factor", 10**400), "factor expects a number"),
    ("model", edited("model", "network", "layers", 0, "speed", 1), "unexpected keyword argument 'speed'"),
    ("model", edited("model", "network", "loss", "name", "hinge"), "loss expects one of"),
    ("model", edited("model", "network", "loss", "class_weight", {"0": 1}), "class_weight expects a list"),
    ("model", edited("model", "network", "loss", "class_weight", [[0]]), "not enough values to unpack"),
    ("model", edited("model", "network", "dtype", "float16"), "float16"),
    ("model", edited("model", "network", "seed", -1), "seed expects an integer of at least 0"),
    ("model", edited("model", "network", "input_shape", [4]), "expects a shape with 4 entries"),
    ("model", edited("model", "network", "input_shape", "x"), "input_shape expects a tuple of integers"),
    ("model", edited("model", **{W: None}), "expected parameters of shapes"),
    ("model", edited("model", **{"layers.9.W": np.zeros(3, "f4")}), "expected parameters of shapes"),
    ("model", edited("model", **{W: np.zeros((3, 4))}), "expected parameters of dtype float32.*dtype=float64"),
    (
        "model",
        edited("model", **{W: np.full((3, 4), np.nan, "f4")}),
        r"expected finite numbers in layers.3.W.*nan",
    ),
    ("state", edited("state", "format", "mechanet network"), "expected a file of format 'mechanet training'"),
    ("state", edited("state", "version", "1"), "expected version 3 of the format. Received: '1'"),
    ("state", edited("state", "rows", 11), "expected the same data, 11 rows. Received: 10 rows"),
    ("state", edited("state", "progress", "step", 99), "expected at most 3 steps an epoch. Received: step=99"),
    ("state", edited("state", "watch", "value", 10**400), "int too large"),
    ("state", edited("state", "progress", {}), "this training cannot go on"),
    ("state", edited("state", "optimizer", "name", "Optimizer"), "optimizer expects one of"),
    ("state", edited("state", "schedule", "then", []), "this training cannot go on"),
    ("state", edited("state", **{"optimizer.s": None}), "expected 'optimizer.s' of shape .* Received: none"),
    ("state", edited("state", **{"history": np.full((1, 7), np.inf)}), "expected 'history' to count epochs from 1"),
    ("state", edited("state", **{"history": np.zeros(7)}), "expected 'history' of shape"),
    ("state", edited("state", **{"weights": np.zeros(9)}), "expected 'weights' of shape"),
]


@pytest.mark.parametrize(("kind", "file", "text"), REFUSED, ids=[text[:40] for _, _, text in REFUSED])
def test_each_lie_is_refused_for_what_it_is(path, kind, file, text):
    storage.write(path, *file)
    with pytest.raises(ValueError, match=text) as caught:
        mn.Network.load(path) if kind == "model" else mn.Training.resume(
            path, *headers.data(), validation=headers.data()
        )
    assert str(caught.value).startswith(f"{path}: ")


def test_numbers_that_are_not_finite_are_read_when_asked_for(path):
    storage.write(path, *edited("model", **{W: np.full((3, 4), np.nan, "f4")}))
    net = mn.Network.load(path, allow_nonfinite=True)
    assert np.isnan(net.named_arrays()[W]).all()


@pytest.mark.parametrize(
    ("layers", "input_shape"),
    [
        ([], [100_000]),
        ([{"layer": "Flatten"}], [1000, 1000]),
        ([{"layer": "Reshape", "shape": [10**10]}], [10**10]),
        ([{"layer": "Dense", "units": 10**9}] * 50, [10**9]),
    ],
)
def test_a_small_file_never_takes_much_memory(path, layers, input_shape):
    _, header = edited("model", "network", "layers", layers)
    header["network"]["input_shape"] = input_shape
    storage.write(path, {}, header)
    tracemalloc.start()
    try:
        attempt("model", path)
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("kind", "positions"), [("model", 2000), ("state", 500)])
def test_a_byte_flipped_at_each_of_two_thousand_positions(path, kind, positions):
    net = mn.Network([mn.Dense(16), mn.ReLU(), mn.Dense(10)], (20,), seed=3)
    x = np.random.default_rng(0).normal(size=(7, 20)).astype("float32")
    if kind == "model":
        net.save(path)
    else:
        run = mn.Training(net, x, np.arange(7), optimizer="adam", batch_size=3)
        list(run.epochs(2))
        run.save(path)

    def outputs():
        loaded = mn.Network.load(path) if kind == "model" else mn.Training.resume(path, x, np.arange(7)).network
        return loaded.forward(x).tobytes()

    good, want = path.read_bytes(), outputs()
    assert len(good) > 2000
    rng = random.Random(0)
    same = 0
    for position in rng.sample(range(len(good)), positions):
        bad = bytearray(good)
        bad[position] ^= rng.randrange(1, 256)
        path.write_bytes(bad)
        try:
            again = outputs()
        except ValueError:
            continue
        assert good[position] == ord(" "), "only blanks of the header may change unnoticed"
        assert again == want
        same += 1
    assert same < 20


@pytest.mark.parametrize("version", [1])
def test_the_network_files_of_every_version_stay_readable(version):
    net = mn.Network.load(DATA / f"network-{version}.safetensors")
    Z = net.forward([[0.1, 0.2, 0.3]])
    np.testing.assert_allclose(Z, [[-0.11680600, 0.00277996, -0.07734257]], atol=1e-6)


@pytest.mark.parametrize("version", [1, 2])
def test_states_from_before_the_first_release_are_refused(version):
    x, y = headers.data()
    message = f"expected version 3 of the format. Received: {version}. A state is resumed by the release that wrote it"
    with pytest.raises(ValueError, match=re.escape(message)):
        mn.Training.resume(DATA / f"training-{version}.safetensors", x, y, validation=(x, y))
