"""``mechanet devices``: where this machine can compute."""

from dataclasses import asdict

import typer

import mechanet
from mechanet.cli.options import Json, print_json


def devices(json: Json = False) -> None:
    """List the values that --device takes on this machine; devices that do not work say why.

    \b
    Examples:
      mechanet devices
      mechanet devices --json
    """
    found = mechanet.devices()
    if json:
        print_json({"devices": [asdict(device) for device in found]})
        return
    for device in found:
        line = f"{device.name:8} {'usable' if device.usable else 'not usable':11} {device.description}"
        if device.memory_bytes:
            line += f", {device.free_bytes / 2**30:.1f} of {device.memory_bytes / 2**30:.1f} GiB free"
        typer.echo(line)
        if device.problem:
            typer.echo(f"{'':8} {device.problem}")
