"""The records of a trial and a suite, as typed values that read and write as JSON.

The table, the plots, the report and MLflow use only these values. Times are seconds, memory is MB
(10^6 bytes), FLOPs are counts, quality metrics lie in [0, 1]; ``None`` means undefined (never NaN).
"""

import json
from collections.abc import Iterable
from operator import not_
from typing import Any, Literal, TypeVar

from pydantic import Field

from mtlab.plan.errors import UserError
from mtlab.plan.scenario import Trial
from mtlab.plan.words import unset
from mtlab.record.quality import Contributions, Metrics, Value

FORMAT = 2
"""Increased when a field changes its meaning; older records are then refused."""

Status = Literal[
    "ok", "running", "selected", "diverged", "certificate broken", "refused", "out of memory",
    "crashed", "not run",
]  # fmt: skip
"""How a trial ended. ``running``: it has not ended yet; ``selected``: the same, after the weights
were selected and before the test split is read. ``diverged``: a loss is not finite.
``certificate broken``: something frozen changed, or something that trains did not. ``refused``: a
mistake in the experiment that only training shows. ``crashed``: an error, or the process died.
``not run``: the trial that trains its source checkpoint failed."""


def ending(status: Status, reason: str) -> str:
    """A status with its reason, for people."""
    return f"{status}: {reason}" if reason else status


UNFINISHED: tuple[Status, ...] = ("running", "selected")
"""The statuses of a trial that has not ended yet, or was stopped before its end."""


class Units(Value):
    """Parameters of one unit of the network (embeddings, a block, a head) in one stage."""

    trainable: int
    frozen: int


class StageRecord(Value):
    """What was trained in a stage, and the certificate that frozen parameters did not change."""

    name: str
    epochs: int
    """Epochs that were trained."""
    steps: int
    train: dict[str, float]
    """Selector to learning rate, as the scenario has it."""
    decay: dict[str, float] = Field(default_factory=dict, exclude_if=not_)
    """Selector to the factor on its rate for each block further down from the top one; only
    selectors with such a factor."""
    reinit: tuple[str, ...] = Field(default=(), exclude_if=not_)
    """Selectors of the blocks that were re-initialised when the stage began, before the first
    digests."""
    chooses: str = Field(default="", exclude_if=not_)
    """``choose``, ``rotate`` or ``freeze_when``, if only some blocks of ``train`` train: then this
    is a piece of the stage. Empty in other stages."""
    of: int | None = Field(default=None, exclude_if=unset)
    """Index of the scenario's stage of which this is a piece."""
    scores: dict[str, float] = Field(default_factory=dict, exclude_if=not_)
    """Block to the score that decided whether it trains in this piece."""
    average: float | None = Field(default=None, exclude_if=unset)
    """Share of the trained weights in the average that was tested; the rest is the share of the
    weights with which the stage began."""
    losses: tuple[str, ...]
    rehearsal: float = 0.0
    """Steps on source sentences for each step on the stage's own; they count among ``steps``."""
    l2_sp: float = 0.0
    """Strength of the penalty that pulls the encoder's weights towards those with which the trial
    began."""
    distillation: float = 0.0
    """Weight of the loss that keeps the logits of the tasks outside ``losses`` near those of the
    source checkpoint."""
    weights: dict[str, float] = Field(default_factory=dict)
    """Task to a factor on its loss, in addition to the experiment's factor."""
    prefix_depth: int
    """Blocks below the lowest block that has a trainable parameter."""
    parameters: dict[str, Units]
    """Unit to counts, in execution order."""
    parts: dict[str, Units] = Field(default_factory=dict, exclude_if=not_)
    """Sub-unit to counts, for units whose parts are not all treated the same; digests have units
    and sub-units."""
    params_total: int
    params_trainable: int
    params_frozen: int
    digests_before: dict[str, str] = Field(default_factory=dict)
    """Unit to SHA-256 of its parameters and buffers when the stage began."""
    digests_after: dict[str, str] = Field(default_factory=dict)
    """The same at the stage's end: equal for frozen units, different for trained ones that a loss
    reached."""
    step_s: float | None = None
    """Mean seconds of an uncached training step after warm-up steps; ``None`` without steps."""
    ended: str = Field(default="", exclude_if=unset)
    """The reason why the cooldown of a stage with patience began: ``patience``, or ``epochs`` if
    patience did not end earlier; empty in other stages."""
    constant_epochs: int | None = Field(default=None, exclude_if=unset)
    """Epochs before the cooldown; ``None`` in stages without patience."""


class EpochRecord(Value):
    """The end of one epoch (the first entry of a trial, ``epoch`` 0, is the state before any
    training).
    """

    stage: int
    """Index of the stage."""
    epoch: int
    """Epochs so far in the trial, over all stages."""
    step: int
    """Training steps so far in the trial."""
    elapsed_s: float
    """Seconds of training so far: the ``train`` lap only."""
    ended_at: float
    """Unix time, seconds."""
    train_loss: dict[str, float] = Field(default_factory=dict)
    """``total`` and each task's mean training loss over the epoch's steps; empty for epoch 0."""
    validation: Metrics


class Selection(Value):
    """Which epoch's weights were tested, decided on validation before the test split was read."""

    rule: str
    epoch: int
    """The epoch; if each task has its own, the latest of them."""
    score: float | None
    """Mean of the validation metrics of the tasks that chose the epoch."""
    by_task: dict[str, int] = Field(default_factory=dict)
    """Task to its epoch, if each has its own."""


class Decision(Value):
    """A decision of guidance, with the numbers behind it."""

    stage: int
    """Index of the stage that it ended."""
    epoch: int
    """Epochs so far in the trial."""
    task: str
    """The task that the decision is about; empty for all tasks."""
    action: str
    """``slow``, ``refreeze``, ``advance`` (to the next stage), or ``stop`` (all tasks are frozen).
    """
    value: float | None
    """The watched score at this epoch; ``None`` if it is undefined or the decision is about all
    tasks.
    """
    best: float | None
    """The best so far."""
    best_epoch: int | None
    waited: int
    """Validations without a gain."""


class DomainScore(Value):
    """Scores on the test split of one of a staged experiment's two domains, at one point of the
    trial.
    """

    stage: int
    """Number of stages that trained the weights: 0 is the source checkpoint."""
    domain: str
    """``source`` (the source checkpoint's training domain) or ``target``."""
    metrics: Metrics
    contributions: Contributions


class AlsoTested(Value):
    """The scores of the selected weights on an out-of-distribution test set, computed once, when
    the trial ended.
    """

    metrics: Metrics
    contributions: Contributions


class LogitDrift(Value):
    """How far a task's logits on the source test split moved from the source checkpoint's."""

    identical: bool
    """Whether every logit is equal, bit for bit."""
    largest: float
    """The largest absolute difference of a logit."""
    kl: float
    """Mean Kullback-Leibler divergence of the checkpoint's class probabilities from the trial's, in
    nats an item."""
    changed: float
    """Share of items whose most likely class changed."""


class Drift(Value):
    """How far the outputs of a staged trial's selected weights moved from the source checkpoint's,
    on the source test split.
    """

    cka: dict[str, float]
    """Linear CKA of the hidden states that come out of the embeddings and of each block (Kornblith
    et al. 2019): 1 means unchanged."""
    logits: dict[str, LogitDrift]
    """Task to the drift of its logits; an item is a sentence, or a word."""


class TrialRecord(Value):
    """One trial."""

    format: int = FORMAT
    key: str
    """SHA-256 over everything that affects the result."""
    code: str = Field(default="", exclude_if=not_)
    """SHA-256 of the code that made the record (:mod:`mtlab.record.code`). It is not in the key,
    because a change of a message's text changes it, too."""
    scenario: str
    seed: int
    point: dict[str, Any] = Field(default_factory=dict)
    """Swept keys and their values."""
    status: Status = "ok"
    reason: str = ""
    """Why the trial did not end well; empty where ``status`` says it all."""
    started_at: float
    ended_at: float | None = None
    attempts: int = 1
    """How often the trial was started: after each interruption it continued from its last resume
    state. Times do not include the work that was lost."""
    initial_digest: str = ""
    """SHA-256 of the whole network before training: equal over the scenarios of a seed."""
    final_digest: str = ""
    """SHA-256 of the weights that were tested."""
    order_digest: str = ""
    """SHA-256 of the sequence of example ids that training saw."""
    stages: tuple[StageRecord, ...] = ()
    epochs: tuple[EpochRecord, ...] = ()
    step_losses: dict[str, tuple[float | None, ...]] = Field(default_factory=dict)
    """``total`` and each task's training loss at every step; ``None`` where the step's batch had no
    label of the task. Empty where the record comes from an archive."""
    selection: Selection | None = None
    validation: Metrics | None = None
    """The selected weights on the validation split."""
    test: Metrics | None = None
    """The selected weights on the test split, read once."""
    contributions: Contributions | None = None
    """What each test sentence adds to ``test``."""
    also: dict[str, AlsoTested] = Field(default_factory=dict, exclude_if=not_)
    """Out-of-distribution test set (``also_test``) to the scores on it."""
    start: str = ""
    """Key of the trial whose weights this one started from, in a staged experiment."""
    matrix: tuple[DomainScore, ...] = ()
    """Scores on both domains at the checkpoint, after each stage but the last, and of the selected
    weights on the source domain (those on the target domain are ``test``)."""
    drift: Drift | None = None
    """How far the selected weights moved from the checkpoint."""
    ledger: tuple[Decision, ...] = ()
    """The decisions of guidance."""
    laps: dict[str, float] = Field(default_factory=dict)
    """Seconds of ``setup``, ``cache``, ``train`` and ``eval``."""
    wall_s: float | None = None
    """Seconds of the scenario alone on this engine: its own laps plus, in full, the shared work it
    used."""
    wall_plain_s: float | None = None
    """Seconds of a loop without a cache: each stage's measured uncached step times its steps, plus
    set-up and evaluation with the prefix computed."""
    untimed: str = ""
    """Why its times are excluded from comparisons, such as a shared device; empty if they are
    included."""
    machine: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    """How busy the machine was: ``at`` to Unix times, names of MLflow's system metrics to readings
    at these times."""
    peak_memory_mb: float | None = None
    """Peak memory of the process; with several processes, the largest."""
    train_flops: int | None = None
    """Matrix-multiplication FLOPs of uncached training, padding included."""
    train_flops_padding: int | None = None
    """The part of ``train_flops`` that went into padding."""
    train_tokens: int | None = None
    """Sub-word tokens trained on, padding not counted."""
    tokens_per_s: float | None = None
    """``train_tokens`` over the ``train`` lap."""

    @property
    def trial(self) -> Trial:
        """As the experiment has it."""
        return Trial(self.scenario, self.seed, tuple(self.point.items()))

    @property
    def label(self) -> str:
        """A short name for people and files."""
        return self.trial.label

    @property
    def ok(self) -> bool:
        """Whether the trial ended well; only then its results count."""
        return self.status == "ok"

    @property
    def ending(self) -> str:
        """The status with its reason, for people."""
        return ending(self.status, self.reason)


class Skipped(Value):
    """A trial of the experiment that did not run, because its scenario was decided with fewer
    seeds.
    """

    scenario: str
    seed: int
    point: dict[str, Any] = Field(default_factory=dict)
    """Swept keys and their values."""

    @property
    def trial(self) -> Trial:
        """As the experiment has it."""
        return Trial(self.scenario, self.seed, tuple(self.point.items()))


class SuiteRecord(Value):
    """The data that the trials of one run of an experiment share."""

    format: int = FORMAT
    id: str = ""
    """A random id, drawn when the suite began; a resumed suite keeps it."""
    experiment: dict[str, Any]
    """The resolved experiment."""
    question: str = ""
    command: str
    """The command that repeats the run."""
    started_at: float
    elapsed_s: float | None = None
    """Real seconds from the suite's start to its end."""
    environment: dict[str, str | int | float | bool | None]
    """Device, precision, threads, versions."""
    encoder: dict[str, dict[str, str | int | None]]
    """Point of the sweep (``""`` where nothing is swept) to the encoder's name, revision, hash,
    family, blocks, hidden size, attention."""
    data: dict[str, dict[str, Any]]
    """Point of the sweep to sizes, label sets, fingerprint and notes of the data."""
    trials: tuple[str, ...]
    """The keys of the suite's trials in the order they ran."""
    starts: tuple[str, ...] = ()
    """The keys of the trials that train the source checkpoints of a staged experiment; comparisons
    leave them out."""
    read_back: tuple[str, ...] = ()
    """The keys of the trials that an earlier, interrupted run had finished; ``elapsed_s`` does not
    include their time."""
    skipped: tuple[Skipped, ...] = Field(default=(), exclude_if=not_)
    """The trials without a record, because their scenarios were decided at an earlier look; their
    keys are among ``trials``."""
    tracking: dict[str, str] = Field(default_factory=dict)
    """Its place in MLflow: tracking URI without credentials, experiment, parent run."""


V = TypeVar("V", bound=Value)


def parsed(content: bytes, kind: type[V], where: str) -> V:
    """The value that a file, or a line of a file, contains as JSON.

    Raises:
        UserError: the content has another kind or format.
    """
    try:
        fields = json.loads(content.decode())
        if fields.get("format") != FORMAT:
            raise UserError(
                f"a record of format {fields.get('format')}, not {FORMAT}",
                "run the experiment again",
                where=where,
                code="old-format",
            )
        return kind.model_validate(fields)
    except (ValueError, AttributeError, RecursionError):
        raise damaged(where) from None


def damaged(where: str) -> UserError:
    """The user's message for a damaged file."""
    return UserError(
        "damaged, or not a record of mtlab's",
        "run the experiment again",
        where=where,
        code="damaged",
    )


def best_on_validation(trials: Iterable[TrialRecord]) -> TrialRecord:
    """The trial whose selected weights have the highest validation score; among equal ones, the
    trial with the smallest seed.
    """

    def rank(trial: TrialRecord) -> tuple[float, int]:
        score = trial.selection.score if trial.selection else None
        return (-score if score is not None else 1.0, trial.seed)

    return min(trials, key=rank)
