"""``mechanet train``: data in, a trained model out."""

import functools
import importlib.util
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

import mechanet as mn
from mechanet import checks, datasets
from mechanet.cli import checkpoints, models
from mechanet.cli.options import Data, Device, Json, Threads, print_json
from mechanet.cli.recipes import LEARNING_RATES, RECIPES, dashed, network_of, training_of
from mechanet.initializers import INITIALIZERS
from mechanet.layers import ACTIVATIONS
from mechanet.losses import LOSSES
from mechanet.optimizers import OPTIMIZERS
from mechanet.schedules import SCHEDULES

DEFAULT = RECIPES["default"]
RATES = dashed(f"{rate:g} for {name}" for name, rate in LEARNING_RATES.items())


def _option(text: str, panel: str, default: Any = None, **more: Any) -> Any:
    """An option whose default is the recipe's: None here, and shown as `default`."""
    return typer.Option(
        help=text, rich_help_panel=panel, show_default=False if default is None else str(default), **more
    )


NETWORK, LEARNING, RESULT, INTERRUPTED = "The network", "How it learns", "What comes out", "If it is interrupted"


def train(
    data: Data = "digits",
    recipe: Annotated[
        str, typer.Option(metavar="NAME", help="default, or original: the blog post's 784-10-10 digit classifier.")
    ] = "default",
    layers: Annotated[
        str | None, _option('Units of each hidden layer, such as 512,256; or "none".', NETWORK, DEFAULT.layers)
    ] = None,
    activation: Annotated[str | None, _option(f"{dashed(ACTIVATIONS)}.", NETWORK, DEFAULT.activation)] = None,
    initializer: Annotated[
        str | None, _option(f"{dashed(INITIALIZERS)}.", NETWORK, dashed([DEFAULT.initializer]))
    ] = None,
    dropout: Annotated[
        float | None, _option("Share of each hidden layer's outputs that a step drops.", NETWORK, DEFAULT.dropout)
    ] = None,
    loss: Annotated[str | None, _option(f"{dashed(LOSSES)}.", NETWORK, "as the labels ask")] = None,
    label_smoothing: Annotated[
        float | None, _option("Share of a target spread over all labels.", NETWORK, DEFAULT.label_smoothing)
    ] = None,
    dtype: Annotated[str, typer.Option(help="float32 or float64.", rich_help_panel=NETWORK)] = "float32",
    epochs: Annotated[int | None, _option("Runs through the data.", LEARNING, DEFAULT.epochs)] = None,
    batch_size: Annotated[
        str | None, _option('Rows a step, or "full" for all.', LEARNING, DEFAULT.batch_size, metavar="N|full")
    ] = None,
    optimizer: Annotated[str | None, _option(f"{dashed(OPTIMIZERS)}.", LEARNING, DEFAULT.optimizer)] = None,
    learning_rate: Annotated[float | None, _option("α at its highest.", LEARNING, RATES)] = None,
    schedule: Annotated[str | None, _option(f"{dashed(SCHEDULES)}.", LEARNING, DEFAULT.schedule)] = None,
    momentum: Annotated[float | None, _option("Momentum of sgd or momentum.", LEARNING, DEFAULT.momentum)] = None,
    weight_decay: Annotated[
        float | None, _option("L2 penalty on weights, not on biases.", LEARNING)
    ] = None,
    gradient_clip: Annotated[float | None, _option("Largest norm of a step's gradient.", LEARNING)] = None,
    validation: Annotated[
        str | None,
        _option(
            'Rows watched and not trained on: "none", a share of those to train on (0.1, drawn at random), '
            'a count (the first 1000), or "test".',
            LEARNING, DEFAULT.validation, metavar="WHICH",
        ),
    ] = None,
    early_stopping: Annotated[
        int | None,
        _option(
            "Stop after N epochs without a lower validation loss; the best parameters stay.", LEARNING, metavar="N"
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Same seed, same numbers, on every device.", rich_help_panel=LEARNING)
    ] = 0,
    device: Device = "cpu",
    threads: Threads = None,
    out: Annotated[
        Path | None,
        _option("Where the model goes.", RESULT, "<data>.safetensors", metavar="FILE"),
    ] = None,
    plot: Annotated[
        Path | None,
        _option(
            "Where the curves go.", RESULT, "<data>.png, with the extra plots", metavar="FILE.png"
        ),
    ] = None,
    no_plot: Annotated[bool, typer.Option("--no-plot", help="No curves.", rich_help_panel=RESULT)] = False,
    checkpoint: Annotated[
        Path | None,
        _option("Folder for checkpoints; Ctrl-C and SIGTERM then lose nothing.", INTERRUPTED, metavar="DIR"),
    ] = None,
    checkpoint_every: Annotated[
        str,
        typer.Option(help="90s, 5m, 1h, 2epochs, 20steps.", rich_help_panel=INTERRUPTED, metavar="EVERY"),
    ] = "5m",
    keep: Annotated[int, typer.Option(help="How many checkpoints to keep.", rich_help_panel=INTERRUPTED)] = 3,
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume from the newest checkpoint.", rich_help_panel=INTERRUPTED)
    ] = False,
    json: Json = False,
) -> None:  # fmt: skip
    """Train a network, test it, and save it.

    Without options: the bundled handwritten digits, a hidden layer of 128 units, some seconds.

    \b
    Examples:
      mechanet train
      mechanet train --data mnist --layers 512,256 --dropout 0.2
      mechanet train --data path/to/kaggle/train.csv --validation 0.1 --early-stopping 5
      mechanet train --data spiral --layers 32,32 --activation tanh --epochs 200
      mechanet train --device cuda --batch-size 1024 --out big.safetensors --json
      mechanet train --recipe original --data mnist
      mechanet train --data mnist --epochs 500 --checkpoint runs/a      (then again with --resume)
    """
    chosen = RECIPES[checks.one_of("recipe", recipe, RECIPES)].with_options(
        layers=layers, activation=activation, initializer=initializer, dropout=dropout, loss=loss,
        label_smoothing=label_smoothing, epochs=epochs, batch_size=batch_size, optimizer=optimizer,
        learning_rate=learning_rate, schedule=schedule, momentum=momentum, weight_decay=weight_decay,
        gradient_clip=gradient_clip, validation=validation, early_stopping=early_stopping,
    )  # fmt: skip
    checks.integer("epochs", chosen.epochs)
    checkpoints.check(checkpoint, checkpoint_every, keep, resume)
    dataset = _load(data)
    name = Path(dataset.name).stem
    out = out or Path(f"{name}.safetensors")
    curves = _curves(plot, no_plot, out)
    for target in (out, curves):
        _check_writable(target)

    network = network_of(chosen, dataset, dtype, device, seed)
    make = functools.partial(checkpoints.resumed, checkpoint) if resume and checkpoint else mn.Training
    training = training_of(chosen, network, dataset, seed, make)
    training.threads = "auto" if threads is None else checks.integer("threads", threads)
    report = sys.stderr if json else sys.stdout
    print(_heading(network, dataset, training), file=report, flush=True)
    started = time.perf_counter()
    try:
        for _ in checkpoints.epochs(training, chosen.epochs, report, checkpoint, checkpoint_every, keep):
            pass
    except KeyboardInterrupt:
        raise typer.Exit(_interrupted(training)) from None
    seconds = time.perf_counter() - started
    if training.network is not network:
        network.parameters[...] = training.network.parameters

    test = dataset.test if dataset.test is not None and dataset.test.y is not None else None
    measured = None if test is None else network.evaluate(test.x, test.y) | {"rows": len(test)}
    models.save(out, network, dataset)
    if curves is not None:
        _draw(training.history, curves)
    if json:
        print_json({
            "data": dataset.name, "model": out, "curves": curves, "parameters": network.parameters.shape[0],
            "device": network.device, "dtype": network.dtype, "seed": seed, "recipe": vars(chosen),
            "seconds": seconds, "epochs": training.history.to_list(), "test": measured,
        })  # fmt: skip
        return
    typer.echo(f"\ntrained in {seconds:.1f} s")
    if measured is None:
        typer.echo("no labelled test rows" + ("" if training.validation else "; see --validation"))
    else:
        typer.echo(_test_line(measured, chosen.validation))
    typer.echo(f"model   {out}" + (f"\ncurves  {curves}" if curves else ""))


def _load(name: str) -> datasets.Dataset:
    dataset = datasets.load(name)
    if dataset.train is None or dataset.train.y is None:
        raise ValueError(f"expected data with labelled training rows. Received: data={name!r}, which has none.")
    return dataset


def _curves(plot: Path | None, no_plot: bool, out: Path) -> Path | None:
    """Where to draw the curves, or None; without matplotlib that is an error only if they were asked for."""
    if no_plot:
        return None
    if importlib.util.find_spec("matplotlib") is None:
        if plot is None:
            return None
        raise ImportError("--plot needs matplotlib. Install it with: pip install 'mechanet[plots]'")
    return plot or out.with_suffix(".png")


def _check_writable(target: Path | None) -> None:
    """Before hours of training, not after them."""
    if target is not None and not target.parent.is_dir():
        raise ValueError(f"expected a path in an existing folder. Received: {str(target)!r}.")


def _heading(network: mn.Network, dataset: datasets.Dataset, training: mn.Training) -> str:
    sizes = [network.input_shape[0], *(layer.output_shape[0] for layer in network.layers if layer.parameters)]
    rows = f"{training.batches.rows:,} training rows"
    if training.validation is not None:
        rows += f", {training.validation.size:,} held out"
    return (
        f"{'-'.join(map(str, sizes))}, {network.parameters.shape[0]:,} parameters, {network.dtype}, "
        f"on {network.device}\n{dataset.name}: {rows}\n"
    )


def _interrupted(training: mn.Training) -> int:
    message = (
        f"mechanet: interrupted in epoch {training.epoch + 1} of {training.total_epochs}; no model was written"
    )
    print(message, file=sys.stderr)
    return 130


def _test_line(measured: dict[str, float], validation: str) -> str:
    parts = [f"accuracy {100 * measured['accuracy']:.2f} %"] if "accuracy" in measured else []
    parts.append(f"loss {measured['loss']:.4f}")
    seen = "watched during training" if validation == "test" else "never seen in training"
    return f"test {', '.join(parts)}, on {measured['rows']:,} rows {seen}"


def _draw(history: mn.History, path: Path) -> None:
    mn.plots.history(history).savefig(path)
