"""This tree beside another checkout of mechanet, epoch by epoch in turn.

    python -m benchmarks.against OTHER [--case wide ...] [--rounds 6] [--threads 1 --threads 2] [--numpy-alone]

OTHER is the root of a checkout, with its loops compiled if this tree's are. Each tree trains in a process of its
own, both are held to the same cores, and one waits while the other works: this, other, other, this. Such a block
of four short epochs gives one ratio of times; printed are the median and the quartiles of all blocks. Processes
that run the same code may differ by some hundredths as long as they live, by where their memory lies, so each
round starts new ones. `python -m benchmarks.against .` shows what is noise on a machine. Where others use it too,
the processor's time is the steadier clock; what several threads give, only the wall's shows.
"""

from . import let_go

let_go()

# ruff: noqa: E402
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median
from typing import Annotated

import typer

from . import report
from .cases import CASES, Case
from .peers import PEERS, Peer
from .rounds import ROOT, Result, Worker, cores

BLOCKS = 12  # of four epochs, in a round
# A turn is to be short against what else happens on the machine, and long against the switch: 50 to 100 ms.
ROWS = {"full-batch": 41_000, "small": 12_800, "medium": 5_120, "tabular": 12_800, "wide": 1_280}
CASE = {case.name: replace(case, rows=ROWS[case.name]) for case in CASES if case.name in ROWS}
CASE = {"original": replace(CASE["full-batch"], scaled=True), **CASE}  # bytes, as the recipe trains on them


def beside(case: Case, peer: Peer, sources: list[Path], rounds: int, threads: int, data: str | None):
    """What an epoch took with each of two source folders: a `Result` each, with every block as a round."""
    results = [Result(case, peer) for _ in sources]
    for number in range(rounds):
        turns = (1, 0, 0, 1) if number % 2 else (0, 1, 1, 0)
        workers = {side: Worker(peer, cores(threads), threads, sources[side]) for side in turns[:2]}
        try:
            for side, worker in workers.items():
                answer = worker.ask(do="prepare", case=asdict(case), data=data)
                if "skipped" in answer:
                    raise typer.BadParameter(f"{sources[side]}: {answer['skipped']}.")
                results[side].environment = answer["environment"]
            for _ in range(BLOCKS):
                taken: list[list[dict[str, float]]] = [[], []]
                for side in turns:
                    taken[side].append(workers[side].ask(do="run"))
                for result, (one, two) in zip(results, taken, strict=True):
                    result.rounds.append({clock: (one[clock] + two[clock]) / 2 for clock in one})
        finally:
            for worker in workers.values():
                worker.close()
    return results


def cells(name: str, case: Case, results: list[Result]) -> list[str]:
    """A row of the table: a step's processor time in either tree, and the ratios by both clocks."""
    row = [f"{name}: {'-'.join(map(str, case.sizes))}, batch {case.batch or 'of all'}, {case.optimizer}"]
    for result in results:
        row.append(report.seconds(median(block["cpu"] for block in result.rounds) / len(case.batches())))
    for clock in ("cpu", "wall"):
        values = report.ratios(*results, clock)
        low, high = report.spread(values)
        row.append(f"{median(values):.3f} ({low:.3f} to {high:.3f})")
    return row


def main(
    other: Annotated[Path, typer.Argument(help="The root of another checkout.")],
    case: Annotated[list[str], typer.Option(help=f"One of {', '.join(CASE)}.")] = [],  # noqa: B006
    rounds: Annotated[int, typer.Option(min=1, help=f"Of {BLOCKS} blocks, each in new processes.")] = 6,
    threads: Annotated[list[int], typer.Option(min=1, help="Cores and BLAS threads.")] = [1],  # noqa: B006
    numpy_alone: Annotated[bool, typer.Option("--numpy-alone", help="Without compiled loops.")] = False,
    data: Annotated[str | None, typer.Option(envvar="MECHANET_DATA", help="Folder of MNIST as IDX.")] = None,
) -> None:
    """Train with this tree's code and with another's, in turn, and print the ratios of their times."""
    case = case or list(CASE)
    if unknown := set(case) - set(CASE):
        raise typer.BadParameter(f"--case expects one of {', '.join(CASE)}. Received: {', '.join(unknown)}.")
    sources = [ROOT / "src", other.resolve() / "src"]
    if not (sources[1] / "mechanet").is_dir():
        raise typer.BadParameter(f"OTHER expects a checkout with src/mechanet. Received: {other}.")
    peer = next(peer for peer in PEERS if peer.name == ("mechanet-numpy" if numpy_alone else "mechanet"))
    folder = data and str(Path(data).resolve())
    print(", ".join(f"{key}: {value}" for key, value in report.machine().items()))
    ratio = f"this over other, {{}}: median (quartiles) of {rounds * BLOCKS}"
    header = ["case", "a step, this", "other", ratio.format("processor"), ratio.format("wall")]
    for count in threads:
        found = {name: beside(CASE[name], peer, sources, rounds, count, folder) for name in case}
        for side, result in zip(("this", "other"), found[case[-1]], strict=True):
            print(f"\n{side}:", *(result.environment[key] for key in ("described", "cores", "threads")), end="")
        print("\n", report.markdown(header, (cells(name, CASE[name], found[name]) for name in case)), sep="\n")


if __name__ == "__main__":
    typer.run(main)
