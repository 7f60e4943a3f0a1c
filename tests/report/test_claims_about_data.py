"""Claims about the training data: how many sentences, which encoder, how many right labels."""

import pytest

from mtlab.record.records import TrialRecord
from mtlab.report.claims.evidence import Evidence
from mtlab.report.claims.register import findings
from mtlab.report.comparison.groups import groups

from . import factory
from .test_claims import BY_NAME, evidence, ran, verdicts


@pytest.mark.parametrize(
    ("lead", "verdict"), [(0.2, "supported"), (-0.2, "contradicted"), (0.0, "open")]
)
def test_below_ten_thousand(lead, verdict):
    given = ran(
        {"backbone_frozen": (0.6 + lead, 0.6 + lead), "full_finetune": (0.6, 0.6)}, spread=0.004
    )
    assert verdicts("below 10,000", given) == [verdict, verdict]


def test_one_size_at_which_fine_tuning_leads_contradicts_that_freezing_is_ideal():
    trials, data = [], {}
    for size, lead in ((100, 0.1), (1000, -0.1), (20_000, -0.2)):
        data[f"data.train_size = {size}"] = {
            "sizes": {"train": size},
            "tasks": {"classifier": {"names": ["a"], "summary": "1 label"}},
        }
        for seed in range(5):
            point = {"data.train_size": size}
            trials.append(
                factory.trial(
                    "backbone_frozen",
                    seed,
                    point=point,
                    scores=(0.6 + lead, 0.6 + lead),
                    spread=0.002,
                )
            )
            trials.append(
                factory.trial("full_finetune", seed, point=point, scores=(0.6, 0.6), spread=0.002)
            )
    given = evidence(trials, 5, data=data, sweep={"data.train_size": [100, 1000, 20_000]})
    found = findings(BY_NAME["below 10,000"], given)
    assert {finding.verdict for finding in found} == {"contradicted"}
    assert {finding.at for finding in found} == {
        "1,000 sentences"
    }  # 20,000 are none of the claim's business


def test_encoders_are_compared_where_several_ran():
    trials = [
        factory.trial(
            "full_finetune", seed, point={"encoder": name}, scores=(score, score), spread=0.001
        )
        for name, score in (("general", 0.8), ("clinical", 0.9))
        for seed in range(5)
    ]
    given = evidence(trials, 5, sweep={"encoder": ["general", "clinical"]})
    assert verdicts("domain", given) == ["supported", "supported"]


def poor(
    point: dict[str, float], frozen: float, seeds: int = 5, spread: float = 0.002
) -> list[TrialRecord]:
    """Trials at a point at which the entities' labels are few or wrong: full fine-tuning has F1
    0.5, a frozen head ``frozen``."""
    of_point = {"setting": 1, **point}
    scores = {"full_finetune": (0.9, 0.5), "classifier_head_frozen": (0.6, frozen)}
    return [
        factory.trial(name, seed, point=of_point, scores=one, spread=spread)
        for name, one in scores.items()
        for seed in range(seeds)
    ]


def test_imbalance_looks_at_the_task_that_has_few_labels():
    for point in ({"data.labelled.ner": 0.05}, {"data.label_noise.ner": 0.2}):
        assert verdicts("imbalance", evidence(poor(point, 0.6), 5)) == ["supported"]
        assert verdicts("imbalance", evidence(poor(point, 0.4), 5)) == ["contradicted"]
        same, unclear = evidence(poor(point, 0.5), 5), evidence(poor(point, 0.5, spread=0.03), 5)
        assert verdicts("imbalance", same) == ["contradicted"], "they are equivalent"
        assert verdicts("imbalance", unclear) == ["open"]
    (found,) = findings(BY_NAME["imbalance"], evidence(poor({"data.labelled.ner": 0.05}, 0.6), 5))
    assert "entity recognition has 5% of its labels" in found.measured
    for whole in (
        {"data.labelled.ner": 1.0},
        {"data.labelled.ner": 0.2, "data.labelled.classifier": 0.2},
    ):
        assert verdicts("imbalance", evidence(poor(whole, 0.6), 5)) == []


def test_clean_data_are_compared_with_noisy_ones_of_the_same_size():
    def at(noise: float, size: int, lead: float) -> list[TrialRecord]:
        point = {
            "setting": size + int(10 * noise),
            "data.train_size": size,
            "data.label_noise.ner": noise,
        }
        scores = {"full_finetune": (0.9, 0.5), "backbone_frozen": (0.9, 0.5 - lead)}
        return [
            factory.trial(name, seed, point=point, scores=one, spread=0.002)
            for name, one in scores.items()
            for seed in range(5)
        ]

    def found(clean: float, noisy: float) -> list[str]:
        trials = at(0.0, 300, 0.0) + at(0.0, 1000, clean) + at(0.2, 1000, noisy)
        suite = factory.suite(trials, 5, scenarios={"full_finetune": [], "backbone_frozen": []})
        sizes = {f"setting = {size + int(10 * noise)}, data.train_size = {size}, data.label_noise.ner = {noise}": {"sizes": {"train": size}}
                 for noise, size in ((0.0, 300), (0.0, 1000), (0.2, 1000))}  # fmt: skip
        suite = suite.model_copy(update={"data": sizes})
        return verdicts("clean data", Evidence(suite, groups(suite, trials)))

    assert found(0.2, 0.1)[2:] == ["supported", "supported"]
    assert found(-0.1, 0.1)[2:] == ["contradicted", "contradicted"]
