"""`load` by name and path, the bundled digits, folders of IDX files, toy planes."""

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mechanet import datasets
from mechanet.datasets import Split
from mechanet.datasets.idx import pack_idx, read_idx
from mechanet.datasets.make_digits import BUNDLED, make, stratified_rows

MNIST = Path(__file__).parents[3] / "shared" / "data" / "mnist"
needs_mnist = pytest.mark.skipif(not MNIST.is_dir(), reason=f"the full MNIST is not at {MNIST}")

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (5, 28, 28), np.uint8)
LABELS = np.array([4, 1, 1, 0, 9], np.uint8)


def test_bundled_digits():
    digits = datasets.load("digits")
    assert repr(digits.train) == "Split(x=(10000, 784) uint8, y=(10000,) int64)"
    assert repr(digits.test) == "Split(x=(2000, 784) uint8, y=(2000,) int64)"
    assert digits.image_shape == (28, 28)
    assert digits.classes == tuple("0123456789")
    assert "CC BY-SA 3.0" in digits.licence
    assert "LeCun" in digits.source
    # each digit's share of MNIST's published counts, to the row
    assert np.bincount(digits.train.y).tolist() == [987, 1124, 993, 1022, 974, 904, 986, 1044, 975, 991]
    assert np.bincount(digits.test.y).tolist() == [196, 227, 206, 202, 196, 178, 192, 206, 195, 202]
    assert digits.train.x.flags.writeable


def test_bundled_files_are_small_and_say_where_they_come_from():
    assert sum(file.stat().st_size for file in BUNDLED.iterdir()) < 2_000_000
    text = (BUNDLED / "README.md").read_text(encoding="utf-8")
    for fact in ("Yann LeCun and Corinna Cortes", "CC BY-SA 3.0", "creativecommons.org/licenses/by-sa/3.0"):
        assert fact in text


@needs_mnist
def test_bundled_digits_are_what_the_script_makes(tmp_path):
    make(MNIST, tmp_path)
    for made in tmp_path.iterdir():
        assert np.array_equal(read_idx(made), read_idx(BUNDLED / made.name)), made.name


@needs_mnist
def test_bundled_rows_come_from_the_set_of_their_name():
    for part in ("train", "t10k"):
        whole = {row.tobytes() for row in read_idx(MNIST / f"{part}-images-idx3-ubyte.gz")}
        sample = read_idx(BUNDLED / f"{part}-images-idx3-ubyte.gz")
        assert all(row.tobytes() in whole for row in sample)


def test_stratified_rows():
    # 6 zeros and 4 ones; 5 rows: shares 3 and 2; by hand: zeros at ⌊(i+½)·6/3⌋ = 1, 3, 5, ones at 1, 3
    labels = np.array([0, 0, 0, 1, 1, 0, 0, 1, 0, 1])
    assert stratified_rows(labels, 5).tolist() == [1, 4, 5, 8, 9]
    # 3 of each of 3 classes; 4 rows: one each, and the one left to the first of equal remainders
    assert np.bincount(np.repeat([0, 1, 2], 3)[stratified_rows(np.repeat([0, 1, 2], 3), 4)]).tolist() == [
        2,
        1,
        1,
    ]


@pytest.fixture
def folder(tmp_path):
    """A folder of MNIST's kind, named in two ways, one file compressed."""
    (tmp_path / "train-images-idx3-ubyte").write_bytes(pack_idx(IMAGES))
    (tmp_path / "train-labels.idx1-ubyte").write_bytes(pack_idx(LABELS))
    (tmp_path / "t10k-images.idx3-ubyte.gz").write_bytes(gzip.compress(pack_idx(IMAGES[:2])))
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(pack_idx(LABELS[:2])))
    return tmp_path


def test_idx_folder(folder):
    for path in (folder, str(folder)):
        set_ = datasets.load(path)
        assert np.array_equal(set_.train.x, IMAGES.reshape(5, 784))
        assert set_.train.y.tolist() == [4, 1, 1, 0, 9]
        assert set_.train.y.dtype == np.int64
        assert set_.test.y.tolist() == [4, 1]
        assert (set_.name, set_.image_shape, set_.classes) == (folder.name, (28, 28), None)


def test_idx_folder_with_one_part(folder):
    (folder / "t10k-images.idx3-ubyte.gz").unlink()
    assert datasets.load(folder).test is None
    (folder / "t10k-images.idx3-ubyte.gz").write_bytes(gzip.compress(pack_idx(IMAGES[:2])))
    (folder / "train-images-idx3-ubyte").unlink()
    assert datasets.load(folder).train is None
    assert len(datasets.load(folder).test) == 2


def test_idx_images_alone_are_rows_to_predict(folder):
    set_ = datasets.load(folder / "t10k-images.idx3-ubyte.gz")
    assert set_.train is None
    assert set_.test.y is None
    assert np.array_equal(set_.test.x, IMAGES[:2].reshape(2, 784))


def test_idx_folder_whose_files_do_not_fit(folder):
    (folder / "train-labels.idx1-ubyte").write_bytes(pack_idx(LABELS[:3]))
    with pytest.raises(ValueError, match="expected 5 labels, as many as images. Received: 3"):
        datasets.load(folder)
    (folder / "train-labels.idx1-ubyte").write_bytes(pack_idx(IMAGES))
    with pytest.raises(
        ValueError, match=r"expected labels, IDX bytes in 1 dimension. Received: uint8 .* \(5, 28, 28\)"
    ):
        datasets.load(folder)
    (folder / "train-labels.idx1-ubyte").unlink()
    with pytest.raises(ValueError, match=r"expected train-labels-idx1-ubyte .* beside train-images-idx3-ubyte"):
        datasets.load(folder)
    with pytest.raises(ValueError, match="expected images, IDX bytes in 3 dimensions"):
        datasets.load(folder / "t10k-labels-idx1-ubyte.gz")
    (folder / "train-labels-idx1-ubyte").write_bytes(pack_idx(LABELS))
    (folder / "t10k-images-idx3-ubyte").write_bytes(pack_idx(IMAGES[:2, :20]))
    with pytest.raises(ValueError, match=r"expected test images of the size .* \(28, 28\). Received: \(20, 28\)"):
        datasets.load(folder)


@needs_mnist
def test_a_folder_of_mnist_is_recognised():
    mnist = datasets.load(MNIST)
    assert (mnist.name, mnist.classes) == ("mnist", tuple("0123456789"))


def test_unknown_name_or_option():
    with pytest.raises(
        ValueError, match=r"expected .* one of digits, mnist, .* existing file or folder. Received: 'digit'"
    ):
        datasets.load("digit")
    with pytest.raises(TypeError, match=r"expected name_or_path to be a name .* or a path. Received: int"):
        datasets.load(3)
    with pytest.raises(
        TypeError, match="options of 'moons' to be among: n, noise, seed, test_fraction. Received: classes=3"
    ):
        datasets.load("moons", classes=3)
    with pytest.raises(TypeError, match="options of 'digits' to be among: none. Received: n=5"):
        datasets.load("digits", n=5)


def test_rows_and_labels_of_different_length():
    with pytest.raises(
        ValueError, match=r"one label for each row of x. Received: 2 rows and labels of shape \(3,\)"
    ):
        Split(np.zeros((2, 4)), np.zeros(3, int))
    with pytest.raises(ValueError, match=r"at least one row of x.*Received: x\.shape=\(0, 4\)"):
        Split(np.zeros((0, 4)), None)


@pytest.mark.parametrize("name", ["spiral", "moons", "circles", "xor"])
def test_planes(name):
    set_ = datasets.load(name, n=500, noise=0.0, seed=3)
    assert (len(set_.train), len(set_.test)) == (400, 100)
    assert (set_.train.x.dtype, set_.train.y.dtype, set_.train.x.shape[1]) == (np.float32, np.int64, 2)
    x, y = np.concatenate([set_.train.x, set_.test.x]), np.concatenate([set_.train.y, set_.test.y])
    counts = np.bincount(y)
    assert counts.max() - counts.min() <= 1
    assert len(counts) == len(set_.classes)
    again = datasets.load(name, n=500, noise=0.0, seed=3)
    assert np.array_equal(again.train.x, set_.train.x)
    assert not np.array_equal(datasets.load(name, n=500, noise=0.0, seed=4).train.x, set_.train.x)
    # without noise the points lie where the formula says
    r, angle = np.hypot(*x.T), np.arctan2(x[:, 0], x[:, 1])
    if name == "spiral":
        turns = (angle / (2 * np.pi) - r - y / 3) % 1
        assert np.minimum(turns, 1 - turns).max() < 1e-5
    elif name == "circles":
        assert r == pytest.approx((y + 1) / 2, abs=1e-6)
    elif name == "xor":
        assert np.array_equal(y == 1, x[:, 0] * x[:, 1] < 0)
    else:
        upper, lower = x[y == 0], x[y == 1]
        assert np.hypot(*upper.T) == pytest.approx(np.ones(len(upper)), abs=1e-6)
        assert np.hypot(lower[:, 0] - 1, lower[:, 1] - 0.5) == pytest.approx(np.ones(len(lower)), abs=1e-6)
        assert upper[:, 1].min() >= 0
        assert lower[:, 1].max() <= 0.5


def test_noise_has_the_size_it_says():
    clean, noisy = (datasets.xor(n=20_000, noise=noise, seed=1, test_fraction=0).train.x for noise in (0.0, 0.3))
    assert (noisy - clean).std() == pytest.approx(0.3, rel=0.02)


def test_more_classes():
    assert datasets.spiral(classes=5).classes == tuple("01234")
    assert datasets.circles(classes=4, noise=0).train.y.max() == 3


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"n": 1}, ValueError, "n expects an integer of at least 3. Received: n=1"),
        ({"n": 0}, ValueError, "Received: n=0"),
        ({"n": -5}, ValueError, "Received: n=-5"),
        ({"n": 10.0}, TypeError, "n expects an integer. Received: n=10.0"),
        ({"n": True}, TypeError, "n expects an integer. Received: n=True"),
        ({"classes": 1}, ValueError, "classes expects an integer of at least 2. Received: classes=1"),
        ({"noise": -0.1}, ValueError, "noise expects a finite number of at least 0. Received: noise=-0.1"),
        ({"noise": float("nan")}, ValueError, "Received: noise=nan"),
        ({"noise": "much"}, TypeError, "noise expects a number. Received: noise='much'"),
        ({"seed": -1}, ValueError, "seed expects an integer of at least 0. Received: seed=-1"),
        ({"test_fraction": 1.0}, ValueError, r"test_fraction expects a number in \[0, 1\). Received: test_fraction=1.0"),
    ],
)
def test_planes_refuse(options, error, text):
    with pytest.raises(error, match=text):
        datasets.spiral(**options)


def test_import_loads_no_optional_package():
    script = (
        "import sys, mechanet.datasets as d; d.load('digits'); d.load('spiral')\n"
        "print(sorted({'PIL', 'pooch', 'requests', 'rich', 'pandas', 'matplotlib'} & set(sys.modules)))"
    )
    source = str(Path(datasets.__file__).parents[2])
    done = subprocess.run([sys.executable, "-c", f"import sys; sys.path.insert(0, {source!r})\n" + script],
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert done.stdout.strip() == "[]"
