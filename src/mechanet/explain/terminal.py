"""An explanation for a terminal: as plain text, or with rich's colours and tables."""

from collections import Counter

import numpy as np

from mechanet.explain.tree import ROUNDED, Step, Summary, Tree
from mechanet.gradcheck import KINK, SMALL, WRONG

WHOLE = 40  # entries of an array that is printed whole
ROWS = 8  # of the batch whose predictions are listed
BARS = " ▁▂▃▄▅▆▇█"
PARTS = {
    "forward": "Forward: from the input to the scores",
    "loss": "Loss: how wrong the scores are",
    "backward": "Backward: how the loss changes with every value",
    "update": "Update: a step downhill",
}


def sparkline(summary: Summary) -> str:
    """A histogram in one line, from the minimum to the maximum."""
    if not summary.histogram:
        return ""
    highest = max(summary.histogram)
    return "".join(BARS[-(-8 * count // highest)] for count in summary.histogram)


def values_text(step: Step) -> str:
    """A small array whole; a large one as its summary."""
    if step.values.ndim == 0:
        return f"{float(step.values):.9g}"
    if step.values.size <= WHOLE:
        digits = 9 if step.values.size <= 16 else 5
        return np.array2string(
            step.values, formatter={"float_kind": lambda v: f"{v:.{digits}g}"}, max_line_width=90
        )
    s = step.summary
    line = f"min {s.minimum:.4g}  mean {s.mean:.4g}  max {s.maximum:.4g}  norm {s.norm:.4g}"
    if s.zeros:
        line += f"  zeros {s.zeros:.0%}"
    return f"{line}\n{sparkline(s)}"


def heading(step: Step) -> str:
    return step.name if step.layer is None else f"{step.layer} {step.name}"


def predictions_table(told: Tree) -> tuple[list[str], list[list[str]]]:
    """For the first rows: target, prediction, and the row's own loss."""
    columns = ["row", "target", "probabilities" if told.classifies else "values", "loss"]
    rows = []
    for i, (target, prediction) in enumerate(zip(told.targets[:ROWS], told.predictions[:ROWS], strict=True)):
        shown = " ".join(f"{value:.4g}" for value in prediction[:12])
        if len(prediction) > 12:
            shown += f" … ({len(prediction) - 12} more)"
        wanted = str(target) if np.ndim(target) == 0 else " ".join(f"{value:.4g}" for value in target[:12])
        rows.append([str(i), wanted, shown, f"{told.row_losses[i]:.6g}"])
    return columns, rows


def checks_table(told: Tree) -> tuple[list[str], list[list[str]]]:
    columns = ["layer", "entry", "backward says", "slope of L", "error", ""]
    rows = []
    for c in told.checks:
        layer = "input" if c.layer is None else str(c.layer)
        at = f"{c.symbol}[{', '.join(map(str, c.index))}]"
        rows.append([layer, at, f"{c.analytic:+.9e}", f"{c.numerical:+.9e}", f"{c.error:.1e}", c.verdict])
    return columns, rows


def contributions_table(told: Tree) -> tuple[list[str], list[list[str]]]:
    columns = ["output", "score", "inputs: x ∂z/∂x", "parameters by layer: w ∂z/∂w"]
    rows = []
    for c in told.contributions:
        inputs, weights = (
            ", ".join(f"{s.name}[{', '.join(map(str, s.index))}] {s.contribution:+.3g}" for s in shares[:3])
            for shares in (c.inputs, c.weights)
        )
        rows.append([str(c.output), f"{c.score:.5g}", inputs, weights])
    return columns, rows


TABLES = (
    ("Predictions", predictions_table),
    ("Gradient check: backward against numerical slopes", checks_table),
    ("What contributed most to each score", contributions_table),
)


def summary_line(told: Tree) -> str:
    after = f"loss {told.loss_before:.9g}, after the update {told.loss_after:.9g}"
    if not told.checks:
        return after
    right, counts = sum(c.passed for c in told.checks), Counter(c.verdict for c in told.checks)
    labels = {ROUNDED: "of them in float64 alone", WRONG: WRONG, KINK: KINK, SMALL: SMALL}
    others = "".join(f", {counts[verdict]} {label}" for verdict, label in labels.items() if counts[verdict])
    return f"{after}; {right} of {len(told.checks)} gradient entries checked are right{others}"


def text(told: Tree) -> str:
    """The whole explanation as plain text."""
    lines = [told.network, *(f"{key}: {value}" for key, value in told.notes.items())]
    for part, title in PARTS.items():
        lines += ["", title, "─" * len(title)]
        before = None
        for step in getattr(told, part):
            if heading(step) != before:
                before = heading(step)
                lines.append(before)
            shape = " x ".join(map(str, step.shape)) or "a number"
            lines.append(f"  {step.symbol}  ({shape})  {step.formula}")
            if step.same_as:
                continue
            lines += [f"      {line}" for line in values_text(step).splitlines()]
            if step.worked:
                lines.append(f"      {step.worked}")
    for title, table in TABLES:
        columns, rows = table(told)
        if not rows:
            continue
        lines += ["", title, "─" * len(title)]
        widths = [max(len(row[i]) for row in [columns, *rows]) for i in range(len(columns))]
        for row in [columns, *rows]:
            lines.append("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return "\n".join([*lines, "", summary_line(told)])


def rich_view(told: Tree):
    """The same as rich renders it."""
    from rich import box
    from rich.console import Group
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    notes = Text("\n".join([told.network, *(f"{key}: {value}" for key, value in told.notes.items())]))
    parts: list = [Panel(notes, title="One training step, explained", title_align="left")]
    for part, title in PARTS.items():
        table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, expand=True)
        table.add_column("layer", style="cyan", no_wrap=True)
        table.add_column("", style="bold", no_wrap=True)
        table.add_column("shape", style="dim", no_wrap=True)
        table.add_column("formula and values", ratio=1)
        before = None
        for step in getattr(told, part):
            here = heading(step)
            cell = Text(step.formula, style="green")
            if not step.same_as:
                cell.append("\n" + values_text(step), style="default")
                if step.worked:
                    cell.append("\n" + step.worked, style="dim")
            shape = "×".join(map(str, step.shape))
            table.add_row(Text("" if here == before else here), step.symbol, shape, cell)
            before = here
        parts.append(table)
    for title, rows_of in TABLES:
        columns, rows = rows_of(told)
        if not rows:
            continue
        table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
        for column in columns:
            table.add_column(column)
        for row in rows:
            style = "bold red" if row[-1] == WRONG else ""
            table.add_row(*map(Text, row), style=style)
        parts.append(table)
    wrong = any(c.verdict == WRONG for c in told.checks)
    style = "bold red" if wrong else "bold green" if told.passed else "bold yellow"
    parts.append(Text(summary_line(told), style=style))
    return Group(*parts)
