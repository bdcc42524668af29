"""The IDX format of MNIST's files: a magic number, the sizes, then the values, all big-endian.

    byte 0, 1   zero
    byte 2      the type of a value        0x08 is an unsigned byte
    byte 3      the number of dimensions   3 for images (n, rows, columns), 1 for labels (n,)
    4 each      the size of each dimension, unsigned

Source: Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits", section
"File formats for the MNIST database".
"""

import gzip
import io
import math
import os
import struct
import zlib
from pathlib import Path

import numpy as np

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}

# The longest match of DEFLATE, 258 bytes, can cost as little as two bits: no gzip file holds more than
# 1032 times its own size, so a header that claims more is known to be wrong before anything is allocated.
MOST_COMPRESSED = 1032

LARGEST = 2**31  # bytes; every MNIST-like set is below 0.7 GB


def read_idx(path, *, largest=LARGEST):
    """Read one IDX file, plain or compressed with gzip.

    Parameters
    ----------
    path : str or path-like
        The file. Whether it is compressed is read from its first bytes, not from its name.
    largest : int
        The largest number of bytes of values to accept, whatever the header says.

    Returns
    -------
    numpy.ndarray
        Of the shape and type that the header names, in the machine's byte order.

    Raises
    ------
    ValueError
        The file is not IDX, its header and its length disagree, or it holds more than `largest` bytes.
    OSError
        The file cannot be read.

    Examples
    --------
    >>> _ = Path("three-idx1-ubyte").write_bytes(pack_idx(np.array([5, 0, 4], dtype="uint8")))
    >>> read_idx("three-idx1-ubyte")
    array([5, 0, 4], dtype=uint8)
    """
    path = Path(path)
    with open(path, "rb") as file:
        on_disk = os.fstat(file.fileno()).st_size
        compressed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not compressed:
            return _read(file, path, capacity=on_disk, largest=largest)
        with gzip.open(file) as expanded:
            try:
                return _read(expanded, path, capacity=on_disk * MOST_COMPRESSED, largest=largest)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise ValueError(
                    f"{path}: expected a whole gzip file. Received: a damaged one ({error})."
                ) from error


def pack_idx(values):
    """The bytes of an uncompressed IDX file that holds the uint8 array `values`."""
    return pack_header(values) + values.tobytes()


def pack_header(values):
    """The header of an IDX file that holds the uint8 array `values`."""
    return struct.pack(f">4B{values.ndim}I", 0, 0, 0x08, values.ndim, *values.shape)


def _read(file: io.BufferedIOBase, path: Path, *, capacity: int, largest: int) -> np.ndarray:
    """Read header and values from a stream that can hold at most `capacity` bytes."""
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in TYPES or magic[3] == 0:
        raise ValueError(
            f"{path}: expected an IDX file, which begins with 0, 0, a type "
            f"({', '.join(f'0x{code:02x}' for code in TYPES)}) and the number of dimensions. "
            f"Received: {magic.hex(' ') or 'an empty file'}."
        )
    dimensions = magic[3]
    sizes = file.read(4 * dimensions)
    if len(sizes) < 4 * dimensions:
        raise ValueError(
            f"{path}: expected {dimensions} sizes of 4 bytes in the IDX header. Received: {len(sizes)} bytes."
        )
    shape = struct.unpack(f">{dimensions}I", sizes)
    dtype = np.dtype(TYPES[magic[2]])
    wanted = math.prod(shape) * dtype.itemsize
    if dimensions > 8 or 0 in shape:  # a size is unsigned: a negative one reads as 2**31 or more
        raise ValueError(f"{path}: expected an IDX header of up to 8 sizes, each at least 1. Received: {shape}.")
    if wanted > min(capacity, largest):
        bound = "the limit" if largest < capacity else "all that a file of this size can hold"
        raise ValueError(
            f"{path}: expected at most {min(capacity, largest):,} bytes of values, {bound}. "
            f"Received: an IDX header that claims shape {shape}, {wanted:,} bytes."
        )
    values = np.empty(shape, dtype)
    received = _fill(file, values)
    if received < wanted:
        raise ValueError(
            f"{path}: expected {wanted:,} bytes of values, for shape {shape} in the IDX header. Received: only "
            f"{received:,} bytes. The file is truncated, or its header is wrong."
        )
    if file.read(1):
        raise ValueError(
            f"{path}: expected {wanted:,} bytes of values, for shape {shape} in the IDX header. Received: more."
        )
    return values.astype(dtype.newbyteorder("="), copy=False)


def _fill(file: io.BufferedIOBase, values: np.ndarray) -> int:
    """Read into `values` until it is full or the file ends; the number of bytes read."""
    view = values.reshape(-1).view(np.uint8).data
    received = 0
    while received < len(view):
        count = file.readinto(view[received : received + 2**20])
        if not count:
            break
        received += count
    return received
