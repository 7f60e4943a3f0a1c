"""The map of what trains: each scenario is a row, each of its stages is a line, and each part of the
network is a cell.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from matplotlib.axes import Axes

from mtlab.record.pieces import joined
from mtlab.record.records import StageRecord, TrialRecord
from mtlab.report.comparison.groups import Group, Task
from mtlab.report.figures.looks import shown

TRAINS, FROZEN, EDGE = "#2f3e5c", "#e4e4e4", "#858585"
ADAPTERS = "lora"
"""The unit of the low-rank adapters, which lie in the blocks."""
CELL, GAP = 0.82, 0.7
"""The width of a drawn cell, and the space before the heads, both in cells."""
HEIGHT = 0.62
"""The height of a row's cells, in rows."""
LABELS = 9
"""The most blocks that are all numbered; of more blocks, only some are."""

State = Literal["trains", "frozen", "partly"]

STYLES: dict[State, dict[str, Any]] = {
    "trains": {"facecolor": TRAINS, "edgecolor": TRAINS},
    "frozen": {"facecolor": FROZEN, "edgecolor": EDGE},
    "partly": {"facecolor": "#ffffff", "edgecolor": TRAINS, "hatch": "//////"},
}


def draw(group: Group, names: Sequence[str], ax: Axes) -> Axes:
    """Draw the map, with a row for each of ``names``."""
    stages = {name: _stages(group, name) for name in names}
    units = _units([stage for several in stages.values() for stage in several])
    letters = head_letters(group.every)
    places = _places(units, letters)
    for row, name in enumerate(names):
        height = HEIGHT / max(1, len(stages[name]))
        for at, stage in enumerate(stages[name]):
            _stage(stage, places, (row - HEIGHT / 2 + at * height, height), ax)
    ticks = _ticks(units, places, letters)
    ax.set_xticks(list(ticks), list(ticks.values()))
    for label, places_of in _parts(places).items():
        middle = (places_of[0][0] + sum(places_of[-1])) / 2
        ax.annotate(
            label,
            (middle, 0),
            (0, -18),
            xycoords=ax.get_xaxis_transform(),
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize=9,
        )
    end = max((sum(place) for place in places.values()), default=1.0)
    ax.set_xlim(-0.03 * end, 1.01 * end)
    ax.grid(visible=False)
    ax.tick_params(length=0)
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
    return ax


def words(group: Group) -> str:
    """What the labels and colours of the cells mean."""
    units = _units([stage for trial in group.trials for stage in trial.stages])
    blocks = sum(unit.startswith("layers[") for unit in units)
    heads = [
        f"{letter} {_called(task)}" for task, letter in _heads(group.every) if _head(task) in units
    ]
    partly = any(
        state == "partly"
        for trial in group.trials
        for stage in trial.stages
        for state in _states(stage).values()
    )
    at_times = any(stage.chooses for trial in group.trials for stage in trial.stages)
    hatched = ", hatched: trains in part" + (" or at times" if at_times else "")
    return (
        f"Blocks: E embeddings, 1–{blocks} encoder blocks from input to output; heads: {', '.join(heads)}. "
        f"Dark: trains{hatched if partly or at_times else ''}, light: frozen; one line for each stage."
    )


def head_letters(tasks: Sequence[Task]) -> dict[str, str]:
    """Unit of a head to its label of a few characters, different for each head."""
    return {_head(task): letter for task, letter in _heads(tasks)}


def _heads(tasks: Sequence[Task]) -> list[tuple[Task, str]]:
    taken: list[str] = ["E"]
    for at, task in enumerate(tasks, start=1):
        name = shown(task.name).strip().upper()
        initials = "".join(word[:1] for word in name.split("_"))
        wanted = (name[:1], initials[:3], name[:2], f"{name[:1]}{at}")
        taken.append(next((word for word in wanted if word not in taken), f"H{at}"))
    return list(zip(tasks, taken[1:], strict=True))


def _called(task: Task) -> str:
    """A head's name, with its task's title if that differs."""
    name, title = shown(task.name), shown(task.title)
    return name if title == name else f"{name} ({title})"


def _head(task: Task) -> str:
    return f"head.{task.name}"


def _stages(group: Group, name: str) -> list[StageRecord]:
    """The stages of a scenario that last one epoch or more; its first stage if none does."""
    trials: list[TrialRecord] = [*group.of(name), *group.failed]
    stages = next((trial.stages for trial in trials if trial.scenario == name), ())
    return joined([stage for stage in stages if stage.epochs]) or list(stages[:1])


def _units(stages: Sequence[StageRecord]) -> list[str]:
    """The units of all stages, without adapters: first the encoder's units in order, then the
    heads.
    """
    units = dict.fromkeys(unit for stage in stages for unit in stage.parameters if unit != ADAPTERS)
    return sorted(units, key=lambda unit: unit.startswith("head."))


def _places(units: Sequence[str], letters: Mapping[str, str]) -> dict[str, tuple[float, float]]:
    """Unit to the start and the width of its cell: the cells of embeddings and heads have room for
    their letters.
    """
    blocks = sum(unit.startswith("layers[") for unit in units)
    longest = max((len(letters[unit]) for unit in units if unit in letters), default=1)
    wide = max(1.0, blocks / LABELS)
    places, at, encoder = {}, 0.0, True
    for unit in units:
        if encoder and unit.startswith("head."):
            at, encoder = at + GAP * wide, False
        width = 1.0 if unit.startswith("layers[") else wide
        width = width * (1 + 0.35 * (longest - 1)) if not encoder else width
        places[unit] = at, CELL * width
        at += width
    return places


def _parts(places: Mapping[str, tuple[float, float]]) -> dict[str, list[tuple[float, float]]]:
    """The places of the cells of the encoder, and of the heads."""
    parts: dict[str, list[tuple[float, float]]] = {}
    for unit, place in places.items():
        parts.setdefault("heads" if unit.startswith("head.") else "encoder", []).append(place)
    return parts


def _states(stage: StageRecord) -> dict[str, State]:
    """Unit to its state in a stage."""
    adapters = stage.parameters.get(ADAPTERS)
    states: dict[str, State] = {}
    for unit, counts in stage.parameters.items():
        adapted = adapters is not None and adapters.trainable and unit.startswith("layers[")
        partly = counts.frozen if counts.trainable else adapted
        states[unit] = "partly" if partly else "trains" if counts.trainable else "frozen"
    return states


def _stage(
    stage: StageRecord,
    places: Mapping[str, tuple[float, float]],
    across: tuple[float, float],
    ax: Axes,
) -> None:
    """Draw the cells of a stage; ``across`` has the top and the height of its line."""
    top, height = across
    states = _states(stage)
    thin = 0.5 if len(places) < 20 else 0.2
    for state, style in STYLES.items():
        cells = [place for unit, place in places.items() if states.get(unit) == state]
        if cells:
            ax.broken_barh(cells, (top, 0.84 * height), linewidth=thin, **style)


def _ticks(
    units: Sequence[str], places: Mapping[str, tuple[float, float]], letters: Mapping[str, str]
) -> dict[float, str]:
    """Place to label: E, the numbers of blocks (only some, if there are many), and the letters of
    heads.
    """
    blocks = [unit for unit in units if unit.startswith("layers[")]
    step = 1 if len(blocks) <= LABELS else -(-len(blocks) // 4)
    labels = {unit: letter for unit, letter in letters.items() if unit in places}
    labels |= {unit: str(at) for at, unit in enumerate(blocks, start=1) if at % step == 0}
    if "embeddings" in places:
        labels["embeddings"] = "E"
    return {places[unit][0] + places[unit][1] / 2: label for unit, label in labels.items()}
