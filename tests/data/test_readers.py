import json
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from mtlab.data.reading import readers
from mtlab.plan.errors import UserError


def put(directory: Path, name: str, content: str | bytes) -> Path:
    path = directory / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        (
            "a.jsonl",
            '{"label": "a"}\n{"label": \n',
            "a.jsonl:2: not JSON (Expecting value at column 11); write one JSON object a line",
        ),
        (
            "a.jsonl",
            "\n[1]\n",
            'a.jsonl:2: a JSON list, not an object; write {"tokens": [...], "ner_tags": [...], "label": "..."}',
        ),
        ("a.jsonl", '{"a": ' * 100_000, "a.jsonl:1: not JSON (nested too deeply)"),
        (
            "a.jsonl",
            b'{"label": "a"}\n{"label": "\xe9"}\n',
            "a.jsonl:2: not UTF-8 at byte 26; save the file as UTF-8",
        ),
        ("a.csv", "text,label\n\xe9,b\n".encode("latin-1"), "a.csv:2: not UTF-8 at byte 11"),
        ("a.jsonl", '{"label": "a"}\n'.encode("utf-16"), "a.jsonl:1: not UTF-8 at byte 0"),
        (
            "a.json",
            '[{"label": "a"},\n {"label": }]',
            "a.json:2: not JSON (Expecting value at column 12); one object a line is `.jsonl`",
        ),
        (
            "a.json",
            '{"label": "a"}\n3\n',
            "a.json:2: not JSON (Extra data at column 1); one object a line is `.jsonl`",
        ),
        (
            "a.json",
            '{"rows": []}',
            'a.json: not a list of objects; write [{...}, ...] or {"data": [{...}, ...]}',
        ),
        ("a.json", '[{"a": 1},\n\n 3]', "a.json:3: a JSON int, not an object"),
        (
            "a.csv",
            'text,label\n"one\ntwo",a\nthree\n',
            "a.csv:4: 1 cells, the header has 2; put cells that hold commas in double quotes",
        ),
        (
            "a.csv",
            'text,label\na,b\n"one,a\n',
            "a.csv:3: not CSV (unexpected end of data); close quotes",
        ),
        (
            "a.csv",
            "text,label,text\n",
            "a.csv:1: the header has two columns 'text'; name columns differently",
        ),
        (
            "a.conll",
            "EU\tB-ORG\nrejects\n",
            "a.conll:2 ner_tags: one column ('rejects'); a line holds a token and its tag",
        ),
        (
            "a.conll",
            "EU B-ORG\nrejects\t\n",
            "a.conll:2 ner_tags: one column ('rejects'); a line holds a token and its tag",
        ),
        (
            "a.parquet",
            "not parquet",
            "a.parquet: not a Parquet file (ArrowInvalid); write it as Parquet again",
        ),
        (
            "a.md",
            "",
            "a.md: unknown kind of file '.md'; use one of .jsonl .json .csv .tsv .parquet .conll .txt",
        ),
        (
            "a.txt",
            "x | fine\n\nno label\n",
            "a.txt:3 label: no label before the sentence; write `label | text with [TYPE names]`",
        ),
        (
            "a.txt",
            "x | [PER Ann",
            "a.txt:1 ner_tags: a bracket that marks nothing, near '[PER Ann'; write `[TYPE name]`",
        ),
        (
            "a.txt",
            "x | [PER Ann]a",
            "a.txt:1 ner_tags: the mark [PER Ann] does not begin and end with whole words; move its brackets",
        ),
    ],
)
def test_bad_files(tmp_path: Path, name: str, content: str | bytes, line: str) -> None:
    with pytest.raises(UserError) as error:
        readers.read(put(tmp_path, name, content))
    assert str(error.value).removeprefix(f"{tmp_path}/").startswith(line)
    assert "\n" not in str(error.value)


def test_unreadable_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot be read \(No such file or directory\)"):
        readers.read(tmp_path / "absent.csv")


def test_jsonl_lines_end_in_lf_alone(tmp_path: Path) -> None:
    text = "one\u2028two\u0085three"
    path = put(
        tmp_path,
        "a.jsonl",
        "\ufeff" + json.dumps({"text": text}, ensure_ascii=False) + "\r\n\r\n" + '{"label": "b"}',
    )
    table = readers.read(path)
    assert [row.values for row in table.rows] == [{"text": text}, {"label": "b"}]
    assert [row.place() for row in table.rows] == [f"{path}:1", f"{path}:3"]
    assert table.columns == ("text", "label")
    assert table.notes == (f"{path}: blank lines skipped: 1.",)


@pytest.mark.parametrize(
    "content",
    [
        '[\n{"label": "a"},\n\n{"label":\n "b"}, {"label": "c"}]\n',
        '{"version": {"data": [1]}, "list": [], \n"data":[{"label": "a"},\n\n{"label":\n "b"}, {"label": "c"}], "more": 1}',
    ],
)
def test_json_places(tmp_path: Path, content: str) -> None:
    table = readers.read(put(tmp_path, "a.json", content))
    assert [row.values["label"] for row in table.rows] == ["a", "b", "c"]
    assert [row.number for row in table.rows] == [2, 4, 5]


def test_empty_json_list(tmp_path: Path) -> None:
    assert readers.read(put(tmp_path, "a.json", " [ ] ")).rows == []


def test_csv_cells_stay_text(tmp_path: Path) -> None:
    content = '\ufefftext,label\r\nNA,null\r\n"one\r\n\r\ntwo, ""x""",None\r\n\r\n007,nan\r\n'
    table = readers.read(put(tmp_path, "a.csv", content))
    assert [tuple(row.values.values()) for row in table.rows] == [
        ("NA", "null"),
        ('one\r\n\r\ntwo, "x"', "None"),
        ("007", "nan"),
    ]
    assert [row.number for row in table.rows] == [
        2,
        3,
        7,
    ]  # the quoted cell spans three lines, then one is blank
    assert table.flat
    assert table.notes[0].endswith("a.csv: blank lines skipped: 1.")


def test_conll_with_four_columns_documents_and_odd_blank_lines(tmp_path: Path) -> None:
    content = (
        "-DOCSTART- -X- -X- O\n\nEU NNP I-NP I-ORG\nrejects VBZ I-VP O\n\t\nPeter NNP I-NP I-PER\n"
    )
    content += "-DOCSTART- -X- O O\n\n  \nx\u3000y  NN  I-NP  O"
    table = readers.read(put(tmp_path, "a.conll", content.replace("\n", "\r\n")))
    assert [row.values for row in table.rows] == [
        {"tokens": ["EU", "rejects"], "ner_tags": ["I-ORG", "O"]},
        {"tokens": ["Peter"], "ner_tags": ["I-PER"]},
        {"tokens": ["x\u3000y"], "ner_tags": ["O"]},
    ]
    assert [row.number for row in table.rows] == [3, 6, 10]
    assert table.rows[0].place(1).endswith("a.conll:4")
    assert table.notes[0].endswith("a.conll: -DOCSTART- lines skipped: 2.")


def test_conll_tokens_keep_their_blanks_between_tabs(tmp_path: Path) -> None:
    table = readers.read(put(tmp_path, "a.conll", "New York\tNNP\tB-LOC\n\u00b4\tO\n"))
    assert table.rows[0].values == {"tokens": ["New York", "\u00b4"], "ner_tags": ["B-LOC", "O"]}


STRANGE = ["👩‍👩‍👧", "שלום", "e\u0301", "\u202eabc", "a\u200bb", "日本語", "\ufb01"]


@pytest.mark.parametrize(
    "kind", [kind for kind in readers.EXTENSIONS if kind != ".txt"]
)  # where words are cut: test_marked.py
def test_characters_survive(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a{kind}"
    rows = [{"tokens": STRANGE, "ner_tags": ["O"] * len(STRANGE)}]
    if kind == ".parquet":
        parquet.write_table(pa.Table.from_pylist(rows), path)
    elif kind == ".conll":
        put(tmp_path, path.name, "".join(f"{token}\tO\n" for token in STRANGE))
    elif kind in (".csv", ".tsv"):
        cell = json.dumps(STRANGE, ensure_ascii=False).replace('"', '""')
        put(tmp_path, path.name, f'tokens\n"{cell}"\n')
    else:
        content = json.dumps(rows[0], ensure_ascii=False)
        put(tmp_path, path.name, f"[{content}]" if kind == ".json" else content)
    found = readers.read(path).rows[0].values["tokens"]
    assert (json.loads(found) if kind in (".csv", ".tsv") else found) == STRANGE


def test_parquet_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    parquet.write_table(
        pa.table({"text": ["NA", None], "label": pa.array(["a", "b"]).dictionary_encode()}), path
    )
    table = readers.read(path)
    assert [row.values for row in table.rows] == [
        {"text": "NA", "label": "a"},
        {"text": None, "label": "b"},
    ]
    assert table.rows[1].place() == f"{path} row 2"
