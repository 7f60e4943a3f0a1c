"""Good files, each spoilt in one way: what is read is what stands there, or one line says what is wrong.

Every change knows what it leaves: the same sentences, others, or nothing that may be read."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest

from mtlab.check import guesses
from mtlab.check.source import open_source
from mtlab.data import sources
from mtlab.plan.data import Data, Source
from mtlab.plan.errors import UserError
from tests.data.published import COUNTS, POS, Line, splits
from tests.tiny import TASKS

Files = dict[str, bytes]
Read = dict[str, list[tuple[Any, ...]]]


@dataclass
class Case:
    """A source on its way to a folder."""

    kind: str
    lines: dict[str, list[Line]]
    """By file, without extension."""
    names: dict[str, str] = field(
        default_factory=lambda: dict(zip(COUNTS, ("train", "dev", "test"), strict=True))
    )
    extension: str = ""
    encoding: str = "utf-8"
    newline: str = "\n"
    after: Callable[[str], str] = str
    """What is done to the text of one file."""
    where: str = "train"
    columns: list[str] = field(default_factory=list)
    quoting: int = csv.QUOTE_MINIMAL
    indent: int | None = None
    wrong: bool = False
    """Whether nothing may be read."""
    guessed: bool = False
    """Whether a note that columns were guessed is enough."""
    free: bool = False
    """Whether a mistake is as good as the same sentences."""


def as_conll(case: Case, some: Sequence[Line]) -> str:
    separator = "\t" if case.kind != "conll4" else " "
    text = ""
    for number, line in enumerate(some):
        text += f"# id {number} domain=x\n" if case.kind == "comments" else ""
        for at, (token, tag) in enumerate(zip(line.tokens, line.tags, strict=True)):
            cells = {"id": str(at + 1), "token": token, "pos": POS[at], "chunk": "B-NP", "tag": tag}
            text += separator.join(cells[name] for name in case.columns) + "\n"
        text += "\n"
    return text


def as_table(case: Case, some: Sequence[Line]) -> str:
    file = io.StringIO()
    table = csv.writer(
        file,
        delimiter="\t" if case.kind == "tsv" else ",",
        quoting=case.quoting,
        lineterminator="\n",
    )
    table.writerow(case.columns)
    for line in some:
        cells = {
            "tokens": line.text,
            "ner_tags": " ".join(line.tags),
            "label": line.label,
            "id": "7",
        }
        table.writerow([cells[name] for name in case.columns])
    return file.getvalue()


def as_long(case: Case, some: Sequence[Line]) -> str:
    file = io.StringIO()
    table = csv.writer(file, quoting=case.quoting, lineterminator="\n")
    table.writerow(case.columns)
    for number, line in enumerate(some):
        for at, (token, tag) in enumerate(zip(line.tokens, line.tags, strict=True)):
            cells = {
                "Sentence #": "" if at else f"Sentence: {number}",
                "Word": token,
                "POS": POS[at],
                "Tag": tag,
            }
            table.writerow([cells[name] for name in case.columns])
    return file.getvalue()


def as_json(case: Case, some: Sequence[Line]) -> str:
    rows = []
    for line in some:
        cells: dict[str, Any] = {
            "tokens": line.tokens,
            "ner_tags": line.tags,
            "label": line.label,
            "id": 7,
        }
        if case.kind == "spans":
            cells |= {"text": line.text, "entities": line.spans}
        rows.append({name: cells[name] for name in case.columns})
    if case.kind == "json":
        return json.dumps(rows, ensure_ascii=False, indent=case.indent)
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


WRITERS = {
    "conll": (as_conll, ".conll", ["token", "tag"]),
    "conll4": (as_conll, ".conll", ["token", "pos", "chunk", "tag"]),
    "index": (as_conll, ".tsv", ["id", "token", "tag", "pos"]),
    "comments": (as_conll, ".conll", ["token", "tag"]),
    "csv": (as_table, ".csv", ["tokens", "ner_tags", "label", "id"]),
    "tsv": (as_table, ".tsv", ["tokens", "ner_tags", "label", "id"]),
    "long": (as_long, ".csv", ["Sentence #", "Word", "POS", "Tag"]),
    "jsonl": (as_json, ".jsonl", ["tokens", "ner_tags", "label", "id"]),
    "json": (as_json, ".json", ["tokens", "ner_tags", "label", "id"]),
    "spans": (as_json, ".jsonl", ["text", "entities", "id"]),
}
SETTINGS = {
    "long": {"tokens": "Word", "ner_tags": "Tag"},
    "spans": {"tokens": "text", "ner_tags": "entities"},
}
OF_WORDS = ("conll", "conll4", "index", "comments", "long", "spans")
A_TOKEN_A_LINE = ("conll", "conll4", "index", "comments")


def drop_sentence(case: Case, random: Random) -> None:
    del case.lines[case.where][random.randrange(len(case.lines[case.where]))]


def double_sentence(case: Case, random: Random) -> None:
    some = case.lines[case.where]
    some.insert(random.randrange(len(some)), random.choice(some))


def reorder_sentences(case: Case, random: Random) -> None:
    random.shuffle(case.lines[case.where])


def reorder_columns(case: Case, random: Random) -> None:
    random.shuffle(case.columns)
    case.free = True


def drop_column(case: Case, random: Random) -> None:
    gone = random.choice(case.columns)
    case.columns = [name for name in case.columns if name != gone]
    case.wrong = gone in (
        "token",
        "tag",
        "tokens",
        "ner_tags",
        "label",
        "Word",
        "Tag",
        "text",
        "entities",
    )
    case.free = True
    case.guessed = len(case.columns) > 2  # without the words, other columns look like words


def drop_cell(case: Case, random: Random) -> None:
    """A line loses what stands between two separators."""

    def without(text: str) -> str:
        lines = text.split("\n")
        place = random.choice(
            [at for at, line in enumerate(lines) if line and not line.startswith("#")]
        )
        if case.kind in ("jsonl", "spans", "json"):
            rows = (
                [json.loads(line) for line in lines if line]
                if case.kind != "json"
                else json.loads(text)
            )
            del random.choice(rows)[random.choice([name for name in case.columns if name != "id"])]
            return (
                json.dumps(rows)
                if case.kind == "json"
                else "".join(json.dumps(row) + "\n" for row in rows)
            )
        separator = {"conll4": " ", "csv": ",", "long": ","}.get(case.kind, "\t")
        cells = lines[place].split(separator)
        del cells[random.randrange(len(cells))]
        return "\n".join([*lines[:place], separator.join(cells), *lines[place + 1 :]])

    case.after, case.wrong = without, True


def in_one_line(case: Case, random: Random, change: Callable[[list[str]], list[str]]) -> None:
    """Change the cells of one line, so that nothing may be read."""
    separator = {"conll4": " ", "csv": ",", "long": ","}.get(case.kind, "\t")

    def changed(text: str) -> str:
        lines = text.split("\n")
        some = [at for at, line in enumerate(lines) if at and line and not line.startswith("#")]
        place = random.choice(some)
        return "\n".join(
            [
                *lines[:place],
                separator.join(change(lines[place].split(separator))),
                *lines[place + 1 :],
            ]
        )

    case.after, case.wrong = changed, True


def double_separator(case: Case, random: Random) -> None:
    at = random.random()
    in_one_line(
        case, random, lambda cells: [*cells[: (cut := int(at * len(cells)))], "", *cells[cut:]]
    )
    case.wrong = case.kind != "conll4"  # several blanks are one separator


def double_cell(case: Case, random: Random) -> None:
    at = random.random()
    in_one_line(
        case,
        random,
        lambda cells: [*cells[: (cut := int(at * len(cells)))], cells[cut], *cells[cut:]],
    )


def swap_cells(case: Case, random: Random) -> None:
    """A word and its tag change places."""
    places = {case.columns.index("token"): "tag", case.columns.index("tag"): "token"}
    in_one_line(
        case,
        random,
        lambda cells: [
            cells[case.columns.index(places[at])] if at in places else cell
            for at, cell in enumerate(cells)
        ],
    )


def drop_sign(case: Case, random: Random) -> None:
    """A file loses one of the signs that hold it together."""
    signs = {"csv": ",", "long": ",", "conll4": " "}.get(case.kind, "\t")
    signs = '{}[]:,"' if case.kind in ("json", "jsonl", "spans") else signs

    def without(text: str) -> str:
        begin = text.index("\n") if case.kind in ("csv", "tsv", "long") else 0
        places = [at for at, sign in enumerate(text) if sign in signs and at > begin]
        if case.kind == "comments":
            places = [at for at in places if text[text.rfind("\n", 0, at) + 1] != "#"]
        at = random.choice(places)
        return text[:at] + text[at + 1 :]

    case.after, case.wrong = without, True


def join_lines(case: Case, random: Random) -> None:
    """Two lines become one."""

    def joined(text: str) -> str:
        places = [
            at
            for at, (sign, after) in enumerate(pairwise(text))
            if sign == "\n" and at and text[at - 1] != "\n" and after not in "\n#"
            and text[text.rfind("\n", 0, at) + 1] != "#"
        ]  # fmt: skip
        at = random.choice(places)
        return text[:at] + text[at + 1 :]

    if case.kind != "json":  # which has one line
        case.after, case.wrong = joined, True


def drop_header(case: Case, random: Random) -> None:
    case.after, case.wrong = lambda text: text.partition("\n")[2], True


def double_header(case: Case, random: Random) -> None:
    def twice(text: str) -> str:
        lines = text.split("\n")
        return "\n".join([*lines[:7], lines[0], *lines[7:]])

    case.after, case.wrong = twice, True


def double_blank_lines(case: Case, random: Random) -> None:
    case.after = lambda text: text.replace("\n\n", "\n\n \n")


def with_documents(case: Case, random: Random) -> None:
    case.after = lambda text: (
        "-DOCSTART- -X- O O\n\n" + text.replace("\n\n", "\n\n-DOCSTART- -X- O O\n\n", 1)
    )


def with_a_licence(case: Case, random: Random) -> None:
    case.after, case.free = (
        (lambda text: "# Copyright by the people who made this corpus\n\n" + text),
        True,
    )


def with_comments(case: Case, random: Random) -> None:
    def commented(text: str) -> str:
        return "".join(
            f"# text = {at} O\n{block}\n\n" for at, block in enumerate(text.strip().split("\n\n"))
        )

    case.after = commented


def byte_order_mark(case: Case, random: Random) -> None:
    case.encoding = "utf-8-sig"


def crlf(case: Case, random: Random) -> None:
    case.newline = "\r\n"


def other_encoding(case: Case, random: Random) -> None:
    case.encoding, case.wrong = random.choice(["utf-16", "cp1252", "utf-32", "cp500"]), True


def quoted(case: Case, random: Random) -> None:
    case.quoting = csv.QUOTE_ALL


def stray_quote(case: Case, random: Random) -> None:
    def with_quote(text: str) -> str:
        lines = text.split("\n")
        place = random.randrange(1, len(lines) - 1)
        cells = lines[place].split(",")
        at = random.choice([at for at, cell in enumerate(cells) if cell])
        cells[at] = random.choice(['"', '""', '"""']) + cells[at]
        return "\n".join([*lines[:place], ",".join(cells), *lines[place + 1 :]])

    case.after, case.wrong = with_quote, True


def indented(case: Case, random: Random) -> None:
    case.indent = random.choice([0, 1, 4])


def rename_split(case: Case, random: Random) -> None:
    case.names["validation"] = random.choice(
        ["valid", "val", "devel", "my-dev", "corpus_dev", "Validation"]
    )
    case.names["train"] = random.choice(["training", "en_train", "Train", "a-train"])


def rename_file(case: Case, random: Random) -> None:
    """The extension says another kind, or none."""
    others = {".conll": [".tsv", ".txt", ".bio", ".iob2", "", ".data"], ".csv": [".tsv", ".txt"]}
    here = case.extension
    case.extension = random.choice(others.get(here, [".txt", ".csv"]))
    case.free = True


def rename_column(case: Case, random: Random) -> None:
    case.after = lambda text: (
        text.replace(case.columns[0], "others", 1) if case.kind in ("csv", "tsv", "long") else text
    )
    case.wrong = case.kind in ("csv", "tsv") and case.columns[0] in ("tokens", "ner_tags", "label")
    case.free = True


ANY = [
    drop_sentence,
    double_sentence,
    reorder_sentences,
    reorder_columns,
    drop_column,
    drop_cell,
    byte_order_mark,
]
ANY += [crlf, other_encoding, rename_split, rename_file, drop_sign, join_lines]
OF: dict[str, list[Any]] = {
    kind: [
        double_blank_lines,
        with_documents,
        with_a_licence,
        with_comments,
        double_separator,
        swap_cells,
    ]
    for kind in A_TOKEN_A_LINE
}
OF |= {
    kind: [
        drop_header,
        double_header,
        quoted,
        stray_quote,
        rename_column,
        double_separator,
        double_cell,
    ]
    for kind in ("csv", "long")
}
OF |= {"tsv": [drop_header, double_header, rename_column, double_cell], "json": [indented]}


def written(case: Case, folder: Path) -> None:
    writer, extension, _ = WRITERS[case.kind]
    for split, some in case.lines.items():
        text = writer(case, some)
        text = case.after(text) if split == case.where else text
        of_split = case.encoding if split == case.where else "utf-8"
        content = text.replace("\n", case.newline).encode(of_split, errors="replace")
        (
            folder / f"{case.names[split]}{case.extension if split == case.where else extension}"
        ).write_bytes(content)


def read(case: Case, folder: Path) -> Read:
    tasks = {name: TASKS[name] for name in (["ner"] if case.kind in OF_WORDS else TASKS)}
    data = Data(
        source=str(folder),
        columns=SETTINGS.get(case.kind, {}),
        max_duplicates=1.0,
        unseen_labels="count_as_error",
    )
    corpus = sources.load(data, tasks, 0)
    if case.guessed and any("a guess by their values" in note for note in corpus.notes):
        raise UserError("said in a note", code="any")
    return {
        split: sorted((row.tokens, row.gold["ner"], row.gold.get("classifier")) for row in rows)
        for split, rows in corpus.splits.items()
    }


def expected(case: Case) -> Read:
    labelled = case.kind not in OF_WORDS
    return {
        split: sorted(
            (tuple(line.tokens), tuple(line.tags), line.label if labelled else None)
            for line in some
        )
        for split, some in case.lines.items()
    }


def perturbed(number: int, folder: Path) -> None:
    """One change of one file, drawn with this number."""
    random = Random(number)
    kind = random.choice(list(WRITERS))
    made = {
        split: [
            Line(
                [f"{token}é" if at == 0 else token for at, token in enumerate(line.tokens)],
                *line[1:],
            )
            for line in some
        ]
        for split, some in splits().items()
    }
    case = Case(kind, made, extension=WRITERS[kind][1], columns=list(WRITERS[kind][2]))
    case.where = random.choice(["train", "train", "test"])
    change = random.choice([*ANY, *OF.get(kind, [])])
    change(case, random)
    written(case, folder)
    what = f"{number}: {change.__name__} of {kind} in {case.where}"
    try:
        got = read(case, folder)
    except UserError as error:
        assert "\n" not in str(error), what
        assert case.wrong or case.free, f"{what}: {error}"
        return
    assert not case.wrong, f"{what}: read, and should not be"
    assert got == expected(case), what


@pytest.mark.parametrize("first", range(0, 200, 50))
def test_a_spoilt_file_reads_the_same_or_says_one_line(tmp_path: Path, first: int) -> None:
    for number in range(first, first + 50):
        folder = tmp_path / str(number)
        folder.mkdir()
        perturbed(number, folder)


@pytest.mark.nightly
@pytest.mark.parametrize("first", range(200, 3000, 50))
def test_thousands_of_spoilt_files(tmp_path: Path, first: int) -> None:
    for number in range(first, first + 50):
        folder = tmp_path / str(number)
        folder.mkdir()
        perturbed(number, folder)


VALUES: list[Any] = [
    "O",
    "B-x",
    "I-x",
    "a",
    "b c",
    "",
    None,
    1,
    0,
    2.5,
    True,
    [],
    ["O"],
    ["a", "b"],
    {"a": 1},
    "²",
]
VALUES += [[[0, 1, "x"]], [{"start": 0, "end": 2, "label": "x"}], "train", "test"]


@pytest.mark.parametrize("number", range(40))
def test_values_of_any_kind_are_read_or_refused(tmp_path: Path, number: int) -> None:
    random = Random(number)
    columns = random.sample(
        ["tokens", "text", "ner_tags", "label", "sent", "id"], random.randint(2, 6)
    )
    usual = {name: random.sample(VALUES, random.randint(1, 3)) for name in columns}
    for split in ("train", "test"):
        rows = [
            {
                name: random.choice(usual[name] if random.random() < 0.97 else VALUES)
                for name in columns
            }
            for _ in range(random.randint(1, 40))
        ]
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for names in (["ner"], ["classifier"], list(TASKS)):
        with suppress(UserError):
            sources.load(Data(source=str(tmp_path)), {name: TASKS[name] for name in names}, 0)
    source = open_source(str(tmp_path), Source(source=str(tmp_path)), dict(TASKS), "data", TASKS)
    if source.train is not None:
        guesses.tasks(source.train, [], {})
