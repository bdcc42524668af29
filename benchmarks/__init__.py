"""mechanet beside what people would pick instead: `python -m benchmarks --help`.

cases.py      what is measured, and the figure each case has to reach
data.py       MNIST or synthetic rows, and the weights that everyone starts from
peers/        one small module per peer, all with the same few functions
worker.py     one peer in a process of its own, held to its cores
rounds.py     starts the workers and has them work in turn: A B C A B C
against.py    this tree beside another checkout, in short turns
once.py       what needs a fresh process each time: start to 97 %, import, memory
size.py       what an installation weighs
busy.py       two cores, one of them taken by another process
report.py     the Markdown table, the JSON and the machine
chart.py      the pictures
"""

import os
import sys
from pathlib import Path

# What is measured is the working tree beside this folder, installed or not; or one that `against` names.
SOURCE = "MECHANET_SOURCE"
sys.path.insert(0, os.environ.get(SOURCE, str(Path(__file__).resolve().parents[1] / "src")))

# They hold OpenBLAS, and so NumPy and scikit-learn but not JAX and PyTorch, to the kernels of another processor.
_HOLD_BACK = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


def held_back() -> dict[str, str]:
    """What of the environment is set aside, so that every library runs the kernels of its own choice."""
    return {name: os.environ[name] for name in _HOLD_BACK if name in os.environ}


def let_go() -> None:
    """Set it aside in this process, before NumPy is loaded."""
    for name in held_back():
        del os.environ[name]
