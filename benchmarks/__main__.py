"""The command: measure, print Markdown, and keep JSON and pictures where asked for."""

import contextlib
import json
import os
import sys
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Annotated

import typer

from . import busy, once, report, rounds, size
from .cases import CASES, SWEEPS, quick
from .peers import PEERS
from .rounds import Result

_FRESH = ("start", "import", "size", "memory", "busy")  # cases that start processes of their own
_NAMES = [case.name for case in CASES] + list(_FRESH)


def _chosen(option: str, names: list[str], known: list[str]) -> list[str]:
    for name in names:
        if name not in known:
            raise typer.BadParameter(f"--{option} expects one of {', '.join(known)}. Received: {name}.")
    return names


def main(
    case: Annotated[list[str], typer.Option(help=f"One of {', '.join(_NAMES)}.")] = [],  # noqa: B006
    sweep: Annotated[list[str], typer.Option(help=f"One of {', '.join(SWEEPS)}; or all.")] = [],  # noqa: B006
    peer: Annotated[list[str], typer.Option(help="Take only this one beside mechanet.")] = [],  # noqa: B006
    threads: Annotated[int, typer.Option(min=1, help="Cores and BLAS threads of every process.")] = 1,
    rounds_: Annotated[int, typer.Option("--rounds", min=1, help="Rounds in turn.")] = 7,
    clock: Annotated[str, typer.Option(help="wall, or cpu on a machine that others use too.")] = "wall",
    data: Annotated[str | None, typer.Option(envvar="MECHANET_DATA", help="Folder of MNIST as IDX.")] = None,
    json_: Annotated[Path | None, typer.Option("--json", help="Write every round to this file.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Write pictures into this folder.")] = None,
    quick_: Annotated[bool, typer.Option("--quick", help="Little work: to try, not to quote.")] = False,
) -> None:
    """Run mechanet beside what is installed of PyTorch, scikit-learn, JAX, plain NumPy, and the floor.

    Without --case and --sweep, all cases run and no sweep.
    """
    names = _chosen("case", case, _NAMES) or ([] if sweep else _NAMES)
    swept = list(SWEEPS) if sweep == ["all"] else _chosen("sweep", sweep, list(SWEEPS))
    _chosen("clock", [clock], ["wall", "cpu"])
    wanted = _chosen("peer", peer, [known.name for known in PEERS])
    count = 3 if quick_ else rounds_
    if data is None or not list(Path(data).glob("train-images*")):
        data = None
    else:
        data = os.path.abspath(data)

    peers = []
    for known in PEERS:
        if not wanted or known.name in wanted or known.name == "mechanet":
            reason = known.missing()
            if reason is None:
                peers.append(known)
            else:
                print(f"{known.title} is left out: {reason}.\n")

    machine = report.machine()
    print(", ".join(f"{key}: {value}" for key, value in machine.items()), end="\n\n")
    print(
        "Data: MNIST; synthetic for the tabular case and beyond its 60,000 rows."
        if data
        else "Data: synthetic rows of MNIST's shape (its files are at neither --data nor $MECHANET_DATA).",
        f"Every process is held to {threads} core(s) and as many BLAS threads.",
        f"Medians (quartiles) of {count} rounds in turn,",
        "wall time." if clock == "wall" else "processor time, since the machine had other users.",
        end="\n\n",
    )

    kept: dict[str, object] = {
        "machine": machine,
        "threads": threads,
        "clock": clock,
        "data": data is not None,
    }
    results: list[Result] = []
    chosen = [quick(known) if quick_ else known for known in CASES if known.name in names]
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C ends the measuring; what was measured is shown
        for result in rounds.run(chosen, peers, count, threads, data):
            results.append(result)
            if result.rounds:
                middle = report.seconds(median(round[clock] for round in result.rounds))
                print(f"{result.case.title}: {result.peer.title} {middle}", file=sys.stderr, flush=True)
    if results:
        print(
            report.versions(results),
            report.times(results, clock),
            report.comparison(results, clock),
            sep="\n\n",
            end="\n\n",
        )
        kept["cases"] = [_plain(result) for result in results]

    grown: dict[str, list[Result]] = {}
    for name in swept:
        cases = [quick(known) if quick_ else known for known in SWEEPS[name]]
        grown[name] = list(rounds.run(cases, peers, count, threads, data))
        print(report.times(grown[name], clock), *report.break_even(grown[name], clock), sep="\n\n", end="\n\n")
        kept[f"sweep {name}"] = [_plain(result) for result in grown[name]]

    for name in _FRESH:
        if name in names:
            kept[name] = _fresh(name, peers, count, data, quick_, clock)

    if json_ is not None:
        json_.write_text(json.dumps(kept, indent=1))
    if plot is not None:
        from . import chart

        plot.mkdir(parents=True, exist_ok=True)
        if results:
            chart.bars(results, clock, plot / "cases.png")
        for name, found in grown.items():
            chart.lines(found, clock, name, plot / f"{name}.png")


def _fresh(name: str, peers: list, count: int, data: str | None, quick_: bool, clock: str) -> object:
    """Measure and print one of the cases that start processes of their own; return what to keep."""
    if name == "start":
        if data is None:
            print("Process start to 97 % is left out: it needs MNIST's IDX files (--data).\n")
            return None
        two = min(2, len(os.sched_getaffinity(0)))
        results = once.start_to_target(peers, 1 if quick_ else min(count, 5), two, data)
        print(f"On {two} cores:\n\n{report.times(results, 'wall')}\n\n{report.comparison(results, 'wall')}\n")
        return [_plain(result) for result in results]
    if name == "import":
        found = once.import_time(peers, count, clock)
        rows = [[module, report.seconds(median(values))] for module, values in found.items()]
        print(report.markdown(["import", "adds to the interpreter's start"], rows), end="\n\n")
        least = [report.seconds(min(taken)) for taken in zip(*islice(once.import_over_numpy(), 20), strict=True)]
        print(f"Processor time, the least of 20: numpy {least[0]}, mechanet over it {least[1]}.\n")
        return found
    if name == "size":
        weights = size.sizes()
        rows = [[package, f"{megabytes:.0f} MB"] for package, megabytes in weights.items()]
        print(report.markdown(["installed with its dependencies", "size"], rows), end="\n\n")
        return weights
    if name == "memory":
        peak = once.peak_memory(100_000 if quick_ else 1_000_000)
        print(report.markdown(list(peak), [[f"{v:,.0f}" for v in peak.values()]]), end="\n\n")
        return peak
    pairs = busy.run([quick(case) if quick_ else case for case in CASES], peers[0], min(count, 5), data)
    rows = []
    for alone, beside in pairs:
        values = report.ratios(beside, alone, "wall")
        low, high = report.spread(values)
        rows.append([alone.case.title, f"{median(values):.2f} ({low:.2f} to {high:.2f})"])
    print(
        report.markdown(['threads="auto", two cores, one taken, over one quiet core', "ratio (aim: ≤ 1.3)"], rows),
        end="\n\n",
    )
    return [[_plain(alone), _plain(beside)] for alone, beside in pairs]


def _plain(result: Result) -> dict[str, object]:
    """A result as JSON takes it."""
    return {
        "case": result.case.name,
        "title": result.case.title,
        "peer": result.peer.name,
        "rounds": result.rounds,
        "skipped": result.skipped,
        "environment": result.environment,
    }


if __name__ == "__main__":
    typer.run(main)
