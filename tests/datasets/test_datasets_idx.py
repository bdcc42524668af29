"""IDX files: the format as LeCun's page describes it, and every way in which a file can lie."""

import gzip
import re
import struct
import tracemalloc
import zlib
from contextlib import suppress

import numpy as np
import pytest

from mechanet.datasets.idx import pack_idx, read_idx


@pytest.fixture
def write(tmp_path):
    def write(content, name="t-idx3-ubyte"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


def refused(path, text, **options):
    with pytest.raises(ValueError, match=text) as caught:
        read_idx(path, **options)
    assert str(caught.value).startswith(f"{path}: "), "the error names the file"


# 2 images of 2 x 3 pixels, written out byte by byte
IMAGES = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 255])


def test_reads_what_the_bytes_say(write):
    images = read_idx(write(IMAGES))
    assert images.dtype == np.uint8
    assert images.tolist() == [[[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [10, 11, 255]]]
    labels = read_idx(write(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 0, 9])))
    assert labels.tolist() == [7, 0, 9]


def test_gzip_is_told_by_content_not_by_name(write):
    for name in ("plain-name", "name.gz"):
        assert read_idx(write(gzip.compress(IMAGES), name)).shape == (2, 2, 3)
        assert read_idx(write(IMAGES, name)).shape == (2, 2, 3)


@pytest.mark.parametrize(
    ("code", "letter", "values"),
    [(0x09, "b", [-128, 127]), (0x0B, "h", [-2, 300]), (0x0C, "i", [-70000, 5]),
     (0x0D, "f", [0.5, -2.0]), (0x0E, "d", [1e300, -0.1])],
)  # fmt: skip
def test_every_type_of_value_is_big_endian(write, code, letter, values):
    read = read_idx(write(struct.pack(f">4BI2{letter}", 0, 0, code, 1, 2, *values)))
    assert read.tolist() == values
    assert read.dtype.isnative


def test_pack_is_the_inverse(write):
    values = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    assert np.array_equal(read_idx(write(pack_idx(values))), values)


def test_file_that_is_not_idx(write):
    refused(write(b""), "expected an IDX file.*Received: an empty file")
    refused(write(b"\0\0\x08"), "Received: 00 00 08")
    refused(write(b"label,pixel0\n"), "Received: 6c 61 62 65")
    refused(write(b"\0\0\x07\x01\0\0\0\1\0"), "Received: 00 00 07 01")  # no such type
    refused(write(b"\0\0\x08\x00"), "Received: 00 00 08 00")  # no dimensions


def test_truncated_header(write):
    refused(write(IMAGES[:10]), "expected 3 sizes of 4 bytes in the IDX header. Received: 6 bytes")


def test_truncated_values(write):
    # the file is too short for what its header claims: known from its size
    claim = re.escape("expected 12 bytes of values, for shape (2, 2, 3) in the IDX header. Received: only ")
    refused(write(IMAGES[:-1]), claim + "11 bytes. The file is truncated, or its header is wrong.")
    refused(write(gzip.compress(IMAGES[:16])), claim + "0 bytes. The file is truncated, or its header is wrong.")


def test_trailing_bytes(write):
    refused(write(IMAGES + b"\0"), re.escape("12 bytes of values, for shape (2, 2, 3) in the IDX header. Received: more."))
    refused(write(gzip.compress(IMAGES + b"\0")), "12 bytes of values, .* Received: more")


@pytest.mark.parametrize("size", [2**32 - 1, 2**31])  # -1 and the lowest, had they been signed
def test_negative_or_huge_sizes_are_refused_before_memory_is_taken(write, size):
    header = struct.pack(">4B3I", 0, 0, 8, 3, size, 28, 28)
    tracemalloc.start()
    for content in (header + bytes(100), gzip.compress(header + bytes(100))):
        refused(
            write(content),
            re.escape(f"Received: an IDX header that claims shape ({size}, 28, 28), {size * 784:,} bytes."),
        )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_zero_sizes_and_too_many_dimensions(write):
    refused(write(struct.pack(">4B3I", 0, 0, 8, 3, 0, 28, 28)), re.escape("each at least 1. Received: (0, 28, 28)"))
    refused(write(struct.pack(">4B9I", 0, 0, 8, 9, *[1] * 9) + b"\0"), "up to 8 sizes")


def test_limit(write):
    refused(write(IMAGES), "expected at most 11 bytes of values, the limit. Received: .* 12 bytes", largest=11)
    assert read_idx(write(IMAGES), largest=12).size == 12


def test_gzip_bomb_stops_at_the_header(write):
    """A small file that holds as much as its header claims, too much; one that holds more than it claims."""
    sly = write(gzip.compress(struct.pack(">4BI", 0, 0, 8, 1, 10) + bytes(10**8)), "sly")
    honest = zlib.compressobj(9, wbits=31)
    bomb = honest.compress(struct.pack(">4B3I", 0, 0, 8, 3, 128, 1024, 1024))
    for _ in range(128):
        bomb += honest.compress(bytes(2**20))
    bomb += honest.flush()
    assert len(bomb) < 200_000
    tracemalloc.start()
    refused(
        write(bomb, "honest"),
        "expected at most 1,000,000 bytes of values, the limit. Received: .* shape .128, 1024, 1024., 134,217,728 bytes",
        largest=1_000_000,
    )
    refused(sly, "10 bytes of values, .* Received: more")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_a_gzip_file_cannot_hold_more_than_deflate_allows(write):
    packed = gzip.compress(struct.pack(">4B3I", 0, 0, 8, 3, 60000, 28, 28))
    refused(write(packed), f"expected at most {len(packed) * 1032:,} bytes of values, all that .* size can hold. Received: .* 47,040,000 bytes")


def test_damaged_gzip(write):
    whole = gzip.compress(struct.pack(">4BI", 0, 0, 8, 1, 5000) + np.random.default_rng(0).bytes(5000))
    refused(write(whole[:2000]), "expected a whole gzip file. Received: a damaged one")
    refused(write(whole[:-1]), "expected a whole gzip file. Received: a damaged one")
    flipped = bytearray(whole)
    flipped[2500] ^= 1
    refused(write(bytes(flipped)), "expected a whole gzip file. Received: a damaged one")  # the checksum tells
    refused(write(b"\x1f\x8b"), "expected a whole gzip file. Received: a damaged one")
    refused(write(whole + b"junk"), "expected a whole gzip file. Received: a damaged one")


def test_missing_file_and_folder_are_os_errors(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_idx(tmp_path / "nothing")
    with pytest.raises(IsADirectoryError):
        read_idx(tmp_path)


def test_any_bytes_give_a_result_or_a_value_error(write):
    rng = np.random.default_rng(6)
    for _ in range(500):
        content = bytearray(IMAGES if rng.random() < 0.5 else gzip.compress(IMAGES))
        for place in rng.integers(0, len(content), rng.integers(1, 4)):
            content[place] = rng.integers(256)
        with suppress(ValueError):
            read_idx(write(bytes(content[: rng.integers(0, len(content) + 1)])))
