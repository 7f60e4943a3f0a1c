"""JSON by another name or of another layout, and as tools for annotation export it."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.data.published import INTENTS, Line, splits
from tests.data.test_kinds_of_shapes import NAMES, expected, read, refused, words_and_tags, write


def record(line: Line) -> dict[str, Any]:
    return {"tokens": line.tokens, "ner_tags": line.tags, "label": line.label}


def by_column(some: Sequence[Line]) -> dict[str, list[Any]]:
    rows = list(map(record, some))
    return {name: [row[name] for row in rows] for name in rows[0]}


def in_lines(of: Callable[[Line], Any]) -> Callable[[Sequence[Line]], str]:
    return lambda some: "\n".join(json.dumps(of(line)) for line in some)


def in_rows(some: Sequence[Line]) -> str:
    rows = [{"row_idx": at, "row": record(line)} for at, line in enumerate(some)]
    return json.dumps({"features": [{"name": "x"}], "rows": rows})


def of_pandas(some: Sequence[Line]) -> str:
    return json.dumps({name: dict(enumerate(cells)) for name, cells in by_column(some).items()})


def by_name(some: Sequence[Line]) -> str:
    return json.dumps({f"s{at}": record(line) for at, line in enumerate(some)})


JSON: dict[str, tuple[str, Callable[[Sequence[Line]], str]]] = {
    "lines by the name of a value": (".json", in_lines(record)),
    "a value by the name of lines": (".jsonl", lambda some: json.dumps(list(map(record, some)))),
    "an indented one": (".jsonl", lambda some: json.dumps(list(map(record, some)), indent=1)),
    "lines by the name of text": (".txt", in_lines(record)),
    "columns": (".json", lambda some: json.dumps(by_column(some))),
    "columns of pandas": (".json", of_pandas),
    "sentences by name": (".json", by_name),
    "rows of the hub's viewer": (".json", in_rows),
}


@pytest.mark.parametrize("name", JSON)
def test_json_of_other_layouts(tmp_path: Path, name: str) -> None:
    corpus = read(write(tmp_path, *JSON[name]), "ner", "classifier")
    assert words_and_tags(corpus) == expected()
    assert corpus.tasks["classifier"].codes.names == tuple(sorted(INTENTS))


@pytest.mark.parametrize("of", [by_column, lambda some: dict(enumerate(map(record, some)))])
def test_splits_in_one_file_of_other_layouts(tmp_path: Path, of: Any) -> None:
    whole = {name: of(some) for name, some in zip(NAMES, splits().values(), strict=True)}
    (tmp_path / "all.json").write_text(json.dumps(whole))
    assert words_and_tags(read(tmp_path / "all.json")) == expected()


def label_studio(line: Line) -> dict[str, Any]:
    marks = [
        {"from_name": "label", "type": "labels", "value": {"start": start, "end": end, "labels": [kind]}}
        for start, end, kind in line.spans
    ]  # fmt: skip
    choice = {"from_name": "intent", "type": "choices", "value": {"choices": [line.label]}}
    return {"data": {"text": line.text}, "annotations": [{"result": [*marks, choice]}]}


def prodigy(line: Line) -> dict[str, Any]:
    tokens = [{"text": word, "start": 0, "end": 1, "id": at} for at, word in enumerate(line.tokens)]
    marks = [{"start": start, "end": end, "label": kind} for start, end, kind in line.spans]
    return {"text": line.text, "tokens": tokens, "entities": marks, "intent": line.label}


def luis(line: Line) -> dict[str, Any]:
    marks = [
        {"entity": kind, "startPos": start, "endPos": end - 1} for start, end, kind in line.spans
    ]
    return {"text": line.text, "intent": line.label, "entities": marks}


def rasa(line: Line) -> dict[str, Any]:
    marks = [{"start": start, "end": end, "entity": kind} for start, end, kind in line.spans]
    return {"text": line.text, "intent": line.label, "entities": marks}


def of_luis(some: Sequence[Line]) -> str:
    return json.dumps({"intents": [{"name": "y"}], "utterances": list(map(luis, some))})


def of_rasa(some: Sequence[Line]) -> str:
    inside = {"common_examples": list(map(rasa, some)), "regex_features": []}
    return json.dumps({"rasa_nlu_data": inside})


def spacy(line: Line) -> list[Any]:
    return [line.text, {"entities": line.spans, "intent": line.label}]


def of_tuples(some: Sequence[Line]) -> str:
    rows = [f'{line.text},"{list(map(tuple, line.spans))}",{line.label}' for line in some]
    return "\n".join(["text,entities,intent", *rows])


EXPORTS: dict[str, tuple[str, Callable[[Sequence[Line]], str]]] = {
    "Label Studio": (".json", lambda some: json.dumps(list(map(label_studio, some)))),
    "Prodigy": (".jsonl", in_lines(prodigy)),
    "LUIS": (".json", of_luis),
    "Rasa": (".json", of_rasa),
    "spaCy, a line each": (".jsonl", in_lines(spacy)),
    "Python's tuples": (".csv", of_tuples),
}


@pytest.mark.parametrize("name", EXPORTS)
def test_exports_of_tools(tmp_path: Path, name: str) -> None:
    settings = {"tokens": "text", "ner_tags": "entities", "label": "intent"}
    corpus = read(write(tmp_path, *EXPORTS[name]), "ner", "classifier", columns=settings)
    assert words_and_tags(corpus) == expected()
    assert corpus.tasks["classifier"].codes.names == tuple(sorted(INTENTS))


def test_a_task_that_nobody_annotated_is_told_of(tmp_path: Path) -> None:
    rows = [label_studio(line) for line in splits()["train"]]
    rows[3]["annotations"] = []
    (tmp_path / "p.json").write_text(json.dumps(rows))
    line = refused(tmp_path / "p.json", columns={"tokens": "text", "ner_tags": "entities"})
    assert "entities are missing; write a list of them, [] where there is none" in line
