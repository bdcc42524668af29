"""``mechanet predict``: a model's predictions for pictures, or for the rows of a file."""

import csv
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from mechanet import datasets
from mechanet.cli import models
from mechanet.cli.options import Device, Json, Model, print_json

PICTURES = (b"\x89PNG", b"\xff\xd8\xff")  # how PNG and JPEG files begin


def predict(
    model: Model,
    files: Annotated[
        list[Path], typer.Argument(metavar="FILES...", help="PNG or JPEG pictures; or one IDX or CSV file.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Where to write the predictions of rows.", show_default="submission.csv"
        ),
    ] = None,
    device: Device = "cpu",
    json: Json = False,
) -> None:
    """Predict labels, or values.

    A picture of a digit may have any size; it is cut out, scaled and centred as MNIST's are. The predictions of
    a file of rows are written as ImageId,Label, the form in which Kaggle takes a submission.

    \b
    Examples:
      mechanet predict digits.safetensors seven.png photo.jpg
      mechanet predict digits.safetensors path/to/kaggle/test.csv --out submission.csv
      mechanet predict mnist.safetensors t10k-images-idx3-ubyte.gz --json
    """
    for file in files:
        if not file.is_file():
            raise ValueError(f"{file}: expected a file to predict. Received: no such file.")
    loaded = models.load(model, device)
    if all(map(_is_picture, files)):
        _predict_pictures(loaded, files, json)
    elif len(files) == 1:
        _predict_rows(loaded, files[0], out, json)
    else:
        raise ValueError(
            f"expected pictures, or one file of rows. Received: {len(files)} files that are not all pictures."
        )


def _is_picture(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(4).startswith(PICTURES)


def _predictions(model: models.Model, x) -> list[dict[str, Any]]:
    """For each row its label and the label's probability; or its value."""
    network, predicted = model.network, model.network.predict(x).tolist()
    if not network.loss.classifies:
        return [{"value": value} for value in predicted]
    names, probabilities = map(model.name_of, predicted), network.predict_proba(x)
    if network.output_shape == (1,):
        likely = [max(p, 1 - p) for p in probabilities[:, 0].tolist()]
    else:
        likely = probabilities.max(axis=1).tolist()
    return [{"label": name, "probability": p} for name, p in zip(names, likely, strict=True)]


def _predict_pictures(model: models.Model, files: list[Path], json: bool) -> None:
    if model.network.input_shape != (784,):
        raise ValueError(
            "expected a model for rows of shape (784,), which is what pictures become. "
            f"Received: one for rows of shape {model.network.input_shape}."
        )
    rows = [datasets.read_image(file).reshape(1, -1) for file in files]
    found = [prediction for row in rows for prediction in _predictions(model, row)]
    if json:
        print_json({"predictions": [{"file": file} | one for file, one in zip(files, found, strict=True)]})
        return
    width = max(len(str(file)) for file in files)
    for file, one in zip(files, found, strict=True):
        text = f"{one['label']}  {100 * one['probability']:.1f} %" if "label" in one else one["value"]
        typer.echo(f"{file!s:{width}}  {text}")


def _predict_rows(model: models.Model, file: Path, out: Path | None, json: bool) -> None:
    data = datasets.load(file)
    rows = data.test if data.test is not None else data.train
    assert rows is not None
    found = _predictions(model, rows.x)
    if out is not None or not json:
        out = out or Path("submission.csv")
        _write(out, found, "ImageId" if data.image_shape else "Id")
    if json:
        print_json({"file": file, "out": out, "predictions": found})
    else:
        typer.echo(f"{len(found):,} predictions written to {out}")


def _write(path: Path, found: list[dict[str, Any]], first: str) -> None:
    """Write one line a row, numbered from 1: the whole file or none."""
    column = "label" if "label" in found[0] else "value"
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(part, "w", newline="", encoding="utf-8") as file:
            lines = csv.writer(file, lineterminator="\n")
            lines.writerow([first, column.capitalize()])
            lines.writerows([number, one[column]] for number, one in enumerate(found, 1))
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
