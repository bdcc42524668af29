"""``mechanet explain``: one row's way through a model, forward and back, with every number on it."""

import sys
from pathlib import Path
from typing import Annotated

import typer

import mechanet as mn
from mechanet.cli import models
from mechanet.cli.options import Data, Device, Json, Model, Split, print_json, rows_of
from mechanet.cli.recipes import dashed, words
from mechanet.optimizers import OPTIMIZERS


def explain(
    model: Model,
    data: Data = "digits",
    index: Annotated[int, typer.Option(help="Which row, counted from 0.", show_default=True)] = 0,
    split: Split = None,
    optimizer: Annotated[str, typer.Option(help=f"Whose update is shown: {dashed(OPTIMIZERS)}.")] = "sgd",
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write it as one page that needs no network.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Draw the network as the row lights it up.")
    ] = None,
    device: Device = "cpu",
    json: Json = False,
) -> None:
    """Explain one training step: every value with its formula and its numbers, every gradient checked.

    \b
    Examples:
      mechanet explain digits.safetensors
      mechanet explain digits.safetensors --index 7 --html seven.html
      mechanet explain digits.safetensors --index 7 --plot seven.png --json
    """
    loaded = models.load(model, device)
    dataset, part = rows_of(data, split)
    rows = getattr(dataset, part)
    if not 0 <= index < len(rows):
        raise ValueError(f"--index expects a row from 0 to {len(rows) - 1}. Received: {index}.")
    x, y = rows.x[index : index + 1], rows.y[index : index + 1]
    explanation = mn.explain(loaded.network, x, y, words(optimizer), image_shape=dataset.image_shape)
    if html is not None:
        explanation.to_html(html)
    if plot is not None:
        mn.plots.network(loaded.network, x, classes=loaded.classes).savefig(plot)
    if json:
        print_json(explanation.to_dict())
    elif html is not None or plot is not None:
        typer.echo("\n".join(f"written: {path}" for path in (html, plot) if path is not None))
    elif sys.stdout.isatty():
        import rich

        rich.print(explanation)
    else:
        typer.echo(str(explanation))
