"""Reads the documentation as the tests need it: its code blocks, and the numbers worked in it by hand.

A page's blocks are told apart by the word after the fence:

- ``pycon``: a session, run as a doctest; all sessions of a page are one;
- ``python``: a script, run in the page's session;
- ``worked``: arithmetic, a line a step, such as ``Z₁ = 1·0.5 + 0.1 = 0.6``: both sides of every = must be the
  same number, and what stands right of an ≈ must be what stands left of it, rounded to the digits that are
  printed. It is computed with plain Python floats; mechanet has no part in it;
- ``bash`` and ``console``: commands;
- ``text``, ``yaml``, ``json``, ``toml``, ``dockerfile``: not run.
"""

import ast
import contextlib
import doctest
import io
import math
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^( *)(```+)([^\n`]*)\n(.*?)^\1\2 *$", re.MULTILINE | re.DOTALL)
LANGUAGES = {"pycon", "python", "worked", "bash", "console", "text", "yaml", "json", "toml", "dockerfile"}


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text and the line its text begins in."""

    language: str
    text: str
    line: int


def blocks(markdown: str) -> list[Block]:
    return [
        Block(m[3].strip(), "\n".join(line.removeprefix(m[1]) for line in m[4].splitlines()),
              markdown.count("\n", 0, m.start(4)) + 1)
        for m in FENCE.finditer(markdown)
    ]  # fmt: skip


def prose(markdown: str) -> str:
    """What is left of a page without its fenced blocks, its code in the line and its references."""
    text = re.sub(r"`[^`\n]*`", "", FENCE.sub("", markdown))
    return re.sub(r"^References:.*?(\n\n|\Z)", "", text, flags=re.MULTILINE | re.DOTALL)


# --- numbers worked by hand -------------------------------------------------------------------------------------

SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
SUPERSCRIPTS = {"²": "**2", "³": "**3", "⁴": "**4"}
FUNCTIONS = {
    "exp": math.exp, "log": math.log, "tanh": math.tanh, "sqrt": math.sqrt, "max": max, "min": min, "abs": abs,
    "σ": lambda z: 1.0 / (1.0 + math.exp(-z)), "π": math.pi,
}  # fmt: skip
NUMBER = re.compile(r"[-−]?\d+(\.\d+)?(e[-+]?\d+)?")


def _python(expression: str) -> str:
    """An expression as it is written on paper, as Python."""
    text = expression.strip().replace("·", "*").replace("−", "-").replace("√", "sqrt").replace("½", "0.5")
    text = re.sub(r"(?<=\w)[₀-₉]+", lambda m: "_" + m[0].translate(SUBSCRIPTS), text)
    for sign, power in SUPERSCRIPTS.items():
        text = text.replace(sign, power)
    return unicodedata.normalize("NFKC", text)  # as Python reads names: ℓ is l


def _value(expression: str, names: dict[str, float]) -> float:
    tree = ast.parse(_python(expression), mode="eval")
    allowed = (ast.Expression, ast.BinOp, ast.UnaryOp, ast.Call, ast.Name, ast.Constant, ast.operator,
               ast.unaryop, ast.expr_context)  # fmt: skip
    for node in ast.walk(tree):
        if not isinstance(node, allowed):
            raise ValueError(f"not arithmetic: {expression.strip()!r}")
    return float(eval(compile(tree, "worked", "eval"), {"__builtins__": {}}, FUNCTIONS | names))


def _rounds_to(value: float, printed: str) -> bool:
    mantissa, _, exponent = printed.strip().replace("−", "-").partition("e")
    digits = len(mantissa.partition(".")[2])
    unit = 10.0 ** (int(exponent or 0) - digits)
    return abs(value - float(printed.replace("−", "-"))) <= 0.5000001 * unit


def wrong_steps(markdown: str) -> list[str]:
    """The steps of a page's worked blocks that do not hold."""
    names: dict[str, float] = {}
    wrong = []
    for block in blocks(markdown):
        if block.language != "worked":
            continue
        for offset, line in enumerate(block.text.splitlines()):
            step = line.partition("#")[0].strip()
            if step:
                reason = _check_step(step, names)
                if reason:
                    wrong.append(f"line {block.line + offset}: {step}: {reason}")
    return wrong


def _check_step(step: str, names: dict[str, float]) -> str:
    first, *rest = re.split(r"([=≈])", step)
    if not rest:
        return "a step expects a = or an ≈"
    values = []
    target = _python(first)
    if target.isidentifier() and target not in names and target not in FUNCTIONS:
        values = []  # the first side is a new name, and gets the value of the second
    else:
        values.append(_try(first, names))
    for sign, side in zip(rest[::2], rest[1::2], strict=True):
        if sign == "≈":
            if not values:
                return "left of an ≈ stands what is rounded. Received: a new name"
            if not NUMBER.fullmatch(side.strip()):
                return f"right of an ≈ stands a number. Received: {side.strip()!r}"
            if isinstance(values[-1], str) or not _rounds_to(values[-1], side.strip()):
                return f"{values[-1]} is not {side.strip()} to the digits printed"
            continue
        value = _try(side, names)
        if isinstance(value, str):
            return value
        if values and not (
            isinstance(values[-1], float) and math.isclose(values[-1], value, rel_tol=1e-12, abs_tol=1e-15)
        ):
            return f"{values[-1]} is not {value}"
        values.append(value)
    if target.isidentifier() and target not in names and not isinstance(values[0], str):
        names[target] = values[0]
    return values[0] if values and isinstance(values[0], str) else ""


def _try(side: str, names: dict[str, float]) -> float | str:
    try:
        return _value(side, names)
    except (NameError, SyntaxError, ValueError, TypeError, ArithmeticError) as error:
        return f"cannot be computed: {error}"


def unexplained_numbers(markdown: str) -> list[str]:
    """Decimal numbers in a page's prose that stand in none of its executed blocks."""
    executed = " ".join(b.text for b in blocks(markdown) if b.language in ("pycon", "worked", "python"))
    shown = set(re.findall(r"\d+\.\d+", executed))
    return sorted({number for number in re.findall(r"\d+\.\d+", prose(markdown)) if number not in shown})


# --- sessions ---------------------------------------------------------------------------------------------------


def failures(markdown: str, name: str = "page") -> str:
    """Run a page's sessions and scripts, in order, in one namespace; what failed, or nothing."""
    namespace: dict = {"__name__": "__main__"}
    report = io.StringIO()
    parser = doctest.DocTestParser()
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    for block in blocks(markdown):
        if block.language == "python":
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    exec(compile("\n" * (block.line - 1) + block.text, name, "exec"), namespace)
            except Exception as error:
                report.write(f"{name}, the script from line {block.line}: {type(error).__name__}: {error}\n")
        elif block.language == "pycon":
            test = parser.get_doctest(block.text + "\n", namespace, name, name, block.line - 1)
            if not test.examples:
                report.write(f"{name}, line {block.line}: a session without a prompt\n")
            test.globs = namespace  # get_doctest copies it
            doctest.DocTestRunner(optionflags=flags).run(test, out=report.write, clear_globs=False)
    return report.getvalue()


def pages(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.md"))


# --- the notebook -----------------------------------------------------------------------------------------------


def run_notebook(cells: list[dict], replace: tuple[str, str] = ("", "")) -> tuple[dict, list[str]]:
    """Run a notebook's code, cell by cell, with one text replaced; its names at the end, and what each cell said."""
    namespace: dict = {"__name__": "__main__"}
    said = []
    for cell in cells:
        if cell["cell_type"] != "code":
            continue
        tree = ast.parse("".join(cell["source"]).replace(*replace))
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
            exec(compile(tree, "notebook", "exec"), namespace)
            if isinstance(last, ast.Expr):
                value = eval(compile(ast.Expression(last.value), "notebook", "eval"), namespace)
                if value is not None:
                    print(repr(value))
        said.append(out.getvalue())
    return namespace, said


def words(text: str) -> str:
    """A text without its numbers and drawings: what of an output is the same on every machine."""
    return " ".join(re.findall(r"[A-Za-zα-ω]+", text))
