"""Marked text: words do not depend on marks, and marks become the tags that they say."""

from pathlib import Path

import pytest

from mtlab.data.reading import marked
from mtlab.plan.errors import UserError
from tests.data import files


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "the U.N.'s 1,200 at 19:30, 3.5bn.",
            ["the", "U.N.", "'s", "1,200", "at", "19:30", ",", "3.5bn", "."],
        ),
        (
            "O'Hara's don't it’s N’Djamena James'",
            ["O'Hara", "'s", "don't", "it", "’s", "N’Djamena", "James", "'"],
        ),
        (
            "Sarn-born, 2-1... well -- no—",
            ["Sarn", "-", "born", ",", "2", "-", "1", "...", "well", "--", "no", "—"],
        ),
        (
            "#rovers @ines_v :) 50% J. P. Roux",
            ["#", "rovers", "@", "ines_v", ":", ")", "50", "%", "J", ".", "P", ".", "Roux"],
        ),
        ("ünïcode 日本 ☀️", ["ünïcode", "日本", "☀️"]),
        ("e\u0301t हिन्दी 👩‍👩‍👧", ["e\u0301t", "हिन्दी", "👩‍👩‍👧"]),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert marked.words(text) == words


def test_marks_become_tags() -> None:
    line = "sport | [PER Ann Okwu-Brandt]'s [ORG FC 04], of [LOC Sarn]-on-Sea, met #[ORG Rovers]."
    label, words, tags = marked.parse(line, "f:1")
    assert label == "sport"
    found = [f"{word}/{tag}" for word, tag in zip(words, tags, strict=True) if tag != "O"]
    assert (
        " ".join(found)
        == "Ann/B-PER Okwu/I-PER -/I-PER Brandt/I-PER FC/B-ORG 04/I-ORG Sarn/B-LOC Rovers/B-ORG"
    )


def test_words_do_not_depend_on_marks() -> None:
    bare, names = (
        "x | Ann's Sarn-born team (FC 04)",
        "x | [PER Ann]'s [LOC Sarn]-born team ([ORG FC 04])",
    )
    assert marked.parse(bare, "")[1] == marked.parse(names, "")[1]


def test_names_side_by_side_stay_two() -> None:
    assert marked.parse("x | [LOC Sarn] [LOC Jordan]", "")[2] == ["B-LOC", "B-LOC"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "no bar",
            "f:7 label: no label before the sentence; write `label | text with [TYPE names]`",
        ),
        (" | no label", "f:7 label: no label before the sentence"),
        (
            "x | a] b",
            "f:7 ner_tags: a bracket that marks nothing, near 'a] b'; write `[TYPE name]`",
        ),
        ("x | [PER [LOC Sarn] Ann]", "f:7 ner_tags: a bracket that marks nothing"),
        ("x | [Ann]", "f:7 ner_tags: a bracket that marks nothing"),
        (
            "x | [PER Ann]s",
            "f:7 ner_tags: the mark [PER Ann] does not begin and end with whole words; move its brackets",
        ),
        ("x | [PER ]", "f:7 ner_tags: the mark [PER ] does not begin"),
        ("x | [PER  Ann]", "f:7 ner_tags: the mark [PER Ann] does not begin"),
        ("x | don[PER 't]", "f:7 ner_tags: the mark [PER 't] does not begin"),
    ],
)
def test_bad_lines(line: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        marked.parse(line, "f:7")
    assert str(error.value).startswith(message)


def test_a_directory_of_marked_text_is_a_source(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text(
        "a | [PER Ann] left\n\nb | nobody stayed\n", encoding="utf-8"
    )
    (tmp_path / "test.txt").write_text("a | [PER Bo] came\n", encoding="utf-8")
    (tmp_path / "validation.txt").write_text("b | they stayed\n", encoding="utf-8")
    corpus = files.read(tmp_path)
    first, second = corpus.splits["train"]
    assert (first.tokens, first.gold.get("ner"), first.gold.get("classifier")) == (
        ("Ann", "left"),
        ("B-PER", "O"),
        "a",
    )
    assert second.place == f"{tmp_path / 'train.txt'}:3"
    assert f"{tmp_path / 'train.txt'}: blank lines skipped: 1." in corpus.notes


def test_an_empty_sentence_is_told(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("a | [PER Ann] left\nb |\n", encoding="utf-8")
    assert files.fails(tmp_path, test_fraction=0.5).startswith("train.txt:2 tokens: ")
