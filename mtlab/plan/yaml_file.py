"""Reads experiment files, which are YAML 1.2. The place of every value is kept, so that error lines
can name it.
"""

import datetime
import itertools
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq, TaggedScalar
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, ReusedAnchorWarning, YAMLError
from ruamel.yaml.scalarbool import ScalarBoolean

from mtlab.plan.chosen import take_out
from mtlab.plan.errors import UserError, shown
from mtlab.plan.tree import Path_, address, merged, put, value_at

LARGEST = 10_000
"""The most values in one experiment file, with aliases expanded: otherwise a file of a few lines
could fill the memory."""

LISTS = ("seeds", "looks", "select_on", "losses", "labels", "actions")
"""Keys of lists: a single value on the command line becomes a list of one."""


TEXT = (
    "source",
    "subset",
    "revision",
    "column",
    "split_column",
    "title",
    "name",
    "output",
    "question",
)
"""Keys of text, which the command line does not read as YAML; ``null`` unsets some of them."""
TEXTS = ("columns", "splits")
"""Keys of mappings to text."""


HINTS = {
    r"'\t'": "a tab; indent with spaces",
    "mapping values": "a second `: ` on the line; put the value in quotes",
    "another document": "a second document; keep one",
    "<document start>": "more after the first value; an experiment file is one mapping of keys to values",
    "undefined alias": "an alias (`*name`) without its anchor (`&name`); text that begins with `*` goes in quotes",
}
"""Words in an error of the parser to an explanation for the author of the file."""


class Located:
    """A nested plain value (dicts, lists, scalars) and where each part of it was written."""

    def __init__(self, value: dict[str, Any], places: dict[Path_, str]) -> None:
        self.value, self.places = value, places

    def where(self, path: Path_) -> str:
        """``file:line field`` of a path; if its own line is not known, the line of its nearest
        known ancestor; ``--field`` if it was set on the command line.
        """
        field = ".".join(map(str, path))
        for end in range(len(path), -1, -1):
            if path[:end] in self.places:
                place = self.places[path[:end]]
                return f"--{field}" if place.startswith("--") else f"{place} {field}".strip()
        return field

    def of(self, field: str) -> str:
        """The same for a field as a dotted key. The place of a swept field is that of the list of
        its values.
        """
        varied: dict[Path_, Path_] = {
            path[1:]: path
            for path in self.places
            if path[:1] in (("sweep",), ("settings",)) and len(path) == 2
        }
        paths: dict[str, Path_] = {
            ".".join(map(str, path)): path for path in [*self.places, *varied] if path
        }
        nearest = max(
            (key for key in paths if f"{field}.".startswith(f"{key}.")), key=len, default=""
        )
        path = paths.get(nearest, ())
        place = self.places[varied.get(path, path)]
        if place.startswith("--"):
            return place if path in varied else f"--{field}"
        return f"{place} {field}"

    def set(self, path: Path_, value: Any, place: str) -> None:
        """Merge ``value`` into the value at ``path``, and note that it was written at ``place``."""
        self.value = put(self.value, path, value)
        self.places = {
            other_path: at
            for other_path, at in self.places.items()
            if other_path[: len(path)] != path
        } | {path: place}


def read(path: Path, seen: tuple[Path, ...] = (), named_at: str = "") -> Located:
    """Read an experiment file, merged into the file that its ``extends`` names. If it names
    several, each is merged into the one before it.

    Mappings are merged, everything else is replaced, and ``null`` removes a scenario, or a set of
    ``also_test``. A file does not inherit ``name``, ``output`` and ``answer``.

    Raises:
        UserError: no such file, not UTF-8, not YAML, duplicate keys, or a circle of ``extends``.
    """
    resolved = _resolved(path, named_at)
    if resolved in seen:
        raise UserError(
            "leads back to a file that extends this one", where=named_at, code="circular"
        )
    tree = _parse(path, named_at)
    if not isinstance(tree, CommentedMap):
        raise UserError(
            "an experiment file is a mapping of keys to values",
            "experiments/ holds examples",
            where=str(path),
            code="wrong-type",
        )
    overlay = Located({}, {(): str(path)})
    overlay.value = _plain(tree, (), path, overlay.places, itertools.count())
    return extended(overlay, path.parent, (*seen, resolved))


def extended(overlay: Located, folder: Path, seen: tuple[Path, ...] = ()) -> Located:
    """An experiment, merged into the files that its ``extends`` names.

    Args:
        overlay: the experiment; it is changed.
        folder: the folder to which the names in ``extends`` are relative.
        seen: the files whose ``extends`` led to this one, and this one.

    Raises:
        UserError: a named file cannot be read, or its ``extends`` leads back to this one.
    """
    base = overlay.value.pop("extends", None)
    if base is None:
        return overlay
    place, under = overlay.where(("extends",)), Located({}, {})
    for name in base if isinstance(base, list) and base else [base]:
        if not isinstance(name, str) or "://" in name:
            raise UserError(
                f"{shown(name)} is not the name of a file",
                "`extends` names one, or a list, relative to this file",
                where=place,
                code="bad-name",
            )
        under = _laid(read(folder / name, seen, place), under)
    for own in ("name", "output", "answer"):
        under.value.pop(own, None)
    return _laid(overlay, under)


def _laid(over: Located, under: Located) -> Located:
    """One experiment, merged into another."""
    value = merged(under.value, over.value)
    for key in ("scenarios", "also_test"):
        inherited, combined = under.value.get(key), value.get(key)
        if isinstance(inherited, dict) and isinstance(combined, dict):
            # null removes an inherited entry
            take_out(
                value,
                key,
                [name for name, entry in combined.items() if entry is None and name in inherited],
            )
    kept = {path: at for path, at in under.places.items() if _stands(path, value)}
    return Located(value, kept | over.places)


def override(located: Located, key: str, values: list[str]) -> None:
    """Apply ``--key.sub value …`` from the command line; several values make a list, numbers index
    lists.

    Raises:
        UserError: ``key`` leads through something that does not exist.
    """
    path = address(located.value, key, f"--{key}")
    parsed = [_text(value, path) if _is_text(path) else _scalar(value, key) for value in values]
    listed = (
        path[-1] in LISTS
        or path[:-1] in (("sweep",), ("settings",))
        or isinstance(value_at(path, located.value), list)
    )
    complete_types = list | dict if path == ("seeds",) else list
    single = len(parsed) == 1 and (not listed or isinstance(parsed[0], complete_types))
    located.set(path, parsed[0] if single else parsed, f"--{key}")


def _stands(path: Path_, tree: Any) -> bool:
    parent = value_at(path[:-1], tree)
    if isinstance(parent, list):
        return isinstance(path[-1], int) and path[-1] < len(parent)
    return not path or (isinstance(parent, dict) and path[-1] in parent)


def _resolved(path: Path, named_at: str) -> Path:
    try:
        return path.resolve()
    except (RuntimeError, ValueError):  # links in a circle, or a NUL
        raise UserError(
            f"{path} is not the name of a file", where=named_at, code="bad-name"
        ) from None


def _parse(path: Path, named_at: str) -> Any:
    try:
        return _yaml(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        remedy = (
            "`extends` is relative to this file"
            if named_at
            else "experiments/ holds those that ship"
        )
        raise UserError(
            f"there is no file {path}", remedy, where=named_at, code="file-missing"
        ) from None
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror})", where=named_at, code="unreadable"
        ) from None
    except UnicodeDecodeError as error:
        raise UserError(
            f"not UTF-8 at byte {error.start}",
            "save the file as UTF-8",
            where=str(path),
            code="not-utf-8",
        ) from None
    except DuplicateKeyError as error:
        match = re.search(r'duplicate key "(.*?)"', str(error.problem))
        raise UserError(
            f"the key {match[1] if match else ''!r} stands twice",
            "keep one of them",
            where=_mark(path, error),
            code="twice",
        ) from None
    except MarkedYAMLError as error:
        problem = str(error.problem or error.context)
        hints = [hint for words, hint in HINTS.items() if words in problem]
        raise UserError(
            f"not YAML: {hints[0] if hints else problem}",
            where=_mark(path, error),
            code="malformed",
        ) from None
    except YAMLError as error:
        raise UserError(
            f"not YAML: {str(error).splitlines()[0]}", where=str(path), code="malformed"
        ) from None
    except RecursionError:
        raise UserError("nested too deeply", where=str(path), code="out-of-range") from None
    except ValueError as error:
        raise UserError(
            f"a number or a date that cannot be read ({error})",
            "text goes in quotes",
            where=str(path),
            code="wrong-type",
        ) from None
    except Exception as error:  # ruamel fails so on YAML that makes no sense
        raise UserError(
            f"not YAML that makes sense ({type(error).__name__})", where=str(path), code="malformed"
        ) from error


def _yaml(text: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", ReusedAnchorWarning
        )  # YAML 1.2 allows it: the last one before an alias counts
        return YAML(typ="rt").load(text)


def _mark(path: Path, error: MarkedYAMLError) -> str:
    return f"{path}:{error.problem_mark.line + 1}" if error.problem_mark else str(path)


def _plain(
    node: Any, path: Path_, file: Path | str, places: dict[Path_, str], counted: Iterator[int]
) -> Any:
    """Copy ruamel's tree into plain Python values, noting where each was written; ``counted``
    counts them.
    """
    place = places.get(path, str(file))
    if next(counted) > LARGEST or len(path) > 50:
        raise UserError(
            f"more than {LARGEST:,} values, aliases written out, or nested too deeply",
            where=str(file),
            code="out-of-range",
        )
    tag = getattr(getattr(node, "tag", None), "value", None) or ""
    if tag and tag.removeprefix("tag:yaml.org,2002:") not in ("map", "seq", "str"):
        raise UserError(
            f"the tag {tag.replace('tag:yaml.org,2002:', '!!')} has no place in an experiment file",
            "take it out",
            where=place,
            code="wrong-type",
        )
    if isinstance(node, CommentedMap):
        lines = {
            key: node.lc.data[key][0] + 1 for key in node if key in (node.lc.data or {})
        }  # keys that come from `<<` have no line here
        places.update({(*path, str(key)): f"{file}:{line}" for key, line in lines.items()})
        return {
            str(key): _plain(value, (*path, str(key)), file, places, counted)
            for key, value in node.items()
        }
    if isinstance(node, CommentedSeq):
        places.update(
            {(*path, index): f"{file}:{node.lc.item(index)[0] + 1}" for index in range(len(node))}
        )
        return [
            _plain(value, (*path, index), file, places, counted) for index, value in enumerate(node)
        ]
    return _plain_scalar(node, place)


def _plain_scalar(node: Any, place: str) -> Any:
    if node is None or isinstance(node, bool):
        return node
    if isinstance(node, ScalarBoolean):  # an anchored one, which is an int to Python
        return bool(node)
    if isinstance(node, TaggedScalar):
        return str(node.value)
    for kind in (int, float, str):  # ruamel's scalars are subclasses that remember their spelling
        if isinstance(node, kind):
            return kind(node)
    description = "a date" if isinstance(node, datetime.date) else f"of type {type(node).__name__}"
    raise UserError(
        f"the value is {description}, which has no place in an experiment file",
        "text goes in quotes",
        where=place,
        code="wrong-type",
    )


def _is_text(path: Path_) -> bool:
    """Whether a setting is text, or a list of texts: then a word of the command line is that
    text.
    """
    if path[:1] in (("sweep",), ("settings",)):
        path = tuple(str(path[-1]).split("."))
    if path[-1:] == ("labels",) or path[-2:-1] == ("labels",):
        return path[0] in ("data", "start")
    nested = len(path) > 1 and path[-2] in TEXTS
    return path[-1] in TEXT or (nested and path[0] in ("data", "start"))


def _text(text: str, path: Path_) -> Any:
    """The value of a text setting on the command line: the text itself, without quotes around it; a
    list, if it is in brackets and the setting can have several texts; None for ``null``, if the
    setting can be unset.
    """
    bracketed = text.lstrip()[:1] == "[" and (
        path[-1] == "labels" or path[0] in ("sweep", "settings")
    )
    quoted = text[:1] in ("'", '"') and text[-1:] == text[:1] and len(text) > 1
    unsets = text == "null" and path[-1] in ("source", "subset", "revision", "question", "answer")
    return _scalar(text, "") if bracketed or quoted or unsets else text


def _scalar(text: str, key: str) -> Any:
    """The value of ``text`` on the command line: a number, null, a list, or the text itself."""
    try:
        value = _plain(_yaml(text), (), f"--{key}", {}, itertools.count())
    except Exception:  # not YAML, for which ruamel raises many kinds of errors
        return text
    quoted = text.lstrip()[:1] in ("'", '"')
    reads_as_text = isinstance(value, str) and not quoted  # `a # b` has no comment here
    reads_as_mapping = isinstance(value, dict) and not text.lstrip().startswith(
        "{"
    )  # nor `Why: because` a mapping
    return text if text == "" or reads_as_text or reads_as_mapping else value
