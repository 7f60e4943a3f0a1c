"""Staged records: what is told of what was kept, and the verdicts that follow."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mtlab.record.records import (
    DomainScore,
    Drift,
    LogitDrift,
    StageRecord,
    SuiteRecord,
    TrialRecord,
)
from mtlab.report import document
from mtlab.report.claims.evidence import Evidence
from mtlab.report.claims.register import CLAIMS, findings
from mtlab.report.comparison import forgetting
from mtlab.report.comparison.forgetting import SOURCE, TARGET
from mtlab.report.comparison.groups import Group, groups
from mtlab.report.figures import staged_plots
from mtlab.report.sections import guided, staged
from mtlab.report.statistics.intervals import Interval
from mtlab.report.tasks import of_experiment

from . import factory
from .factory import BLOCKS, ENCODER, HEADS

SEEDS = 5
CLASSIFIER, NER = of_experiment({})
BY_NAME = {claim.name: claim for claim in CLAIMS}
BEFORE = (0.9, 0.8)
"""The checkpoint's accuracy and F1 on the source domain."""

# scenario: trained units by stage, mitigation, accuracy on the source domain afterwards, F1 on the
# target domain
SCENARIOS: dict[str, tuple[list[list[str]], dict[str, float], float, float]] = {
    "nothing": ([[]], {}, 0.9, 0.3),
    "head_alone": ([["head.ner"]], {}, 0.9, 0.4),
    "around": ([[*ENCODER, "head.ner"]], {}, 0.7, 0.6),
    "everything": ([[*ENCODER, *HEADS]], {}, 0.7, 0.6),
    "step_by_step": ([["head.ner"], [*BLOCKS[-2:], "head.ner"], [*ENCODER, *HEADS]], {}, 0.8, 0.5),
    "half": ([[*ENCODER, "head.ner"]], {"rehearsal": 0.25}, 0.87, 0.6),
    "little": ([[*ENCODER, "head.ner"]], {"l2_sp": 0.1}, 0.73, 0.59),
    "useless": ([[*ENCODER, "head.ner"]], {"distillation": 1.0}, 0.7, 0.5),
}


def scored(stage: int, domain: str, accuracy: float, f1: float, seed: int) -> DomainScore:
    tested = factory.tested(accuracy, f1, seed)
    return DomainScore(
        stage=stage, domain=domain, metrics=tested["test"], contributions=tested["contributions"]
    )


def stage(name: str, trained: list[str], mitigation: dict[str, float], seed: int) -> StageRecord:
    made = factory.stage(
        name,
        5 if trained else 0,
        trained,
        seed,
        {unit: factory.sha(unit) for unit in factory.SIZES},
        ("ner",),
    )
    return made.model_copy(update=mitigation)


def trial(name: str, seed: int, accuracy: float | None = None) -> TrialRecord:
    plan, mitigation, after, f1 = SCENARIOS[name]
    after = accuracy if accuracy is not None else after
    stages = tuple(
        stage(f"{name} {at}", trained, mitigation, seed) for at, trained in enumerate(plan, start=1)
    )
    encoder_moves = any(set(trained) & set(ENCODER) for trained in plan)
    same = LogitDrift(identical=True, largest=0.0, kl=0.0, changed=0.0)
    moved = LogitDrift(identical=False, largest=2.0, kl=0.1 + seed / 100, changed=0.2)
    cka = {unit: 1.0 - 0.02 * at * encoder_moves for at, unit in enumerate(["embeddings", *BLOCKS])}
    matrix = [scored(0, SOURCE, *BEFORE, seed), scored(0, TARGET, 0.6, 0.3, seed)]
    for at in range(1, len(stages)):
        matrix += [scored(at, SOURCE, 0.88, 0.7, seed), scored(at, TARGET, 0.6, 0.4, seed)]
    record = factory.trial("full_finetune", seed)
    return record.model_copy(
        update={
            "key": factory.sha(name, seed),
            "scenario": name,
            "stages": stages,
            "final_digest": record.initial_digest if name == "nothing" else factory.sha(name, seed),
            "start": factory.sha("start", seed),
            "matrix": (*matrix, scored(len(stages), SOURCE, after, 0.75, seed)),
            "drift": Drift(
                cka=cka, logits={"classifier": moved if encoder_moves else same, "ner": moved}
            ),
            **factory.tested(0.6, f1, seed),
        }
    )


def suite(trials: list[TrialRecord]) -> SuiteRecord:
    names = dict.fromkeys(one.scenario for one in trials)
    start = {"data": {"source": "builtin"}, "stages": []}
    return factory.suite(
        trials, SEEDS, scenarios={name: [] for name in names}, control="everything", start=start
    )


def ran(*names: str, **accuracy: float) -> tuple[SuiteRecord, list[TrialRecord]]:
    trials = [
        trial(name, seed, accuracy.get(name))
        for name in names or SCENARIOS
        for seed in range(SEEDS)
    ]
    return suite(trials), trials


def group(*names: str, **accuracy: float) -> Group:
    return groups(*ran(*names, **accuracy))[0]


@cache
def evidence(*names: str, **accuracy: float) -> Evidence:
    suite, trials = ran(*names, **accuracy)
    return Evidence(suite, groups(suite, trials))


def verdicts(claim: str, *names: str, **accuracy: float) -> list[str]:
    return [finding.verdict for finding in findings(BY_NAME[claim], evidence(*names, **accuracy))]


def test_transfer_is_the_score_after_minus_the_score_before() -> None:
    found = forgetting.change(group(), "around", CLASSIFIER)
    assert found.mean == pytest.approx(-0.2, abs=0.002)
    assert found.high < 0
    abroad = forgetting.change(group(), "head_alone", CLASSIFIER, TARGET)
    assert abroad.mean == pytest.approx(0.0, abs=1e-9)


def test_where_no_logit_changed_the_change_is_exactly_0() -> None:
    made = group(around=0.9)
    for name in ("nothing", "head_alone"):
        assert forgetting.change(made, name, CLASSIFIER) == Interval(0.0, 0.0, 0.0, SEEDS)
    same = forgetting.change(made, "around", CLASSIFIER)
    assert same == Interval(0.0, None, None, SEEDS), "equal answers of changed logits show nothing"


def test_the_kept_task_is_the_one_that_no_loss_trains() -> None:
    made = group()
    assert [task.name for task in forgetting.kept_tasks(made)] == ["classifier"]
    around, nothing = (made.of(name)[0].stages for name in ("around", "nothing"))
    both = factory.trial("full_finetune", 0).stages
    assert [forgetting.trained(stages) for stages in (around, nothing, both)] == [
        {"ner"},
        set(),
        {"classifier", "ner"},
    ]
    assert forgetting.keeps(around, CLASSIFIER) and not forgetting.keeps(around, NER)
    for task in (CLASSIFIER, NER):
        assert not forgetting.keeps(nothing, task) and not forgetting.keeps(both, task)


def test_a_mitigation_is_compared_with_the_same_scenario_without_it() -> None:
    effects = {one.scenario: one for one in forgetting.effects(group(), CLASSIFIER)}
    assert {name: one.without for name, one in effects.items()} == dict.fromkeys(
        ("half", "little", "useless"), "around"
    )
    assert effects["half"].share == pytest.approx(0.85, abs=0.01)
    assert effects["half"].beyond_half.low > 0
    assert effects["little"].beyond_half.high < 0
    assert effects["little"].retained.low > 0
    assert effects["useless"].learned["ner"].mean == pytest.approx(-0.1, abs=0.002)
    assert effects["useless"].share == pytest.approx(0.0, abs=1e-9)


def test_the_section_says_what_was_lost_and_what_won_it_back() -> None:
    told = staged.lost(group())
    assert re.search(r"\(`around`\), it changes by −0\.200 \S+ \S+ \(worse\)\.", told)
    assert "(`head_alone`), every logit stays the same, bit for bit, with every seed" in told
    assert (
        "Shown to recover at least half of the loss of `around`: `half`. Shown to recover some of it: `half` and `little`."
        in told
    )
    assert "| `step_by_step` | after step_by_step 2 | 0.880 |" in staged.section(group())


def test_backward_transfer_has_a_verdict_of_the_one_scale() -> None:
    told = staged.section(group(around=0.9, everything=0.93, half=0.905))
    transfers = re.findall(
        r"^\| `(\w+)` \| 0\.\S+ \| [^|]+ \| [+−\d]\S+[^|]*? ([a-z(][^|]*) \|", told, re.M
    )
    assert dict(transfers) == {
        "nothing": "equivalent (identical)",
        "head_alone": "equivalent (identical)",
        "around": "unclear",
        "everything": "better",
        "half": "equivalent",
        "step_by_step": "worse",
        "little": "worse",
        "useless": "worse",
    }


def test_where_nothing_is_lost_there_is_nothing_to_mitigate() -> None:
    told = staged.lost(group(around=0.9, everything=0.9))
    assert "`around` shows no clear loss, so the mitigations had nothing to prevent." in told
    assert verdicts("regularisation", around=0.9) == []


def test_a_head_alone_that_moved_a_logit_is_told() -> None:
    suite_, trials = ran("nothing", "head_alone")
    drift = trials[-1].drift.model_copy(
        update={
            "logits": {"classifier": LogitDrift(identical=False, largest=1.0, kl=0.1, changed=0.1)}
        }
    )
    trials[-1] = trials[-1].model_copy(update={"drift": drift})
    made = groups(suite_, trials)
    assert "every logit stays the same" not in staged.lost(made[0])
    assert [
        one.verdict for one in findings(BY_NAME["frozen both keeps"], Evidence(suite_, made))
    ] == ["contradicted"]


def test_verdicts_of_staged_claims() -> None:
    assert verdicts("nothing trained") == ["supported"]
    assert verdicts("frozen head keeps") == ["contradicted"]
    assert verdicts("frozen head forgets") == ["supported"]
    assert verdicts("frozen head keeps", around=0.895) == ["supported"]
    assert verdicts("frozen head forgets", around=0.895) == ["open"]
    assert verdicts("frozen head keeps", around=0.88) == ["open"], "the loss may be the margin"
    assert verdicts("frozen head forgets", around=0.88) == ["supported"]
    assert verdicts("frozen both keeps") == ["supported"]
    assert verdicts("regularisation") == ["supported", "supported", "open"]
    assert verdicts("gradual forgets less") == ["supported", "contradicted"]
    assert verdicts("gradual forgets less", step_by_step=0.6)[0] == "contradicted"


def test_claims_about_starting_anew_have_no_verdict_from_staged_records() -> None:
    tested = {claim.name for claim in CLAIMS if verdicts(claim.name)}
    kept = {
        "frozen head keeps",
        "frozen head forgets",
        "frozen both keeps",
        "regularisation",
        "gradual forgets less",
    }
    assert tested == {"nothing trained", *kept}


def test_figures_of_a_staged_experiment_are_drawn(tmp_path: Path, drawn_figures: None) -> None:
    suite, trials = ran()
    assert set(staged_plots.write_all(groups(suite, trials)[0], tmp_path)) == {
        "kept_and_learnt",
        "drift",
    }


def test_the_report_of_a_staged_experiment_has_its_figures(tmp_path: Path) -> None:
    made = ran()
    path = document.write(factory.journal(tmp_path, *made))
    told = path.read_text()
    assert "## What was kept" in told
    for kind in ("kept_and_learnt", "drift"):
        assert f"plots/{kind}.png" in told
        assert (tmp_path / "plots" / f"{kind}.png").exists()
    assert "staged (each scenario starts from a checkpoint trained on" in told


def test_the_ledger_is_told_with_its_numbers() -> None:
    from mtlab.record.records import Decision

    numbers: dict[str, Any] = {
        "stage": 0,
        "epoch": 3,
        "value": 0.7,
        "best": 0.8,
        "best_epoch": 1,
        "waited": 2,
    }
    trials = [
        factory.trial(name, seed)
        for name in ("full_finetune", "gradual_unfreeze")
        for seed in range(2)
    ]
    trials[0] = trials[0].model_copy(
        update={"ledger": (Decision(task="ner", action="slow", **numbers),)}
    )
    record = factory.suite(trials, 2, scenarios={one.scenario: [] for one in trials})
    (made,) = groups(record, trials)
    told = guided.section(made)
    assert "made 1 decision in 1 trial. It made none in `gradual_unfreeze`." in told
    assert (
        "| `full_finetune` | 0 | 3 | ner | slower | 0.700 now, best 0.800 at epoch 1: no gain in 2 validations |"
        in told
    )
    assert guided.section(groups(record, trials[1:])[0]) == ""
