"""Make the pictures of the README from real runs: ``python docs/make_pictures.py``.

A network that was trained on the bundled digits, lit up by one of them; a film of a network that learns to tell
three spirals apart; and the terminal's view of Matt Mazur's worked example. Takes a minute on one core.
"""

import io
import re
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI

import mechanet as mn

IMAGES = Path(__file__).parent / "images"
ROW = 0  # of the digits' test part


def network() -> None:
    digits = mn.datasets.load("digits")
    layers = [mn.Scale(1 / 255), mn.Dense(16), mn.ReLU(), mn.Dense(12), mn.ReLU(), mn.Dense(10)]
    net = mn.Network(layers, input_shape=(784,), seed=0)
    training = mn.Training(net, digits.train.x, digits.train.y, optimizer=mn.Adam(3e-3), seed=0)
    for epoch in training.epochs(10):
        print(epoch)
    print(net.evaluate(digits.test.x, digits.test.y))
    figure = mn.plots.network(net, digits.test.x[ROW])
    figure.savefig(IMAGES / "network.png", dpi=80)


def film() -> None:
    spiral = mn.datasets.load("spiral")
    layers = [mn.Dense(16), mn.Tanh(), mn.Dense(16), mn.Tanh(), mn.Dense(3)]
    net = mn.Network(layers, input_shape=(2,), seed=0)
    training = mn.Training(net, spiral.train.x, spiral.train.y, optimizer=mn.Adam(0.01), batch_size=32, seed=0)
    mn.plots.training_film(training, 60, IMAGES / "training.gif", frames=30, frames_a_second=6)
    print(net.evaluate(spiral.test.x, spiral.test.y))


def explanation() -> None:
    layers = [mn.Dense(2), mn.Sigmoid(), mn.Dense(2), mn.Sigmoid()]
    net = mn.Network(layers, input_shape=(2,), loss="squared_error", dtype="float64")
    net.parameters[...] = [0.15, 0.25, 0.20, 0.30, 0.35, 0.35, 0.40, 0.50, 0.45, 0.55, 0.60, 0.60]
    told = mn.explain(net, [[0.05, 0.10]], [[0.01, 0.99]], optimizer=mn.SGD(0.5))
    console = Console(width=100, record=True, file=io.StringIO(), force_terminal=True)
    head, _, loss, backward, *_ = told.__rich__().renderables
    console.print(head, loss, backward)
    console.print("[dim]… and the forward pass, the gradient check, the contributions, the update[/dim]")
    svg = console.export_svg(title="print(mn.explain(net, x, y, optimizer=mn.SGD(0.5)))", theme=MONOKAI)
    # rich's picture asks the network for its font; the reader's own will do.
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    (IMAGES / "explanation.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    explanation()
    film()
    network()
    for path in sorted(IMAGES.iterdir()):
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")
