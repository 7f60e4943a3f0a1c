"""The figures of the published reports: every panel has values, all can be seen, and a scenario looks
the same in all."""

from functools import cache
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from mtlab.plan import yaml_file
from mtlab.plan.colours import FILE, parsed
from mtlab.record.journal import Journal
from mtlab.record.records import SuiteRecord
from mtlab.report.comparison.groups import groups
from mtlab.report.figures import canvas, curves, scores, staged_plots
from mtlab.report.figures.looks import BLACK, looks
from mtlab.report.sections.telling import question_figure
from mtlab.report.view import View

from . import drawn

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "reports" / "published"
EVERY = sorted(folder.parent.name for folder in PUBLISHED.glob("*/suite.json"))
FEW = {"compare", "staged_long"}

QUESTIONS = {
    "imbalance": "conditions",
    "clean_data": "conditions",
    "data_size": "quality_vs_data",
    "data_size_snips": "quality_vs_data",
    "frontier": "quality_vs_blocks",
    "frontier_snips": "quality_vs_blocks",
    "many_tasks": "quality_vs_blocks",
    "learning_rates": "settings",
    "pilot": "settings",
    "staged": "kept_and_learnt",
    "staged_long": "kept_and_learnt",
    "staged_topics": "kept_and_learnt",
    "ways": "out_of_distribution",
}
"""Report to the figure that answers its question; learning curves elsewhere."""

GREY = "#7a7a7a"
"""The colour of controls, where they are none."""


def marked(name: str) -> object:
    return name if name in FEW else pytest.param(name, marks=pytest.mark.nightly)


def _suite(name: str) -> SuiteRecord:
    suite = Journal(PUBLISHED / name).last_suite()
    assert suite is not None
    return suite


@cache
def view(name: str) -> View:
    suite, trials = Journal(PUBLISHED / name).read()
    return View(suite, groups(suite, trials))


def drawings(name: str) -> dict[str, Figure]:
    report = view(name)
    base = report.base
    every = {
        **curves.drawings(report.groups, base),
        **scores.drawings(base),
        **staged_plots.drawings(base),
    }
    made = {}
    with canvas.style():
        for kind, (draw, _, caption) in every.items():
            assert len(caption.split()) <= 35, kind
            figure = draw()
            if figure is not None:
                figure.draw_without_rendering()
                made[kind] = figure
    return made


@pytest.mark.parametrize("name", list(map(marked, EVERY)))
def test_every_panel_has_values_and_all_can_be_seen(name: str) -> None:
    made = drawings(name)
    assert {"decision", "learning_curves"} <= made.keys()
    for kind, figure in made.items():
        assert all(drawn.has_data(ax) for ax in figure.axes), kind
        assert not drawn.pale_texts(figure), kind
        assert not drawn.pale_marks(figure), kind
        assert min(text.get_fontsize() for text in drawn.texts(figure)) >= 9, kind
        box = figure.get_tightbbox()
        assert box.x0 > -0.1 and box.x1 < figure.get_figwidth() + 0.1, f"{kind} is cut"


@pytest.mark.parametrize("name", list(map(marked, EVERY)))
def test_the_question_has_its_figure(name: str) -> None:
    report = view(name)
    expected = QUESTIONS.get(name, "learning_curves")
    assert question_figure(report.groups, report.base, "") == expected


def test_a_scenario_has_one_look_in_all_reports_and_the_control_is_black() -> None:
    looked: dict[str, set[object]] = {}
    for name in EVERY:
        suite = _suite(name)
        group = groups(suite, [])[0]
        for scenario, look in looks(group).items():
            if scenario == group.control:
                assert look.colour == BLACK
            else:
                looked.setdefault(scenario, set()).add(look)
    assert {scenario for scenario, several in looked.items() if len(several) > 1} == set()
    pairs = [next(iter(several)) for several in looked.values()]
    assert len(set(pairs)) == len(pairs), "no two scenarios look alike"


def test_the_shipped_colours_differ_within_each_experiment() -> None:
    colours = {
        name: parsed(look)
        for name, look in yaml_file.read(ROOT / "experiments" / FILE).value.items()
    }
    assert None not in colours.values() and len(set(colours.values())) == len(colours)
    most = len({look[0] for look in colours.values() if look} - {GREY})
    for name in EVERY:
        group = groups(_suite(name), [])[0]
        own = [colours[scenario] for scenario in group.scenarios if scenario != group.control]
        assert len({look[0] for look in own if look}) == min(len(own), most), name
