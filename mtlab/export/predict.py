"""`mtlab predict`: sentences in, JSON lines out."""

import json
import re
import sys
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from mtlab.data import sentences
from mtlab.data.reading import readers
from mtlab.data.reading.lines import decoded
from mtlab.data.reading.table import Row, Table
from mtlab.data.stored import Sentence
from mtlab.export.reader import BATCH, FORMAT, HEADS, Given, Nothing, Reader
from mtlab.model import backbone, hub
from mtlab.plan.errors import UserError, shown
from mtlab.plan.settings import Encoder

UNSEEN = re.compile("[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
"""Characters that control a terminal or are invisible; the output has them as JSON escapes."""

TABLES = tuple(kind for kind in readers.EXTENSIONS if kind != ".txt")
"""Extensions of files that are read like a source. Other files, also ``.txt``, have a sentence per
line."""

STDIN = Path("-")
"""The path that means standard input."""


def run(directory: Path, file: Path, device: str) -> None:
    """Read the sentences of a file, or of standard input, and print a JSON object for each, in
    their order.

    Raises:
        UserError: the folder has no model, the file does not exist, or a line cannot be read.
    """
    reader = load(directory, device)
    stream = read(file)
    while batch := list(islice(stream, BATCH)):
        try:
            answers = reader([both(sentence) for sentence in batch])
        except Nothing as error:
            place, problem = (
                batch[error.index].place,
                f"the encoder's tokenizer leaves nothing of {shown(error.text)}",
            )
            raise UserError(problem, "remove the sentence", where=place, code="no-tokens") from None
        for answer in answers:
            print(
                UNSEEN.sub(
                    lambda mark: f"\\u{ord(mark[0]):04x}", json.dumps(answer, ensure_ascii=False)
                ),
                flush=True,
            )


def load(directory: Path, device: str) -> Reader:
    """The model of a folder.

    Raises:
        UserError: the folder has no model, or the model cannot be loaded.
    """
    if not (directory / HEADS).is_file():
        raise UserError(
            f"no {HEADS} there",
            "give a folder that `mtlab export` wrote",
            where=str(directory),
            code="file-missing",
        )
    location = backbone.find(
        Encoder(name=str(directory.absolute()))
    )  # refuses a folder with more than weights
    try:
        hub.refuse_other_files(location)
        torch.device(device)
        facts = json.loads((directory / HEADS).read_text(encoding="utf-8"))
        if facts.get("format") != FORMAT:
            raise UserError(
                f"{HEADS} has format {shown(facts.get('format'))}, not {FORMAT}",
                "export it again",
                where=str(directory),
                code="old-format",
            )
        return Reader(directory, device)
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RuntimeError,
        SafetensorError,
    ) as error:
        problem = (
            f"cannot be loaded ({type(error).__name__}: {str(error).partition(chr(10))[0][:150]})"
        )
        raise UserError(
            problem,
            "export it again, or choose another --device",
            where=str(directory),
            code="unreadable",
        ) from None


def both(sentence: Sentence) -> Given:
    """A sentence in the form that a reader takes."""
    return {"text": sentence.text, "tokens": sentence.tokens}


def read(file: Path) -> Iterator[Sentence]:
    """The sentences of a file, or of standard input if the file is ``-``.

    Files of the kinds that a source can have (``.jsonl``, ``.csv``, ``.conll`` ...) have ``tokens``
    or ``text`` in each row; such a file is read whole before its first sentence is returned. Any
    other file, and standard input, has a sentence per line. If the first line that is not blank is
    a JSON object, all lines must be JSON objects. Blank lines are left out.

    Raises:
        UserError: ``file:line field: problem; remedy`` of the first mistake.
    """
    if file.suffix.lower() in TABLES:
        table = readers.read(file)
        yield from (sentences.given(row, table) for row in table.rows)
        return
    name = "standard input" if file == STDIN else str(file)
    try:
        with sys.stdin.buffer if file == STDIN else file.open("rb") as lines:
            yield from _line_by_line(lines, name)
    except OSError as error:
        raise UserError(
            f"cannot be read ({error.strerror})",
            "give a file with a sentence a line",
            where=name,
            code="unreadable",
        ) from None


def _line_by_line(lines: Iterable[bytes], name: str) -> Iterator[Sentence]:
    written = ((number, line) for number, line in decoded(lines, name) if line.strip())
    first = next(written, None)
    if first is None:
        return
    objects = _is_object(*first, name)
    table = Table(name, (), ())
    for number, line in chain([first], written):
        if not objects and _object(line) is not None:
            remedy = "write all lines as objects, in a file that ends in .jsonl"
            raise UserError(
                "a JSON object among sentences", remedy, where=f"{name}:{number}", code="malformed"
            )
        values = readers.json_line(line, f"{name}:{number}") if objects else {"text": line}
        yield sentences.given(Row(values, name, number), table)


def _is_object(number: int, line: str, name: str) -> bool:
    """Whether the first line of a file is a JSON object, so that all other lines must be, too.

    Raises:
        UserError: the line of standard input begins with a brace and is not a JSON object. In a
            file it would be a sentence.
    """
    if name == "standard input" and line.lstrip().startswith("{"):
        try:
            readers.json_line(line, f"{name}:{number}")
        except UserError as error:
            remedy = f"{error.remedy}; sentences that begin with a brace are read from a file that ends in .txt"
            raise UserError(error.problem, remedy, where=error.where, code=error.code) from None
    return _object(line) is not None


def _object(line: str) -> dict[str, Any] | None:
    """The JSON object in a line; None if the line is not a JSON object."""
    try:
        value = json.loads(line) if line.lstrip().startswith("{") else None
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
