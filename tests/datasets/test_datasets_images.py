"""Pictures of digits: what goes in differs, what comes out is always MNIST's form."""

import io
import struct
import sys
import tracemalloc
import zlib

import numpy as np
import pytest

from mechanet import datasets
from mechanet.datasets import read_image

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed (the extra `plots`)")

DIGITS = datasets.load("digits")


def save(grey, path, mode="L", **options):
    Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)).convert(mode).save(path, **options)
    return path


@pytest.fixture
def png(tmp_path):
    return lambda grey, **options: save(grey, tmp_path / "digit.png", **options)


def large(pixels, side=280):
    """A digit of MNIST drawn large, 0 for the background."""
    image = Image.fromarray(pixels.reshape(28, 28))
    return np.asarray(image.resize((side, side), Image.Resampling.BICUBIC))


def alike(received, expected):
    """The correlation of two images, the best over shifts by one pixel: MNIST's own rounding is not known."""
    shifted = [np.roll(expected.reshape(28, 28), (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    return max(np.corrcoef(received.astype(float), s.reshape(-1).astype(float))[0, 1] for s in shifted)


def test_mnists_own_form_comes_back_pixel_by_pixel(png):
    for pixels in DIGITS.test.x[:100]:
        for grey in (pixels, 255 - pixels):
            received = read_image(png(grey.reshape(28, 28)))
            assert (received.shape, received.dtype) == ((784,), np.uint8)
            assert np.array_equal(received, pixels)


def test_a_square_by_hand(png):
    """A black square of 50x50 on white, off centre: 20x20 of full ink, its centre of mass at the centre."""
    grey = np.full((200, 300), 255)
    grey[20:70, 30:80] = 0
    expected = np.zeros((28, 28), np.uint8)
    expected[4:24, 4:24] = 255  # rows 4..23: the mean is 13.5, as near to 14 as whole pixels allow with 4.5
    received = read_image(png(grey)).reshape(28, 28)
    assert received.max() == 255
    assert abs(np.argwhere(received > 128).mean(axis=0) - 14).max() <= 0.5
    rows, columns = (np.flatnonzero((received > 128).any(axis=axis)) for axis in (1, 0))
    assert (len(rows), len(columns)) == (20, 20)
    assert (received > 128).sum() == (expected > 128).sum() == 400


def test_proportions_are_kept(png):
    grey = np.zeros((100, 100))
    grey[10:90, 40:50] = 255  # 80 x 10
    received = read_image(png(grey)).reshape(28, 28)
    assert np.flatnonzero(received.max(axis=1) > 128).size == 20
    assert 2 <= np.flatnonzero(received.max(axis=0) > 128).size <= 3


def test_a_heavy_side_is_put_at_the_centre(png):
    """Centred by mass and not by extent: the centre of mass of MNIST's images is (14, 14) to half a pixel."""
    grey = np.zeros((100, 100))
    grey[20:80, 20:50] = 255
    grey[60:80, 20:80] = 255
    received = read_image(png(grey)).reshape(28, 28).astype(float)
    for axis in (0, 1):
        assert received.sum(axis=1 - axis) @ np.arange(28) / received.sum() == pytest.approx(14, abs=0.6)


@pytest.mark.parametrize("row", range(20))
def test_drawn_large_off_centre_inverted_photographed(png, tmp_path, row):
    pixels = DIGITS.test.x[row]
    drawn = large(pixels).astype(float)
    page = np.full((400, 500), 255.0)
    page[20:300, 200:480] -= drawn
    assert alike(read_image(png(page)), pixels) > 0.9
    assert alike(read_image(png(255 - page, mode="RGB")), pixels) > 0.9
    noise = np.random.default_rng(row).normal(0, 4, page.shape)
    shaded = 130 + page * 80 / 255 + np.linspace(-25, 25, 500) + np.linspace(-10, 10, 400)[:, None] + noise
    photo = save(shaded, tmp_path / "digit.jpg", quality=80)
    assert alike(read_image(photo), pixels) > 0.9


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
def test_a_ground_that_is_shaded_evenly_is_as_one_that_is_not(png, turn):
    """From 0 at one side to 178 at the other, 2 a pixel: without rounding, so what is left is the digit, to the bit."""
    digit = np.zeros((90, 90))
    digit[20:70, 10:30] = digit[60:70, 10:60] = 60
    shade = np.rot90(np.tile(2.0 * np.arange(90), (90, 1)), turn)
    np.testing.assert_array_equal(read_image(png(digit + shade)), read_image(png(digit)))


def test_transparent_ground(tmp_path):
    pixels = DIGITS.test.x[0]
    for shade in (0, 255):  # black ink, white ink; the ground has a colour that must not count
        rgba = np.full((280, 280, 4), shade, np.uint8)
        rgba[..., 3] = large(pixels)
        Image.fromarray(rgba).save(tmp_path / "digit.png")
        assert alike(read_image(tmp_path / "digit.png"), pixels) > 0.9


def test_sixteen_bits(tmp_path):
    deep = (255 - large(DIGITS.test.x[0])).astype(np.uint16) * 257
    Image.fromarray(deep).save(tmp_path / "digit.png")
    assert alike(read_image(tmp_path / "digit.png"), DIGITS.test.x[0]) > 0.9


def test_turned_as_the_camera_says(tmp_path):
    upright = 255 - large(DIGITS.test.x[0])
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held so that the picture must be turned a quarter to the right
    save(np.rot90(upright), tmp_path / "digit.jpg", exif=exif)
    assert alike(read_image(tmp_path / "digit.jpg"), DIGITS.test.x[0]) > 0.9


def test_open_file(png):
    with open(png(DIGITS.test.x[0].reshape(28, 28)), "rb") as file:
        assert np.array_equal(read_image(file), DIGITS.test.x[0])


def test_blank(png):
    for grey in (np.zeros((28, 28)), np.full((50, 50), 255), np.full((50, 50), 130)):
        with pytest.raises(
            ValueError, match=r"digit\.png: expected a digit that stands out .* \(contrast 0 of 255\)"
        ):
            read_image(png(grey))


def test_not_an_image(tmp_path):
    path = tmp_path / "digit.png"
    path.write_bytes(b"label,pixel0\n")
    with pytest.raises(ValueError, match=r"digit\.png: expected a PNG or JPEG image. Received: something else"):
        read_image(path)
    Image.new("L", (5, 5)).save(path, "GIF")
    with pytest.raises(ValueError, match="expected a PNG or JPEG image"):
        read_image(path)
    with pytest.raises(FileNotFoundError):
        read_image(tmp_path / "nothing.png")


def test_damaged(png):
    path = png(255 - large(DIGITS.test.x[0]))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="expected a whole PNG or JPEG image. Received: a damaged one"):
        read_image(path)


@pytest.mark.parametrize("side", [8_000, 12_000, 60_000])
def test_decompression_bomb_takes_no_memory(tmp_path, side):
    """A small PNG that claims 64 million pixels, or 144 (where Pillow warns), or 3,600 (where it raises)."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">2I5B", side, side, 8, 0, 0, 0, 0)
    path = tmp_path / "bomb.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(10**6)))
        + chunk(b"IEND", b"")
    )
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"bomb\.png: expected an image of at most 50,000,000 pixels. Received: "):
        read_image(path)
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()


def test_any_bytes_give_a_result_or_a_value_error():
    rng = np.random.default_rng(2)
    whole = []
    for kind in ("PNG", "JPEG"):
        whole.append(io.BytesIO())
        Image.fromarray(255 - large(DIGITS.test.x[0], 56)).save(whole[-1], kind)
    for _ in range(300):
        content = bytearray(whole[rng.integers(2)].getvalue())
        for place in rng.integers(0, len(content), rng.integers(1, 8)):
            content[place] = rng.integers(256)
        try:
            received = read_image(io.BytesIO(bytes(content)))
        except ValueError:
            continue
        assert received.shape == (784,)


def test_without_pillow_the_error_names_the_extra(png, monkeypatch):
    path = png(np.eye(28) * 255)
    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(ImportError, match=r'reading images needs Pillow: pip install "mechanet\[plots\]"'):
        read_image(path)
