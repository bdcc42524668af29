"""What networks, histories and explanations show in a notebook: small pieces of HTML, readable on light and dark.

Everything is inline: a style, tables, SVG drawings, PNG images as data URIs. Nothing is fetched, nothing runs.
"""

import binascii
import math
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

NEGATIVE, POSITIVE = (33, 102, 172), (224, 130, 20)  # blue and orange: colour-blind readers can distinguish them
STYLE = """<style>
.mechanet { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a; --line: #d0d7de; --paper: #ffffff;
  --panel: #f6f8fa; --accent: #0b62b8; --good: #1a7f37; --bad: #c4320a; --bar: #6c8ebf; --bar2: #c05a00;
  font: 14px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); }
@media (prefers-color-scheme: dark) { .mechanet { --ink: #e6edf3; --soft: #9aa5b1; --line: #363d46;
  --paper: #0d1117; --panel: #161b22; --accent: #6cb6ff; --good: #56d364; --bad: #ff7b72; --bar: #7aa2e3;
  --bar2: #f0a050; } }
.mechanet table { border-collapse: collapse; color: inherit; font: inherit; }
.mechanet th, .mechanet td { padding: 2px 10px; text-align: left; border-bottom: 1px solid var(--line); }
.mechanet th { color: var(--soft); font-weight: 600; }
.mechanet td.n, .mechanet th.n { text-align: right; font-variant-numeric: tabular-nums; }
.mechanet code { font: 13px/1.45 ui-monospace, Menlo, Consolas, monospace; color: var(--accent);
  background: none; padding: 0; }
.mechanet small, .mechanet .soft { color: var(--soft); }
.mechanet svg { vertical-align: middle; overflow: visible; } .mechanet svg text { fill: var(--soft);
  font: 11px system-ui, sans-serif; }
.mechanet img { image-rendering: pixelated; border: 1px solid var(--line); }
</style>"""


def text(value: Any) -> str:
    """Any value as HTML text."""
    import html  # on first use: its table of entities would slow down `import mechanet`

    return html.escape(str(value))


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], numeric: Sequence[int] = ()) -> str:
    """A table; the cells are HTML, and the columns numbered in `numeric` are aligned to the right."""
    kind = [' class="n"' if i in numeric else "" for i in range(len(columns))]
    head = "".join(f"<th{k}>{text(column)}</th>" for k, column in zip(kind, columns, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{k}>{cell}</td>" for k, cell in zip(kind, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def grey_image(values: np.ndarray, height: int, label: str) -> str:
    """A 2-D array as an image, from black, its minimum, to white, its maximum."""
    low, high = float(values.min()), float(values.max())
    levels = ((values.astype("float64") - low) / ((high - low) or 1.0) * 255.0).astype("uint8")
    greys = bytes(level for level in range(256) for _ in range(3))
    return _image(_png(levels, greys), values.shape, height, label)


def signed_image(values: np.ndarray, height: int, label: str, limit: float | None = None) -> str:
    """A 2-D array as an image: blue where it is negative, orange where positive, transparent where 0."""
    limit = float(np.abs(values).max() if limit is None else limit) or 1.0
    levels = np.clip(np.nan_to_num(values.astype("float64") / limit) * 127.0 + 128.0, 1, 255).astype("uint8")
    colours = bytes(part for level in range(256) for part in (NEGATIVE if level < 128 else POSITIVE))
    alphas = bytes(min(255, 2 * abs(level - 128)) for level in range(256))
    return _image(_png(levels, colours, alphas), values.shape, height, label)


def _png(levels: np.ndarray, colours: bytes, alphas: bytes = b"") -> bytes:
    """An 8-bit image with a palette (PNG specification, sections 5, 11.2 and 11.3.2.1)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = levels.shape
    rows = np.zeros((height, width + 1), "uint8")  # each row after a byte that names its filter: 0, none
    rows[:, 1:] = levels
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0))
    palette = chunk(b"PLTE", colours) + (chunk(b"tRNS", alphas) if alphas else b"")
    data = chunk(b"IDAT", zlib.compress(rows.tobytes()))
    return b"\x89PNG\r\n\x1a\n" + header + palette + data + chunk(b"IEND", b"")


def _image(png: bytes, shape: tuple[int, ...], height: int, label: str) -> str:
    width = max(1, round(height * shape[1] / shape[0]))
    data = binascii.b2a_base64(png, newline=False).decode()
    return (
        f'<img src="data:image/png;base64,{data}" width="{width}" height="{height}" '
        f'alt="{text(label)}" title="{text(label)}">'
    )


def histogram(counts: Sequence[int], low: float, high: float) -> str:
    """Bars from the minimum to the maximum."""
    if not counts:
        return ""
    highest = max(counts)
    bars = "".join(
        f'<rect x="{i * 5}" y="{32 - 32 * count / highest:.1f}" width="4" height="{32 * count / highest:.1f}"/>'
        for i, count in enumerate(counts)
    )
    width = len(counts) * 5
    return (
        f'<svg width="{width}" height="48" role="img" aria-label="histogram"><g fill="var(--bar)">{bars}</g>'
        f'<text x="0" y="45">{low:.3g}</text><text x="{width}" y="45" text-anchor="end">{high:.3g}</text></svg>'
    )


def lines_chart(series: dict[str, Sequence[float | None]], title: str, percent: bool = False) -> str:
    """Curves over the epochs: the first solid, the second dashed."""
    width, height, left, top = 300, 130, 46, 18
    known = [v for values in series.values() for v in values if v is not None and math.isfinite(v)]
    if not known:
        return ""
    low, high = min(known), max(known)
    span = (high - low) or 1.0
    count = max(len(values) for values in series.values())
    shown = (lambda v: f"{v:.1%}") if percent else (lambda v: f"{v:.3g}")
    parts = [
        f'<text x="{left}" y="12">{text(title)}</text>',
        f'<path d="M{left} {top}V{top + height}H{left + width}" fill="none" stroke="var(--line)"/>',
        f'<text x="{left - 4}" y="{top + 9}" text-anchor="end">{shown(high)}</text>',
        f'<text x="{left - 4}" y="{top + height}" text-anchor="end">{shown(low)}</text>',
        f'<text x="{left}" y="{top + height + 14}">1</text>',
        f'<text x="{left + width}" y="{top + height + 14}" text-anchor="end">epoch {count}</text>',
    ]
    styles = [("var(--bar)", ""), ("var(--bar2)", ' stroke-dasharray="5 3"')]
    for i, ((name, values), (colour, dash)) in enumerate(zip(series.items(), styles, strict=False)):
        points = [
            f"{left + width * (k / max(count - 1, 1)):.1f},{top + height * (1 - (v - low) / span):.1f}"
            for k, v in enumerate(values)
            if v is not None and math.isfinite(v)
        ]
        x = left + width - 170 + 85 * i
        pen = f'stroke="{colour}" stroke-width="2"{dash}'
        parts.append(f'<polyline points="{" ".join(points)}" fill="none" {pen}/>')
        end_x, end_y = points[-1].split(",")
        parts.append(f'<circle cx="{end_x}" cy="{end_y}" r="2.5" fill="{colour}"/>')
        parts.append(f'<path d="M{x} 8h18" {pen}/><text x="{x + 22}" y="12">{text(name)}</text>')
    size = f'width="{left + width + 10}" height="{top + height + 20}"'
    return f'<svg {size} role="img" aria-label="{text(title)}">{"".join(parts)}</svg>'


def network_card(network) -> str:
    """A network as a table of its layers."""
    rows: list[list] = [["", "input", text(network.input_shape), "", "<code>X</code>"]]
    for i, layer in enumerate(network.layers):
        count = sum(math.prod(view.shape) for view in layer.parameters.values())
        name, shape = text(type(layer).__name__), text(layer.output_shape)
        rows.append([i, name, shape, f"{count:,}" if count else "", f"<code>{text(layer.formula)}</code>"])
    link = f"predictions by {network.loss.link.__name__}"
    rows.append(["", f"loss: {text(network.loss.name)}", "", "", text(link)])
    total = f"{network.parameters.shape[0]:,} parameters, {network.dtype}, on {network.device}"
    body = table(["", "layer", "output", "parameters", "formula"], rows, numeric=[3])
    return f'{STYLE}<div class="mechanet">{body}<p class="soft">{text(total)}</p></div>'


def history_card(history) -> str:
    """A history as its curves and its last epoch."""
    if not len(history):
        return f'{STYLE}<div class="mechanet soft">no epochs yet</div>'
    charts = []
    for name, percent in (("loss", False), ("accuracy", True)):
        series = {"training": history.column(name), "validation": history.column(f"validation_{name}")}
        series = {key: values for key, values in series.items() if any(v is not None for v in values)}
        charts.append(lines_chart(series, name, percent) if series else "")
    return f'{STYLE}<div class="mechanet">{" ".join(charts)}<p class="soft">{text(history[-1])}</p></div>'
