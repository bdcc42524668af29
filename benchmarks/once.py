"""What takes a fresh process every time: start to 97 %, import, and the peak of memory."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from . import memory, start
from .peers import Peer
from .rounds import ROOT, Result, cores, variables

_IMPORTS = {
    "mechanet": "mechanet",
    "pytorch": "torch",
    "sklearn": "sklearn.neural_network",
    "jax": "jax",
    "floor": "numpy",
}


def _timed(command: list[str], threads: int) -> tuple[float, str]:
    """Seconds that a process takes from its start to its end, and what it prints."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=variables(threads),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return time.perf_counter() - began, done.stdout


def start_to_target(peers: list[Peer], rounds: int, threads: int, data: str) -> list[Result]:
    """Seconds from the start of the process until the network has learnt MNIST to 97 %."""
    held_to = ",".join(map(str, cores(threads)))
    results = [Result(start.CASE, peer) for peer in peers if peer.name not in ("floor", "post")]
    for _ in range(rounds):
        for result in results:
            seconds, printed = _timed(["-m", "benchmarks.start", result.peer.name, held_to, data], threads)
            result.rounds.append({"wall": seconds})
            result.environment = json.loads(printed)
            if result.environment["accuracy"] < start.TARGET:
                result.skipped = f"did not reach {start.TARGET:.0%}: {result.environment['accuracy']:.2%}"
    return results


def _child_seconds(code: str, clock: str) -> float:
    """Seconds of an interpreter that runs `code`: on the wall, or of the processor."""
    before = os.times()
    wall, _ = _timed(["-c", code], 1)
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return wall if clock == "wall" else spent


def import_time(peers: list[Peer], rounds: int, clock: str) -> dict[str, list[float]]:
    """Seconds that the import of each peer adds to an empty interpreter, round by round, in turn."""
    modules = {peer.name: _IMPORTS[peer.name] for peer in peers if peer.name in _IMPORTS}
    seconds: dict[str, list[float]] = {module: [] for module in modules.values()}
    for module in modules.values():
        _child_seconds(f"import {module}", clock)  # the first import compiles and reads from the disk
    for _ in range(rounds):
        empty = _child_seconds("pass", clock)
        for module, found in seconds.items():
            found.append(_child_seconds(f"import {module}", clock) - empty)
    return seconds


def import_over_numpy() -> Iterator[tuple[float, float]]:
    """Processor seconds of `import numpy`, and of `import mechanet` after it, of one fresh process after another.

    The least of many tells most: what else runs on the machine only ever adds.
    """
    code = (
        "from time import process_time as now\n"
        "start = now(); import numpy; between = now(); import mechanet; print(between - start, now() - between)"
    )
    with tempfile.TemporaryDirectory() as compiled:
        kept = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": compiled}  # as where it is installed
        command, environment = [sys.executable, "-c", code], variables(1) | kept
        while True:
            took_numpy, took_mechanet = subprocess.check_output(command, env=environment, text=True).split()
            yield float(took_numpy), float(took_mechanet)


def peak_memory(rows: int) -> dict[str, float]:
    """Megabytes that training holds at its peak besides its data, `rows` x 784 bytes in a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.bin"
        memory.write_rows(path, rows)
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.memory", str(path), str(rows)], cwd=ROOT, env=variables(1)
        )
        peak = 0
        while process.poll() is None:
            try:
                peak = max(peak, memory.held(process.pid, path))
            except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
                break
            time.sleep(0.02)
        if process.wait() != 0:
            raise RuntimeError("The training on a memory-mapped file failed; its error stands above.")
        return {"rows": rows, "data MB": rows * memory.COLUMNS / 1e6, "peak MB": peak / 1e6}
