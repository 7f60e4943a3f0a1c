"""What is read over points: choices, sizes, crossovers, the fewest blocks."""

from dataclasses import replace

import pytest

from mtlab.report.comparison import across, kinds
from mtlab.report.comparison.groups import Group, groups
from mtlab.report.statistics.intervals import Interval
from mtlab.report.tasks import of_experiment

from . import factory

ENTITIES = of_experiment({})[1]


def settings(scores: dict[str, list[float]], seeds: int = 3, **lengths: list[int]) -> list[Group]:
    """Groups of settings: scenario to its mean score at each of them."""
    count = len(next(iter(scores.values())))
    trials = [
        factory.trial(
            name,
            seed,
            point={"setting": at + 1},
            scores=(found[at], found[at]),
            length=lengths.get(name, [None] * count)[at],
        )
        for at in range(count)
        for seed in range(seeds)
        for name, found in scores.items()
    ]
    suite = factory.suite(
        trials,
        seeds,
        settings={"scenarios.full_finetune.0.epochs": list(range(1, count + 1))},
        scenarios=scores,
    )
    return groups(suite, trials)


def test_each_scenario_gets_the_setting_that_validation_prefers():
    found = settings({"backbone_frozen": [0.5, 0.7, 0.6], "full_finetune": [0.9, 0.7, 0.8]})
    base, picked = across.chosen(found)
    assert {name: group.point["setting"] for name, group in picked.items()} == {
        "backbone_frozen": 2,
        "full_finetune": 1,
    }
    assert {(trial.scenario, trial.point["setting"]) for trial in base.trials} == {
        ("backbone_frozen", 2),
        ("full_finetune", 1),
    }
    assert base.complete
    assert base.label == ""


def test_the_choice_does_not_look_at_the_test_split():
    found = settings({"full_finetune": [0.5, 0.7]})
    worse = factory.tested(0.1, 0.1)
    swapped = [
        found[0],
        replace(
            found[1], trials=tuple(trial.model_copy(update=worse) for trial in found[1].trials)
        ),
    ]
    assert across.chosen(swapped)[1]["full_finetune"].point == {"setting": 2}


def test_a_setting_that_lacks_a_seed_is_not_chosen_unless_all_do():
    found = settings({"full_finetune": [0.5, 0.7, 0.9]})
    short = [replace(group, trials=group.trials[: 3 - at]) for at, group in enumerate(found)]
    assert across.chosen(short)[1]["full_finetune"].point == {"setting": 1}
    assert across.chosen(short[1:])[1]["full_finetune"].point == {"setting": 3}


def test_points_that_differ_in_data_are_no_settings():
    trials = [
        factory.trial("full_finetune", 0, point={"data.train_size": size}) for size in (100, 300)
    ]
    assert not across.settings_only(
        groups(factory.suite(trials, 1, sweep={"data.train_size": [100, 300]}), trials)
    )
    assert not across.settings_only(
        groups(
            factory.suite([factory.trial("full_finetune", 0)], 1),
            [factory.trial("full_finetune", 0)],
        )
    )


def sized(points: list[tuple[int, int, float]], seeds: int = 2) -> list[Group]:
    """Groups of (sentences, epochs, lead of the heads alone)."""
    trials, data = [], {}
    for number, (size, epochs, lead) in enumerate(points, start=1):
        point = {"setting": number, "data.train_size": size}
        data[f"setting = {number}, data.train_size = {size}"] = {
            "sizes": {"train": size, "validation": 300, "test": 600},
            "tasks": {"classifier": {"names": ["a", "b"], "summary": "2 labels"}},
        }
        for seed in range(seeds):
            trials.append(
                factory.trial(
                    "backbone_frozen",
                    seed,
                    point=point,
                    scores=(0.6 + lead, 0.6 + lead),
                    length=epochs,
                    spread=0.001,
                )
            )
            trials.append(
                factory.trial(
                    "full_finetune",
                    seed,
                    point=point,
                    scores=(0.6, 0.6),
                    length=epochs,
                    spread=0.001,
                )
            )
    varied = {
        "data.train_size": [size for size, _, _ in points],
        "scenarios.full_finetune.0.epochs": [epochs for _, epochs, _ in points],
    }
    scenarios = {"backbone_frozen": [], "full_finetune": []}
    return groups(
        factory.suite(trials, seeds, settings=varied, data=data, scenarios=scenarios), trials
    )


def lengths(found: list[Group]) -> list[tuple[int | None, int]]:
    """Sentences and epochs of each point."""
    return [(group.sentences, group.good[-1].stages[-1].epochs) for group in found]


def test_sizes_are_compared_at_equal_epochs_and_at_equal_updates():
    ways = across.by_size(sized([(100, 6, 0.1), (1000, 6, -0.1), (100, 60, 0.2)]))
    # the factory gives every epoch the same number of steps, so that equal epochs are equal updates
    # too
    assert {way: lengths(points) for way, points in ways.items()} == {
        across.EPOCHS: [(100, 6), (1000, 6)],
        across.UPDATES: [(100, 6), (1000, 6)],
    }


def by_patience(group: Group) -> Group:
    def ended(trial):
        last = trial.stages[-1].model_copy(update={"ended": "patience"})
        return trial.model_copy(update={"stages": (*trial.stages[:-1], last)})

    return replace(group, trials=tuple(map(ended, group.trials)))


def test_a_length_that_patience_ended_is_a_result_and_excludes_no_size():
    found = [by_patience(group) for group in sized([(100, 60, 0.1), (1000, 6, -0.1)])]
    (way, points), *others = across.by_size(found).items()
    assert (way, lengths(points), others) == (across.PLATEAU, [(100, 60), (1000, 6)], [])


def test_sizes_are_compared_with_labels_as_at_the_first_of_the_largest():
    noise = "data.label_noise.ner"
    clean, wrong = sized([(100, 6, 0.1), (1000, 6, -0.1)]), sized([(100, 6, 0.3), (1000, 6, 0.2)])
    for number, group in enumerate([*clean, *wrong]):
        group.point[noise] = 0.2 * (number > 1)
    found = across.sizes([wrong[0], *clean, wrong[1]])
    assert [(group.sentences, group.point[noise]) for group in found] == [(100, 0.0), (1000, 0.0)]


def test_settings_alone_have_no_sizes():
    assert across.by_size(settings({"full_finetune": [0.5, 0.6]})) == {}


def test_a_lead_is_paired_and_none_where_a_kind_was_not_run():
    (group,) = across.sizes(sized([(100, 6, 0.1)], seeds=3))
    lead = across.lead(group, ENTITIES, kinds.HEADS, kinds.FULL)
    assert lead is not None and (lead.scenario, lead.other) == ("backbone_frozen", "full_finetune")
    assert lead.interval.mean == pytest.approx(0.1, abs=0.02) and lead.verdict == "better"
    turned = across.lead(group, ENTITIES, kinds.FULL, kinds.HEADS)
    assert turned is not None and turned == lead.turned()
    assert across.lead(group, ENTITIES, kinds.GRADUAL, kinds.FULL) is None


def leads(*means: float, half: float = 0.02) -> list[tuple[float, Interval]]:
    return [
        (10.0**at, Interval(mean, mean - half, mean + half, 3))
        for at, mean in enumerate(means, start=1)
    ]


def test_a_crossover_is_interpolated_over_the_logarithm_and_bounded_by_the_intervals():
    found = across.crossing(leads(0.03, 0.01, -0.01, -0.03))
    assert found.at == pytest.approx(10**2.5)
    assert found.low == pytest.approx(10**1.5)  # the lower ends pass through 0 here
    assert found.high == pytest.approx(10**3.5)


def test_a_crossover_outside_the_range_is_none():
    assert across.crossing(leads(-0.1, -0.2)) == across.Crossing(None, None, None)
    assert across.crossing(leads(0.2, 0.1)) == across.Crossing(None, None, None)
    wide = across.crossing(leads(0.01, -0.01, half=0.5))
    assert wide.at is not None and wide.low is None and wide.high is None


def by_depth(
    scores: dict[int, float], validation: dict[int, float] | None = None, seeds: int = 5
) -> Group:
    """Heads alone, top blocks and full fine-tuning (entity F1 0.8)."""
    trials = []
    for depth, score in scores.items():
        name = f"top_{depth}" if depth else "backbone_frozen"
        for seed in range(seeds):
            trial = factory.trial(name, seed, scores=(0.9, score), spread=0.001)
            if validation:
                trial = trial.model_copy(
                    update={"validation": factory.metrics(0.9, validation[depth])}
                )
            trials.append(trial)
    trials += [
        factory.trial("full_finetune", seed, scores=(0.9, 0.8), spread=0.001)
        for seed in range(seeds)
    ]
    scenarios = {trial.scenario: [] for trial in trials}
    return groups(factory.suite(trials, seeds, scenarios=scenarios), trials)[0]


def test_the_fewest_blocks_are_chosen_on_validation_and_told_on_test():
    group = by_depth({0: 0.3, 1: 0.5, 2: 0.78, 3: 0.8}, validation={0: 0.3, 1: 0.9, 2: 0.9, 3: 0.9})
    ninety = across.frontier(group, ENTITIES)[0]
    assert (ninety.share, ninety.blocks) == (0.90, 1)
    assert ninety.ratio == pytest.approx(0.5 / 0.8, abs=0.03)
    assert ninety.allowed == "2 to 2", "on test one block is too few, and two are enough"


def test_blocks_that_never_reach_a_share_are_none():
    ninety_nine = across.frontier(by_depth({0: 0.3, 1: 0.4, 2: 0.5}), ENTITIES)[2]
    assert (ninety_nine.blocks, ninety_nine.ratio) == (None, None)
    assert ninety_nine.allowed == "none"


def test_a_share_that_the_test_scores_do_not_show_has_no_upper_end():
    close = by_depth({0: 0.3, 1: 0.4, 2: 0.99 * 0.8}, validation={0: 0.3, 1: 0.4, 2: 0.8})
    ninety_nine = across.frontier(close, ENTITIES)[2]
    assert (ninety_nine.blocks, ninety_nine.allowed) == (2, "2 or more")


def test_no_frontier_without_several_depths_and_full_fine_tuning():
    assert across.frontier(by_depth({0: 0.3, 1: 0.4}), ENTITIES) == []
