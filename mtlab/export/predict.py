"""`mtlab predict`: sentences in, JSON lines out."""

import json
import re
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from mtlab.data.sentences import LONE_SURROGATE
from mtlab.export.directory import FORMAT
from mtlab.export.reader import BATCH, HEADS, Reader, Sentence
from mtlab.model import backbone
from mtlab.plan.errors import UserError, shown
from mtlab.plan.experiment import Encoder

UNSEEN = re.compile("[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
"""Marks that a terminal obeys and does not show; JSON spells them out as well."""


def run(directory: Path, file: Path | None, device: str) -> None:
    """Read the sentences of a file, or of standard input, and print a JSON object for each, in their order.

    A line is a sentence; one that is a JSON object is read for its ``tokens``, or else its ``text``. Blank lines are left out.

    Raises:
        UserError: there is no model there, or no file, or a line cannot be read.
    """
    reader = load(directory, device)
    name = str(file) if file is not None else "standard input"
    try:
        lines = file.open("rb") if file is not None else sys.stdin.buffer
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", "give a file with a sentence a line", where=name) from None
    with lines:
        sentences = _sentences(lines, name)
        while batch := list(islice(sentences, BATCH)):
            for found in reader(batch):
                print(UNSEEN.sub(lambda mark: f"\\u{ord(mark[0]):04x}", json.dumps(found, ensure_ascii=False)), flush=True)


def load(directory: Path, device: str) -> Reader:
    """The model of a folder.

    Raises:
        UserError: there is none, or it cannot be loaded.
    """
    if not (directory / HEADS).is_file():
        raise UserError(f"no {HEADS} there", "give a folder that `mtlab export` wrote", where=str(directory))
    location = backbone.find(Encoder(name=str(directory.absolute())))  # refuses what brings more than weights
    try:
        backbone.refuse_other_files(location)
        torch.device(device)
        facts = json.loads((directory / HEADS).read_text(encoding="utf-8"))
        if facts.get("format") != FORMAT:
            raise UserError(f"{HEADS} has format {shown(facts.get('format'))}, not {FORMAT}", "export it again", where=str(directory))
        return Reader(directory, device)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError) as error:
        problem = f"cannot be loaded ({type(error).__name__}: {str(error).partition(chr(10))[0][:150]})"
        raise UserError(problem, "export it again, or choose another --device", where=str(directory)) from None


def _sentences(lines: Iterable[bytes], name: str) -> Iterator[Sentence]:
    for number, line in enumerate(lines, start=1):
        where = f"{name}:{number}"
        try:
            text = line.decode("utf-8").strip()
        except UnicodeDecodeError:
            raise UserError("not UTF-8", "save the file as UTF-8", where=where) from None
        if text:
            yield _of_object(text, where) if text.startswith("{") else text


def _of_object(text: str, where: str) -> Sentence:
    try:
        found: dict[str, Any] = json.loads(text)
    except (ValueError, RecursionError):
        return text  # a sentence may begin with a brace
    if LONE_SURROGATE.search(str(found.get("tokens")) + str(found.get("text"))):
        raise UserError("holds half of a surrogate pair", "write the character whole", where=where)
    tokens = found.get("tokens")
    if isinstance(tokens, list) and tokens and all(isinstance(token, str) and token.strip() for token in tokens):
        return tokens
    if tokens is None and isinstance(found.get("text"), str) and found["text"].strip():
        return str(found["text"])
    raise UserError("neither `tokens`, a list of words, nor `text`", 'write {"text": "..."} or {"tokens": ["..."]}', where=where)
