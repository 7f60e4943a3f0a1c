"""The experiment: one typed, frozen value that says everything about what is run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from operator import not_
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from mtlab.plan import answers, tree, yaml_file
from mtlab.plan.also_test import AlsoTest, check_sets
from mtlab.plan.chosen import choose_scenarios
from mtlab.plan.colours import check_colours, fill_in_colours
from mtlab.plan.data import Data, named
from mtlab.plan.errors import UserError, code_of, mistake, plainly
from mtlab.plan.looks import tell_seeds
from mtlab.plan.scenario import Point, Scenario, Selection, Trial, changes, points
from mtlab.plan.settings import (
    START,
    Cache,
    Checkpoints,
    Device,
    Encoder,
    Engine,
    Head,
    Lora,
    Optimizer,
    Output,
    Seeds,
    Stages,
    Start,
    check_stages,
)
from mtlab.plan.sweeps import (
    KEYED_APART,
    NOT_SWEPT,
    WHOLE,
    equally_long,
    may_vary,
    no_value_twice,
)
from mtlab.plan.tasks import Task, check_named, tell_stages
from mtlab.plan.values import NOT_WRITTEN, Count, Number, Strict, Text, is_setting
from mtlab.plan.whole import check_control, check_expected, check_names, check_scenarios
from mtlab.plan.yaml_file import Located
from mtlab.tasks.registry import USUAL


class Experiment(Strict):
    """All settings of an experiment file."""

    name: Annotated[str, WHOLE]
    """The experiment's name in MLflow and under ``reports/``; the file's, where none is given."""
    question: Annotated[str, WHOLE] = ""
    """The question of the experiment, for the top of the report."""
    answer: Annotated[str, WHOLE] = Field(default="", exclude_if=not_)
    """The answer to the question, with placeholders that results fill
    (:mod:`mtlab.report.decision.template`); the recommendation where none is given."""
    expected: Annotated[dict[str, Text], WHOLE] = Field(default_factory=dict, exclude_if=not_)
    """Scenario to what somebody expects of it, a paper say: the report puts results beside it."""
    colours: Annotated[dict[str, str], WHOLE] = Field(default_factory=dict, exclude_if=not_)
    """Scenario to its colour and marker in figures, such as ``"#0072B2 o"``; those of
    ``colours.yaml`` beside the file, and drawn from the name where neither has it."""
    encoder: Encoder = Encoder()
    start: Annotated[Start | None, KEYED_APART] = None
    """What the scenarios continue from (the staged protocol); the pretrained encoder and new heads
    where none is given (cold)."""
    tasks: Annotated[dict[str, Task], NOT_SWEPT, KEYED_APART] = Field(
        default_factory=lambda: {name: Task(**task) for name, task in USUAL.items()}
    )
    """Task to what its head learns; a label and entities of each sentence where a file names none."""
    data: Annotated[Data, KEYED_APART]
    also_test: Annotated[dict[str, AlsoTest], NOT_SWEPT, KEYED_APART] = Field(
        default_factory=dict, exclude_if=not_
    )
    """Name to a test set out of distribution, on which every trial is scored once, at its end."""
    seeds: Annotated[Seeds, WHOLE, NOT_SWEPT] = (0,)
    """One trial of every scenario for each; a seed draws the heads and the dropout masks. In place
    of the list a file may write ``{looks: [2, 3]}`` (below)."""
    looks: Annotated[tuple[Count, ...], WHOLE, NOT_WRITTEN] = Field(default=(), exclude_if=not_)
    """How many of the seeds there are at each look, after which decided scenarios stop; none where
    all seeds run."""
    pilot: Annotated[Count, WHOLE, NOT_WRITTEN] = Field(default=0, exclude_if=not_)
    """How many of the seeds only choose, on validation, which scenarios run with the others."""
    data_seed: Count = Field(default=0, ge=0)
    """Draws subsets, validation cuts and the order of batches."""
    batch_size: Count = Field(default=32, ge=1)
    """Sentences in every training batch, exactly."""
    max_length: Count | None = Field(default=None, ge=8)
    """Longest input in sub-word tokens; the encoder's own limit where none is given."""
    head: Head = Head()
    lora: Annotated[Lora, KEYED_APART] = Lora()
    optimizer: Optimizer = Optimizer()
    task_weights: dict[str, Number] = Field(default_factory=dict)
    """Task to the factor of its loss in the sum; 1 where none is given."""
    select: Selection = "best"
    """Which epoch's weights are tested: the last stage's best on validation, the last, or for each
    task its own best (two models)."""
    select_on: tuple[str, ...] = ()
    """The tasks whose metrics choose the best epoch, in their mean; those of a stage's ``losses``
    where none are named."""
    device: Annotated[Device, WHOLE] = "auto"
    """``auto`` takes a GPU where there is one."""
    precision: Annotated[Literal["auto", "fp32", "bf16"], WHOLE] = "auto"
    """``auto``: bf16 autocast where the machine is faster with it, fp32 elsewhere."""
    attention: Annotated[Literal["auto", "eager", "sdpa"], WHOLE] = "auto"
    """The attention kernel; ``auto`` leaves the choice to transformers."""
    cache: Annotated[Cache, WHOLE] = Cache()
    """The cache of frozen prefixes; ``--cache off`` does without."""
    checkpoints: Annotated[Checkpoints, WHOLE] = Checkpoints()
    """How often a running trial writes its resume state."""
    keep_weights: Annotated[Literal["auto", "best", "none"], WHOLE] = "auto"
    """Whose weights stay on disk for `mtlab export`: those of each scenario's best seed on
    validation, at each point; ``auto``: unless there is a sweep."""
    engine: Annotated[Engine, WHOLE] = Engine()
    """What runs the trials: this process, or a cluster."""
    output: Annotated[Output, WHOLE]
    """Where records and the report go; ``reports/<name>`` where none is given."""
    control: Annotated[str | None, WHOLE] = None
    """The scenario that the others are compared with."""
    margins: Annotated[dict[str, Number], WHOLE] = Field(default_factory=dict)
    """Task to the difference of its metric below which two scenarios count as equally good; 0.02 for
    accuracy and 0.04 for F1 and correlation where none is given."""
    scenarios: Annotated[dict[str, Stages], WHOLE]
    """Name to stages, in the order in which they run."""
    sweep: Annotated[dict[str, tuple[Any, ...]], WHOLE] = Field(default_factory=dict)
    """Keys of this file to lists of values: trials are scenarios × seeds × points, every
    combination being a point."""
    settings: Annotated[dict[str, tuple[Any, ...]], WHOLE] = Field(default_factory=dict)
    """Keys of this file to lists of values, all equally long: the first setting has the first value
    of each, and so on."""

    _located: Located | None = PrivateAttr(default=None)
    """The file and lines where the settings were written."""

    _tell_stages = model_validator(mode="before")(tell_stages)
    _tell_seeds = model_validator(mode="before")(tell_seeds)
    _named = field_validator("tasks")(named)
    _colours = field_validator("colours")(check_colours)

    @field_validator("sweep", "settings")
    @classmethod
    def _varied(cls, varied: dict[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
        return may_vary(varied, cls.model_fields)

    _sweep = field_validator("sweep")(no_value_twice)
    _settings = field_validator("settings")(equally_long)

    @model_validator(mode="after")
    def _for_its_tasks(self) -> "Experiment":
        self.data.check(self.tasks, "data")
        if self.start is not None:
            self.start.data.check(self.tasks, "start", "data")
        check_sets(self.also_test, self.tasks)
        check_named(self.tasks, self.select_on, self.task_weights, self.margins)
        return self

    @model_validator(mode="after")
    def _consistent(self) -> "Experiment":
        check_names(self.name, self.scenarios, self.output)
        check_scenarios(self.scenarios)
        check_control(self.control, self.scenarios, self.looks)
        check_expected(self.expected, self.scenarios)
        staged, select, optimizer = self.start is not None, self.select, self.optimizer
        for name, stages in self.scenarios.items():
            check_stages(("scenarios", name), stages, select, optimizer, staged=staged)
        if self.start is not None:
            check_stages(("start", "stages"), self.start.stages, select, optimizer, staged=staged)
        for key in self.settings:
            if key in self.sweep:
                raise mistake(
                    "the key is swept already; keep one of the two", "settings", key, code="twice"
                )
        return self

    @property
    def loss_factors(self) -> dict[str, float]:
        """Task to the factor of its loss in the sum."""
        return {task: self.task_weights.get(task, 1.0) for task in self.tasks}

    @property
    def fewest_seeds(self) -> int:
        """The number of seeds that every scenario has at least: those of the first look, or all."""
        return self.looks[0] if self.looks else len(self.seeds)

    @cached_property
    def points(self) -> tuple[Point, ...]:
        """The points of the sweep, at every setting; ``((),)`` if there is neither."""
        return points(self.sweep, self.settings)

    @property
    def keeps_weights(self) -> bool:
        """Whether the weights of the best seeds stay on disk."""
        return self.keep_weights == "best" or (
            self.keep_weights == "auto" and not (self.sweep or self.settings)
        )

    def trials(self) -> list[Trial]:
        """All trials in the order they run.

        The order of the scenarios is rotated from seed to seed, so that a machine that slows down
        over the hours does not slow the same scenario down each time.
        """
        trials = []
        names = list(self.scenarios)
        for point in self.points:
            for turn, seed in enumerate(self.seeds):
                shift = turn % len(names)
                trials += [Trial(name, seed, point) for name in names[shift:] + names[:shift]]
        return trials

    def scenario(self, name: str) -> Scenario:
        """The scenario called ``name``, with names for all stages; what a stage leaves open of its
        schedule and selection is filled in from the experiment.
        """
        filled = []
        for index, stage in enumerate(self.scenarios[name], start=1):
            defaults = {
                "name": stage.name
                or (name if len(self.scenarios[name]) == 1 else f"stage {index}"),
                **self.optimizer.course(stage),
                "select": stage.select
                or (self.select if index == len(self.scenarios[name]) else "last"),
                "select_on": stage.select_on or self.select_on,
            }
            filled.append(stage.model_copy(update=defaults))
        return Scenario(name, tuple(filled))

    @contextmanager
    def pointing(self) -> Iterator[None]:
        """A context in which an error that names a key of the experiment also says where the key
        was written: the line of the file, or the option.
        """
        try:
            yield
        except UserError as error:
            if self._located is None or not is_setting(self, error.where):
                raise
            raise UserError(
                error.problem, error.remedy, where=self._located.of(error.where), code=error.code
            ) from None

    def source_phase(self) -> "Experiment | None":
        """The experiment that trains the source checkpoint; None where there is no ``start``."""
        if self.start is None:
            return None
        select = "best" if self.select == "each" else self.select  # a checkpoint is one model
        changes = {
            "data": self.start.data,
            "also_test": {},
            "scenarios": {START: self.start.stages},
            "start": None,
            "control": None,
            "looks": (),
            "select": select,
        }
        return self.model_copy(
            update={**changes, "sweep": {}, "settings": {}, "keep_weights": "none"}
        )

    def at(self, point: Point) -> "Experiment":
        """The experiment at a point: with the values of ``point`` and of its setting, and without a
        sweep.
        """
        value = {**self.model_dump(mode="json"), "sweep": {}, "settings": {}}
        if not self.keeps_weights:
            value["keep_weights"] = "none"
        for key, setting, place in changes(point, self.settings):
            value = tree.put(value, tree.address(value, key, ".".join(map(str, place))), setting)
        experiment = _validated(value, lambda path: ".".join(map(str, path)))
        experiment._located = self._located
        return experiment


NOT_IN_KEY = {
    name
    for name, field in Experiment.model_fields.items()
    if WHOLE in field.metadata or KEYED_APART in field.metadata
}
"""Settings that a trial's key leaves out, or contains only by their effect."""


def load(
    path: str | Path | Located,
    overrides: dict[str, list[str]] | None = None,
    with_data: bool = True,
) -> Experiment:
    """Read and check an experiment file.

    Args:
        path: the file, or the content of a file in the working folder, with its ``name``.
        overrides: command-line settings, dotted key to values; ``scenarios`` selects some of them.
        with_data: whether the file must say where the data are; a report does not need them.

    Raises:
        UserError: one line with the file, line and field of a mistake.
    """
    located = path if isinstance(path, Located) else yaml_file.read(Path(path))
    path = Path("" if isinstance(path, Located) else path)
    answers.check(located)
    for key, values in sorted(
        (overrides or {}).items(), key=lambda setting: setting[0].count(".")
    ):  # a mapping before the keys within it
        if key == "scenarios":
            choose_scenarios(located.value, values)
            continue
        if key == "seeds.looks" and isinstance(located.value.get("seeds"), list):
            located.value["seeds"] = {}  # looks replace a list of seeds
        yaml_file.override(located, key, values)
    fill_in_colours(located, path.parent)
    located.value.setdefault("name", path.stem)
    located.value.setdefault("output", f"reports/{located.value['name']}")
    located.value["data"] = (located.value.get("data") or {}) if with_data else {"source": "unread"}
    if not with_data and isinstance(located.value.get("start"), dict):
        located.value["start"] = {**located.value["start"], "data": {"source": "unread"}}
    return checked(located, with_points=with_data)


def checked(located: Located, with_points: bool = True) -> Experiment:
    """Check the content of a complete file, with ``name`` and ``output``, and return its
    experiment.

    Args:
        located: the content of the file.
        with_points: whether to check every point of a sweep, which is impossible without data.

    Raises:
        UserError: one line with the file, line and field of a mistake.
    """
    if "looks" in located.value:
        raise UserError(
            "unknown key",
            "looks stand below `seeds`, as in `seeds: {looks: [2, 3, 5, 8]}`",
            where=located.where(("looks",)),
            code="unknown-key",
        )
    experiment = _validated(located.value, located.where)
    for point in (
        experiment.points if with_points else ()
    ):  # a bad point is found before anything is trained
        _check_point(located, experiment, point)
    experiment._located = located
    return experiment


def _check_point(located: Located, experiment: Experiment, point: Point) -> None:
    value: Any = {**located.value, "sweep": {}, "settings": {}}
    places: dict[tuple[str | int, ...], str] = {}
    for key, setting, at in changes(point, experiment.settings):
        index = () if at[0] == "settings" else (located.value["sweep"][key].index(setting),)
        place = located.where((*at, *index))
        path = tree.address(value, key, place)
        value, places[path] = tree.put(value, path, setting), place

    def where(path: tuple[str | int, ...]) -> str:
        """The place of the swept value that set ``path``, a part of it, or a mapping around it."""
        near = [
            place for swept, place in places.items() if swept[: len(path)] == path[: len(swept)]
        ]
        return near[0] if near else located.where(path)

    _validated(value, where)


def _validated(value: Any, where: Callable[[tuple[str | int, ...]], str]) -> Experiment:
    try:
        return Experiment.model_validate(value)
    except ValidationError as error:
        first, *others = error.errors()
        more = f" (and {len(others)} more)" if others else ""
        raise UserError(
            f"{plainly(first)}{more}", where=where(_path(first)), code=code_of(first)
        ) from None


def _path(error: ErrorDetails) -> tuple[str | int, ...]:
    """The path of the mistake in the file: pydantic's path, without its mark for keys, then the
    validator's path within the value there.
    """
    path = error["loc"][:-1] if error["loc"][-1:] == ("[key]",) else error["loc"]
    return (*path, *error.get("ctx", {}).get("path", ()))
