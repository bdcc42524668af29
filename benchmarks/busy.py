"""Two cores with `threads="auto"`, one of them kept busy by another process, against one quiet core.

A BLAS that splits a product over two cores waits for the slower half. Where that core belongs to someone
else, two threads can be many times slower than one; the automatic choice must not be.
"""

import os
import signal
import subprocess
import sys
from dataclasses import asdict

from .cases import Case
from .peers import Peer
from .rounds import Result, Worker, cores

_SPIN = "import os, sys\nos.sched_setaffinity(0, [int(sys.argv[1])])\nwhile True: pass"


def run(cases: list[Case], own: Peer, rounds: int, data: str | None) -> list[tuple[Result, Result]]:
    """For every case, the result on one quiet core and the one on two of which one is taken."""
    two = cores(2)
    pairs = []
    for case in cases:
        spinner = subprocess.Popen([sys.executable, "-c", _SPIN, str(two[1])])
        spinner.send_signal(signal.SIGSTOP)
        # Both keep the first core; the second core is the one that the other process takes.
        quiet, taken = Worker(own, two[:1], 1), Worker(own, two, 2)
        alone, beside = Result(case, own), Result(case, own)
        try:
            quiet.ask(do="prepare", case=asdict(case), data=data, threads=1)
            beside.environment = taken.ask(do="prepare", case=asdict(case), data=data, threads="auto")[
                "environment"
            ]
            for _ in range(rounds):
                alone.rounds.append(quiet.ask(do="run"))
                spinner.send_signal(signal.SIGCONT)
                beside.rounds.append(taken.ask(do="run"))
                spinner.send_signal(signal.SIGSTOP)
        finally:
            quiet.close()
            taken.close()
            os.kill(spinner.pid, signal.SIGKILL)
            spinner.wait()
        pairs.append((alone, beside))
    return pairs
