"""Fetching by name, against a server on this machine that can misbehave in every way a mirror can."""

import gzip
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from mechanet import datasets
from mechanet.datasets import fetch
from mechanet.datasets.idx import pack_idx
from mechanet.datasets.known import FASHION_MNIST, KNOWN, MNIST, digest

pooch = pytest.importorskip("pooch", reason="pooch is not installed (the extra `fetch`)")

RNG = np.random.default_rng(0)
FILES = {
    "train-images-idx3-ubyte": RNG.integers(0, 256, (6, 28, 28), np.uint8),
    "train-labels-idx1-ubyte": np.array([0, 1, 2, 3, 4, 5], np.uint8),
    "t10k-images-idx3-ubyte": RNG.integers(0, 256, (2, 28, 28), np.uint8),
    "t10k-labels-idx1-ubyte": np.array([7, 8], np.uint8),
}


class Mirror(BaseHTTPRequestHandler):
    """The first part of the path says how to behave: /good/NAME.gz, /stalled/NAME.gz, ..."""

    def do_GET(self):
        manner, name = self.path.strip("/").split("/")
        self.server.requests.append((manner, name))
        if manner == "absent":
            return self.send_error(404)
        packed = gzip.compress(pack_idx(FILES[name.removesuffix(".gz")]))
        if manner == "wrong":
            packed = gzip.compress(pack_idx(255 - FILES[name.removesuffix(".gz")]))
        if manner == "oversized":
            packed = gzip.compress(bytes(4 * 2**20))
        if manner == "page":
            packed = b"<html>please log in</html>"
        self.send_response(200)
        if manner != "unsized":
            self.send_header("Content-Length", str(len(packed)))
        self.end_headers()
        if manner in ("truncated", "unsized", "stalled"):
            packed = packed[: len(packed) // 2]
        self.wfile.write(packed)
        self.wfile.flush()
        if manner == "stalled":
            self.server.stalled.set()
            self.server.released.wait(20)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Mirror) as server:
        server.requests, server.stalled, server.released = [], threading.Event(), threading.Event()
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.released.set()
        server.shutdown()


@pytest.fixture
def tiny(server):
    """MNIST in small, from mirrors of the given manners."""

    def tiny(*manners):
        return replace(
            MNIST,
            sha256={name: digest(values) for name, values in FILES.items()},
            mirrors=tuple(f"http://127.0.0.1:{server.server_port}/{manner}/" for manner in manners),
        )

    return tiny


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.delenv("MECHANET_DATA", raising=False)
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / "cache" / name)
    return tmp_path / "cache" / "mechanet" / "mnist"


def names(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_good(tiny, cache, server):
    set_ = fetch.load_known(tiny("good"))
    assert np.array_equal(set_.train.x, FILES["train-images-idx3-ubyte"].reshape(6, 784))
    assert set_.test.y.tolist() == [7, 8]
    assert names(cache) == sorted(FILES)
    assert (cache / "t10k-labels-idx1-ubyte").read_bytes() == pack_idx(FILES["t10k-labels-idx1-ubyte"])
    assert len(server.requests) == 4
    fetch.load_known(tiny("good"))
    assert len(server.requests) == 4, "the second time nothing is fetched"


@pytest.mark.parametrize(
    ("manner", "reason"),
    [
        ("truncated", "IncompleteRead"),
        ("unsized", "a truncated gzip file, "),
        ("wrong", "does not match the known hash"),
        ("oversized", "more than 1,000,000 bytes, decompressed"),
        ("page", "no gzip file (Error -3 while decompressing data"),
        ("absent", "404"),
        ("stalled", "timed out"),
    ],
)
def test_bad_mirror_is_refused_and_the_next_one_used(tiny, cache, server, manner, reason, monkeypatch):
    monkeypatch.setattr(fetch, "TIMEOUT", 0.3)
    monkeypatch.setattr(fetch, "LARGEST", {"images": 1_000_000, "labels": 1_000_000})
    with pytest.raises(OSError, match="could not fetch mnist: expected train-images-idx3-ubyte") as caught:
        fetch.load_known(tiny(manner))
    assert reason in str(caught.value)
    assert "set MECHANET_DATA" in str(caught.value)
    assert names(cache) == [], "nothing is left of what was refused"
    server.released.set()
    assert len(fetch.load_known(tiny(manner, "good")).train) == 6
    assert names(cache) == sorted(FILES)


def test_unreachable_mirror(tiny, cache):
    nowhere = replace(tiny("good"), mirrors=("http://127.0.0.1:9/",))
    with pytest.raises(OSError, match="could not fetch mnist"):
        fetch.load_known(nowhere)
    assert names(cache) == []


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_interrupted(tiny, cache, server):
    """Ctrl-C in the middle of a file leaves nothing half-written, and a second run succeeds."""
    script = (
        "import sys, pooch; from pathlib import Path; from dataclasses import replace\n"
        "from mechanet.datasets import fetch, known\n"
        "pooch.os_cache = lambda name: Path(sys.argv[1])\n"
        "fetch.load_known(replace(known.MNIST, mirrors=(sys.argv[2],)))\n"
    )
    source = str(Path(fetch.__file__).parents[2])
    with subprocess.Popen(
        [sys.executable, "-c", script, str(cache.parent), tiny("stalled").mirrors[0]],
        env=os.environ | {"PYTHONPATH": source},
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        try:
            assert server.stalled.wait(20)
            child.send_signal(signal.SIGINT)
            errors = child.communicate(timeout=20)[1]
        finally:
            child.kill()
    assert "KeyboardInterrupt" in errors
    assert names(cache) == []
    server.released.set()
    assert len(fetch.load_known(tiny("good")).train) == 6


def test_what_a_killed_download_left_is_swept_up(tiny, cache):
    cache.mkdir(parents=True)
    for name, age in (("tmpold", 100_000), ("tmpnew", 60)):  # the new one may be another process's, still at work
        (cache / name).write_bytes(b"half")
        os.utime(cache / name, times=(time.time() - age,) * 2)
    fetch.load_known(tiny("good"))
    assert names(cache) == sorted([*FILES, "tmpnew"])


def test_damaged_file_in_the_cache_is_fetched_again(tiny, cache, server):
    fetch.load_known(tiny("good"))
    (cache / "t10k-labels-idx1-ubyte").write_bytes(b"half")
    assert fetch.load_known(tiny("good")).test.y.tolist() == [7, 8]
    assert [name for _, name in server.requests[4:]] == ["t10k-labels-idx1-ubyte.gz"]


def test_cache_that_cannot_be_written(tiny, cache):
    cache.parent.parent.mkdir()
    cache.parent.write_text("a file where the folder should be")
    with pytest.raises(OSError, match=r"cache.mechanet"):
        fetch.load_known(tiny("good"))


def store(folder, files=FILES):
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in files.items():
        (folder / name).write_bytes(pack_idx(values))


def test_environment_goes_before_the_cache(tiny, tmp_path, server, monkeypatch):
    known = tiny("good")
    monkeypatch.setitem(KNOWN, "mnist", known)
    monkeypatch.setenv("MECHANET_DATA", str(tmp_path / "data"))
    store(tmp_path / "data" / "mnist")
    assert len(datasets.load("mnist").train) == 6
    for name in FILES:
        (tmp_path / "data" / "mnist" / name).rename(tmp_path / "data" / name)
    assert len(datasets.load("mnist").train) == 6  # the folder itself
    assert server.requests == []


def test_folder_of_another_set_is_passed_over(tiny, tmp_path, server, monkeypatch):
    monkeypatch.setenv("MECHANET_DATA", str(tmp_path))
    store(tmp_path, FILES | {"t10k-labels-idx1-ubyte": np.array([1, 1], np.uint8)})
    fetch.load_known(tiny("good"))
    assert len(server.requests) == 4


def test_other_data_under_the_name_is_refused(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("MECHANET_DATA", str(tmp_path))
    store(tmp_path / "mnist", FILES | {"t10k-labels-idx1-ubyte": np.array([1, 1], np.uint8)})
    with pytest.raises(
        ValueError, match=r"t10k-labels-idx1-ubyte: expected mnist, SHA-256 \w{64}. Received: SHA-256"
    ):
        fetch.load_known(tiny("good"))
    (tmp_path / "mnist" / "t10k-images-idx3-ubyte").unlink()
    with pytest.raises(ValueError, match=r"expected t10k-images-idx3-ubyte, plain or \.gz. Received: no such file"):
        fetch.load_known(tiny("good"))


def test_without_pooch_the_error_names_the_extra(tiny, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError, match=r'needs pooch: pip install "mechanet\[fetch\]"'):
        fetch.load_known(tiny("good"))


def test_progress_on_a_terminal(tiny, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    fetch.load_known(tiny("good"))
    assert "train-images-idx3-ubyte.gz" in capsys.readouterr().err


def test_full_mnist_is_what_the_pins_say(monkeypatch):
    folder = Path(__file__).parents[3] / "shared" / "data" / "mnist"
    if not folder.is_dir():
        pytest.skip(f"the full MNIST is not at {folder}")
    monkeypatch.setenv("MECHANET_DATA", str(folder))
    mnist = datasets.load("mnist")
    assert mnist.train.x.shape == (60000, 784)
    assert mnist.test.x.shape == (10000, 784)
    # the counts of each digit that MNIST is known to have, and the mean pixel, 0.1307 of 255, that many
    # programs normalise with
    assert np.bincount(mnist.train.y).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert mnist.train.x.mean() / 255 == pytest.approx(0.1307, abs=5e-5)


@pytest.mark.parametrize("known", [MNIST, FASHION_MNIST])
def test_pins_and_mirrors(known):
    assert all(len(sha) == 64 for sha in known.sha256.values())
    assert list(known.sha256) == list(FILES)
    assert len(known.mirrors) >= 2
    assert known.mirrors[0].startswith("https://")
    assert all(mirror.endswith("/") for mirror in known.mirrors)
    assert len(known.classes) == 10
