"""Write the list of files in README.md from the first lines of their docstrings.

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


def tree(folder: Path, indent: str = "") -> list[str]:
    """One line a file, and a folder after its files."""
    lines = []
    for path in sorted(folder.glob("*.py")):
        if path.name != "__init__.py":
            lines.append(f"{indent + path.name:26}{first_line(path)}")
    for inside in sorted(path.parent for path in folder.glob("*/__init__.py")):
        lines.append(f"{indent + inside.name + '/':26}{first_line(inside / '__init__.py')}")
        lines += tree(inside, indent + "  ")
    return lines


def readme() -> str:
    """README.md as it should be."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    before, after = text.partition(START)[0], text.partition(END)[2]
    return before + START + "".join(f"{line}\n" for line in tree(ROOT / "src" / "mechanet")) + END + after


if __name__ == "__main__":
    (ROOT / "README.md").write_text(readme(), encoding="utf-8")
