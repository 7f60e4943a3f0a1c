"""A task is data: outside `mtlab/tasks/` and the claims about published experiments nobody names one, or
a kind."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from mtlab.tasks.registry import KINDS, USUAL

MTLAB = Path(__file__).parents[2] / "mtlab"
ALLOWED = ("tasks", "report/claims")
# the hub's own word is text-classification
NAMES = re.compile(rf"(?<![-\w])({'|'.join([*USUAL, *KINDS])})\b")


def spoken(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Texts and names in code, without docstrings."""
    notes = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in notes:
            yield node.lineno, node.value
        elif isinstance(node, ast.Attribute):
            yield node.lineno, node.attr
        elif isinstance(node, ast.Name):
            yield node.lineno, node.id


def test_no_code_knows_a_task_or_a_kind() -> None:
    found = [
        f"{file.relative_to(MTLAB)}:{line}: {text[:60]}"
        for file in sorted(MTLAB.rglob("*.py"))
        if not str(file.relative_to(MTLAB)).startswith(ALLOWED)
        for line, text in spoken(ast.parse(file.read_text(encoding="utf-8")))
        if NAMES.search(text)
    ]
    assert found == []


def test_the_search_finds_what_it_looks_for() -> None:
    code = 'x.ner\ny = "a classifier"\nz = f"{x} multilabel"\n"a docstring on regression"\n'
    assert [line for line, text in spoken(ast.parse(code)) if NAMES.search(text)] == [1, 2, 3]
