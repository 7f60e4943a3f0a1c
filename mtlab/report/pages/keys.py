"""The list of all keys of an experiment file, from the code that reads them."""

import ast
import inspect
import itertools
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from mtlab.plan.experiment import Experiment
from mtlab.plan.looks import Looks
from mtlab.plan.values import NOT_WRITTEN, OF_A_RUN
from mtlab.report import markdown

Model = type[BaseModel]


def page() -> str:
    """A table of keys for the file itself, and one for each key whose value has keys of its own."""
    sections = []
    for model, places in _models().items():
        title = ", ".join(f"`{place}`" for place in places if place) or "The file itself"
        header = ["key", "meaning", "default"]
        meanings = docs(model)
        rows = [_row(name, field, meanings) for name, field in _written(model)]
        table = markdown.table(header, rows, words=3)
        sections += [f"## {title}", _summary(model), table]
    return "\n\n".join(sections)


def docs(model: Model) -> dict[str, str]:
    """Key of a model to what it means: the text below each attribute, in markdown.

    Args:
        model: whose source can be read; keys of the models that it extends are among them.
    """
    meanings: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, BaseModel) and base is not BaseModel:
            body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0].body  # type: ignore[attr-defined]
            for statement, after in itertools.pairwise(body):
                match statement, after:
                    case (
                        ast.AnnAssign(target=ast.Name(id=name)),
                        ast.Expr(value=ast.Constant(value=str(docstring))),
                    ):
                        meanings[name] = _markdown(docstring)
    return meanings


def _models() -> Mapping[Model, list[str]]:
    """Models to where in a file they may stand, those near its top first."""
    places: dict[Model, list[str]] = {}
    queue: list[tuple[Model, str]] = [(Experiment, "")]
    while queue:
        model, place = queue.pop(0)
        seen = model in places
        places.setdefault(model, []).append(place)
        if model is Experiment:
            queue.append((Looks, "seeds"))
        if not seen:
            for name, field in _written(model):
                start = f"{place}.{name}" if place else name
                queue += [(value, start + path) for value, path in _values(field.annotation)]
    return places


def _written(model: Model) -> Iterator[tuple[str, FieldInfo]]:
    """The keys that a file may write."""
    for name, field in model.model_fields.items():
        marks = (NOT_WRITTEN in field.metadata, OF_A_RUN in field.metadata, field.exclude)
        if not any(marks):
            yield name, field


def _values(annotation: Any) -> Iterator[tuple[Model, str]]:
    """The models in a type, each with what leads there from the key."""
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield annotation, ""
    origin = get_origin(annotation)
    step = ".NAME" if origin is dict else ".0" if origin is tuple else ""
    for inner in get_args(annotation):
        yield from ((model, step + path) for model, path in _values(inner))


def _row(name: str, field: FieldInfo, meanings: Mapping[str, str]) -> list[str]:
    meaning = meanings.get(name, "See below.")
    choices = _choices(field.annotation)
    if any(f"`{choice}`" not in meaning for choice in choices):
        listed = ", ".join(f"`{choice}`" for choice in choices)
        meaning += f" One of {listed}." if len(choices) > 1 else f" {listed}."
    return [f"`{name}`", meaning, _default(field, meaning)]


def _choices(annotation: Any) -> list[str]:
    """The values that a type names; keys of mappings are none."""
    if get_origin(annotation) is Literal:
        return [str(value) for value in get_args(annotation)]
    inside = () if get_origin(annotation) is dict else get_args(annotation)
    return [choice for inner in inside for choice in _choices(inner)]


def _default(field: FieldInfo, meaning: str) -> str:
    """The default in words; a dash without a default, or if the meaning already names it."""
    if field.is_required():
        return "–" if "where none is given" in meaning else "required"
    value = field.default
    if isinstance(value, tuple):
        value = ", ".join(value) if _choices(field.annotation) else ""
    if isinstance(value, bool):
        value = str(value).lower()
    printable = isinstance(value, str | int | float) and value != ""
    return f"`{value}`" if printable else "–"


def _summary(model: Model) -> str:
    """What a model is: the first paragraph of its docstring."""
    return _markdown((model.__doc__ or "").partition("\n\n")[0])


def _markdown(docstring: str) -> str:
    """A docstring in markdown, without its references to code."""
    docstring = re.sub(r"\s*\(:\w+:`[^`]*`\)", "", " ".join(docstring.split()))
    return docstring.replace("``", "`").replace("|", "\\|")
