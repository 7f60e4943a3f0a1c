"""A trial that is interrupted at any step ends in the bits of one that was not."""

import json
import shutil
import signal
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from mtlab.plan.block_choice import Choose
from mtlab.plan.experiment import load
from mtlab.plan.scenario import Trial
from mtlab.record.journal import Journal
from mtlab.record.records import TrialRecord
from mtlab.train.cache.prefix import Prefixes
from mtlab.train.loop import block_choice, schedule
from mtlab.train.prepare import Prepared, prepare
from mtlab.train.resume import signals
from mtlab.train.resume.keeper import Keeper
from mtlab.train.resume.signals import Stopped
from mtlab.train.runtime import Runtime, resolve
from mtlab.train.source_trials import Starts
from mtlab.train.trial import run_trials
from tests import tiny
from tests.train.test_staged import write_target

EXPERIMENT = """\
encoder: {encoder}
data: {{source: {data}, max_duplicates: 1.0}}
batch_size: 8
seeds: [0, 1]
precision: fp32
device: cpu
scenarios:
  heads: [{{epochs: 2, train: {{heads: 1.0e-2}}, schedule: cosine, warmup: 0.3}}]
  gradual:
    - {{name: heads, epochs: 1, train: {{heads: 1.0e-2}}}}
    - {{name: top, epochs: 1, train: {{"layers[-1/3:]": 1.0e-3, heads: 1.0e-2}}, schedule: linear, warmup: 0.2}}
    - {{name: all, epochs: 1, train: {{encoder: 1.0e-3, heads: 1.0e-2}}}}
  parts:
    - {{name: norms, epochs: 1, train: {{"layers[-1].norms": 1.0e-2, heads: 1.0e-2}}}}
    - name: new
      epochs: 2
      reinit: "layers[-1:]"
      select: best
      train: {{"layers[-1:].norms": 2.0e-3, "layers[-2:].attention": {{rate: 1.0e-3, decay: 0.5}}, biases: 1.0e-3, heads: 1.0e-2}}
  guided:
    - {{epochs: 4, train: {{encoder: 1.0e-3, heads: 1.0e-2}}, guidance: {{patience: 1, min_change: 0.5, hold: 1.0}}, select: each}}
  turning:
    - {{name: heads, epochs: 1, train: {{heads: 1.0e-2}}}}
    - name: turns
      epochs: 6
      patience: 1
      train: {{encoder: {{rate: 1.0e-3, decay: 0.5}}, heads: 1.0e-2}}
      rotate: {{blocks: 1, every: 2}}
      average: 0.5
  freezing:
    - {{epochs: 1, train: {{"layers[0:]": 1.0e-3, heads: 1.0e-2}}, choose: {{blocks: 1, batches: 1}}}}
    - {{epochs: 4, train: {{encoder: 1.0e-3, heads: 1.0e-2}}, freeze_when: {{percentile: 100}}}}
  last_turn: [{{epochs: 3, patience: 5, train: {{encoder: 1.0e-3, heads: 1.0e-2}}, rotate: {{blocks: 1}}}}]
  patient: [{{epochs: 9, train: {{heads: 5.0e-2}}, patience: 1, warmup_steps: 2}}]
  patient_top:
    - {{name: top, epochs: 9, train: {{"layers[-1/3:]": 1.0e-3, heads: 1.0e-1}}, patience: 1, cooldown: 2, warmup_steps: 2}}
    - {{name: heads, epochs: 1, train: {{heads: 1.0e-2}}}}
"""

STAGED = """\
encoder: {encoder}
start:
  data: {{source: {source}, max_duplicates: 1.0}}
  stages: [{{epochs: 1, train: {{encoder: 1.0e-3, heads: 1.0e-2}}}}]
data: {{source: {data}, max_duplicates: 1.0}}
batch_size: 8
seeds: [0]
precision: fp32
device: cpu
scenarios:
  held:
    - {{name: first, epochs: 1, losses: [ner], train: {{encoder: 1.0e-3, head.ner: 1.0e-2}}, distillation: 1.0, rehearsal: 0.5}}
    - {{name: second, epochs: 1, losses: [ner], train: {{encoder: 1.0e-3, head.ner: 1.0e-2}}, l2_sp: 10.0}}
  adapters: [{{epochs: 2, losses: [ner], train: {{lora: 1.0e-2, head.ner: 1.0e-2}}}}]
"""


class Bench:
    """Runs trials of one experiment, each time into a folder of its own."""

    def __init__(self, file: Path) -> None:
        self.experiment = load(str(file), {})
        self.runtime: Runtime = resolve(self.experiment)
        self.prepared: Prepared = prepare(self.experiment, self.runtime)[()]

    def run(
        self, output: Path, scenario: str, seeds: tuple[int, ...], prefixes: Prefixes | None = None
    ) -> list[TrialRecord]:
        """As a suite runs them: a cache of their own where none is given, checkpoints trained or
        read back."""
        journal = Journal(output)
        prefixes = prefixes or Prefixes(self.runtime, 10**9, output / "cache", print)
        prepared = self.prepared.of(scenario)
        starts = Starts(self.runtime, journal, prefixes, lambda _: None, print, lambda _: None)
        prepared.checkpoints.clear()
        for seed in seeds:
            starts.make_ready(prepared, seed)
        with signals.deferred():
            runs = run_trials(
                prepared,
                [Trial(scenario, seed) for seed in seeds],
                self.runtime,
                journal,
                prefixes,
                lambda _: None,
            )
            return [run.record for run in runs]


@pytest.fixture(scope="module")
def cold(tmp_path_factory: pytest.TempPathFactory, encoder: Path) -> Bench:
    home = tmp_path_factory.mktemp("cold")
    tiny.write_data(home / "data", train=24, validation=16, test=16)
    (home / "cold.yaml").write_text(EXPERIMENT.format(encoder=encoder, data=home / "data"))
    return Bench(home / "cold.yaml")


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory, encoder: Path) -> Bench:
    home = tmp_path_factory.mktemp("staged")
    tiny.write_data(home / "source", train=24, validation=16, test=16)
    write_target(home / "target")
    (home / "staged.yaml").write_text(
        STAGED.format(encoder=encoder, source=home / "source", data=home / "target")
    )
    return Bench(home / "staged.yaml")


@pytest.fixture
def stop_after(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Sets after how many steps the process is sent SIGTERM; 0 leaves it alone."""
    left = [0]
    honest = Keeper.stepped

    def stepped(self: Keeper) -> bool:
        left[0] -= 1
        if left[0] == 0:
            signal.raise_signal(signal.SIGTERM)
        return honest(self)

    monkeypatch.setattr(Keeper, "stepped", stepped)
    with signals.handled():
        yield lambda steps: left.__setitem__(0, steps)


def essence(record: TrialRecord) -> dict[str, Any]:
    """What of a record must be the same however often the trial was interrupted."""
    fields = record.model_dump(mode="json")
    for name in (
        "started_at",
        "ended_at",
        "attempts",
        "laps",
        "wall_s",
        "wall_plain_s",
        "peak_memory_mb",
        "tokens_per_s",
        "machine",
    ):
        del fields[name]
    for epoch in fields["epochs"]:
        del epoch["elapsed_s"], epoch["ended_at"]
    for stage in fields["stages"]:
        del stage["step_s"]
    return fields


def check_steps(
    bench: Bench, scenario: str, seeds: tuple[int, ...], home: Path, stop_after: Any, every: int = 1
) -> None:
    whole = bench.run(home / "whole", scenario, seeds)
    assert {record.status for record in whole} == {"ok"}
    steps = len(whole[0].step_losses["total"])
    check(bench, whole, home, stop_after, range(1, steps + 1, every))


def check(
    bench: Bench,
    whole: Sequence[TrialRecord],
    home: Path,
    stop_after: Any,
    steps: Iterable[int],
) -> None:
    """Stop trials after each of these steps in turn, and see that they end as whole ones did."""
    scenario, seeds = whole[0].scenario, tuple(record.seed for record in whole)
    for step in steps:
        output = home / f"step{step}"
        if bench.prepared.source is not None:
            shutil.copytree(home / "whole" / "checkpoints", output / "checkpoints")
            shutil.copytree(home / "whole" / "records", output / "records")
        stop_after(step)
        with pytest.raises(Stopped) as stop:
            bench.run(output, scenario, seeds)
        assert stop.value.status == 143
        assert len(list((output / "unfinished").rglob("*.safetensors"))) == 1
        stop_after(0)
        with signals.handled():
            again = bench.run(output, scenario, seeds)
        assert {record.attempts for record in again} == {2}
        assert [essence(record) for record in again] == [essence(record) for record in whole], (
            f"stopped after step {step}"
        )
        for one, other in zip(whole, again, strict=True):
            same = [
                Journal(place).predictions_path(record).read_bytes()
                for place, record in ((home / "whole", one), (output, other))
            ]
            assert same[0] == same[1]
        assert not list((output / "unfinished").glob("*"))


@pytest.mark.parametrize(
    ("scenario", "seeds", "every"),
    [
        ("heads", (0, 1), 2),
        ("gradual", (0,), 2),
        ("guided", (1,), 2),
        *(
            pytest.param(*of, 1, marks=pytest.mark.nightly)
            for of in (("heads", (0, 1)), ("gradual", (0,)), ("guided", (1,)), ("parts", (0,)))
        ),
    ],
)
def test_a_trial_goes_on_from_any_step_bit_for_bit(
    scenario: str, seeds: tuple[int, ...], every: int, cold: Bench, tmp_path: Path, stop_after: Any
) -> None:
    check_steps(cold, scenario, seeds, tmp_path, stop_after, every)


def test_so_does_one_that_trains_parts_of_blocks_and_draws_a_block_anew(
    cold: Bench, tmp_path: Path, stop_after: Any
) -> None:
    """At the end of the stage before, and in the middle of the one that begins with a new block."""
    whole = cold.run(tmp_path / "whole", "parts", (0,))
    assert whole[0].stages[1].reinit and whole[0].stages[1].parts
    check(cold, whole, tmp_path, stop_after, (3, 5))


@pytest.mark.parametrize("scenario", ["turning", "freezing"])
def test_so_does_one_in_which_not_all_blocks_train(
    scenario: str, cold: Bench, tmp_path: Path, stop_after: Any
) -> None:
    """At the end of a piece, in its middle, and within the stage before."""
    whole = cold.run(tmp_path / "whole", scenario, (1,))
    pieces = [stage.steps for stage in whole[0].stages]
    assert len(pieces) > 2, pieces
    ends = [sum(pieces[:number]) for number in range(1, len(pieces))]
    check(cold, whole, tmp_path, stop_after, sorted({1, ends[0], ends[-1], ends[-1] + 1}))


def test_so_does_one_whose_piece_is_shorter_than_the_cooldown_of_its_stage(
    cold: Bench, tmp_path: Path, stop_after: Any
) -> None:
    whole = cold.run(tmp_path / "whole", "last_turn", (0,))
    check(cold, whole, tmp_path, stop_after, (len(whole[0].step_losses["total"]) - 1,))


def test_scores_of_blocks_are_of_the_own_sentences_where_others_are_rehearsed(
    staged: Bench,
) -> None:
    stage = staged.experiment.scenario("held").stages[0]
    chosen = stage.model_copy(update={"choose": Choose(blocks=1, batches=9)})
    sentences = block_choice.looked_at(staged.prepared, chosen, 0)
    assert any(step.rehearsal for step in schedule.epoch(staged.prepared, chosen, 0))
    assert not any(step.rehearsal for step in sentences)
    assert sorted(step.ids[0] for step in sentences) == list(
        range(len(staged.prepared.encoded["train"].examples))
    )


def test_so_do_seeds_that_patience_ends_apart(cold: Bench, tmp_path: Path, stop_after: Any) -> None:
    """At constant rates, at the end of them, in a cooldown, and when one has ended and another trains
    on."""
    whole = cold.run(tmp_path / "whole", "patient", (2, 3))
    long, short = (record.stages[0].constant_epochs or 0 for record in whole)
    assert long > short + 1
    ended = 3 * (short + 1)
    steps = (2, 3 * short, 3 * short + 2, ended, ended + 1, 3 * long, 3 * long + 2, 3 * long + 3)
    check(cold, whole, tmp_path, stop_after, sorted({*steps}))


def test_so_does_a_trial_in_its_cooldown_and_after_it(
    cold: Bench, tmp_path: Path, stop_after: Any
) -> None:
    whole = cold.run(tmp_path / "whole", "patient_top", (1,))
    constant = whole[0].stages[0].constant_epochs
    assert constant is not None and whole[0].stages[0].ended == "patience"
    steps = [3 * constant + more for more in (-1, 0, 1, 4, 6, 8)]
    check(cold, whole, tmp_path, stop_after, steps)


@pytest.mark.parametrize("scenario", ["held", "adapters"])
def test_so_does_one_that_started_from_a_checkpoint(
    scenario: str, staged: Bench, tmp_path: Path, stop_after: Any
) -> None:
    check_steps(staged, scenario, (0,), tmp_path, stop_after, every=5)


def test_states_that_a_resumed_trial_computes_are_those_of_its_own_weights(
    cold: Bench, tmp_path: Path, stop_after: Any
) -> None:
    """A pass of a trial that goes on in its second stage harvests nothing above the blocks that
    this stage trains."""
    whole = cold.run(tmp_path / "whole", "heads", (0,))
    stop_after(5)
    with pytest.raises(Stopped), signals.handled():
        cold.run(tmp_path / "out", "gradual", (0,))
    stop_after(0)
    prefixes = Prefixes(cold.runtime, 10**9, tmp_path / "cache", print)
    prefixes.expect(cold.prepared, cold.prepared.pristine_digests)
    with signals.handled():
        cold.run(tmp_path / "out", "gradual", (0,), prefixes)
        after = cold.run(tmp_path / "out", "heads", (0,), prefixes)
    assert [essence(record) for record in after] == [essence(record) for record in whole]


def interrupted(bench: Bench, output: Path, stop_after: Any, steps: int) -> Path:
    """A folder of a gradual trial that was stopped twice; returns where its checkpoints are."""
    for number in (steps, 2):
        stop_after(number)
        with pytest.raises(Stopped), signals.handled():
            bench.run(output, "gradual", (0,))
    stop_after(0)
    (folder,) = (output / "unfinished").iterdir()
    return folder


@pytest.mark.parametrize("damage", ["tensors", "manifest", "gone", "all"])
def test_a_damaged_checkpoint_is_told_and_the_one_before_is_taken(
    damage: str, cold: Bench, tmp_path: Path, stop_after: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = cold.run(tmp_path / "whole", "gradual", (0,))
    folder = interrupted(cold, tmp_path / "out", stop_after, 7)
    manifests = sorted(folder.glob("[0-9]*.json"))
    assert len(manifests) == 2
    for manifest in manifests if damage == "all" else manifests[-1:]:
        tensors = manifest.with_suffix(".safetensors")
        if damage == "manifest":
            written = json.loads(manifest.read_text())
            manifest.write_text(
                json.dumps({**written, "facts": written["facts"].replace('"step": ', '"step": 1')})
            )
        elif damage == "gone":
            tensors.unlink()
        else:
            content = bytearray(tensors.read_bytes())
            content[-1] ^= 1
            tensors.write_bytes(content)
    with signals.handled():
        again = cold.run(tmp_path / "out", "gradual", (0,))
    assert "is not what was written" in capsys.readouterr().out
    assert [essence(record) for record in again] == [essence(record) for record in whole]
    assert again[0].attempts == 3


def test_no_state_is_pickled(cold: Bench, tmp_path: Path, stop_after: Any) -> None:
    folder = interrupted(cold, tmp_path / "out", stop_after, 7)
    assert {path.suffix for path in folder.iterdir()} == {".json", ".safetensors"}


def test_a_checkpoint_that_cannot_be_written_does_not_end_the_trial(
    cold: Bench, tmp_path: Path, stop_after: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = cold.run(tmp_path / "whole", "gradual", (0,))
    bench_often = cold.experiment.checkpoints
    object.__setattr__(
        cold.prepared.experiment, "checkpoints", bench_often.model_copy(update={"every_steps": 2})
    )
    try:
        honest = Keeper.begin

        def begin(self: Keeper) -> None:
            honest(self)
            (
                self.folder.folder / "000001.safetensors"
            ).mkdir()  # where the first checkpoint would go

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Keeper, "begin", begin)
            again = cold.run(tmp_path / "out", "gradual", (0,))
    finally:
        object.__setattr__(cold.prepared.experiment, "checkpoints", bench_often)
    assert "no checkpoint: " in capsys.readouterr().out
    assert [essence(record) for record in again] == [essence(record) for record in whole]
