"""What can be changed in a source file, one small thing at a time: see tests/jobs/mutants.py.

A mutation replaces a span of bytes. Not touched are texts: docstrings, f-strings, what a `raise` says, `__repr__`; and
declarations: imports, annotations, decorators, what stands under `if TYPE_CHECKING`.
"""

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple


class Mutation(NamedTuple):
    """Bytes `start` to `end` become one of `choices`; `kind` says what is done, in words."""

    start: int
    end: int
    choices: tuple[str, ...]
    kind: str


COMPARISONS = {
    ast.Eq: ("==", "!="), ast.NotEq: ("!=", "=="), ast.Lt: ("<", "<=", ">"), ast.LtE: ("<=", "<", ">="),
    ast.Gt: (">", ">=", "<"), ast.GtE: (">=", ">", "<="), ast.Is: ("is", "is not"), ast.IsNot: (r"is\s+not", "is"),
    ast.In: ("in", "not in"), ast.NotIn: (r"not\s+in", "in"),
}  # fmt: skip
OPERATORS = {
    ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "/"), ast.Div: ("/", "*"), ast.FloorDiv: ("//", "*"),
    ast.Mod: ("%", "*"), ast.Pow: ("**", "*"), ast.BitAnd: ("&", "|"), ast.BitOr: ("|", "&"),
    ast.LShift: ("<<", ">>"), ast.RShift: (">>", "<<"),
}  # fmt: skip


class _Python(ast.NodeVisitor):
    def __init__(self, text: bytes):
        self.text = text
        self.lines = [0, *(match.end() for match in re.finditer(b"\n", text))]
        self.found: list[Mutation] = []
        self.visit(ast.parse(text))

    def place(self, line: int, column: int) -> int:
        return self.lines[line - 1] + column

    def span(self, node) -> tuple[int, int]:
        return self.place(node.lineno, node.col_offset), self.place(node.end_lineno, node.end_col_offset)

    def source(self, node) -> str:
        start, end = self.span(node)
        return self.text[start:end].decode()

    def add(self, node, kind: str, *choices: str) -> None:
        self.found.append(Mutation(*self.span(node), choices, kind))

    def between(self, left, right, operator: str, kind: str, *choices: str) -> None:
        """The operator that stands between two nodes, beside brackets and comments."""
        start, end = self.span(left)[1], self.span(right)[0]
        gap = re.sub(rb"#[^\n]*", lambda comment: b" " * len(comment[0]), self.text[start:end])
        match = re.search(operator.encode(), gap)
        self.found.append(Mutation(start + match.start(), start + match.end(), choices, kind))

    # What is passed over.

    def leave(self, node):
        pass

    visit_Import = visit_ImportFrom = visit_Raise = visit_JoinedStr = leave

    def visit_FunctionDef(self, node):
        if node.name != "__repr__":
            for child in (*node.args.defaults, *filter(None, node.args.kw_defaults), *node.body):
                self.visit(child)

    def visit_ClassDef(self, node):
        for child in node.body:
            self.visit(child)

    def visit_AnnAssign(self, node):
        if node.value is not None:
            self.visit(node.value)

    # What is changed.

    def visit_Compare(self, node):
        operands = [node.left, *node.comparators]
        for left, operator, right in zip(operands, node.ops, operands[1:], strict=False):
            sign, *choices = COMPARISONS[type(operator)]
            self.between(left, right, sign, "comparison", *choices)
        self.generic_visit(node)

    def visit_BoolOp(self, node):
        sign, other = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        self.between(node.values[0], node.values[1], sign, "and/or", other)
        self.generic_visit(node)

    def visit_BinOp(self, node):
        texts = (ast.Constant, ast.JoinedStr)
        a_text = any(isinstance(side, texts) and not isinstance(getattr(side, "value", ""), (int, float))
                     for side in (node.left, node.right))  # fmt: skip
        if type(node.op) in OPERATORS and not a_text:
            sign, other = OPERATORS[type(node.op)]
            self.between(node.left, node.right, re.escape(sign), "operator", other)
        self.generic_visit(node)

    def visit_UnaryOp(self, node):
        if isinstance(node.op, ast.USub) and not isinstance(node.operand, ast.Constant):
            self.add(node, "sign", f"({self.source(node.operand)})")
        self.generic_visit(node)

    def visit_Constant(self, node):
        value = node.value
        if isinstance(value, bool):
            self.add(node, "constant", str(not value))
        elif isinstance(value, int):
            self.add(node, "constant", str(value + 1), f"({value - 1})")
        elif isinstance(value, float):
            self.add(node, "constant", repr(value + 1.0), repr(2.0 * value or 0.5))

    def visit_If(self, node):
        if self.source(node.test) != "TYPE_CHECKING":
            self.negated(node)
        else:
            for child in node.orelse:
                self.visit(child)

    def negated(self, node):
        self.add(node.test, "negate condition", f"not ({self.source(node.test)})")
        self.generic_visit(node)

    visit_IfExp = negated

    def visit_While(self, node):
        self.generic_visit(node) if isinstance(node.test, ast.Constant) else self.negated(node)

    def visit_comprehension(self, node):
        for condition in node.ifs:
            self.add(condition, "negate condition", f"(not ({self.source(condition)}))")
        self.generic_visit(node)

    def visit_Call(self, node):
        if len(node.args) > 1 and not any(isinstance(one, ast.Starred) for one in node.args[:2]):
            (start, middle), (after, end) = map(self.span, node.args[:2])
            first, second = map(self.source, node.args[:2])
            if first != second:
                gap = self.text[middle:after].decode()
                self.found.append(Mutation(start, end, (f"{second}{gap}{first}",), "swap arguments"))
        self.generic_visit(node)

    def visit_Return(self, node):
        if node.value is not None and not isinstance(node.value, ast.Constant):
            self.add(node, "return value", "return None")
        self.generic_visit(node)

    def removed(self, node):
        self.add(node, "remove statement", "pass")
        self.generic_visit(node)

    visit_Delete = removed

    def visit_Expr(self, node):
        if not isinstance(node.value, (ast.Constant, ast.Yield, ast.YieldFrom)):
            self.removed(node)
        else:
            self.generic_visit(node)

    def visit_Assign(self, node):
        plain = any(isinstance(target, (ast.Name, ast.Tuple)) for target in node.targets)
        self.generic_visit(node) if plain else self.removed(node)

    def visit_AugAssign(self, node):
        if type(node.op) in OPERATORS:
            sign, other = OPERATORS[type(node.op)]
            self.between(node.target, node.value, re.escape(sign) + "=", "augmented operator", f"{other}=")
        self.removed(node)


# Comments, the preprocessor, strings, and what only fetches memory ahead.
C_TEXT = re.compile(rb"/\*.*?\*/|^#.*?(?<!\\)$|\"[^\"\n]*\"|^[^\n]*fetch\([^\n]*$", re.S | re.M)
C = [
    (rb"(?<= )(?:\+|-|\*|/)(?= )", "operator", {"+": "-", "-": "+", "*": "/", "/": "*"}),
    (rb"(?<= )[-+*/]=(?= )", "augmented operator", {"+=": "-=", "-=": "+=", "*=": "/=", "/=": "*="}),
    (rb"(?<= )(?:[<>=!]=|<|>)(?= )", "comparison",
     {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="}),
    (rb"(?<= )(?:&&|\|\|)(?= )", "and/or", {"&&": "||", "||": "&&"}),
    (rb"(?<![\w.])\d+(?![\w.])", "constant", None),
]  # fmt: skip


def _c(text: bytes) -> Iterator[Mutation]:
    code = C_TEXT.sub(lambda match: re.sub(rb"[^\n]", b" ", match[0]), text)
    for pattern, kind, others in C:
        for match in re.finditer(pattern, code):
            found = match[0].decode()
            yield Mutation(*match.span(), (others[found] if others else str(int(found) + 1),), kind)
    for match in re.finditer(rb"(?<=[ (])(if|while) \(((?:[^()]|\([^()]*\))*)\)", code):
        yield Mutation(*match.span(2), (f"!({match[2].decode()})",), "negate condition")
    for match in re.finditer(rb"(?<=[{;)])\s+([\w*]+(?:\[[^;\n]*\])? [-+*/]?= [^;\n]*);", code):
        if match[1].count(b"(") == match[1].count(b")"):  # else it is the head of a loop
            yield Mutation(*match.span(1), ("",), "remove statement")


def mutations(text: bytes, c: bool = False) -> list[Mutation]:
    """All mutations of a file of Python, or of C, by their place."""
    return sorted(_c(text) if c else _Python(text).found)
