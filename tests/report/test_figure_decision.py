"""The decision figure: marks, axes, labels, and the line above."""

import itertools
from dataclasses import replace

import pytest
from matplotlib import colors
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mtlab.record.records import Units
from mtlab.report.comparison import decisions
from mtlab.report.comparison.groups import Group, groups
from mtlab.report.figures import block_map, canvas, columns
from mtlab.report.figures.changes import VERDICTS
from mtlab.report.figures.columns import Mark
from mtlab.report.figures.costs import FLOPS, TIME, costs
from mtlab.report.figures.decision import decision
from mtlab.report.figures.takeaway import takeaway

from . import drawn, factory


@pytest.fixture(scope="module")
def group() -> Group:
    trials = factory.all_trials(3)
    return groups(factory.suite(trials, 3), trials)[0]


@pytest.fixture(scope="module")
def figure(group: Group) -> Figure:
    return drawn_of(group)


def drawn_of(group: Group) -> Figure:
    with canvas.style():
        figure = decision(group)
        assert figure is not None
        figure.draw_without_rendering()
    return figure


def rows(ax: Axes) -> list[str]:
    return [label.get_text().replace("\n", "") for label in ax.get_yticklabels()]


def test_there_is_a_row_a_scenario_with_the_control_first(group: Group, figure: Figure) -> None:
    first, *others = rows(figure.axes[0])
    assert first == "full_finetune"
    assert others == [name for name in group.scenarios if name != "full_finetune"]


def test_columns_are_the_map_the_tasks_and_the_cost(figure: Figure) -> None:
    titles = [ax.get_title(loc="left").replace("\n", " ") for ax in figure.axes]
    assert titles[0] == "Dark cells train, a line for each stage" and len(titles) == 4
    assert "change in accuracy from 0." in titles[1] and "change in entity F1 from 0." in titles[2]
    assert titles[3].startswith("Time without a cache, log axis")
    assert figure.axes[3].get_xscale() == "log"


def test_what_trains_nothing_or_lies_far_outside_sets_no_axis(figure: Figure) -> None:
    low, high = figure.axes[2].get_xlim()
    assert -0.15 < low < high < 0.15, "neither −0.88 without training nor −0.33 for heads alone"
    assert {text.get_text() for text in figure.axes[2].texts} >= {"−0.884 worse", "−0.336 worse"}
    assert "trains nothing" in {text.get_text() for text in figure.axes[3].texts}


def test_colour_shape_and_word_follow_from_the_verdict(group: Group, figure: Figure) -> None:
    task = group.tasks[0]
    marks = {
        round(float(line.get_xdata()[0]), 6): (colors.to_hex(line.get_color()), line.get_marker())
        for line in figure.axes[1].lines
        if line.get_marker() != "None" and len(line.get_xdata()) == 1
    }
    said = {text.get_text() for text in figure.axes[1].texts}
    low, high = figure.axes[1].get_xlim()
    for contrast in decisions.of_task(group, task).values():
        mean = contrast.interval.mean or 0.0
        assert any(words.endswith(f" {contrast.verdict}") for words in said)
        if low <= mean <= high:
            assert marks[round(mean, 6)] == VERDICTS[contrast.verdict]
    assert f"margin ±{task.margin:g}" in said


def cells(ax: Axes, row: int) -> list[int]:
    """How many cells of each state a row has: trains, frozen, partly."""
    counts = []
    for style in block_map.STYLES.values():
        face, hatch = colors.to_hex(style["facecolor"]), style.get("hatch")
        drawn_in = [
            path.get_extents()
            for cells in ax.collections
            for path in cells.get_paths()
            if colors.to_hex(cells.get_facecolor()[0]) == face and cells.get_hatch() == hatch
        ]
        counts.append(sum(abs(box.y0 + box.height / 2 - row) < 0.5 for box in drawn_in))
    return counts


def test_the_map_has_a_line_a_stage(figure: Figure) -> None:
    ax = figure.axes[0]
    at = rows(ax).index
    assert cells(ax, at("full_finetune")) == [9, 0, 0]
    assert cells(ax, at("fully_frozen")) == [0, 9, 0]
    assert cells(ax, at("backbone_frozen")) == [2, 7, 0]
    assert cells(ax, at("classifier_head_frozen")) == [8, 1, 0]
    assert cells(ax, at("gradual_unfreeze")) == [2 + 4 + 9, 7 + 5, 0], "three stages"


def with_units(group: Group, name: str, **units: Units) -> Group:
    """The group, one of whose scenarios has these parameters."""
    changed = [
        trial.model_copy(
            update={
                "stages": tuple(
                    stage.model_copy(update={"parameters": {**stage.parameters, **units}})
                    for stage in trial.stages
                )
            }
        )
        if trial.scenario == name
        else trial
        for trial in group.trials
    ]
    return replace(group, trials=tuple(changed))


def test_what_trains_in_part_is_hatched(group: Group) -> None:
    adapted = with_units(group, "backbone_frozen", lora=Units(trainable=10, frozen=0))
    ax = drawn_of(adapted).axes[0]
    assert cells(ax, rows(ax).index("backbone_frozen")) == [2, 1, 6]
    half = with_units(group, "backbone_frozen", **{"layers[5]": Units(trainable=5, frozen=5)})
    figure = drawn_of(half)
    ax = figure.axes[0]
    assert cells(ax, rows(ax).index("backbone_frozen")) == [2, 6, 1]
    assert "hatched: trains in part" in drawn.words(figure)


def test_many_blocks_fit(group: Group) -> None:
    more = {f"layers[{at}]": Units(trainable=0, frozen=9) for at in range(6, 48)}
    deep = with_units(group, "backbone_frozen", **more)
    figure = drawn_of(deep)
    boxes = [label.get_window_extent() for label in figure.axes[0].get_xticklabels()]
    assert all(
        left.x1 < right.x0
        for left, right in itertools.pairwise(sorted(boxes, key=lambda box: box.x0))
    )
    assert "1–48 encoder blocks" in drawn.words(figure)


@pytest.mark.parametrize("spread", [1.0, 1.5, 2.0, 200.0])
def test_labels_of_the_axis_of_costs_do_not_overlap(group: Group, spread: float) -> None:
    varied = tuple(
        trial.model_copy(update={"train_flops": (trial.train_flops or 0) * spread**trial.seed})
        if trial.scenario == "gradual_unfreeze"
        else trial.model_copy(update={"wall_plain_s": None})
        for trial in group.trials
    )
    axis = drawn_of(replace(group, trials=varied)).axes[-1]
    boxes = [label.get_window_extent() for label in axis.get_xticklabels()]
    assert axis.get_title(loc="left").startswith("Training FLOPs")
    assert len(boxes) >= 3 and axis.get_xlim()[1] < 200
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))


def test_letters_of_heads_differ(group: Group) -> None:
    task = group.tasks[0]
    names = ("slots", "slot_types", "slot_words", "S", "e")
    letters = block_map.head_letters([replace(task, name=name) for name in names])
    assert len({"E", *letters.values()}) == 6


def test_no_words_of_a_row_lie_over_those_of_another(figure: Figure) -> None:
    for ax in figure.axes[1:]:
        boxes = [text.get_window_extent() for text in ax.texts]
        for one, other in itertools.combinations(boxes, 2):
            assert not one.padded(-1).overlaps(other.padded(-1))
        assert all(box.x0 > ax.bbox.x0 - 15 and box.x1 < ax.bbox.x1 + 15 for box in boxes)


def test_one_seed_has_no_bars_and_no_verdicts() -> None:
    trials = factory.all_trials(1)
    figure = drawn_of(groups(factory.suite(trials, 1), trials)[0])
    said = drawn.words(figure)
    assert "One seed" in said and not any(f" {verdict}" in said for verdict in ("worse", "unclear"))
    assert not [line for line in figure.axes[1].lines if line.get_linewidth() == 2.4]


def test_without_a_control_the_means_are_shown() -> None:
    trials = factory.all_trials(2)
    figure = drawn_of(groups(factory.suite(trials, 2, control=None), trials)[0])
    said = drawn.words(figure)
    assert "No scenario is the control" in said and "margin" not in said
    assert "0.9" in {text.get_text()[:3] for text in figure.axes[1].texts}


def test_more_tasks_than_there_is_room_for_are_counted(group: Group) -> None:
    tasks = tuple(replace(group.every[at % 2], title=f"task {at}") for at in range(6))
    figure = drawn_of(replace(group, every=tasks))
    assert len(figure.axes) == 6
    assert "2 more tasks are in the table" in " ".join(drawn.words(figure).split())


def test_time_is_the_cost_where_it_is_measured_well(group: Group) -> None:
    assert costs(group).column == TIME
    noisy = tuple(
        trial.model_copy(update={"wall_plain_s": (trial.wall_plain_s or 0.0) * (1 + trial.seed)})
        if trial.scenario == "gradual_unfreeze"
        else trial
        for trial in group.trials
    )
    assert costs(replace(group, trials=noisy)).column == FLOPS
    apart = tuple(trial.model_copy(update={"untimed": "shared"}) for trial in group.trials)
    assert costs(replace(group, trials=apart)).column == FLOPS
    assert costs(replace(group, trials=group.trials)).side("classifier_head_frozen") == ""


def said_of(**means: float) -> str:
    """The line above, of scenarios with these means of both tasks and a cost that falls with their
    place in the list."""
    names = {"full_finetune": 0.9, **means}
    trials = []
    for at, (name, mean) in enumerate(names.items()):
        for seed in range(4):
            made = factory.trial("full_finetune", seed, spread=0.0, scores=(mean, mean))
            trials.append(
                made.model_copy(
                    update={
                        "scenario": name,
                        "final_digest": f"{mean}{seed}",  # equal scores are of equal weights
                        "wall_plain_s": 100.0 / (1 + (at if name.startswith("cheap") else 0)),
                    }
                )
            )
    group = groups(factory.suite(trials, 4, scenarios={name: [{}] for name in names}), trials)[0]
    return takeaway(group, costs(group), group.tasks)


def test_the_line_above_says_what_is_cheaper_and_what_it_loses() -> None:
    assert said_of(cheap=0.9, other=0.9) == (
        "cheap is clearly cheaper than full_finetune and at least as good at both tasks"
    )
    assert said_of(cheap=0.5, other=0.9) == (
        "Only cheap is clearly cheaper; it is worse at both tasks"
    )
    assert said_of(cheap_a=0.5, cheap_b=0.4) == (
        "cheap_a and cheap_b are clearly cheaper; each is worse at both tasks"
    )
    assert said_of(other=0.5) == (
        "No trained scenario is clearly cheaper than full_finetune; other is worse at both tasks"
    )
    assert said_of(other=0.97).startswith("other is better at both tasks; no trained scenario")


def test_limits_hold_those_that_lie_together() -> None:
    def mark(mean: float, half: float = 0.01, *, ruling: bool = True) -> Mark:
        return Mark(mean, mean - half, mean + half, "", "#000000", "o", ruling=ruling)

    margin = (-0.02, 0.02)
    near = columns.limits([mark(0.01), mark(-0.03)], margin)
    assert columns.limits([mark(0.01), mark(-0.03), mark(-0.5)], margin) == near
    assert columns.limits([mark(0.01), mark(-0.03), mark(-0.03, ruling=False)], margin) == near
    assert columns.limits([mark(-0.5)], margin)[0] < -0.5, "what is alone is not far from others"
    low, _ = columns.limits([mark(0.01), mark(-0.03, half=5.0)], margin)
    assert low > -0.2, "an interval may leave the axis"
