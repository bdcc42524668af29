"""What the documentation needs of its build: code taken from the source, and pages from outside of docs/.

A paragraph such as ``[source: activations.relu, layers.dense.Dense.forward]`` is replaced by that code, without
its docstring, which the page tells better. A name that is not in the source stops the build. ``[activations]`` is
replaced by the table of them.
"""

import ast
import base64
import json
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "mechanet"
SOURCE = re.compile(r"^\[source: ([^\]]+)\]$", re.MULTILINE)
ACTIVATIONS = re.compile(r"^\[activations\]$", re.MULTILINE)
NOTEBOOK = ROOT / "docs" / "tutorial.ipynb"
FROM_ROOT = ("CONTRIBUTING.md", "SECURITY.md")  # they stand where a stranger looks


def source(name: str) -> tuple[str, str]:
    """The file that holds `name`, such as ``layers.dense.Dense.forward``, and its code without the docstring."""
    parts = name.split(".")
    for count in range(len(parts) - 1, 0, -1):
        path = PACKAGE.joinpath(*parts[:count]).with_suffix(".py")
        if path.is_file():
            break
    else:
        raise ValueError(f"expected a name in src/mechanet such as activations.relu. Received: {name!r}.")
    text = path.read_text(encoding="utf-8")
    node: ast.AST = ast.parse(text)
    for part in parts[count:]:
        inside = [child for child in ast.iter_child_nodes(node) if getattr(child, "name", None) == part]
        if not inside:
            file = path.relative_to(ROOT)
            raise ValueError(f"expected a function or class {part!r} in {file}. Received: {name!r}.")
        node = inside[0]
    lines = text.splitlines()
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    keep = list(range(first, node.end_lineno + 1))
    if ast.get_docstring(node) is not None:
        described = node.body[0]
        drop = set(range(described.lineno, described.end_lineno + 1))
        after = described.end_lineno + 1
        while after in keep and not lines[after - 1].strip():
            drop.add(after)
            after += 1
        keep = [number for number in keep if number not in drop]
    code = [lines[number - 1] for number in keep]
    indent = len(code[0]) - len(code[0].lstrip())
    return path.relative_to(ROOT).as_posix(), "\n".join(line[indent:] for line in code)


def with_sources(markdown: str) -> str:
    """`markdown` with the code that its source paragraphs name, a block for each file."""

    def code(match):
        files: dict[str, list[str]] = {}
        for name in match.group(1).split(","):
            path, text = source(name.strip())
            files.setdefault(path, []).append(text)
        return "\n\n".join(
            f'<p class="from-source">{path}</p>\n\n```python\n' + "\n\n".join(texts) + "\n```"
            for path, texts in files.items()
        )

    return SOURCE.sub(code, markdown)


def with_activations(markdown: str) -> str:
    """`markdown` with the activations' names and formulas in place of its paragraph ``[activations]``."""
    from mechanet.explain.formulas import backward_formula
    from mechanet.layers import ACTIVATIONS as TABLE

    rows = [("layer", "name", "forward", "backward"), ("---",) * 4]
    for name, kind in TABLE.items():
        rows.append((f"`{kind.__name__}`", f"`{name}`", kind.formula, backward_formula(kind(), "dZ")))
    lines = (" | ".join(cell.replace("|", r"\|") for cell in row) for row in rows)
    table = "\n".join(f"| {line} |" for line in lines)
    return ACTIVATIONS.sub(lambda match: table, markdown)


def notebook_page(path: Path) -> str:
    """A notebook as markdown: its text, its code, and what the code gave."""
    parts = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(text)
            continue
        parts.append(f"```python\n{text}\n```")
        parts.extend(_output(output) for output in cell["outputs"])
    return "\n\n".join(parts)


def _output(output) -> str:
    data = output.get("data", {})
    if "image/png" in data:
        picture = "".join("".join(data["image/png"]).split())
        assert base64.b64decode(picture, validate=True)
        return f'<img alt="what the cell above draws" src="data:image/png;base64,{picture}">'
    if "text/html" in data:
        return "<div>" + "".join(data["text/html"]).replace("\n\n", "\n") + "</div>"
    text = "".join(output.get("text", data.get("text/plain", "")))
    return f"```text\n{text.rstrip()}\n```"


def on_files(files, config):
    if NOTEBOOK.is_file():
        files.append(File.generated(config, "tutorial.md", content=notebook_page(NOTEBOOK)))
    for name in FROM_ROOT:
        text = (ROOT / name).read_text(encoding="utf-8")
        files.append(File.generated(config, name, content=text.replace("](docs/", "](")))
    return files


def on_page_markdown(markdown, page, config, files):
    return with_sources(with_activations(re.sub(r"^```worked$", "```text", markdown, flags=re.MULTILINE)))
