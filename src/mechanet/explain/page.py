"""An explanation as HTML: one self-contained page, or the same inside a notebook."""

import numpy as np

from mechanet import notebook
from mechanet.explain import terminal
from mechanet.explain.tree import ROUNDED, Contribution, Step, Tree
from mechanet.gradcheck import OK, WRONG

CELLS = 64  # entries of an array that is written out
PIXELS = 48  # the longest side of the picture of a larger one
ROWS = 8
UNITS = 24  # units of a layer whose weights are drawn as images

STYLE = """<style>
.mechanet.explained { max-width: 1060px; margin: 0 auto; padding: 8px 20px 40px; }
.explained h1 { font-size: 24px; margin: 16px 0 4px; } .explained h2 { font-size: 18px; margin: 32px 0 8px;
  padding-bottom: 4px; border-bottom: 2px solid var(--line); }
.explained .card { background: var(--panel); border: 1px solid var(--line); border-radius: 8px; margin: 10px 0;
  padding: 6px 14px; }
.explained .card > b { display: block; margin: 4px 0; }
.explained .step { display: grid; grid-template-columns: 64px 96px minmax(0, 1fr); gap: 4px 12px; padding: 6px 0;
  border-top: 1px solid var(--line); align-items: start; }
.explained .symbol { font: 600 15px ui-monospace, Menlo, Consolas, monospace; }
.explained .worked { font: 12px/1.5 ui-monospace, Menlo, Consolas, monospace; color: var(--soft);
  overflow-wrap: anywhere; }
.explained .flow { display: flex; flex-wrap: wrap; gap: 14px; align-items: center; margin: 4px 0; }
.explained .scroll { overflow-x: auto; }
.explained .cells td, .explained span.cell { border: 1px solid var(--line); padding: 1px 7px; text-align: right;
  font-size: 12px; font-variant-numeric: tabular-nums; }
.explained .vector { display: flex; flex-wrap: wrap; gap: 2px; }
.explained .row { display: flex; gap: 18px; align-items: center; flex-wrap: wrap; padding: 8px 0;
  border-top: 1px solid var(--line); }
.explained figure { margin: 0; text-align: center; } .explained figcaption { font-size: 11px; color: var(--soft); }
.explained .ok { color: var(--good); font-weight: 600; } .explained .wrong { color: var(--bad); font-weight: 700; }
.explained .legend i { display: inline-block; width: 12px; height: 12px; margin: 0 4px 0 10px;
  vertical-align: -1px; }
</style>"""
LEGEND = (
    '<p class="legend soft">In the pictures of numbers:'
    f'<i style="background:rgb{notebook.NEGATIVE}"></i>negative'
    f'<i style="background:rgb{notebook.POSITIVE}"></i>positive; the stronger, the farther from 0.</p>'
)


def write(told: Tree, path) -> None:
    """Write the page; see `Explanation.to_html`."""
    head = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>One training step, explained</title>'
        '<meta name="color-scheme" content="light dark">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<style>html, body { margin: 0; background: #fff; } "
        "@media (prefers-color-scheme: dark) { html, body { background: #0d1117; } }</style></head><body>"
    )
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{head}{fragment(told)}</body></html>\n")


def fragment(told: Tree) -> str:
    """The explanation as a piece of HTML."""
    t = notebook.text
    notes = "".join(f"<br>{t(key)}: <code>{t(value)}</code>" for key, value in told.notes.items())
    parts = [
        notebook.STYLE, STYLE, '<div class="mechanet explained"><h1>One training step, explained</h1>',
        f'<p class="soft">{t(told.network)}{notes}</p><p><b>{t(terminal.summary_line(told))}</b></p>',
        LEGEND, "<h2>What goes in, what comes out</h2>", _predictions(told),
    ]  # fmt: skip
    for part, title in terminal.PARTS.items():
        if part == "update":
            parts.append(_checks(told))
            parts.append(_contributions(told))
        parts.append(f"<h2>{t(title)}</h2>")
        parts += _cards(told, getattr(told, part))
    return "".join([*parts, "</div>"])


def _cards(told: Tree, steps: list[Step]) -> list[str]:
    cards: list[tuple[str, list[str]]] = []
    for step in steps:
        name = terminal.heading(step)
        if not cards or cards[-1][0] != name:
            cards.append((name, []))
        cards[-1][1].append(_step(told, step))
    return [f'<div class="card"><b>{notebook.text(name)}</b>{"".join(body)}</div>' for name, body in cards]


def _step(told: Tree, step: Step) -> str:
    t = notebook.text
    shape = " × ".join(map(str, step.shape)) or "a number"
    body = f"<code>{t(step.formula)}</code>"
    if not step.same_as:
        body += _values(told, step)
        if step.worked:
            body += f'<div class="worked">{t(step.worked)}</div>'
    symbol = f'<span class="symbol">{t(step.symbol)}</span>'
    return f'<div class="step">{symbol}<small>{t(shape)}</small><div>{body}</div></div>'


def _values(told: Tree, step: Step) -> str:
    values = step.values
    if values.ndim == 0:
        return f"<div><b>{float(values):.9g}</b></div>"
    flat = values.reshape(values.shape[0], -1) if values.ndim > 1 else values[None, :]
    if values.size <= CELLS:
        return _cells(flat)
    s = step.summary
    stats = f"min {s.minimum:.4g} · mean {s.mean:.4g} · max {s.maximum:.4g} · norm {s.norm:.4g}"
    stats += f" · zeros {s.zeros:.0%}" if s.zeros else ""
    drawn = (
        _units(told, step)
        or _rows(told, step)
        or notebook.signed_image(_thinned(flat), _height(flat), f"{step.symbol}: {stats}")
    )
    bars = notebook.histogram(s.histogram, s.minimum, s.maximum)
    return f'<div class="flow">{drawn}{bars}</div><small>{stats}</small>'


def _cells(values: np.ndarray) -> str:
    limit = float(np.abs(values).max()) or 1.0
    digits = 9 if values.size <= 16 else 5

    tag = "td" if len(values) > 1 else "span"

    def cell(value) -> str:
        red, green, blue = notebook.NEGATIVE if value < 0 else notebook.POSITIVE
        strength = min(1.0, abs(float(value)) / limit) * 0.35
        colour = f"background:rgba({red},{green},{blue},{strength:.2f})"
        return f'<{tag} class="cell" style="{colour}">{value:.{digits}g}</{tag}>'

    if tag == "span":  # one row: it may go on in the next line
        return f'<div class="vector">{"".join(map(cell, values[0]))}</div>'
    rows = "".join("<tr>" + "".join(map(cell, row)) + "</tr>" for row in values)
    return f'<div class="scroll"><table class="cells">{rows}</table></div>'


def _rows(told: Tree, step: Step) -> str:
    """The first rows of what stands before the first weights, and of the slopes there, as images."""
    first = next((s.layer for s in told.forward if s.symbol == "W"), None)
    before = (
        step.layer is None or first is None or step.layer < first or (step.layer == first and step.symbol == "dX")
    )
    if told.image_shape is None or not before or step.symbol not in ("X", "A", "dA", "dX"):
        return ""
    if step.values[0].size != told.image_shape[0] * told.image_shape[1]:
        return ""
    rows = step.values[:ROWS]
    limit = float(np.abs(rows).max())
    return "".join(
        notebook.signed_image(row.reshape(told.image_shape), 84, f"{step.symbol}: row {i}", limit)
        for i, row in enumerate(rows)
    )


def _units(told: Tree, step: Step) -> str:
    """The weights of a layer that sees the image itself, unit by unit, as images."""
    if step.symbol not in ("W", "dW", "W_new") or told.image_shape is None or step.layer is None:
        return ""
    first = next((s.layer for s in told.forward if s.symbol == "W"), None)
    if step.layer != first or step.shape[0] != told.image_shape[0] * told.image_shape[1]:
        return ""
    units = step.values[:, :UNITS]
    limit = float(np.abs(units).max())
    images = [
        notebook.signed_image(units[:, j].reshape(told.image_shape), 56, f"{step.symbol}: unit {j}", limit)
        for j in range(units.shape[1])
    ]
    more = f"<small>… {step.shape[1] - UNITS} more units</small>" if step.shape[1] > UNITS else ""
    return "".join(images) + more


def _thinned(values: np.ndarray) -> np.ndarray:
    """Every n-th row and column, so that neither has more than `PIXELS`."""
    return values[:: -(-values.shape[0] // PIXELS), :: -(-values.shape[1] // PIXELS)]


def _height(values: np.ndarray) -> int:
    """A height at which the picture is neither a line nor wider than the page."""
    height, width = _thinned(values).shape
    return max(8, min(144, round(height * min(6.0, 460 / width))))


def _predictions(told: Tree) -> str:
    X = told["X"]
    rows = []
    for i in range(min(ROWS, len(X))):
        target, prediction = told.targets[i], told.predictions[i]
        image = ""
        if told.image_shape is not None:
            image = notebook.grey_image(X[i].reshape(told.image_shape), 112, f"row {i}")
        wanted = np.ravel(target)
        said = f"loss {told.row_losses[i]:.6g}"
        if told.classifies and np.ndim(target) == 0:
            said = f"target {int(target)} · {said}"
        rows.append(
            f'<div class="row"><figure>{image}<figcaption>row {i} · {said}</figcaption></figure>'
            f"{_bars(told, prediction, wanted)}</div>"
        )
    if len(X) > ROWS:
        rows.append(f'<p class="soft">… and {len(X) - ROWS} more rows.</p>')
    return f'<div class="card">{"".join(rows)}</div>'


def _bars(told: Tree, prediction: np.ndarray, target: np.ndarray) -> str:
    """Each output as a bar beside what was wanted; of many outputs the largest."""
    label = int(target[0]) if told.classifies and len(target) == 1 and len(prediction) > 1 else None
    order = list(range(len(prediction)))
    if len(prediction) > 12:
        order = sorted(
            {*np.argsort(-prediction, kind="stable")[:11].tolist(), *([] if label is None else [label])}
        )
    limit = 1.0 if told.classifies else max(float(np.abs(prediction).max()), float(np.abs(target).max()), 1e-300)
    lines = []
    for y, k in enumerate(order):
        width = 240 * min(1.0, abs(float(prediction[k])) / limit)
        hit = k == label
        colour = "var(--good)" if hit else "var(--bar)"
        wanted = " ← target" if hit else ("" if label is not None else f"  wanted {target[k]:.6g}")
        lines.append(
            f'<text x="26" y="{y * 16 + 12}" text-anchor="end">{k}</text><rect x="32" y="{y * 16 + 2}" '
            f'width="{width:.1f}" height="12" fill="{colour}"/>'
            f'<text x="{38 + width:.1f}" y="{y * 16 + 12}">{prediction[k]:.4g}{wanted}</text>'
        )
    height = len(lines) * 16 + 4
    return f'<svg width="420" height="{height}" role="img" aria-label="outputs">{"".join(lines)}</svg>'


def _checks(told: Tree) -> str:
    columns, rows = terminal.checks_table(told)
    if not rows:
        return ""
    marks = {verdict: f'<span class="ok">✓ {verdict}</span>' for verdict in (OK, ROUNDED)}
    marks[WRONG] = f'<span class="wrong">✗ {WRONG}</span>'
    cells = [[*map(notebook.text, row[:-1]), marks.get(row[-1], row[-1])] for row in rows]
    table = notebook.table(columns, cells, numeric=[2, 3, 4])
    return f'<h2>Gradient check: backward against numerical slopes</h2><div class="card scroll">{table}</div>'


def _contributions(told: Tree) -> str:
    columns, rows = terminal.contributions_table(told)
    cells = [list(map(notebook.text, row)) for row in rows]
    if told.image_shape is not None:
        columns = [*columns, "all inputs"]
        cells = [[*row, _input_image(told, c)] for row, c in zip(cells, told.contributions, strict=True)]
    table = notebook.table(columns, cells, numeric=[0, 1])
    title = "<h2>What contributed most to each score</h2>"
    why = '<p class="soft">q ∂z/∂q, the mean over the rows: what a value q brought to the score z.</p>'
    return f'{title}{why}<div class="card scroll">{table}</div>'


def _input_image(told: Tree, contribution: Contribution) -> str:
    values = contribution.all_inputs.reshape(told.image_shape)
    return notebook.signed_image(values, 84, f"contributions of the inputs to output {contribution.output}")
