"""Write the list of folders in README.md from the first lines of their docstrings.

    python docs/readme_tree.py
"""

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
START, END = "<!-- tree: python docs/readme_tree.py -->\n```text\n", "```\n<!-- tree ends -->\n"


def first_line(path: Path) -> str:
    """The first line of a module's docstring, without its full stop."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.split("\n")[0].rstrip(".").replace("``", "").replace("`", "")


def tree(folder: Path) -> list[str]:
    """One line a folder."""
    inside = sorted(path.parent for path in folder.glob("*/__init__.py"))
    return [f"{path.name + '/':14}{first_line(path / '__init__.py')}" for path in inside]


def readme() -> str:
    """README.md as it should be."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    before, after = text.partition(START)[0], text.partition(END)[2]
    return before + START + "".join(f"{line}\n" for line in tree(ROOT / "src" / "mechanet")) + END + after


if __name__ == "__main__":
    (ROOT / "README.md").write_text(readme(), encoding="utf-8")
