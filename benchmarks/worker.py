"""One peer in a process of its own: JSON lines in, JSON lines out.

The parent sets the thread variables before this process starts, and `hold_to` sets the cores before any
library is imported: some (JAX) ask the operating system how many cores there are and listen to nothing else.
"""

import os
import sys


def hold_to(cores: list[int]) -> None:
    """Keep this process to these cores, where the system can (Linux)."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)


def main() -> None:
    import json
    from dataclasses import asdict

    from .cases import Case
    from .peers import PEERS

    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    sys.stdout = sys.stderr  # whatever a library prints must not come between the answers
    peer = next(peer for peer in PEERS if peer.name == sys.argv[1])
    run = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request["do"] == "prepare":
                run = prepare(peer, Case(**request["case"]), request)
                answer = {"environment": environment(peer), "case": asdict(run.case)}
            else:
                answer = run.timed()
        except NotImplementedError as reason:
            answer = {"skipped": str(reason)}
        print(json.dumps(answer), file=answers, flush=True)


class Run:
    """One case of one peer, ready to be timed."""

    def __init__(self, case, model, X) -> None:
        self.case, self.model, self.X = case, model, X

    def once(self) -> None:
        if self.case.work == "predict":
            for _ in range(self.case.calls):
                self.model.predict(self.X)
        else:
            for _ in range(self.case.calls):
                self.model.epoch()

    def timed(self) -> dict[str, float]:
        """Seconds of one call: by the clock on the wall, and of processor time of all threads."""
        from time import perf_counter, process_time

        wall, cpu = perf_counter(), process_time()
        self.once()
        cpu, wall = process_time() - cpu, perf_counter() - wall
        return {"wall": wall / self.case.calls, "cpu": cpu / self.case.calls}


class CudaRun(Run):
    """As `Run`, timed by two CUDA events around the work, so that queued kernels count."""

    def __init__(self, case, model, X, cuda) -> None:
        super().__init__(case, model, X)
        self.cuda = cuda

    def timed(self) -> dict[str, float]:
        seconds = self.cuda(self.once) / self.case.calls
        return {"wall": seconds, "cpu": seconds}


def prepare(peer, case, request) -> Run:
    """Build the model on the case's data, and run it once or more to warm it up."""
    from . import data

    case = type(case)(**{**vars(case), "sizes": tuple(case.sizes)})
    X, Y, _ = data.load(case, request["data"])
    options = peer.options | ({"threads": request["threads"]} if "threads" in request else {})
    model = peer.load().Model(case, X, Y, data.starting_weights(case), peer.device, **options)
    if peer.device == "cpu":
        run = Run(case, model, X)
    else:
        run = CudaRun(case, model, X, _event_timer(peer.needs))
    run.once()
    return run


def _event_timer(package: str):
    """A function that returns the seconds between two CUDA events around a call."""
    if package == "torch":
        import torch

        def timer(call):
            start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            start.record()
            call()
            end.record()
            end.synchronize()
            return start.elapsed_time(end) / 1e3
    else:
        import cupy

        def timer(call):
            start, end = cupy.cuda.Event(), cupy.cuda.Event()
            start.record()
            call()
            end.record()
            end.synchronize()
            return cupy.cuda.get_elapsed_time(start, end) / 1e3

    return timer


def environment(peer) -> dict[str, object]:
    """What this process runs on: versions, cores, and the threads its libraries really have."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    package = peer.load().PACKAGE
    try:
        number = version(package)
    except PackageNotFoundError:
        number = peer.load().mn.__version__
    return {
        "version": f"{package} {number}",
        "described": getattr(peer.load(), "described", str)(),
        "python": platform.python_version(),
        "cores": sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": threads(),
    }


def threads() -> dict[str, int]:
    """Threads of every BLAS and OpenMP that threadpoolctl finds, and of PyTorch."""
    from threadpoolctl import threadpool_info

    found = {}
    for pool in threadpool_info():
        words = (pool["internal_api"], pool["version"], pool.get("architecture"))
        found[" ".join(filter(None, words))] = pool["num_threads"]
    if "torch" in sys.modules:
        found["torch"] = sys.modules["torch"].get_num_threads()
    return found


if __name__ == "__main__":
    hold_to([int(core) for core in sys.argv[2].split(",")])
    main()
