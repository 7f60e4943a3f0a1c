"""What a message proposes leads, when it is done to the letter, to a check without mistakes and a file that
runs."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mtlab.check.survey import Survey, survey
from mtlab.data import sources
from mtlab.parser import parse_overrides
from mtlab.plan import experiment as experiments
from tests.check.test_check import words
from tests.check.test_resolution import planned
from tests.data.published import columns, put, splits, two

Remedy = Callable[[str], str]
"""Does what a message says, and gives the settings that it names."""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def rows(separator: str, header: str = "") -> str:
    lines = [f"{' '.join(words(number))}{separator}{'ab'[number % 3 == 0]}" for number in range(40)]
    return "\n".join([*([header] if header else []), *lines]) + "\n"


def semicolons() -> str:
    put(Path("set/train.csv"), [rows(";", "text;label").strip()])
    return "set builtin"


def write_sep(message: str) -> str:
    line = re.search(r"write `(sep=;)` as a line above", message)
    assert line is not None
    path = Path("set/train.csv")
    path.write_text(f"{line[1]}\n{path.read_text()}")
    return ""


def tabs() -> str:
    put(Path("set/train.csv"), [rows("\t", "text\tlabel").strip()])
    return "set builtin"


def call_it(message: str) -> str:
    name = re.search(r"call the file (\S+\.tsv)", message)
    assert name is not None
    Path("set/train.csv").rename(Path("set") / name[1])
    return ""


def no_header() -> str:
    put(Path("set/train.csv"), [rows(",").strip()])
    return "set builtin"


def put_names_above(message: str) -> str:
    assert "put a line with the names of columns above it" in message
    path = Path("set/train.csv")
    path.write_text(f"text,label\n{path.read_text()}")
    return ""


def no_split_names() -> str:
    for name, some in zip("abc", splits().values(), strict=True):
        put(Path(f"set/{name}.conll"), columns(some, two))
    return "builtin set"


def pass_a_file(message: str) -> str:
    option = re.search(r"pass (--data\.\S+) FILE", message)
    assert option is not None
    return f"{option[1]} a.conll"


def several_labels() -> str:
    made = [
        {
            "text": " ".join(words(number)),
            "labels": ["x"] if number % 2 else ["x", "yz"[number % 4 // 2]],
        }
        for number in range(40)
    ]
    put(Path("set/train.jsonl"), [json.dumps(row) for row in made])
    return "set builtin"


def pass_tasks(message: str) -> str:
    options = re.search(r": pass (--tasks.*?)(?:, or give|$)", message)
    assert options is not None
    return options[1]


def other_inner_names() -> str:
    pairs = [[" ".join(words(number)), "ab"[number % 3 == 0]] for number in range(40)]
    put(Path("all.json"), [json.dumps({"fold1": pairs[:30], "test": pairs[30:]})])
    return "all.json builtin"


def pass_a_name(message: str) -> str:
    option = re.search(r"pass (--data\.\S+) NAME", message)
    assert option is not None
    return f"{option[1]} fold1"


CASES: dict[str, tuple[Callable[[], str], Remedy]] = {
    "semicolons": (semicolons, write_sep),
    "tabs": (tabs, call_it),
    "no header": (no_header, put_names_above),
    "a folder without names of splits": (no_split_names, pass_a_file),
    "several labels a sentence": (several_labels, pass_tasks),
    "splits in a file by other names": (other_inner_names, pass_a_name),
}


def looked(encoder: Path, given: str, options: str) -> Survey:
    settings: dict[str, Any] = parse_overrides(shlex.split(options)) if options else {}
    return survey(
        given.split(), {"encoder": [str(encoder)], "data.max_duplicates": ["1"], **settings}
    )


@pytest.mark.parametrize("name", CASES)
def test_a_remedy_works_to_the_letter(encoder: Path, name: str) -> None:
    write, follow = CASES[name]
    given = write()
    before = looked(encoder, given, "")
    assert before.mistakes
    after = looked(encoder, given, follow(str(before.mistakes[0])))
    assert [str(mistake) for mistake in after.mistakes] == []
    experiment = planned(after)
    corpus = sources.load(experiment.data, experiment.tasks, 0)
    assert isinstance(experiment, experiments.Experiment)
    assert all(corpus.splits.values())
