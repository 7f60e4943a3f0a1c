"""The parts of an experiment: its encoder, data, optimizer, cache and so on, each a frozen value."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from mtlab.plan.data import Data
from mtlab.plan.errors import mistake, shown
from mtlab.plan.scenario import Schedule, Selection, Stage
from mtlab.plan.values import Count, Number, Strict, Text
from mtlab.plan.words import unset

DEVICE = re.compile(r"auto|cpu|cuda(:[0-9]+)?")
"""The names of devices."""


def _not_empty(output: Any) -> Any:
    if output == "":
        raise mistake(
            f"{shown(output)} cannot be the path of a directory; name another, or leave the key out",
            code="bad-name",
        )
    return output


def _known_device(device: str) -> str:
    if not DEVICE.fullmatch(device):
        raise mistake(
            f"{shown(device)} is not known; write auto, cpu, cuda, or cuda:0 for one of several",
            code="unknown-value",
        )
    return device


def _different_seeds(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if not seeds:
        raise mistake("there is no seed; give at least one, as in `[0]`", code="empty")
    for index, seed in enumerate(seeds):
        if seed < 0:
            raise mistake(f"{seed} is not 0 or more", index, code="out-of-range")
        if seed in seeds[:index]:
            raise mistake(f"seed {seed} stands twice; keep one of them", index, code="twice")
    return seeds


Output = Annotated[Path, BeforeValidator(_not_empty)]
Device = Annotated[str, AfterValidator(_known_device)]
Seeds = Annotated[tuple[Count, ...], AfterValidator(_different_seeds)]


class Encoder(Strict):
    """Which pretrained encoder the heads share."""

    name: Text = "minilm"
    """``minilm`` (embedded), a hub id, or a local directory."""
    revision: str | None = None
    """A hub revision: branch, tag or commit."""

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @field_validator("name")
    @classmethod
    def _no_address(cls, name: str) -> str:
        if "://" in name:  # not repeated: it may hold a password
            raise mistake(
                "an encoder is not a URL; download it and pass its directory, or pass a hub id such as owner/name",
                code="is-url",
            )
        return name


def _stages(value: Any) -> Any:
    if isinstance(value, dict | str | int | float):
        raise mistake(
            f"{shown(value)} is not a list; a scenario is a list of stages, as in `[{{epochs: 0}}]`",
            code="wrong-type",
        )
    return value


Stages = Annotated[tuple[Stage, ...], BeforeValidator(_stages)]


def check_stages(
    path: tuple[str, ...],
    stages: tuple[Stage, ...],
    select: Selection,
    optimizer: "Optimizer",
    *,
    staged: bool,
) -> None:
    """Check the stages against the rest of the experiment.

    Args:
        path: the path of the stages in the file.
        stages: of a scenario, or those that train the source checkpoint.
        select: the experiment's, for the last stage.
        optimizer: the experiment's, for stages without a schedule or warm-up of their own.
        staged: whether scenarios start from a source checkpoint.
    """
    if not stages:
        raise mistake("there is no stage; add one that trains the checkpoint", *path, code="empty")
    for index, stage in enumerate(stages):
        last = index == len(stages) - 1
        for key, line in _mistakes(stage, select, optimizer, path[0] == "start", staged, last):
            raise mistake(line, *path, index, *key, code="conflict")
        if stage.average is not None:
            heads_learnt = staged and path[0] != "start"
            line = _no_average(
                stage, stages[:index], last, stage.select or select, known=heads_learnt
            )
            if line:
                raise mistake(line, *path, index, "average", code="conflict")


def _mistakes(
    stage: Stage, select: Selection, optimizer: "Optimizer", first: bool, staged: bool, last: bool
) -> Iterator[tuple[tuple[str, ...], str]]:
    rates = optimizer.course(stage)
    for key in ("rehearsal", "distillation"):
        if getattr(stage, key) and (first or not staged):
            yield (
                (key,),
                f"{key} keeps what a checkpoint knows, and there is none here; add `start`, or take {key} out",
            )
    if first and "lora" in stage.train:
        yield ("train", "lora"), "a checkpoint has no adapters; train parts of the encoder"
    if stage.guidance is not None and rates["schedule"] != "constant":
        yield ("guidance",), "guidance needs constant rates: what it does begins the schedule anew"
    if stage.patience is not None and rates["schedule"] != "constant":
        yield (
            ("patience",),
            "patience needs constant rates, which its cooldown ends; write `schedule: constant`",
        )
    if stage.patience is not None and rates["warmup"]:
        yield (
            ("warmup",) if stage.warmup else ("patience",),
            "with patience the number of steps is not known before, so warmup cannot be a share of it; write warmup_steps",
        )
    if stage.select == "each" and not last:
        yield ("select",), "each task has its own weights at the end alone; write best or last"
    if (stage.select or (last and select)) == "each" and staged:
        yield (
            ("select",),
            "forgetting is measured on one model, and `each` keeps one a task; write best or last",
        )


def _no_average(
    stage: Stage, earlier: Sequence[Stage], last: bool, select: Selection, *, known: bool
) -> str:
    """Why a stage cannot be averaged with its start; empty where it can.

    Args:
        stage: the stage.
        earlier: the stages before it.
        last: whether it is the last stage.
        select: which epoch's weights the stage ends with.
        known: whether all heads were trained before the scenario.
    """
    if not last:
        return "what is averaged is tested, so only the last stage has average"
    if select == "each":
        return "average needs one model, and `each` keeps one a task; write `select: best`"
    if "lora" in stage.train:
        return "adapters are two factors, and their averages are not that of the weights; train parts of the encoder"
    trained = {head for before in earlier for head in _heads(before) if before.epochs}
    new = [head for head in _heads(stage) if head not in trained]
    if new and not known:
        return f"{new[0]} begins at random, and an average with that says nothing; train it in a stage before"
    return ""


def _heads(stage: Stage) -> list[str]:
    """The heads that a stage trains on their own tasks."""
    heads = [f"head.{task}" for task in stage.losses]
    return [head for head in heads if {"all", "heads", head} & {*stage.train}]


START = "start"
"""The scenario name of the trial that trains the source checkpoint of a staged experiment."""


class Start(Strict):
    """The source phase of a staged experiment: it trains a checkpoint on source data, once a seed,
    and every scenario continues from it.
    """

    data: Data
    """The source data. The heads have a class for every label and tag of the source data and of the
    experiment's own."""
    stages: Stages
    """How the checkpoint is trained."""


class Head(Strict):
    """The head of each task: dropout, then one linear layer."""

    dropout: Number = Field(default=0.1, ge=0, lt=1)
    """Dropout on the head's input."""
    pooling: Literal["mean", "cls"] = "mean"
    """The input of the classification head: the masked mean of the last hidden states, or the first
    of them."""
    init_std: Number = Field(default=0.02, gt=0)
    """Standard deviation of the normal distribution that head weights are drawn from; biases start
    at 0."""


class Lora(Strict):
    """Low-rank adapters in every linear layer of the encoder, in scenarios that train the selector
    ``lora``.
    """

    rank: Count = Field(default=8, ge=1)
    """Rank of the product that is added to a layer's weights."""
    alpha: Count = Field(default=16, ge=1)
    """The product is multiplied by ``alpha / rank``."""


class Optimizer(Strict):
    """AdamW and the course of its learning rates; a stage may have its own ``schedule`` and
    ``warmup`` or ``warmup_steps``.
    """

    weight_decay: Number = Field(default=0.01, ge=0)
    """Decoupled weight decay, on every trained tensor."""
    clip_norm: Number = Field(default=1.0, gt=0)
    """The global gradient norm is clipped to this."""
    schedule: Schedule = "constant"
    """Course of the learning rates within a stage, after warm-up."""
    warmup: Number = Field(default=0.0, ge=0, lt=1)
    """Share of a stage's steps in which the rates rise linearly from 0."""
    warmup_steps: Count | None = Field(default=None, ge=0, exclude_if=unset)
    """Steps of a stage in which they rise, in place of a share."""

    @model_validator(mode="after")
    def _one_warmup(self) -> "Optimizer":
        if self.warmup and self.warmup_steps is not None:
            line = "warmup and warmup_steps say the same in two ways; keep one of them"
            raise mistake(line, "warmup_steps", code="conflict")
        return self

    def course(self, stage: Stage) -> dict[str, Any]:
        """The settings of the course of a stage's learning rates, with defaults filled in:
        ``schedule``, ``warmup`` or ``warmup_steps``, and the ``cooldown`` that follows
        ``patience``.
        """
        own = stage.warmup is not None or stage.warmup_steps is not None
        source = stage if own else self
        cooldown = stage.cooldown
        if stage.patience is not None and cooldown is None:
            cooldown = 1 if stage.epochs > 1 else 0
        return {
            "schedule": stage.schedule or self.schedule,
            "warmup": source.warmup or 0.0,
            "warmup_steps": source.warmup_steps,
            "cooldown": cooldown,
        }


class Cache(Strict):
    """The cache of hidden states below the lowest trained block, which are computed once."""

    mode: Literal["auto", "off"] = "auto"
    """``auto`` caches states that cannot change; ``off`` computes everything each time."""
    memory_limit_mb: Number = Field(default=4000.0, ge=0)
    """States beyond this many MB (10^6 bytes) lie in files that are mapped into memory."""

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        if isinstance(value, bool):
            value = "auto" if value else "off"
        return {"mode": value} if isinstance(value, str) else value


class Checkpoints(Strict):
    """How often a running trial writes its resume state, from which it continues after an
    interruption.
    """

    every_s: Number = Field(default=120.0, ge=0)
    """Seconds between two checkpoints; one is written after a step, at the earliest."""
    every_steps: Count | None = Field(default=None, ge=1)
    """Steps between two checkpoints, where that is less time."""
    stall_s: Number | None = Field(default=1800.0, ge=5)
    """Seconds without a step, or a batch of an evaluation, after which the process counts as hung:
    it ends, and continues from its last checkpoint, as after a crash. ``null``: never."""


class Engine(Strict):
    """The engine that runs the trials."""

    name: Literal["local", "ray"] = "local"
    """``local``: this process, one after another. ``ray``: a Ray cluster, as many at once as it has
    room for."""
    address: Text | None = None
    """Address of the cluster (``auto``: the cluster that this machine belongs to); without it,
    mtlab starts a cluster on this machine."""
    num_cpus: Count = Field(default=1, ge=1)
    """Cores that a trial on a cluster is given; it has as many threads."""
    num_gpus: Number | None = Field(default=None, ge=0)
    """GPUs that a trial on a cluster is given; a fraction lets several share one. Where none is
    given: one, if the cluster has any."""
    retries: Count = Field(default=3, ge=0)
    """How often a trial continues elsewhere, from its last checkpoint, when its process or node was
    lost; then it has failed."""

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value
