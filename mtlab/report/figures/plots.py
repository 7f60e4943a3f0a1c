"""Plots: functions that take values and an ``ax`` and return the ``ax``.

Other modules decide which values these are.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.ticker import FuncFormatter

from mtlab.report.figures.looks import INK, PALE, Look, shown
from mtlab.report.statistics.intervals import Interval

LAPS = {
    "setup": ("#f2f2f2", ""),
    "cache": ("#bdbdbd", "////"),
    "train": ("#6b6b6b", ""),
    "eval": ("#d9d9d9", "...."),
    "shared": ("#ffffff", "xxxx"),
}
"""Greys and hatches, for colour means scenario."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Curve:
    """A scenario's course on one axis: the mean, each seed, and where stages end."""

    mean: Sequence[Point]
    seeds: Sequence[Sequence[Point]]
    boundaries: Sequence[float] = ()


@dataclass(frozen=True)
class Bar:
    """A stage's parameters."""

    scenario: str
    label: str
    trained: int
    frozen: int


def quality_vs_time(
    seeds: Mapping[str, Sequence[Point]],
    means: Mapping[str, Point],
    front: Sequence[Point],
    look: Mapping[str, Look],
    ax: Axes,
) -> Axes:
    """Quality over seconds: small points are seeds, large ones their means, the line is the front
    of the means.
    """
    if len(front) > 1:
        ax.plot(
            *zip(*front, strict=True),
            color=INK,
            linewidth=1.0,
            linestyle=(0, (4, 2)),
            drawstyle="steps-post",
            zorder=2,
        )
    for name, points in seeds.items():
        style = look[name]
        pale = to_rgba(style.colour, 0.2)  # one sees through the means to what lies below
        seconds, quality = means[name]
        ax.scatter(
            seconds,
            quality,
            s=110,
            color=[pale],
            marker=style.marker,
            edgecolors=style.colour,
            linewidths=1.4,
            zorder=3,
        )
        times, scores = zip(*points, strict=True)
        ax.scatter(
            times,
            scores,
            s=17,
            color=style.colour,
            marker=style.marker,
            alpha=0.9,
            linewidths=0,
            zorder=4,
        )
    ax.margins(x=0.08)  # so that no mark is cut at the edge
    return ax


def learning_curves(curves: Mapping[str, Curve], look: Mapping[str, Look], ax: Axes) -> Axes:
    """Quality over steps or seconds: thick lines are means over seeds, thin ones seeds, ticks at
    the foot ends of stages.

    A curve of one point (nothing was trained) becomes a dotted level for comparison.
    """
    for name, curve in curves.items():
        style = look[name]
        if len(curve.mean) == 1:
            ax.axhline(curve.mean[0][1], color=style.colour, linewidth=1.2, linestyle=":", zorder=2)
        for seed in curve.seeds:
            ax.plot(
                *zip(*seed, strict=True), color=style.colour, linewidth=0.6, alpha=0.45, zorder=2
            )
        ax.plot(
            *zip(*curve.mean, strict=True),
            color=style.colour,
            marker=style.marker,
            markersize=4.5,
            linewidth=1.6,
            alpha=0.85,
            zorder=3,
        )
        for edge in curve.boundaries:
            ax.axvline(edge, color=style.colour, linewidth=0.9, linestyle=(0, (1, 2)), zorder=1)
    return ax


def parameters(bars: Sequence[Bar], look: Mapping[str, Look], ax: Axes) -> Axes:
    """Trained (coloured, with the scenario's marker at its end) and frozen parameters, a bar a
    stage.

    The scale is linear, so that lengths can be compared, and numbers next to the bars give the
    parts that are too short to see.
    """
    longest = max(bar.trained + bar.frozen for bar in bars)
    for row, bar in enumerate(bars):
        style, total = look[bar.scenario], bar.trained + bar.frozen
        ax.barh(row, bar.frozen, left=bar.trained, height=0.62, color=PALE)
        ax.barh(row, bar.trained, height=0.62, color=style.colour)
        if bar.trained:
            ax.plot(
                bar.trained,
                row,
                marker=style.marker,
                color=style.colour,
                markeredgecolor="white",
                markersize=8,
                clip_on=False,
            )
        share = f"{bar.trained / total:.2%}" if total else "–"
        ax.text(1.02 * longest, row, f"{bar.trained:,} ({share})", va="center", ha="left")
    ax.set_xlim(0, longest)
    ax.set_yticks(range(len(bars)), [shown(bar.label, 44) for bar in bars])
    ax.set_ylim(len(bars) - 0.4, -0.6)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count / 1e6:g}"))
    ax.grid(visible=False, axis="y")
    return ax


def intervals(
    estimates: Mapping[str, Interval],
    seeds: Mapping[str, Sequence[float]],
    look: Mapping[str, Look],
    control: str | None,
    ax: Axes,
    *,
    limits: Point | None = None,
) -> Axes:
    """Means with their intervals, a row a scenario; seeds are the small points below; a line runs
    through the control's mean.

    With ``limits``, only that range is shown, and a mean to the left of it is written at the edge.
    """
    for row, (name, estimate) in enumerate(estimates.items()):
        style, mean = look[name], estimate.mean
        if mean is None or (limits and mean < limits[0]):
            words, colour = (
                ("no result", INK)
                if mean is None
                else (f"← {mean:.3f}".replace("-", "−"), style.colour)
            )
            at_edge = ax.get_yaxis_transform()
            ax.text(0.01, row, words, transform=at_edge, color=colour, va="center")
            continue
        if name == control:
            ax.axvline(mean, color=style.colour, linewidth=1.0, linestyle=(0, (4, 2)), zorder=1)
        _interval(mean, estimate, seeds[name], style, row, ax)
    ax.set_xlim(limits)
    ax.set_yticks(range(len(estimates)), [shown(name) for name in estimates])
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(estimates) - 0.4, -0.6)
    ax.grid(visible=False, axis="y")
    return ax


def _interval(
    mean: float, estimate: Interval, seeds: Sequence[float], style: Look, row: int, ax: Axes
) -> None:
    """Draw a mean, its interval as a bar, and the seeds below it."""
    if estimate.low is not None and estimate.high is not None:
        ax.plot(
            [estimate.low, estimate.high],
            [row, row],
            color=style.colour,
            linewidth=2.4,
            solid_capstyle="butt",
            zorder=2,
        )
    ax.plot(
        mean,
        row,
        marker=style.marker,
        color=style.colour,
        markersize=9,
        markeredgecolor="white",
        markeredgewidth=0.7,
        zorder=4,
    )
    ax.scatter(
        seeds,
        [row + 0.32] * len(seeds),
        s=15,
        color=style.colour,
        marker=style.marker,
        alpha=0.7,
        linewidths=0,
        zorder=3,
    )


def time_by_lap(
    laps: Mapping[str, Mapping[str, float]],
    plain: Mapping[str, float],
    look: Mapping[str, Look],
    ax: Axes,
) -> Axes:
    """Seconds of each lap end to end, a bar a scenario; the scenario's marker is at the uncached
    time.
    """
    longest = max([*(sum(parts.values()) for parts in laps.values()), *plain.values()])
    for row, (name, parts) in enumerate(laps.items()):
        start = 0.0
        for lap, (shade, hatch) in LAPS.items():
            ax.barh(
                row,
                parts.get(lap, 0.0),
                left=start,
                height=0.62,
                color=shade,
                hatch=hatch,
                edgecolor=INK,
                linewidth=0.5,
            )
            start += parts.get(lap, 0.0)
        if name in plain:
            ax.plot(
                plain[name],
                row,
                marker=look[name].marker,
                color=look[name].colour,
                markersize=8.5,
                markeredgecolor="white",
                clip_on=False,
            )
        ax.text(1.06 * longest, row, f"{start:,.1f}", va="center", ha="left")
    ax.set_xlim(0, 1.02 * longest)
    ax.set_yticks(range(len(laps)), [shown(name) for name in laps])
    ax.set_ylim(len(laps) - 0.4, -0.6)
    ax.grid(visible=False, axis="y")
    return ax


def courses(
    series: Mapping[str, Sequence[tuple[float, Interval]]],
    look: Mapping[str, Look],
    ax: Axes,
    *,
    log: bool,
) -> Axes:
    """Means over x with their intervals as upright bars, a line a scenario; bars are shifted a
    little, so that none hides another.
    """
    if log:
        ax.set_xscale("log")
    for at, (name, points) in enumerate(series.items()):
        shift = at - (len(series) - 1) / 2
        places = [x * 1.018**shift if log else x + 0.05 * shift for x, _ in points]
        style, means = (
            look[name],
            [interval.mean if interval.mean is not None else math.nan for _, interval in points],
        )
        for x, (_, interval) in zip(places, points, strict=True):
            if interval.low is not None and interval.high is not None:
                ax.plot(
                    [x, x],
                    [interval.low, interval.high],
                    color=style.colour,
                    linewidth=1.6,
                    alpha=0.8,
                    solid_capstyle="butt",
                    zorder=2,
                )
        ax.plot(
            places,
            means,
            color=style.colour,
            marker=style.marker,
            markersize=6,
            markeredgecolor="white",
            linewidth=1.4,
            zorder=3,
        )
    values = sorted({x for points in series.values() for x, _ in points})
    ax.set_xticks(values, [f"{x:,g}" for x in values])
    ax.set_xticks([], minor=True)
    return ax


def dots(rows: Mapping[str, Mapping[str, float]], look: Mapping[str, Look], ax: Axes) -> Axes:
    """A row a label, a mark a scenario in it: many numbers that a table would hide."""
    for row, marks in enumerate(rows.values()):
        ax.plot(
            [min(marks.values()), max(marks.values())],
            [row, row],
            color=PALE,
            linewidth=1.0,
            zorder=1,
        )
        for name, value in marks.items():
            ax.plot(
                value,
                row,
                marker=look[name].marker,
                color=look[name].colour,
                markersize=7,
                markeredgecolor="white",
                zorder=3,
            )
    ax.set_yticks(range(len(rows)), [shown(label) for label in rows])
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    return ax
