"""Start one worker per peer and have them work in turn, so that a noisy minute hits all of them alike."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from . import SOURCE, held_back
from .cases import Case
from .peers import Peer

ROOT = Path(__file__).resolve().parents[1]
_THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@dataclass
class Result:
    """What one peer did in one case."""

    case: Case
    peer: Peer
    rounds: list[dict[str, float]] = field(default_factory=list)  # seconds of a call: {"wall": , "cpu": }
    environment: dict = field(default_factory=dict)
    skipped: str | None = None


def cores(count: int) -> list[int]:
    """The last `count` cores this process may use: the first ones take the interrupts."""
    if not hasattr(os, "sched_getaffinity"):
        return list(range(count))
    allowed = sorted(os.sched_getaffinity(0))
    if count > len(allowed):
        raise ValueError(f"Expected at most {len(allowed)} threads, the cores of this process. Received: {count}.")
    return allowed[-count:]


def variables(threads: int) -> dict[str, str]:
    """The environment of a worker: thread counts, and where mechanet's source lies if not installed."""
    path = os.pathsep.join(filter(None, [str(ROOT / "src"), os.environ.get("PYTHONPATH")]))
    environment = {name: value for name, value in os.environ.items() if name not in held_back()}
    return {**environment, **dict.fromkeys(_THREAD_VARIABLES, str(threads)), "PYTHONPATH": path}


class Worker:
    """A peer's process at the other end of two pipes; mechanet's code comes from the folder `source`."""

    def __init__(self, peer: Peer, held_to: list[int], threads: int, source: Path = ROOT / "src") -> None:
        command = [sys.executable, "-m", "benchmarks.worker", peer.name, ",".join(map(str, held_to))]
        self.peer = peer
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=variables(threads) | {SOURCE: str(source)},
        )

    def ask(self, **request) -> dict:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"The worker of {self.peer.title} ended in {request['do']!r}; see above.")
        return json.loads(answer)

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def run(
    cases: list[Case],
    peers: list[Peer],
    rounds: int,
    threads: int,
    data: str | None,
    own_threads: int | str | None = None,
) -> Iterator[Result]:
    """Yield every case's result of every peer, case by case, once its rounds are over.

    `own_threads` is handed to mechanet's `Training(threads=)`; None leaves its default.
    """
    held_to = cores(threads)
    for case in cases:
        workers = [Worker(peer, held_to, threads) for peer in peers]
        results = [Result(case, peer) for peer in peers]
        try:
            for worker, result in zip(workers, results, strict=True):
                extra = {"threads": own_threads} if own_threads and worker.peer.module == "own" else {}
                answer = worker.ask(do="prepare", case=asdict(case), data=data, **extra)
                result.skipped = answer.get("skipped")
                result.environment = answer.get("environment", {})
            for _ in range(rounds):
                for worker, result in zip(workers, results, strict=True):
                    if result.skipped is None:
                        result.rounds.append(worker.ask(do="run"))
        finally:
            for worker in workers:
                worker.close()
        yield from results
