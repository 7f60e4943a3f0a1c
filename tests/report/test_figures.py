import pytest
from matplotlib import colors
from matplotlib.figure import Figure

from mtlab.report.comparison.groups import groups
from mtlab.report.figures import plots, scores
from mtlab.report.figures.looks import looks, shown
from mtlab.report.statistics.intervals import Interval

from . import factory


@pytest.mark.parametrize("drop", ["validation", "wall_s", "stages", "laps"])
def test_a_figure_without_values_is_left_out_and_no_error(drop):
    change = {
        "validation": {"epochs": ()},
        "wall_s": {"wall_s": None},
        "stages": {"stages": ()},
        "laps": {"laps": {}},
    }[drop]
    trials = [trial.model_copy(update=change) for trial in factory.all_trials(2)]
    missing = {
        "validation": {"learning_curves"},
        "wall_s": {"quality_vs_time", "time_by_lap"},
        "stages": {"parameters"},
        "laps": set(),
    }
    group = groups(factory.suite(trials, 2), trials)[0]
    assert {kind for kind, (draw, *_) in scores.FIGURES.items() if draw(group) is None} == missing[
        drop
    ]


def test_one_task_one_seed_and_no_control_can_be_drawn():
    trials = [factory.without(trial, "ner") for trial in factory.all_trials(1)]
    group = groups(factory.suite(trials, 1, control=None), trials)[0]
    for kind, (draw, *_) in scores.FIGURES.items():
        figure = draw(group)
        assert (figure is None) == (kind == "differences"), (
            "without a control there is nothing to differ from"
        )
        if figure is not None:
            figure.draw_without_rendering()


def test_nothing_is_drawn_when_every_trial_failed(tmp_path):
    trials = [factory.trial("full_finetune", 0, status="out of memory")]
    assert scores.write_all(groups(factory.suite(trials, 1), trials)[0], tmp_path / "plots") == {}
    assert not (tmp_path / "plots").exists()


def test_a_control_that_alone_has_a_result_can_be_drawn():
    trials = [
        factory.trial(name, 0, status="ok" if name == "full_finetune" else "out of memory")
        for name in factory.SCENARIOS
    ]
    group = groups(factory.suite(trials, 1), trials)[0]
    for draw, *_ in scores.FIGURES.values():
        made = draw(group)
        if made is not None:
            made.draw_without_rendering()


def test_looks_are_unique_and_told_apart_without_colour():
    six = looks(list(factory.SCENARIOS))
    assert (
        len({look.colour for look in six.values()})
        == len({look.marker for look in six.values()})
        == 6
    )
    assert len(set(looks([str(name) for name in range(77)]).values())) == 77


def test_a_scenario_keeps_its_look_when_others_have_no_result(suite, trials):
    fewer = [trial for trial in trials if trial.scenario != "fully_frozen"]
    both = [looks(groups(suite, some)[0].scenarios)["full_finetune"] for some in (trials, fewer)]
    assert both[0] == both[1]


def test_intervals_take_values_and_return_the_ax():
    ax = Figure().subplots()
    look = looks(["a", "b"])
    estimates = {"a": Interval(0.5, 0.4, 0.6, 3), "b": Interval(0.9, None, None, 1)}
    assert plots.intervals(estimates, {"a": [0.45, 0.55], "b": [0.9]}, look, "b", ax) is ax
    drawn = {colors.to_hex(line.get_color()).upper() for line in ax.lines}
    assert drawn == {look["a"].colour, look["b"].colour}


def test_scenarios_are_drawn_in_their_own_colour_everywhere():
    look = looks(list(factory.SCENARIOS))
    name = "gradual_unfreeze"
    ax = plots.quality_vs_time(
        {name: [(1.0, 0.5)]}, {name: (1.0, 0.5)}, [(1.0, 0.5)], look, Figure().subplots()
    )
    assert {
        colors.to_hex(dots.get_edgecolor()[0]).upper()
        for dots in ax.collections
        if len(dots.get_edgecolor())
    } == {look[name].colour}
    ax = plots.learning_curves(
        {name: plots.Curve([(0, 0.1), (1, 0.5)], [])}, look, Figure().subplots()
    )
    assert [colors.to_hex(line.get_color()).upper() for line in ax.lines] == [look[name].colour]
    ax = plots.parameters([plots.Bar(name, name, 3, 7)], look, Figure().subplots())
    assert colors.to_hex(ax.lines[0].get_color()).upper() == look[name].colour
    ax = plots.time_by_lap({name: {"train": 2.0}}, {name: 3.0}, look, Figure().subplots())
    assert colors.to_hex(ax.lines[0].get_color()).upper() == look[name].colour


def test_labels_hold_no_mathtext_and_only_known_characters(tmp_path, monkeypatch):
    assert shown("_a\nb") == " _a b"
    assert shown("名\x00é") == "??é"
    assert len(shown("x" * 500)) == 36
    trials = [
        trial.model_copy(
            update={
                "stages": tuple(
                    stage.model_copy(update={"name": r"$\frac{1}{$ 名"}) for stage in trial.stages
                )
            }
        )
        for trial in factory.all_trials(2)
    ]
    monkeypatch.setattr(
        scores, "FIGURES", {"parameters": scores.FIGURES["parameters"]}
    )  # it has the names of stages
    scores.write_all(
        groups(factory.suite(trials, 2), trials)[0], tmp_path
    )  # a `$` that is read as mathematics raises
