"""Feed a reader what it never expects: any bytes must give a result, a ValueError or an OSError.

    pip install atheris
    PYTHONPATH=src:tests python tests/jobs/fuzz.py storage --runs 200000 --seed 1

atheris (libFuzzer) grows the inputs by coverage, from a few good files. An input that raises anything else,
takes more than 5 seconds or more than 1 GiB ends the job, and its bytes are kept in the working directory.
"""

import argparse
import gzip
import io
import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np

READERS = {}


def reader(seeds):
    """Add a function of a path to the table, with what makes its first, good inputs."""

    def add(read):
        READERS[read.__name__] = (read, seeds)
        return read

    return add


def stored(arrays, header):
    from mechanet import storage

    with tempfile.TemporaryDirectory() as place:
        storage.write(Path(place, "seed"), arrays, header)
        return Path(place, "seed").read_bytes()


def saved(kind):
    from jobs import headers

    return stored(*headers.seed_file(kind))


def idx_seeds():
    from mechanet.datasets.idx import pack_idx

    return [pack_idx(np.arange(12, dtype="u1").reshape(3, 2, 2)), pack_idx(np.arange(5, dtype="u1"))]


def picture(form):
    import PIL.Image

    buffer = io.BytesIO()
    grey = np.zeros((20, 16), "u1")
    grey[4:16, 7:9] = 255  # a one
    PIL.Image.fromarray(grey).save(buffer, form)
    return buffer.getvalue()


@reader(lambda: [stored({"a": np.arange(4.0), "b": np.ones((2, 0), "f4")}, {"k": [1, "x"]}), stored({}, {})])
def storage(path):
    from mechanet import storage

    storage.read(path)


@reader(lambda: [saved("model")])
def model(path):
    from mechanet import Network

    Network.load(path)


@reader(lambda: [saved("state")])
def state(path):
    from jobs import headers

    from mechanet import Training

    x, y = headers.data()
    Training.resume(path, x, y, validation=(x, y))


@reader(idx_seeds)
def idx(path):
    from mechanet.datasets.idx import read_idx

    read_idx(path, largest=2**24)


@reader(lambda: [b"\1" + seed for seed in idx_seeds()] + [b"\0" + gzip.compress(seed) for seed in idx_seeds()])
def gzipped(path):
    """The first byte says whether the rest is to be compressed or is a gzip file as it stands."""
    data = Path(path).read_bytes()
    Path(path).write_bytes(gzip.compress(data[1:], 1) if data[:1] == b"\1" else data[1:])
    idx(path)


@reader(lambda: [b"label,a,b\n1,2.5,3\n0,-1e3,4\n", b"a;b\n", ("1," * 784 + "7\n").encode() * 2, b"x,y\n1,cat\n"])
def csv(path):
    from mechanet.datasets.csv import read_csv

    read_csv(path, unlabelled=True)


@reader(lambda: [picture("PNG"), picture("JPEG")])
def image(path):
    from mechanet.datasets.images import read_image

    read_image(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reader", choices=sorted(READERS))
    parser.add_argument("--runs", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    import atheris

    read, seeds = READERS[options.reader]
    with atheris.instrument_imports(include=["mechanet"]):
        import mechanet.datasets.csv
        import mechanet.datasets.idx
        import mechanet.datasets.images  # noqa: F401
    place = tempfile.TemporaryDirectory()
    path = os.path.join(place.name, "input")
    corpus = Path(place.name, "corpus")
    corpus.mkdir()
    for number, seed in enumerate(seeds()):
        (corpus / str(number)).write_bytes(seed)
    counts = {"read": 0, "refused": 0}

    def one(data):
        with open(path, "wb") as file:
            file.write(data)
        try:
            read(path)
            counts["read"] += 1
        except (ValueError, OSError):
            counts["refused"] += 1
        if sum(counts.values()) >= options.runs:
            print(f"{options.reader}, seed={options.seed}: {json.dumps(counts)}, no finding", flush=True)

    limits = ["-timeout=5", "-rss_limit_mb=1024", "-max_len=20000", "-verbosity=0", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], f"-runs={options.runs}", f"-seed={options.seed}", *limits, str(corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
