"""The cache of frozen prefixes changes what is computed, never what comes out."""

import hashlib
import json
import multiprocessing
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mtlab.data import batches
from mtlab.model import replay
from mtlab.plan.experiment import load
from mtlab.plan.scenario import Trial
from mtlab.record.journal import Journal
from mtlab.record.records import TrialRecord
from mtlab.train.cache import spill
from mtlab.train.cache.heads import Heads
from mtlab.train.cache.prefix import Prefixes, States
from mtlab.train.prepare import Prepared, prepare
from mtlab.train.runtime import Runtime, resolve
from mtlab.train.trial import run_trials
from tests import tiny
from tests.conftest import EXPERIMENT

SCENARIOS = """\
scenarios:
  nothing: [{epochs: 0}]
  heads: [{epochs: 2, train: {heads: 1.0e-2}}]
  one_head: [{epochs: 2, train: {head.ner: 1.0e-2}}]
  gradual:
    - {name: heads, epochs: 1, train: {heads: 1.0e-2}}
    - {name: top, epochs: 2, train: {"layers[-1/3:]": 1.0e-3, heads: 1.0e-2}}
    - {name: all, epochs: 1, train: {all: 1.0e-3}}
  down_again:
    - {name: all, epochs: 1, train: {all: 1.0e-3}}
    - {name: heads, epochs: 2, train: {heads: 1.0e-2}}
  full: [{epochs: 2, train: {encoder: 1.0e-3, heads: 1.0e-2}}]
"""


class Setting:
    """One experiment with one cache."""

    def __init__(self, file: Path, **overrides: list[str]) -> None:
        experiment = load(
            file, {key.replace("__", "."): values for key, values in overrides.items()}
        )
        self.runtime: Runtime = resolve(experiment)
        self.prepared: Prepared = prepare(experiment, self.runtime)[()]
        self.journal = Journal(experiment.output)
        self.said: list[str] = []
        self.prefixes = self.cache()

    def cache(self, limit: int = 10**9) -> Prefixes | None:
        if self.prepared.experiment.cache.mode == "off":
            return None
        prefixes = Prefixes(self.runtime, limit, self.journal.directory / "cache", self.said.append)
        prefixes.expect(self.prepared, self.prepared.pristine_digests)
        return prefixes

    def run(self, scenario: str, *seeds: int) -> list[TrialRecord]:
        trials = [Trial(scenario, seed) for seed in seeds or (0,)]
        runs = run_trials(
            self.prepared, trials, self.runtime, self.journal, self.prefixes, lambda _: None
        )
        records = [run.record for run in runs]
        assert [record.status for record in records] == ["ok"] * len(trials)
        return records

    def predictions(self, record: TrialRecord) -> str:
        return next((self.journal.directory / "predictions").glob(f"{record.label}-*")).read_text()


def write(directory: Path, encoder: Path, data: Path) -> Path:
    path = directory / "tiny.yaml"
    head, _, _ = EXPERIMENT.partition("scenarios:\n")
    path.write_text(
        head.format(encoder=encoder, data=data).replace("control: full", "")
        + SCENARIOS
        + f"output: {directory / 'report'}\n"
    )
    return path


@pytest.fixture
def file(tmp_path: Path, encoder: Path, data: Path) -> Path:
    return write(tmp_path, encoder, data)


def quality(record: TrialRecord) -> dict:
    """Everything that was predicted well or not, without losses."""
    assert record.test is not None
    dumped = record.test.model_dump()["by_task"]
    return {
        task: {name: value for name, value in metrics.items() if name != "loss"}
        for task, metrics in dumped.items()
    }


def same(one: TrialRecord, other: TrialRecord, tolerance: float = 1e-4) -> None:
    assert one.order_digest == other.order_digest
    assert one.selection is not None and other.selection is not None
    assert one.selection.epoch == other.selection.epoch
    assert quality(one) == quality(other)
    for task, losses in one.step_losses.items():
        assert losses == pytest.approx(other.step_losses[task], rel=tolerance)


ALIKE = ("roberta", "electra", "mpnet", "distilbert")
"""Families whose blocks are called as those of BERT are, or nearly so."""


@pytest.mark.parametrize(
    "family",
    [
        pytest.param(family, marks=pytest.mark.nightly if family in ALIKE else ())
        for family in tiny.CONFIGS
    ],
)
def test_cached_equals_plain_for_every_family(tmp_path: Path, data: Path, family: str) -> None:
    """Without dropout a whole trial has the same losses at every step and the same test metrics,
    cached and not."""
    still = dict.fromkeys(
        (
            "hidden_dropout_prob",
            "attention_probs_dropout_prob",
            "dropout",
            "attention_dropout",
            "mlp_dropout",
            "embedding_dropout",
        ),
        0.0,
    )
    encoder = tiny.write_encoder(tmp_path / "encoder", family, **still)
    cached = Setting(write(tmp_path, encoder, data), head__dropout=["0"])
    plain = Setting(
        write(tmp_path, encoder, data),
        head__dropout=["0"],
        cache=["off"],
        output=[str(tmp_path / "plain")],
    )
    for scenario in ("heads", "one_head", "gradual", "down_again"):
        (one,), (other,) = cached.run(scenario), plain.run(scenario)
        same(one, other)
        assert cached.predictions(one) == plain.predictions(other)
        assert one.laps["cache"] > 0 and other.laps["cache"] == 0


@pytest.mark.parametrize("family", tiny.CONFIGS)
def test_states_do_not_depend_on_the_batch_they_were_computed_in(
    tmp_path: Path, data: Path, family: str
) -> None:
    """States of batches sorted by length, against every sentence alone."""
    made = Setting(write(tmp_path, tiny.write_encoder(tmp_path / "encoder", family), data))
    network, digests = (
        made.prepared.fresh_network(0, made.runtime.device).eval(),
        made.prepared.pristine_digests,
    )
    assert made.prefixes is not None
    for depth in (1, len(network.backbone.blocks)):
        states = made.prefixes.get(made.prepared, network, digests, depth, "validation")
        for index, example in enumerate(made.prepared.encoded["validation"].examples[:20]):
            batch = batches.collate([example], [0], made.prepared.pad_id)
            with torch.no_grad(), replay.watch(network.backbone, [depth]) as seen:
                output = network.encoder(
                    input_ids=batch.input_ids, attention_mask=batch.attention_mask
                ).last_hidden_state
            alone = seen[depth] if depth < len(network.backbone.blocks) else output
            assert torch.allclose(
                states.padded([index], torch.device("cpu")), alone, rtol=0, atol=1e-5
            )


def test_with_dropout_upper_blocks_train_as_in_the_plain_loop(file: Path, tmp_path: Path) -> None:
    """A frozen block draws no dropout, so the blocks above it draw the same masks either way."""
    file.write_text(
        file.read_text().replace(
            "- {name: heads, epochs: 1, train: {heads: 1.0e-2}}\n    - {name: top",
            "- {name: top",
            1,
        )
    )
    cached, plain = Setting(file), Setting(file, cache=["off"], output=[str(tmp_path / "plain")])
    same(cached.run("gradual")[0], plain.run("gradual")[0])


def test_seeds_trained_together_are_what_they_are_alone(file: Path, tmp_path: Path) -> None:
    together = Setting(file).run("heads", 0, 1, 2)
    for seed, record in enumerate(together):
        (alone,) = Setting(file, output=[str(tmp_path / f"alone{seed}")]).run("heads", seed)
        same(record, alone, 1e-5)
        assert record.initial_digest == alone.initial_digest
    assert len({record.final_digest for record in together}) == 3


def test_states_are_computed_once_for_all_scenarios_and_seeds(file: Path) -> None:
    made = Setting(file)
    assert made.prefixes is not None
    for scenario in ("nothing", "heads", "one_head", "gradual"):
        made.run(scenario, 0)
    made.run("heads", 1, 2)
    assert {split for _, split in made.prefixes.held} == {"train", "validation", "test"}
    assert len({one.id for one in made.prefixes.passes.values()}) == 3, (
        "one pass a split, whatever depths"
    )
    assert len(made.prefixes.held) == 6, "two depths a split"


def test_every_trial_counts_the_passes_that_it_used_once_and_in_full(file: Path) -> None:
    made = Setting(file)
    assert made.prefixes is not None
    together = made.run("heads", 0, 1)
    seconds = {
        split: made.prefixes.passes[key, split].seconds for key, split in made.prefixes.passes
    }
    for record in together:
        assert record.laps["cache"] == pytest.approx(sum(seconds.values()))
    assert together[0].laps["train"] == together[1].laps["train"], (
        "what they trained together, each counts in full"
    )
    (nothing,) = made.run("nothing")
    assert nothing.laps["cache"] == pytest.approx(seconds["validation"] + seconds["test"]), (
        "it never reads the training split"
    )


def test_seeds_that_train_together_count_their_time_in_full(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trial's lap holds the whole of what they trained together, which is what it would take
    alone or a little more."""
    honest, spent = Heads.train, [0.0]

    def watching(self: Heads, *rest: Any) -> Any:
        began = time.perf_counter()
        outputs = honest(self, *rest)
        spent[0] += time.perf_counter() - began
        return outputs

    monkeypatch.setattr(Heads, "train", watching)
    for record in Setting(file).run("heads", 0, 1, 2):
        assert record.laps["train"] >= spent[0] > 0


def test_states_of_one_trials_weights_are_not_kept_or_shared(file: Path) -> None:
    made = Setting(file)
    assert made.prefixes is not None
    made.run("heads")
    held = set(made.prefixes.held)
    made.run("down_again", 0)
    assert set(made.prefixes.held) == held


def test_states_past_the_limit_lie_in_files_and_change_nothing(file: Path, tmp_path: Path) -> None:
    inside = Setting(file).run("gradual")[0]
    made = Setting(file, output=[str(tmp_path / "small")])
    made.prefixes = made.cache(limit=1000)
    same(made.run("gradual")[0], inside, 1e-7)
    assert made.prefixes is not None and all(
        states.file is not None for states in made.prefixes.held.values()
    )
    again = made.cache(limit=1000)
    assert again is not None
    made.prefixes = again
    made.run("heads")
    assert made.said == [], "files of the same states are used again"
    for file_ in (made.journal.directory / "cache").glob("*.bin"):
        content = bytearray(file_.read_bytes())
        content[100] ^= 1
        file_.write_bytes(bytes(content))
    made.prefixes = made.cache(limit=1000)
    same(made.run("gradual")[0], inside, 1e-7)
    assert made.said and all("is not what was written" in line for line in made.said)


def resident_mb() -> float:
    """What mapped files take of memory."""
    lines = [line.split() for line in Path("/proc/self/status").read_text().splitlines()]
    return (
        sum(int(words[1]) for words in lines if words[0] in ("RssFile:", "RssShmem:")) * 1024 / 1e6
    )


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel how much is resident")
def test_states_in_files_take_no_memory(tmp_path: Path) -> None:
    rows, before = 50_000, resident_mb()
    mapped = spill.make(tmp_path, "states", (rows, 256), torch.float32)  # 51 MB
    states = States(mapped.flat, mapped, np.array([0, rows - 1]))
    for start in range(0, rows, 10_000):
        states.put(np.arange(start, start + 10_000), torch.full((10_000, 256), float(start)))
    spill.seal(tmp_path, "states", mapped, spill.Pass("p", 1.0))
    again = spill.find(tmp_path, "states", print)
    assert again is not None and torch.equal(
        again.flat[::10_000, 0], torch.arange(0.0, rows, 10_000)
    )
    again.release()
    for _ in range(3):
        assert states.pick(np.arange(0, rows, 7), torch.device("cpu"))[-1, 0] == 40_000
    assert resident_mb() - before < 10


def test_states_are_computed_once_for_processes_that_exchange_them(file: Path) -> None:
    made = Setting(file)
    (alone,) = made.run("gradual")
    caches = [
        Prefixes(made.runtime, limit, made.journal.directory / "shared", print, exchange=True)
        for limit in (10**9, 0)
    ]
    records = []
    for made.prefixes in caches:
        made.prefixes.expect(made.prepared, made.prepared.pristine_digests)
        records += made.run("gradual")
    assert caches[0].passes == caches[1].passes and caches[0].passes, (
        "the second found what the first computed"
    )
    assert records[0].laps["cache"] == records[1].laps["cache"], "and counts its seconds in full"
    assert {record.final_digest for record in records} == {alone.final_digest}
    assert all(states.file is not None for states in caches[1].held.values()), (
        "past the limit they stay in files"
    )


def _harvested(file: Path, number: int, found: Any, ready: Any) -> None:
    made = Setting(file.with_name(f"{number}.yaml"))
    prefixes = Prefixes(made.runtime, 0, file.parent / "raced", print, exchange=True)
    network = made.prepared.fresh_network(0, made.runtime.device)
    prefixes.expect(made.prepared, made.prepared.pristine_digests)
    ready.wait(120)  # whoever was started last asks with the others
    states = prefixes.get(made.prepared, network, made.prepared.pristine_digests, 3, "train")
    found.put(
        (
            {one.id for one in prefixes.passes.values()},
            hashlib.sha256(states.flat.numpy().tobytes()).hexdigest(),
        )
    )


@pytest.mark.process
def test_processes_that_ask_at_once_do_not_race(file: Path) -> None:
    for number in range(3):
        file.with_name(f"{number}.yaml").write_text(file.read_text())
    context = multiprocessing.get_context("spawn")
    found, ready = context.Queue(), context.Barrier(3)
    others = [
        context.Process(target=_harvested, args=(file, number, found, ready)) for number in range(3)
    ]
    for other in others:
        other.start()
    answers = [found.get(timeout=120) for _ in others]
    for other in others:
        other.join()
    assert answers[0] == answers[1] == answers[2] and len(answers[0][0]) == 1


@pytest.mark.parametrize(
    "damage",
    [
        "{",
        json.dumps({"shape": [1], "dtype": "float32"}),
        json.dumps({"shape": [3, 2], "dtype": "os", "sha256": ""}),
    ],
)
def test_a_damaged_label_is_said_and_the_states_computed_again(file: Path, damage: str) -> None:
    made = Setting(file)
    made.prefixes = made.cache(limit=0)
    (first,) = made.run("heads")
    for label in (made.journal.directory / "cache").glob("*.json"):
        label.write_text(damage)
    made.prefixes = made.cache(limit=0)
    (second,) = made.run("heads")
    assert first.final_digest == second.final_digest
    assert made.said


@pytest.mark.parametrize("scenario", ["heads", "gradual"])
def test_states_that_are_not_the_networks_fail_the_trial(file: Path, scenario: str) -> None:
    made = Setting(file)
    made.run("nothing")
    made.run("gradual")
    assert made.prefixes is not None
    for states in made.prefixes.held.values():
        states.flat[:-1] += 1.0
    (run,) = run_trials(
        made.prepared,
        [Trial(scenario, 0)],
        made.runtime,
        made.journal,
        made.prefixes,
        lambda _: None,
    )
    record = run.record
    assert (
        record.ending
        == "certificate broken: the cached states are not what the frozen blocks compute"
    )


def test_no_room_for_files_is_told_in_a_line(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    made = Setting(file)
    made.prefixes = made.cache(limit=0)
    monkeypatch.setattr("os.posix_fallocate", full)
    (run,) = run_trials(
        made.prepared,
        [Trial("heads", 0)],
        made.runtime,
        made.journal,
        made.prefixes,
        lambda _: None,
    )
    record = run.record
    assert "MB of cached states (No space left on device); free some" in record.reason


def test_one_flipped_weight_is_another_key(file: Path) -> None:
    made = Setting(file)
    assert made.prefixes is not None
    digests = dict(made.prepared.pristine_digests)
    keys = {made.prefixes.key(made.prepared, digests, depth) for depth in (1, 2, 3)}
    assert len(keys) == 3
    changed = {**digests, "layers[1]": "0" * 64}
    assert made.prefixes.key(made.prepared, changed, 1) in keys, (
        "a block above the depth does not matter"
    )
    assert made.prefixes.key(made.prepared, changed, 2) not in keys
    longer = replace(
        made.prepared, encoded={**made.prepared.encoded, "test": made.prepared.encoded["train"]}
    )
    assert made.prefixes.key(longer, digests, 2) not in keys


def test_what_computes_states_otherwise_has_another_key(file: Path) -> None:
    made = Setting(file)
    runtimes = [
        made.runtime,
        replace(made.runtime, precision="bf16"),
        replace(made.runtime, threads=made.runtime.threads + 1),
    ]
    caches = [Prefixes(runtime, 0, file.parent, print) for runtime in runtimes]
    assert (
        len({cache.key(made.prepared, made.prepared.pristine_digests, 2) for cache in caches}) == 3
    )


def test_padded_states_end_in_zeros(file: Path) -> None:
    made = Setting(file)
    made.run("heads")
    assert made.prefixes is not None
    states = next(states for (_, split), states in made.prefixes.held.items() if split == "train")
    lengths = [int(states.starts[index + 1] - states.starts[index]) for index in range(6)]
    padded = states.padded(range(6), torch.device("cpu"))
    assert padded.shape[:2] == (6, max(lengths))
    for row, length in enumerate(lengths):
        assert torch.equal(
            padded[row, :length], states.flat[states.starts[row] : states.starts[row + 1]]
        )
        assert not padded[row, length:].any()


def test_plain_time_is_measured_where_the_engine_skips_work(file: Path) -> None:
    (record,) = Setting(file).run("heads")
    assert record.wall_s is not None and record.wall_plain_s is not None
    assert record.stages[0].step_s is not None and record.stages[0].step_s > 0
    assert record.wall_s == pytest.approx(sum(record.laps.values()))


@pytest.mark.parametrize(
    ("written", "mode"), [("off", "off"), ("auto", "auto"), ("false", "off"), ("true", "auto")]
)
def test_cache_has_a_short_form(file: Path, written: str, mode: str) -> None:
    assert load(file, {"cache": [written]}).cache.mode == mode
