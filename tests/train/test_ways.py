"""Published ways of freezing, end to end: parts of blocks, rates that fall, blocks drawn anew."""

import re
from pathlib import Path
from typing import Any

import pytest

from mtlab.cli import main
from mtlab.model import reinit
from mtlab.plan.experiment import load
from mtlab.plan.scenario import Trial
from mtlab.record.records import StageRecord
from mtlab.train import outcome
from mtlab.train.loop import step
from mtlab.train.prepare import prepare
from mtlab.train.runtime import resolve
from mtlab.train.stage import StageRunner
from mtlab.train.state import TrialState
from mtlab.train.trial import run_trials
from tests.conftest import EXPERIMENT
from tests.train.test_prefix import Setting, same

SCENARIOS = """\
scenarios:
  bitfit: [{epochs: 2, train: {biases: 1.0e-2, heads: 1.0e-2}}]
  top_norms: [{epochs: 2, train: {"layers[-1].norms": 1.0e-2, heads: 1.0e-2}}]
  falling: [{epochs: 1, train: {encoder: {rate: 1.0e-3, decay: 0.5}, heads: 1.0e-2}}]
  probe_of_new: [{epochs: 2, reinit: "layers[-1:]", train: {heads: 1.0e-2}}]
  all_at_once:
    - {name: heads, epochs: 1, train: {heads: 1.0e-2}}
    - name: new
      epochs: 2
      reinit: "layers[-1:].ffn"
      train: {"layers[-1:].norms": 2.0e-3, "layers[-2:]": {rate: 1.0e-3, decay: 0.5}, heads: 1.0e-2}
    - {name: all, epochs: 1, train: {encoder: 1.0e-3, heads: 1.0e-2}}
"""


def write(directory: Path, encoder: Path, data: Path, more: str = "") -> Path:
    path = directory / "ways.yaml"
    head, _, _ = EXPERIMENT.partition("scenarios:\n")
    text = head.format(encoder=encoder, data=data).replace("control: full", "control: bitfit")
    path.write_text(text + SCENARIOS + f"output: {directory / 'report'}\n" + more)
    return path


@pytest.fixture
def file(tmp_path: Path, encoder: Path, data: Path) -> Path:
    return write(tmp_path, encoder, data)


@pytest.fixture
def made(file: Path) -> Setting:
    return Setting(file)


def certified(stage: StageRecord) -> None:
    """Of units and sub-units, those that train changed and the others did not."""
    for unit, counts in (stage.parameters | stage.parts).items():
        moved = stage.digests_before[unit] != stage.digests_after[unit]
        assert moved is bool(counts.trainable), unit


def test_a_record_says_part_by_part_what_trained(made: Setting) -> None:
    (record,) = made.run("top_norms")
    (stage,) = record.stages
    certified(stage)
    counts = stage.parameters["layers[2]"]
    assert (counts.trainable, counts.frozen) == (128, 8544 - 128)
    assert stage.parts["layers[2].norms.weights"].trainable == 64
    assert stage.parts["layers[2].attention.biases"].frozen == 128
    assert {unit.partition(".")[0] for unit in stage.parts} == {"layers[2]"}
    assert stage.params_trainable == 128 + 231 and stage.prefix_depth == 2
    (record,) = made.run("falling")
    (stage,) = record.stages
    assert stage.decay == {"encoder": 0.5} and stage.train["encoder"] == 1e-3 and not stage.parts


def test_stages_that_name_no_part_leave_records_as_they_were(made: Setting) -> None:
    (record,) = made.run("all_at_once")
    first, second, third = record.stages
    for stage in record.stages:
        certified(stage)
    written = [stage.model_dump(mode="json") for stage in (first, third)]
    assert not any({"parts", "decay", "reinit"} & fields.keys() for fields in written)
    assert second.reinit == ("layers[-1:].ffn",) and second.parts
    assert first.digests_after["layers[2]"] != second.digests_before["layers[2]"]
    assert first.digests_after["layers[1]"] == second.digests_before["layers[1]"]


@pytest.mark.parametrize(
    "scenario",
    ["top_norms", "probe_of_new", pytest.param("all_at_once", marks=pytest.mark.nightly)],
)
def test_the_cache_changes_nothing(scenario: str, file: Path, tmp_path: Path) -> None:
    """Heads without dropout: those that train alone draw their masks otherwise."""
    cached = Setting(file, head__dropout=["0"])
    plain = Setting(file, head__dropout=["0"], cache=["off"], output=[str(tmp_path / "plain")])
    (one,), (other,) = cached.run(scenario, 1), plain.run(scenario, 1)
    same(one, other)
    assert one.laps["cache"] > 0 and other.laps["cache"] == 0


def test_seeds_draw_blocks_of_their_own_and_so_do_not_train_together(made: Setting) -> None:
    plans = made.prepared.stage_plans("probe_of_new")
    assert [(plan.cached_depth, plan.untouched, plan.stacks) for plan in plans] == [
        (3, False, False)
    ]
    last = [plan.untouched for plan in made.prepared.stage_plans("all_at_once")]
    assert last == [True, True, True]  # block 0 and the embeddings; then nothing is cached
    records = [made.run("probe_of_new", seed)[0] for seed in (0, 1)]
    digests = {record.stages[0].digests_before["layers[2]"] for record in records}
    assert len(digests | {made.prepared.pristine_digests["layers[2]"]}) == 3


def ending(made: Setting, scenario: str) -> str:
    trials = [Trial(scenario, 0)]
    states = run_trials(
        made.prepared, trials, made.runtime, made.journal, made.prefixes, lambda _: None
    )
    return states[0].record.ending


def test_a_frozen_part_that_moves_in_a_step_fails_the_trial(
    made: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = step.Learner.step

    def moving(self: step.Learner, forward: Any, *rest: Any) -> Any:
        forward.network.encoder.encoder.layer[2].output.dense.bias.data.add_(1e-3)
        return honest(self, forward, *rest)

    monkeypatch.setattr(step.Learner, "step", moving)
    assert (
        ending(made, "top_norms") == "certificate broken: frozen unit layers[2].ffn.biases changed"
    )


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (outcome, "frozen unit layers[2].ffn.weights changed after its last stage"),
        (StageRunner, "weights changed between two stages"),
    ],
)
def test_a_frozen_part_that_moves_between_stages_or_before_the_test_fails_the_trial(
    place: Any, message: str, made: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    def move(state: TrialState) -> None:
        state.network.encoder.encoder.layer[2].output.dense.weight.data[0] += 1.0

    name = "select" if place is outcome else "_freeze"
    honest = getattr(place, name)

    def moved(first: Any, second: Any) -> Any:
        move(first if place is outcome else second)
        return honest(first, second)

    monkeypatch.setattr(place, name, moved)
    assert ending(made, "top_norms") == f"certificate broken: {message}"


def test_blocks_that_were_not_drawn_anew_fail_the_trial(
    made: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reinit, "draw", lambda *_: None)
    assert ending(made, "probe_of_new") == "certificate broken: layers[2] was not drawn anew"


def test_rates_of_the_optimizer_are_those_of_the_partition(
    made: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[float]] = []
    honest = step.Learner.step

    def watching(self: step.Learner, forward: Any, *rest: Any) -> Any:
        seen.append([group["lr"] for group in self.optimizer.param_groups])
        held = {id(weight) for group in self.optimizer.param_groups for weight in group["params"]}
        table = self.vocabulary
        trained = {
            id(table.weight if table is not None and table.stands_for(weight) else weight)
            for weight in forward.network.parameters()
            if weight.requires_grad
        }
        assert held == trained
        return honest(self, forward, *rest)

    monkeypatch.setattr(step.Learner, "step", watching)
    made.run("falling")
    assert seen[0] == pytest.approx([1.25e-4, 2.5e-4, 5e-4, 1e-3, 1e-2])
    made.run("bitfit")
    assert seen[-1] == [1e-2, 1e-2]


def test_the_plan_says_what_is_drawn_what_trains_and_at_which_rates(
    file: Path, capsys: pytest.CaptureFixture
) -> None:
    assert main(["plan", str(file)]) == 0
    shown = capsys.readouterr().out
    for line in (
        "trains          896  at 0.01: layers[0:3].attention.biases 3 × 128, layers[0:3].ffn.biases 3 × 96, "
        "embeddings.norms.biases 32, layers[0:3].norms.biases 3 × 64",
        "trains        6,016  at 0.000125: embeddings 6,016",
        "trains        8,544  at 0.0005: layers[1] 8,544",
        "draws         8,544  anew: layers[2] 8,544",
        "draws         4,192  anew: layers[2].ffn.biases 96, layers[2].ffn.weights 4,096",
        "trains          128  at 0.002: layers[2].norms.biases 64, layers[2].norms.weights 64",
    ):
        assert f"    {line}\n" in shown, line
    plain, floor = (
        float(re.search(rf"top_norms .*{word} +(\S+)", shown)[1]) for word in ("plain", "floor")
    )
    assert floor <= plain


def test_a_new_block_that_is_not_there_is_one_line(
    file: Path, capsys: pytest.CaptureFixture
) -> None:
    option = "--scenarios.probe_of_new.0.reinit"
    assert main(["plan", str(file), option, "layers[7]"]) == 2
    line = "selector 'layers[7]' is out of range; the encoder has layers[0:3]"
    assert f"{option}: {line}" in capsys.readouterr().err


def test_a_suite_of_them_is_reported(file: Path, tracking: str, tmp_path: Path) -> None:
    named = ["--scenarios", "bitfit", "falling", "probe_of_new", "--seeds", "0"]
    assert main(["compare", str(file), *named]) == 0
    report = (tmp_path / "report" / "report.md").read_text()
    assert (
        "trains `head.classifier`, `head.ner`, trains parts of `embeddings`, `layers[0]` to `layers[2]`"
        in report
    )
    assert "`encoder` 0.001 (× 0.5 for each block down), `heads` 0.01" in report
    assert "after drawing `layers[-1:]` anew" in report
    assert "**Not in:**" not in report
    certified_claims = re.findall(r"\*\*(\d+) of (\d+)\*\*", report)
    assert certified_claims and all(holds == of for holds, of in certified_claims)


def test_swept_rates_may_have_a_decay_and_so_may_settings(
    tmp_path: Path, encoder: Path, data: Path
) -> None:
    more = """\
settings:
  scenarios.falling.0.train.encoder: [1.0e-3, {rate: 2.0e-3, decay: 0.9}, {decay: 0.8}]
  scenarios.bitfit.0.train.biases: [1.0e-3, 2.0e-3, 3.0e-3]
sweep:
  scenarios.falling.0.train.encoder.decay: [0.7, 0.6]
"""
    settings, _, sweep = more.partition("sweep:")
    set_ = load(write(tmp_path, encoder, data, settings))
    stages = [set_.at(point).scenarios["falling"][0] for point in set_.points]
    assert [(stage.train["encoder"], stage.decay) for stage in stages] == [
        (1e-3, {}),
        (2e-3, {"encoder": 0.9}),
        (1e-3, {"encoder": 0.8}),
    ]
    swept = load(write(tmp_path, encoder, data, f"sweep:{sweep}"))
    stages = [swept.at(point).scenarios["falling"][0] for point in swept.points]
    assert [stage.decay for stage in stages] == [{"encoder": 0.7}, {"encoder": 0.6}]
    assert {stage.train["encoder"] for stage in stages} == {1e-3}
    assert (
        load(write(tmp_path, encoder, data), {"scenarios.falling.0.train.encoder": ["2.0e-3"]})
        .scenarios["falling"][0]
        .decay
        == {}
    )


def test_new_keys_are_in_the_key_of_their_trials_alone(made: Setting, file: Path) -> None:
    changed = load(
        file,
        {
            "scenarios.falling.0.train.encoder.decay": ["0.6"],
            "scenarios.probe_of_new.0.reinit": ["layers[-2:]"],
        },
    )
    other = prepare(changed, resolve(changed))[()]
    same_key = {
        name: made.prepared.key(Trial(name, 0), made.runtime)
        == other.key(Trial(name, 0), made.runtime)
        for name in changed.scenarios
    }
    assert {name for name, equal in same_key.items() if not equal} == {"falling", "probe_of_new"}
