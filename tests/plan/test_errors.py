"""What is wrong with an experiment is told in one line: file, line, field, problem, remedy."""

import pickle
import tempfile
from pathlib import Path

import pytest

from mtlab.plan.errors import Busy, UserError, did_you_mean, shown
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
SENTENCES = Path(__file__).with_name("sentences.txt")
"""What a user reads of each mistake below, a line each; ``python -m tests.plan.test_errors`` writes
it anew."""

Change = tuple[str, str]


def mistake(file: Path, overrides: dict[str, list[str]] | None = None) -> UserError:
    """The error that loading ``file`` ends with."""
    with pytest.raises(UserError) as error:
        load(file, overrides)
    return error.value


def complaint(file: Path, overrides: dict[str, list[str]] | None = None) -> str:
    """The line of that error, without the folder that ``file`` lies in."""
    line = str(mistake(file, overrides))
    assert "\n" not in line
    return line.replace(f"{file.parent}/", "")


def written(directory: Path, text: str, name: str = "exp.yaml") -> Path:
    (directory / name).write_text(text, encoding="utf-8")
    return directory / name


def test_the_file_that_the_mistakes_are_made_in_is_good(tmp_path: Path) -> None:
    assert load(written(tmp_path, GOOD)).seeds == (0, 1)


def stage(written_as: str) -> Change:
    return "{epochs: 1, train: {all: 1.0e-4}}", written_as


def lasting(keys: str) -> Change:
    return stage(f"{{epochs: 6, train: {{all: 1.0e-4}}, {keys}}}")


def rate(written_as: str) -> Change:
    return "1.0e-4", written_as


def falling(written_as: str) -> Change:
    return "all: 1.0e-4", f"encoder: {written_as}"


def seeds(written_as: str) -> Change:
    return "[0, 1]", written_as


def data(more: str) -> Change:
    return "source: here", f"source: here, {more}"


def also(written_as: str, name: str = "x") -> Change:
    return added(f"also_test: {{{name}: {written_as}}}")


def added(line: str) -> Change:
    return "data: {", f"{line}\ndata: {{"


CHANGES: list[tuple[Change, str, str]] = [
    # misspelt keys, at every level
    (added("seed: 1"), ":1 seed", "unknown-key"),
    (added("optimiser: {}"), ":1 optimiser", "unknown-key"),
    (added("optimizer: {weight_decai: 1}"), ":1 optimizer.weight_decai", "unknown-key"),
    (added("head: {drop: 1}"), ":1 head.drop", "unknown-key"),
    (added("head: {zzz: 1}"), ":1 head.zzz", "unknown-key"),
    (added("encoder: {nam: x}"), ":1 encoder.nam", "unknown-key"),
    (added("task_weights: {classifer: 1}"), ":1 task_weights.classifer", "unknown-key"),
    (added("margins: {classifer: 0.02}"), ":1 margins.classifer", "unknown-key"),
    (("source: here", "sourc: here"), ":1 data.sourc", "unknown-key"),
    (
        ("source: here", "classifier: {source: a}, ner: {sorce: b}"),
        ":1 data.ner.sorce",
        "unknown-key",
    ),
    (data("columns: {tokns: words}"), ":1 data.columns.tokns", "unknown-value"),
    (data("splits: {valid: dev}"), ":1 data.splits.valid", "unknown-value"),
    (stage("{epoch: 1}"), ":7 scenarios.full.0.epoch", "unknown-key"),
    (stage("{epochs: 1, trian: {all: 1}}"), ":7 scenarios.full.0.trian", "unknown-key"),
    # names that refer to nothing
    (("control: full", "control: ful"), ":3 control", "unknown-scenario"),
    (("control: full", "control: zzz"), ":3 control", "unknown-scenario"),
    (("all: 1.0e-4", "encodr: 1"), ":7 scenarios.full.0.train.encodr", "bad-selector"),
    (("all: 1.0e-4", "head.nre: 1"), ":7 scenarios.full.0.train.head.nre", "bad-selector"),
    (
        ("all: 1.0e-4", '"layers[-1/3:x]": 1'),
        ":7 scenarios.full.0.train.layers[-1/3:x]",
        "bad-selector",
    ),
    # keys that stand twice
    (added("seeds: [2]"), ":3", "twice"),
    (stage("{epochs: 1, epochs: 2}"), ":7", "twice"),
    # rates
    (
        ("all: 1.0e-4", '"layers[-1].norm": 1'),
        ":7 scenarios.full.0.train.layers[-1].norm",
        "bad-selector",
    ),
    (falling("{rate: 1, decay: 0}"), ":7 scenarios.full.0.train.encoder.decay", "out-of-range"),
    (falling("{rate: 1, decay: 1.5}"), ":7 scenarios.full.0.train.encoder.decay", "out-of-range"),
    (falling('{rate: 1, decay: "0.9"}'), ":7 scenarios.full.0.train.encoder.decay", "out-of-range"),
    (falling("{rate: 1, decai: 0.9}"), ":7 scenarios.full.0.train.encoder.decai", "unknown-key"),
    (falling("{decay: 0.9}"), ":7 scenarios.full.0.train.encoder.rate", "missing"),
    (falling("{rate: fast}"), ":7 scenarios.full.0.train.encoder", "wrong-type"),
    (falling("{rate: -1, decay: 0.9}"), ":7 scenarios.full.0.train.encoder", "out-of-range"),
    (rate("{rate: 1, decay: 0.9}"), ":7 scenarios.full.0.train.all.decay", "conflict"),
    (
        ("heads: 1.0e-3", "heads: {rate: 1, decay: 0.9}"),
        ":5 scenarios.heads.0.train.heads.decay",
        "conflict",
    ),
    (lasting("decay: 0.9"), ":7 scenarios.full.0.decay", "unknown-key"),
    (lasting("reinit: heads"), ":7 scenarios.full.0.reinit.0", "bad-selector"),
    (lasting('reinit: ["layers[-1:]", head.ner]'), ":7 scenarios.full.0.reinit.1", "bad-selector"),
    (lasting("reinit: embeddings"), ":7 scenarios.full.0.reinit.0", "bad-selector"),
    (lasting("reinit: [top]"), ":7 scenarios.full.0.reinit.0", "bad-selector"),
    (lasting("reinit: 1"), ":7 scenarios.full.0.reinit", "wrong-type"),
    (lasting('reinit: "layers[-1:]", guidance: {}'), ":7 scenarios.full.0.reinit", "conflict"),
    (
        stage('{epochs: 0, train: {all: 1.0e-4}, reinit: "layers[-1:]"}'),
        ":7 scenarios.full.0.reinit",
        "conflict",
    ),
    (rate('"1e-5"'), ":7 scenarios.full.0.train.all", "wrong-type"),
    (rate("fast"), ":7 scenarios.full.0.train.all", "wrong-type"),
    (rate("-1e-4"), ":7 scenarios.full.0.train.all", "out-of-range"),
    (rate("0"), ":7 scenarios.full.0.train.all", "out-of-range"),
    (rate("0.0"), ":7 scenarios.full.0.train.all", "out-of-range"),
    (rate(".nan"), ":7 scenarios.full.0.train.all", "wrong-type"),
    (rate(".inf"), ":7 scenarios.full.0.train.all", "wrong-type"),
    (rate("true"), ":7 scenarios.full.0.train.all", "wrong-type"),
    (rate("null"), ":7 scenarios.full.0.train.all", "wrong-type"),
    (rate("[1]"), ":7 scenarios.full.0.train.all", "wrong-type"),
    # seeds
    (seeds("[]"), ":2 seeds", "empty"),
    (seeds("[1, 0, 1]"), ":2 seeds.2", "twice"),
    (seeds("[0, -1]"), ":2 seeds.1", "out-of-range"),
    (seeds("[true]"), ":2 seeds.0", "wrong-type"),
    (seeds("[1.5]"), ":2 seeds.0", "wrong-type"),
    (seeds('["0"]'), ":2 seeds.0", "wrong-type"),
    (seeds("\n  - 0\n  - x"), ":4 seeds.1", "wrong-type"),
    (seeds("3"), ":2 seeds", "wrong-type"),
    (seeds(""), ":2 seeds", "wrong-type"),
    (seeds("[.nan]"), ":2 seeds.0", "wrong-type"),
    (seeds("[99999999999999999999]"), ":2 seeds.0", "out-of-range"),
    # looks
    (seeds("{looks: []}"), ":2 seeds.looks", "empty"),
    (seeds("{looks: 3}"), ":2 seeds.looks", "wrong-type"),
    (seeds("{looks: [1, 2]}"), ":2 seeds.looks.0", "out-of-range"),
    (seeds("{looks: [2, 20000]}"), ":2 seeds.looks.1", "out-of-range"),
    (seeds("{looks: [2, 3, 3]}"), ":2 seeds.looks.2", "out-of-range"),
    (seeds("\n  looks:\n    - 2\n    - x"), ":5 seeds.looks.1", "wrong-type"),
    (seeds("{looks: [2, 2.5]}"), ":2 seeds.looks.1", "wrong-type"),
    (seeds("{stop: never}"), ":2 seeds.looks", "missing"),
    (seeds("{looks: [2, 3], stop: soon}"), ":2 seeds.stop", "unknown-value"),
    (seeds("{look: [2, 3]}"), ":2 seeds.look", "unknown-key"),
    (("seeds: [0, 1]\ncontrol: full", "seeds: {looks: [2, 3]}"), ":2 seeds", "conflict"),
    (
        ("seeds: [0, 1]\ncontrol: full", "seeds: {looks: [2, 3]}\ncontrol: ful"),
        ":3 control",
        "unknown-scenario",
    ),
    (added("looks: [2, 3]"), ":1 looks", "unknown-key"),
    # stages
    (stage("{epochs: -1}"), ":7 scenarios.full.0.epochs", "out-of-range"),
    (stage("{epochs: 1.5}"), ":7 scenarios.full.0.epochs", "wrong-type"),
    (stage("{epochs: true}"), ":7 scenarios.full.0.epochs", "wrong-type"),
    (stage("{train: {all: 1}}"), ":7 scenarios.full.0.epochs", "missing"),
    (stage("{epochs: 1}"), ":7 scenarios.full.0", "empty"),
    (stage("{epochs: 1, train: {}}"), ":7 scenarios.full.0", "empty"),
    (stage("{epochs: 1, train: all}"), ":7 scenarios.full.0.train", "wrong-type"),
    (stage("{epochs: 0, train: }"), ":7 scenarios.full.0.train", "wrong-type"),
    (stage("{epochs: 0, losses: []}"), ":7 scenarios.full.0.losses", "twice"),
    (stage("{epochs: 0, losses: [ner, ner]}"), ":7 scenarios.full.0.losses", "twice"),
    (stage("{epochs: 0, losses: [nre]}"), ":7 scenarios.full.0.losses.0", "unknown-value"),
    (stage("{epochs: 0, losses: ner}"), ":7 scenarios.full.0.losses", "wrong-type"),
    (stage("{epochs: 0, schedule: linaer}"), ":7 scenarios.full.0.schedule", "unknown-value"),
    (stage("{epochs: 0, warmup: 1}"), ":7 scenarios.full.0.warmup", "out-of-range"),
    (stage("{epochs: 0, name: 5}"), ":7 scenarios.full.0.name", "wrong-type"),
    # how long a stage lasts
    (lasting("patience: 0"), ":7 scenarios.full.0.patience", "out-of-range"),
    (lasting("patience: 2.5"), ":7 scenarios.full.0.patience", "wrong-type"),
    (lasting("patience: 2, cooldown: -1"), ":7 scenarios.full.0.cooldown", "out-of-range"),
    (lasting("patience: 2, cooldown: 6"), ":7 scenarios.full.0.cooldown", "out-of-range"),
    (lasting("cooldown: 1"), ":7 scenarios.full.0.cooldown", "conflict"),
    (lasting("patience: 2, guidance: {}"), ":7 scenarios.full.0.patience", "conflict"),
    (lasting("patience: 2, schedule: cosine"), ":7 scenarios.full.0.patience", "conflict"),
    (lasting("patience: 2, warmup: 0.1"), ":7 scenarios.full.0.warmup", "conflict"),
    (lasting("warmup: 0.1, warmup_steps: 9"), ":7 scenarios.full.0.warmup_steps", "conflict"),
    (lasting("warmup_steps: -1"), ":7 scenarios.full.0.warmup_steps", "out-of-range"),
    (added("optimizer: {warmup: 0.1, warmup_steps: 9}"), ":1 optimizer.warmup_steps", "conflict"),
    (stage("full"), ":7 scenarios.full.0", "wrong-type"),
    (stage(""), ":7 scenarios.full.0", "wrong-type"),
    (stage("{epochs: two, warmup: -1}"), ":7 scenarios.full.0.epochs", "wrong-type"),
    # scenarios
    (("heads: [{", "../x: [{"), ":5 scenarios.../x", "bad-name"),
    (("heads: [{", "'a b': [{"), ":5 scenarios.a b", "bad-name"),
    (("heads: [{", '"a\\0b": [{'), ":5 scenarios.a\x00b", "bad-name"),
    (
        ("heads: [{", f"{'a' * 65}: [{{"),
        ":5 scenarios.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "bad-name",
    ),
    (("heads: [{", "emp: []\n  heads: [{"), ":5 scenarios.emp", "empty"),
    (("heads: [{", "emp:\n  heads: [{"), ":5 scenarios.emp", "wrong-type"),
    (("heads: [{", "map: {epochs: 0}\n  heads: [{"), ":5 scenarios.map", "wrong-type"),
    # names, paths, choices, numbers
    (added("name: ../x"), ":1 name", "bad-name"),
    (added("name: /etc/x"), ":1 name", "bad-name"),
    (added("name: ''"), ":1 name", "bad-name"),
    (added('name: "\\e[31mred"'), ":1 name", "bad-name"),
    (added("name: 5"), ":1 name", "wrong-type"),
    (added("name:"), ":1 name", "wrong-type"),
    (added('"\\e[31mx\\u202e": 1'), ":1 \x1b[31mx\u202e", "unknown-key"),
    (added("output: 5"), ":1 output", "wrong-type"),
    (added('output: "a\\0b"'), ":1 output", "control-character"),
    (added('encoder: "\\e[2J"'), ":1 encoder.name", "control-character"),
    (added("encoder: https://user:S3CRET@host/x"), ":1 encoder.name", "is-url"),
    (stage('{epochs: 0, name: "\\u202eon"}'), ":7 scenarios.full.0.name", "control-character"),
    (added("question: [a]"), ":1 question", "wrong-type"),
    (added("device: gpu"), ":1 device", "unknown-value"),
    (added("device: cuda:x"), ":1 device", "unknown-value"),
    (added("precision: fp16"), ":1 precision", "unknown-value"),
    (added("select: first"), ":1 select", "unknown-value"),
    (added("batch_size: 0"), ":1 batch_size", "out-of-range"),
    (added("batch_size: [8]"), ":1 batch_size", "wrong-type"),
    (added("max_length: 4"), ":1 max_length", "out-of-range"),
    (added("head: {dropout: 1}"), ":1 head.dropout", "out-of-range"),
    (added("head: {pooling: max}"), ":1 head.pooling", "unknown-value"),
    (added("optimizer: {clip_norm: 0}"), ":1 optimizer.clip_norm", "out-of-range"),
    (added("margins: {ner: 0}"), ":1 margins.ner", "out-of-range"),
    (added("margins: {classifier: -0.02}"), ":1 margins.classifier", "out-of-range"),
    (added("margins: {classifier: small}"), ":1 margins.classifier", "wrong-type"),
    (added("margins: 0.02"), ":1 margins", "wrong-type"),
    (added("optimizer: 3"), ":1 optimizer", "wrong-type"),
    (added("optimizer:"), ":1 optimizer", "wrong-type"),
    # data
    (("data: {source: here}", "data: here"), ":1 data", "wrong-type"),
    (("data: {source: here}", "data:"), ":1 data", "no-data"),
    (("data: {source: here}\n", ""), " data", "no-data"),
    (("source: here", "classifier: {source: a}"), ":1 data.ner", "no-data"),
    (("source: here", "classifier: {source: a}, ner: {}"), ":1 data.ner", "no-data"),
    (data("ner: {source: b}"), ":1 data", "conflict"),
    (data("train_size: 0"), ":1 data.train_size", "wrong-type"),
    (data("train_size: true"), ":1 data.train_size", "wrong-type"),
    (data("train_size: all"), ":1 data.train_size", "wrong-type"),
    (data("max_duplicates: 2"), ":1 data.max_duplicates", "out-of-range"),
    (data("validation_fraction: 0"), ":1 data.validation_fraction", "out-of-range"),
    (data("unseen_labels: drop"), ":1 data.unseen_labels", "unknown-value"),
    (data("revision: 12"), ":1 data.revision", "wrong-type"),
    (("source: here", "source: https://user:S3CRET@host/x"), ":1 data.source", "is-url"),
    (("source: here", "source: ''"), ":1 data.source", "empty"),
    (
        ("data: {source: here}", "data: https://user:S3CRET@host/x?token=S3CRET"),
        ":1 data",
        "wrong-type",
    ),
    # sweeps
    (added("sweep: {batch_sise: [1]}"), ":1 sweep.batch_sise.0", "unknown-key"),
    (added("sweep: {data.train_sise: [1]}"), ":1 sweep.data.train_sise.0", "unknown-key"),
    (
        added("sweep:\n  data.train_size:\n    - 100\n    - 0"),
        ":4 sweep.data.train_size.1",
        "wrong-type",
    ),
    (added("sweep: {batch_size: []}"), ":1 sweep.batch_size", "empty"),
    (added("sweep: {batch_size: 8}"), ":1 sweep.batch_size", "wrong-type"),
    (added("sweep: {batch_size: [8, 8]}"), ":1 sweep.batch_size.1", "twice"),
    (added("sweep: {seeds: [1]}"), ":1 sweep.seeds", "not-sweepable"),
    (
        added("sweep: {scenarios.full.0.train.all: [1, -1]}"),
        ":1 sweep.scenarios.full.0.train.all.1",
        "out-of-range",
    ),
    (added("settings: {seeds: [1]}"), ":1 settings.seeds", "not-sweepable"),
    (added("sweep: {seeds.looks: [[2, 3]]}"), ":1 sweep.seeds.looks", "not-sweepable"),
    (
        added("settings: {batch_size: [8, 16], max_length: [8]}"),
        ":1 settings.max_length",
        "lengths-differ",
    ),
    (added("settings: {batch_size: [8, x]}"), ":1 settings.batch_size.1", "wrong-type"),
    (
        added("sweep: {batch_size: [8]}\nsettings: {batch_size: [8]}"),
        ":2 settings.batch_size",
        "twice",
    ),
    (
        added("settings: {scenarios.full.0.train.all: [1, -1]}"),
        ":1 settings.scenarios.full.0.train.all.1",
        "out-of-range",
    ),
    (
        added("sweep: {scenarios.ful.0.epochs: [1]}"),
        ":1 sweep.scenarios.ful.0.epochs.0",
        "unknown-key",
    ),
    (
        added("sweep: {data.source: [x], data.ner.source: [a]}"),
        ":1 sweep.data.source.0",
        "conflict",
    ),
    # test sets out of distribution
    (also("builtin"), ":1 also_test.x", "wrong-type"),
    (also("{}"), ":1 also_test.x", "conflict"),
    (also("{source: a, of: test, change: typos}"), ":1 also_test.x", "conflict"),
    (also("{of: train, change: lowercase}"), ":1 also_test.x.of", "unknown-value"),
    (also("{of: test}"), ":1 also_test.x.change", "missing"),
    (also("{of: test, change: typo}"), ":1 also_test.x.change", "unknown-value"),
    (also("{of: test, change: typos}"), ":1 also_test.x.rate", "missing"),
    (also("{of: test, change: typos, rate: 0}"), ":1 also_test.x.rate", "out-of-range"),
    (also("{of: test, change: typos, rate: 1.5}"), ":1 also_test.x.rate", "out-of-range"),
    (also("{of: test, change: shortened}"), ":1 also_test.x.words", "missing"),
    (also("{of: test, change: shortened, words: 0}"), ":1 also_test.x.words", "out-of-range"),
    (also("{of: test, change: lowercase, rate: 0.1}"), ":1 also_test.x.rate", "conflict"),
    (also("{of: test, change: lowercase, rename: {a: b}}"), ":1 also_test.x.rename", "conflict"),
    (also("{source: a, change: lowercase}"), ":1 also_test.x.change", "conflict"),
    (also("{source: a, splits: {train: b}}"), ":1 also_test.x.splits.train", "conflict"),
    (also("{source: a, columns: {lable: b}}"), ":1 also_test.x.columns.lable", "unknown-value"),
    (also("{source: a, tasks: [nre]}"), ":1 also_test.x.tasks.0", "unknown-value"),
    (also("{source: a, unseen_labels: allow}"), ":1 also_test.x.unseen_labels", "unknown-value"),
    (also("{source: a, train_size: 5}"), ":1 also_test.x.train_size", "unknown-key"),
    (also("{sorce: a}"), ":1 also_test.x.sorce", "unknown-key"),
    (also("{source: a}", "test"), ":1 also_test.test", "bad-name"),
    (also("{source: a}", "a.b"), ":1 also_test.a.b", "bad-name"),
    (added("sweep: {also_test.x.rate: [0.1]}"), ":1 sweep.also_test.x.rate", "not-sweepable"),
    # what is no plain value
    (added("question: !!python/object/apply:os.system [x]"), ":1", "wrong-type"),
    (added("question: !!python/object:os.x {a: 1}"), ":1", "wrong-type"),
    (added("question: !foo x"), ":1", "wrong-type"),
    (added("question: 2024-01-01"), ":1", "wrong-type"),
    # expected
    (added("expected: {ful: much}"), ":1 expected.ful", "unknown-scenario"),
    (added("expected: [much]"), ":1 expected", "wrong-type"),
    # extends
    (added("extends: none.yaml"), ":1 extends", "file-missing"),
    (added("extends: exp.yaml"), ":1 extends", "circular"),
    (added("extends: https://user:S3CRET@host/x"), ":1 extends", "bad-name"),
    (added('extends: "a\\0b"'), ":1 extends", "bad-name"),
    (added("extends: [1]"), ":1 extends", "bad-name"),
    (added("extends: []"), ":1 extends", "bad-name"),
    (added("extends: [none.yaml]"), ":1 extends", "file-missing"),
]


@pytest.mark.parametrize(("change", "place", "code"), CHANGES)
def test_a_mistake_in_a_file_has_its_line_field_and_code(
    tmp_path: Path, change: Change, place: str, code: str
) -> None:
    text = GOOD.replace(*change)
    assert text != GOOD
    error = mistake(written(tmp_path, text))
    assert (error.where, error.code) == (f"{tmp_path / 'exp.yaml'}{place}", code)


NO_EXPERIMENTS: list[tuple[str, str, str]] = [
    ("", "", "wrong-type"),
    ("# only a comment\n", "", "wrong-type"),
    ("- a\n", "", "wrong-type"),
    ("!!python/object/apply:os.system [x]", "", "wrong-type"),
    ("data: {source: x}", " scenarios", "missing"),
    ("data: {source: x}\nscenarios: {}", ":2 scenarios", "empty"),
    ("data: {source: x}\nscenarios:", ":2 scenarios", "wrong-type"),
    ("data: {source: x}\nscenarios: [full]", ":2 scenarios", "wrong-type"),
    ("a: [1\nb: 2", ":2", "malformed"),
    ("a:\n\tb: 2", ":2", "malformed"),
    ("a: b: c", ":1", "malformed"),
    ("a: *z", ":1", "malformed"),
    ("a: 1\n---\na: 2", ":2", "malformed"),
    ("a: 'x", ":1", "malformed"),
    ("a\0b: 1", "", "malformed"),
    ("[" * 1000, "", "out-of-range"),
]


@pytest.mark.parametrize(("text", "place", "code"), NO_EXPERIMENTS)
def test_a_file_that_is_no_experiment(tmp_path: Path, text: str, place: str, code: str) -> None:
    error = mistake(written(tmp_path, text))
    assert (error.where, error.code) == (f"{tmp_path / 'exp.yaml'}{place}", code)


def test_a_file_whose_name_is_no_name_asks_for_one(tmp_path: Path) -> None:
    error = mistake(written(tmp_path, GOOD, "my exp.yaml"))
    assert (error.where, error.code) == (f"{tmp_path / 'my exp.yaml'} name", "bad-name")
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


OVERRIDES: list[tuple[str, list[str], str, str]] = [
    ("seed", ["1"], "--seed", "unknown-key"),
    ("encoder.revison", ["a"], "--encoder.revison", "unknown-key"),
    ("seeds", ["0", "x"], "--seeds.1", "wrong-type"),
    ("seeds", ["1", "1"], "--seeds.1", "twice"),
    ("seeds.2", ["5"], "--seeds.2", "unknown-key"),
    ("seeds.looks", ["3", "2"], "--seeds.looks.1", "out-of-range"),
    ("seeds", ["{looks: [3, 2]}"], "--seeds.looks.1", "out-of-range"),
    ("looks", ["2", "3"], "--looks", "unknown-key"),
    ("seeds.²", ["5"], "--seeds.²", "unknown-key"),
    ("batch_size", ["8", "9"], "--batch_size", "wrong-type"),
    ("optimizer.weight_decay", [".nan"], "--optimizer.weight_decay", "wrong-type"),
    ("device", ["tpu"], "--device", "unknown-value"),
    ("scenarios", ["ful"], "--scenarios", "unknown-scenario"),
    ("scenarios.ful.0.epochs", ["1"], "--scenarios.ful.0.epochs", "unknown-key"),
    ("scenarios.full.9.epochs", ["1"], "--scenarios.full.9.epochs", "unknown-key"),
    ("scenarios.full.epochs", ["1"], "--scenarios.full.epochs", "unknown-key"),
    ("scenarios.full.0.epoch", ["1"], "--scenarios.full.0.epoch", "unknown-key"),
    ("scenarios.full.0.train.all", ["-1"], "--scenarios.full.0.train.all", "out-of-range"),
    ("scenarios.full.0.train.encodr", ["1"], "--scenarios.full.0.train.encodr", "bad-selector"),
    ("scenarios.full", ["[{train: {all: 1}}]"], "--scenarios.full.0.epochs", "missing"),
    ("sweep.data.train_size", ["5", "0"], "--sweep.data.train_size.1", "wrong-type"),
    ("name", ["../x"], "--name", "bad-name"),
]


@pytest.mark.parametrize(("key", "values", "place", "code"), OVERRIDES)
def test_a_mistake_on_the_command_line_has_the_place_as_it_was_written(
    tmp_path: Path, key: str, values: list[str], place: str, code: str
) -> None:
    error = mistake(written(tmp_path, GOOD), {key: values})
    assert (error.where, error.code) == (place, code)


def sentences(directory: Path) -> str:
    """What a user reads of every mistake above, a line each."""
    files = [GOOD.replace(*change) for change, _, _ in CHANGES]
    files += [text for text, _, _ in NO_EXPERIMENTS]
    lines = [complaint(written(directory, text)) for text in files]
    good = written(directory, GOOD)
    lines += [complaint(good, {key: values}) for key, values, _, _ in OVERRIDES]
    return "".join(f"{line}\n" for line in lines)


def test_the_sentences_are_those_of_the_snapshot(tmp_path: Path) -> None:
    assert sentences(tmp_path) == SENTENCES.read_text(encoding="utf-8")


@pytest.mark.parametrize("scenarios", ["", "[a]", "a", "5"])
def test_scenarios_can_only_be_chosen_where_there_are_some(tmp_path: Path, scenarios: str) -> None:
    line = complaint(written(tmp_path, f"scenarios: {scenarios}\n"), {"scenarios": ["full"]})
    assert line == "--scenarios: no scenario is called 'full'; known: none"


def test_the_line_is_one_line_and_printable() -> None:
    error = UserError(
        "two\nlines\x1b[2J and \u202eturned", "look\tagain", where="file:1  field", code="any"
    )
    assert str(error) == "file:1 field: two lines\\x1b[2J and \\u202eturned; look again"
    assert str(UserError("bare", code="any")) == "bare"


@pytest.mark.parametrize("kind", [UserError, Busy])
def test_a_mistake_is_whole_after_its_way_to_another_process(kind: type[UserError]) -> None:
    error = kind("a problem", "a remedy", where="file:1 field", code="a-code")
    other = pickle.loads(pickle.dumps(error))
    assert type(other) is kind
    assert (str(other), other.code, other.where) == (str(error), "a-code", "file:1 field")


def test_did_you_mean_offers_the_nearest_or_everything() -> None:
    assert did_you_mean("haeds", ["heads", "full"]) == "did you mean 'heads'?"
    assert did_you_mean("q", ["heads", "full"]) == "known: heads, full"
    assert did_you_mean("q", []) == "known: none"


def test_values_are_shown_as_yaml_spells_them_and_cut() -> None:
    assert [shown(value) for value in (None, True, "a", 1.5)] == ["null", "true", "'a'", "1.5"]
    assert len(shown("x" * 1000)) == 60


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        SENTENCES.write_text(sentences(Path(folder)), encoding="utf-8")
