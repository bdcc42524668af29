"""Signed files whose header lies: every entry of a model or a training state replaced by what nobody expects.

    PYTHONPATH=src:tests python tests/jobs/headers.py model --runs 200000 --seed 0

Random bytes hardly ever get past the SHA-256, so here the file itself is sound and what it says is not. Each
must give a network, a ValueError or an OSError, within 1 GiB and 5 seconds.
"""

import argparse
import collections
import copy
import random
import resource
import signal
import sys
import tempfile
from pathlib import Path

import numpy as np

import mechanet as mn
from mechanet import storage

ODD = [
    None, True, False, 0, 1, -1, 2, 3, 7, 255, 2**31, 2**63, 2**64, -(2**63), 10**30, 10**400, 1e30, 1e308, 1e-320,
    0.5, -0.5, 1.5, float("nan"), float("inf"), "", "x", "Dense", "ReLU", "Activation", "Layer", "Loss", "Network",
    "__class__", "os.system", "../x", "float16", "float32", "float64", "int64", "cross_entropy", "huber", "cpu",
    "cuda", "squared_error", "zeros", "he_normal", "Adam", "Schedule", "Optimizer", [], {}, [[]], [1, 2], [0],
    [3], [10**9], [2] * 70, {"name": "WarmUp", "then": {"name": "WarmUp"}}, {"layer": "Flatten", "shape": []},
    {"layer": "Reshape", "shape": [3, 1]}, {"layer": "Dense", "units": 10**9}, {"layer": "Dropout", "rate": 1},
    {"name": "cross_entropy", "class_weight": [[0, 1.0], [1, "x"]]}, {"name": "huber", "delta": 1e-320},
]  # fmt: skip


def model():
    """The header and arrays of a small network that has one of many things."""
    layers = [mn.Scale(0.5), mn.Reshape((3, 1)), mn.Flatten(), mn.Dense(4, "glorot_uniform"), mn.LeakyReLU(0.1)]
    layers += [mn.Dropout(0.1), mn.Dense(3, mn.initializers.Uniform(-1, 1), bias=False)]
    loss = mn.CrossEntropy(label_smoothing=0.1, class_weight={0: 1.0, 2: 0.5})
    return mn.Network(layers, (3,), loss, seed=5)


def training():
    """A training in the middle of its second epoch, with everything that a state can hold."""
    x, y = data()
    net, early = model(), mn.EarlyStopping(3, 0.01)
    schedule = mn.schedules.WarmUp(0.2, mn.schedules.OneCycle())
    run = mn.Training(net, x, y, optimizer=mn.AdamW(), batch_size=4, validation=(x, y), schedule=schedule,
                      gradient_clip=1.0, early_stopping=early)  # fmt: skip
    list(run.epochs(3, lambda t: t.stop() if t.global_step == 5 else None))
    return run


def data():
    return np.arange(30.0).reshape(10, 3) / 30, np.arange(10) % 3


def seed_file(kind):
    """The arrays and the header of a good file of that kind."""
    with tempfile.TemporaryDirectory() as place:
        (model() if kind == "model" else training()).save(Path(place, "seed"))
        return storage.read(Path(place, "seed"))


def places(value, path=()):
    """The path to every entry of nested dicts and lists."""
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += places(inner, (*path, key))
    return found


def twist_header(header, rng):
    """Replace, remove, double or move one entry, in place."""
    paths = places(header)
    if not paths:
        return
    *outer, key = rng.choice(paths)
    at = header
    for step in outer:
        at = at[step]
    action = rng.randrange(10)
    if action < 6:
        at[key] = copy.deepcopy(rng.choice(ODD))
    elif action == 6:
        del at[key]
    elif action == 7 and isinstance(at, dict):
        at[rng.choice(["x", "name", "layer", "shape", "W", "__init__"])] = copy.deepcopy(rng.choice(ODD))
    elif action == 8 and isinstance(at, list):
        at.insert(rng.randrange(len(at) + 1), copy.deepcopy(rng.choice([*at, *ODD])))
    elif isinstance(at[key], (int, float)) and not isinstance(at[key], bool):
        at[key] = rng.choice([at[key] + 1, at[key] - 1, -at[key], at[key] * 1000, at[key] // 3])


def twist_arrays(arrays, rng):
    """Remove, rename, reshape or recast one array, or put a number into it that is not finite."""
    name = rng.choice(sorted(arrays))
    array = arrays[name]
    action = rng.randrange(6)
    if action == 0:
        del arrays[name]
    elif action == 1:
        arrays[rng.choice(["x", "layers.9.W", "layers.0.W", "best", "layers.3.W "])] = arrays.pop(name)
    elif action == 2:
        arrays[name] = array.reshape(rng.choice([(-1,), (1, -1), (-1, 1), (*array.shape, 1)]))
    elif action == 3:
        with np.errstate(all="ignore"):
            arrays[name] = array.astype(rng.choice(["f2", "f4", "f8", "i8", "u1", "bool"]))
    elif action == 4:
        arrays[name] = np.resize(array, rng.choice([0, 1, 5, 12, 100]))
    elif array.size and array.dtype.kind == "f":
        array.reshape(-1)[rng.randrange(array.size)] = rng.choice([np.nan, np.inf, -np.inf, 1e38])


def twisted(arrays, header, rng):
    """A copy with one to three things wrong."""
    arrays, header = {name: array.copy() for name, array in arrays.items()}, copy.deepcopy(header)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        if arrays and rng.random() < 0.2:
            twist_arrays(arrays, rng)
        else:
            twist_header(header, rng)
    return arrays, header


def attempt(kind, path):
    """Read the file and use what it gives, as somebody would; "read", or what it was refused with."""
    x, y = data()
    try:
        if kind == "model":
            net = mn.Network.load(path)
        else:
            run = mn.Training.resume(path, x, y, validation=(x, y))
            net = run.network
    except (ValueError, OSError) as error:
        return type(error).__name__
    if net.input_shape == (3,):
        net.forward(x)
    return "read"


def too_slow(number, frame):
    raise AssertionError("took more than 5 seconds")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=["model", "state"])
    parser.add_argument("--runs", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    arrays, header = seed_file(options.kind)
    signal.signal(signal.SIGALRM, too_slow)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, resource.RLIM_INFINITY))
    counts, findings = collections.Counter(), collections.Counter()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as place:
        path = Path(place, "file")
        for number in range(options.runs):
            bad = twisted(arrays, header, random.Random(f"{options.seed} {number}"))
            try:
                storage.write(path, *bad)
            except (ValueError, TypeError):
                counts["not writable"] += 1
                continue
            signal.alarm(5)
            try:
                counts[attempt(options.kind, path)] += 1
            except BaseException as error:  # a finding is anything else, whatever it is
                if isinstance(error, KeyboardInterrupt):
                    raise
                text = f"{type(error).__name__}: {str(error)[:90]}"
                findings[text] += 1
                if findings[text] == 1:
                    print(f"input {number}: {text}", flush=True)
            finally:
                signal.alarm(0)
    print(f"{options.kind}, seed={options.seed}: {dict(counts)}, {sum(findings.values())} findings")
    sys.exit(bool(findings))


if __name__ == "__main__":
    main()
