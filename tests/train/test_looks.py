"""Seeds that are added look by look: what runs, what stops, and that an interruption changes nothing."""

import json
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from mtlab.cli import main
from mtlab.plan.experiment import Experiment, load
from mtlab.plan.scenario import Pair, Trial
from mtlab.record.journal import Journal
from mtlab.record.records import SuiteRecord, TrialRecord
from mtlab.report.comparison.groups import groups
from mtlab.train.engines.local import Local
from mtlab.train.looks import Looks, stopped_lines
from mtlab.train.measure.progress import Silent
from mtlab.train.resume import signals
from mtlab.train.suite import Suite
from mtlab.train.worker import Begun, Group, Work
from tests import tiny
from tests.conftest import measured

EXPERIMENT = """\
encoder: {encoder}
data: {{source: {data}, max_duplicates: 1.0}}
batch_size: 8
seeds: {{looks: [2, 4, 5]}}
precision: fp32
device: cpu
control: full
scenarios:
  nothing: [{{epochs: 0}}]
  heads: [{{epochs: 2, train: {{heads: 1.0e-2}}}}]
  full: [{{epochs: 1, train: {{encoder: 1.0e-3, heads: 1.0e-2}}}}]
"""

EVERY = {"nothing", "heads", "full"}
DECISIONS = {2: {"heads", "full"}, 4: set[str]()}
"""Number of seeds to the scenarios that get more: nothing stops after two, heads after four."""
RAN = [
    *(f"{name}-seed{seed}" for name in ("nothing", "heads", "full") for seed in (0, 1)),
    *(f"{name}-seed{seed}" for name in ("heads", "full") for seed in (2, 3)),
]


class Heard(Silent):
    """What the user would see."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


class Watched(Local):
    """Notes the groups that it is given, call by call."""

    def __init__(self, experiment: Experiment) -> None:
        super().__init__(experiment)
        self.calls: list[list[list[str]]] = []

    def run(
        self, work: Work, groups: Sequence[Group], begun: Begun
    ) -> Iterator[tuple[Group, list[TrialRecord]]]:
        self.calls.append([[trial.label for trial in group] for group in groups])
        yield from super().run(work, groups, begun)


class Run:
    """One run of the suite of a file.

    Args:
        file: the experiment.
        output: where it runs.
        decisions: the scenarios that get more seeds after each look; all where none are given.
        seeds: fixed ones, in place of the file's.
        stop_at: the label of the trial in whose steps the process is asked to stop.
    """

    def __init__(
        self,
        file: Path,
        output: Path,
        decisions: dict[int, set[str]] | None = None,
        seeds: Sequence[str] = (),
        stop_at: str = "",
    ) -> None:
        overrides = {"output": [str(output)], **({"seeds": list(seeds)} if seeds else {})}
        self.experiment = load(file, overrides)
        self.decisions, self.stop_at, self.steps = decisions or {}, stop_at, 0
        self.asked: list[tuple[int, list[str]]] = []
        self.logged: list[str] = []
        self.progress, self.engine = Heard(), Watched(self.experiment)
        self.progress.advance = self._advance(self.progress.advance)  # type: ignore[method-assign]
        self.journal = Journal(output)

    def _advance(self, honest: Callable[[int], None]) -> Callable[[int], None]:
        def advance(work: int) -> None:
            honest(work)
            if self.progress.label == self.stop_at:
                self.steps += 1
                if self.steps == 4:  # the first of them is a validation
                    signal.raise_signal(signal.SIGTERM)

        return advance

    def wanted(self, suite: SuiteRecord, trials: Sequence[TrialRecord], seeds: int) -> set[Pair]:
        self.asked.append((seeds, [trial.label for trial in trials]))
        return {((), name) for name in self.decisions.get(seeds, EVERY)}

    def go(self) -> "Run":
        with signals.handled():
            suite = Suite(self.experiment, "a test", self.progress, self.engine)
            with suite.journal.held("a test"):
                self.suite, self.trials = suite.run(
                    lambda record: record,
                    lambda record, trial: self.logged.append(trial.label),
                    self.wanted,
                )
        return self

    @property
    def skipped(self) -> set[str]:
        return {one.trial.label for one in self.suite.skipped}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory, encoder: Path) -> Path:
    home = tmp_path_factory.mktemp("looks")
    tiny.write_data(home / "data", train=24, validation=16, test=16)
    (home / "looks.yaml").write_text(EXPERIMENT.format(encoder=encoder, data=home / "data"))
    return home / "looks.yaml"


@pytest.fixture(scope="module")
def whole(file: Path) -> Run:
    """Nothing interrupted it."""
    return Run(file, file.parent / "whole", DECISIONS).go()


@pytest.fixture(scope="module")
def fixed(file: Path) -> Run:
    """All seeds of all scenarios."""
    return Run(file, file.parent / "fixed", seeds=list("01234")).go()


def left(run: Run) -> dict[str, Any]:
    """What the trials of a run left behind, times aside."""
    records = {trial.label: measured(json.loads(trial.model_dump_json())) for trial in run.trials}
    predictions = {
        trial.label: run.journal.predictions_path(trial).read_bytes() for trial in run.trials
    }
    return {"records": records, "predictions": predictions, "skipped": run.suite.skipped}


def test_scenarios_get_seeds_until_they_are_decided(whole: Run) -> None:
    first = [label for label in RAN if label[-1] in "01"]
    assert [seeds for seeds, _ in whole.asked] == [2, 4], "nothing is left for the last look"
    assert set(whole.asked[0][1]) == set(first) and set(whole.asked[1][1]) == set(RAN)
    assert {trial.label for trial in whole.trials} == set(RAN) == set(whole.logged)
    assert {trial.status for trial in whole.trials} == {"ok"}
    assert whole.skipped == {f"nothing-seed{seed}" for seed in (2, 3, 4)} | {
        "heads-seed4",
        "full-seed4",
    }
    assert len(whole.suite.trials) == 15, "planned trials keep their keys"
    assert whole.suite.elapsed_s is not None
    suite, trials = whole.journal.read()
    assert (suite.skipped, trials) == (whole.suite.skipped, whole.trials)


def test_the_trials_of_a_look_go_to_the_engine_at_once_and_its_seeds_of_heads_stack(
    whole: Run,
) -> None:
    first, second = whole.engine.calls
    assert ["heads-seed0", "heads-seed1"] in first and ["full-seed0"] in first
    assert second == [["full-seed2"], ["heads-seed2", "heads-seed3"], ["full-seed3"]]


def test_the_bar_ends_at_its_end_and_a_line_says_what_stopped(whole: Run) -> None:
    progress = whole.progress
    said = [line for line in progress.lines if "no more after" in line]
    assert said == ["nothing: no more after 2 seeds", "heads: no more after 4 seeds"]
    assert progress.number == progress.trials == len(RAN)
    assert progress.done == progress.work > 0


def test_states_of_the_frozen_encoder_are_computed_once_for_all_looks(whole: Run) -> None:
    worker = whole.engine.worker
    assert worker is not None and worker.prefixes is not None
    passes = {one.id for one in worker.prefixes.passes.values()}
    assert len(passes) == 3, "one for each split"


def test_interrupted_between_two_looks_and_within_one_it_decides_and_groups_the_same(
    file: Path, whole: Run, tmp_path: Path
) -> None:
    class Cut(Run):
        def wanted(self, *of: Any) -> set[Pair]:
            raise KeyboardInterrupt

    cut = Cut(file, tmp_path / "out")
    with pytest.raises(KeyboardInterrupt):
        cut.go()
    suite, trials = cut.journal.read()
    assert (suite.skipped, suite.elapsed_s, len(trials)) == ((), None, 6)
    (group,) = groups(suite, trials)
    assert group.seeds == (0, 1) and group.complete, "later looks may never come"

    cut = Run(file, tmp_path / "out", DECISIONS, stop_at="heads-seed2")
    with pytest.raises(signals.Stopped):
        cut.go()
    assert cut.asked == whole.asked[:1]
    suite, trials = cut.journal.read()
    assert {one.trial.label for one in suite.skipped} == {
        f"nothing-seed{seed}" for seed in (2, 3, 4)
    }
    (group,) = groups(suite, trials)
    assert group.missing == [("heads", 2), ("heads", 3), ("full", 3)]
    assert len(suite.read_back) == 6

    again = Run(file, tmp_path / "out", DECISIONS).go()
    assert again.asked == whole.asked and len(again.logged) == len(RAN)
    assert again.engine.calls[1] == whole.engine.calls[1][1:], "full-seed2 had ended"
    said = "heads-seed2, heads-seed3: continuing from the last checkpoint"
    assert said in again.progress.lines
    assert again.progress.done == again.progress.work
    assert left(again) == left(whole)


def test_a_record_of_an_earlier_run_is_used_where_a_look_needs_it_and_else_left_alone(
    file: Path, fixed: Run, tmp_path: Path
) -> None:
    assert fixed.asked == [] and len(fixed.trials) == 15 and not fixed.suite.skipped
    assert len(fixed.engine.calls) == 1
    again = Run(file, fixed.journal.directory, DECISIONS).go()
    assert again.suite.trials == fixed.suite.trials, "a trial's key does not hold why it runs"
    assert again.suite.id != fixed.suite.id
    assert [call for call in again.engine.calls if call] == [], "all is read back"
    kept = [trial for trial in fixed.trials if trial.label in RAN]
    assert again.trials == kept == again.journal.read()[1]
    assert set(again.suite.read_back) == {trial.key for trial in kept} and len(again.skipped) == 5
    assert len(list((again.journal.directory / "records").iterdir())) == 15
    assert again.progress.number <= again.progress.trials == len(RAN)
    assert "read back for the look at 4 seeds: 4 trials" in again.progress.lines
    (group,) = groups(again.suite, again.trials)
    assert group.complete and group.seeds == (0, 1, 2, 3)
    more = Run(file, fixed.journal.directory, {2: EVERY, 4: {"heads", "full"}}).go()
    assert more.skipped == {"nothing-seed4"} and more.suite.id == again.suite.id
    assert [call for call in more.engine.calls if call] == []


def test_a_scenario_stops_at_one_point_and_may_catch_up_at_a_later_look(
    file: Path, tmp_path: Path
) -> None:
    experiment = load(file, {"sweep.batch_size": ["4", "8"], "output": [str(tmp_path)]})
    looks = Looks(experiment, {})
    small, large = experiment.points
    assert [len(due) for due in looks.rounds()] == [12, 12, 6]

    def end(number: int) -> list[str]:
        due = looks.due(number)
        for one in due:
            looks.records[one] = TrialRecord(
                key="", scenario=one.scenario, seed=one.seed, point=dict(one.point), started_at=0.0
            )
        return [trial.label for trial in due]

    assert len(end(2)) == 12
    stopped = looks.decide({(small, "full"), (small, "heads"), (((("batch_size", 9),)), "heads")})
    assert stopped == {small: ["nothing"], large: ["nothing", "heads"]}
    assert stopped_lines(stopped, 2) == [
        "batch_size = 4: nothing: no more after 2 seeds",
        "batch_size = 8: nothing, heads: no more after 2 seeds",
    ]
    assert len(looks.expected()) == 12 + 6
    assert sorted(end(4)) == [
        f"{name}-seed{seed}-4" for name in ("full", "heads") for seed in (2, 3)
    ]
    assert looks.decide({(small, "full"), (small, "nothing")}) == {small: ["heads"]}
    assert sorted(end(5)) == ["full-seed4-4", *(f"nothing-seed{seed}-4" for seed in (2, 3, 4))]
    assert looks.expected() == [trial for trial in looks.trials if trial in looks.records]


def test_the_command_line_stops_by_the_report_and_ends_well(
    file: Path, tmp_path: Path, tracking: str, no_figures: None, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--scenarios", "nothing", "full", "--seeds.looks", "2", "3", "--output", "out"]
    assert main(["compare", str(file), *words]) == 0
    suite, trials = Journal(tmp_path / "out").read()
    planned = {Trial(name, seed) for name in ("nothing", "full") for seed in range(3)}
    ran, skipped = {trial.trial for trial in trials}, {one.trial for one in suite.skipped}
    assert ran | skipped == planned and not ran & skipped
    assert ("no more after 2 seeds" in capsys.readouterr().out) == bool(skipped)
