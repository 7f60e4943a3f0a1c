"""The experiment: one typed, frozen value that says everything about what is run."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from mtlab.plan import yaml_file
from mtlab.plan.errors import UserError, did_you_mean, mistake, plainly, printable, shown
from mtlab.plan.scenario import (
    CONTROL,
    SETTING,
    Count,
    Number,
    Point,
    Scenario,
    Schedule,
    Selection,
    Stage,
    Strict,
    Text,
    Trial,
    points,
)
from mtlab.plan.selectors import Task
from mtlab.plan.yaml_file import Located

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""What names of experiments and scenarios may be: they become names of files, runs and columns."""

DEVICE = re.compile(r"auto|cpu|cuda(:[0-9]+)?")
"""Devices by name."""

NOT_SWEPT = (
    "name",
    "question",
    "output",
    "seeds",
    "scenarios",
    "control",
    "sweep",
    "settings",
    "device",
    "precision",
    "attention",
    "cache",
    "checkpoints",
    "keep_weights",
    "engine",
)
"""Keys that belong to the experiment as a whole, so that points cannot differ in them: a suite has
one device and one precision."""


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
                "an encoder is not a URL; download it and pass its directory, or pass a hub id such as owner/name"
            )
        return name


class Source(Strict):
    """Where labelled sentences come from."""

    source: str | None = None
    """``builtin``, a hub id, or a local directory or file (.jsonl .json .csv .tsv .parquet .conll
    .txt)."""
    revision: str | None = None
    """A hub revision: branch, tag or commit."""
    subset: str | None = None
    """The configuration of a hub data set that has several; of ``builtin`` the domain, ``news``
    (where none is given) or ``chat``."""
    columns: dict[Literal["tokens", "ner_tags", "label", "text"], str] = Field(default_factory=dict)
    """Our names of columns to the source's, where they differ."""
    splits: dict[Literal["train", "validation", "test"], str] = Field(default_factory=dict)
    """Our names of splits to the source's (names of hub splits, or of local files), where they
    differ."""
    labels: tuple[str, ...] = ()
    """Take the sentences with these labels alone, in every split; all of them where none are
    given."""

    @property
    def title(self) -> str:
        """What reports call it: the source, and which part of it."""
        return printable(f"{self.source} ({self.subset})" if self.subset else str(self.source))

    @field_validator("source")
    @classmethod
    def _no_address(cls, source: str | None) -> str | None:
        if source is not None and "://" in source:  # not repeated: it may hold a password
            raise mistake(
                "a source is not a URL; download the data and pass its path, or pass a hub id such as owner/name"
            )
        return source

    @model_validator(mode="before")
    @classmethod
    def _no_short_form(cls, value: Any) -> Any:
        if isinstance(value, str):
            raise mistake(
                f"{shown(value)} is not a mapping (`key: value`); write `{{source: {value}}}`"
            )
        return value


class Data(Source):
    """The data of an experiment: one source with both labels, or one source a task."""

    classifier: Source | None = None
    """The source of labelled sentences, where the two tasks have one each."""
    ner: Source | None = None
    """The source of tagged sentences, where the two tasks have one each."""
    train_size: int | Literal["full"] = "full"
    """Training sentences taken from each source: nested, stratified subsets. Label sets come from
    the whole split."""
    validation_fraction: Number = Field(default=0.1, gt=0, lt=1)
    """Share of train that is cut off, stratified, where a source has no validation split."""
    test_fraction: Number | None = Field(default=None, gt=0, lt=1)
    """Share of train that is cut off where a source has no test split; without it, such a source is
    an error."""
    max_duplicates: Number = Field(default=0.05, ge=0, le=1)
    """Largest share of validation or test sentences that may also stand in train."""
    unseen_labels: Literal["error", "count_as_error"] = "error"
    """What to do with labels in validation or test that train does not have."""
    labelled: dict[Task, Number] = Field(default_factory=dict)
    """Task to the share of training sentences that keep their label, or tags: nested, stratified.
    The others stay for the other task."""
    label_noise: dict[Task, Number] = Field(default_factory=dict)
    """Task to the share of training labels, or of entities, that are replaced by a wrong label, or
    a wrong type, drawn evenly."""

    @field_validator("train_size", mode="before")
    @classmethod
    def _positive(cls, size: Any) -> Any:
        if size != "full" and (not isinstance(size, int) or isinstance(size, bool) or size < 1):
            raise mistake(
                f"{shown(size)} is neither a whole number of sentences above 0 nor `full`"
            )
        return size

    @model_validator(mode="after")
    def _shares(self) -> "Data":
        for task, share in self.labelled.items():
            if not 0 < share <= 1:
                raise mistake(
                    f"{share:g} is no share; give a number above 0 and at most 1", "labelled", task
                )
        for task, share in self.label_noise.items():
            if not 0 <= share <= 1:
                raise mistake(
                    f"{share:g} is no share; give a number from 0 to 1", "label_noise", task
                )
        return self

    @model_validator(mode="after")
    def _one_or_two(self) -> "Data":
        both = self.classifier is not None and self.ner is not None
        if self.source is None and not both:
            remedy = "pass --data.source PATH (one source with both labels), or --data.classifier.source and --data.ner.source"
            raise mistake(f"no data; {remedy}")
        if self.source is not None and (self.classifier or self.ner):
            raise mistake("two ways at once; give `source`, or `classifier` and `ner`")
        for task in ("classifier", "ner"):
            source = getattr(self, task)
            if source is not None and source.source is None:
                raise mistake("no source; add `source: PATH`", task)
        return self


def _stages(value: Any) -> Any:
    if isinstance(value, dict | str | int | float):
        raise mistake(
            f"{shown(value)} is not a list; a scenario is a list of stages, as in `[{{epochs: 0}}]`"
        )
    return value


Stages = Annotated[tuple[Stage, ...], BeforeValidator(_stages)]

START = "start"
"""What the trial is called that trains the checkpoint which the scenarios of a staged experiment
start from."""


class Start(Strict):
    """What staged experiments begin with: a checkpoint, trained once a seed on source data, that
    every scenario continues from.
    """

    data: Data
    """The source data. The heads have a class for every label and tag of the source data and of the
    experiment's own."""
    stages: Stages
    """How the checkpoint is trained."""


class Head(Strict):
    """What stands on the encoder for each task: dropout, then one linear layer."""

    dropout: Number = Field(default=0.1, ge=0, lt=1)
    """Dropout on the head's input."""
    pooling: Literal["mean", "cls"] = "mean"
    """What the classification head reads: the masked mean of the last hidden states, or the first
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
    ``warmup``.
    """

    weight_decay: Number = Field(default=0.01, ge=0)
    """Decoupled weight decay, on every trained tensor."""
    clip_norm: Number = Field(default=1.0, gt=0)
    """The global gradient norm is clipped to this."""
    schedule: Schedule = "constant"
    """Course of the learning rates within a stage, after warm-up."""
    warmup: Number = Field(default=0.0, ge=0, lt=1)
    """Share of a stage's steps in which the rates rise linearly from 0."""


class TaskWeights(Strict):
    """Factors of the task losses in their sum."""

    classifier: Number = Field(default=1.0, gt=0)
    ner: Number = Field(default=1.0, gt=0)


class Cache(Strict):
    """What may be computed once and kept: the hidden states of frozen prefixes."""

    mode: Literal["auto", "off"] = "auto"
    """``auto`` keeps what cannot change; ``off`` is the plain loop, which computes everything each
    time."""
    memory_limit_mb: Number = Field(default=4000.0, ge=0)
    """States beyond this many MB (10^6 bytes) lie in files that are mapped into memory."""

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        if isinstance(value, bool):
            value = "auto" if value else "off"
        return {"mode": value} if isinstance(value, str) else value


class Checkpoints(Strict):
    """How often a trial that runs is written down, so that it can go on from there when it was
    interrupted.
    """

    every_s: Number = Field(default=120.0, ge=0)
    """Seconds between two checkpoints; one is written after a step, at the earliest."""
    every_steps: Count | None = Field(default=None, ge=1)
    """Steps between two checkpoints, where that is less time."""
    stall_s: Number | None = Field(default=1800.0, ge=5)
    """Seconds without a step, or a batch of an evaluation, after which the process counts as hung:
    it ends, and goes on from its last checkpoint, as after a crash. ``null``: never."""


class Engine(Strict):
    """What runs the trials."""

    name: Literal["local", "ray"] = "local"
    """``local``: this process, one after another. ``ray``: a Ray cluster, as many at once as it has
    room for."""
    address: Text | None = None
    """Of the cluster (``auto``: the one that this machine is a part of); where none is given, this
    machine is one of its own."""
    num_cpus: Count = Field(default=1, ge=1)
    """Cores that a trial on a cluster is given; it has as many threads."""
    num_gpus: Number | None = Field(default=None, ge=0)
    """GPUs that a trial on a cluster is given; a fraction lets several share one. Where none is
    given: one, if the cluster has any."""
    retries: Count = Field(default=3, ge=0)
    """How often a trial goes on elsewhere, from its last checkpoint, when what ran it was lost;
    then it has failed."""

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value


class Experiment(Strict):
    """Everything that an experiment file can say."""

    name: str
    """The experiment's name in MLflow and under ``reports/``; the file's, where none is given."""
    question: str = ""
    """What the experiment asks, for the top of the report."""
    encoder: Encoder = Encoder()
    start: Start | None = None
    """What the scenarios continue from (the staged protocol); the pretrained encoder and new heads
    where none is given (cold)."""
    data: Data
    seeds: tuple[Count, ...] = (0,)
    """One trial of every scenario for each; a seed draws the heads and the dropout masks."""
    data_seed: Count = Field(default=0, ge=0)
    """Draws subsets, validation cuts and the order of batches."""
    batch_size: Count = Field(default=32, ge=1)
    """Sentences in every training batch, exactly."""
    max_length: Count | None = Field(default=None, ge=8)
    """Longest input in sub-word tokens; the encoder's own limit where none is given."""
    head: Head = Head()
    lora: Lora = Lora()
    optimizer: Optimizer = Optimizer()
    task_weights: TaskWeights = TaskWeights()
    select: Selection = "best"
    """Which epoch's weights are tested: the last stage's best on validation, the last, or for each
    task its own best (two models)."""
    device: str = "auto"
    """``auto`` takes a GPU where there is one."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """``auto``: bf16 autocast where the machine computes in it, fp32 elsewhere."""
    attention: Literal["auto", "eager", "sdpa"] = "auto"
    """The attention kernel; ``auto`` is what transformers would take."""
    cache: Cache = Cache()
    """The cache of frozen prefixes; ``--cache off`` does without."""
    checkpoints: Checkpoints = Checkpoints()
    """How often a running trial is written down, so that it can go on after an interruption."""
    keep_weights: Literal["auto", "best", "none"] = "auto"
    """Whose weights stay on disk for `mtlab export`: those of each scenario's best seed on
    validation, at each point; ``auto``: unless there is a sweep."""
    engine: Engine = Engine()
    """What runs the trials: this process, or a cluster."""
    output: Path
    """Where records and the report go; ``reports/<name>`` where none is given."""
    control: str | None = None
    """The scenario that the others are compared with."""
    scenarios: dict[str, Stages]
    """Name to stages, in the order in which they run."""
    sweep: dict[str, tuple[Any, ...]] = Field(default_factory=dict)
    """Keys of this file to lists of values: trials are scenarios × seeds × points, every
    combination being a point."""
    settings: dict[str, tuple[Any, ...]] = Field(default_factory=dict)
    """Keys of this file to lists of values, all equally long: the first setting has the first value
    of each, and so on."""

    _located: Located | None = PrivateAttr(default=None)
    """Where what this says was written."""

    @field_validator("output", mode="before")
    @classmethod
    def _output(cls, output: Any) -> Any:
        if output == "":
            raise mistake(
                f"{shown(output)} cannot be the path of a directory; name another, or leave the key out"
            )
        return output

    @field_validator("device")
    @classmethod
    def _device(cls, device: str) -> str:
        if not DEVICE.fullmatch(device):
            raise mistake(
                f"{shown(device)} is not known; write auto, cpu, cuda, or cuda:0 for one of several"
            )
        return device

    @field_validator("seeds")
    @classmethod
    def _seeds(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if not seeds:
            raise mistake("there is no seed; give at least one, as in `[0]`")
        for index, seed in enumerate(seeds):
            if seed < 0:
                raise mistake(f"{seed} is not 0 or more", index)
            if seed in seeds[:index]:
                raise mistake(f"seed {seed} stands twice; keep one of them", index)
        return seeds

    @field_validator("sweep", "settings")
    @classmethod
    def _varied(cls, varied: dict[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
        for key, values in varied.items():
            if key in NOT_SWEPT:
                raise mistake(
                    f"{key} cannot be swept; it is the same for the whole experiment", key
                )
            if not values:
                raise mistake("there is no value to sweep over; give at least one", key)
        return varied

    @field_validator("sweep")
    @classmethod
    def _sweep(cls, sweep: dict[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
        for key, values in sweep.items():
            for index, value in enumerate(values):
                if repr(value) in map(repr, values[:index]):
                    raise mistake(f"{shown(value)} stands twice; keep one of them", key, index)
        return sweep

    @field_validator("settings")
    @classmethod
    def _settings(cls, settings: dict[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
        first, *others = settings or [""]
        for key in others:
            if len(settings[key]) != len(settings[first]):
                raise mistake(
                    f"{len(settings[key])} values where {first} has {len(settings[first])}; a setting has one of each key",
                    key,
                )
        return settings

    @model_validator(mode="after")
    def _consistent(self) -> "Experiment":
        for path in (("name",), *(("scenarios", name) for name in self.scenarios)):
            name = path[1] if len(path) > 1 else self.name
            if not NAME.fullmatch(name):
                raise mistake(
                    f"{shown(name)} cannot be a name; use letters, digits, `_`, `-` and `.`, at most 64",
                    *path,
                )
        if CONTROL.search(str(self.output)):
            raise mistake(
                f"{shown(str(self.output))} holds a control character; take it out", "output"
            )
        if not self.scenarios:
            raise mistake("there is no scenario; add one", "scenarios")
        for name, stages in self.scenarios.items():
            if not stages:
                raise mistake(
                    "the scenario has no stage; one that trains nothing is `[{epochs: 0}]`",
                    "scenarios",
                    name,
                )
        if self.control is not None and self.control not in self.scenarios:
            raise mistake(
                f"no scenario is called {self.control!r}; {did_you_mean(self.control, self.scenarios)}",
                "control",
            )
        for path, stages in self._courses():
            for index, stage in enumerate(stages):
                self._check_stage((*path, index), stage, last=stage is stages[-1])
        for key in self.settings:
            if key in self.sweep:
                raise mistake("the key is swept already; keep one of the two", "settings", key)
        return self

    def _courses(self) -> Iterator[tuple[tuple[str, ...], tuple[Stage, ...]]]:
        """Every list of stages, and where it stands."""
        yield from ((("scenarios", name), stages) for name, stages in self.scenarios.items())
        if self.start is not None:
            if not self.start.stages:
                raise mistake(
                    "there is no stage; add one that trains the checkpoint", "start", "stages"
                )
            yield ("start", "stages"), self.start.stages

    def _check_stage(self, path: tuple[str | int, ...], stage: Stage, *, last: bool) -> None:
        for key in ("rehearsal", "distillation"):
            if getattr(stage, key) and (self.start is None or path[0] == "start"):
                raise mistake(
                    f"{key} keeps what a checkpoint knows, and there is none here; add `start`, or take {key} out",
                    *path,
                    key,
                )
        if path[0] == "start" and "lora" in stage.train:
            raise mistake(
                "a checkpoint has no adapters; train parts of the encoder", *path, "train", "lora"
            )
        if stage.guidance is not None and (stage.schedule or self.optimizer.schedule) != "constant":
            raise mistake(
                "guidance needs constant rates: what it does begins the schedule anew",
                *path,
                "guidance",
            )
        if stage.select == "each" and not last:
            raise mistake(
                "each task has its own weights at the end alone; write best or last",
                *path,
                "select",
            )
        if (stage.select or (last and self.select)) == "each" and self.start is not None:
            raise mistake(
                "what is kept of a checkpoint is told of one model, not of one a task; write best or last",
                *path,
                "select",
            )

    @cached_property
    def points(self) -> tuple[Point, ...]:
        """The points of the sweep, at every setting; ``((),)`` where there is neither."""
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
        """The scenario called ``name``, its stages named and their schedules filled in from the
        experiment's.
        """
        filled = []
        for index, stage in enumerate(self.scenarios[name], start=1):
            defaults = {
                "name": stage.name
                or (name if len(self.scenarios[name]) == 1 else f"stage {index}"),
                "schedule": stage.schedule or self.optimizer.schedule,
                "warmup": self.optimizer.warmup if stage.warmup is None else stage.warmup,
                "select": stage.select
                or (self.select if index == len(self.scenarios[name]) else "last"),
            }
            filled.append(stage.model_copy(update=defaults))
        return Scenario(name, tuple(filled))

    @contextmanager
    def pointing(self) -> Iterator[None]:
        """Within, an error that names a key of the experiment also says where that was written: the
        line of the file, or the option.
        """
        try:
            yield
        except UserError as error:
            if self._located is None or not self._has(error.where):
                raise
            raise UserError(
                error.problem, error.remedy, where=self._located.of(error.where)
            ) from None

    def _has(self, field: str) -> bool:
        """Whether this is a dotted key of the experiment, and not a file called ``data.csv``,
        say.
        """
        value: Any = self
        for part in field.split("."):
            if isinstance(value, Strict):
                if part not in type(value).model_fields:
                    return False
                value = getattr(value, part)
        return True

    def source_phase(self) -> "Experiment | None":
        """The experiment that trains the checkpoint; None where there is nothing to start from but
        the pretrained encoder.
        """
        if self.start is None:
            return None
        select = "best" if self.select == "each" else self.select  # a checkpoint is one model
        changes = {
            "data": self.start.data,
            "scenarios": {START: self.start.stages},
            "start": None,
            "control": None,
            "select": select,
        }
        return self.model_copy(
            update={**changes, "sweep": {}, "settings": {}, "keep_weights": "none"}
        )

    def at(self, point: Point) -> "Experiment":
        """The experiment with the values of ``point`` and of its setting, and nothing swept."""
        value = {**self.model_dump(mode="json"), "sweep": {}, "settings": {}}
        if not self.keeps_weights:
            value["keep_weights"] = "none"
        for key, setting, place in _changes(point, self.settings):
            value = yaml_file.put(
                value, yaml_file.address(value, key, ".".join(map(str, place))), setting
            )
        made = _validated(value, lambda path: ".".join(map(str, path)))
        made._located = self._located
        return made


def load(
    path: str | Path, overrides: dict[str, list[str]] | None = None, with_data: bool = True
) -> Experiment:
    """Read and check an experiment file.

    Args:
        path: the file.
        overrides: command-line settings, dotted key to values; ``scenarios`` alone chooses among
            the file's scenarios.
        with_data: whether the file must say where the data are; a report is written without them.

    Raises:
        UserError: one line with the file, line and field of a mistake.
    """
    path = Path(path)
    located = yaml_file.read(path)
    for key, values in sorted(
        (overrides or {}).items(), key=lambda setting: setting[0].count(".")
    ):  # a whole before its parts
        if key == "scenarios":
            _choose(located, values)
        else:
            yaml_file.override(located, key, values)
    located.value.setdefault("name", path.stem)
    located.value.setdefault("output", f"reports/{located.value['name']}")
    located.value["data"] = (located.value.get("data") or {}) if with_data else {"source": "unread"}
    if not with_data and isinstance(located.value.get("start"), dict):
        located.value["start"] = {**located.value["start"], "data": {"source": "unread"}}
    return checked(located, with_points=with_data)


def checked(located: Located, with_points: bool = True) -> Experiment:
    """The experiment that a whole file, name and output included, says.

    Args:
        located: the file.
        with_points: whether every point of a sweep is checked, which without data they cannot be.

    Raises:
        UserError: one line with the file, line and field of a mistake.
    """
    experiment = _validated(located.value, located.where)
    for point in (
        experiment.points if with_points else ()
    ):  # a bad point is found before anything is trained
        _check_point(located, experiment, point)
    experiment._located = located
    return experiment


def _choose(located: Located, names: list[str]) -> None:
    scenarios = located.value.get("scenarios")
    scenarios = scenarios if isinstance(scenarios, dict) else {}
    for name in names:
        if name not in scenarios:
            raise UserError(
                f"no scenario is called {name!r}",
                did_you_mean(name, scenarios),
                where="--scenarios",
            )
    gone = [f"scenarios.{name}." for name in scenarios if name not in names]
    for key in ("sweep", "settings"):  # what they vary of scenarios that are not run
        if isinstance(located.value.get(key), dict):
            located.value[key] = {
                one: values
                for one, values in located.value[key].items()
                if not str(one).startswith(tuple(gone))
            }
    located.value["scenarios"] = {name: scenarios[name] for name in names}
    if located.value.get("control") not in names:
        located.value["control"] = None


def _changes(
    point: Point, settings: Mapping[str, Sequence[Any]]
) -> list[tuple[str, Any, tuple[str | int, ...]]]:
    """What a point sets: keys, their values, and where the file has them (a swept key: its
    list).
    """
    number = dict(point).get(SETTING)
    changes = (
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
    return [*swept, *changes]


def _check_point(located: Located, experiment: Experiment, point: Point) -> None:
    value: Any = {**located.value, "sweep": {}, "settings": {}}
    places: dict[tuple[str | int, ...], str] = {}
    for key, setting, at in _changes(point, experiment.settings):
        index = () if at[0] == "settings" else (located.value["sweep"][key].index(setting),)
        place = located.where((*at, *index))
        path = yaml_file.address(value, key, place)
        value, places[path] = yaml_file.put(value, path, setting), place

    def where(path: tuple[str | int, ...]) -> str:
        """The swept value that set ``path``, or a part of it, or what holds it."""
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
        raise UserError(f"{plainly(first)}{more}", where=where(_path(first))) from None


def _path(error: ErrorDetails) -> tuple[str | int, ...]:
    """The path of the mistake in the file: pydantic's, without its mark for keys, and the
    validator's within that.
    """
    path = error["loc"][:-1] if error["loc"][-1:] == ("[key]",) else error["loc"]
    return (*path, *error.get("ctx", {}).get("path", ()))
