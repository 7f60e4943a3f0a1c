"""Patience: when it ends a stage, what the rates do then, and that seeds which end apart are what they
are alone."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import get_scheduler

from mtlab.cli import main
from mtlab.plan.experiment import load
from mtlab.plan.scenario import Stage, Trial
from mtlab.plan.settings import Optimizer
from mtlab.record.journal import Journal
from mtlab.record.quality import Metrics, TaskMetrics
from mtlab.record.records import EpochRecord, TrialRecord
from mtlab.train.cache.heads import Heads, Readings
from mtlab.train.cache.prefix import Prefixes
from mtlab.train.loop import guidance, schedule
from mtlab.train.loop.course import Course
from mtlab.train.loop.patience import Waiting, waiting
from mtlab.train.measure.progress import Pace, PlainProgress
from mtlab.train.prepare import Prepared, prepare
from mtlab.train.runtime import Runtime, resolve
from mtlab.train.trial import run_trials
from tests import tiny

TASKS = ("classifier", "ner")
FIRST = (0.3, 0.0)
"""Scores of an untrained network."""
MAJORITY = 0.4
"""Accuracy of the best constant answer."""

Scores = tuple[float, float | None]


def metrics(scores: Scores) -> Metrics:
    (accuracy, f1), losses = scores, {"loss": 1.0, "sentences": 9}
    classifier = TaskMetrics(scores={"accuracy": accuracy}, constant=MAJORITY, **losses)
    return Metrics(
        by_task={
            "classifier": classifier,
            "ner": TaskMetrics(scores={"f1": f1}, constant=0.0, **losses),
        }
    )


def filled(**fields: Any) -> Stage:
    """A stage as a scenario has it."""
    stage = Stage(train={"all": 1.0}, **fields)
    return stage.model_copy(update=Optimizer().course(stage))


def watch(
    curve: list[Scores], epochs: int, first: Scores = FIRST, untrained: bool = True, **fields: Any
) -> Waiting:
    """What patience knows when it has ended the stage, or the curve has ended."""
    stage = filled(epochs=epochs, **fields)
    known = waiting(stage, metrics(first), (), untrained=untrained)
    assert known is not None
    for scores in curve:
        if known.done:
            break
        known.look(metrics(scores))
    return known


def result(known: Waiting) -> tuple[str, int | None, int, bool]:
    return known.ended, known.constant, known.epochs, known.done


RISING: list[Scores] = [(0.5, 0.1), (0.6, 0.2), (0.7, 0.3), (0.8, 0.4)]
FLAT: list[Scores] = [(0.8, 0.4)] * 12


def test_patience_ends_after_so_many_validations_without_a_gain_and_the_cooldown_follows() -> None:
    assert result(watch(RISING + FLAT, 12, patience=3)) == ("patience", 7, 8, True)
    assert result(watch(RISING + FLAT, 12, patience=3, cooldown=0)) == ("patience", 7, 7, True)
    assert result(watch(RISING + FLAT, 12, patience=3, cooldown=4)) == ("patience", 7, 11, True)


def test_an_equal_score_is_no_gain_and_a_gain_begins_the_wait_anew() -> None:
    late: list[Scores] = [*RISING, *FLAT[:2], (0.81, 0.4), *FLAT]
    assert result(watch(late, 20, patience=3)) == ("patience", 10, 11, True)


def test_where_patience_does_not_end_the_last_epochs_are_the_cooldown() -> None:
    gaining: list[Scores] = [(0.5 + at / 100, 0.1) for at in range(12)]
    assert result(watch(gaining, 12, patience=2)) == ("epochs", 11, 12, True)
    assert result(watch(gaining, 12, patience=2, cooldown=3)) == ("epochs", 9, 12, True)
    assert result(watch(gaining[:11], 12, patience=2)) == ("epochs", 11, 11, False)


@pytest.mark.parametrize(("epochs", "ends"), [(3, 2), (6, 2), (7, 3), (9, 3), (10, 4), (12, 4)])
def test_it_does_not_end_before_a_third_of_the_epochs(epochs: int, ends: int) -> None:
    assert watch(FLAT, epochs, patience=1, cooldown=0).constant == ends


@pytest.mark.parametrize(
    ("stuck", "first", "ends"),
    [
        ((MAJORITY, 0.4), FIRST, False),  # as good as the majority's label
        ((0.45, 0.4), (0.45, 0.0), False),  # as good as it was untrained
        ((0.8, 0.0), FIRST, False),
        ((0.8, None), FIRST, False),
        ((0.41, 0.01), FIRST, True),
    ],
)
def test_it_does_not_end_while_a_task_is_at_its_baseline(
    stuck: Scores, first: Scores, ends: bool
) -> None:
    known = watch([stuck] * 11, 12, first, patience=2)
    assert known.ended == ("patience" if ends else "epochs")


def test_a_task_counts_from_where_it_leaves_its_baseline() -> None:
    slow: list[Scores] = [(0.8, 0.0)] * 7 + [(0.75, 0.01)] * 5
    assert result(watch(slow, 12, patience=2, cooldown=2)) == ("patience", 8, 10, True)


def test_scores_of_a_checkpoint_are_no_baseline_but_those_of_a_constant_answer_are() -> None:
    assert watch([(0.6, 0.3)] * 12, 12, (0.7, 0.4), untrained=False, patience=2).constant == 4
    assert watch([(0.4, 0.3)] * 12, 12, (0.7, 0.4), untrained=False, patience=2).ended == "epochs"


def test_a_task_that_is_not_trained_or_cannot_be_scored_holds_nothing_up() -> None:
    alone = watch([(0.3, 0.2)] * 12, 12, patience=2, losses=("ner",), select_on=TASKS)
    assert alone.ended == "patience", "the other task stays where it was"
    without = watch([(0.8, None)] * 12, 12, (0.3, None), patience=2)
    assert without.ended == "patience", "validation has no entities"


def test_each_task_that_gains_alone_counts_where_each_is_selected() -> None:
    turns: list[Scores] = [(0.6, 0.3), (0.7, 0.19), (0.5, 0.35), (0.72, 0.1), (0.45, 0.4)]
    assert watch([*turns, *[(0.6, 0.2)] * 7], 12, patience=2, select="each").constant == 7
    assert watch([*turns, *[(0.6, 0.2)] * 7], 12, patience=2).constant == 4, "the mean"


def test_no_patience_waits_for_nothing() -> None:
    assert waiting(filled(epochs=3), metrics(FIRST), (), untrained=True) is None


def test_what_is_known_follows_from_the_record() -> None:
    curve = [*RISING, *FLAT]
    passed = [
        EpochRecord(stage=0, epoch=at, step=at, elapsed_s=0, ended_at=0, validation=metrics(scores))
        for at, scores in enumerate(curve[:8], start=1)
    ]
    stage = filled(epochs=12, patience=3)
    known = waiting(stage, metrics(FIRST), passed, untrained=True)
    assert known == watch(curve, 12, patience=3)


# the course of the rates


@pytest.mark.parametrize(("name", "warmup"), [("constant", 0.0), ("linear", 0.3), ("cosine", 0.25)])
def test_a_course_without_patience_is_that_of_transformers_bit_for_bit(
    name: str, warmup: float
) -> None:
    steps, optimizer = 23, torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=3e-4)
    course = Course(filled(epochs=1, schedule=name, warmup=warmup), steps)
    known = "constant_with_warmup" if name == "constant" else name
    warm = {"num_warmup_steps": int(warmup * steps), "num_training_steps": steps}
    theirs = get_scheduler(known, optimizer, **warm)
    for step in range(steps):
        assert 3e-4 * course.factor(step) == theirs.get_last_lr()[0]
        optimizer.step()
        theirs.step()


def test_rates_rise_stay_and_fall_to_0_over_the_steps_of_the_cooldown() -> None:
    course = Course(filled(epochs=9, warmup_steps=4, patience=1), 90)
    assert [course.factor(step) for step in (0, 1, 3, 4, 50, 89)] == [0, 0.25, 0.75, 1, 1, 1]
    course.cool(20, 10)
    assert [course.factor(step) for step in range(18, 31)] == [
        *(1, 1, 1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0),
    ]
    assert course.factor(40) == 0
    none = Course(filled(epochs=9, patience=1, cooldown=0), 90)
    none.cool(20, 0)
    assert [none.factor(step) for step in (19, 20, 21)] == [1, 0, 0]


# trials

SCENARIOS = """\
encoder: {encoder}
data: {{source: {data}, max_duplicates: 1.0}}
batch_size: 8
seeds: [0, 1, 3]
head: {{dropout: 0}}
precision: fp32
device: cpu
output: {home}/out
scenarios:
  heads: [{{epochs: 9, train: {{heads: 1.0e-1}}, patience: 1, warmup_steps: 2}}]
  never: [{{epochs: 4, train: {{heads: 1.0e-1}}, patience: 9, select: last}}]
  plain: [{{epochs: 4, train: {{heads: 1.0e-1}}, select: last}}]
  two:
    - {{name: heads, epochs: 9, train: {{heads: 1.0e-1}}, patience: 1, cooldown: 0}}
    - {{name: one, epochs: 2, train: {{head.ner: 1.0e-2}}}}
  guided:
    - {{name: heads, epochs: 9, train: {{heads: 1.0e-1}}, patience: 1, cooldown: 0}}
    - {{name: all, epochs: 3, train: {{heads: 1.0e-1}}, guidance: {{patience: 1, min_change: 2.0}}}}
"""


class Bench:
    """Runs trials of one experiment, cached and stacked or plain."""

    def __init__(self, home: Path, encoder: Path) -> None:
        tiny.write_data(home / "data", train=24, validation=16, test=16)
        self.file = home / "early.yaml"
        self.file.write_text(SCENARIOS.format(encoder=encoder, data=home / "data", home=home))
        self.experiment = load(self.file)
        self.runtime: Runtime = resolve(self.experiment)
        self.prepared: Prepared = prepare(self.experiment, self.runtime)[()]
        self.home = home
        self.prefixes = Prefixes(self.runtime, 10**9, home / "cache", print)

    def run(self, scenario: str, *seeds: int, cached: bool = True) -> list[TrialRecord]:
        runs = run_trials(
            self.prepared,
            [Trial(scenario, seed) for seed in seeds],
            self.runtime,
            Journal(self.home / f"{scenario}-{cached}"),
            self.prefixes if cached else None,
            lambda _: None,
        )
        records = [run.record for run in runs]
        assert {record.status for record in records} == {"ok"}, [one.reason for one in records]
        return records


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, encoder: Path) -> Bench:
    return Bench(tmp_path_factory.mktemp("patience"), encoder)


@pytest.fixture(scope="module")
def together(bench: Bench) -> list[TrialRecord]:
    """Seeds that trained as one stack, and ended apart."""
    records = bench.run("heads", *bench.experiment.seeds)
    assert len({record.stages[0].epochs for record in records}) == 3
    return records


def test_a_record_says_when_the_cooldown_began_and_counts_what_was_trained(
    bench: Bench, together: list[TrialRecord]
) -> None:
    longest = max(record.stages[0].epochs for record in together)
    for record in together:
        (stage,) = record.stages
        assert (stage.ended, stage.epochs) == ("patience", stage.constant_epochs + 1)
        assert [epoch.epoch for epoch in record.epochs] == list(range(stage.epochs + 1))
        assert stage.steps == record.epochs[-1].step == 3 * stage.epochs
        assert {len(losses) for losses in record.step_losses.values()} == {stage.steps}
        own = schedule.flops(
            bench.prepared,
            bench.prepared.stage_plans("heads")[0].partition,
            [
                step
                for at in range(stage.epochs)
                for step in schedule.epoch(
                    bench.prepared, bench.prepared.stage_plans("heads")[0].stage, at
                )
            ],
        )
        assert (record.train_flops, record.train_flops_padding) == (own[0], own[0] - own[1])
        assert (
            waiting(
                bench.experiment.scenario("heads").stages[0],
                record.epochs[0].validation,
                record.epochs[1:],
                untrained=True,
            ).constant
            == stage.constant_epochs
        )
        laps = [other.laps["train"] for other in together if other.stages[0].epochs == longest]
        assert record.laps["train"] <= laps[0]


def test_seeds_that_end_apart_are_what_they_are_alone_without_a_cache(
    bench: Bench, together: list[TrialRecord]
) -> None:
    for record in together:
        (plain,) = bench.run("heads", record.seed, cached=False)
        assert plain.stages[0].constant_epochs == record.stages[0].constant_epochs
        assert plain.order_digest == record.order_digest
        for task, losses in record.step_losses.items():
            assert losses == pytest.approx(plain.step_losses[task], rel=1e-4)
        assert [epoch.validation.primary("ner") for epoch in plain.epochs] == pytest.approx(
            [epoch.validation.primary("ner") for epoch in record.epochs]
        )


def test_a_seed_that_has_ended_keeps_its_weights_bit_for_bit(bench: Bench) -> None:
    """Its row of the stack, through the steps of another that trains on at the full rate, or a part
    of it."""
    prepared, device = bench.prepared, bench.runtime.device
    networks = [prepared.fresh_network(seed, device) for seed in (0, 1, 2)]
    plan = prepared.stage_plans("heads")[0]
    steps = schedule.epoch(prepared, plan.stage, 0) * 3
    courses = [Course(plan.stage, len(steps)) for _ in networks]
    courses[0].cool(2, 3)
    courses[1].cool(3, 5)
    depth = len(networks[0].backbone.blocks)
    digests = dict(prepared.pristine_digests)
    states = bench.prefixes.get(prepared, networks[0], digests, depth, "train")
    readings = Readings(prepared, networks[0], states, bench.runtime, bench.home)
    heads = Heads(
        networks,
        (0, 1, 2),
        plan.partition,
        plan.stage,
        len(steps),
        prepared,
        readings,
        bench.runtime,
        courses,
    )

    def rows(number: int) -> list[torch.Tensor]:
        return [tensor[number].clone() for task in heads.stacks for tensor in heads._tensors(task)]

    for at, planned in enumerate(steps):
        before = [rows(number) for number in range(3)]
        heads.train([planned], at, lambda: False)
        for number, course in enumerate(courses):
            same = all(map(torch.equal, before[number], rows(number)))
            assert same == (course.factor(at) == 0), (at, number)
    with heads.in_place():
        pass
    kept = networks[0].heads["ner"].linear.weight
    assert torch.equal(kept, heads.stacks["ner"].weight[0])


def test_until_the_cooldown_a_trial_is_the_one_without_patience_bit_for_bit(bench: Bench) -> None:
    (patient,), (plain,) = bench.run("never", 0), bench.run("plain", 0)
    one, other = patient.stages[0], plain.stages[0]
    assert (one.ended, one.constant_epochs, one.epochs) == ("epochs", 3, 4)
    assert (other.ended, other.constant_epochs, other.epochs) == ("", None, 4)
    assert patient.order_digest == plain.order_digest
    pairs = zip(patient.step_losses["total"], plain.step_losses["total"], strict=True)
    same = [mine == theirs for mine, theirs in pairs]
    # the rate of step 10 is the first that is lower, and step 11 the first to learn of it
    assert same == [True] * 11 + [False]


def test_the_next_stage_begins_where_patience_ended_the_first(bench: Bench) -> None:
    (alone,) = bench.run("two", 3)
    first, second = alone.stages
    assert (first.ended, second.ended, second.constant_epochs) == ("patience", "", None)
    assert first.epochs == first.constant_epochs < 9
    assert [epoch.epoch for epoch in alone.epochs] == list(range(first.epochs + 3))
    assert alone.epochs[-1].step == first.steps + second.steps == 3 * (first.epochs + 2)
    with pytest.raises(AssertionError, match="train in step"):
        bench.run("two", 0, 3)


def test_guidance_of_a_later_stage_is_made_again_from_the_record(bench: Bench) -> None:
    (record,) = bench.run("guided", 3)
    assert record.stages[0].ended == "patience" and record.ledger
    stages = bench.experiment.scenario("guided").stages
    assert guidance.replay(stages, record.epochs) == list(record.ledger)


def test_an_undecided_key_is_as_before_and_a_decided_one_is_not(bench: Bench) -> None:
    keys = {
        name: bench.prepared.key(Trial(name, 0), bench.runtime)
        for name in bench.experiment.scenarios
    }
    assert len(set(keys.values())) == len(keys)
    stages = json.dumps(
        [one.model_dump(mode="json") for one in bench.experiment.scenario("plain").stages]
    )
    recipe = json.dumps(bench.experiment.model_dump(mode="json", exclude={"scenarios"}))
    for name in ("patience", "cooldown", "warmup_steps"):
        assert f'"{name}"' not in stages + recipe


def test_what_patience_may_save_is_told_as_an_upper_bound(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", str(bench.file)]) == 0
    shown = capsys.readouterr().out
    assert "  heads: up to 9 epochs, up to 27 steps of 8, losses classifier + ner\n" in shown
    assert "    patience 1, then a cooldown of 1 epoch\n" in shown
    assert "  plain: 4 epochs, 12 steps of 8, losses" in shown
    costs = {line.split()[0]: line for line in shown.splitlines() if "  plain " in line}
    assert "plain up to" in costs["heads"] and "floor up to" in costs["heads"]
    assert "up to" not in costs["plain"] and "up to" in costs["together"]
    PlainProgress().begin(30, 1000, Pace(1.0, 0.9, 1.3, at_most=True))
    line = "30 trials, up to about 22 min on this machine, less where patience ends a stage early\n"
    assert capsys.readouterr().out == line


def test_a_suite_whose_stages_end_early_has_done_all_when_it_ends(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tracking: str, no_figures: None
) -> None:
    shown = PlainProgress()
    monkeypatch.setattr("mtlab.comparing.progress", lambda: shown)
    assert main(["compare", str(bench.file), "--scenarios", "heads", "--seeds", "0", "3"]) == 0
    _, trials = Journal(bench.home / "out").read()
    assert [trial.stages[0].ended for trial in trials] == ["patience", "patience"]
    assert shown.done == shown.work > 0
