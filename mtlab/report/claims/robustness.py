"""The test of the claim about other data than a model was trained for."""

from collections.abc import Iterator

from mtlab.record.records import TrialRecord
from mtlab.report.claims.evidence import ClaimVerdict, Evidence, Finding, finding
from mtlab.report.comparison import decisions, kinds, shifts
from mtlab.report.comparison.shifts import FEWEST_SETS, Word

VERDICTS: dict[Word, ClaimVerdict] = {"protects": "supported", "loses more": "contradicted"}


def protects(evidence: Evidence) -> Iterator[Finding]:
    """Heads alone, or first, against full fine-tuning as the control: what each loses from test to
    another set; nothing on fewer than :data:`~mtlab.report.comparison.shifts.FEWEST_SETS` sets.
    """
    group = evidence.base
    control = group.of(group.control) if group.control is not None else []
    full = bool(control) and kinds.kind(control[0].stages) == kinds.FULL
    if not full or shifts.count(group.also) < FEWEST_SETS:
        return
    for shift in shifts.shifts(group):
        against, trials = shift.against, group.of(shift.scenario)
        if against is None or against.reason == decisions.UNTRAINED or not _heads_first(trials[0]):
            continue
        measured = f"{shift.task.metric_title}, drop from test to {shift.on.title}, {shift.scenario} minus {group.control}"
        verdict = VERDICTS.get(against.word, "open")
        names = [shift.scenario, group.control or ""]
        yield finding(verdict, shift.task.title, measured, against.interval, group, names)


def _heads_first(trial: TrialRecord) -> bool:
    """Whether heads train alone: to the end (linear probing), or before everything else does (LP-FT,
    and gradual unfreezing).
    """
    active = [stage for stage in trial.stages if stage.epochs and stage.params_trainable]
    kind = kinds.kind(trial.stages)
    first = kinds.kind(active[:1])
    return first == kinds.HEADS and kind in (kinds.HEADS, kinds.GRADUAL)
