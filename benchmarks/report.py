"""Results as a Markdown page, and the machine they were measured on."""

import os
import platform
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from statistics import median, quantiles

from . import held_back
from .rounds import Result

OWN = ("mechanet", "mechanet-numpy")


def machine() -> dict[str, object]:
    """Date, processor, cores and system: what a reader needs to judge a figure."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text().splitlines()
        model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), model)
    return {
        "date": date.today().isoformat(),
        "processor": model,
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{f"set aside: {name}": value for name, value in held_back().items()},
    }


def spread(values: list[float]) -> tuple[float, float]:
    """The quartiles, between which half of the rounds lie; of fewer than three, the ends."""
    if len(values) < 3:
        return min(values), max(values)
    low, _, high = quantiles(values, n=4, method="inclusive")
    return low, high


def seconds(value: float) -> str:
    """A duration in the unit that gives it one to four digits before the point."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= size or unit == "µs":
            return f"{value / size:.3g} {unit}" if value < 1000 * size else f"{value / size:.0f} {unit}"
    raise AssertionError("every duration has a unit")


def ratios(own: Result, other: Result, clock: str) -> list[float]:
    """mechanet's time over the other's, round by round."""
    return [a[clock] / b[clock] for a, b in zip(own.rounds, other.rounds, strict=True)]


def markdown(header: list[str], rows: Iterable[list[str]]) -> str:
    lines = ["| " + " | ".join(cells) + " |" for cells in (header, ["---"] * len(header), *rows)]
    return "\n".join(lines)


def by_case(results: list[Result]) -> dict[str, list[Result]]:
    grouped: dict[str, list[Result]] = {}
    for result in results:
        grouped.setdefault(result.case.name, []).append(result)
    return grouped


def times(results: list[Result], clock: str) -> str:
    """One line per case, one column per peer: the median and, in brackets, the quartiles."""
    titles = list(dict.fromkeys(result.peer.title for result in results))
    rows = []
    for group in by_case(results).values():
        cells = dict.fromkeys(titles, "–")
        for result in group:
            if result.rounds and not result.skipped:
                values = [round[clock] for round in result.rounds]
                low, high = spread(values)
                cells[result.peer.title] = f"{seconds(median(values))} ({seconds(low)} to {seconds(high)})"
        rows.append([group[0].case.title, *cells.values()])
    return markdown(["case", *titles], rows)


def comparison(results: list[Result], clock: str) -> str:
    """mechanet's time over each peer's, from rounds in pairs, beside the largest ratio accepted."""
    rows = []
    for group in by_case(results).values():
        owns = [result for result in group if result.peer.name in OWN and result.rounds]
        for own, other in ((own, other) for own in owns for other in group):
            if other.peer.name in OWN or other.skipped or not other.rounds:
                continue
            values = ratios(own, other, clock)
            low, high = spread(values)
            limit = own.case.limits.get(other.peer.name)
            verdict = "" if limit is None else ("yes" if median(values) <= limit else "**no**")
            bar = "" if limit is None else f"≤ {limit:g}"
            ratio = f"{median(values):.2f} ({low:.2f} to {high:.2f})"
            rows.append([own.case.title, own.peer.title, other.peer.title, ratio, bar, verdict])
    return markdown(["case", "the time of", "over that of", "ratio", "aim", "reached"], rows)


def versions(results: list[Result]) -> str:
    """Each peer's version, cores and threads, as its own process reported them."""
    rows = {}
    for result in results:
        seen = result.environment
        if "threads" in seen:
            threads = ", ".join(f"{name}: {count}" for name, count in seen["threads"].items())
            rows[result.peer.title] = [
                result.peer.title,
                seen["version"],
                str(len(seen["cores"])),
                threads or "–",
            ]
    return markdown(["peer", "version", "cores", "threads"], rows.values())


def break_even(results: list[Result], clock: str) -> list[str]:
    """Sentences: from which case of a sweep on the GPU is ahead of the CPU."""
    sentences = []
    for name in ("width", "batch"):
        ahead, measured = None, False
        for group in by_case([r for r in results if r.case.name.startswith(f"{name}-")]).values():
            found = {r.peer.name: median(round[clock] for round in r.rounds) for r in group if r.rounds}
            if {"mechanet", "mechanet-cuda"} <= found.keys():
                measured = True
                if ahead is None and found["mechanet-cuda"] < found["mechanet"]:
                    ahead = group[0].case.title
        if measured:
            sentences.append(f"CUDA overtakes the CPU along {name} at: {ahead or 'no size measured'}.")
    return sentences
