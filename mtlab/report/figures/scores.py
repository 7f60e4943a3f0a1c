"""The figures of one group: values from records, laid out with
:mod:`mtlab.report.figures.plots`.
"""

from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mtlab.report.comparison import decisions
from mtlab.report.comparison.groups import Group, Task
from mtlab.report.figures import canvas, plots
from mtlab.report.figures.canvas import Drawing, Plot
from mtlab.report.figures.learning_curves import learning_curves, mean_point
from mtlab.report.figures.looks import INK, looks, seconds_axis, shown
from mtlab.report.figures.plots import Point
from mtlab.report.statistics import comparisons, intervals

CLOSER = "the best of them, closer"

Draw = Callable[[Group], Figure | None]


def drawings(group: Group) -> dict[str, Drawing]:
    """The figures of a group; none where it has no test scores."""
    at = f" at {group.label}" if group.label else ""
    return {
        kind: (partial(draw, group), alt + at, caption)
        for kind, (draw, alt, caption) in FIGURES.items()
        if group.tasks
    }


def write_all(
    group: Group, directory: Path, suffix: str = "", wanted: Collection[str] | None = None
) -> dict[str, Plot]:
    """Draw it into ``directory``; where names are ``wanted``, those alone.

    Returns:
        Kind of figure to what was written; what the records have no values for is left out.
    """
    return canvas.write_all(drawings(group), directory, suffix, wanted)


def _closeup(values: Sequence[float]) -> Point | None:
    """Limits around the upper quarter of ``values``, where lower values would squeeze it; else
    ``None``.
    """
    if not values:
        return None
    top, bottom = max(values), min(values)
    upper = [value for value in values if value >= top - 0.25 * (top - bottom)]
    spread = max(upper) - min(upper)
    if len(upper) == len(values) or len(upper) < 2 or spread > 0.2 * (top - bottom):
        return None
    margin = max(0.15 * spread, 0.002)
    return min(upper) - margin, max(upper) + margin


def _axes(figure: Figure, zooms: Sequence[Point | None]) -> list[list[Axes]]:
    """The axes of the panels: the whole above its close-up, or the whole alone."""
    rows, deep = canvas.rows(len(zooms)), _deep(zooms)
    grid = figure.add_gridspec(deep * rows, min(len(zooms), canvas.COLUMNS))
    panels = []
    for at, zoom in enumerate(zooms):
        row, column = divmod(at, canvas.COLUMNS)
        top = deep * row
        places = (
            [slice(top, top + 1), slice(top + 1, top + 2)] if zoom else [slice(top, top + deep)]
        )
        panels.append([figure.add_subplot(grid[place, column]) for place in places])
    return panels


def _deep(zooms: Sequence[Point | None]) -> int:
    """How many axes a panel has, one above the other."""
    return 2 if any(zooms) else 1


def _named(axes: Sequence[Axes], panels: Sequence[Sequence[Axes]]) -> bool:
    """Whether a panel names the scenarios: the first of a row does, and one that is divided otherwise."""
    at = next(at for at, panel in enumerate(panels) if panel is axes)
    first = panels[at - at % canvas.COLUMNS]
    return axes is first or len(axes) != len(first)


def _quality_vs_time(group: Group) -> Figure | None:
    panels = [
        (task, seeds, means)
        for task, (seeds, means) in ((task, _points(group, task)) for task in group.tasks)
        if seeds
    ]
    if not panels:
        return None
    zooms = [
        _closeup([quality for points in seeds.values() for _, quality in points])
        for _, seeds, _ in panels
    ]
    figure = canvas.figure((5.8 if any(zooms) else 3.6) * canvas.rows(len(panels)))
    for (task, seeds, means), zoom, axes in zip(panels, zooms, _axes(figure, zooms), strict=True):
        front = [means[name] for name in comparisons.pareto(means)]
        times = [seconds for points in seeds.values() for seconds, _ in points]
        for ax, limits in zip(axes, (None, zoom), strict=False):
            plots.quality_vs_time(seeds, means, front, looks(group.scenarios), ax)
            seconds_axis(ax, max(times), min(times))
            ax.set_ylim(limits)
            ax.set_ylabel(f"{shown(task.metric_title)}, test")
            ax.set_title(CLOSER if limits else shown(task.heading))
        axes[-1].set_xlabel("wall time of a trial (s)")
    canvas.legend(
        figure,
        group,
        [name for name in group.scenarios if any(name in seeds for _, seeds, _ in panels)],
        [(Line2D([], [], color=INK, linestyle=(0, (4, 2))), "Pareto front of the means")],
    )
    return figure


def _points(group: Group, task: Task) -> tuple[dict[str, list[Point]], dict[str, Point]]:
    """Each scenario's (seconds, quality) by seed, and their means."""
    times, scores = group.values("wall_s"), group.values(task.metric)
    seeds = {
        name: [
            (times[name][seed], score)
            for seed, score in scores[name].items()
            if seed in times[name]
        ]
        for name in scores
    }
    seeds = {name: points for name, points in seeds.items() if points}
    return seeds, {name: mean_point(points) for name, points in seeds.items()}


def _parameters(group: Group) -> Figure | None:
    bars = [bar for name in group.scenarios for bar in _bars(group, name)]
    if not bars:
        return None
    figure = canvas.figure(1.3 + 0.34 * len(bars))
    ax = plots.parameters(bars, looks(group.scenarios), figure.subplots())
    ax.set_xlabel("parameters (millions): trained in the scenario's colour, frozen in grey")
    ax.text(1.02, 1.02, "trained (share of all)", transform=ax.transAxes, color=INK)
    ax.set_title("Trained and frozen parameters by stage", loc="left")
    return figure


def _bars(group: Group, name: str) -> list[plots.Bar]:
    trials = group.of(name)
    stages = trials[0].stages if trials else ()
    labels = [name if len(stages) == 1 else f"{name}: {stage.name}" for stage in stages]
    return [
        plots.Bar(name, label, stage.params_trainable, stage.params_frozen)
        for label, stage in zip(labels, stages, strict=True)
    ]


def _intervals(group: Group) -> Figure:
    tasks, names = group.tasks, group.scenarios
    scores = {task.name: group.values(task.metric) for task in tasks}
    samples = {task.name: group.samples(task) for task in tasks}
    estimates = {
        task.name: {
            name: intervals.estimate(samples[task.name][name], within=task.kind.limits)
            for name in names
        }
        for task in tasks
    }
    zooms = [_closeup(_ends(estimates[task.name])) for task in tasks]
    height = canvas.rows(len(zooms)) * _deep(zooms) * (0.9 + 0.33 * len(names)) + 1.0
    figure = canvas.figure(height)
    panels = _axes(figure, zooms)
    for task, zoom, axes in zip(tasks, zooms, panels, strict=True):
        seeds = {name: list(by_seed.values()) for name, by_seed in scores[task.name].items()}
        for ax, limits in zip(axes, (None, zoom), strict=False):
            plots.intervals(
                estimates[task.name], seeds, looks(names), group.control, ax, limits=limits
            )
            ax.set_title(CLOSER if limits else shown(task.heading))
            ax.tick_params(labelleft=_named(axes, panels))
        axes[-1].set_xlabel(f"{shown(task.metric_title)}, test")
    return figure


def _differences(group: Group) -> Figure | None:
    control = group.control
    if control is None or len(group.scenarios) < 2 or not group.of(control):
        return None
    names = [name for name in group.scenarios if name != control]
    by_task = {
        task.name: {
            scenario: contrast.interval
            for scenario, contrast in decisions.of_task(group, task).items()
        }
        for task in group.tasks
    }
    zooms = [_closeup(_ends(by_task[task.name])) for task in group.tasks]
    height = canvas.rows(len(zooms)) * _deep(zooms) * (0.9 + 0.33 * len(names)) + 1.0
    figure = canvas.figure(height)
    panels = _axes(figure, zooms)
    for task, zoom, axes in zip(group.tasks, zooms, panels, strict=True):
        scores = group.values(task.metric)
        shared = {name: sorted(scores[name].keys() & scores[control].keys()) for name in names}
        seeds = {
            name: [scores[name][seed] - scores[control][seed] for seed in shared[name]]
            for name in names
        }
        for ax, limits in zip(axes, (None, zoom), strict=False):
            ax.axvspan(-task.margin, task.margin, color=INK, alpha=0.07, linewidth=0, zorder=0)
            ax.axvline(0.0, color=INK, linewidth=1.0, linestyle=(0, (4, 2)), zorder=1)
            plots.intervals(
                by_task[task.name], seeds, looks(group.scenarios), None, ax, limits=limits
            )
            ax.set_title(CLOSER if limits else shown(task.heading))
            ax.tick_params(labelleft=_named(axes, panels))
        axes[-1].set_xlabel(f"{shown(task.metric_title)}, difference to {shown(control)}")
    return figure


def _ends(estimates: dict[str, intervals.Interval]) -> list[float]:
    defined = [estimate for estimate in estimates.values() if estimate.mean is not None]
    return [
        end
        for estimate in defined
        for end in (estimate.low, estimate.mean, estimate.high)
        if end is not None
    ]


def _time_by_lap(group: Group) -> Figure | None:
    laps = {name: _laps(group, name) for name in group.scenarios if group.values("wall_s")[name]}
    if not laps:
        return None
    means = {
        name: intervals.interval(by_seed.values()).mean
        for name, by_seed in group.values("wall_plain_s").items()
    }
    plain = {name: mean for name, mean in means.items() if mean is not None and name in laps}
    figure = canvas.figure(1.6 + 0.36 * len(laps))
    ax = figure.subplots()
    plots.time_by_lap(laps, plain, looks(group.scenarios), ax)
    ax.set_xlabel(
        "seconds of a trial, mean over seeds; the scenario's marker: the same training in a plain loop"
    )
    ax.text(1.04, 1.02, "wall time (s)", transform=ax.transAxes, color=INK)
    ax.set_title("Where the time goes", loc="left")
    used = [lap for lap in plots.LAPS if any(parts.get(lap) for parts in laps.values())]
    patches = [
        Patch(facecolor=plots.LAPS[lap][0], hatch=plots.LAPS[lap][1], edgecolor=INK, linewidth=0.5)
        for lap in used
    ]
    figure.legend(
        patches,
        ["work shared with others, in full" if lap == "shared" else lap for lap in used],
        loc="outside lower center",
        ncols=5,
    )
    return figure


def _laps(group: Group, name: str) -> dict[str, float]:
    """Mean seconds of each lap; ``shared`` is the part of the wall time beyond the trial's own
    laps.
    """
    trials = [trial for trial in group.of(name) if trial.wall_s is not None and not trial.untimed]
    parts = {
        lap: sum(trial.laps.get(lap, 0.0) for trial in trials) / len(trials) for lap in plots.LAPS
    }
    wall = sum(trial.wall_s or 0.0 for trial in trials) / len(trials)
    shared = wall - sum(parts.values())
    return {**parts, "shared": shared if shared > 1e-3 * wall else 0.0}


FIGURES: dict[str, tuple[Draw, str, str]] = {
    "quality_vs_time": (
        _quality_vs_time,
        "Test quality of each scenario against the wall time of a trial, one panel a task",
        "Test quality against wall time. Large marks are means over seeds, small ones single seeds; the dashed line "
        "joins the means that no "
        "other mean beats in both quality and time. Better is up and to the left. Marks close to each other are not "
        "ranked: see the intervals.",
    ),
    "intervals": (
        _intervals,
        "Mean test score of each scenario with its interval and the single seeds, one panel a task",
        "Mean test score with its 95% interval over seeds and sentences (bar) and the single seeds (small points). The dashed line "
        "is the control's mean. Whether two scenarios differ is for the next figure to tell: these intervals may overlap where the "
        "differences are clear.",
    ),
    "differences": (
        _differences,
        "Difference of each scenario to the control with its interval and the single seeds, one panel a task",
        "Difference to the control on the test split, paired by seed and sentence, with the interval that decides (bar) and the single "
        "seeds (small points). The shaded band is the margin: a bar inside it is equivalent, one that does not meet the dashed line is "
        "better or worse, and any other is unclear.",
    ),
    "learning_curves": (
        learning_curves,
        "Validation score of each scenario over training steps and over seconds of training",
        "Validation score at the end of each epoch, by training step and by seconds of training: means over seeds (thick) and single seeds "
        "(thin). The first point is the untrained state; a dotted level is a scenario that trains nothing; upright "
        "dots mark the end of a stage.",
    ),
    "parameters": (
        _parameters,
        "Trained and frozen parameters of each scenario and stage",
        "Parameters trained (coloured, ending in the scenario's marker) and frozen (grey) in each stage, on a linear scale; "
        "the numbers count the trained ones.",
    ),
    "time_by_lap": (
        _time_by_lap,
        "Wall time of each scenario, split into set-up, cache, training and evaluation",
        "Wall time of a trial on this engine, mean over seeds, by lap. The coloured marker is the time that a plain "
        "loop would take for the same training: where it stands to the right of its bar, the engine saved that much.",
    ),
}
