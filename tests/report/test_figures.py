import itertools
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from mtlab.plan.colours import CONTRAST, contrast
from mtlab.report.comparison.groups import Group, groups
from mtlab.report.figures import canvas, columns, labels, scores
from mtlab.report.figures.changes import VERDICTS
from mtlab.report.figures.looks import BLACK, COLOURS, INK, Look, looks, shown

from . import drawn, factory


def group_of(trials: list, seeds: int, **changes) -> Group:
    return groups(factory.suite(trials, seeds, **changes), trials)[0]


def figures_of(group: Group) -> dict[str, Figure]:
    with canvas.style():
        made = {kind: draw(group) for kind, (draw, *_) in scores.FIGURES.items()}
    return {kind: figure for kind, figure in made.items() if figure is not None}


@pytest.mark.parametrize(
    "change, missing",
    [
        ({"epochs": ()}, {"learning_curves"}),
        ({"wall_s": None}, {"time_by_lap"}),
        ({"wall_plain_s": None}, set()),
        ({"train_flops": None, "wall_plain_s": None}, set()),
    ],
)
def test_a_figure_without_values_is_left_out_and_no_error(change, missing):
    trials = [trial.model_copy(update=change) for trial in factory.all_trials(2)]
    assert scores.FIGURES.keys() - figures_of(group_of(trials, 2)).keys() == missing


@pytest.mark.parametrize("control", ["full_finetune", None])
def test_one_task_and_one_seed_can_be_drawn(control):
    trials = [factory.without(trial, "ner") for trial in factory.all_trials(1)]
    made = figures_of(group_of(trials, 1, control=control))
    assert made.keys() == scores.FIGURES.keys()
    for figure in made.values():
        figure.draw_without_rendering()
        assert all(drawn.has_data(ax) for ax in figure.axes)


def test_nothing_is_drawn_when_every_trial_failed(tmp_path):
    trials = [factory.trial("full_finetune", 0, status="out of memory")]
    assert scores.write_all(group_of(trials, 1), tmp_path / "plots") == {}
    assert not (tmp_path / "plots").exists()


@pytest.mark.parametrize("only", ["full_finetune", "ner_head_frozen"])
def test_a_scenario_that_alone_has_a_result_can_be_drawn(only):
    trials = [
        factory.trial(name, 0, status="ok" if name == only else "out of memory")
        for name in factory.SCENARIOS
    ]
    figure = figures_of(group_of(trials, 1))["decision"]
    figure.draw_without_rendering()
    assert drawn.words(figure).count("no result") >= 5


def test_colours_and_texts_can_be_seen():
    assert min(map(contrast, COLOURS)) >= CONTRAST
    assert min(contrast(colour) for colour, _ in VERDICTS.values()) >= CONTRAST
    assert contrast(INK) >= 4.5 and contrast(INK, columns.BAND) >= 4.5


def test_the_control_is_black_and_all_looks_differ():
    look = looks(group_of(factory.all_trials(1), 1))
    assert look["full_finetune"] == Look(BLACK, "D")
    assert len(set(look.values())) == len(look) == 6


def test_a_scenario_has_the_look_that_the_experiment_gives_it_or_that_of_its_name():
    given = {"backbone_frozen": "#d55e00 s", "full_finetune": "#0072b2 o"}
    trials = factory.all_trials(1)
    group = group_of(trials, 1, colours=given)
    assert looks(group)["backbone_frozen"] == Look("#d55e00", "s")
    assert looks(group)["full_finetune"].colour == BLACK, "it is the control"
    fewer = [trial for trial in trials if trial.scenario in ("gradual_unfreeze", "full_finetune")]
    scenarios = {"gradual_unfreeze": [{}], "full_finetune": [{}]}
    other = group_of(fewer, 1, scenarios=scenarios, control=None, colours=given)
    assert looks(other)["gradual_unfreeze"] == looks(group)["gradual_unfreeze"]
    assert looks(other)["full_finetune"] == Look("#0072b2", "o")


@pytest.mark.parametrize("look", ["", "blue o", "#ffff00 o", "#0072b2 *", 7])
def test_a_look_in_a_record_that_cannot_be_used_is_not(look):
    group = group_of(factory.all_trials(1), 1, colours={"backbone_frozen": look})
    assert contrast(looks(group)["backbone_frozen"].colour) >= CONTRAST


def test_a_hundred_scenarios_can_be_drawn():
    names = {f"s{at}": [{}] for at in range(100)}
    group = group_of([], 1, scenarios=names, control=None)
    look = looks(group)
    assert len(set(look.values())) == 90, "as many pairs as there are"


def test_labels_lie_apart_and_in_their_order():
    wanted = [0.1, 0.5, 0.51, 0.52, 0.9]
    places = labels.spread(wanted, 0.06)
    assert all(after - before >= 0.06 - 1e-9 for before, after in itertools.pairwise(places))
    assert places[0] == 0.1 and places[-1] == 0.9
    assert sum(places[1:4]) == pytest.approx(sum(wanted[1:4])), "around where they should be"


@pytest.mark.parametrize("wanted", [[0.0] * 5, [1.0] * 5, [0.0, 0.5, 1.0], [0.9, 0.95, 1.0], [0.5]])
def test_labels_stay_beside_the_axes_where_there_is_room(wanted):
    places = labels.inside(labels.spread(wanted, 0.2), 0.2)
    assert min(places) >= 0 and max(places) <= 1
    gaps = [later - earlier for earlier, later in itertools.pairwise(places)]
    assert all(gap >= 0.2 - 1e-9 for gap in gaps)


def test_labels_without_room_keep_their_places():
    places = labels.spread([0.5] * 9, 0.2)
    assert labels.inside(places, 0.2) == places


def test_equal_courses_have_one_label():
    courses = {"a": [(0.0, 1.0)], "b": [(0.0, 2.0)], "c": [(0.0, 1.0)]}
    assert labels.alike(courses) == {"a": ["a", "c"], "b": ["b"]}


def test_labels_hold_no_mathtext_and_only_known_characters(tmp_path: Path):
    assert shown("_a\nb") == " _a b"
    assert shown("名\x00é") == "??é"
    assert len(shown("x" * 500)) == 36
    strange = r"$\frac{1}{$ 名"
    trials = [
        trial.model_copy(update={"scenario": strange})
        if trial.scenario == "gradual_unfreeze"
        else trial
        for trial in factory.all_trials(2)
    ]
    figure = figures_of(group_of(trials, 2))["decision"]
    with canvas.style():
        figure.draw_without_rendering()  # a `$` that is read as mathematics raises
    assert r"$\frac{1}{$ ?" in drawn.words(figure)


def test_scenarios_that_still_gain_say_so(monkeypatch: pytest.MonkeyPatch):
    trials = [factory.trial("full_finetune", seed, length=6, spread=0.0) for seed in range(3)]
    stages = {"full_finetune": [{"name": "full_finetune", "epochs": 6}]}
    figure = figures_of(group_of(trials, 3, scenarios=stages))["learning_curves"]
    assert "full_finetune (still gaining)" in drawn.words(figure)


def test_the_same_curve_is_drawn_once_with_both_names():
    mine = factory.all_trials(2)
    same = [
        trial.model_copy(update={"scenario": "again"})
        for trial in mine
        if trial.scenario == "full_finetune"
    ]
    names = {name: [{}] for name in (*factory.SCENARIOS, "again")}
    figure = figures_of(group_of([*mine, *same], 2, scenarios=names))["learning_curves"]
    assert "full_finetune = again" in drawn.words(figure)


def test_what_trains_nothing_sets_no_axis_of_the_learning_curves():
    figure = figures_of(group_of(factory.all_trials(2), 2))["learning_curves"]
    assert figure.axes[0].get_ylim()[0] > 0.4, "0.2 is the score without training"


def test_times_are_told_without_and_with_the_cache():
    trials = factory.all_trials(2)
    figure = figures_of(group_of(trials, 2))["time_by_lap"]
    said = drawn.words(figure)
    assert said.count(" s uncached") == said.count(" s here, with its cache") == 6
