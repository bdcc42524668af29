"""The tool that asks whether the tests would notice: tests/jobs/mutants.py, on a project of a few lines."""

import json
import sys
from pathlib import Path

import pytest
from jobs import mutants
from jobs.mutations import mutations

SOURCE = '''"""A docstring with 1 < 2."""
import math as m
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import cmath

def area(side: int = 3, *, höhe=None):  # 1 + 1
    """2 * 2"""
    if side <= 0 or not side:
        raise ValueError(f"side expects {1 + 1}" + "")
    total = -side
    total += side * höhe
    print("a" + "b", (side) - (  # one - two
        höhe))
    return max(side, total, 0.5) if side is not True else 7

class Square:
    size: int = 1

    def __repr__(self):
        return 1 + 1
'''
FOUND = [
    (8, "constant", "3", ("4", "(2)")),
    (10, "negate condition", "side <= 0 or not side", ("not (side <= 0 or not side)",)),
    (10, "comparison", "<=", ("<", ">=")),
    (10, "constant", "0", ("1", "(-1)")),
    (10, "and/or", "or", ("and",)),
    (12, "sign", "-side", ("(side)",)),
    (13, "remove statement", "total += side * höhe", ("pass",)),
    (13, "augmented operator", "+=", ("-=",)),
    (13, "operator", "*", ("/",)),
    (14, "remove statement", 'print("a" + "b", (side) - (  # one - two\n        höhe))', ("pass",)),
    (14, "operator", "-", ("+",)),
    (14, "swap arguments", '"a" + "b", (side) - (  # one - two\n        höhe)',
     ('(side) - (  # one - two\n        höhe), "a" + "b"',)),
    (16, "return value", "return max(side, total, 0.5) if side is not True else 7", ("return None",)),
    (16, "swap arguments", "side, total", ("total, side",)),
    (16, "constant", "0.5", ("1.5", "1.0")),
    (16, "negate condition", "side is not True", ("not (side is not True)",)),
    (16, "comparison", "is not", ("is",)),
    (16, "constant", "True", ("False",)),
    (16, "constant", "7", ("8", "(6)")),
    (19, "constant", "1", ("2", "(0)")),
]  # fmt: skip
C_SOURCE = """#define N 1 + 1
/* a < b */
void f(int64_t n, real *restrict a) {
  for (int64_t i = 0; i < n; i++) {
    if (a[i] > 0 && n) a[i] -= 2 * g(a[i]);
    if (i + 2 < n) fetch(a + i);
  }
  return;
}
"""
C_FOUND = [
    (4, "constant", "0", ("1",)),
    (4, "comparison", "<", ("<=",)),
    (5, "negate condition", "a[i] > 0 && n", ("!(a[i] > 0 && n)",)),
    (5, "comparison", ">", (">=",)),
    (5, "constant", "0", ("1",)),
    (5, "and/or", "&&", ("||",)),
    (5, "remove statement", "a[i] -= 2 * g(a[i])", ("",)),
    (5, "augmented operator", "-=", ("+=",)),
    (5, "constant", "2", ("3",)),
    (5, "operator", "*", ("/",)),
]


@pytest.mark.parametrize(("text", "c", "expected"), [(SOURCE, False, FOUND), (C_SOURCE, True, C_FOUND)], ids=["Python", "C"])
def test_what_can_be_changed(text, c, expected):
    """Each thing once; and neither texts nor declarations."""
    data = text.encode()
    found = [
        (data.count(b"\n", 0, start) + 1, kind, data[start:end].decode(), choices)
        for start, end, choices, kind in mutations(data, c)
    ]
    assert sorted(found) == sorted(expected)


def test_every_change_of_ours_can_be_compiled():
    drawn, possible = mutants.draw(mutants.ROOT, 100, seed=1)
    assert possible > 5000
    assert {mutant["number"] for mutant in drawn} == set(range(100))
    for mutant in drawn:
        text = (mutants.ROOT / mutant["file"]).read_bytes()
        end = mutant["start"] + len(mutant["before"].encode())
        changed = text[: mutant["start"]] + mutant["after"].encode() + text[end:]
        assert changed != text
        if mutant["file"].endswith(".py"):
            compile(changed, mutant["file"], "exec")


def test_the_room_of_a_file_comes_first():
    tests = ["tests/test_a.py", "tests/net/test_all.py", "tests/net/test_file.py", "tests/test_schedules_and_more.py"]
    assert mutants.room("src/mechanet/net/file.py", tests) == ["tests/net/test_file.py", "tests/net/test_all.py"]
    assert mutants.room("src/mechanet/schedules.py", tests) == ["tests/test_schedules_and_more.py"]
    assert mutants.room("src/mechanet/other/file.py", tests) == []


SUMS = "def add(a, b):\n    return a + b\n\n\ndef more(a):\n    return a\n\n\nSOME = 1\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A function that is tested, one that is not, and one that never comes back if its number is changed."""
    files = {
        "src/house/sums.py": SUMS,
        "src/house/loops.py": "def count():\n    for _ in iter(int, 0):\n        pass\n",
        "tests/test_sums.py": "from house.sums import add\n\n\ndef test_add():\n    assert add(2, 1) == 3\n",
        "tests/test_last.py": "from house.loops import count\n\n\ndef test_count():\n    count()\n",
        "tests/test_broken.py": "def test_broken():\n    assert False\n",
        "pyproject.toml": "[tool.pytest.ini_options]\n",
        "tests/jobs/mutants.py": Path(mutants.__file__).read_text(encoding="utf-8"),
        "tests/jobs/mutations.py": Path(sys.modules["jobs.mutations"].__file__).read_text(encoding="utf-8"),
    }
    for name, text in files.items():
        (tmp_path / "project" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "project" / name).write_text(text, encoding="utf-8")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # to start quickly
    return tmp_path / "project"


def test_a_seed_draws_the_same_mutants(project):
    drawn, possible = mutants.draw(project, 3, seed=1)
    assert possible == 6
    assert mutants.draw(project, 3, seed=1)[0] == drawn
    assert mutants.draw(project, 3, seed=2)[0] != drawn
    assert sum(mutant["file"] == "src/house/loops.py" for mutant in drawn) == 1  # which has 2 of the 6


groups = pytest.mark.skipif(sys.platform == "win32", reason="processes are ended by their group")


@groups
def test_one_mutant_is_killed_and_another_survives(project, tmp_path):
    suite, tree = mutants.Suite(), mutants.copy(project, tmp_path / "tree")
    suite.seconds = dict.fromkeys(["tests/test_sums.py::test_add", "tests/test_last.py::test_count"], 0.1)
    every = {(mutant["line"], mutant["kind"]): mutant for mutant in mutants.draw(project, 6, 0)[0]}
    killed, alive = (mutants.try_out(every[place], tree, project, suite) for place in [(2, "operator"), (9, "constant")])
    assert (killed["result"], killed["by"]) == ("killed", "tests/test_sums.py::test_add")
    assert alive == every[9, "constant"] | {"result": "survived"}
    assert (tree / "src/house/sums.py").read_text() == SUMS


@groups
@pytest.mark.slow
def test_mutants_are_killed_survive_and_are_taken_up(project, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(mutants, "LIMIT", 2.0)
    out = tmp_path / "out.jsonl"
    command = ["--root", str(project), "--count", "6", "--seed", "3", "--out", str(out)]
    before = {path: path.read_bytes() for path in project.rglob("*.*") if path.is_file()}
    assert mutants.main(command) == 0
    assert {path: path.read_bytes() for path in project.rglob("*.*") if path.is_file()} == before

    head, *lines = map(json.loads, out.read_text(encoding="utf-8").splitlines())
    assert head["failing"] == ["tests/test_broken.py::test_broken"]
    found = {(m["file"], m["line"], m["kind"]): (m["result"], m.get("by")) for m in lines}
    assert len(lines) == 6
    assert found == {
        ("src/house/sums.py", 2, "operator"): ("killed", "tests/test_sums.py::test_add"),
        ("src/house/sums.py", 2, "return value"): ("killed", "tests/test_sums.py::test_add"),
        ("src/house/sums.py", 6, "return value"): ("survived", None),
        ("src/house/sums.py", 9, "constant"): ("survived", None),
        ("src/house/loops.py", 2, "swap arguments"): ("killed", "tests/test_last.py::test_count"),
        ("src/house/loops.py", 2, "constant"): ("killed", "tests/test_last.py::test_count"),  # it goes on for ever
    }
    written = out.with_suffix(".md").read_text(encoding="utf-8")
    assert written.startswith("6 of 6 mutants of 6 done: 4 killed, 2 survived. 66.7% killed; 30% to 90% at 95 %.\n")
    assert "| house/sums.py:6 | return value: `return a` → `return None` | survived |" in written

    # Taken up where a kill left it, in the middle of a line: what is done is not done again.
    text = out.read_text(encoding="utf-8").splitlines()
    out.write_text("\n".join(text[:-1]) + "\n" + text[-1][:20], encoding="utf-8")
    capsys.readouterr()
    assert mutants.main(command) == 0
    assert capsys.readouterr().out.count("of 6: ") == 1
    assert [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()] == [head, *lines]

    # With other tests: only the survivors, and only if asked for.
    test = "from house.sums import *\n\n\ndef test_all():\n    assert add(SOME, more(1)) == 2\n"
    (project / "tests/test_sums.py").write_text(test)
    with pytest.raises(SystemExit):
        mutants.main(command)
    assert "is of other tests" in capsys.readouterr().err
    assert mutants.main([*command, "--again"]) == 0
    assert "6 killed, 0 survived. 100.0% killed" in out.with_suffix(".md").read_text(encoding="utf-8")
