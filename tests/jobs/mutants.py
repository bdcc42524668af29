"""Change one small thing at a time in a copy of the source, and ask whether a test notices.

    python tests/jobs/mutants.py --count 150 --seed 7 --out mutants.jsonl

Mutants are drawn from all of src, Python and C, each as likely as any other and evenly over the files; what can be
changed is in tests/jobs/mutations.py. The tests of the changed file's room come first (tests mirror src), then the
rest of the default suite, the quickest file first, until one fails. A test that takes too long fails. One that fails
without the mutant as well, for want of a core for instance, is left out and the others are run again.

The working tree is never touched: each worker has a copy of it under a temporary folder, made when the job starts.
--out gets a line for each mutant that is done, so that the same command takes up a job that was stopped; beside it
stands the table, as .md. After tests were added, --again runs the survivors once more.
"""

import argparse
import contextlib
import faulthandler
import hashlib
import importlib.util
import json
import math
import os
import queue
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import zlib
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from types import ModuleType
from unittest import mock

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from jobs.mutations import mutations  # noqa: E402

NOT_COPIED = (".git", ".venv", ".*_cache", ".hypothesis", "__pycache__", "*.so", "*.pyc")
LIMIT = 120.0  # seconds of one test; five times what it took without a mutant, where that is more


# --- what is drawn ----------------------------------------------------------------------------------------------


def draw(root: Path, count: int, seed: int) -> tuple[list[dict], int]:
    """`count` mutants in the order in which they are run, and how many there could be."""
    rng = random.Random(seed)
    every = []
    for path in sorted([*root.glob("src/**/*.py"), *root.glob("src/**/*.c")]):
        text = path.read_bytes()
        found = mutations(text, c=path.suffix == ".c")
        rng.shuffle(found)
        for start, end, choices, kind in found:
            every.append({
                "file": path.relative_to(root).as_posix(), "line": text.count(b"\n", 0, start) + 1, "kind": kind,
                "start": start, "before": text[start:end].decode(), "after": choices,
            })  # fmt: skip
    # One in so many, file after file: no file has more or fewer than its share.
    step, first = len(every) / count, rng.random()
    drawn = [every[int((number + first) * step)] for number in range(count)]
    rng.shuffle(drawn)
    return [{"number": n, **mutant, "after": rng.choice(mutant["after"])} for n, mutant in enumerate(drawn)], len(every)


def room(source: str, tests: list[str]) -> list[str]:
    """The tests that stand where a source file stands, those of its own name first."""
    _, _, *folders, name = PurePosixPath(source).parts
    stem = PurePosixPath(name).stem

    def of_its_name(test):
        return stem in PurePosixPath(test).stem

    if not folders:
        return [test for test in tests if of_its_name(test)]
    beside = [test for test in tests if test.startswith(f"tests/{folders[0]}/")]
    return sorted(beside, key=lambda test: not of_its_name(test))


# --- copies, and tests in them ----------------------------------------------------------------------------------


def copy(root: Path, to: Path) -> Path:
    shutil.copytree(root, to, symlinks=True, ignore=shutil.ignore_patterns(*NOT_COPIED))
    build(to)
    return to


def build(tree: Path) -> bool:
    """Compile the loops with the build hook's flags; False where there is no hook, no compiler, no sense in the text."""
    if not (tree / ".hatch_build.py").exists():
        return False
    for old in tree.glob("src/**/*.so"):
        old.unlink()
    interface = ModuleType("hatchling.builders.hooks.plugin.interface")
    interface.BuildHookInterface = object
    with mock.patch.dict(sys.modules, {interface.__name__: interface}):
        spec = importlib.util.spec_from_file_location("hatch_build", tree / ".hatch_build.py")
        hook = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(hook)
    source, compiler = tree / hook.SOURCE, os.environ.get("CC", "cc").split()
    try:
        for real, name in (("float", "float32"), ("double", "float64")):
            library = source.with_name(f"cpu_loops_{zlib.crc32(source.read_bytes()):08x}_{name}.so")
            command = [*compiler, *hook.FLAGS, f"-Dreal={real}", str(source), "-o", str(library), "-lm"]
            subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def kill(process: subprocess.Popen) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


class Suite:
    """Runs tests in a tree; knows how long each takes without a mutant, and which fail even so."""

    def __init__(self):
        self.seconds: dict[str, float] = {}  # by test
        self.failing: list[str] = []
        self.running: set[subprocess.Popen] = set()
        self.stopped = False

    @property
    def files(self) -> list[str]:
        """The quickest first."""
        files: dict[str, float] = defaultdict(float)
        for test, seconds in self.seconds.items():
            files[test.partition("::")[0]] += seconds
        return sorted(files, key=files.__getitem__)

    def measure(self, tree: Path) -> None:
        """Run everything without a mutant."""
        reports, code = self._reports(tree, ["tests"], (), timeout=None, limit=3600.0)
        if code not in (0, 1):
            raise SystemExit(f"expected tests that run without a mutant. Received: pytest ended with code {code}.")
        for report in reports:
            self.seconds[report["test"]] = self.seconds.get(report["test"], 0.0) + report.get("seconds", 0.0)
        self.failing = sorted({report["test"] for report in reports if report.get("outcome") == "failed"})

    def first_failure(self, tree: Path, tests: list[str], without=()) -> str | None:
        """The first of `tests` that fails, or in which pytest ends, or None."""
        if not tests:
            return None
        timeout = 10 * LIMIT + 10 * sum(t for test, t in self.seconds.items() if test.partition("::")[0] in tests)
        left_out = [f"--deselect={test}" for test in (*self.failing, *without)]
        reports, code = self._reports(tree, tests, ["-x", *left_out], timeout, LIMIT)
        for report in reports:
            if report.get("outcome") == "failed":
                return report["test"]
        if code in (0, 5):
            return None
        return reports[-1]["test"] if reports else "the start of pytest"

    def stop(self) -> None:
        """End what runs, and let nothing begin."""
        self.stopped = True
        for process in list(self.running):
            kill(process)

    def _reports(self, tree: Path, tests: list[str], options, timeout, limit) -> tuple[list[dict], int | None]:
        """What the plugin below notes of a run, and its exit code."""
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder, "report.jsonl")
            report.touch()
            limits = {test: 5 * seconds for test, seconds in self.seconds.items() if 5 * seconds > limit}
            environment = os.environ | {
                "PYTHONPATH": os.pathsep.join([str(tree / "src"), str(tree / "tests")]),
                "MUTANTS_REPORT": str(report),
                "MUTANTS_LIMITS": json.dumps({"": limit} | limits),
            }
            plugins = ["-o", "addopts=", "-p", "no:cacheprovider", "-p", "jobs.mutants"]
            process = subprocess.Popen(
                [sys.executable, "-m", "pytest", "-q", *plugins, *options, *tests], cwd=tree, env=environment,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
            self.running.add(process)
            try:
                code = process.wait(timeout)
            except subprocess.TimeoutExpired:
                code = None
            finally:
                kill(process)  # what it started, or itself
                process.wait()
                self.running.discard(process)
            if self.stopped:
                raise KeyboardInterrupt
            return [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines()], code


# --- one mutant ---------------------------------------------------------------------------------------------------


def try_out(mutant: dict, tree: Path, clean: Path, suite: Suite) -> dict:
    """The mutant with its `result`, and `by` which test it was found."""
    path = tree / mutant["file"]
    before = path.read_bytes()
    end = mutant["start"] + len(mutant["before"].encode())
    assert before[mutant["start"] : end].decode() == mutant["before"]
    own = room(mutant["file"], suite.files)
    others = [test for test in suite.files if test not in own]
    try:
        path.write_bytes(before[: mutant["start"]] + mutant["after"].encode() + before[end:])
        if path.suffix == ".py":
            Path(importlib.util.cache_from_source(path)).unlink(missing_ok=True)
        elif not build(tree):
            return mutant | {"result": "does not compile"}
        for tests in (own, others):
            without: list[str] = []
            while test := suite.first_failure(tree, tests, without):
                if "::" in test and suite.first_failure(clean, [test]):
                    without.append(test)
                else:
                    return mutant | {"result": "killed", "by": test}
        return mutant | {"result": "survived"}
    finally:
        path.write_bytes(before)
        if path.suffix == ".py":
            Path(importlib.util.cache_from_source(path)).unlink(missing_ok=True)
        else:
            build(tree)


# --- the job ------------------------------------------------------------------------------------------------------


def digest(root: Path, folder: str) -> str:
    found = hashlib.sha256()
    for path in sorted(root.glob(f"{folder}/**/*.*")):
        if path.is_file() and path.suffix not in (".so", ".pyc"):
            found.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:16]


def table(out: Path, possible: int, count: int, done: list[dict]) -> None:
    """The results as Markdown: survivors, then all."""
    counted = [mutant for mutant in done if mutant["result"] != "does not compile"]
    killed, n = sum(mutant["result"] == "killed" for mutant in counted), len(counted)
    lines = [f"{n} of {count} mutants of {possible} done: {killed} killed, {n - killed} survived."]
    if n:
        # Wilson's interval, 95 %.
        z, share = 1.96, killed / n
        middle, half = share + z * z / 2 / n, z * math.sqrt(share * (1 - share) / n + z * z / 4 / n / n)
        low, high = ((middle + sign * half) / (1 + z * z / n) for sign in (-1, 1))
        lines[0] += f" {share:.1%} killed; {low:.0%} to {high:.0%} at 95 %."
    for title, rows in (("Survivors", [m for m in done if m["result"] == "survived"]), ("All", done)):
        lines += ["", f"## {title}", "", "| file:line | mutation | result |", "| --- | --- | --- |"]
        for mutant in sorted(rows, key=lambda m: (m["file"], m["start"])):
            change = " → ".join(f"`{' '.join(mutant[side].split()) or ' '}`" for side in ("before", "after"))
            change = change.replace("|", "\\|")
            by = f" by {mutant['by']}" if "by" in mutant else ""
            by = by.replace("|", "\\|")
            place = f"{mutant['file'].removeprefix('src/')}:{mutant['line']}"
            lines.append(f"| {place} | {mutant['kind']}: {change} | {mutant['result']}{by} |")
    out.with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="a line of JSON for each mutant")
    parser.add_argument("--workers", type=int, default=1, help="mutants at once, each in a copy of its own")
    parser.add_argument("--again", action="store_true", help="run the survivors once more")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    suite, lock = Suite(), threading.Lock()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        clean = copy(options.root, Path(folder, "clean"))
        drawn, possible = draw(clean, options.count, options.seed)
        job = {"seed": options.seed, "count": options.count, "src": digest(clean, "src")}
        tests = digest(clean, "tests")

        text = options.out.read_text(encoding="utf-8") if options.out.exists() else ""
        text = text[: text.rfind("\n") + 1]  # without a line that a kill cut short
        lines = [json.loads(line) for line in text.splitlines()]
        heads = [line for line in lines if "src" in line]
        if heads and {name: heads[0][name] for name in job} != job:
            parser.error(f"{options.out} is of another seed, count or source. Name another file.")
        if heads and heads[-1]["tests"] != tests and not options.again:
            parser.error(f"{options.out} is of other tests. Name another file, or try its survivors with --again.")
        done = {line["number"]: line for line in lines if "number" in line}
        again = {number for number, line in done.items() if options.again and line["result"] == "survived"}
        todo = [mutant for mutant in drawn if mutant["number"] not in done.keys() - again]

        options.out.write_text(text, encoding="utf-8")
        with open(options.out, "a", encoding="utf-8") as file:

            def note(line):
                print(json.dumps(line, ensure_ascii=False), file=file, flush=True)

            if heads and heads[-1]["tests"] == tests:
                suite.seconds, suite.failing = heads[-1]["seconds"], heads[-1]["failing"]
            else:
                print("running all tests without a mutant", flush=True)
                suite.measure(clean)
                note(job | {"tests": tests, "seconds": suite.seconds, "failing": suite.failing})
            for test in suite.failing:
                print(f"left out, for it fails without a mutant: {test}")

            trees: queue.SimpleQueue = queue.SimpleQueue()
            for number in range(options.workers):
                trees.put(copy(clean, Path(folder, str(number))))

            def work(mutant):
                tree = trees.get()
                result = try_out(mutant, tree, clean, suite)
                trees.put(tree)
                with lock:
                    note(result)
                    done[mutant["number"]] = result
                    table(options.out, possible, options.count, list(done.values()))
                    print(f"{len(done)} of {options.count}: {mutant['file']}:{mutant['line']} {mutant['kind']}, "
                          f"{mutant['before']!r} → {mutant['after']!r}: {result['result']}", flush=True)  # fmt: skip

            pool = ThreadPoolExecutor(options.workers)
            try:
                for finished in [pool.submit(work, mutant) for mutant in todo]:
                    finished.result()
            finally:  # Ctrl-C, or a fault of ours: nothing goes on behind our back
                pool.shutdown(wait=False, cancel_futures=True)
                suite.stop()
                pool.shutdown()
    table(options.out, possible, options.count, list(done.values()))
    print(options.out.with_suffix(".md").read_text(encoding="utf-8").partition("\n## All")[0])
    return 0


# --- the plugin that notes what pytest does, in the copy ----------------------------------------------------------


def _note(**line):
    if "MUTANTS_REPORT" in os.environ:
        with open(os.environ["MUTANTS_REPORT"], "a", encoding="utf-8") as file:
            print(json.dumps(line), file=file)


def pytest_runtest_logstart(nodeid):
    _note(test=nodeid)
    limits = json.loads(os.environ["MUTANTS_LIMITS"])
    faulthandler.dump_traceback_later(limits.get(nodeid, limits[""]), exit=True, file=sys.__stderr__)


def pytest_runtest_logfinish():
    faulthandler.cancel_dump_traceback_later()


def pytest_runtest_logreport(report):
    _note(test=report.nodeid, outcome=report.outcome, seconds=report.duration)


def pytest_collectreport(report):
    if report.failed:
        _note(test=report.nodeid, outcome="failed")


if __name__ == "__main__":
    sys.exit(main())
