"""The command line, one file for each command. A user's mistake is one line on standard error and exit code 2."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.exceptions import TyperException

import mechanet
from mechanet.cli import devices, evaluate, explain, predict, train

MISTAKE, FAILED, INTERRUPTED = 2, 1, 130

app = typer.Typer(
    name="mechanet",
    help="Train a neural network, and see how it works.",
    epilog="Start with: mechanet train",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (train, evaluate, predict, explain, devices):
    app.command()(getattr(command, command.__name__.rpartition(".")[2]))


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mechanet {mechanet.__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _start(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    0 success, 2 a mistake of the user, 1 a failure on the way, 130 interrupted.
    """
    try:
        code = app(argv, prog_name="mechanet", standalone_mode=False)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # `mechanet devices | head -1`: the reader is gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except TyperException as error:
        return _report(error.format_message(), MISTAKE)
    except (mechanet.DivergenceError, MemoryError) as error:
        return _report(str(error) or "out of memory", FAILED)
    except (ValueError, TypeError, OSError, ImportError, mechanet.DeviceError) as error:
        return _report(_text(error), MISTAKE)
    return int(code or 0)


def _text(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def _report(message: str, code: int) -> int:
    print("mechanet:", " ".join(message.split()), file=sys.stderr)
    return code
