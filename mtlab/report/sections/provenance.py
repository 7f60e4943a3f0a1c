"""The report's sections about trust: certificates, selection, data, environment, failures, how to
repeat the run.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from mtlab.record.records import StageRecord, SuiteRecord, TrialRecord
from mtlab.report import markdown
from mtlab.report.comparison import training_failures
from mtlab.report.comparison.groups import Group
from mtlab.report.markdown import name, text
from mtlab.report.tasks import mean_score


def certificates(groups: list[Group]) -> str:
    """Whether frozen meant frozen, trained meant trained, and the scenarios began alike, counted
    over the good trials.
    """
    stages = [(trial, stage) for group in groups for trial in group.good for stage in trial.stages]
    lines = [
        _tally(
            "Frozen units unchanged, bit for bit",
            [(_where(trial, stage), _kept(stage)) for trial, stage in stages],
            "stages",
        ),
        _tally(
            "Every trained unit changed",
            [(_where(trial, stage), _moved(stage)) for trial, stage in stages],
            "stages that took a step",
        ),
        _tally("Same starting weights in all scenarios", _alike(groups, "initial_digest"), "seeds"),
        _tally(
            "Same batches in the same order in scenarios of equal length",
            _alike(groups, "order_digest"),
            "sets of such trials",
        ),
    ]
    return "\n".join(lines)


def _tally(claim: str, checks: list[tuple[str, bool | None]], unit: str) -> str:
    """One line: how often a claim holds, and where it does not. ``None`` marks a case that the
    claim is not about.
    """
    judged = [(where, holds) for where, holds in checks if holds is not None]
    if not judged:
        return f"- {claim}: nothing to check."
    broken = [where for where, holds in judged if not holds]
    line = f"- {claim}: **{len(judged) - len(broken)} of {len(judged)}** {unit}."
    return line + (f" **Not in:** {'; '.join(broken)}." if broken else "")


def _where(trial: TrialRecord, stage: StageRecord) -> str:
    return f"{name(trial.scenario)} seed {trial.seed}, {text(stage.name)}"


def _kept(stage: StageRecord) -> bool | None:
    frozen = [
        unit
        for unit, count in (stage.parameters | stage.parts).items()
        if count.frozen and not count.trainable
    ]
    return (
        all(
            _digest(stage.digests_before, unit) == _digest(stage.digests_after, unit)
            for unit in frozen
        )
        if frozen
        else None
    )


def _moved(stage: StageRecord) -> bool | None:
    """Tell whether every trained unit changed; a head whose loss does not count need not change."""
    used = {f"head.{task}" for task in stage.losses}
    trained = [
        unit
        for unit, count in (stage.parameters | stage.parts).items()
        if count.trainable and (unit in used or not unit.startswith("head."))
    ]
    if not trained or not stage.steps:
        return None
    return all(
        _digest(stage.digests_before, unit) != _digest(stage.digests_after, unit)
        for unit in trained
    )


def _digest(digests: dict[str, str], unit: str) -> object:
    """A unit's digest; a missing one is a unique value that equals no other, so that it fails the
    claim.
    """
    return digests.get(unit) or object()


def _alike(groups: list[Group], field: str) -> list[tuple[str, bool | None]]:
    """For each point and seed (and length of training, where the order is meant), whether a digest
    is one and the same.
    """
    by_point: dict[tuple[str, int, int], list[str]] = defaultdict(list)
    for group in groups:
        for trial in group.good:
            steps = sum(stage.steps for stage in trial.stages) if field == "order_digest" else 1
            if steps:
                by_point[group.label, trial.seed, steps].append(getattr(trial, field))
    return [
        (f"{text(label)} seed {seed}".strip(), _one(digests))
        for (label, seed, _), digests in by_point.items()
    ]


def _one(digests: list[str]) -> bool | None:
    """Whether all digests are recorded and equal; None for a single digest."""
    return None if len(digests) < 2 else len(set(digests)) == 1 and "" not in digests


def selection(group: Group) -> str:
    """Which epoch's weights were tested in each trial, of how many, and by which rule."""
    chosen = {(trial.scenario, trial.seed): trial for trial in group.good if trial.selection}
    if not chosen:
        return "No trial came to a selection."
    rows = []
    for scenario in group.scenarios:
        last = max(
            (trial.epochs[-1].epoch for trial in group.of(scenario) if trial.epochs), default=None
        )
        cells = [_choice(chosen.get((scenario, seed))) for seed in group.seeds]
        rows.append([name(scenario), markdown.whole(last), *cells])
    over = " over the tasks of the last stage's losses" if len(group.every) > 1 else ""
    rules = sorted({trial.selection.rule for trial in chosen.values() if trial.selection})
    caption = (
        f"Rule: {', '.join(text(rule) for rule in rules)}. The cells give the epoch whose weights were tested and, in "
        "brackets, its validation "
        f"score: {text(mean_score(group.every))}{over}. It was written down before the test split was read."
    )
    return (
        markdown.table(["scenario", "epochs", *(f"seed {seed}" for seed in group.seeds)], rows)
        + "\n\n"
        + caption
    )


def _choice(trial: TrialRecord | None) -> str:
    if trial is None or trial.selection is None:
        return "–"
    return f"{trial.selection.epoch} ({markdown.fixed(trial.selection.score)})"


def data(suite: SuiteRecord) -> str:
    """Sizes, labels, fingerprint and notes of the data, for each point that has its own."""
    return _by_point({point: _with_tasks(facts) for point, facts in suite.data.items()})


def _with_tasks(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts about data, of each task only how many different values there are, and which."""
    tasks = {
        name: {task_facts.get("summary"): task_facts["names"]}
        if task_facts.get("names")
        else task_facts.get("summary")
        for name, task_facts in facts.get("tasks", {}).items()
    }
    start = {"start": _with_tasks(facts["start"])} if "start" in facts else {}
    return {**facts, **({"tasks": tasks} if tasks else {}), **start}


def encoder(suite: SuiteRecord) -> str:
    """The encoder's name, revision, hash and shape, for each point that has its own."""
    return _by_point(suite.encoder)


def environment(suite: SuiteRecord, groups: list[Group]) -> str:
    """The machine and the versions."""
    codes = sorted({trial.code[:12] for group in groups for trial in group.trials if trial.code})
    code_facts = {"code": ", ".join(codes)} if codes else {}
    return _facts({**suite.environment, **code_facts})


def _by_point(facts: Mapping[str, Mapping[str, Any]]) -> str:
    tables = {label: _facts(point_facts) for label, point_facts in facts.items()}
    if len(set(tables.values())) == 1:  # the sweep is over something else
        return next(iter(tables.values()))
    return (
        "\n\n".join(f"**{text(label)}**\n\n{table}" for label, table in tables.items())
        or "Nothing was recorded."
    )


def _facts(facts: Mapping[str, Any]) -> str:
    return markdown.table(
        ["", ""],
        [[text(key.replace("_", " ")), _value(value)] for key, value in facts.items()],
        words=2,
    )


def _value(value: Any) -> str:
    """A value of any nesting as inert text."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return markdown.whole(value)
    if isinstance(value, Mapping):
        return "<br>".join(f"{text(key)}: {_value(inner)}" for key, inner in value.items()) or "–"
    if isinstance(value, Iterable) and not isinstance(value, str):
        items = [_value(inner) for inner in value]
        spaced = any(" " in item for item in items)
        return ("<br>" if spaced else ", ").join(items) or "none"
    return text(value)


def failures(groups: list[Group]) -> str:
    """Every trial without a result and why; they are left out of means and block every claim to be
    best. Empty where every trial ended well.
    """
    rows = []
    for group in groups:
        where = text(group.label) or "–"
        rows += [
            [name(trial.scenario), str(trial.seed), where, text(_reason(trial))]
            for trial in group.failed
        ]
        rows += [
            [name(scenario), str(seed), where, "left no record"] for scenario, seed in group.missing
        ]
    table = [markdown.table(["scenario", "seed", "point", "reason"], rows, words=4)] if rows else []
    untrained = [line for group in groups for line in _untrained(group)]
    return "\n\n".join([*table, *untrained, *_interrupted(groups)])


def _untrained(group: Group) -> list[str]:
    """Scenarios of which some runs failed to train a task, and the share of runs that may."""
    lines = []
    for task in group.tasks:
        for scenario in group.scenarios:
            failed = training_failures.failures(group, scenario, task, group.seeds)
            if failed:
                runs = len({*failed, *(trial.seed for trial in group.of(scenario))})
                low, high = training_failures.share(len(failed), runs)
                seeds = markdown.listing([str(seed) for seed in failed])
                at = f" at {text(group.label)}" if group.label else ""
                lines.append(
                    f"**Failed to train** {text(task.title)}{at}: {len(failed)} of {runs} runs of {name(scenario)} (seeds {seeds}; 95% "
                    f"interval: {low:.0%} to {high:.0%} of runs). Its verdict there is unclear: a mean over runs of which some failed "
                    "describes none of them."
                )
    return lines


def _interrupted(groups: list[Group]) -> list[str]:
    """Trials that were begun more than once, whose times are put together from pieces."""
    again = [trial for group in groups for trial in group.trials if trial.attempts > 1]
    if not again:
        return []
    which = markdown.listing(
        [f"{text(trial.label)} ({trial.attempts} times begun)" for trial in again]
    )
    return [
        f"Interrupted, and gone on with when the command ran again: {which}. Their results are those of trials that were not interrupted; "
        "their times are of the work that was kept."
    ]


def _reason(trial: TrialRecord) -> str:
    return (
        "did not end: still running, or stopped before its end"
        if trial.status == "running"
        else trial.ending
    )


def tracking(suite: SuiteRecord) -> str:
    """Where MLflow has the suite; empty where it was not logged."""
    return _facts(suite.tracking) if suite.tracking else ""


def reproduce(suite: SuiteRecord, all_figures: bool) -> str:
    """The command, when it ran, how the other figures are drawn where not all are there, and what
    MLflow lacks.
    """
    started = datetime.fromtimestamp(suite.started_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    figures = (
        "Every figure lies in `plots/` as PNG and as SVG."
        if all_figures
        else "Not all figures are here; this draws them:"
    )
    parts = [
        markdown.fenced(suite.command, "sh"),
        f"Run on {started}. One row a trial, exact to the last digit: [trials.csv](trials.csv). {figures}",
    ]
    if not all_figures:
        parts.append(
            markdown.fenced(
                f"mtlab report{suite.command.partition('mtlab compare')[2]} --figures all", "sh"
            )
        )
    if "missing" in suite.tracking:
        command = suite.command.replace("mtlab compare", "mtlab sync", 1)
        parts.append(
            f"**Not synced:** {text(suite.tracking['missing'])} runs are missing in MLflow. This brings them:"
        )
        parts.append(markdown.fenced(command, "sh"))
    return "\n\n".join(parts)
