"""Pictures of the results: bars for the cases, lines for the sweeps."""

from pathlib import Path
from statistics import median

import matplotlib

from .peers import PEERS
from .report import by_case, seconds, spread
from .rounds import Result

matplotlib.use("Agg")
from matplotlib import pyplot as plt

# Okabe and Ito's colours, told apart by colour-blind readers; the markers tell them apart in grey.
_COLOURS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#999999", "#56B4E9", "#F0E442", "#000000"]
_LOOK = {peer.name: (colour, marker) for peer, colour, marker in zip(PEERS, _COLOURS, "os^DvxPX*", strict=True)}


def bars(results: list[Result], clock: str, path: Path) -> None:
    """One panel per case, one bar per peer; the line at the end of a bar spans the quartiles."""
    cases = by_case([result for result in results if result.rounds])
    tall = 0.6 + 0.28 * sum(map(len, cases.values())) + 0.55 * len(cases)
    heights = [len(group) for group in cases.values()]
    figure, axes = plt.subplots(
        len(cases), 1, figsize=(8, tall), squeeze=False, height_ratios=heights, layout="constrained"
    )
    for axis, group in zip(axes[:, 0], cases.values(), strict=True):
        for place, result in enumerate(group):
            values = [round[clock] for round in result.rounds]
            middle, (low, high) = median(values), spread(values)
            axis.barh(place, middle, color=_LOOK[result.peer.name][0])
            axis.plot([low, high], [place, place], color="black", linewidth=1)
            axis.annotate(
                seconds(middle), (max(middle, high), place), (4, 0), textcoords="offset points", va="center"
            )
        axis.set_title(group[0].case.title, loc="left", fontsize="medium")
        axis.set_yticks(range(len(group)), [result.peer.title for result in group])
        axis.invert_yaxis()
        axis.margins(x=0.15)
        axis.set_xticks([])
        axis.spines[["top", "right", "bottom"]].set_visible(False)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def lines(results: list[Result], clock: str, name: str, path: Path) -> None:
    """How the cost of an epoch grows along one sweep, both axes logarithmic."""
    figure, axis = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for peer in PEERS:
        mine = [result for result in results if result.peer == peer and result.rounds]
        if mine:
            colour, marker = _LOOK[peer.name]
            sizes = [int(result.case.name.rpartition("-")[2]) for result in mine]
            times = [median(round[clock] for round in result.rounds) for result in mine]
            axis.plot(sizes, times, color=colour, marker=marker, label=peer.title)
    axis.set(xscale="log", yscale="log", xlabel=_AXIS[name], ylabel="one epoch, seconds")
    axis.grid(alpha=0.3)
    axis.legend()
    figure.savefig(path, dpi=150)
    plt.close(figure)


_AXIS = {
    "width": "hidden units of 784-n-10, 12,800 rows, batch 128",
    "depth": "hidden layers of 64 units, 12,800 rows, batch 128",
    "batch": "rows in a batch of 784-128-10, 12,800 rows",
    "rows": "rows in an epoch of 784-128-10, batch 128",
}
