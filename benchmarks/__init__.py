"""mechanet beside what people would pick instead: `python -m benchmarks --help`.

cases.py      what is measured, and the figure each case has to reach
data.py       MNIST or synthetic rows, and the weights that everyone starts from
peers/        one small module per peer, all with the same few functions
worker.py     one peer in a process of its own, held to its cores
rounds.py     starts the workers and has them work in turn: A B C A B C
once.py       what needs a fresh process each time: start to 97 %, import, memory
size.py       what an installation weighs
busy.py       two cores, one of them taken by another process
report.py     the Markdown table, the JSON and the machine
chart.py      the pictures
"""

import sys
from pathlib import Path

# What is measured is the working tree beside this folder, installed or not.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))
