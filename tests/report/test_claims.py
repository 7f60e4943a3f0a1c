"""Claims get the verdict that their records bear out, and none without records that test them."""

import pytest

from mtlab.record.quality import Metrics
from mtlab.record.records import SuiteRecord, TrialRecord
from mtlab.report.claims import verdicts as verdicts_in_words
from mtlab.report.claims.evidence import Evidence, Finding
from mtlab.report.claims.register import CLAIMS, findings
from mtlab.report.comparison.groups import groups

from . import factory

BY_NAME = {claim.name: claim for claim in CLAIMS}


def evidence(trials: list[TrialRecord], seeds: int, **changes) -> Evidence:
    suite = factory.suite(
        trials, seeds, scenarios={trial.scenario: [] for trial in trials}, **changes
    )
    return Evidence(suite, groups(suite, trials))


def ran(scores: dict[str, tuple[float, float]], seeds: int = 5, spread: float = 0.002) -> Evidence:
    trials = [
        factory.trial(name, seed, scores=found, spread=spread)
        for name, found in scores.items()
        for seed in range(seeds)
    ]
    return evidence(trials, seeds)


def verdicts(name: str, given: Evidence) -> list[str]:
    return [finding.verdict for finding in findings(BY_NAME[name], given)]


def test_without_records_that_test_them_no_claim_has_a_verdict():
    nothing = ran({"top_3": (0.9, 0.8)})
    assert {
        claim.name: findings(claim, nothing) for claim in CLAIMS if findings(claim, nothing)
    } == {}
    assert "test none of the claims" in verdicts_in_words.section(nothing.suite, nothing.groups)
    failed = [
        factory.trial(name, seed, status="crashed")
        for name in factory.SCENARIOS
        for seed in range(3)
    ]
    gone = evidence(failed, 3)
    assert [claim.name for claim in CLAIMS if findings(claim, gone)] == []


def test_every_verdict_names_the_trials_it_rests_on():
    given = ran({name: (accuracy, f1) for name, (_, accuracy, f1, _) in factory.SCENARIOS.items()})
    found = [finding for claim in CLAIMS for finding in findings(claim, given)]
    assert found
    assert all(
        finding.scenarios and set(finding.scenarios) <= set(factory.SCENARIOS) for finding in found
    )
    assert all(finding.seeds == 5 and finding.effect is not None for finding in found)


def test_names_of_scenarios_do_not_matter():
    trials = [
        factory.trial(name, seed).model_copy(update={"scenario": other})
        for name, other in (("backbone_frozen", "a"), ("full_finetune", "b"))
        for seed in range(5)
    ]
    assert verdicts("faster", evidence(trials, 5))[1] == "supported"


def test_one_seed_decides_nothing_that_varies():
    given = ran(
        {
            "backbone_frozen": (0.5, 0.4),
            "gradual_unfreeze": (0.8, 0.7),
            "full_finetune": (0.9, 0.8),
        },
        seeds=1,
    )
    for name in (
        "faster",
        "below 10,000",
        "best of both: quality",
        "best of both: cost",
        "heads worst for entities",
        "entities fall faster",
    ):
        assert set(verdicts(name, given)) == {"open"}, name


def test_nothing_trained():
    def frozen(accuracy: float, **changes) -> Evidence:
        trials = [
            factory.trial("fully_frozen", seed, scores=(accuracy, 0.0), spread=0.02)
            for seed in range(5)
        ]
        same = [
            trial.model_copy(update={"final_digest": trial.initial_digest, **changes})
            for trial in trials
        ]
        known = {"classifier": {"names": list("abcde"), "summary": "5 labels"}}
        data = {"": {"sizes": {"train": 100}, "tasks": known}}
        return evidence(same, 5, data=data)

    assert verdicts("nothing trained", frozen(0.2)) == ["supported"]
    assert verdicts("nothing trained", frozen(0.9)) == [
        "contradicted"
    ]  # the weights that were given know the task
    assert verdicts("nothing trained", frozen(0.2, final_digest="other")) == ["contradicted"]


def test_few_parameters():
    assert verdicts("few parameters", ran({"backbone_frozen": (0.9, 0.5)})) == ["supported"]
    wide = [factory.trial("backbone_frozen", seed) for seed in range(3)]
    stage = wide[0].stages[0].model_copy(update={"params_trainable": 2_000_000})
    assert verdicts(
        "few parameters",
        evidence([trial.model_copy(update={"stages": (stage,)}) for trial in wide], 3),
    ) == ["contradicted"]


@pytest.mark.parametrize(
    ("accuracy", "f1", "verdict"),
    [
        (0.0, 0.0, "supported"),
        (0.05, 0.05, "supported"),
        (-0.02, -0.04, "open"),
        (-0.1, -0.1, "contradicted"),
    ],
)
def test_at_least_as_good_means_a_loss_below_the_margin(accuracy, f1, verdict):
    """The margin is 0.02 of accuracy, and 0.04 of F1. A loss of about the margin decides nothing."""
    scores = {"gradual_unfreeze": (0.8 + accuracy, 0.8 + f1), "full_finetune": (0.8, 0.8)}
    given = ran(scores)
    assert verdicts("best of both: quality", given) == [verdict, verdict]
    said = [finding.measured for finding in findings(BY_NAME["best of both: quality"], given)]
    assert "margin 0.02" in said[0] and "margin 0.04" in said[1]


def test_at_least_as_good_is_unclear_where_the_interval_holds_both():
    scores = {"gradual_unfreeze": (0.78, 0.76), "full_finetune": (0.8, 0.8)}
    assert verdicts("best of both: quality", ran(scores, spread=0.04)) == ["open", "open"]


def test_faster_is_told_of_an_update_however_long_each_trained():
    long = {"backbone_frozen": 200, "full_finetune": 2}
    given = evidence(
        [factory.trial(name, seed, length=long[name]) for name in long for seed in range(5)], 5
    )
    found = findings(BY_NAME["faster"], given)
    assert found[1].effect == pytest.approx(1 / 3, rel=0.01)  # FLOPs
    assert found[0].effect == pytest.approx(1.0)  # the factory's steps take equally long


def test_joint_training_is_judged_on_each_task_beside_that_task_alone():
    given = ran(
        {"full_finetune": (0.9, 0.8), "classifier_alone": (0.8, 0.0), "ner_alone": (0.2, 0.9)}
    )
    assert verdicts("joint", given) == ["supported", "contradicted"]
    assert [finding.scenarios[1] for finding in findings(BY_NAME["joint"], given)] == [
        "classifier_alone",
        "ner_alone",
    ]


def test_few_blocks():
    def given(**f1: float) -> Evidence:
        return ran(
            {
                "backbone_frozen": (0.9, 0.3),
                "full_finetune": (0.9, 0.8),
                **{name: (0.9, score) for name, score in f1.items()},
            }
        )

    assert verdicts("few blocks", given(top_1=0.5, top_2=0.79, top_3=0.8))[1] == "supported"
    assert verdicts("few blocks", given(top_3=0.5, top_4=0.79, top_5=0.8))[1] == "contradicted"
    assert (
        verdicts("a quarter of the blocks", given(top_1=0.5, top_2=0.79, top_3=0.8))[1]
        == "supported"
    )  # two of six
    assert (
        verdicts("a quarter of the blocks", given(top_1=0.4, top_2=0.6, top_3=0.8))[1]
        == "contradicted"
    )


def ended(trial: TrialRecord, how: str) -> TrialRecord:
    """The trial with a last stage that ended by ``patience``, or at its most ``epochs``."""
    last = trial.stages[-1].model_copy(update={"ended": how})
    return trial.model_copy(update={"stages": (*trial.stages[:-1], last)})


def to_the_end(how: dict[str, str], heads: float, full: float = 0.9) -> Evidence:
    """Heads alone and full fine-tuning with these scores, and how their trials ended."""
    scores = {"backbone_frozen": heads, "full_finetune": full}
    trials = [
        ended(factory.trial(name, seed, scores=(score, score), spread=0.001), how[name])
        for name, score in scores.items()
        for seed in range(5)
    ]
    return evidence(trials, 5)


BOTH = {"backbone_frozen": "patience", "full_finetune": "patience"}


def test_quality_is_capped_where_heads_stay_behind_at_their_plateau():
    assert verdicts("caps quality", to_the_end(BOTH, 0.7)) == ["supported", "supported"]
    assert verdicts("caps quality", to_the_end(BOTH, 0.95)) == ["contradicted", "contradicted"]
    for name in BOTH:  # what was stopped on the way, or at equal epochs, tells nothing
        assert verdicts("caps quality", to_the_end({**BOTH, name: "epochs"}, 0.7)) == []
    equal = ran({"backbone_frozen": (0.5, 0.5), "full_finetune": (0.9, 0.9)})
    assert verdicts("caps quality", equal) == []


def test_converging_is_counted_in_updates_to_its_own_plateau():
    def early(trial: TrialRecord, at: int) -> TrialRecord:
        epochs = [
            epoch.model_copy(
                update={
                    "validation": factory.metrics(
                        *((0.9, 0.9) if epoch.epoch >= at else (0.1, 0.1))
                    )
                }
            )
            for epoch in trial.epochs
        ]
        return trial.model_copy(update={"epochs": tuple(epochs)})

    def given(heads_at: int, full_at: int) -> Evidence:
        made = to_the_end(BOTH, 0.7, 0.7)
        at = {"backbone_frozen": heads_at, "full_finetune": full_at}
        trials = [
            early(trial, at[trial.scenario]) for group in made.groups for trial in group.trials
        ]
        return Evidence(made.suite, groups(made.suite, trials))

    slow = findings(BY_NAME["converges fast"], given(6, 2))
    assert [finding.verdict for finding in slow] == ["contradicted", "contradicted"]
    assert slow[0].effect == pytest.approx(3.0)
    assert verdicts("converges fast", given(1, 4))[0] == "supported"
    assert verdicts("converges fast", given(3, 3))[0] == "open"


def test_overfitting_is_what_validation_loses_after_its_best_epoch():
    def late(trial: TrialRecord, lost: float) -> TrialRecord:
        scores = [0.1] * (len(trial.epochs) - 2) + [0.9, 0.9 - lost]
        pairs = zip(trial.epochs, scores, strict=True)
        return trial.model_copy(
            update={
                "epochs": tuple(
                    epoch.model_copy(update={"validation": metrics(score)})
                    for epoch, score in pairs
                )
            }
        )

    def metrics(score: float) -> Metrics:
        return factory.metrics(score, score)

    trials = [late(factory.trial("backbone_frozen", seed), 0.01 + seed / 1000) for seed in range(5)]
    trials += [late(factory.trial("full_finetune", seed), 0.1) for seed in range(5)]
    found = findings(BY_NAME["regularises"], evidence(trials, 5))
    assert [finding.verdict for finding in found] == [
        "supported",
        "contradicted",
        "contradicted",
    ]  # less lost, and yet worse on test
    assert found[0].effect == pytest.approx(0.012 - 0.1, abs=1e-6)


def rates(**scores: tuple[float, float, float]) -> Evidence:
    """Full fine-tuning at settings of (encoder rate, head rate, score)."""
    trials = []
    for at, (encoder, heads, score) in enumerate(scores.values(), start=1):
        for seed in range(5):
            trial = factory.trial(
                "full_finetune", seed, point={"setting": at}, scores=(score, score), spread=0.001
            )
            stage = trial.stages[0].model_copy(
                update={"train": {"encoder": encoder, "heads": heads}}
            )
            trials.append(trial.model_copy(update={"stages": (stage,)}))
    return evidence(
        trials,
        5,
        settings={
            "scenarios.full_finetune.0.train.encoder": [
                encoder for encoder, _, _ in scores.values()
            ]
        },
    )


def test_a_smaller_rate_below_is_judged_at_the_best_of_each_way():
    assert (
        verdicts(
            "smaller rate below",
            rates(a=(1e-5, 1e-3, 0.9), b=(1e-4, 1e-3, 0.5), c=(1e-4, 1e-4, 0.8)),
        )
        == ["supported"] * 2
    )
    assert (
        verdicts("smaller rate below", rates(a=(1e-5, 1e-3, 0.6), c=(1e-4, 1e-4, 0.8)))
        == ["contradicted"] * 2
    )
    assert (
        verdicts("smaller rate below", rates(a=(1e-5, 1e-3, 0.6), c=(1e-3, 1e-4, 0.8))) == []
    )  # none with one rate for all


def test_directions_known_from_the_literature():
    usual = ran({"backbone_frozen": (0.9, 0.3), "top_2": (0.92, 0.6), "full_finetune": (0.95, 0.8)})
    assert verdicts("heads worst for entities", usual) == ["supported"]
    assert verdicts("entities fall faster", usual) == ["supported"]
    odd = ran({"backbone_frozen": (0.5, 0.79), "top_2": (0.92, 0.6), "full_finetune": (0.95, 0.8)})
    assert verdicts("heads worst for entities", odd) == ["contradicted"]
    assert verdicts("entities fall faster", odd) == ["contradicted"]


def test_a_claim_of_one_task_is_not_told_of_the_other():
    trials = [
        factory.trial(name, seed)
        for name in ("backbone_frozen", "full_finetune")
        for seed in range(3)
    ]
    given = evidence([factory.without(trial, "ner") for trial in trials], 3)
    assert len(findings(BY_NAME["below 10,000"], given)) == 1
    assert findings(BY_NAME["entities fall faster"], given) == []


@pytest.mark.parametrize(
    ("form", "effect", "low", "high", "shown"),
    [
        ("difference", -0.0312, -0.05, -0.01, "−0.031 [−0.050, −0.010]"),
        ("ratio", 0.25, 0.2, 0.3, "0.25× [0.20, 0.30]"),
        ("count", 2.0, 1.0, None, "2 [1 to –]"),
        ("share", 0.00134, 0.00134, 0.00134, "0.134%"),
        ("share", 0.2, 0.1, 0.3, "0.200 ± 0.100"),
        ("count", None, None, None, "none"),
    ],
)
def test_effects_are_written_in_their_own_form(form, effect, low, high, shown):
    assert (
        verdicts_in_words.effect(Finding("supported", "", "", effect, low, high, form, 3, "", ()))
        == shown
    )


def test_claims_have_names_of_their_own():
    assert len(BY_NAME) == len(CLAIMS)


def test_the_section_tells_protocol_encoder_and_data():
    trials = factory.all_trials(3)
    suite: SuiteRecord = factory.suite(trials)
    said = verdicts_in_words.section(suite, groups(suite, trials))
    assert "cold" in said and "`minilm`" in said
    tested = sum(bool(findings(claim, Evidence(suite, groups(suite, trials)))) for claim in CLAIMS)
    assert said.count("\n| ") == tested + 2, "a row a claim, below the header"
    assert f"the other {len(CLAIMS) - tested} claims" in said


def test_guidance_is_compared_with_the_same_stages_without_it():
    plain = {"epochs": 6, "train": {"all": 1e-3}, "guidance": None}
    stages = {
        "full_finetune": [plain],
        "gradual_unfreeze": [{**plain, "guidance": {"patience": 2}}],
    }

    def watched(f1: float, spread: float = 0.002) -> list[str]:
        scores = {"full_finetune": (0.8, 0.5), "gradual_unfreeze": (0.9, f1)}
        trials = [
            factory.trial(name, seed, scores=one, spread=spread)
            for name, one in scores.items()
            for seed in range(5)
        ]
        suite = factory.suite(trials, 5, scenarios=stages)
        return verdicts("watched", Evidence(suite, groups(suite, trials)))

    assert watched(0.6) == ["supported", "supported"]
    assert watched(0.5) == ["supported", "contradicted"], "they are equivalent"
    assert watched(0.5, spread=0.03) == ["supported", "open"]
    assert watched(0.4) == ["supported", "contradicted"]
    stages["gradual_unfreeze"][0]["epochs"] = 7
    assert watched(0.5) == [], "other stages are another comparison"
