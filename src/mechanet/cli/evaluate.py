"""``mechanet evaluate``: the loss and the accuracy of a model on labelled rows."""

import typer

from mechanet.cli import models
from mechanet.cli.options import Data, Device, Json, Model, Split, print_json, rows_of


def evaluate(
    model: Model,
    data: Data = "digits",
    split: Split = None,
    device: Device = "cpu",
    json: Json = False,
) -> None:
    """Measure a model on labelled rows: the test rows, if the data has any.

    \b
    Examples:
      mechanet evaluate digits.safetensors
      mechanet evaluate mnist.safetensors --data path/to/mnist
      mechanet evaluate digits.safetensors --data mnist --split train --json
    """
    network = models.load(model, device).network
    dataset, part = rows_of(data, split)
    rows = getattr(dataset, part)
    measured = network.evaluate(rows.x, rows.y)
    if json:
        print_json({"model": model, "data": dataset.name, "split": part, "rows": len(rows), **measured})
        return
    parts = [f"accuracy {100 * measured['accuracy']:.2f} %"] if "accuracy" in measured else []
    parts.append(f"loss {measured['loss']:.4f}")
    typer.echo(f"{dataset.name}, {part} rows: {', '.join(parts)}, on {len(rows):,} rows")
