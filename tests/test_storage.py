"""Files: what is written comes back, what is damaged is refused, and the old file outlives every failure."""

import errno
import hashlib
import json
import os
import stat
import struct
import threading
import time
import tracemalloc

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mechanet import storage

ARRAYS = {"theta": np.arange(12, dtype=np.float32), "velocity": np.linspace(0, 1, 5)}
HEADER = {"format": 1, "layers": [{"type": "Dense", "units": 3}], "best": None}
DTYPES = ["bool", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", ">f4", ">i8"]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.safetensors"


def file_bytes(entries, body=b"", metadata=None):
    """A safetensors file made by hand, field by field, as its format says."""
    head = dict(entries)
    if metadata is not None:
        head["__metadata__"] = metadata
    text = json.dumps(head).encode()
    return struct.pack("<Q", len(text)) + text + body


def signed(entries, body, header):
    """A file of an attacker who knows how the digest is made: only the checks can refuse it."""
    names = {"U8": "uint8", "BOOL": "bool", "F32": "float32"}
    shapes = [[name, names[entries[name]["dtype"]], entries[name]["shape"]] for name in sorted(entries)]
    digest = hashlib.sha256(json.dumps([header, shapes]).encode() + body).hexdigest()
    return file_bytes(entries, body, {"mechanet": json.dumps({"header": header, "sha256": digest})})


# ---------------------------------------------------------------- what is written comes back


def test_arrays_and_header_come_back(path):
    storage.write(path, ARRAYS, HEADER)
    arrays, header = storage.read(path)
    assert header == HEADER
    assert set(arrays) == set(ARRAYS)
    for name in ARRAYS:
        assert arrays[name].dtype == ARRAYS[name].dtype
        np.testing.assert_array_equal(arrays[name], ARRAYS[name])


def test_arrays_that_come_back_can_be_written_into(path):
    storage.write(path, ARRAYS, {})
    arrays, _ = storage.read(path)
    arrays["theta"][0] = 7
    assert arrays["theta"][0] == 7


def test_any_safetensors_reader_reads_the_arrays(path):
    storage.write(path, ARRAYS, HEADER)
    arrays = safetensors.numpy.load_file(path)
    np.testing.assert_array_equal(arrays["theta"], ARRAYS["theta"])
    with safetensors.safe_open(path, framework="np") as file:
        assert json.loads(file.metadata()["mechanet"])["header"] == HEADER


def test_the_same_contents_give_the_same_bytes(tmp_path):
    storage.write(tmp_path / "a", ARRAYS, HEADER)
    storage.write(tmp_path / "b", dict(reversed(ARRAYS.items())), HEADER)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3).T,
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(10)[::2],
        np.arange(10)[::-1],
        np.broadcast_to(np.float32(3), (4, 2)),
        np.array(2.5),
        np.float64(2.5),
        np.zeros((0, 3), np.float32),
        np.zeros((3, 0, 2)),
        np.array([True, False]),
        np.arange(3, dtype=">i4"),
        np.array([np.nan, np.inf, -0.0]),
        np.ma.array([1.0, 2.0]),
    ],
    ids=repr,
)
def test_every_layout_shape_and_byte_order_comes_back(path, array):
    storage.write(path, {"a": array}, {})
    again = storage.read(path)[0]["a"]
    assert again.shape == np.shape(array)
    assert again.dtype == np.asarray(array).dtype.newbyteorder("=")
    np.testing.assert_array_equal(again, array)


@settings(max_examples=100, deadline=None)
@given(
    arrays=st.dictionaries(
        st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1, max_size=20),
        st.sampled_from(DTYPES).flatmap(
            lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
        ),
        max_size=4,
    ),
    header=st.dictionaries(
        st.text(),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=10,
        ),
        max_size=4,
    ),
)
def test_anything_allowed_comes_back_byte_for_byte(tmp_path_factory, arrays, header):
    arrays = {name: array for name, array in arrays.items() if name.isprintable()}
    path = tmp_path_factory.getbasetemp() / "any.safetensors"
    storage.write(path, arrays, header)
    again, header_again = storage.read(path)
    assert header_again == header
    assert set(again) == set(arrays)
    for name, array in arrays.items():
        native = array.astype(array.dtype.newbyteorder("="))
        assert again[name].shape == array.shape
        assert again[name].dtype == native.dtype
        assert again[name].tobytes() == native.tobytes()


def test_headers_keep_tuples_as_lists_and_numbers_that_are_not_finite(path):
    storage.write(path, {}, {"shape": (1, 2), "best": float("inf")})
    assert storage.read(path) == ({}, {"shape": [1, 2], "best": float("inf")})


# ---------------------------------------------------------------- what cannot be written


@pytest.mark.parametrize(
    ("arrays", "header", "error", "text"),
    [
        ({"a": np.array(["x"])}, {}, TypeError, "array 'a' expects boolean, .* Received: dtype=<U1"),
        ({"a": np.array([object()])}, {}, TypeError, "Received: dtype=object"),
        ({"a": np.zeros(2, "c16")}, {}, TypeError, "dtype=complex128"),
        ({"a": np.zeros(2, "M8[s]")}, {}, TypeError, "dtype=datetime64"),
        ({"__metadata__": np.zeros(2)}, {}, ValueError, "expected a name of 1 to 200 printable"),
        ({"": np.zeros(2)}, {}, ValueError, "expected a name of 1 to 200 printable"),
        ({"a\n": np.zeros(2)}, {}, ValueError, "expected a name of 1 to 200 printable"),
        ({"a" * 201: np.zeros(2)}, {}, ValueError, "expected a name of 1 to 200 printable"),
        ({3: np.zeros(2)}, {}, TypeError, "expected a string as an array's name. Received: int."),
        ({}, [1], TypeError, "header expects a mapping that JSON can hold. Received: list."),
        ({}, {"a": np.float32(1)}, TypeError, "float32 is not JSON serializable"),
        ({}, {"a": "x" * (storage.MAX_HEADER + 1)}, ValueError, "header expects at most 16777216 bytes. Received: more."),
        ({}, {1: 2, "1": 3}, ValueError, "same name twice"),
    ],
)
def test_what_a_file_cannot_hold_is_refused_before_anything_is_touched(path, arrays, header, error, text):
    path.write_bytes(b"old")
    with pytest.raises(error, match=text):
        storage.write(path, arrays, header)
    assert path.read_bytes() == b"old"
    assert os.listdir(path.parent) == [path.name]


# ---------------------------------------------------------------- damage


def test_every_flipped_byte_is_refused_or_harmless(path):
    storage.write(path, ARRAYS, HEADER)
    good = path.read_bytes()
    want, header = storage.read(path)
    harmless = set()
    for position in range(len(good)):
        for flip in (0x01, 0x2A, 0x80, 0xFF):
            bad = bytearray(good)
            bad[position] ^= flip
            path.write_bytes(bad)
            try:
                arrays, header_again = storage.read(path)
            except ValueError:
                continue
            harmless.add(position)
            assert header_again == header
            assert {n: a.tobytes() for n, a in arrays.items()} == {n: a.tobytes() for n, a in want.items()}
    blanks = {position for position, byte in enumerate(good) if byte == ord(" ")}
    assert harmless <= blanks, "only blanks between the parts of the header may turn into other blanks"


def test_every_truncation_is_refused(path):
    storage.write(path, ARRAYS, HEADER)
    good = path.read_bytes()
    for size in range(len(good)):
        path.write_bytes(good[:size])
        with pytest.raises(ValueError, match="cannot be read as a mechanet file"):
            storage.read(path)
    path.write_bytes(good + b"x")
    with pytest.raises(ValueError, match="cannot be read as a mechanet file"):
        storage.read(path)


U8 = {"a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}}


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "it is truncated: 0 bytes"),
        (b"1234567", "it is truncated: 7 bytes"),
        (b"\xff" * 8, "it claims a header of 18446744073709551615 bytes"),
        (struct.pack("<Q", 3 * 2**30) + b"{}", "it claims a header of 3221225472 bytes"),
        (struct.pack("<Q", 1000) + b"{}", "its header takes 1000 bytes and the file has 10"),
        (struct.pack("<Q", 2) + b"[]", "its safetensors header is damaged"),
        (struct.pack("<Q", 2) + b"{}", r"its metadata has \[\] where mechanet writes \['mechanet'\]"),
        (file_bytes(U8, b"xy", {"mechanet": "{"}), "its header is not JSON"),
        (file_bytes(U8, b"xy", {"mechanet": "[" * 100_000}), "its header is not JSON"),
        (file_bytes(U8, b"xy", {"mechanet": "[]"}), "its header is not a JSON object"),
        (file_bytes(U8, b"xy", {"mechanet": "{}"}), "its header is not"),
        (file_bytes(U8, b"xy", {"mechanet": '{"header":{},"sha256":3}'}), "its header is not"),
        (file_bytes(U8, b"xy", {"mechanet": '{"header":[],"sha256":""}'}), "its header is not"),
        (file_bytes(U8, b"xy", {"mechanet": '{"header":{},"sha256":""}'}), "do not match their SHA-256"),
        (file_bytes(U8, b"xy", {"mechanet": '{"header":{"a":1,"a":1},"sha256":""}'}), "same name twice"),
        (file_bytes(U8, b"xy", {"format": "pt"}), r"its metadata has \['format'\]"),
        (signed({"a\x00": U8["a"]}, b"xy", {}), "expected a name of 1 to 200 printable characters"),
        (signed({"a" * 300: U8["a"]}, b"xy", {}), "expected a name of 1 to 200 printable characters"),
        (
            signed({"a": {"dtype": "BOOL", "shape": [2], "data_offsets": [0, 2]}}, b"\x01\x02", {}),
            "truth values that are neither 0 nor 1",
        ),
        (
            signed({"a": {"dtype": "U8", "shape": [0, 2**64 - 1], "data_offsets": [0, 0]}}, b"", {}),
            "shape that NumPy cannot hold",
        ),
        (
            file_bytes({"a": {"dtype": "U8", "shape": [2**40], "data_offsets": [0, 2**40]}}, b"xy"),
            "its safetensors header is damaged",
        ),
        (
            file_bytes({"a": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}}, b"xy"),
            r"array 'a' has dtype=BF16, which is none of \['F16', 'F32'",
        ),
    ],
)
def test_hostile_bytes_are_refused_and_the_text_says_why(path, data, text):
    path.write_bytes(data)
    with pytest.raises(ValueError, match=text) as caught:
        storage.read(path)
    assert str(caught.value).startswith(f"{path} cannot be read as a mechanet file: ")
    assert str(caught.value).endswith("Use another copy of it, or write it again with save().")


def test_a_name_that_stands_twice_is_refused(path):
    text = b'{"a":' + json.dumps(U8["a"]).encode() + b',"a":' + json.dumps(U8["a"]).encode() + b"}"
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"xy")
    with pytest.raises(ValueError, match="its safetensors header has the same name twice"):
        storage.read(path)


def test_the_file_made_by_hand_is_one_we_read(path):
    path.write_bytes(signed(U8, b"xy", {"k": 1}))  # so the refusals above are for the reasons they name
    arrays, header = storage.read(path)
    assert (arrays["a"].tolist(), header) == ([120, 121], {"k": 1})


def test_a_header_that_claims_gigabytes_allocates_next_to_nothing(path):
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", 2**33) + b"{")
        file.truncate(2**35)  # sparse: 32 GiB that take no room
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="claims a header of 8589934592 bytes"):
            storage.read(path)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
@example(struct.pack("<Q", 2) + b"{}")
def test_any_bytes_give_a_value_error(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "bytes.safetensors"
    path.write_bytes(data)
    with pytest.raises(ValueError, match="cannot be read as a mechanet file"):
        storage.read(path)


def test_what_is_no_file_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        storage.read(tmp_path / "missing")
    with pytest.raises(IsADirectoryError):
        storage.read(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="it is not a regular file"):
        storage.read(tmp_path / "pipe")
    with pytest.raises(ValueError, match="it is not a regular file"):
        storage.read("/dev/zero")


# ---------------------------------------------------------------- failures while writing


def failing(method, error):
    """A disk on which one call fails."""

    def fail(self, *args):
        raise error

    return type("Failing", (storage.Disk,), {method: fail})()


@pytest.mark.parametrize("method", ["create", "write", "sync", "read", "replace"])
def test_a_failure_at_any_moment_leaves_the_old_file(path, monkeypatch, method):
    storage.write(path, ARRAYS, {"old": True})
    monkeypatch.setattr(storage, "disk", failing(method, OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(OSError, match=r"Could not write .*net.*: No space left on device") as caught:
        storage.write(path, ARRAYS, {"old": False})
    assert caught.value.errno == errno.ENOSPC
    assert "What was there before is unchanged. Free some space or choose another place" in str(caught.value)
    monkeypatch.undo()
    assert storage.read(path)[1] == {"old": True}
    assert os.listdir(path.parent) == [path.name]


def test_a_disk_that_garbles_is_noticed(path, monkeypatch):
    class Garbling(storage.Disk):
        def write(self, file, data):
            file.write(data[:-1] + bytes([data[-1] ^ 1]))

    storage.write(path, ARRAYS, {"old": True})
    monkeypatch.setattr(storage, "disk", Garbling())
    with pytest.raises(OSError, match="what was read back differs from what was written"):
        storage.write(path, ARRAYS, {})
    assert storage.read(path)[1] == {"old": True}


def test_a_library_that_garbles_is_noticed(path, monkeypatch):
    save = safetensors.numpy.save

    def garbling(arrays, metadata):  # what safetensors 0.8.0 does to arrays that are not in C order
        return save({name: array[::-1].copy() for name, array in arrays.items()}, metadata)

    monkeypatch.setattr(safetensors.numpy, "save", garbling)
    with pytest.raises(ValueError, match="do not match their SHA-256"):
        storage.write(path, ARRAYS, {})
    assert os.listdir(path.parent) == []


def test_ctrl_c_while_writing_leaves_the_old_file_and_nothing_else(path, monkeypatch):
    storage.write(path, ARRAYS, {"old": True})
    monkeypatch.setattr(storage, "disk", failing("sync", KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        storage.write(path, ARRAYS, {})
    assert storage.read(path)[1] == {"old": True}
    assert os.listdir(path.parent) == [path.name]


def test_a_real_limit_on_the_file_size_leaves_the_old_file(path):
    resource = pytest.importorskip("resource", reason="this system has no file size limits")
    import signal

    storage.write(path, ARRAYS, {"old": True})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            storage.write(path, {"big": np.zeros(10_000)}, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert storage.read(path)[1] == {"old": True}
    assert os.listdir(path.parent) == [path.name]


def test_a_missing_directory_is_an_error_that_names_the_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"Could not write .*there/net"):
        storage.write(tmp_path / "there" / "net", ARRAYS, {})


def test_a_directory_is_not_replaced(tmp_path):
    target = tmp_path / "directory"
    target.mkdir()
    with pytest.raises(OSError, match="Could not write"):
        storage.write(target, ARRAYS, {})
    assert target.is_dir()
    assert os.listdir(tmp_path) == ["directory"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_permissions_follow_the_umask_and_a_private_file_stays_private(path):
    old = os.umask(0o027)
    try:
        storage.write(path, ARRAYS, {})
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.chmod(0o600)
        storage.write(path, ARRAYS, {})
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    finally:
        os.umask(old)


def test_a_symbolic_link_is_followed(tmp_path):
    (tmp_path / "real").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "real" / "net")
    storage.write(link, ARRAYS, HEADER)
    assert link.is_symlink()
    assert storage.read(tmp_path / "real" / "net")[1] == HEADER


def test_the_order_of_the_calls_is_the_durable_one(path, monkeypatch):
    calls = []

    class Recording(storage.Disk):
        def __getattribute__(self, name):
            calls.append(name)
            return super().__getattribute__(name)

    monkeypatch.setattr(storage, "disk", Recording())
    calls.clear()  # older versions of pytest look at it
    storage.write(path, ARRAYS, HEADER)
    assert calls == ["create", "write", "sync", "read", "replace", "sync_directory"]


def test_the_real_disk_is_asked_for_the_whole_file_and_then_for_its_directory(path, monkeypatch):
    asked, fsync = [], os.fsync

    def seen(descriptor):
        status = os.fstat(descriptor)
        asked.append((status.st_ino, None if stat.S_ISDIR(status.st_mode) else status.st_size))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", seen)
    storage.write(path, ARRAYS, HEADER)
    file, directory = path.stat(), path.parent.stat()
    assert asked == [(file.st_ino, file.st_size), (directory.st_ino, None)][: 1 if os.name == "nt" else 2]


@pytest.mark.parametrize(("number", "fine"), [(errno.EINVAL, True), (errno.EIO, False)])
def test_only_a_file_system_without_directory_sync_may_refuse_it(path, monkeypatch, number, fine):
    fsync = os.fsync

    def no_directories(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, "refused")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", no_directories)
    if fine:
        storage.write(path, ARRAYS, HEADER)
    else:
        with pytest.raises(OSError, match="refused"):
            storage.write(path, ARRAYS, HEADER)
    assert storage.read(path)[1] == HEADER


def test_many_writers_of_one_file_leave_one_whole_file(path):
    def writer(number):
        for _ in range(5):
            storage.write(path, {"a": np.full(1000, number)}, {"number": number})

    threads = [threading.Thread(target=writer, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    arrays, header = storage.read(path)
    assert set(arrays["a"].tolist()) == {header["number"]}
    assert os.listdir(path.parent) == [path.name]


# ---------------------------------------------------------------- a directory of checkpoints


def files_with(directory, steps, **keep):
    files = storage.CheckpointFiles(directory, **keep)
    for step in steps:
        files.save({"theta": np.full(4, float(step))}, {"step": step}, step)
    return files


def test_the_last_states_stay(tmp_path):
    files = files_with(tmp_path / "a" / "run", [0, 9, 10, 100, 10**12])
    assert [path.name for path in files.paths()] == [
        "checkpoint-000000000010.safetensors",
        "checkpoint-000000000100.safetensors",
        "checkpoint-1000000000000.safetensors",
    ]
    arrays, header, path, damaged = files.newest()
    assert (header, path.name, damaged) == ({"step": 10**12}, "checkpoint-1000000000000.safetensors", [])
    assert arrays["theta"].tolist() == [1e12] * 4


def test_a_damaged_newest_checkpoint_is_reported_and_the_one_before_it_used(tmp_path):
    files = files_with(tmp_path, [1, 2, 3])
    newest = files.paths()[-1]
    newest.write_bytes(newest.read_bytes()[:-1])
    _, header, path, damaged = files.newest()
    assert header == {"step": 2}
    assert path == files.paths()[1]
    assert len(damaged) == 1
    assert damaged[0].startswith(f"{newest} cannot be read as a mechanet file")


def test_resuming_after_a_damaged_checkpoint_replaces_it(tmp_path):
    files = files_with(tmp_path, [1, 2, 3])
    files.paths()[-1].write_bytes(b"")
    files_with(tmp_path, [3])
    assert files.newest()[1:] == ({"step": 3}, files.paths()[-1], [])


def test_a_checkpoint_just_written_is_never_removed(tmp_path):
    files = files_with(tmp_path, [7, 8, 9, 1], keep=2)
    assert [int(path.stem[11:]) for path in files.paths()] == [1, 9]


def test_every_directory_that_is_made_is_brought_to_the_disk(tmp_path, monkeypatch):
    synced = []

    class Recording(storage.Disk):
        def sync_directory(self, directory):
            synced.append(directory)

    monkeypatch.setattr(storage, "disk", Recording())
    files_with(tmp_path / "a" / "b", [0])
    assert sorted(synced) == [str(tmp_path), str(tmp_path / "a"), str(tmp_path / "a" / "b")]


def test_no_checkpoint_and_no_readable_checkpoint_are_different_errors(tmp_path):
    files = storage.CheckpointFiles(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match=r"There is no checkpoint in .*none"):
        files.newest()
    files_with(tmp_path, [1, 2])
    for path in storage.CheckpointFiles(tmp_path).paths():
        path.write_bytes(b"x" * 9)
    with pytest.raises(ValueError, match=r"can be read: .*2\.safe.* with save\(\)\. .*1\.safe"):
        storage.CheckpointFiles(tmp_path).newest()


def test_other_files_in_the_directory_are_left_alone(tmp_path):
    for name in ("notes.txt", "checkpoint-1.safetensors", "checkpoint-000000000001.safetensors.bak", ".mechanet-1.tmp"):
        (tmp_path / name).write_text("mine")
    files = files_with(tmp_path, [1, 2, 3], keep=1)
    assert len(files.paths()) == 1
    assert len(os.listdir(tmp_path)) == 5


def test_what_a_killed_writer_left_is_cleared_after_an_hour(tmp_path):
    for name, age in ((".mechanet-old.tmp", 3700), (".mechanet-new.tmp", 3500)):
        (tmp_path / name).write_bytes(b"half")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    files_with(tmp_path, [1])
    assert sorted(os.listdir(tmp_path)) == [".mechanet-new.tmp", "checkpoint-000000000001.safetensors"]


@pytest.mark.parametrize("keep", [0, -1, 2.0, True, "3"])
def test_keep_is_a_whole_number(tmp_path, keep):
    with pytest.raises((TypeError, ValueError), match=f"keep expects an integer.* Received: keep={keep!r}"):
        storage.CheckpointFiles(tmp_path, keep)


@pytest.mark.parametrize("step", [-1, 1.0, True])
def test_step_is_a_whole_number(tmp_path, step):
    with pytest.raises((TypeError, ValueError), match=f"step expects an integer.* Received: step={step!r}"):
        storage.CheckpointFiles(tmp_path).save({}, {}, step)


def test_a_full_disk_leaves_the_earlier_checkpoints(tmp_path, monkeypatch):
    files = files_with(tmp_path, [1, 2])
    monkeypatch.setattr(storage, "disk", failing("write", OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(OSError, match="No space left on device"):
        files.save({}, {}, 3)
    monkeypatch.undo()
    assert files.newest()[1] == {"step": 2}


def test_a_removed_directory_is_made_again(tmp_path):
    files = files_with(tmp_path / "run", [1])
    for path in files.paths():
        path.unlink()
    (tmp_path / "run").rmdir()
    files.save({}, {"again": True}, 2)
    assert files.newest()[1] == {"again": True}
