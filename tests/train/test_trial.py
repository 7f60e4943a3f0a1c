"""Single trials: determinism, faults that must be caught, and what a stage may and may not
touch."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from mtlab.data import batches
from mtlab.model import freezing
from mtlab.model.losses import LOSSES
from mtlab.plan.experiment import load
from mtlab.plan.scenario import Stage, Trial
from mtlab.record.journal import Journal
from mtlab.record.records import TrialRecord
from mtlab.train import outcome
from mtlab.train.cache.prefix import Prefixes
from mtlab.train.loop import schedule, step
from mtlab.train.prepare import Prepared, prepare
from mtlab.train.runtime import Runtime, resolve
from mtlab.train.stage import StageRunner
from mtlab.train.state import TrialState
from mtlab.train.trial import run_trials
from tests import tiny

Setting = tuple[Prepared, Runtime, Journal]


def setting(file: Path, **overrides: list[str]) -> Setting:
    experiment = load(file, {key.replace("__", "."): values for key, values in overrides.items()})
    runtime = resolve(experiment)
    return prepare(experiment, runtime)[()], runtime, Journal(experiment.output)


def run(made: Setting, scenario: str, seed: int = 0) -> TrialRecord:
    prepared, runtime, journal = made
    prefixes = (
        Prefixes(runtime, 10**9, journal.directory / "cache", print)
        if prepared.experiment.cache.mode != "off"
        else None
    )
    return run_trials(
        prepared, [Trial(scenario, seed)], runtime, journal, prefixes, lambda _: None
    )[0].record


@pytest.fixture
def made(experiment_file: Path) -> Setting:
    return setting(experiment_file)


@pytest.fixture
def plain(experiment_file: Path) -> Setting:
    """Without the cache: every step goes through the learner."""
    return setting(experiment_file, cache=["off"])


def test_the_same_trial_twice_gives_the_same_bits_whatever_ran_between(made: Setting) -> None:
    first = run(made, "gradual")
    run(made, "full", seed=1)
    torch.manual_seed(99)
    second = run(made, "gradual")
    assert first.final_digest == second.final_digest
    assert first.step_losses == second.step_losses
    assert first.test == second.test


def test_a_trial_leaves_the_callers_random_state_alone(made: Setting) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    run(made, "heads")
    assert torch.equal(torch.rand(3), expected)


def test_the_pretrained_encoder_is_never_trained_itself(made: Setting) -> None:
    before = {name: tensor.clone() for name, tensor in made[0].pristine.model.state_dict().items()}
    run(made, "full")
    assert all(
        torch.equal(tensor, before[name])
        for name, tensor in made[0].pristine.model.state_dict().items()
    )


def test_data_seed_changes_the_order_and_not_the_weights_and_the_reverse(
    experiment_file: Path,
) -> None:
    base, other = (
        run(setting(experiment_file), "heads"),
        run(setting(experiment_file, data_seed=["7"]), "heads"),
    )
    assert base.initial_digest == other.initial_digest
    assert base.order_digest != other.order_digest
    seed = run(setting(experiment_file), "heads", seed=1)
    assert base.initial_digest != seed.initial_digest
    assert base.order_digest == seed.order_digest


def test_every_scenario_and_stage_goes_through_the_data_alike(made: Setting) -> None:
    prepared, _, _ = made
    stages = [
        stage
        for name in prepared.experiment.scenarios
        for stage in prepared.experiment.scenario(name).stages
    ]
    for number in range(3):
        assert (
            len(
                {
                    tuple(one.ids for one in schedule.epoch(prepared, stage, number))
                    for stage in stages
                }
            )
            == 1
        )
    assert run(made, "heads").order_digest == run(made, "gradual").order_digest, (
        "a stage goes on where the one before it stopped"
    )


def test_every_step_of_every_seed_draws_dropout_of_its_own(
    plain: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    streams: list[int] = []
    honest = step.Learner.step

    def watching(self: step.Learner, *rest: Any) -> Any:
        streams.append(torch.initial_seed())
        return honest(self, *rest)

    monkeypatch.setattr(step.Learner, "step", watching)
    for seed in (0, 1):
        run(plain, "heads", seed)
    assert len(streams) == len(set(streams)) == 48


def test_frozen_parts_stand_and_every_certificate_holds(plain: Setting) -> None:
    """What the engine holds against itself is true of a trial that freezes most of the network, and
    then less of it."""
    record = run(plain, "gradual")
    assert record.status == "ok"
    for stage in record.stages:
        frozen = [unit for unit, counts in stage.parameters.items() if counts.frozen]
        assert frozen and all(
            stage.digests_before[unit] == stage.digests_after[unit] for unit in frozen
        )


def test_a_module_thawed_behind_the_engines_back_fails_the_trial(
    plain: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = step.Learner.step

    def thawing(self: step.Learner, forward: Any, *rest: Any) -> Any:
        forward.network.encoder.embeddings.word_embeddings.weight.data.mul_(1.001)
        return honest(self, forward, *rest)

    monkeypatch.setattr(step.Learner, "step", thawing)
    record = run(plain, "heads")
    assert record.ending == "certificate broken: frozen unit embeddings changed"
    assert record.test is None
    assert plain[2].directory.joinpath("records").exists()


def test_weights_that_the_last_step_broke_do_not_pass(experiment_file: Path) -> None:
    one_step = {
        "batch_size": ["96"],
        "scenarios__heads__0__epochs": ["1"],
        "scenarios__heads__0__train__heads": ["1.0e+38"],
    }
    assert run(setting(experiment_file, **one_step), "heads").ending.startswith("diverged: ")


def test_dropout_left_on_in_a_frozen_block_fails_the_trial(
    plain: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = step.Learner.step

    def thawing(self: step.Learner, forward: Any, *rest: Any) -> Any:
        forward.network.train()
        return honest(self, forward, *rest)

    monkeypatch.setattr(step.Learner, "step", thawing)
    assert (
        run(plain, "heads").ending == "certificate broken: frozen unit embeddings was in train mode"
    )


def test_a_frozen_unit_that_changes_between_stages_or_before_the_test_fails_the_trial(
    made: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    def changed(state: TrialState) -> None:
        state.network.encoder.embeddings.word_embeddings.weight.data[0] += 1.0

    def select(state: TrialState, stage: Stage) -> None:
        changed(state)
        honest(state, stage)

    honest = outcome.select
    with monkeypatch.context() as patch:
        patch.setattr(outcome, "select", select)
        assert (
            run(made, "heads").ending
            == "certificate broken: frozen unit embeddings changed after its last stage"
        )
    honest_run = StageRunner.run

    def run_changed(runner: StageRunner) -> Stage | None:
        changed(runner.group.alive[0])
        return honest_run(runner)

    monkeypatch.setattr(StageRunner, "run", run_changed)
    assert run(made, "heads").ending == "certificate broken: frozen unit embeddings changed"


def test_a_frozen_encoder_with_gradients_fails_the_trial(
    made: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = freezing.apply

    def leaking(network: Any, partition: Any) -> None:
        honest(network, partition)
        network.encoder.requires_grad_(True)

    monkeypatch.setattr(freezing, "apply", leaking)
    assert "has gradients" in run(made, "heads").ending


def test_the_optimizer_holds_trained_parameters_alone(
    plain: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[set[int], set[int], list[float]]] = []
    honest = step.Learner.step

    def watching(self: step.Learner, forward: Any, *rest: Any) -> Any:
        output = honest(self, forward, *rest)
        held = {
            id(parameter) for group in self.optimizer.param_groups for parameter in group["params"]
        }
        states = {id(parameter) for parameter in self.optimizer.state}
        trained = {
            id(parameter) for parameter in forward.network.parameters() if parameter.requires_grad
        }
        seen.append(
            (
                held ^ trained,
                states - trained,
                [group["lr"] for group in self.optimizer.param_groups],
            )
        )
        return output

    monkeypatch.setattr(step.Learner, "step", watching)
    run(plain, "gradual")
    assert all(not wrong and not extra for wrong, extra, _ in seen)
    assert [rates for _, _, rates in (seen[0], seen[-1])] == [[1e-2], [1e-3, 1e-2]]


def test_a_stage_begins_with_no_moments_and_its_own_course_of_rates(
    experiment_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learners: list[step.Learner] = []
    moments: list[int] = []
    rates: list[list[float]] = []
    honest = step.Learner.step

    def watching(self: step.Learner, *rest: Any) -> Any:
        if not learners or learners[-1] is not self:
            learners.append(self)
            moments.append(len(self.optimizer.state))
            rates.append([])
        rates[-1].append(
            self.optimizer.param_groups[-1]["lr"]
        )  # the heads', which train in both stages
        return honest(self, *rest)

    monkeypatch.setattr(step.Learner, "step", watching)
    record = run(
        setting(
            experiment_file,
            cache=["off"],
            optimizer__schedule=["linear"],
            optimizer__warmup=["0.25"],
        ),
        "gradual",
    )
    assert record.status == "ok"
    assert moments == [0, 0]
    assert rates[0] == rates[1]
    assert (len(rates[0]), rates[0][0], max(rates[0])) == (12, 0.0, pytest.approx(1e-2))


def test_divergence_is_a_row_with_its_step(experiment_file: Path) -> None:
    record = run(setting(experiment_file, scenarios__full__0__train__encoder=["1.0e+30"]), "full")
    assert record.ending.startswith("diverged: the loss is not finite at step ")
    assert record.test is None
    finite = [loss is not None for loss in record.step_losses["total"]]
    assert finite[0] and not finite[-1], "what was measured before is kept"


def test_a_crash_is_a_row_that_names_where_to_look(
    plain: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: Any) -> Any:
        raise ValueError("no such luck")

    monkeypatch.setattr(step.Learner, "step", failing)
    record = run(plain, "heads")
    assert record.ending.startswith("crashed: ValueError: no such luck (failures/heads-seed0")
    assert "no such luck" in next((plain[2].directory / "failures").iterdir()).read_text()


def test_selection_is_on_disk_before_the_test_split_is_read(
    made: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared, _, journal = made
    honest = step.evaluate
    found: list[str] = []

    def watching(forward: Any, ready: Any, encoded: Any, *rest: Any) -> Any:
        if encoded is prepared.encoded["test"]:
            found.extend(path.read_text() for path in (journal.directory / "records").iterdir())
        return honest(forward, ready, encoded, *rest)

    monkeypatch.setattr(step, "evaluate", watching)
    run(made, "full")
    assert len(found) == 1, "the test split is read once"
    waiting = TrialRecord.model_validate_json(found[0])
    assert waiting.status == "selected"
    assert waiting.selection is not None
    assert waiting.test is None


def test_weights_are_selected_on_validation_and_tested_on_test(
    experiment_file: Path, tmp_path: Path
) -> None:
    """The splits have different sizes here, which tell of which one a score is."""
    data = tiny.write_data(tmp_path / "sized", train=40, validation=16, test=12)
    record = run(setting(experiment_file, data__source=[str(data)]), "heads")
    assert [epoch.validation.by_task["ner"].sentences for epoch in record.epochs] == [16] * 3
    assert (record.validation.by_task["ner"].sentences, record.test.by_task["ner"].sentences) == (
        16,
        12,
    )


def test_of_epochs_that_score_the_same_the_first_is_selected_and_tested(
    experiment_file: Path,
) -> None:
    """At a rate that moves a few bits, every epoch has other weights and the same scores."""
    slow = {"scenarios__heads__0__train__heads": ["1.0e-12"]}
    long, short = (
        run(setting(experiment_file, **slow, scenarios__heads__0__epochs=[epochs]), "heads")
        for epochs in ("3", "1")
    )
    assert (
        len(
            {
                (epoch.validation.primary("classifier"), epoch.validation.primary("ner"))
                for epoch in long.epochs
            }
        )
        == 1
    )
    assert long.stages[0].digests_after != short.stages[0].digests_after
    assert long.selection.epoch == 1
    assert (long.final_digest, long.test) == (short.final_digest, short.test)


def test_nothing_is_scored_with_dropout_on(plain: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    modes: list[bool] = []
    honest = step.evaluate

    def watching(forward: Any, *rest: Any) -> Any:
        modes.append(any(module.training for module in forward.network.modules()))
        return honest(forward, *rest)

    monkeypatch.setattr(step, "evaluate", watching)
    run(plain, "heads")
    assert modes == [False] * 4, "before training, after both epochs, and on test"


def test_entities_that_were_cut_off_still_count_as_gold(experiment_file: Path) -> None:
    made = setting(experiment_file, max_length=["8"])
    sentences, examples = made[0].corpus.splits["test"], made[0].encoded["test"].examples
    begins = [
        [at for at, tag in enumerate(sentence.gold.get("ner", ())) if tag.startswith("B-")]
        for sentence in sentences
    ]
    lost = sum(
        example.words[at] < 0
        for places, example in zip(begins, examples, strict=True)
        for at in places
    )
    record = run(made, "nothing")
    assert lost > 0
    assert (
        sum(part["support"] for part in record.test.by_task["ner"].by_name.values())
        == sum(record.contributions.by_task["ner"]["gold"])
        == sum(map(len, begins))
    )


def test_every_parameter_is_counted_as_trained_or_frozen(made: Setting) -> None:
    prepared, runtime, _ = made
    network = prepared.fresh_network(0, runtime.device)
    heads, whole = (
        sum(parameter.numel() for parameter in part.parameters())
        for part in (network.heads, network)
    )
    (stage,) = run(made, "heads").stages
    assert (stage.params_trainable, stage.params_frozen, stage.params_total) == (
        heads,
        whole - heads,
        whole,
    )


def test_flops_of_a_trial_are_those_of_its_padded_batches(made: Setting) -> None:
    prepared, _, _ = made
    partition = freezing.resolve(
        prepared.experiment.scenario("heads").stages[0], prepared.counter.network
    )
    cost, encoded = (
        prepared.counter.step(partition, ("classifier", "ner")),
        prepared.encoded["train"],
    )
    order = [ids for number in range(2) for ids in batches.epoch(encoded, [0], 8, 0, number)]
    lengths = [[len(encoded.examples[index]) for index in ids] for ids in order]
    padded, exact = (
        sum(cost.padded(8, max(some)) for some in lengths),
        sum(map(cost.exact, lengths)),
    )
    record = run(made, "heads")
    assert (record.train_flops, record.train_flops_padding) == (padded, padded - exact)
    assert exact < padded


def test_select_last_takes_the_last_epoch(experiment_file: Path) -> None:
    record = run(setting(experiment_file, select=["last"]), "full")
    assert (record.selection.epoch, record.selection.rule) == (2, "last epoch")


def test_a_task_out_of_the_losses_trains_nothing_of_its_head(experiment_file: Path) -> None:
    record = run(setting(experiment_file, scenarios__full__0__losses=["[ner]"]), "full")
    assert record.status == "ok"
    stage = record.stages[0]
    assert stage.digests_before["head.classifier"] == stage.digests_after["head.classifier"]
    assert stage.digests_before["head.ner"] != stage.digests_after["head.ner"]
    assert all(loss is None for loss in record.step_losses["classifier"])


def test_task_weights_scale_the_sum(experiment_file: Path) -> None:
    record = run(setting(experiment_file, task_weights__ner=["3"]), "heads")
    losses = record.step_losses
    assert losses["total"][0] == pytest.approx(
        losses["classifier"][0] + 3 * losses["ner"][0], rel=1e-5
    )


def test_warm_up_rises_to_the_rate_and_linear_decay_ends_at_zero(
    experiment_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: list[float] = []
    honest = step.Learner.step

    def watching(self: step.Learner, *rest: Any) -> Any:
        rates.append(self.optimizer.param_groups[0]["lr"])
        return honest(self, *rest)

    monkeypatch.setattr(step.Learner, "step", watching)
    run(
        setting(
            experiment_file,
            cache=["off"],
            optimizer__schedule=["linear"],
            optimizer__warmup=["0.25"],
        ),
        "heads",
    )
    assert len(rates) == 24
    assert rates[0] == 0.0
    assert max(rates) == rates[6] == pytest.approx(1e-2)
    assert rates[-1] == pytest.approx(1e-2 / 18)


def test_a_changed_setting_changes_the_key_and_a_new_scenario_beside_it_does_not(
    experiment_file: Path, encoder: Path, tmp_path: Path
) -> None:
    def key(**overrides: list[str]) -> str:
        prepared, runtime, _ = setting(experiment_file, **overrides)
        return prepared.key(Trial("heads", 0), runtime)

    base = key()
    tokenizer = json.loads((encoder / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"].update(
        {"oslo": tokenizer["model"]["vocab"]["tea"], "tea": tokenizer["model"]["vocab"]["oslo"]}
    )
    other = shutil.copytree(encoder, tmp_path / "other tokenizer")
    (other / "tokenizer.json").write_text(json.dumps(tokenizer))
    settings = json.loads((encoder / "config.json").read_text())
    third = shutil.copytree(encoder, tmp_path / "other settings")
    (third / "config.json").write_text(json.dumps({**settings, "hidden_dropout_prob": 0.3}))
    assert key() == base
    assert key(seeds=["0", "5"], scenarios=["heads"], question=["other"]) == base
    changed = [
        key(batch_size=["4"]),
        key(data_seed=["1"]),
        key(head__dropout=["0.2"]),
        key(data__train_size=["50"]),
        key(scenarios__heads__0__epochs=["3"]),
        key(precision=["bf16"]),
        key(encoder=[str(other)]),
        key(encoder=[str(third)]),
    ]
    assert len({base, *changed}) == len(changed) + 1


def test_losses_of_a_batch_do_not_depend_on_padding(made: Setting) -> None:
    prepared, runtime, _ = made
    network = prepared.fresh_network(0, runtime.device).eval()
    examples = prepared.encoded["train"].examples
    ids = sorted(range(8), key=lambda index: len(examples[index]))

    def loss(chosen: list[int]) -> dict[str, torch.Tensor]:
        batch = batches.collate(examples, chosen, prepared.pad_id)
        logits = network(batch.input_ids, batch.attention_mask, ("classifier", "ner"))
        return {
            task: step._sum_loss(
                LOSSES[prepared.corpus.tasks[task].kind.loss], values, batch.targets[task]
            )
            for task, values in logits.items()
        }

    whole, alone = loss(ids), [loss([index]) for index in ids]
    for task, value in whole.items():
        torch.testing.assert_close(value, sum(one[task] for one in alone), rtol=1e-5, atol=1e-5)
