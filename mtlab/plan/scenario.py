"""Scenarios as data: a scenario is a list of stages, and a stage maps selectors to learning rates.

What no selector names is frozen: the absence of a learning rate is the only thing that freezes.
"""

import hashlib
import itertools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import not_
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from mtlab.plan import block_choice, rates, selectors
from mtlab.plan.block_choice import Choose, FreezeWhen, Rotate
from mtlab.plan.errors import UserError, mistake, printable
from mtlab.plan.values import NOT_WRITTEN, OF_A_RUN, Count, Number, Strict, Text, unknown_task
from mtlab.plan.words import counted, unset
from mtlab.tasks.registry import USUAL

Schedule = Literal["constant", "linear", "cosine"]


LONGEST_LABEL = 150
"""The most characters of a trial's label; file systems allow names of about 250."""


Selection = Literal["best", "last", "each"]


class Guidance(Strict):
    """Watches the validation of each task while a stage trains, and acts on a task that no longer
    gains.

    What is done is a new piece of the stage, with a new optimizer, and is written down with the
    numbers that led to it.
    """

    monitor: Literal["score", "loss"] = "score"
    """What is watched on validation: accuracy and entity F1, or the tasks' losses."""
    patience: Count = Field(default=2, ge=1)
    """Validations without a gain, one an epoch, before something is done."""
    min_change: Number = Field(default=0.0, ge=0)
    """A gain is an improvement on the best so far by more than this."""
    actions: tuple[Literal["slow", "refreeze"], ...] = ("slow", "refreeze")
    """What is done to a task, in this order, one each time its patience ends. ``slow``: the rate of
    its head and the weight of its loss, and so its say in what the encoder learns, are multiplied
    by ``factor``. ``refreeze``: its head is frozen and its loss leaves the sum; when the last task
    has gone, so has the encoder, and the stage ends."""
    factor: Number = Field(default=0.3, gt=0, lt=1)
    """The factor of ``slow``."""
    hold: Number = Field(default=0.0, ge=0)
    """Weight of the distillation that keeps a task which was frozen again near its predictions of
    that time, while the encoder still trains."""
    advance: bool = False
    """Whether a stage that others follow ends when no task has gained for ``patience`` validations;
    nothing else is done in it then."""


class Stage(Strict):
    """One phase of training: what learns, how fast, for how long."""

    name: Text = ""
    """A label for plots and reports; ``stage 1``, ``stage 2`` … where none is given."""
    epochs: Count = Field(ge=0)
    """Passes over the training data; with ``patience`` at most so many."""
    train: dict[str, Number] = Field(default_factory=dict)
    """Selector to learning rate, first match wins. What no selector names is frozen. A rate may fall
    from block to block (:mod:`mtlab.plan.rates`)."""
    decay: Annotated[dict[str, Any], NOT_WRITTEN] = Field(default_factory=dict, exclude=True)
    """Selector to the decay of its rate, where ``train`` has one."""
    reinit: rates.Selectors = Field(default=(), exclude_if=not_)
    """Blocks whose weights are drawn anew when the stage begins."""
    choose: Choose | None = Field(default=None, exclude_if=unset)
    """Trains the blocks with the highest scores alone."""
    rotate: Rotate | None = Field(default=None, exclude_if=unset)
    """Trains some of the blocks at a time."""
    freeze_when: FreezeWhen | None = Field(default=None, exclude_if=unset)
    """Freezes blocks from the bottom up while the stage trains."""
    withheld: Annotated[tuple[str, ...], OF_A_RUN] = Field(default=(), exclude=True)
    """Units that ``train`` names and that do not train in this piece of the stage."""
    average: Number | None = Field(default=None, gt=0, lt=1, exclude_if=unset)
    """Share of the trained weights in what the last stage is tested with; the rest is what it began
    with: ``start + average * (trained - start)`` (WiSE-FT, Wortsman et al. 2022)."""
    losses: tuple[str, ...] = tuple(USUAL)
    """The tasks whose losses are summed; all of the experiment's where none are named."""
    schedule: Schedule | None = None
    """Course of the learning rates in this stage; the experiment's where none is given."""
    warmup: Number | None = Field(default=None, ge=0, lt=1)
    """Share of the stage's steps in which the rates rise linearly from 0; the experiment's where
    none is given."""
    warmup_steps: Count | None = Field(default=None, ge=0, exclude_if=unset)
    """Steps in which the rates rise linearly from 0, in place of the share ``warmup``; the
    experiment's where neither is given."""
    patience: Count | None = Field(default=None, ge=1, exclude_if=unset)
    """Validations in a row, one an epoch, without a gain in the mean score of ``select_on`` (with
    ``select: each`` in the score of any of ``losses``), after which the cooldown begins: not before a
    third of ``epochs``, nor while a trained task scores no more than its baseline on validation, the
    larger of the untrained network's score and that of the best constant answer."""
    cooldown: Count | None = Field(default=None, ge=0, exclude_if=unset)
    """Epochs after patience ended in which the rates fall linearly to 0; where it does not end, the
    last of ``epochs``. 1 where none is given, and 0 where ``epochs`` is 1."""
    weights: dict[str, Number] = Field(default_factory=dict)
    """Factors on the losses of tasks in this stage, beside the experiment's ``task_weights``."""
    rehearsal: Number = Field(default=0.0, ge=0, le=1)
    """Steps on source sentences (of ``start``) for each step on the stage's own, with the losses
    that ``losses`` leaves out."""
    l2_sp: Number = Field(default=0.0, ge=0)
    """Strength of the pull of the encoder's weights to where the trial began."""
    distillation: Number = Field(default=0.0, ge=0)
    """Weight of the distillation that keeps the tasks which ``losses`` leaves out near their
    predictions of the time when their losses left, or the trial began."""
    guidance: Guidance | None = None
    """Acts on tasks that no longer gain on validation; nothing is done where none is given."""
    select: Selection | None = None
    """Which epoch's weights the stage hands on: its best on validation, the last, or (at the end)
    for each task its own best. The last stage has the experiment's where none is given, an earlier
    one ``last``."""
    select_on: tuple[str, ...] = ()
    """The tasks whose metrics choose the best epoch, in their mean; the experiment's where none are
    named, and else those of ``losses``."""
    tasks: tuple[str, ...] = Field(default=tuple(USUAL), exclude=True)
    """The experiment's; a file does not write them here."""
    _decay_apart, _as_written = rates.apart, rates.as_written

    @model_validator(mode="after")
    def _trains(self) -> "Stage":
        rates.check_decay(self.decay)
        guided = self.guidance is not None
        rates.check_reinit(self.reinit, self.tasks, self.epochs, guided=guided)
        keys = [key for key in (*block_choice.KEYS, "average") if getattr(self, key) is not None]
        trains, drawn = bool(self.epochs), bool(self.reinit)
        block_choice.check(keys, trains=trains, guided=guided, drawn=drawn)
        block_choice.check_every(self.rotate, self.freeze_when, self.epochs)
        for selector, rate in self.train.items():
            try:
                selectors.parse(selector, self.tasks)
            except UserError as error:
                raise mistake(str(error), "train", selector, code="bad-selector") from None
            if not rate > 0:
                raise mistake(
                    f"a learning rate is above 0, not {rate:g}; to freeze a part, leave its selector out",
                    "train",
                    selector,
                    code="out-of-range",
                )
        return self

    @model_validator(mode="after")
    def _lasts(self) -> "Stage":
        if self.warmup and self.warmup_steps is not None:
            line = "warmup and warmup_steps say the same in two ways; keep one of them"
            raise mistake(line, "warmup_steps", code="conflict")
        if self.patience is not None and self.guidance is not None:
            line = "patience and guidance both act on what no longer gains; keep one of them"
            raise mistake(line, "patience", code="conflict")
        if self.cooldown is not None and self.patience is None:
            line = "a cooldown follows patience; add `patience`, or take cooldown out"
            raise mistake(line, "cooldown", code="conflict")
        if self.cooldown and self.cooldown >= self.epochs:
            line = f"{self.cooldown} is not below the {counted(self.epochs, 'epoch')} of the stage"
            raise mistake(line, "cooldown", code="out-of-range")
        return self

    @model_validator(mode="after")
    def _consistent(self) -> "Stage":
        for key in ("losses", "select_on", "weights"):
            for place, task in enumerate(getattr(self, key)):
                if task not in self.tasks:
                    at = task if key == "weights" else place
                    raise mistake(unknown_task(task, self.tasks), key, at, code="unknown-value")
        if self.epochs and not self.train:
            raise mistake(
                "there are epochs but nothing to train; add `train`, or write `epochs: 0`",
                code="empty",
            )
        if not self.losses or len(set(self.losses)) < len(self.losses):
            raise mistake(
                "losses name each task at most once, and at least one task", "losses", code="twice"
            )
        for key in ("rehearsal", "distillation"):
            if getattr(self, key) and not self.silent:
                raise mistake(
                    f"{key} keeps the tasks that `losses` leaves out, and none is left out; add `losses: [{self.tasks[-1]}]`, say",
                    key,
                    code="conflict",
                )
        if (
            self.guidance is not None
            and "all" in self.train
            and any(not selector.startswith(("all", "head")) for selector in self.train)
        ):
            raise mistake(
                "with guidance, `all` stands alone; write `encoder` and `heads` beside other parts",
                "train",
                code="conflict",
            )
        for task in self.weights:
            if not self.weights[task] > 0:
                raise mistake(
                    "a weight is above 0; leave the task out of `losses` instead",
                    "weights",
                    task,
                    code="out-of-range",
                )
        return self

    def weight(self, task: str) -> float:
        """The factor on a task's loss in this stage."""
        return self.weights.get(task, 1.0)

    @property
    def judged(self) -> tuple[str, ...]:
        """The tasks whose metrics choose the best epoch."""
        return self.select_on or self.losses

    @property
    def silent(self) -> tuple[str, ...]:
        """The tasks whose losses are left out."""
        return tuple(task for task in self.tasks if task not in self.losses)

    @property
    def chooses(self) -> str:
        """The stage's key among :data:`mtlab.plan.block_choice.KEYS`, which makes only some of the
        blocks in ``train`` train at a time; empty where the stage has none.
        """
        return next((key for key in block_choice.KEYS if getattr(self, key) is not None), "")

    @property
    def mitigated(self) -> bool:
        """Whether the stage has a loss that protects tasks it does not train."""
        return bool(self.rehearsal or self.l2_sp or self.distillation)


Point = tuple[tuple[str, Any], ...]
"""Keys of an experiment and their values."""

Pair = tuple[Point, str]
"""A point and a scenario."""

SETTING = "setting"
"""The key of a point that says which of the experiment's settings it has."""


@dataclass(frozen=True)
class Scenario:
    """A name and the stages in order."""

    name: str
    stages: tuple[Stage, ...]

    @property
    def ends_early(self) -> bool:
        """Whether patience may end a stage before its last epoch, or the run decides which blocks
        train. Planned costs are then upper bounds.
        """
        return self.decides or any(stage.patience is not None for stage in self.stages)

    @property
    def decides(self) -> bool:
        """Whether the run decides which blocks train; planned costs are then upper bounds."""
        return any(stage.choose or stage.freeze_when for stage in self.stages)


@dataclass(frozen=True)
class Trial:
    """One training run of the suite: a scenario, a seed, and a point of the sweep (``()`` where
    nothing is swept).
    """

    scenario: str
    seed: int
    point: Point = ()

    @property
    def label(self) -> str:
        """A short name for people and file names; :func:`content_key` is what identifies a
        trial.
        """
        values = (
            re.sub(r"[^A-Za-z0-9_.]+", "_", str(value))[:40] for _, value in self.point
        )  # a value may be a path, which cannot be part of a file name
        return "-".join([self.scenario, f"seed{self.seed}", *values])[:LONGEST_LABEL]


def points(
    sweep: Mapping[str, Sequence[Any]], settings: Mapping[str, Sequence[Any]]
) -> tuple[Point, ...]:
    """All points of an experiment: every combination of the swept values, at every setting;
    ``((),)`` without sweep and settings.

    A point contains the number of its setting, counted from 1, and the keys that the setting sets,
    without those of scenarios.
    """
    swept = [
        tuple(zip(sweep, values, strict=True)) for values in itertools.product(*sweep.values())
    ]
    if not settings:
        return tuple(swept)
    together = [
        dict(zip(settings, values, strict=True)) for values in zip(*settings.values(), strict=True)
    ]
    numbered = [
        (
            (SETTING, number),
            *((key, value) for key, value in setting.items() if not key.startswith("scenarios.")),
        )
        for number, setting in enumerate(together, start=1)
    ]
    return tuple(point + setting for point in swept for setting in numbered)


def changes(
    point: Point, settings: Mapping[str, Sequence[Any]]
) -> list[tuple[str, Any, tuple[str | int, ...]]]:
    """The keys that a point sets, their values, and their places in the file (of a swept key: its
    list).
    """
    number = dict(point).get(SETTING)
    together = (
        []
        if number is None
        else [
            (key, values[number - 1], ("settings", key, number - 1))
            for key, values in settings.items()
        ]
    )
    swept = [
        (key, value, ("sweep", key))
        for key, value in point
        if key != SETTING and key not in settings
    ]
    return [*swept, *together]


def point_label(point: Iterable[tuple[str, Any]]) -> str:
    """A point of the sweep for people: ``key = value, …``; empty where nothing is swept."""
    return printable(", ".join(f"{key} = {value}" for key, value in point))


def content_key(*parts: Any) -> str:
    """SHA-256 (hex) of a canonical JSON of ``parts``: equal for equal content, whatever the order
    of keys.
    """
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()
