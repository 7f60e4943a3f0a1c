"""The progress of a schedule, as a checkpoint saves it."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from mtlab.plan.scenario import Stage
from mtlab.record.quality import Metrics, TaskMetrics
from mtlab.train.loop.patience import Waiting

METRIC = "metric"
"""The name that patience uses for the metric of the Trainer."""


@dataclass(frozen=True)
class StageCertificate:
    """What a stage trained, and the SHA-256 of each unit before and after.

    Attributes:
        name: the name of the stage.
        epochs: the number of epochs that were trained.
        steps: the number of steps that were made.
        trained: the units that trained.
        frozen: the units that were frozen.
        before: unit to digest when the stage began.
        after: the same at the end of its last epoch.
    """

    name: str
    epochs: int
    steps: int
    trained: tuple[str, ...]
    frozen: tuple[str, ...]
    before: Mapping[str, str]
    after: Mapping[str, str]

    @property
    def moved(self) -> list[str]:
        """Frozen units that changed."""
        return [unit for unit in self.frozen if self.before[unit] != self.after[unit]]

    def idle(self, reached: Iterable[str]) -> list[str]:
        """The units among ``reached`` that did not change."""
        return [unit for unit in reached if self.before[unit] == self.after[unit]]


@dataclass
class Progress:
    """The state of the current stage.

    Attributes:
        stage: its index.
        first_step: the step of the training at which it began.
        epochs: the number of its epochs that have ended.
        scores: the scores of its validations; higher is better.
        baseline: the score of the model before training, if it was validated.
        before: unit to digest when the stage began.
        reached: trained units that have a gradient.
        certificates: the certificates of the stages so far.
    """

    stage: int = -1
    first_step: int = 0
    epochs: int = 0
    scores: list[float] = field(default_factory=list)
    baseline: float | None = None
    before: dict[str, str] = field(default_factory=dict)
    reached: tuple[str, ...] = ()
    certificates: list[StageCertificate] = field(default_factory=list)

    def begin(self, step: int, before: dict[str, str]) -> None:
        """Begin the next stage."""
        self.stage, self.first_step, self.before = self.stage + 1, step, before
        self.epochs, self.scores, self.reached = 0, [], ()

    def waiting(self, stage: Stage) -> Waiting | None:
        """The patience of the stage after the scores so far; None if the stage has no patience."""
        if stage.patience is None:
            return None
        baselines = {} if self.baseline is None else {METRIC: self.baseline}
        watched = {"losses": (METRIC,), "select_on": (), "select": None}
        tracker = Waiting(stage.model_copy(update=watched), baselines)
        for score in self.scores:
            tracker.look(_metrics(score))
        return tracker

    def certify(self, certificate: StageCertificate) -> None:
        """Save the certificate of the stage, in place of that of an earlier epoch."""
        self.certificates = [*self.certificates[: self.stage], certificate]

    def state_dict(self) -> dict[str, Any]:
        """The progress as values that can be written as JSON."""
        return asdict(self)

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> "Progress":
        """The progress from the result of :meth:`state_dict`, after it was written as JSON."""
        rows = [
            {**row, "trained": tuple(row["trained"]), "frozen": tuple(row["frozen"])}
            for row in state["certificates"]
        ]
        certificates = [StageCertificate(**row) for row in rows]
        return cls(**{**state, "certificates": certificates, "reached": tuple(state["reached"])})


def _metrics(score: float) -> Metrics:
    return Metrics(by_task={METRIC: TaskMetrics(scores={METRIC: score}, loss=None, sentences=1)})
