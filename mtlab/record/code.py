"""The code that made a record, as a digest of the code on which the record's numbers depend.

The digest ignores what does not affect numbers: comments, docstrings, layout, and the names of
local variables. If the digest stays the same after a change of these, nothing else was changed.
"""

import ast
import hashlib
import symtable
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

PACKAGES = ("data", "model", "tasks", "train")
"""The packages that read data, train and score. Reports, pages and checks of data do not affect
numbers."""

FILES = (
    *(f"plan/{name}.py" for name in ("block_choice", "rates", "scenario", "selectors")),
    *(f"record/{name}.py" for name in ("metrics", "quality")),
)
"""Other files that affect numbers: the meaning of stages and selectors, and the scores."""

NAMING = (ast.Name, ast.Nonlocal, ast.ExceptHandler, ast.MatchAs, ast.MatchStar, ast.MatchMapping)
"""The nodes of a syntax tree that name a variable."""


@cache
def digest() -> str:
    """SHA-256 (hex) over the names and the code of these packages and files."""
    root, content = Path(__file__).parents[1], hashlib.sha256()
    files = [file for package in PACKAGES for file in sorted((root / package).rglob("*.py"))]
    for file in (*files, *(root / name for name in FILES)):
        content.update(file.relative_to(root).as_posix().encode() + b"\0")
        for part in essence(file.read_text(encoding="utf-8")):
            content.update(part.encode() + b"\0")
    return content.hexdigest()


def essence(source: str) -> Iterator[str]:
    """The parts of a file's syntax tree, in order, without those that do not affect numbers.

    The variables of a function are numbered in the order in which it first names them.

    Args:
        source: the text of a file in Python.
    """
    tables = symtable.symtable(source, "<source>", "exec")
    functions = {
        (table.get_name(), table.get_lineno()): _variables(table) for table in _outermost(tables)
    }
    yield from _parts(ast.parse(source), functions, {})


def _parts(
    node: ast.AST, functions: Mapping[tuple[str, int], set[str]], numbers: dict[str, int]
) -> Iterator[str]:
    """The parts of a node.

    Args:
        node: a node of the syntax tree.
        functions: name and line of each outermost function to its variables that get numbers.
        numbers: variable to its number, -1 if it has none yet; empty outside of functions.
    """
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return
    if isinstance(node, ast.JoinedStr):  # some versions of Python add empty strings
        node.values = [part for part in node.values if getattr(part, "value", None) != ""]
    yield type(node).__name__
    for field, value in ast.iter_fields(node):
        within = numbers
        if isinstance(node, ast.FunctionDef) and field == "body" and not numbers:
            within = dict.fromkeys(functions.get((node.name, node.lineno), ()), -1)
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield field
                yield from _parts(child, functions, within)
            elif isinstance(node, NAMING) and isinstance(child, str):
                yield f"{field} {_number(child, numbers)}"
            elif child is not None or isinstance(value, list) or isinstance(node, ast.Constant):
                yield f"{field} {type(child).__name__} {child!r}"
    yield "end"


def _number(name: str, numbers: dict[str, int]) -> str:
    """The number of a variable that gets one, else its name."""
    if name not in numbers:
        return name
    if numbers[name] < 0:
        numbers[name] = max(numbers.values()) + 1
    return f"variable {numbers[name]}"


def _outermost(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    """The outermost functions: those that are not inside another function."""
    for child in table.get_children():
        if child.get_type() == "function":
            yield child
        else:
            yield from _outermost(child)


def _variables(function: symtable.SymbolTable) -> set[str]:
    """The variables of a function and of the functions in it, without names that are also those of
    parameters, globals, imports, functions or classes there.
    """
    tables = list(_within(function))
    symbols = [symbol for table in tables for symbol in table.get_symbols()]
    others = {
        symbol.get_name()
        for symbol in symbols
        if symbol.is_parameter()
        or symbol.is_global()
        or symbol.is_imported()
        or symbol.is_namespace()
    }
    return {symbol.get_name() for symbol in symbols if symbol.is_assigned()} - others


def _within(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for child in table.get_children():
        yield from _within(child)
