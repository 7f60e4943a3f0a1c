"""Stages in which not all blocks train all the time, and the average with the start, end to end."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mtlab.cli import main
from mtlab.data import batches
from mtlab.model import block_choice
from mtlab.model.losses import losses_of
from mtlab.model.network import Network
from mtlab.plan.block_choice import FreezeWhen, Rotate
from mtlab.plan.scenario import Trial
from mtlab.record.pieces import joined
from mtlab.record.quality import selection_score
from mtlab.record.records import StageRecord
from mtlab.train import outcome, pieces
from mtlab.train.loop import block_choice as scoring
from mtlab.train.loop import schedule, step
from mtlab.train.state import TrialState
from mtlab.train.trial import run_trials
from tests.conftest import EXPERIMENT
from tests.train.test_prefix import Setting, same
from tests.train.test_ways import certified

SCENARIOS = """\
scenarios:
  probe: [{epochs: 1, train: {heads: 1.0e-2}}]
  turning: [{name: turns, epochs: 3, train: {encoder: 1.0e-3, heads: 1.0e-2}, rotate: {blocks: 1}}]
  patient: [{epochs: 6, patience: 5, train: {"layers[0:]": 1.0e-3, heads: 1.0e-1}, rotate: {blocks: 1, every: 2, order: up}}]
  fisher:
    - {epochs: 1, train: {heads: 1.0e-2}}
    - {epochs: 1, train: {"layers[0:]": 1.0e-3, heads: 1.0e-2}, choose: {blocks: 1, batches: 2}}
  relative: [{epochs: 1, train: {"layers[0:]": 1.0e-3, heads: 1.0e-2}, choose: {blocks: 2, batches: 1, by: relative_gradient}}]
  freezing: [{epochs: 6, train: {encoder: 1.0e-3, heads: 1.0e-2}, freeze_when: {percentile: 100}}]
  averaged:
    - {name: heads, epochs: 1, train: {heads: 1.0e-2}}
    - {name: all, epochs: 2, train: {encoder: 1.0e-3, heads: 1.0e-2}, average: 0.25}
  not_averaged:
    - {name: heads, epochs: 1, train: {heads: 1.0e-2}}
    - {name: all, epochs: 2, train: {encoder: 1.0e-3, heads: 1.0e-2}}
  together:
    - {name: heads, epochs: 1, train: {heads: 1.0e-2}}
    - name: norms in turn
      epochs: 3
      train: {norms: {rate: 1.0e-3, decay: 0.5}, heads: 1.0e-2}
      rotate: {blocks: 2, order: down}
      average: 0.5
"""


@pytest.fixture
def file(tmp_path: Path, encoder: Path, data: Path) -> Path:
    path = tmp_path / "chosen.yaml"
    head, _, _ = EXPERIMENT.partition("scenarios:\n")
    text = head.format(encoder=encoder, data=data).replace("control: full\n", "")
    path.write_text(text + SCENARIOS + f"output: {tmp_path / 'report'}\n")
    return path


@pytest.fixture
def made(file: Path) -> Setting:
    return Setting(file)


def end(made: Setting, scenario: str, seed: int = 0) -> TrialState:
    """A trial as it ended."""
    trials = [Trial(scenario, seed)]
    (state,) = run_trials(
        made.prepared, trials, made.runtime, made.journal, made.prefixes, lambda _: None
    )
    return state


def training(stage: StageRecord) -> tuple[str, ...]:
    """The blocks of which anything trained."""
    counts = stage.parameters
    return tuple(name for name in counts if name.startswith("layers") and counts[name].trainable)


def test_a_rotation_trains_some_blocks_at_a_time_and_all_else_throughout(made: Setting) -> None:
    (record,) = made.run("turning")
    rule, blocks = Rotate(blocks=1), [f"layers[{index}]" for index in range(3)]
    turns = [block_choice.turn(rule, blocks, number, 0) for number in range(3)]
    assert [training(piece) for piece in record.stages] == turns
    for piece in record.stages:
        certified(piece)
        assert piece.epochs == 1 and piece.chooses == "rotate"
        assert piece.parameters["embeddings"].trainable and piece.parameters["head.ner"].trainable
    assert [piece.name for piece in record.stages] == [f"turns ({turn[0]})" for turn in turns]


def test_turns_are_drawn_by_the_seed_and_go_round_in_order() -> None:
    blocks = [f"layers[{index}]" for index in range(6)]

    def turns(seed: int = 0, **rule: Any) -> list[list[int]]:
        chosen = (block_choice.turn(Rotate(blocks=2, **rule), blocks, n, seed) for n in range(40))
        return [[blocks.index(block) for block in some] for some in chosen]

    assert turns(order="up")[:4] == [[0, 1], [2, 3], [4, 5], [0, 1]]
    assert turns(order="down")[:4] == [[4, 5], [2, 3], [0, 1], [4, 5]]
    assert turns() == turns() != turns(seed=1)
    times = [sum(index in turn for turn in turns()) for index in range(6)]
    assert all(len({*turn}) == 2 for turn in turns()) and min(times) > 4


def test_what_a_rotation_trains_costs_what_it_says(made: Setting) -> None:
    (record,) = made.run("turning")
    counter, prepared = made.prepared.counter, made.prepared
    (plan,) = prepared.stage_plans("turning")
    total = sum(
        schedule.flops(prepared, plan.at(number), steps)[0]
        for number, steps in enumerate(schedule.epochs(prepared, plan))
    )
    assert record.train_flops == total  # the plan has the turns of seed 0
    whole = counter.step(plan.partition, ("classifier", "ner")).padded(8, 10)
    assert counter.step(plan.at(0), ("classifier", "ner")).padded(8, 10) < whole


def test_patience_rates_and_the_cooldown_go_on_from_piece_to_piece(
    made: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: list[float] = []
    honest = step.Learner.step

    def watching(self: step.Learner, *rest: Any) -> Any:
        rates.append(self.optimizer.param_groups[-1]["lr"])
        return honest(self, *rest)

    monkeypatch.setattr(step.Learner, "step", watching)
    (record,) = made.run("patient")
    constant = record.stages[-1].constant_epochs
    epochs = sum(piece.epochs for piece in record.stages)
    assert (constant, record.stages[-1].ended) == (5, "epochs")
    assert epochs == 6 == len(record.epochs) - 1 and len(record.stages) == 3
    each = len(rates) // epochs
    assert {*rates[: each * constant]} == {0.1}
    falling = rates[each * constant :]
    assert falling == sorted(falling, reverse=True) and falling[-1] == pytest.approx(0.1 / each)


def scores_by_hand(state: TrialState, network: Network, batch_count: int) -> dict[str, float]:
    """The mean squared gradient of each block, one sentence of the training data after another."""
    prepared, losses = state.setup.prepared, losses_of(state.setup.prepared.corpus.tasks)
    (_, plan) = prepared.stage_plans("fisher")
    steps = schedule.epoch(prepared, plan.stage, 1)[:batch_count]
    network.eval()
    for parameter in network.parameters():
        parameter.requires_grad_(True)
    total = dict.fromkeys(range(3), 0.0)
    count = 0
    for number in (number for planned in steps for number in planned.ids):
        batch = batches.collate(prepared.encoded["train"].examples, (number,), prepared.pad_id)
        logits = network(batch.input_ids, batch.attention_mask, ("classifier", "ner"))
        loss = sum(
            losses[task].total(
                logits[task].flatten(0, -2) if logits[task].dim() > 2 else logits[task],
                batch.targets[task].flatten(),
            )
            / losses[task].given(batch.targets[task]).sum()
            for task in logits
        )
        network.zero_grad()
        loss.backward()
        count += 1
        for index in total:
            block = network.encoder.encoder.layer[index]
            total[index] += sum(float((p.grad**2).sum()) for p in block.parameters())
    size = sum(p.numel() for p in network.encoder.encoder.layer[0].parameters())
    return {f"layers[{index}]": value / count / size for index, value in total.items()}


def test_fisher_scores_are_those_of_training_sentences_and_choose_the_highest(
    made: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_hand: dict[str, float] = {}
    honest = pieces.first

    def first(state: TrialState, stage: Any) -> Any:
        by_hand.update(scores_by_hand(state, state.network, 2))
        return honest(state, stage)

    monkeypatch.setattr("mtlab.train.trial.pieces.first", first)
    (record,) = made.run("fisher")
    heads, chosen = record.stages
    assert not heads.scores and chosen.chooses == "choose"
    assert chosen.scores == pytest.approx(by_hand, rel=1e-4)
    assert training(chosen) == (max(by_hand, key=lambda block: by_hand[block]),)
    certified(chosen)
    plans = made.prepared.stage_plans("fisher")
    steps = sum(
        schedule.flops(made.prepared, partition, made_steps)[0]
        for partition, made_steps in (
            (plans[0].partition, next(schedule.epochs(made.prepared, plans[0]))),
            (block_partition(made, chosen), next(schedule.epochs(made.prepared, plans[1]))),
            (plans[1].partition, scoring.looked_at(made.prepared, plans[1].stage, 1)),
        )
    )
    assert record.train_flops == steps  # the look at the scores costs too


def block_partition(made: Setting, chosen: StageRecord) -> Any:
    from mtlab.model import freezing

    (_, plan) = made.prepared.stage_plans("fisher")
    stage = block_choice.only(plan.stage, [*chosen.scores], training(chosen))
    return freezing.resolve(stage, made.prepared.counter.network)


def test_relative_gradients_choose_blocks_too(made: Setting) -> None:
    (record,) = made.run("relative")
    (stage,) = record.stages
    ranked = sorted(stage.scores, key=lambda block: -stage.scores[block])
    assert set(training(stage)) == {*ranked[:2]} and all(stage.scores.values())


def test_blocks_are_frozen_below_the_first_whose_gradients_still_change() -> None:
    rule = FreezeWhen(percentile=50)
    before = {"a": 10.0, "b": 10.0, "c": 10.0, "d": 10.0}
    now = {"a": 10.1, "b": 9.8, "c": 15.0, "d": 5.0}
    frozen, changes = scoring.still(rule, before, now)
    assert changes == pytest.approx({"a": 0.01, "b": 0.02, "c": 0.5, "d": 0.5})
    assert frozen == ["a", "b"]
    assert scoring.still(rule, {}, now) == ([], {})
    only_above = {"a": 20.0, "b": 10.0, "c": 10.0, "d": 10.0}
    assert scoring.still(rule, before, only_above)[0] == []  # the lowest changes most
    same_change = dict.fromkeys(before, 11.0)
    assert scoring.still(FreezeWhen(percentile=100), before, same_change)[0] == []


def test_sums_of_gradients_begin_anew_after_each_look(made: Setting) -> None:
    network = made.prepared.fresh_network(0, made.runtime.device)
    (plan,) = made.prepared.stage_plans("freezing")
    sums = scoring.GradientSums.over(network, plan.partition)
    for block in network.encoder.encoder.layer:
        for weight in block.parameters():
            weight.grad = torch.full_like(weight, -0.5)
    size = sum(weight.numel() for weight in network.encoder.encoder.layer[0].parameters())
    sums.after_backward()
    sums.after_backward()
    assert sums.take() == {f"layers[{index}]": float(size) for index in range(3)}
    sums.after_backward()
    assert sums.take()["layers[0]"] == size / 2


def test_freezing_on_the_way_goes_up_and_takes_the_embeddings_with_it(
    file: Path, made: Setting, tmp_path: Path
) -> None:
    (record,) = made.run("freezing", 1)
    first, second, last = record.stages
    assert first.epochs >= 2 and not first.scores and first.prefix_depth == 0
    depths = [piece.prefix_depth for piece in record.stages]
    assert depths == sorted({*depths}) and depths[1] > 0
    for piece in record.stages:
        certified(piece)
        trained = training(piece)
        assert trained == tuple(f"layers[{index}]" for index in range(piece.prefix_depth, 3))
        assert bool(piece.parameters["embeddings"].trainable) is not bool(piece.prefix_depth)
    assert [*second.scores] == [f"layers[{index}]" for index in range(3)]
    assert [*last.scores] == ["layers[1]", "layers[2]"]
    for piece in (second, last):
        assert max(piece.scores, key=lambda block: piece.scores[block]) == training(piece)[0]
    plain = Setting(file, cache=["off"], output=[str(tmp_path / "plain")])
    (other,) = plain.run("freezing", 1)
    same(record, other)
    assert record.laps["cache"] > 0


def weights(state: TrialState) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in state.network.named_parameters()}


def test_an_average_is_a_share_of_what_trained_and_the_rest_of_where_the_stage_began(
    made: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    began: dict[str, torch.Tensor] = {}
    honest = outcome.hand_on

    def hand_on(state: TrialState, stage: Any) -> None:
        honest(state, stage)
        if stage.name == "heads":
            began.update(weights(state))

    monkeypatch.setattr(outcome, "hand_on", hand_on)
    trained = end(made, "not_averaged")
    averaged = end(made, "averaged")
    final = weights(trained)
    for name, weight in weights(averaged).items():
        expected = began[name] + 0.25 * (final[name] - began[name])
        torch.testing.assert_close(weight, expected, rtol=1e-5, atol=1e-7)
    one, other = trained.record, averaged.record
    assert (
        one.step_losses == other.step_losses
        and one.epochs[-1].validation == other.epochs[-1].validation
    )
    assert other.selection and other.selection.rule.endswith("averaged with the start of the stage")
    assert other.validation == outcome.evaluate(averaged, "validation")[0] != one.validation
    assert other.selection.epoch == one.selection.epoch
    assert other.selection.score == selection_score(other.validation, ("classifier", "ner"))
    assert other.selection.score != one.selection.score
    assert other.test == outcome.evaluate(averaged, "test")[0]
    assert other.stages[-1].average == 0.25 and other.final_digest != one.final_digest


def test_an_average_with_another_start_fails_the_trial(
    made: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = outcome.select

    def select(state: TrialState, stage: Any) -> None:
        first = next(iter(state.choice.start))
        state.choice.start = {**state.choice.start, first: state.choice.start[first] + 1e-6}
        honest(state, stage)

    monkeypatch.setattr(outcome, "select", select)
    assert end(made, "averaged").record.ending == (
        "certificate broken: the weights to average with are not what the stage began with"
    )


def test_two_mechanisms_that_nobody_put_together_work_together(made: Setting) -> None:
    state = end(made, "together")
    record = state.record
    assert record.ok
    heads, *turns = record.stages
    for piece in record.stages:
        certified(piece)
    assert [training(piece) for piece in turns] == [
        ("layers[1]", "layers[2]"),
        ("layers[0]", "layers[2]"),
        ("layers[0]", "layers[1]"),
    ]
    assert all(piece.parts and piece.decay and piece.average == 0.5 for piece in turns)
    began, ended = heads.digests_after, state.passes.digests
    moved = {unit for unit in ended if ended[unit] != began[unit]}
    assert moved == {unit for unit in ended if not unit.startswith("after")}


def test_blocks_are_drawn_anew_whosever_turn_it_is(made: Setting, file: Path) -> None:
    changed = Setting(file, **{"scenarios__turning__0__reinit": ["layers[0:]"]})
    (record,) = changed.run("turning")
    first, *later = record.stages
    pretrained = changed.prepared.pristine_digests
    for block in ("layers[0]", "layers[1]", "layers[2]"):
        assert first.digests_before[block] != pretrained[block]
    assert first.reinit and not any(piece.reinit for piece in later)


def test_a_score_that_is_not_finite_is_one_line(file: Path) -> None:
    """The biases of a new encoder are 0."""
    relative = '"layers[0:]": 1.0e-3, heads: 1.0e-2}, choose: {blocks: 2'
    text = file.read_text()
    assert text.count(relative) == 1
    file.write_text(text.replace(relative, relative.replace('"layers[0:]"', "biases")))
    made = Setting(file)
    for name, weight in made.prepared.pristine.model.named_parameters():
        weight.data.mul_(0.0 if name.endswith("bias") else 1.0)
    assert end(made, "relative").record.ending == (
        "refused: choose.by: a block has no relative gradient, for all its weights that train are 0; write `by: fisher`"
    )


def test_stages_in_a_row_are_told_apart(made: Setting) -> None:
    (record,) = made.run("turning")
    more = [
        piece.model_copy(update={"of": 1, "name": piece.name.replace("turns", "turns (2)")})
        for piece in record.stages
    ]
    one, other = joined([*record.stages, *more])
    assert (one.name, other.name, one.epochs, other.epochs) == ("turns", "turns (2)", 3, 3)
    whole = sum(count.trainable + count.frozen for count in one.parameters.values())
    assert whole == one.params_total == one.params_trainable + one.params_frozen


def move(block: int) -> Callable[..., Any]:
    honest = step.Learner.step

    def moving(self: step.Learner, forward: Any, *rest: Any) -> Any:
        forward.network.encoder.encoder.layer[block].output.dense.bias.data.add_(1e-3)
        return honest(self, forward, *rest)

    return moving


def test_a_block_whose_turn_it_is_not_fails_the_trial_when_it_moves(
    made: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = [f"layers[{index}]" for index in range(3)]
    (turn,) = block_choice.turn(Rotate(blocks=1), blocks, 0, 0)
    other = next(block for block in blocks if block != turn)
    monkeypatch.setattr(step.Learner, "step", move(int(other[7])))
    assert end(made, "turning").record.ending == f"certificate broken: frozen unit {other} changed"


def test_the_best_epoch_of_an_earlier_turn_brings_all_blocks_back(
    made: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What trained only after the best epoch must stand as it did in it."""
    kept: list[dict[str, torch.Tensor]] = []
    honest = outcome.remember

    def remember(state: TrialState, stage: Any, piece: int) -> None:
        if not kept:
            kept.append(weights(state))
            honest(state, stage, piece)  # no later epoch is the best

    monkeypatch.setattr(outcome, "remember", remember)
    state = end(made, "turning")
    assert state.record.selection and state.record.selection.epoch == 1
    assert all(torch.equal(weight, kept[0][name]) for name, weight in weights(state).items())


LINES = {
    "rotate: {blocks: 3}": "rotate: rotate needs more than 3 blocks to choose among, and `train` names 3",
    "rotate: {blocks: 1, every: 0}": "rotate.every: 0 is not 1 or more",
    "rotate: {blocks: 1}, choose: {blocks: 1}": "rotate: choose and rotate both choose blocks; keep one",
    "choose: {blocks: 1}, reinit: 'layers[-1]'": "choose: choose needs the weights that reinit replaces",
    "rotate: {blocks: 1}, guidance: {}": "rotate: guidance and rotate both change what a stage trains",
    "average: 0.5": "average: head.classifier begins at random, and an average with that says nothing",
    "average: 1.5": "average: 1.5 is not below 1",
    "rotate: {blocks: 1, every: 3}": "rotate.every: the 3 epochs of the stage are one turn",
    "freeze_when: {every: 2}": "freeze_when.every: two looks come first, and the stage has 3 epochs",
    "freeze_when: {percentile: 50, when: x}": "freeze_when.when: unknown key; ",
    "withheld: [embeddings]": "withheld: unknown key; ",
}
"""Settings of a stage to how the line about them begins."""


@pytest.mark.parametrize("stage", LINES)
def test_what_cannot_be_is_one_line(
    stage: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = file.read_text()
    old = "rotate: {blocks: 1}}]\n"
    assert text.count(old) == 1
    file.write_text(text.replace(old, f"{stage}}}]\n"))
    assert main(["plan", str(file)]) == 2
    assert f"scenarios.turning.0.{LINES[stage]}" in capsys.readouterr().err


def test_the_plan_says_which_blocks_train_when(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", str(file)]) == 0
    shown = capsys.readouterr().out
    for line in (
        "trains 1 of 3 blocks at a time, others every 1 epoch, order random",
        "chooses 1 of 3 blocks by fisher; FLOPs are those of the lowest ones, the most that it may take",
        "every 1 epoch: freezes the lowest blocks, up to the first whose gradients change by percentile 100 or more",
        "is tested with start + 0.25 × (trained − start)",
    ):
        assert f"    {line}\n" in shown, line


def test_a_suite_of_them_is_reported(file: Path, tracking: str, tmp_path: Path) -> None:
    named = ["--scenarios", "turning", "averaged", "freezing", "fisher", "--seeds", "0"]
    assert main(["compare", str(file), *named]) == 0
    report = (tmp_path / "report" / "report.md").read_text()
    assert "**Not in:**" not in report and "Traceback" not in report
    assert (
        "- `turning`: 3 epochs: trains `embeddings`, `head.classifier`, `head.ner`, "
        "trains `layers[0]`, `layers[2]` for some of the epochs, freezes `layers[1]`."
    ) in report
    assert "tested with 0.25 of what trained and the rest of where it began" in report
    assert "| `turning` | 0 | some blocks at a time | 2 | 0 | 1 |" in report
    assert "In 3 trials not all blocks that the stage names train all the time." in report
