"""Data that are too large for memory are trained on as those that are not: the same record,
whichever way they lie."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from mtlab.data import disk
from mtlab.plan.experiment import load
from mtlab.plan.scenario import Trial
from mtlab.record.journal import Journal
from mtlab.record.records import TrialRecord
from mtlab.tasks.kind import IGNORE
from mtlab.train.cache.heads import Readings
from mtlab.train.cache.prefix import Prefixes
from mtlab.train.measure.facts import describe_data
from mtlab.train.prepare import Prepared, prepare
from mtlab.train.runtime import resolve
from mtlab.train.trial import run_trials
from mtlab.train.worker import Work, prefixes_for
from tests import reach, tiny
from tests.data.test_stored import as_conll, as_csv, as_jsonl
from tests.train.test_resume import essence

EXPERIMENT = """\
encoder: {encoder}
data: {data}
batch_size: 8
seeds: [0, 1]
precision: fp32
device: cpu
scenarios:
  heads: [{{epochs: 2, train: {{heads: 1.0e-2}}}}]
  full:
    - {{name: heads, epochs: 1, train: {{heads: 1.0e-2}}}}
    - {{name: all, epochs: 1, train: {{encoder: 1.0e-3, heads: 1.0e-2}}}}
"""


GROUPS = ([Trial("heads", 0), Trial("heads", 1)], [Trial("full", 0)])


def run(
    folder: Path,
    encoder: Path,
    data: str,
    output: str,
    groups: Sequence[list[Trial]] = GROUPS,
    **settings: list[str],
) -> tuple[Prepared, list[TrialRecord], Journal]:
    """All trials of the experiment, the seeds of a scenario together where only heads train."""
    file = folder / "reach.yaml"
    file.write_text(EXPERIMENT.format(encoder=encoder, data=data))
    experiment = load(
        file,
        {
            "output": [str(folder / output)],
            **{key.replace("__", "."): values for key, values in settings.items()},
        },
    )
    runtime, journal = resolve(experiment), Journal(experiment.output)
    prepared = prepare(experiment, runtime)
    prefixes = prefixes_for(
        Work(experiment, prepared, runtime, journal, lambda _: None, print, lambda _: None)
    )
    one, records = prepared[()], []
    for group in groups:
        records += [
            made.record
            for made in run_trials(one, group, runtime, journal, prefixes, lambda _: None)
        ]
    return one, records, journal


@pytest.fixture(params=["one source", "two sources"])
def data(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    sizes = {"train": 96, "validation": 24, "test": 24}
    for seed, (split, size) in enumerate(sizes.items()):
        for name, write in (("both", as_jsonl), ("topics", as_csv), ("names", as_conll)):
            (tmp_path / name).mkdir(exist_ok=True)
            write(tmp_path / name / split, tiny.sentences(size, seed))
    if request.param == "one source":
        return f"{{source: {tmp_path / 'both'}, max_duplicates: 1.0}}"
    return f"{{classifier: {{source: {tmp_path / 'topics'}}}, ner: {{source: {tmp_path / 'names'}}}, max_duplicates: 1.0}}"


def test_a_trial_on_disk_leaves_the_same_record(
    tmp_path: Path, encoder: Path, data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, expected, kept = run(tmp_path, encoder, data, "inside")
    assert not (tmp_path / "inside" / "cache").exists()
    for name, limit in {"FILE": 0, "SENTENCES": 5, "NUMBERS": 200, "CHUNK": 7}.items():
        monkeypatch.setattr(disk, name, limit)
    outside, found, journal = run(tmp_path, encoder, data, "outside", cache__memory_limit_mb=["0"])
    assert outside.encoding_digest == inside.encoding_digest
    assert describe_data(outside) == describe_data(inside)
    assert [record.status for record in found] == ["ok"] * 3
    for one, other in zip(expected, found, strict=True):
        assert essence(one) == essence(other)
        assert (
            kept.predictions_path(one).read_bytes() == journal.predictions_path(other).read_bytes()
        )
    left = {path.suffix for path in (tmp_path / "outside" / "cache").iterdir()}
    assert left == {".bin", ".json"}, "the states, which another run may use, and nothing else"


def test_what_heads_read_is_the_same_in_files(tmp_path: Path, encoder: Path, data: str) -> None:
    one, _, journal = run(tmp_path, encoder, data, "inside", groups=[])
    runtime = resolve(one.experiment)
    network, read = one.fresh_network(0, runtime.device), []
    for limit in (10**9, 0):
        states = Prefixes(runtime, limit, journal.directory, print).get(
            one, network, one.pristine_digests, 3, "train"
        )
        read.append(Readings(one, network, states, runtime, tmp_path / "pooled"))
    assert [one.file is not None for one in read] == [False, True]
    assert list((tmp_path / "pooled").iterdir()) == [], "it has no name"
    examples = one.encoded["train"].examples
    for ids in ((0, 5, 3), (95, 95, 1), tuple(range(40))):
        for task in ("classifier", "ner"):
            (inputs, gold), (others, golden) = (readings.of(task, ids) for readings in read)
            assert torch.equal(inputs, others) and torch.equal(gold, golden)
        tags = [
            tag
            for index in ids
            for word, tag in zip(
                examples[index].words, examples[index].of_words["ner"], strict=True
            )
            if word >= 0
        ]
        assert gold[: len(tags)].tolist() == tags and set(gold[len(tags) :].tolist()) <= {IGNORE}


def test_generated_sentences_are_all_different_and_tagged(tmp_path: Path) -> None:
    reach.write(tmp_path / "data", 3000)
    rows = [
        json.loads(line)
        for path in sorted((tmp_path / "data").iterdir())
        for line in path.read_text().splitlines()
    ]
    assert len(rows) == 3000 + 2 * reach.HELD_OUT
    assert len({" ".join(row["tokens"]) for row in rows}) == len(rows)
    assert all(len(row["tokens"]) == len(row["ner_tags"]) for row in rows)
    assert {row["label"] for row in rows} == set(reach.TEMPLATES)
    assert {"B-city", "B-person", "I-person", "B-genre", "B-dish", "O"} <= {
        tag for row in rows for tag in row["ner_tags"]
    }
