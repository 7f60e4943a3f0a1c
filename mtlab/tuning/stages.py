"""The stages of a schedule, as written: a list of mappings, or a scenario of an experiment file."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mtlab.plan import block_choice
from mtlab.plan.errors import UserError, code_of, did_you_mean, plainly, shown
from mtlab.plan.experiment import Experiment, load
from mtlab.plan.scenario import Stage
from mtlab.plan.settings import Optimizer

KEYS = (
    "name",
    "epochs",
    "train",
    "schedule",
    "warmup",
    "warmup_steps",
    "patience",
    "cooldown",
)
"""The keys that a stage can have in a schedule for a Trainer."""

OTHERS = (
    *("losses", "weights", "rehearsal", "l2_sp", "distillation", "guidance", "reinit"),
    *(*block_choice.KEYS, "average"),
)
"""The keys of a stage that change its training and that a Trainer does not support."""

Written = dict[str, Any]
"""A stage as a mapping with these keys."""


@dataclass(frozen=True)
class Reading:
    """Stages that were read.

    Attributes:
        stages: those that last an epoch or more, in order.
        numbers: the index of each among all stages that were written.
        arguments: settings of the experiment for which a Trainer has arguments.
        prefix: the beginning of the place of a stage, for errors.
        experiment: the experiment of the stages; None if they were written as a list.
    """

    stages: tuple[Written, ...]
    numbers: tuple[int, ...]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    prefix: str = "stages"
    experiment: Experiment | None = None

    def name(self, index: int) -> str:
        """A stage in messages: its number among all written stages, from 1, and its name."""
        name = self.stages[index].get("name")
        return f"stage {self.numbers[index] + 1}" + (f" ({name})" if name else "")

    @contextmanager
    def pointing(self, index: int) -> Iterator[str]:
        """A context in which errors say where the stage of this index was written; it yields that
        place.
        """
        place = f"{self.prefix}.{self.numbers[index]}"
        try:
            yield place
        except UserError as error:
            where = error.where if error.where.startswith(place) else f"{place}.{error.where}"
            located = UserError(error.problem, error.remedy, where=where, code=error.code)
            if self.experiment is None:
                raise located from None
            with self.experiment.pointing():
                raise located from None

    @property
    def epochs(self) -> int:
        """The number of epochs of all stages; with patience, the most."""
        return sum(stage.get("epochs", 0) for stage in self.stages)

    @property
    def patient(self) -> bool:
        """Whether any stage has patience."""
        return any(stage.get("patience") is not None for stage in self.stages)


def read(stages: Sequence[Mapping[str, Any]] | str | Path, scenario: str | None) -> Reading:
    """Read stages.

    Args:
        stages: a list of mappings, or the path of an experiment file.
        scenario: the scenario of the file; not needed if the file has only one.

    Raises:
        UserError: a Trainer cannot run the stages.
    """
    if isinstance(stages, str | Path):
        return _of_file(Path(stages), scenario)
    if scenario is not None:
        raise UserError(
            "a scenario is chosen in a file", "give its path", where="scenario", code="conflict"
        )
    if isinstance(stages, Mapping) or not isinstance(stages, Sequence):
        raise UserError(
            f"{shown(stages)} is not a list of stages",
            "write [{'epochs': 1, 'train': {'heads': 1e-3}}], or the path of an experiment file",
            where="stages",
            code="wrong-type",
        )
    return _lasting([_checked(stage, index) for index, stage in enumerate(stages)])


def _lasting(stages: Sequence[Written], **others: Any) -> Reading:
    numbers = tuple(index for index, stage in enumerate(stages) if stage.get("epochs") != 0)
    if not numbers:
        raise UserError(
            "there is no stage that trains",
            "add one, as in {'epochs': 1, 'train': {'heads': 1e-3}}",
            where=others.get("prefix", "stages"),
            code="empty",
        )
    return Reading(tuple(stages[index] for index in numbers), numbers, **others)


def _checked(stage: Any, index: int) -> Written:
    if not isinstance(stage, Mapping):
        raise UserError(
            f"{shown(stage)} is not a mapping of keys to values",
            where=f"stages.{index}",
            code="wrong-type",
        )
    for key in stage:
        if key in KEYS:
            continue
        where = f"stages.{index}.{key}"
        if key in Stage.model_fields and key not in ("tasks", "decay"):
            raise _not_in_a_trainer(key, where)
        raise UserError(
            f"unknown key; {did_you_mean(str(key), KEYS)}", where=where, code="unknown-key"
        )
    checkable = {"all": 1.0} if stage.get("train") else {}  # checking selectors needs a model
    validated({**stage, "train": checkable}, f"stages.{index}")
    return dict(stage)


def validated(written: Mapping[str, Any], place: str) -> Stage:
    """Check a stage with pydantic, and return it.

    Args:
        written: all keys of the stage.
        place: where it was written, for errors.

    Raises:
        UserError: the stage has a mistake; ``where`` begins with the place.
    """
    try:
        return Stage.model_validate(written)
    except ValidationError as error:
        first = error.errors()[0]
        where = joined(place, *first["loc"], *first.get("ctx", {}).get("path", ()))
        raise UserError(plainly(first), where=where, code=code_of(first)) from None


def joined(*path: str | int) -> str:
    """The place of a value, its steps joined by dots."""
    return ".".join(str(step) for step in path if step != "")


def _not_in_a_trainer(key: str, where: str) -> UserError:
    return UserError(
        f"mtlab's own loop has {key}, and a Trainer has not",
        "take it out",
        where=where,
        code="conflict",
    )


def _of_file(path: Path, scenario: str | None) -> Reading:
    experiment = load(path, with_data=False)
    if scenario is None and len(experiment.scenarios) == 1:
        scenario = next(iter(experiment.scenarios))
    if scenario not in experiment.scenarios:
        problem = (
            "no scenario was named" if scenario is None else f"no scenario is called {scenario!r}"
        )
        raise UserError(
            problem,
            did_you_mean(scenario or "", experiment.scenarios),
            where=str(path),
            code="unknown-scenario",
        )
    stages = experiment.scenario(scenario).stages
    prefix = f"scenarios.{scenario}"
    for index, stage in enumerate(stages):
        for key in _unlike(stage, experiment, last=index == len(stages) - 1):
            with experiment.pointing():
                raise _not_in_a_trainer(key, f"{prefix}.{index}.{key}")
    written = [
        {
            key: value
            for key, value in stage.model_dump().items()
            if key in KEYS and value is not None
        }
        for stage in stages
    ]
    return _lasting(written, arguments=_arguments(experiment), prefix=prefix, experiment=experiment)


def _unlike(stage: Stage, experiment: Experiment, *, last: bool) -> list[str]:
    """The keys of a stage that change its training and that a Trainer does not support."""
    usual = Stage(epochs=0, losses=tuple(experiment.tasks), tasks=tuple(experiment.tasks))
    keys = [key for key in OTHERS if getattr(stage, key) != getattr(usual, key)]
    return [*keys, "select"] if not last and stage.select != "last" else keys


def _arguments(experiment: Experiment) -> dict[str, Any]:
    settings: Optimizer = experiment.optimizer
    return {
        "per_device_train_batch_size": experiment.batch_size,
        "weight_decay": settings.weight_decay,
        "max_grad_norm": settings.clip_norm,
    }
