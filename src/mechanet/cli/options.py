"""Options that several commands share, and what becomes of them."""

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from mechanet import checks, datasets

Model = Annotated[Path, typer.Argument(metavar="MODEL", help="A model that `mechanet train` saved.")]
Data = Annotated[
    str,
    typer.Option(
        metavar="NAME|PATH",
        help="digits, mnist, fashion-mnist, spiral, moons, circles or xor; or a folder or file: "
        "MNIST's IDX files, Kaggle's CSV files, any CSV with a column called label.",
    ),
]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ..., or auto.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Split = Annotated[str | None, typer.Option(metavar="train|test", help="Which rows of the data.")]
Threads = Annotated[
    int | None,
    typer.Option(help="Threads for matrix products; by default one for small networks, else one a core."),
]


def rows_of(name: str, split: str | None = None, labelled: bool = True) -> tuple[datasets.Dataset, str]:
    """Load data, and choose its rows: the split asked for, else the test rows, else the training rows."""
    data = datasets.load(name)
    if split is not None:
        parts = [checks.one_of("split", split, ("train", "test"))]
    else:
        parts = ["test", "train"]
    for part in parts:
        rows = getattr(data, part)
        if rows is not None and (rows.y is not None or not labelled):
            return data, part
    raise ValueError(
        f"expected data with {'labelled ' if labelled else ''}{' or '.join(parts)} rows. "
        f"Received: data={name!r}, which has none."
    )


def print_json(document: dict[str, Any]) -> None:
    """Print one JSON document; numbers that JSON cannot write become null."""
    typer.echo(json.dumps(_plain(document), ensure_ascii=False))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, (float, np.floating)):
        return float(value) if np.isfinite(value) else None
    return value
