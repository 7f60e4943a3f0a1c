"""Staged experiments: a checkpoint, what is trained on top of it, and what becomes of what it
knew."""

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional

from mtlab.cli import main
from mtlab.data import batches
from mtlab.model import freezing
from mtlab.model.losses import losses_of
from mtlab.plan.errors import UserError
from mtlab.plan.experiment import load
from mtlab.plan.scenario import Stage, Trial
from mtlab.record.journal import Journal
from mtlab.record.records import TrialRecord
from mtlab.train.continual import forgetting, mitigation
from mtlab.train.continual.forgetting import cka
from mtlab.train.continual.mitigation import Anchor, Teacher
from mtlab.train.loop import schedule, step
from mtlab.train.prepare import Prepared, prepare
from mtlab.train.runtime import Runtime, resolve
from mtlab.train.source_trials import Starts
from mtlab.train.trial import run_trials
from tests import tiny
from tests.conftest import made_once

EXPERIMENT = """\
encoder: {encoder}
start:
  data: {{source: {source}, max_duplicates: 1.0}}
  stages: [{{epochs: 8, train: {{encoder: 1.0e-3, heads: 1.0e-2}}}}]
data: {{source: {target}, max_duplicates: 1.0}}
batch_size: 8
seeds: [0, 1]
precision: fp32
device: cpu
control: full
scenarios:
  nothing: [{{epochs: 0}}]
  head_alone: [{{epochs: 2, losses: [ner], train: {{head.ner: 1.0e-2}}}}]
  around: [{{epochs: 2, losses: [ner], train: {{encoder: 1.0e-3, head.ner: 1.0e-2}}}}]
  gradual:
    - {{name: head, epochs: 1, losses: [ner], train: {{head.ner: 1.0e-2}}}}
    - {{name: all, epochs: 1, losses: [ner], train: {{encoder: 1.0e-3, heads: 1.0e-2}}}}
  full: [{{epochs: 2, losses: [ner], train: {{encoder: 1.0e-3, heads: 1.0e-2}}}}]
  replayed: [{{epochs: 2, losses: [ner], train: {{encoder: 1.0e-3, head.ner: 1.0e-2}}, rehearsal: 0.25}}]
  pulled: [{{epochs: 2, losses: [ner], train: {{encoder: 1.0e-3, head.ner: 1.0e-2}}, l2_sp: 10.0}}]
  adapters: [{{epochs: 2, losses: [ner], train: {{lora: 1.0e-2, head.ner: 1.0e-2}}}}]
  taught: [{{epochs: 2, losses: [ner], train: {{encoder: 1.0e-3, head.ner: 1.0e-2}}, distillation: 10.0}}]
"""


def write_target(directory: Path) -> Path:
    """Sentences of another kind: the label that follows from the words is the next one, and one
    label is new."""
    after = dict(zip(tiny.TOPICS, [*list(tiny.TOPICS)[1:], "new"], strict=True))
    directory.mkdir()
    for seed, (split, count) in enumerate({"train": 64, "validation": 16, "test": 24}.items()):
        rows = [{**row, "label": after[row["label"]]} for row in tiny.sentences(count, 50 + seed)]
        (directory / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return directory


def write(directory: Path, encoder: Path, data: Path) -> Path:
    file = directory / "staged.yaml"
    file.write_text(
        EXPERIMENT.format(encoder=encoder, source=data, target=write_target(directory / "target"))
    )
    return file


@pytest.fixture(scope="module")
def home(
    tmp_path_factory: pytest.TempPathFactory, encoder: Path, data: Path, empty_database: Path
) -> Path:
    """A staged suite that ran through the command line once; none of the tests changes it."""

    def make(home: Path) -> None:
        shutil.copy(empty_database, home / "mlflow.db")
        write(home, encoder, data)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(home)
            patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home / 'mlflow.db'}")
            assert main(["compare", "staged.yaml", "--output", "out"]) == 0

    return made_once(tmp_path_factory, "staged_suite", make)


@pytest.fixture(scope="module")
def trials(home: Path) -> dict[tuple[str, int], TrialRecord]:
    return {(trial.scenario, trial.seed): trial for trial in Journal(home / "out").read()[1]}


def scores(trial: TrialRecord, domain: str) -> list[Any]:
    return [(one.metrics, one.contributions) for one in trial.matrix if one.domain == domain]


def test_every_trial_starts_from_the_checkpoint_of_its_seed(
    home: Path, trials: dict[tuple[str, int], TrialRecord]
) -> None:
    suite, _ = Journal(home / "out").read()
    starts = [Journal(home / "out").find(key) for key in suite.starts]
    assert [(start.scenario, start.seed, start.status) for start in starts] == [
        ("start", 0, "ok"),
        ("start", 1, "ok"),
    ]
    for (_, seed), trial in trials.items():
        assert trial.status == "ok"
        assert trial.start == starts[seed].key
        assert trial.initial_digest == starts[seed].final_digest
        assert [one.stage for one in trial.matrix if one.domain == "source"] == [
            0,
            *range(1, len(trial.stages)),
            len(trial.stages),
        ]
    assert len(list((home / "out" / "checkpoints").iterdir())) == 2


def test_the_checkpoint_learnt_its_data_and_all_classes_are_known(
    home: Path, trials: dict[tuple[str, int], TrialRecord]
) -> None:
    suite, _ = Journal(home / "out").read()
    facts = suite.data[""]
    assert "new" in facts["tasks"]["classifier"]["names"]
    assert facts["tasks"] == facts["start"]["tasks"]
    before = trials["nothing", 0].matrix[0]
    assert before.metrics.primary("classifier") > 0.8
    assert trials["nothing", 0].test.primary("classifier") < 0.5, (
        "the target has other labels for the same words"
    )


def test_forgetting_is_exactly_zero_after_no_step(
    trials: dict[tuple[str, int], TrialRecord],
) -> None:
    for seed in (0, 1):
        trial = trials["nothing", seed]
        before, after = scores(trial, "source")
        assert before == after
        assert all(
            drift.identical and drift.largest == drift.kl == drift.changed == 0.0
            for drift in trial.drift.logits.values()
        )
        assert all(value == pytest.approx(1.0, abs=1e-9) for value in trial.drift.cka.values())


def test_with_head_and_backbone_frozen_every_logit_of_the_kept_task_is_the_same(
    trials: dict[tuple[str, int], TrialRecord],
) -> None:
    for seed in (0, 1):
        trial = trials["head_alone", seed]
        assert trial.drift.logits["classifier"].identical
        assert not trial.drift.logits["ner"].identical
        before, after = scores(trial, "source")
        assert [look.by_task["classifier"] for look in before] == [
            look.by_task["classifier"] for look in after
        ]


def test_with_the_backbone_moving_the_kept_task_drifts(
    trials: dict[tuple[str, int], TrialRecord],
) -> None:
    for seed in (0, 1):
        drift = trials["around", seed].drift
        assert not drift.logits["classifier"].identical
        assert drift.logits["classifier"].kl > 0
        assert drift.cka["layers[1]"] < 1.0


def test_a_head_whose_loss_is_left_out_is_frozen_whether_it_is_named_or_not(
    trials: dict[tuple[str, int], TrialRecord],
) -> None:
    for seed in (0, 1):
        assert trials["around", seed].final_digest == trials["full", seed].final_digest


def test_what_mitigates_holds(trials: dict[tuple[str, int], TrialRecord]) -> None:
    for seed in (0, 1):
        loose = trials["around", seed]
        assert (
            trials["taught", seed].drift.logits["classifier"].kl
            < loose.drift.logits["classifier"].kl / 2
        )
        assert (
            trials["replayed", seed].matrix[-1].metrics.by_task["classifier"].loss
            < loose.matrix[-1].metrics.by_task["classifier"].loss
        )
        assert min(trials["pulled", seed].drift.cka.values()) > min(loose.drift.cka.values())
        assert (
            len(
                {
                    trials[name, seed].final_digest
                    for name in ("around", "replayed", "pulled", "taught")
                }
            )
            == 4
        )


def test_rehearsal_is_a_share_of_steps_with_the_kept_tasks_loss(
    trials: dict[tuple[str, int], TrialRecord],
) -> None:
    trial = trials["replayed", 0]
    given = [loss is not None for loss in trial.step_losses["classifier"]]
    assert (len(given), sum(given)) == (20, 4)
    assert [loss is None for loss in trial.step_losses["ner"]] == given
    assert not any(given[:2]), "they stand between the others"
    assert (
        trial.order_digest != trials["around", 0].order_digest == trials["pulled", 0].order_digest
    )


def test_the_report_tells_what_was_kept(home: Path) -> None:
    report = (home / "out" / "report.md").read_text()
    kept = report.partition("## What was kept")[2].partition("\n## ")[0]
    assert "every logit stays the same, bit for bit" in kept
    assert "plots/kept_and_learnt.png" in kept
    assert (home / "out" / "plots" / "kept_and_learnt.svg").exists()
    numbers, claims = (
        report.partition(f"<summary>{part}</summary>")[2].partition("</details>")[0]
        for part in ("What was kept, in numbers", "The claims about freezing")
    )
    assert "| `nothing` | " in numbers
    assert "Protocol: staged" in claims
    assert "the task is preserved exactly. | *supported* |" in claims
    assert "faster" not in claims, "claims about starting anew are not tested by this"


def test_running_again_reads_checkpoints_back_and_a_changed_one_is_trained_anew(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = shutil.copytree(home, tmp_path / "copy")
    monkeypatch.chdir(home)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home / 'mlflow.db'}")
    files = sorted((home / "out" / "checkpoints").iterdir())
    times = [file.stat().st_mtime_ns for file in files]
    more = [
        "compare",
        "staged.yaml",
        "--output",
        "out",
        "--scenarios",
        "nothing",
        "--scenarios.nothing.0.name",
    ]
    assert main([*more, "other"]) == 0
    assert [file.stat().st_mtime_ns for file in files] == times
    files[0].write_bytes(files[1].read_bytes())
    assert main([*more, "third"]) == 0
    assert "is not what its record says; the checkpoint is trained again" in capsys.readouterr().out
    assert files[0].stat().st_mtime_ns != times[0]


def test_a_checkpoint_that_cannot_be_trained_costs_its_seed_and_no_more(
    tmp_path: Path, encoder: Path, data: Path, tracking: str
) -> None:
    file = write(tmp_path, encoder, data)
    wild = [
        "--start.stages.0.train.encoder",
        "1e30",
        "--output",
        "wild",
        "--scenarios",
        "nothing",
        "head_alone",
    ]
    assert main(["compare", str(file), *wild]) == 1
    _, failed = Journal(tmp_path / "wild").read()
    assert len(failed) == 4
    assert all(trial.reason.startswith("no checkpoint to start from: diverged") for trial in failed)
    assert "no checkpoint to start from" in (tmp_path / "wild" / "report.md").read_text()


def test_snapshots_of_stages_do_not_stay_behind(
    home: Path, trials: dict[tuple[str, int], TrialRecord]
) -> None:
    assert len([one for one in trials["gradual", 0].matrix if one.stage == 1]) == 2
    assert len(list((home / "out" / "checkpoints").iterdir())) == 2


def test_the_pull_is_the_gradient_of_the_papers_penalty(
    tmp_path: Path, encoder: Path, data: Path
) -> None:
    experiment = load(write(tmp_path, encoder, data), {"seeds": ["0"]})
    runtime = resolve(experiment)
    network = prepare(experiment, runtime)[()].fresh_network(0, runtime.device)
    partition = freezing.resolve(Stage(epochs=1, train={"encoder": 1.0, "head.ner": 1.0}), network)
    freezing.apply(network, partition)
    began = {
        name: weight.detach().clone()
        for name, weight in network.named_parameters()
        if name.startswith("encoder.")
    }
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(
                torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)) * 0.01
            )
    penalty = sum(
        0.5 * 3.0 * (weight - began[name]).square().sum()
        for name, weight in network.named_parameters()
        if name in began
    )
    penalty.backward()
    wanted = {
        name: weight.grad.clone() for name, weight in network.named_parameters() if name in began
    }
    for weight in network.parameters():
        weight.grad = torch.zeros_like(weight) if weight.requires_grad else None
    mitigation.anchor(network, began, 3.0).after_backward()
    for name, weight in network.named_parameters():
        if name in began:
            torch.testing.assert_close(weight.grad, wanted[name])
        elif weight.requires_grad:
            assert not weight.grad.any(), "heads are not pulled"


def test_a_teacher_wants_nothing_at_the_start_and_the_papers_divergence_later(
    tmp_path: Path, encoder: Path, data: Path
) -> None:
    experiment = load(write(tmp_path, encoder, data))
    runtime = resolve(experiment)
    prepared = prepare(experiment, runtime)[()]
    network = prepared.fresh_network(0, runtime.device).eval()
    said = mitigation.said(prepared, network, ("classifier", "ner"), runtime)
    losses = losses_of(prepared.corpus.tasks)
    taught = Teacher(1.0, said, losses)
    batch = batches.collate(prepared.encoded["train"].examples, [3, 0, 9], prepared.pad_id)
    with torch.no_grad():
        logits = network(batch.input_ids, batch.attention_mask, ("classifier", "ner"))
    assert float(taught.loss(logits, batch, batch, 1)) == pytest.approx(0.0, abs=1e-6)
    other = {
        task: values + torch.randn(values.shape, generator=torch.Generator().manual_seed(1))
        for task, values in logits.items()
    }
    wanted = 0.0
    for task in ("classifier", "ner"):
        old, new = (
            side[task] if task == "classifier" else side[task][batch.attention_mask.bool()]
            for side in (logits, other)
        )
        p, q = functional.softmax(old / 2, dim=-1), functional.softmax(new / 2, dim=-1)
        wanted += 4 * (p * (p / q).log()).sum(dim=-1).mean()
    assert float(taught.loss(other, batch, batch, 1)) == pytest.approx(float(wanted), rel=1e-4)
    assert taught.tasks(("ner",)) == ("classifier",)
    assert taught.tasks(("classifier", "ner")) == (), "what is rehearsed is not taught as well"


TWO_STAGES = """\
[{epochs: 1, losses: [ner], train: {encoder: 1.0e-3, head.ner: 1.0e-2}, distillation: 1.0, rehearsal: 0.5},
{epochs: 1, losses: [ner], train: {encoder: 1.0e-3, head.ner: 1.0e-2}, distillation: 1.0, l2_sp: 10.0}]
"""


@dataclass
class Held:
    """A trial of two stages with every mitigation, and what its steps were given.

    Attributes:
        prepared: what it ran on.
        runtime: device and precision.
        record: of the trial.
        steps: learner, network, batch and tasks of each step.
        pulled: of the last stage, weight to where it is pulled to, by name in the network.
    """

    prepared: Prepared
    runtime: Runtime
    record: TrialRecord | None = None
    steps: list[tuple[step.Learner, Any, tuple[str, ...]]] = field(default_factory=list)
    pulled: dict[str, torch.Tensor] = field(default_factory=dict)


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory, encoder: Path) -> Held:
    home = tmp_path_factory.mktemp("held")
    source = tiny.write_data(home / "source", train=40, validation=16, test=16)
    changes = {
        "seeds": ["0"],
        "start.stages.0.epochs": ["1"],
        "scenarios": ["around"],
        "scenarios.around": [TWO_STAGES],
    }
    experiment = load(write(home, encoder, source), {"control": ["around"], **changes})
    runtime, journal = resolve(experiment), Journal(home / "out")
    made = Held(prepare(experiment, runtime)[()], runtime)
    assert (
        Starts(runtime, journal, None, lambda _: None, print, lambda _: None).make_ready(
            made.prepared, 0
        )
        is None
    )
    honest = step.Learner.step

    def watching(self: step.Learner, forward: Any, batch: Any, tasks: Any, *rest: Any) -> Any:
        made.steps.append((self, batch, tuple(tasks)))
        names = {id(weight): name for name, weight in forward.network.named_parameters()}
        for anchor in (term for term in self.terms if isinstance(term, Anchor)):
            made.pulled.update({names[id(weight)]: began for weight, began in anchor.weights})
        return honest(self, forward, batch, tasks, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(step.Learner, "step", watching)
        (run,) = run_trials(
            made.prepared, [Trial("around", 0)], runtime, journal, None, lambda _: None
        )
        made.record = run.record
    return made


def test_a_mitigated_trial_begins_at_its_checkpoint_and_is_certified(held: Held) -> None:
    assert held.record is not None and held.record.status == "ok"
    assert held.record.start == held.prepared.checkpoints[0].key


def test_what_is_rehearsed_are_sentences_of_the_source(held: Held) -> None:
    source = held.prepared.source
    assert source is not None
    examples = {
        ("classifier",): source.encoded["train"].examples,
        ("ner",): held.prepared.encoded["train"].examples,
    }
    assert [tasks for _, _, tasks in held.steps].count(("classifier",)) == 4
    for _, batch, tasks in held.steps:
        assert torch.equal(
            batch.input_ids,
            batches.collate(examples[tasks], batch.ids, held.prepared.pad_id).input_ids,
        )


def test_weights_are_pulled_to_where_the_trial_began(held: Held) -> None:
    """Not to where the stage with the pull began."""
    began = load_file(held.prepared.checkpoints[0].file)
    assert held.pulled and all(
        torch.equal(weight, began[name]) for name, weight in held.pulled.items()
    )


def test_the_teacher_is_the_network_as_it_stood_when_the_task_left(held: Held) -> None:
    network = held.prepared.fresh_network(0, held.runtime.device)
    held.prepared.checkpoints[0].load_into(network)
    wanted = mitigation.said(held.prepared, network, ("classifier",), held.runtime)["classifier"]
    for learner in {id(learner): learner for learner, _, _ in held.steps}.values():
        (teacher,) = (term for term in learner.terms if isinstance(term, Teacher))
        pairs = zip(teacher.logits["classifier"], wanted, strict=True)
        assert all(torch.equal(*pair) for pair in pairs)


def test_cka_sees_no_rotation_and_no_scale() -> None:
    draw = torch.Generator().manual_seed(0)
    x, y = torch.randn(200, 8, generator=draw), torch.randn(200, 8, generator=draw)
    rotation = torch.linalg.qr(torch.randn(8, 8, generator=draw))[0]
    assert cka(x, 3.0 * x @ rotation + 1.0) == pytest.approx(1.0, abs=1e-6)
    assert cka(x, y) < 0.3


def test_a_look_scores_as_the_evaluation_does(tmp_path: Path, encoder: Path, data: Path) -> None:
    experiment = load(write(tmp_path, encoder, data))
    runtime = resolve(experiment)
    prepared = prepare(experiment, runtime)[()]
    network = prepared.fresh_network(1, runtime.device)
    look = forgetting.look(network, prepared, runtime, 0, "target")
    network.eval()
    whole = step.evaluate(
        step.FullForward(network),
        prepared.ready("test", runtime.device),
        prepared.encoded["test"],
        prepared.corpus.splits["test"],
        prepared.corpus.tasks,
        runtime,
    )
    from mtlab.record.metrics import score

    assert look.score.metrics == score(prepared.corpus.tasks, *whole)
    assert set(look.states) == {0, 1, 2, 3}
    assert len(look.logits["classifier"]) == 24


def test_source_steps_count_their_own_tokens_and_flops(
    tmp_path: Path, encoder: Path, data: Path
) -> None:
    experiment = load(write(tmp_path, encoder, data))
    prepared = prepare(experiment, resolve(experiment))[()]
    stage = prepared.experiment.scenario("replayed").stages[0]
    partition = freezing.resolve(stage, prepared.counter.network)
    steps = [
        one for number in range(stage.epochs) for one in schedule.epoch(prepared, stage, number)
    ]
    rehearsed = [one for one in steps if one.rehearsal]
    assert len({one.ids for one in rehearsed}) == len(rehearsed), (
        "an epoch goes on where the last one left off"
    )
    lengths = [len(prepared.source.encoded["train"].examples[index]) for index in rehearsed[0].ids]
    assert schedule.lengths_of(prepared, rehearsed[0]) == lengths
    assert schedule.flops(prepared, partition, rehearsed[:1])[1] == prepared.counter.step(
        partition, ("classifier",)
    ).exact(lengths)


def test_the_key_holds_what_the_trial_started_from(
    tmp_path: Path, encoder: Path, data: Path
) -> None:
    file = write(tmp_path, encoder, data)

    def key(**overrides: list[str]) -> str:
        experiment = load(
            file, {name.replace("__", "."): values for name, values in overrides.items()}
        )
        runtime = resolve(experiment)
        return prepare(experiment, runtime)[()].key(Trial("around", 0), runtime)

    keys = [
        key(),
        key(start__stages__0__epochs=["2"]),
        key(start__data__train_size=["50"]),
        key(data__train_size=["50"]),
    ]
    assert len(set(keys)) == 4
    assert key(scenarios=["around"]) == keys[0]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {"start": ["null"]},
            "rehearsal: rehearsal keeps what a checkpoint knows, and there is none here; add `start`",
        ),
        (
            {"scenarios.taught.0.losses": ["ner", "classifier"]},
            "distillation keeps the tasks that `losses` leaves out",
        ),
        (
            {"scenarios.full.0.select": ["each"]},
            "forgetting is measured on one model, and `each` keeps one a task",
        ),
        (
            {"scenarios.gradual.0.select": ["each"]},
            "each task has its own weights at the end alone",
        ),
        (
            {"start.stages.0.train": ["{lora: 0.1}"]},
            "start.stages.0.train.lora: a checkpoint has no adapters",
        ),
        ({"start.stages": ["[]"]}, "there is no stage; add one that trains the checkpoint"),
        ({"scenarios.pulled.0.l2_sp": ["-1"]}, "scenarios.pulled.0.l2_sp"),
    ],
)
def test_what_cannot_be_kept_is_one_line(
    tmp_path: Path, encoder: Path, data: Path, change: dict[str, list[str]], told: str
) -> None:
    with pytest.raises(UserError) as error:
        load(write(tmp_path, encoder, data), change)
    assert told in str(error.value)


def test_mistakes_in_the_source_data_and_stages_say_where_they_are(
    tmp_path: Path, encoder: Path, data: Path
) -> None:
    file = write(tmp_path, encoder, data)
    for change, told in (
        ({"start.data.train_size": ["9999"]}, "data.train_size"),
        (
            {"start.data.labels": ["Nowhere"]},
            "start.data.labels: no training sentence has the label 'Nowhere'",
        ),
        ({"start.stages.0.train": ["{'layers[7:9]': 0.1}"]}, "start.stages.0.train"),
        (
            {"scenarios.head_alone.0.rehearsal": ["0.5"]},
            "scenarios.head_alone.0.rehearsal: rehearsal reaches nothing that trains",
        ),
    ):
        experiment = load(file, change)
        with pytest.raises(UserError, match=told.replace("[", r"\[")):
            prepare(experiment, resolve(experiment))


def test_adapters_change_nothing_until_they_are_trained_and_the_encoder_never(
    tmp_path: Path, encoder: Path, data: Path
) -> None:
    experiment = load(write(tmp_path, encoder, data))
    runtime = resolve(experiment)
    prepared = prepare(experiment, runtime)[()]
    adapted = prepared.of("adapters")
    assert prepared.of("around") is prepared
    assert prepared.of("adapters") is adapted is adapted.of("adapters")
    network = prepared.fresh_network(0, runtime.device).eval()
    batch = batches.collate(prepared.encoded["train"].examples, [3, 0, 9], prepared.pad_id)
    with torch.no_grad():
        before = network(batch.input_ids, batch.attention_mask, ("classifier", "ner"))
        adapted.adapt(network, 0)
        after = network.eval()(batch.input_ids, batch.attention_mask, ("classifier", "ner"))
    assert all(torch.equal(before[task], after[task]) for task in before)
    found = freezing.units(network)
    linear = [
        module
        for module in network.encoder.modules()
        if type(module).__name__ == "Linear" and hasattr(module, "lora_A")
    ]
    assert (
        found["lora"].count == sum(8 * (one.in_features + one.out_features) for one in linear) > 0
    )
    other = prepared.fresh_network(0, runtime.device)
    adapted.adapt(other, 1)
    assert freezing.digests(other)["lora"] != freezing.digests(network)["lora"], (
        "adapters are drawn by seed"
    )


def test_a_trial_of_adapters_starts_like_the_others_and_keeps_the_encoder(
    trials: dict[tuple[str, int], TrialRecord],
) -> None:
    for seed in (0, 1):
        trial = trials["adapters", seed]
        assert trial.initial_digest == trials["around", seed].initial_digest
        (stage,) = trial.stages
        changed = {
            unit
            for unit in stage.parameters
            if stage.digests_before[unit] != stage.digests_after[unit]
        }
        assert changed == {"lora", "head.ner"}
        assert (stage.prefix_depth, stage.parameters["lora"].frozen) == (0, 0)
        assert trial.drift.cka["layers[2]"] < 1.0
        assert trial.train_flops > trials["head_alone", seed].train_flops
