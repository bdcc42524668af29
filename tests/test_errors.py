"""One wording of errors: what is expected, then ``Received:``, then what to do."""

import ast
import re
from pathlib import Path

import pytest

import mechanet as mn

SRC = Path(mn.__file__).parent
FORBIDDEN = re.compile(r"; received|\bmust be\b|, got\b|\bshould be\b")
SCIKIT_LEARN = "estimators"  # its own tests ask for its own texts, which say "must be" and "got"


def text_of(node: ast.AST) -> str:
    """All string parts of an expression in their order, with … for each value put in."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.FormattedValue):
        return "…" + text_of(node.value)
    return "".join(map(text_of, ast.iter_child_nodes(node)))


def other_wordings(folder: Path) -> list[str]:
    """Raised texts in another wording; and what is expected without what was received."""
    wrong = []
    for path in sorted(folder.rglob("*.py")):
        name = path.relative_to(folder).as_posix()
        if name.startswith(SCIKIT_LEARN):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            text = text_of(node) if isinstance(node, (ast.Raise, ast.JoinedStr)) else ""
            if found := FORBIDDEN.search(text):
                wrong.append(f"{name}, line {node.lineno}: {found[0]!r}")
            elif isinstance(node, ast.Raise) and re.search(r"\bexpect(s|ed)\b", text) and "Received: " not in text:
                wrong.append(f"{name}, line {node.lineno}: expected without Received")
    return wrong


def test_errors_have_one_wording():
    assert other_wordings(SRC) == []


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("raise ValueError('n must be positive')", "a.py, line 1: 'must be'"),
        ("raise ValueError(f'expected 2 rows; received {n}')", "a.py, line 1: '; received'"),
        ("def text(n):\n    return f'expected 2 rows; received {n}'", "a.py, line 2: '; received'"),
        ("raise TypeError(f'expected an integer, got {n}')", "a.py, line 1: ', got'"),
        ("raise ValueError(f'n expects at least {n} rows')", "a.py, line 1: expected without Received"),
        ("raise ValueError(f'n expects 2. Received: n={n}.')", None),
    ],
)
def test_another_wording_is_found(tmp_path, text, complaint):
    (tmp_path / "a.py").write_text(text)
    wrong = other_wordings(tmp_path)
    assert complaint in wrong if complaint else wrong == []
