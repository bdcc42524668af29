"""Feed a reader what it never expects: any bytes must give a result, a ValueError or an OSError.

    pip install atheris
    python tests/jobs/fuzz.py storage --runs 200000 --seed 0

atheris (libFuzzer) grows the inputs by coverage, from a few good files. An input that raises anything else,
takes more than 5 seconds or more than 1 GiB ends the job, and its bytes are kept in the working directory.
"""

import argparse
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


@reader(lambda: [stored({"a": np.arange(4.0), "b": np.ones((2, 0), "f4")}, {"k": [1, None, "x"]}), stored({}, {})])
def storage(path):
    from mechanet import storage

    storage.read(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reader", choices=sorted(READERS))
    parser.add_argument("--runs", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    import atheris

    read, seeds = READERS[options.reader]
    with atheris.instrument_imports(include=["mechanet"]):
        import mechanet.storage  # noqa: F401
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
