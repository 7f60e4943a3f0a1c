"""What is wrong with an experiment is told in one line: file, line, field, problem, remedy."""

from pathlib import Path

import pytest

from mtlab.plan.errors import UserError, did_you_mean, shown
from mtlab.plan.experiment import load

GOOD = """\
data: {source: here}
seeds: [0, 1]
control: full
scenarios:
  heads: [{epochs: 1, train: {heads: 1.0e-3}}]
  full:
    - {epochs: 1, train: {all: 1.0e-4}}
"""
NO_VALUE = "has no value; give one, or leave the key out"
NO_DATA = "no data; pass --data.source PATH (one source with both labels), or --data.classifier.source and --data.ner.source"
RATE = "a learning rate is above 0, not {}; to freeze a part, leave its selector out"
NAME = "cannot be a name; use letters, digits, `_`, `-` and `.`, at most 64"
SIZE = "is neither a whole number of sentences above 0 nor `full`"
SLICES = "a slice of blocks reads layers[a:b], as in layers[0:2] or layers[-1/3:]"
TAG = "has no place in an experiment file; take it out"
NOT_A_MAPPING = "is not a mapping (`key: value`)"
AN_EXPERIMENT = "an experiment file is a mapping of keys to values; experiments/ holds examples"

Change = tuple[str, str]


def complaint(file: Path, overrides: dict[str, list[str]] | None = None) -> str:
    """The line that loading ``file`` ends with, without the folder it lies in."""
    with pytest.raises(UserError) as error:
        load(file, overrides)
    line = str(error.value)
    assert "\n" not in line
    return line.replace(f"{file.parent}/", "")


def written(directory: Path, text: str, name: str = "exp.yaml") -> Path:
    (directory / name).write_text(text, encoding="utf-8")
    return directory / name


def test_the_file_that_the_mistakes_are_made_in_is_good(tmp_path: Path) -> None:
    assert load(written(tmp_path, GOOD)).seeds == (0, 1)


def stage(written_as: str) -> Change:
    return "{epochs: 1, train: {all: 1.0e-4}}", written_as


def rate(written_as: str) -> Change:
    return "1.0e-4", written_as


def seeds(written_as: str) -> Change:
    return "[0, 1]", written_as


def data(more: str) -> Change:
    return "source: here", f"source: here, {more}"


def added(line: str) -> Change:
    return "data: {", f"{line}\ndata: {{"


CHANGES: list[tuple[Change, str]] = [
    # misspelt keys, at every level
    (added("seed: 1"), "1 seed: unknown key; did you mean 'seeds'?"),
    (added("optimiser: {}"), "1 optimiser: unknown key; did you mean 'optimizer'?"),
    (
        added("optimizer: {weight_decai: 1}"),
        "1 optimizer.weight_decai: unknown key; did you mean 'weight_decay'?",
    ),
    (added("head: {drop: 1}"), "1 head.drop: unknown key; did you mean 'dropout'?"),
    (added("head: {zzz: 1}"), "1 head.zzz: unknown key; known: dropout, pooling, init_std"),
    (added("encoder: {nam: x}"), "1 encoder.nam: unknown key; did you mean 'name'?"),
    (
        added("task_weights: {classifer: 1}"),
        "1 task_weights.classifer: unknown key; did you mean 'classifier'?",
    ),
    (("source: here", "sourc: here"), "1 data.sourc: unknown key; did you mean 'source'?"),
    (
        ("source: here", "classifier: {source: a}, ner: {sorce: b}"),
        "1 data.ner.sorce: unknown key; did you mean 'source'?",
    ),
    (
        data("columns: {tokns: words}"),
        "1 data.columns.tokns: 'tokns' is not known; did you mean 'tokens'?",
    ),
    (
        data("splits: {valid: dev}"),
        "1 data.splits.valid: 'valid' is not known; did you mean 'validation'?",
    ),
    (stage("{epoch: 1}"), "7 scenarios.full.0.epoch: unknown key; did you mean 'epochs'?"),
    (
        stage("{epochs: 1, trian: {all: 1}}"),
        "7 scenarios.full.0.trian: unknown key; did you mean 'train'?",
    ),
    # names that refer to nothing
    (
        ("control: full", "control: ful"),
        "3 control: no scenario is called 'ful'; did you mean 'full'?",
    ),
    (
        ("control: full", "control: zzz"),
        "3 control: no scenario is called 'zzz'; known: heads, full",
    ),
    (
        ("all: 1.0e-4", "encodr: 1"),
        "7 scenarios.full.0.train.encodr: unknown selector 'encodr'; did you mean 'encoder'?",
    ),
    (
        ("all: 1.0e-4", "head.nre: 1"),
        "7 scenarios.full.0.train.head.nre: unknown selector 'head.nre'; did you mean 'head.ner'?",
    ),
    (
        ("all: 1.0e-4", '"layers[-1/3:x]": 1'),
        f"7 scenarios.full.0.train.layers[-1/3:x]: unknown selector 'layers[-1/3:x]'; {SLICES}",
    ),
    # keys that stand twice
    (added("seeds: [2]"), "3: the key 'seeds' stands twice; keep one of them"),
    (stage("{epochs: 1, epochs: 2}"), "7: the key 'epochs' stands twice; keep one of them"),
    # rates
    (
        rate('"1e-5"'),
        "7 scenarios.full.0.train.all: '1e-5' is text, not a number; take the quotes off",
    ),
    (rate("fast"), "7 scenarios.full.0.train.all: 'fast' is not a number"),
    (rate("-1e-4"), f"7 scenarios.full.0.train.all: {RATE.format('-0.0001')}"),
    (rate("0"), f"7 scenarios.full.0.train.all: {RATE.format('0')}"),
    (rate("0.0"), f"7 scenarios.full.0.train.all: {RATE.format('0')}"),
    (rate(".nan"), "7 scenarios.full.0.train.all: nan is not a finite number"),
    (rate(".inf"), "7 scenarios.full.0.train.all: inf is not a finite number"),
    (rate("true"), "7 scenarios.full.0.train.all: true is not a number"),
    (rate("null"), f"7 scenarios.full.0.train.all: {NO_VALUE}"),
    (rate("[1]"), "7 scenarios.full.0.train.all: [1] is not a number"),
    # seeds
    (seeds("[]"), "2 seeds: there is no seed; give at least one, as in `[0]`"),
    (seeds("[1, 0, 1]"), "2 seeds.2: seed 1 stands twice; keep one of them"),
    (seeds("[0, -1]"), "2 seeds.1: -1 is not 0 or more"),
    (seeds("[true]"), "2 seeds.0: true is not a number"),
    (seeds("[1.5]"), "2 seeds.0: 1.5 is not a whole number"),
    (seeds('["0"]'), "2 seeds.0: '0' is text, not a number; take the quotes off"),
    (seeds("\n  - 0\n  - x"), "4 seeds.1: 'x' is not a number"),
    (seeds("3"), "2 seeds: 3 is not a list (`[...]`)"),
    (seeds(""), f"2 seeds: {NO_VALUE}"),
    (seeds("[.nan]"), "2 seeds.0: nan is not a finite number"),
    (seeds("[99999999999999999999]"), "2 seeds.0: 99999999999999999999 is not below 9.22337e+18"),
    # stages
    (stage("{epochs: -1}"), "7 scenarios.full.0.epochs: -1 is not 0 or more"),
    (stage("{epochs: 1.5}"), "7 scenarios.full.0.epochs: 1.5 is not a whole number"),
    (stage("{epochs: true}"), "7 scenarios.full.0.epochs: true is not a number"),
    (stage("{train: {all: 1}}"), "7 scenarios.full.0.epochs: missing; add it"),
    (
        stage("{epochs: 1}"),
        "7 scenarios.full.0: there are epochs but nothing to train; add `train`, or write `epochs: 0`",
    ),
    (
        stage("{epochs: 1, train: {}}"),
        "7 scenarios.full.0: there are epochs but nothing to train; add `train`, or write `epochs: 0`",
    ),
    (stage("{epochs: 1, train: all}"), f"7 scenarios.full.0.train: 'all' {NOT_A_MAPPING}"),
    (stage("{epochs: 0, train: }"), f"7 scenarios.full.0.train: {NO_VALUE}"),
    (
        stage("{epochs: 0, losses: []}"),
        "7 scenarios.full.0.losses: losses name each task at most once, and at least one task",
    ),
    (
        stage("{epochs: 0, losses: [ner, ner]}"),
        "7 scenarios.full.0.losses: losses name each task at most once, and at least one task",
    ),
    (
        stage("{epochs: 0, losses: [nre]}"),
        "7 scenarios.full.0.losses.0: 'nre' is not known; did you mean 'ner'?",
    ),
    (stage("{epochs: 0, losses: ner}"), "7 scenarios.full.0.losses: 'ner' is not a list (`[...]`)"),
    (
        stage("{epochs: 0, schedule: linaer}"),
        "7 scenarios.full.0.schedule: 'linaer' is not known; did you mean 'linear'?",
    ),
    (stage("{epochs: 0, warmup: 1}"), "7 scenarios.full.0.warmup: 1 is not below 1"),
    (stage("{epochs: 0, name: 5}"), "7 scenarios.full.0.name: 5 is not text; put it in quotes"),
    (stage("full"), f"7 scenarios.full.0: 'full' {NOT_A_MAPPING}"),
    (stage(""), f"7 scenarios.full.0: {NO_VALUE}"),
    (
        stage("{epochs: two, warmup: -1}"),
        "7 scenarios.full.0.epochs: 'two' is not a number (and 1 more)",
    ),
    # scenarios
    (("heads: [{", "../x: [{"), f"5 scenarios.../x: '../x' {NAME}"),
    (("heads: [{", "'a b': [{"), f"5 scenarios.a b: 'a b' {NAME}"),
    (("heads: [{", '"a\\0b": [{'), f"5 scenarios.a\\x00b: 'a\\x00b' {NAME}"),
    (("heads: [{", f"{'a' * 65}: [{{"), f"5 scenarios.{'a' * 65}: '{'a' * 55} ... {NAME}"),
    (
        ("heads: [{", "emp: []\n  heads: [{"),
        "5 scenarios.emp: the scenario has no stage; one that trains nothing is `[{epochs: 0}]`",
    ),
    (("heads: [{", "emp:\n  heads: [{"), f"5 scenarios.emp: {NO_VALUE}"),
    (
        ("heads: [{", "map: {epochs: 0}\n  heads: [{"),
        "5 scenarios.map: {'epochs': 0} is not a list; a scenario is a list of stages, as in `[{epochs: 0}]`",
    ),
    # names, paths, choices, numbers
    (added("name: ../x"), f"1 name: '../x' {NAME}"),
    (added("name: /etc/x"), f"1 name: '/etc/x' {NAME}"),
    (added("name: ''"), f"1 name: '' {NAME}"),
    (added('name: "\\e[31mred"'), f"1 name: '\\x1b[31mred' {NAME}"),
    (added("name: 5"), "1 name: 5 is not text; put it in quotes"),
    (added("name:"), f"1 name: {NO_VALUE}"),
    (
        added('"\\e[31mx\\u202e": 1'),
        "1 \\x1b[31mx\\u202e: unknown key; known: name, question, encoder, start",
    ),
    (added("output: 5"), "1 output: 5 is not a path"),
    (added('output: "a\\0b"'), "1 output: 'a\\x00b' holds a control character; take it out"),
    (
        added('encoder: "\\e[2J"'),
        "1 encoder.name: '\\x1b[2J' holds a control character; take it out",
    ),
    (
        added("encoder: https://user:S3CRET@host/x"),
        "1 encoder.name: an encoder is not a URL; download it and pass its directory, or pass a hub id such as owner/name",
    ),
    (
        stage('{epochs: 0, name: "\\u202eon"}'),
        "7 scenarios.full.0.name: '\\u202eon' holds a control character; take it out",
    ),
    (added("question: [a]"), "1 question: ['a'] is not text"),
    (
        added("device: gpu"),
        "1 device: 'gpu' is not known; write auto, cpu, cuda, or cuda:0 for one of several",
    ),
    (
        added("device: cuda:x"),
        "1 device: 'cuda:x' is not known; write auto, cpu, cuda, or cuda:0 for one of several",
    ),
    (added("precision: fp16"), "1 precision: 'fp16' is not known; did you mean 'bf16'?"),
    (added("select: first"), "1 select: 'first' is not known; known: best, last, each"),
    (added("batch_size: 0"), "1 batch_size: 0 is not 1 or more"),
    (added("batch_size: [8]"), "1 batch_size: [8] is not a whole number"),
    (added("max_length: 4"), "1 max_length: 4 is not 8 or more"),
    (added("head: {dropout: 1}"), "1 head.dropout: 1 is not below 1"),
    (added("head: {pooling: max}"), "1 head.pooling: 'max' is not known; known: mean, cls"),
    (added("optimizer: {clip_norm: 0}"), "1 optimizer.clip_norm: 0 is not above 0"),
    (added("optimizer: 3"), f"1 optimizer: 3 {NOT_A_MAPPING}"),
    (added("optimizer:"), f"1 optimizer: {NO_VALUE}"),
    # data
    (
        ("data: {source: here}", "data: here"),
        f"1 data: 'here' {NOT_A_MAPPING}; write `{{source: here}}`",
    ),
    (("data: {source: here}", "data:"), f"1 data: {NO_DATA}"),
    (("data: {source: here}\n", ""), f" data: {NO_DATA}"),
    (("source: here", "classifier: {source: a}"), f"1 data: {NO_DATA}"),
    (
        ("source: here", "classifier: {source: a}, ner: {}"),
        "1 data.ner: no source; add `source: PATH`",
    ),
    (
        data("ner: {source: b}"),
        "1 data: two ways at once; give `source`, or `classifier` and `ner`",
    ),
    (data("train_size: 0"), f"1 data.train_size: 0 {SIZE}"),
    (data("train_size: true"), f"1 data.train_size: true {SIZE}"),
    (data("train_size: all"), f"1 data.train_size: 'all' {SIZE}"),
    (data("max_duplicates: 2"), "1 data.max_duplicates: 2 is not 1 or less"),
    (data("validation_fraction: 0"), "1 data.validation_fraction: 0 is not above 0"),
    (
        data("unseen_labels: drop"),
        "1 data.unseen_labels: 'drop' is not known; known: error, count_as_error",
    ),
    (data("revision: 12"), "1 data.revision: 12 is not text; put it in quotes"),
    (
        ("source: here", "source: https://user:S3CRET@host/x"),
        "1 data.source: a source is not a URL; download the data and pass its path, or pass a hub id such as owner/name",
    ),
    (
        ("data: {source: here}", "data: https://user:S3CRET@host/x?token=S3CRET"),
        f"1 data: 'https://host/x' {NOT_A_MAPPING}; write `{{source: https://host/x}}`",
    ),
    # sweeps
    (
        added("sweep: {batch_sise: [1]}"),
        "1 sweep.batch_sise.0: unknown key; did you mean 'batch_size'?",
    ),
    (
        added("sweep: {data.train_sise: [1]}"),
        "1 sweep.data.train_sise.0: unknown key; did you mean 'train_size'?",
    ),
    (
        added("sweep:\n  data.train_size:\n    - 100\n    - 0"),
        f"4 sweep.data.train_size.1: 0 {SIZE}",
    ),
    (
        added("sweep: {batch_size: []}"),
        "1 sweep.batch_size: there is no value to sweep over; give at least one",
    ),
    (added("sweep: {batch_size: 8}"), "1 sweep.batch_size: 8 is not a list (`[...]`)"),
    (
        added("sweep: {batch_size: [8, 8]}"),
        "1 sweep.batch_size.1: 8 stands twice; keep one of them",
    ),
    (
        added("sweep: {seeds: [1]}"),
        "1 sweep.seeds: seeds cannot be swept; it is the same for the whole experiment",
    ),
    (
        added("sweep: {scenarios.full.0.train.all: [1, -1]}"),
        f"1 sweep.scenarios.full.0.train.all.1: {RATE.format('-1')}",
    ),
    (
        added("settings: {seeds: [1]}"),
        "1 settings.seeds: seeds cannot be swept; it is the same for the whole experiment",
    ),
    (
        added("settings: {batch_size: [8, 16], max_length: [8]}"),
        "1 settings.max_length: 1 values where batch_size has 2; a setting has one of each key",
    ),
    (added("settings: {batch_size: [8, x]}"), "1 settings.batch_size.1: 'x' is not a number"),
    (
        added("sweep: {batch_size: [8]}\nsettings: {batch_size: [8]}"),
        "2 settings.batch_size: the key is swept already; keep one of the two",
    ),
    (
        added("settings: {scenarios.full.0.train.all: [1, -1]}"),
        f"1 settings.scenarios.full.0.train.all.1: {RATE.format('-1')}",
    ),
    (
        added("sweep: {scenarios.ful.0.epochs: [1]}"),
        "1 sweep.scenarios.ful.0.epochs.0: there is no 'ful' to set; did you mean 'full'?",
    ),
    (
        added("sweep: {data.source: [x], data.ner.source: [a]}"),
        "1 sweep.data.source.0: two ways at once; give `source`, or `classifier` and `ner`",
    ),
    # what is no plain value
    (
        added("question: !!python/object/apply:os.system [x]"),
        f"1: the tag !!python/object/apply:os.system {TAG}",
    ),
    (added("question: !!python/object:os.x {a: 1}"), f"1: the tag !!python/object:os.x {TAG}"),
    (added("question: !foo x"), f"1: the tag !foo {TAG}"),
    (
        added("question: 2024-01-01"),
        "1: the value is a date, which has no place in an experiment file; text goes in quotes",
    ),
    # extends
    (
        added("extends: none.yaml"),
        "1 extends: there is no file none.yaml; `extends` is relative to this file",
    ),
    (added("extends: exp.yaml"), "1 extends: leads back to a file that extends this one"),
    (
        added("extends: https://user:S3CRET@host/x"),
        "1 extends: 'https://host/x' is not the name of a file; `extends` names one, relative to this file",
    ),
    (added('extends: "a\\0b"'), "1 extends: a\\x00b is not the name of a file"),
    (
        added("extends: [a]"),
        "1 extends: ['a'] is not the name of a file; `extends` names one, relative to this file",
    ),
]


@pytest.mark.parametrize(
    ("change", "expected"),
    CHANGES,
    ids=lambda item: item[1].strip()[:40] if isinstance(item, tuple) else "",
)
def test_a_mistake_is_told_with_line_field_and_remedy(
    tmp_path: Path, change: Change, expected: str
) -> None:
    text = GOOD.replace(*change)
    assert text != GOOD
    line = complaint(written(tmp_path, text))
    place = "exp.yaml" if expected.startswith(" ") else "exp.yaml:"
    if "known: name," in expected:  # the rest lists every key
        line = line[: len(place + expected)]
    assert line == place + expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", AN_EXPERIMENT),
        ("# only a comment\n", AN_EXPERIMENT),
        ("- a\n", AN_EXPERIMENT),
        ("!!python/object/apply:os.system [x]", AN_EXPERIMENT),
        ("data: {source: x}", "scenarios: missing; add it"),
        ("data: {source: x}\nscenarios: {}", "scenarios: there is no scenario; add one"),
        ("data: {source: x}\nscenarios:", f"scenarios: {NO_VALUE}"),
        ("data: {source: x}\nscenarios: [full]", f"scenarios: ['full'] {NOT_A_MAPPING}"),
        ("a: [1\nb: 2", "not YAML: expected ',' or ']', but got ':'"),
        ("a:\n\tb: 2", "not YAML: a tab; indent with spaces"),
        ("a: b: c", "not YAML: a second `: ` on the line; put the value in quotes"),
        (
            "a: *z",
            "not YAML: an alias (`*name`) without its anchor (`&name`); text that begins with `*` goes in quotes",
        ),
        ("a: 1\n---\na: 2", "not YAML: a second document; keep one"),
        ("a: 'x", "not YAML: found unexpected end of stream"),
        ("a\0b: 1", "not YAML: unacceptable character #x0000: special characters are not allowed"),
        ("[" * 1000, "nested too deeply"),
    ],
)
def test_a_file_that_is_no_experiment(tmp_path: Path, text: str, expected: str) -> None:
    line = complaint(written(tmp_path, text))
    assert line.startswith("exp.yaml")
    assert line.endswith(f" {expected}")


def test_a_file_whose_name_is_no_name_asks_for_one(tmp_path: Path) -> None:
    assert complaint(written(tmp_path, GOOD, "my exp.yaml")) == f"my exp.yaml name: 'my exp' {NAME}"
    assert load(written(tmp_path, GOOD + "name: mine\n", "my exp.yaml")).name == "mine"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert (
        complaint(tmp_path / "none.yaml")
        == "there is no file none.yaml; experiments/ holds those that ship"
    )
    (tmp_path / "folder.yaml").mkdir()
    assert complaint(tmp_path / "folder.yaml") == "folder.yaml cannot be read (Is a directory)"
    (tmp_path / "latin.yaml").write_bytes("question: café".encode("latin-1"))
    assert (
        complaint(tmp_path / "latin.yaml")
        == "latin.yaml: not UTF-8 at byte 13; save the file as UTF-8"
    )


def test_a_mistake_in_an_extended_file_is_told_at_that_file(tmp_path: Path) -> None:
    written(tmp_path, GOOD.replace("[0, 1]", "[x]"), "base.yaml")
    assert (
        complaint(written(tmp_path, "extends: base.yaml\n"))
        == "base.yaml:2 seeds.0: 'x' is not a number"
    )


def test_what_a_file_replaces_is_told_at_the_replacement(tmp_path: Path) -> None:
    written(tmp_path, GOOD, "base.yaml")
    line = complaint(
        written(tmp_path, "extends: base.yaml\nscenarios:\n  full:\n    - {train: {all: 1}}\n")
    )
    assert line == "exp.yaml:4 scenarios.full.0.epochs: missing; add it"


def test_a_circle_of_extends_is_told_where_it_closes(tmp_path: Path) -> None:
    written(tmp_path, "extends: exp.yaml\n", "other.yaml")
    assert (
        complaint(written(tmp_path, "\nextends: other.yaml\n"))
        == "other.yaml:1 extends: leads back to a file that extends this one"
    )


def test_an_alias_bomb_is_refused_at_once(tmp_path: Path) -> None:
    lines = [
        "a0: &a0 [x]",
        *(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 12)),
    ]
    expected = "exp.yaml: more than 10,000 values, aliases written out, or nested too deeply"
    assert complaint(written(tmp_path, "\n".join(lines))) == expected


def test_tags_run_no_code(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    complaint(written(tmp_path, GOOD + f"question: !!python/object/apply:os.mkdir ['{marker}']\n"))
    assert not marker.exists()


@pytest.mark.parametrize(
    ("key", "values", "expected"),
    [
        ("seed", ["1"], "--seed: unknown key; did you mean 'seeds'?"),
        ("encoder.revison", ["a"], "--encoder.revison: unknown key; did you mean 'revision'?"),
        ("seeds", ["0", "x"], "--seeds.1: 'x' is not a number"),
        ("seeds", ["1", "1"], "--seeds.1: seed 1 stands twice; keep one of them"),
        ("seeds.2", ["5"], "--seeds.2: there is no item '2'; the list has 2, counted from 0"),
        ("seeds.²", ["5"], "--seeds.²: there is no item '²'; the list has 2, counted from 0"),
        ("batch_size", ["8", "9"], "--batch_size: [8, 9] is not a whole number"),
        (
            "optimizer.weight_decay",
            [".nan"],
            "--optimizer.weight_decay: nan is not a finite number",
        ),
        (
            "device",
            ["tpu"],
            "--device: 'tpu' is not known; write auto, cpu, cuda, or cuda:0 for one of several",
        ),
        ("scenarios", ["ful"], "--scenarios: no scenario is called 'ful'; did you mean 'full'?"),
        (
            "scenarios.ful.0.epochs",
            ["1"],
            "--scenarios.ful.0.epochs: there is no 'ful' to set; did you mean 'full'?",
        ),
        (
            "scenarios.full.9.epochs",
            ["1"],
            "--scenarios.full.9.epochs: there is no item '9'; the list has 1, counted from 0",
        ),
        (
            "scenarios.full.epochs",
            ["1"],
            "--scenarios.full.epochs: there is no item 'epochs'; the list has 1, counted from 0",
        ),
        (
            "scenarios.full.0.epoch",
            ["1"],
            "--scenarios.full.0.epoch: unknown key; did you mean 'epochs'?",
        ),
        (
            "scenarios.full.0.train.all",
            ["-1"],
            f"--scenarios.full.0.train.all: {RATE.format('-1')}",
        ),
        (
            "scenarios.full.0.train.encodr",
            ["1"],
            "--scenarios.full.0.train.encodr: unknown selector 'encodr'; did you mean 'encoder'?",
        ),
        ("scenarios.full", ["[{train: {all: 1}}]"], "--scenarios.full.0.epochs: missing; add it"),
        ("sweep.data.train_size", ["5", "0"], f"--sweep.data.train_size.1: 0 {SIZE}"),
        ("name", ["../x"], f"--name: '../x' {NAME}"),
    ],
)
def test_a_mistake_on_the_command_line_is_told_as_it_was_written(
    tmp_path: Path, key: str, values: list[str], expected: str
) -> None:
    assert complaint(written(tmp_path, GOOD), {key: values}) == expected


@pytest.mark.parametrize("scenarios", ["", "[a]", "a", "5"])
def test_scenarios_can_only_be_chosen_where_there_are_some(tmp_path: Path, scenarios: str) -> None:
    line = complaint(written(tmp_path, f"scenarios: {scenarios}\n"), {"scenarios": ["full"]})
    assert line == "--scenarios: no scenario is called 'full'; known: none"


def test_the_line_is_one_line_and_printable() -> None:
    error = UserError("two\nlines\x1b[2J and \u202eturned", "look\tagain", where="file:1  field")
    assert str(error) == "file:1 field: two lines\\x1b[2J and \\u202eturned; look again"
    assert str(UserError("bare")) == "bare"


def test_did_you_mean_offers_the_nearest_or_everything() -> None:
    assert did_you_mean("haeds", ["heads", "full"]) == "did you mean 'heads'?"
    assert did_you_mean("q", ["heads", "full"]) == "known: heads, full"
    assert did_you_mean("q", []) == "known: none"


def test_values_are_shown_as_yaml_spells_them_and_cut() -> None:
    assert [shown(value) for value in (None, True, "a", 1.5)] == ["null", "true", "'a'", "1.5"]
    assert len(shown("x" * 1000)) == 60


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("batchsize: 3", "unknown-key"),
        ("seeds: [1, 1]", "twice"),
        ("device: tpu", "unknown-value"),
        ("batch_size: many", "wrong-type"),
        ("batch_size: 0", "out-of-range"),
        ("cache: {mode: on}", "unknown-value"),
        ("control: other", "unknown-scenario"),
        ("sweep: {device: [cpu]}", "not-sweepable"),
    ],
)
def test_a_mistake_has_a_code_that_its_words_do_not_change(
    tmp_path: Path, line: str, code: str
) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text(f"data: {{source: builtin}}\nscenarios: {{none: [{{epochs: 0}}]}}\n{line}\n")
    with pytest.raises(UserError) as raised:
        load(file)
    assert raised.value.code == code
