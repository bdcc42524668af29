"""CSV files: Kaggle's digit-recognizer, other exports of MNIST, any table; and what is wrong, by its line."""

import re
import warnings
from contextlib import suppress

import numpy as np
import pytest

from mechanet import datasets
from mechanet.datasets.csv import read_csv

HEADER = "label," + ",".join(f"pixel{i}" for i in range(784))
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (5, 784), dtype=np.uint8)
DIGITS = [3, 0, 9, 9, 1]


def row(pixels, label=None):
    return ",".join(map(str, ([] if label is None else [label]) + pixels.tolist()))


@pytest.fixture
def write(tmp_path):
    def write(text, name="table.csv"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8", newline="")
        return path

    return write


@pytest.fixture
def refused(write):
    def refused(text, message, **options):
        path = write(text)
        with pytest.raises(ValueError, match=re.escape(message)) as caught:
            read_csv(path, **options)
        assert str(caught.value).startswith(str(path)), "the error names the file"

    return refused


def kaggle(newline="\n"):
    return newline.join([HEADER, *map(row, PIXELS, DIGITS)]) + newline


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_kaggle_train(write, newline):
    set_ = datasets.load(write(kaggle(newline), "train.csv"))
    assert set_.train.x.dtype == np.uint8
    assert np.array_equal(set_.train.x, PIXELS)
    assert set_.train.y.dtype == np.int64
    assert set_.train.y.tolist() == DIGITS
    assert (set_.test, set_.image_shape, set_.name) == (None, (28, 28), "train.csv")
    assert set_.classes == tuple("0123456789")


def test_kaggle_test_is_unlabelled(write):
    text = "\n".join([HEADER.removeprefix("label,"), *map(row, PIXELS)])
    set_ = datasets.load(write(text, "test.csv"))
    assert set_.train is None
    assert set_.test.y is None
    assert np.array_equal(set_.test.x, PIXELS)


def test_folder_with_both(write, tmp_path):
    write(kaggle(), "train.csv")
    write("\n".join([HEADER.removeprefix("label,"), *map(row, PIXELS[:2])]), "test.csv")
    write("ImageId,Label\n1,0\n", "sample_submission.csv")
    set_ = datasets.load(tmp_path)
    assert (len(set_.train), len(set_.test)) == (5, 2)
    assert set_.test.y is None
    assert set_.name == tmp_path.name


def test_without_names_the_width_tells(write):
    labelled = read_csv(write("\n".join(map(row, PIXELS, DIGITS))))
    assert labelled.labels.tolist() == DIGITS
    assert np.array_equal(labelled.x, PIXELS)
    bare = read_csv(write("\n".join(map(row, PIXELS))))
    assert bare.labels is None
    assert np.array_equal(bare.x, PIXELS)


def test_other_spellings_are_the_same_numbers(write):
    """Quoted, with a byte order mark, with blank lines, label last, pixels as floats."""
    fields = [f'"{p}.0"' for p in PIXELS[0].tolist()]
    text = "\ufeff" + HEADER.removeprefix("label,") + ",label\n\n" + ",".join(fields) + ',"7"\n\n'
    table = read_csv(write(text))
    assert table.x.dtype == np.uint8
    assert np.array_equal(table.x, PIXELS[:1])
    assert table.labels.tolist() == [7]
    assert table.columns[0] == "pixel0"


def test_any_table_of_numbers(write):
    set_ = datasets.load(write("height,Target,width\n1.5,0,-2\n3e2,1,4\n"))
    assert set_.train.x.tolist() == [[1.5, -2.0], [300.0, 4.0]]
    assert set_.train.x.dtype == np.float64
    assert set_.train.y.tolist() == [0, 1]
    assert (set_.image_shape, set_.classes) == (None, None)


def test_labels_as_text_become_codes_in_alphabetical_order(write, tmp_path):
    write("a,species\n1,rose\n2,iris\n3,rose\n", "train.csv")
    write("a,species\n4,iris\n", "test.csv")
    set_ = datasets.load(tmp_path, label="species")
    assert set_.classes == ("iris", "rose")
    assert set_.train.y.tolist() == [1, 0, 1]
    assert set_.test.y.tolist() == [0]
    write("a,species\n4,tulip\n", "test.csv")
    with pytest.raises(ValueError, match="expected labels that occur in the training rows. Received: 'tulip'"):
        datasets.load(tmp_path, label="species")


def test_folder_whose_rows_to_test_have_no_such_column(write, tmp_path):
    write("a,species\n1,rose\n2,iris\n", "train.csv")
    write("a\n4\n", "test.csv")
    assert datasets.load(tmp_path, label="species").test.y is None


def test_infinity_is_a_name_and_no_number(write):
    set_ = datasets.load(write("a,label\n1,0\n2,inf\n"))
    assert set_.classes == ("0", "inf")


def test_values_to_regress_on_stay_floats(write):
    assert read_csv(write("a,y\n1,0.5\n2,3\n")).labels.tolist() == [0.5, 3.0]


def test_ragged_row_names_its_line(refused):
    short = "\n".join([HEADER, row(PIXELS[0], 1), row(PIXELS[1][:-1], 2), row(PIXELS[2], 3)])
    refused(short, "line 3: expected 785 fields. Received: 784")
    refused("a,b,label\n1,2,0\n\n1,2,3,0\n", "line 4: expected 3 fields. Received: 4")


def test_text_in_a_field(refused):
    pixels = PIXELS[0].astype(object)
    pixels[5] = "seven"
    refused(
        "\n".join([HEADER, row(PIXELS[0], 0), row(pixels, 1)]),
        "line 3, column 'pixel5': expected a whole number in 0..255, a pixel. Received: 'seven'",
    )
    refused("a,b,y\n1,x,0\n", "line 2, column 'b': expected a finite number. Received: 'x'")
    refused("a,b,y\n1,,0\n", "line 2, column 'b': expected a finite number. Received: ''")
    refused("a,b,y\n1,nan,0\n", "line 2, column 'b': expected a finite number. Received: 'nan'")
    refused("a,b,y\n1,2,\n", "line 2: expected a label. Received: an empty field")


@pytest.mark.parametrize("wrong", ["256", "-1", "0.5", "1e9", "inf", "nan"])
def test_pixel_out_of_range(refused, wrong):
    pixels = PIXELS[0].astype(object)
    pixels[783] = wrong
    message = f"expected a whole number in 0..255, a pixel. Received: '{wrong}'"
    refused(HEADER + "\n" + row(pixels, 1), f"line 2, column 'pixel783': {message}")
    refused(row(PIXELS[1], 5) + "\n" + row(pixels, 1), f"line 2, column 785: {message}")


def test_empty(refused):
    refused("", "expected a line of column names or of numbers. Received: an empty line")
    refused("\n\n", "Received: an empty line")
    refused(HEADER + "\n", "expected at least one row below the column names. Received: none")
    refused(HEADER + "\n\n\n", "expected at least one row below the column names. Received: none")
    refused("a,y\n", "expected at least one row")
    refused("label\n1\n", "expected at least one column beside the label. Received: only 'label'")


def test_numbers_without_names(refused):
    refused("1,2,3\n4,5,6\n", "expected a first line that names the columns")


def test_unknown_label_column(refused):
    refused("a,b\n1,2\n", "expected a column called label='species'. Received: the columns a, b", label="species")


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(b"a,y\n1,2\n\xff\xfe\n")
    with pytest.raises(ValueError, match="expected UTF-8 text. Received: other bytes"):
        read_csv(path)
    path.write_text("a,y\n" + "1" * 200_000 + ",2\n")
    with pytest.raises(ValueError, match="expected comma-separated fields"):
        read_csv(path)


def test_folder_whose_parts_do_not_fit(write, tmp_path):
    with pytest.raises(ValueError, match=r"expected train-images-idx3-ubyte .* train\.csv .* Received: neither"):
        datasets.load(tmp_path)
    write("a,b,y\n1,2,0\n", "train.csv")
    write("a,c,y\n1,2,0\n", "test.csv")
    with pytest.raises(
        ValueError, match=r"expected the columns of train\.csv, 2 columns: a, b. Received: 2 columns: a, c"
    ):
        datasets.load(tmp_path)
    write("a,b,y\n1,2,0\n", "other_train.csv")
    with pytest.raises(ValueError, match=r"Received: other_train\.csv, train\.csv, test\.csv"):
        datasets.load(tmp_path)


def test_no_label_among_the_rows_to_train_on(write, tmp_path):
    write("a,b\n1,2\n", "train.csv")
    assert datasets.load(tmp_path).train.y is None  # mn.Training says that labels are missing


def test_agrees_with_pandas(write):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    path = write(kaggle())
    frame = pandas.read_csv(path)
    table = read_csv(path)
    assert np.array_equal(table.x, frame.drop(columns="label").to_numpy())
    assert np.array_equal(table.labels, frame["label"].to_numpy())


def test_any_text_gives_a_result_or_a_value_error(tmp_path):
    path = tmp_path / "fuzz.csv"
    whole = [kaggle().encode(), b"a,b,label\n1,2,x\n3.5,-1e3,y\n", b'"a","b",y\n"1",2,3\n']
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(300):
            content = bytearray(whole[RNG.integers(3)])
            for place in RNG.integers(0, len(content), RNG.integers(1, 6)):
                content[place] = RNG.choice(list(b"\n\r,\"'-.e0 \x00\xffn"))
            path.write_bytes(bytes(content))
            with suppress(ValueError):
                read_csv(path)
