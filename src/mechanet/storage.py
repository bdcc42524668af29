"""Named arrays and a JSON header on disk: atomic, durable, verified. Knows nothing of networks.

A file is a safetensors file, so anything that reads safetensors reads the arrays. Its metadata holds one
entry, ``mechanet``: the JSON text ``{"header": ..., "sha256": ...}``. The digest covers the header and every
array's name, dtype, shape and bytes.

A file never half-exists. It is written under another name beside the target, synced to the disk, read back
and compared, and only then renamed over the target; the rename is synced too. Whenever the power fails, the
target holds either all of the old contents or all of the new.

Reading trusts nothing in the file. There is no pickle and no name that is looked up or imported; sizes are
compared with the file's own size before anything is allocated; any bytes give a result, a ValueError that
says what is wrong, or an OSError of the system.
"""

import contextlib
import errno
import hashlib
import json
import os
import re
import stat
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import safetensors
import safetensors.numpy

from mechanet import checks

KEY = "mechanet"  # the one entry in the file's metadata
MAX_HEADER = 16 * 2**20  # bytes of safetensors header; longer lists belong in an array
MAX_NAME = 200  # characters of an array's name
STALE = 3600.0  # seconds after which a temporary file is assumed to be left by a killed writer

DTYPES: dict[str, type[np.generic]] = {
    "F16": np.float16, "F32": np.float32, "F64": np.float64, "C64": np.complex64, "BOOL": np.bool_,
    "I8": np.int8, "I16": np.int16, "I32": np.int32, "I64": np.int64,
    "U8": np.uint8, "U16": np.uint16, "U32": np.uint32, "U64": np.uint64,
}  # fmt: skip


class Disk:
    """Every call that touches the disk, in one place, so that a test can fill the disk or cut its power."""

    def create(self, path: str) -> IO[bytes]:
        return open(path, "xb")  # "x": never into an existing file

    def write(self, file: IO[bytes], data: bytes) -> None:
        file.write(data)

    def sync(self, file: IO[bytes]) -> None:
        file.flush()
        os.fsync(file.fileno())

    def replace(self, old: str, new: str) -> None:
        os.replace(old, new)

    def sync_directory(self, directory: str) -> None:
        if os.name == "nt":
            return  # Windows cannot open a directory; NTFS journals the rename
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EBADF, errno.ENOTSUP):
                raise  # these three: the file system has no such call, so there is nothing to wait for
        finally:
            os.close(descriptor)

    def remove(self, path: str) -> None:
        os.unlink(path)

    def read(self, path: str) -> bytes:
        with open(path, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ValueError("it is not a regular file")
            start = file.read(8)
            _check_size(start, os.fstat(file.fileno()).st_size)
            return start + file.read()


disk = Disk()


# ---------------------------------------------------------------- one file


def write(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], header: Mapping[str, Any]) -> None:
    """Write named arrays and a header to ``path``, whole or not at all.

    Parameters
    ----------
    path
        The target. An existing file is replaced, keeping its permissions; a symbolic link is followed.
    arrays
        Names (printable, 1 to 200 characters) to arrays of any shape, also 0-d and empty, and any memory
        layout; boolean, integer, float16/32/64 or complex64.
    header
        Anything that JSON can hold. Tuples come back as lists; NaN and infinities are kept.

    Raises
    ------
    TypeError, ValueError
        A name, dtype or header that a file cannot hold. Nothing was touched.
    OSError
        The disk is full, the directory read-only, ...; the old file is unchanged.
    """
    data = _encode(arrays, header)
    target = os.path.realpath(os.fspath(path))  # beside the real file: a rename must not cross file systems
    directory = os.path.dirname(target)
    temporary = os.path.join(directory, f".mechanet-{os.urandom(8).hex()}.tmp")
    try:
        with disk.create(temporary) as file:
            if os.path.exists(target):  # a private file stays private, from the first byte on
                os.chmod(temporary, stat.S_IMODE(os.stat(target).st_mode))
            disk.write(file, data)
            disk.sync(file)
        if disk.read(temporary) != data:
            raise OSError(errno.EIO, "what was read back differs from what was written")
        disk.replace(temporary, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            disk.remove(temporary)
        if isinstance(error, OSError):
            why = error.strerror or str(error)
            raise OSError(
                error.errno or errno.EIO,
                f"Could not write {os.fspath(path)}: {why}. What was there before is unchanged. "
                f"Free some space or choose another place, then write again.",
            ) from error
        raise
    disk.sync_directory(directory)


def read(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read what :func:`write` wrote: fresh, writable arrays by name, and the header.

    Raises
    ------
    ValueError
        The file is truncated, damaged, or not one of mechanet's; the text names it and says what is wrong.
    OSError
        There is no such file, it may not be read, ...
    """
    path = os.fspath(path)
    try:
        if not stat.S_ISREG(os.stat(path).st_mode) and not os.path.isdir(path):
            raise ValueError("it is not a regular file")  # opening a pipe would block
        return _decode(disk.read(path))
    except ValueError as error:
        raise ValueError(
            f"{path} cannot be read as a mechanet file: {error}. "
            f"Use another copy of it, or write it again with save()."
        ) from error


# ---------------------------------------------------------------- bytes


def _encode(arrays: Mapping[str, np.ndarray], header: Mapping[str, Any]) -> bytes:
    plain = {name: _plain(name, array) for name, array in arrays.items()}
    if not isinstance(header, Mapping):
        raise TypeError(f"header expects a mapping that JSON can hold. Received: {type(header).__name__}.")
    header = dict(header)
    metadata = {KEY: json.dumps({"header": header, "sha256": _digest(plain, header)})}
    data = safetensors.numpy.save(plain, metadata)
    if int.from_bytes(data[:8], "little") > MAX_HEADER:
        raise ValueError(
            f"header expects at most {MAX_HEADER} bytes. Received: more. Put long lists into an array."
        )
    # safetensors 0.8.0 could silently write wrong bytes: trust only what can be read back.
    _decode(data)
    return data


def _decode(data: bytes) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Bytes of a file to arrays and header, or a ValueError that says why not."""
    _check_size(data[:8], len(data))
    try:
        entries = safetensors.deserialize(data)
    except safetensors.SafetensorError as error:
        raise ValueError(f"its safetensors header is damaged ({error})") from error
    head = _json(data[8 : 8 + int.from_bytes(data[:8], "little")], "its safetensors header")
    arrays = {}
    for name, entry in sorted(entries):
        _check_name(name)
        if entry["dtype"] not in DTYPES:
            raise ValueError(f"array {name!r} has dtype={entry['dtype']}, which is none of {[*DTYPES]}")
        array = np.frombuffer(entry["data"], DTYPES[entry["dtype"]])
        if array.dtype == np.bool_ and array.size and array.view(np.uint8).max() > 1:
            raise ValueError(f"array {name!r} holds truth values that are neither 0 nor 1")
        try:
            arrays[name] = array.reshape(entry["shape"])
        except (ValueError, OverflowError) as error:  # no bytes, and a shape such as (0, 2**64 - 1)
            raise ValueError(f"array {name!r} has a shape that NumPy cannot hold ({error})") from error
    metadata = head.get("__metadata__") or {}
    if set(metadata) != {KEY}:
        raise ValueError(f"its metadata has {sorted(metadata)[:5]} where mechanet writes ['{KEY}']")
    ours = _json(metadata[KEY], "its header")
    header, digest = ours.get("header"), ours.get("sha256")
    if set(ours) != {"header", "sha256"} or not isinstance(header, dict) or not isinstance(digest, str):
        raise ValueError('its header is not {"header": {...}, "sha256": "..."}')
    if digest != _digest(arrays, header):
        raise ValueError("its contents do not match their SHA-256, so the file is damaged")
    return arrays, header


def _check_size(start: bytes, size: int) -> None:
    if len(start) < 8:
        raise ValueError(f"it is truncated: {size} bytes, and the shortest file has more than 8")
    claimed = int.from_bytes(start, "little")
    if claimed > MAX_HEADER:
        raise ValueError(f"it claims a header of {claimed} bytes, more than {MAX_HEADER}")
    if claimed > size - 8:
        raise ValueError(f"it is truncated: its header takes {claimed} bytes and the file has {size}")


def _check_name(name: str) -> None:
    if not isinstance(name, str):
        raise TypeError(f"expected a string as an array's name. Received: {type(name).__name__}.")
    if not (0 < len(name) <= MAX_NAME and name.isprintable()) or name == "__metadata__":
        raise ValueError(f"expected a name of 1 to {MAX_NAME} printable characters. Received: {name[:50]!r}")


def _plain(name: str, array: np.ndarray) -> np.ndarray:
    """The same numbers in C order and little-endian, the one layout that safetensors writes correctly."""
    _check_name(name)
    array = np.asarray(array, order="C")
    if array.dtype.type not in DTYPES.values():
        raise TypeError(
            f"array {name!r} expects boolean, integer, float16/32/64 or complex64 numbers. "
            f"Received: dtype={array.dtype}. Convert it first, for example with .astype('float64')."
        )
    return array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)


def _digest(arrays: Mapping[str, np.ndarray], header: Mapping[str, Any]) -> str:
    digest = hashlib.sha256()
    shapes = [(name, arrays[name].dtype.name, arrays[name].shape) for name in sorted(arrays)]
    digest.update(json.dumps([header, shapes]).encode())
    for name in sorted(arrays):
        digest.update(arrays[name].reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _json(text: str | bytes, what: str) -> dict[str, Any]:
    """A JSON object in which no key appears twice."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise ValueError(f"{what} has the same name twice")
        return dict(pairs)

    try:
        value = json.loads(text, object_pairs_hook=unique)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{what} is not JSON ({error})") from error
    if not isinstance(value, dict):
        raise ValueError(f"{what} is not a JSON object")
    return value


# ---------------------------------------------------------------- a directory of checkpoints


class CheckpointFiles:
    """The last few checkpoints of a run in a directory, one file each; if the newest is damaged, the next is used.

    Parameters
    ----------
    directory
        Where the checkpoints are; made if it is missing.
    keep
        How many to keep, at least 1. With 2 or more, a damaged newest one does not lose the run.
    """

    NAME = re.compile(r"checkpoint-\d{12,}\.safetensors")

    def __init__(self, directory: str | os.PathLike[str], keep: int = 3) -> None:
        self.directory = Path(directory).absolute()
        self.keep = checks.integer("keep", keep)

    def paths(self) -> list[Path]:
        """The files, oldest first."""
        found = self.directory.iterdir() if self.directory.is_dir() else iter(())
        matching = (path for path in found if self.NAME.fullmatch(path.name))
        return sorted(matching, key=lambda path: (len(path.name), path.name))

    def save(self, arrays: Mapping[str, np.ndarray], header: Mapping[str, Any], step: int) -> Path:
        """Write the checkpoint of ``step`` (counted from 0), then remove all but the last ``keep``."""
        step = checks.integer("step", step, 0)
        missing = [place for place in (self.directory, *self.directory.parents) if not place.exists()]
        self.directory.mkdir(parents=True, exist_ok=True)
        for place in missing:
            disk.sync_directory(str(place.parent))
        path = self.directory / f"checkpoint-{step:012d}.safetensors"
        write(path, arrays, header)
        self._rotate(path)
        return path

    def newest(self) -> tuple[dict[str, np.ndarray], dict[str, Any], Path, list[str]]:
        """The newest checkpoint that can be read: arrays, header, its path, and why newer ones were refused.

        Raises
        ------
        FileNotFoundError
            The directory holds no checkpoint.
        ValueError
            It holds checkpoints, and none can be read; the text gives each one's reason.
        """
        damaged: list[str] = []
        for path in reversed(self.paths()):
            try:
                arrays, header = read(path)
            except (ValueError, OSError) as error:
                damaged.append(str(error))
            else:
                return arrays, header, path, damaged
        if damaged:
            raise ValueError(f"No checkpoint in {self.directory} can be read: " + " ".join(damaged))
        raise FileNotFoundError(f"There is no checkpoint in {self.directory}. Start the run without resuming.")

    def _rotate(self, newest: Path) -> None:
        """Remove all but the last ``keep``, never the newest, and what killed writers left behind."""
        old = [path for path in self.paths() if path != newest][::-1][self.keep - 1 :]
        for path in [*old, *self._stale()]:
            with contextlib.suppress(OSError):  # one file too many does no harm
                disk.remove(str(path))

    def _stale(self) -> Iterator[Path]:
        for path in self.directory.glob(".mechanet-*.tmp"):
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < time.time() - STALE:
                    yield path
