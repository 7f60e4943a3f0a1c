"""Files of separated cells that are not what they seem: rows within a cell, a header that is a row,
other separators."""

import csv
import json
from io import StringIO
from itertools import product
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pytest
from pyarrow import parquet

from mtlab.data import disk
from mtlab.data.reading import readers
from mtlab.plan.errors import UserError
from mtlab.plan.experiment import Data
from tests.data.files import write_jsonl, write_source
from tests.tiny import load

WORDS = ("rain", "wind", "goal", "race", "soup", "bread", "oslo", "quito")
ROWS = [
    (f"{WORDS[n % 8]} number {n} of {WORDS[n // 8]}", ("order", "refund", "hello")[n % 3])
    for n in range(40)
]
NER = [
    (text, ("B-x O O O O", "O O O O B-x", "O O O O O")[n % 3]) for n, (text, _) in enumerate(ROWS)
]


def written(header: str, rows: list[tuple[str, ...]], separator: str = ",") -> str:
    """The file as somebody writes it who knows nothing of quotes."""
    return "\n".join(separator.join(cells) for cells in (tuple(header.split()), *rows)) + "\n"


def quoted(header: str, rows: list[tuple[str, ...]], separator: str = ",") -> str:
    """The file as it ought to be written."""
    text = StringIO()
    csv.writer(text, delimiter=separator, lineterminator="\n").writerows([header.split(), *rows])
    return text.getvalue()


def stray(rows: list[tuple[str, ...]], column: int, first: int, last: int) -> list[tuple[str, ...]]:
    """The rows with a quote where one cell begins, and one where another one ends."""
    cells = [list(row) for row in rows]
    cells[first][column] = '"' + cells[first][column]
    cells[last][column] += '"'
    return [tuple(row) for row in cells]


def read(path: Path, content: str) -> tuple[list[tuple[Any, ...]], list[str], tuple[str, ...]]:
    """The rows, mistakes and notes of a file."""
    path.write_text(content, encoding="utf-8", newline="")
    found: list[UserError] = []
    table = readers.read(path, found)
    return (
        [tuple(row.values.values()) for row in table.rows],
        [str(error).replace(f"{path.parent}/", "") for error in found],
        tuple(note.replace(f"{path.parent}/", "") for note in table.notes),
    )


WITH_IDS = [(f"u-{n}", *row) for n, row in enumerate(ROWS)]
TABLES = [
    ("text label", ROWS, 0),
    ("text label", ROWS, 1),
    ("label text", [(label, text) for text, label in ROWS], 0),
    ("label text", [(label, text) for text, label in ROWS], 1),
    ("text label", [(text, str(n % 2)) for n, (text, _) in enumerate(ROWS)], 0),
    ("id text label", WITH_IDS, 0),
    ("id text label", WITH_IDS, 1),
    ("id text label", WITH_IDS, 2),
    ("tokens ner_tags", NER, 0),
]


@pytest.mark.parametrize(
    ("name", "separator"), [("a.csv", ","), ("a.tsv", "\t"), ("semicolons.csv", ";")]
)
@pytest.mark.parametrize(("header", "rows", "column"), TABLES)
def test_rows_that_a_stray_quote_swallows_are_a_mistake_and_are_read_all_the_same(
    tmp_path: Path, name: str, separator: str, header: str, rows: list[tuple[str, ...]], column: int
) -> None:
    above = f"sep={separator}\n" if name == "semicolons.csv" else ""
    columns = header.split()
    for first, last in ((3, 4), (3, 9), (0, 39), (30, 39)):
        read_rows, mistakes, _ = read(
            tmp_path / name, above + written(header, stray(rows, column, first, last), separator)
        )
        line, count = first + 2 + bool(above), last - first + 1
        assert len(mistakes) == 1, mistakes
        assert mistakes[0].startswith(
            f"{name}:{line} {columns[column]}: a stray quote seems to open a cell of {count} lines that look like rows of the table; remove"
        )
        assert (
            read_rows[:first] + read_rows[first : first + count - 2]
            == rows[:first] + rows[first + 1 : last]
        )  # the next ones are read


def test_many_swallowed_rows_are_a_mistake_though_no_value_comes_again(tmp_path: Path) -> None:
    rows = [(f"sentence number {n}", f"label {n}") for n in range(40)]
    (mistake,) = read(tmp_path / "a.csv", written("text label", stray(rows, 0, 4, 15)))[1]
    assert mistake.startswith("a.csv:6 text: a stray quote seems to open a cell of 12 lines")
    read_rows, mistakes, notes = read(
        tmp_path / "a.csv", written("text label", stray(rows, 0, 4, 6))
    )  # three lines may be meant
    assert (len(read_rows), mistakes) == (
        38,
        [],
    ) and "read as text, although their lines could be rows: 1 cell" in notes[0]


def test_a_run_ends_at_the_quote(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text(written("text label", stray(ROWS, 0, 2, 8), "\t"))
    (tmp_path / "test.tsv").write_text(written("text label", [("some soup", "order")], "\t"))
    ner = write_source(tmp_path / "ner")
    with pytest.raises(
        UserError,
        match=r"train\.tsv:4 text: a stray quote seems to open a cell of 7 lines that look like rows",
    ):
        load(Data(classifier={"source": str(tmp_path)}, ner={"source": str(ner)}), 0)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            lambda rows: stray(rows, 0, 3, 39)[:39],
            "a.csv:5: not CSV (unexpected end of data); close quotes",
        ),
        (
            lambda rows: [*rows[:39], ('"' + rows[39][0], "hello")],
            "a.csv:41: not CSV (unexpected end of data)",
        ),
        (
            lambda rows: [
                *rows[:5],
                ('"' + rows[5][0], "hello"),
                *rows[6:9],
                (rows[9][0], 'hello"'),
                *rows[10:],
            ],
            "a.csv:7: 1 cells, the header has 2, in lines 7 to 11; remove the quote, close it on its line",
        ),
    ],
)
def test_quotes_that_close_elsewhere_or_nowhere(tmp_path: Path, change: Any, line: str) -> None:
    read_rows, mistakes, _ = read(tmp_path / "a.csv", written("text label", change(ROWS)))
    assert len(mistakes) == 1 and mistakes[0].startswith(line)
    assert len(read_rows) >= 38


HONEST = (
    "Dear Sir,\nplease help, I am lost\nBest,\nJo",
    "roses are red,\nviolets are blue,\nsugar is sweet,\nand so are you",
    "It costs\n1,000 kroner",
    "hello\n\nworld",
    "Best,Jo\nthanks",
    "order\nrefund, hello",
    "a,b\nc,d\ne,f",
    "Oh baby, baby\nOh baby, baby\n",
    'she said "go", and left\nat once',
    "\n\nHow do I unblock my card?",
)
"""Texts of several lines, with commas in them."""


@pytest.mark.parametrize(("every", "separator"), list(product((1, 2, 13, 40), ",;")))
@pytest.mark.parametrize(
    "order", ["text label", "label text", "id text label", "text number", "number text", "id text"]
)
def test_honest_text_of_several_lines_stays(
    tmp_path: Path, order: str, every: int, separator: str
) -> None:
    rows = []
    for number, (text, label) in enumerate(ROWS):
        several = HONEST[(number // every + every // 20) % len(HONEST)].replace(",", separator)
        cells = {
            "id": str(number),
            "text": text if number % every else several,
            "label": label,
            "number": str(number % 2),
        }
        rows.append(tuple(cells[name] for name in order.split()))
    above = "sep=;\n" if separator == ";" else ""
    read_rows, mistakes, notes = read(tmp_path / "a.csv", above + quoted(order, rows, separator))
    assert (mistakes, read_rows) == ([], rows)
    if order == "text label" and every == 1 and not above:
        assert notes == (
            "a.csv: read as text, although their lines could be rows: 16 cells; the longest has 4 lines (line 2).",
        )


def test_only_cells_in_doubt_are_noted(tmp_path: Path) -> None:
    assert read(tmp_path / "a.csv", quoted("text label", [*ROWS, ("Where?\nIn oslo", "order")]))[
        1:
    ] == ([], ())


@pytest.mark.parametrize("limit", [0, 1 << 30])
def test_files_that_are_read_anew_each_time_say_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(disk, "FILE", limit)
    rows, mistakes, _ = read(tmp_path / "a.csv", written("text label", stray(ROWS, 0, 3, 9)))
    assert (len(rows), len(mistakes)) == (39, 1)


def test_a_long_text_is_read(tmp_path: Path) -> None:
    rows = [*ROWS, ("many words " * 30_000, "order")]
    assert read(tmp_path / "a.csv", written("text label", rows))[:2] == (rows, [])


@pytest.mark.parametrize("first", ["sep=,", "SEP=,\r", '"sep=,"', "\ufeffsep=,"])
def test_a_line_that_says_what_separates_is_understood(tmp_path: Path, first: str) -> None:
    assert read(tmp_path / "a.csv", f"{first}\n" + written("text label", ROWS)) == (ROWS, [], ())


def test_another_separator_that_is_said_is_noted(tmp_path: Path) -> None:
    note = "a.csv: cells are separated by a semicolon, as its first line says."
    assert read(tmp_path / "a.csv", "sep=;\n" + written("text label", ROWS, ";")) == (
        ROWS,
        [],
        (note,),
    )


@pytest.mark.parametrize(
    ("name", "separator", "line"),
    [
        (
            "a.csv",
            ";",
            "'text;label': cells seem to be separated by a semicolon; save it with a comma between cells, or write `sep=;`",
        ),
        (
            "a.csv",
            "|",
            "'text|label': cells seem to be separated by |; save it with a comma between cells, or write `sep=|`",
        ),
        ("a.csv", "\t", "'text\\tlabel': cells seem to be separated by a tab; call the file a.tsv"),
        (
            "a.tsv",
            ",",
            "'text,label': cells seem to be separated by a comma; save it with a tab between cells, or write `sep=,`",
        ),
    ],
)
def test_another_separator_that_is_not_said(
    tmp_path: Path, name: str, separator: str, line: str
) -> None:
    _, (mistake,), _ = read(tmp_path / name, written("text label", ROWS, separator))
    assert mistake.startswith(f"{name}:1: one column, {line}")
    quoted = "".join(
        separator.join(f'"{cell}"' for cell in row) + "\r\n" for row in [("text", "label"), *ROWS]
    )
    _, (mistake,), _ = read(tmp_path / name, quoted)  # one line, not one for each row
    assert mistake.startswith(f"{name}:1: one column, ") and line.partition(": ")[2] in mistake


@pytest.mark.parametrize(
    ("header", "rows", "problem"),
    [
        (
            "order rain",
            [(label, text) for text, label in ROWS],
            "'order' is the name of column 1 and one of its values",
        ),
        ("rain refund", ROWS, "'refund' is the name of column 2"),
        ("rain B-x_O_O", NER, "'B-x O O' is the name of column 2"),
        ("u-9 rain hello", WITH_IDS, "'hello' is the name of column 3"),
    ],
)
@pytest.mark.parametrize("kind", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_a_header_that_is_a_row(
    tmp_path: Path, kind: str, header: str, rows: list[tuple[str, ...]], problem: str
) -> None:
    names = [name.replace("_", " ") for name in header.split()]
    path = tmp_path / f"train{kind}"
    if kind in (".csv", ".tsv"):
        path.write_text(
            written("", [tuple(names), *rows], "\t" if kind == ".tsv" else ",").lstrip()
        )
    elif kind == ".jsonl":
        write_jsonl(path, [dict(zip(names, row, strict=True)) for row in rows])
    else:
        parquet.write_table(
            pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows]), path
        )
    with pytest.raises(UserError) as error:
        load(Data(classifier={"source": str(path)}, ner={"source": "builtin"}), 0)
    assert f"the header seems to be a row: {problem}" in str(error.value)


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        (
            "text question",
            [(text, ("question", "statement")[n % 2]) for n, (text, _) in enumerate(ROWS)],
        ),
        ("text label", [*ROWS, ("text", "order")]),
        ("text label", [*ROWS, ("a label", "label"), ("another", "label")]),
        ("rain unheard", [(label, text) for text, label in ROWS]),
    ],
)
def test_a_header_that_is_one(tmp_path: Path, header: str, rows: list[tuple[str, ...]]) -> None:
    assert read(tmp_path / "a.csv", written(header, rows)) == (rows, [], ())


@pytest.mark.parametrize(
    "again", [("text", "label"), ("label", "text"), ("\ufeffText", "Label "), ("TEXT", "LABEL")]
)
@pytest.mark.parametrize("kind", [".csv", ".tsv", ".jsonl", ".json", ".parquet"])
def test_a_header_that_comes_again(tmp_path: Path, kind: str, again: tuple[str, str]) -> None:
    path = tmp_path / f"train{kind}"
    rows = [*ROWS[:20], again, *ROWS[20:]]
    named = [{"text": text, "label": label} for text, label in rows]
    if kind in (".csv", ".tsv"):
        path.write_text(written("text label", rows, "\t" if kind == ".tsv" else ","))
    elif kind == ".parquet":
        parquet.write_table(pa.Table.from_pylist(named), path)
    else:
        path.write_text(
            "\n".join(map(json.dumps, named)) if kind == ".jsonl" else json.dumps(named, indent=1)
        )
    with pytest.raises(
        UserError, match=r"train.*: the row holds the names of the columns; remove it"
    ):
        load(
            Data(classifier={"source": str(path)}, ner={"source": "builtin"}, test_fraction=0.1), 0
        )


def test_columns_without_a_name_are_not_read(tmp_path: Path) -> None:
    rows = [(str(n), text, label, "", " ") for n, (text, label) in enumerate(ROWS)]
    note = "a.csv: not read, because the header has no name there: column 1."
    assert read(tmp_path / "a.csv", written("", [("", "text", "label", "", ""), *rows])[1:]) == (
        ROWS,
        [],
        (note,),
    )
    assert read(tmp_path / "a.csv", ",,\na,b,c\n") == (
        [],
        ["a.csv:1: the header has no names; name the columns that are to be read"],
        (),
    )


def test_a_no_break_space_belongs_to_its_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for split, first in (("train", "a"), ("test", "b")):
        content = f"tokens\tner_tags\tlabel\n{first}  costs 40\u00a0000\tO O B-x\tx\n{first} b\u3000c\tO O\ty\n"
        (tmp_path / f"{split}.tsv").write_text(content)
    corpus = load(Data(source=str(tmp_path), validation_fraction=0.4), 0)
    assert [sentence.tokens for sentence in corpus.splits["test"]] == [
        ("b", "costs", "40\u00a0000"),
        ("b", "b\u3000c"),
    ]


@pytest.mark.parametrize("kind", ["parquet", "csv", "tsv"])
def test_tables_that_others_have_read_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    path = tmp_path / "set" / "data" / f"train.{kind}"
    path.parent.mkdir(parents=True)
    card = f"---\nconfigs: [{{config_name: default, data_files: [{{split: train, path: data/train.{kind}}}]}}]\n---\n"
    (tmp_path / "set" / "README.md").write_text(card)  # which has datasets read them
    broken = written("text label", stray(ROWS, 0, 3, 9), "\t" if kind == "tsv" else ",")
    if kind == "parquet":
        rows = list(csv.DictReader(StringIO(broken)))
        parquet.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text(broken)
    with pytest.raises(
        UserError,
        match=r"set train row 4 text: a stray quote seems to open a cell of 7 lines that look like rows",
    ):
        load(
            Data(
                classifier={"source": str(tmp_path / "set")},
                ner={"source": "builtin"},
                test_fraction=0.1,
            ),
            0,
        )
