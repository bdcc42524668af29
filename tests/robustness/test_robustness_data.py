"""Data files of any bytes: a result, or a ValueError or OSError. Long form: tests/jobs/fuzz.py."""

import gzip
import random
import tracemalloc

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jobs import fuzz

from mechanet.cli import main

NAMES = ["idx", "gzipped", "csv", "image"]


@pytest.fixture(scope="module")
def seeds():
    pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    return {name: fuzz.READERS[name][1]() for name in NAMES}


def attempt(name, path, data):
    path.write_bytes(data)
    try:
        fuzz.READERS[name][0](path)
    except (ValueError, OSError):
        return "refused"
    return "read"


def bent(data, rng):
    """A copy with some bytes changed, doubled or cut."""
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 8])):
        at = rng.randrange(len(data) or 1)
        action = rng.randrange(5)
        if action < 2 and data:
            data[at] ^= 1 << rng.randrange(8)
        elif action == 2 and data:
            data[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF])
        elif action == 3:
            data[at:at] = bytes(rng.randrange(256) for _ in range(rng.randrange(9)))
        else:
            del data[at : at + rng.randrange(1, 20)]
    return bytes(data)


@pytest.mark.parametrize("name", NAMES)
def test_the_files_that_are_bent_are_sound_before(name, seeds, tmp_path):
    assert "read" in [attempt(name, tmp_path / "file", seed) for seed in seeds[name]]


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=150, deadline=None)
@given(number=st.integers(0, 2**32), raw=st.binary(max_size=60))
@example(number=0, raw=b"")
def test_any_bytes_are_read_or_refused(tmp_path_factory, name, seeds, number, raw):
    rng = random.Random(number)
    path = tmp_path_factory.getbasetemp() / name
    attempt(name, path, raw)
    attempt(name, path, bent(rng.choice(seeds[name]), rng))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("idx", b"\0\0\x08\x03" + b"\xff" * 12),
        ("idx", b"\0\0\x0e\xff" + b"\xff" * 1020),
        ("gzipped", b"\0" + gzip.compress(b"\0\0\x08\x01\x40\0\0\0" + bytes(2**22))),
        ("csv", b"\xff\xfe1,2\n"),
        ("csv", b"a,b\n" + b"9" * 5000 + b",1\n"),
        ("csv", b"label\n1\n"),
        ("csv", b'"' + b"x" * 200_000),
        ("csv", b"\x00,\x00\n"),
    ],
)
def test_each_of_a_small_corpus_is_refused_within_little_memory(tmp_path, name, data):
    path = tmp_path / "file"
    tracemalloc.start()
    try:
        assert attempt(name, path, data) == "refused"
        assert tracemalloc.get_traced_memory()[1] < 2**25
    finally:
        tracemalloc.stop()


TEXT = """
train evaluate predict explain devices --data digits xor --epochs 0 1 -1 1e9 --layers 8 8,8 none x , --device cpu cuda:9
--seed --batch-size full --json --out net.safetensors --dropout 0.5 nan --checkpoint run --resume --keep --threads
--checkpoint-every 1epoch --no-plot --index -h --version --recipe original --validation test --
"""
WORDS = st.sampled_from(TEXT.split())


@settings(max_examples=60, deadline=None)
@given(arguments=st.lists(WORDS | st.text(st.characters(exclude_categories=["Cs"]), max_size=5), max_size=5))
def test_any_arguments_give_a_code_and_never_a_traceback(tmp_path_factory, arguments):
    if arguments[:1] == ["train"]:
        arguments += ["--data", "nothing-there"]  # the last one counts: no training
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.getbasetemp())
        assert main(arguments) in (0, 1, 2)


def test_what_a_good_seed_gives_is_what_was_packed(tmp_path):
    from mechanet.datasets.idx import read_idx

    path = tmp_path / "file"
    path.write_bytes(fuzz.idx_seeds()[0])
    np.testing.assert_array_equal(read_idx(path), np.arange(12).reshape(3, 2, 2))
