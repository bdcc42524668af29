"""A network in words: one line, or a table of its layers."""

import math


def table(network) -> str:
    """The layers with output shapes, numbers of parameters and formulas."""
    rows = [("layer", "output", "parameters", "formula"), ("input", str(network.input_shape), "", "X")]
    for layer in network.layers:
        count = sum(math.prod(view.shape) for view in layer.parameters.values())
        rows.append((type(layer).__name__, str(layer.output_shape), f"{count:,}", layer.formula))
    rows.append((network.loss.name, "", "", f"loss, predictions by {network.loss.link.__name__}"))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = ["  ".join([a.ljust(widths[0]), b.ljust(widths[1]), c.rjust(widths[2]), d]) for a, b, c, d in rows]
    lines.append(f"{network.parameters.shape[0]:,} parameters, {network.dtype}, on {network.device}")
    return "\n".join(line.rstrip() for line in lines)


def line(network) -> str:
    """Sizes, layers, loss, data type and device."""
    shapes = [network.input_shape, *(layer.output_shape for layer in network.layers if layer.parameters)]
    sizes = "-".join(str(math.prod(shape)) for shape in shapes)
    chain = ", ".join(type(layer).__name__ for layer in network.layers)
    return (
        f"Network({sizes}: [{chain}], loss={network.loss.name!r}, "
        f"dtype={network.dtype!r}, device={network.device!r})"
    )
