"""The page that introduces several reports. It groups experiments by topic; each has its question,
its answer in one line, and a figure.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mtlab.plan.errors import UserError
from mtlab.plan.words import counted
from mtlab.record.files import write_atomically
from mtlab.record.records import SuiteRecord
from mtlab.report.claims import evidence
from mtlab.report.claims.evidence import Evidence
from mtlab.report.claims.verdicts import folders, link
from mtlab.report.comparison import across, kinds
from mtlab.report.decision.box import answer_line
from mtlab.report.faults import explain_errors
from mtlab.report.markdown import text
from mtlab.report.sections.telling import main_figure

TITLE = "# Experiments, their questions and their answers"

LEAD = (
    "Each report has the intervals, costs and conditions. [claims.md](claims.md) has what all reports together say of the claims about "
    "freezing."
)


@dataclass(frozen=True)
class Topic:
    """A topic that several experiments ask about.

    Attributes:
        title: the heading.
        fits: whether the results of an experiment are about the topic.
        figures: the kinds of figures that show it, the best first; if none exists, the page shows
            the decision figure.
    """

    title: str
    fits: Callable[[Evidence], bool]
    figures: tuple[str, ...] = ()


def _varies(*keys: str) -> Callable[[Evidence], bool]:
    """A test whether a key of an experiment's points starts with one of ``keys``."""
    return lambda results: any(
        key.startswith(keys) for group in results.groups for key in group.point
    )


def _guided(results: Evidence) -> bool:
    scenarios = results.suite.experiment.get("scenarios", {}).values()
    return any(stage.get("guidance") for stages in scenarios for stage in stages)


def _has_single_task(results: Evidence) -> bool:
    tasks = results.base.every
    return any(kinds.find(results.base, kinds.single_task(task.name)) for task in tasks)


TOPICS = (
    Topic("Which parts should be frozen?", lambda known: True),
    Topic("How much data?", _varies("data.train_size"), ("quality_vs_data",)),
    Topic(
        "How many blocks?",
        lambda known: len(across.depths(known.base)) > 2,
        ("quality_vs_blocks",),
    ),
    Topic(
        "How to tune, and how long to train?",
        lambda known: across.settings_only(known.groups) or _guided(known),
        ("settings", "learning_curves"),
    ),
    Topic("One task or several?", _has_single_task),
    Topic("What does a model keep?", lambda known: known.staged, ("kept_and_learnt",)),
    Topic(
        "What if labels are few or wrong?",
        _varies("data.labelled", "data.label_noise"),
        ("conditions",),
    ),
    Topic(
        "Which way of freezing, in and out of distribution?",
        lambda known: bool(known.base.also),
        ("out_of_distribution",),
    ),
)
"""The topics, in the order of the page. An experiment belongs to the last topic that fits."""


def write_page(directory: Path) -> Path:
    """Write ``README.md`` into ``directory``: a part for each report of its experiments.

    Raises:
        UserError: the directory has no report, a record cannot be read, the page cannot be
            written, or the present ``README.md`` was not written by this function.
    """
    reports, page_file = folders(directory), directory / "README.md"
    if page_file.exists() and not page_file.read_text(
        encoding="utf-8", errors="replace"
    ).startswith(TITLE):
        raise UserError(
            "was not written by this command, and stays unchanged",
            "move it away",
            where=str(page_file),
            code="exists",
        )
    with explain_errors(directory):
        by_topic: dict[str, list[str]] = {topic.title: [] for topic in TOPICS}
        for folder in reports:
            results = evidence.read(folder)
            topic = topic_of(results)
            figure = main_figure(folder / "plots", topic.figures)
            part = _part(folder.relative_to(directory), results, figure)
            by_topic[topic.title].append(part)
        parts = [
            part
            for title, experiments in by_topic.items()
            if experiments
            for part in (f"## {title}", *experiments)
        ]
        write_atomically(page_file, "\n\n".join([TITLE, LEAD, *parts]) + "\n")
    return page_file


def topic_of(results: Evidence) -> Topic:
    """What an experiment is about, from what its records vary."""
    return next(topic for topic in reversed(TOPICS) if topic.fits(results))


def _part(folder: Path, results: Evidence, figure: str | None) -> str:
    title = text(folder.name)
    picture = f"![The main figure of {title}]({link(folder, f'plots/{figure}')})" if figure else ""
    lines = [
        f"### [{title}]({link(folder, 'report.md')})",
        f"**{text(results.suite.question)}** ({_amount(results)})",
        answer_line(results.suite, results.groups, results.base),
        picture,
    ]
    return "\n\n".join(line for line in lines if line)


def _amount(results: Evidence) -> str:
    """How many scenarios and seeds, and the time if this run did all trials."""
    amounts = [
        counted(len(results.base.scenarios), "scenario"),
        counted(len(results.base.seeds), "seed"),
        minutes(results.suite),
    ]
    return ", ".join(amount for amount in amounts if amount)


def minutes(suite: SuiteRecord) -> str:
    """The time of a suite, in words; empty if the time is unknown or an earlier run did a part of
    the suite.
    """
    if suite.elapsed_s is None or suite.read_back:
        return ""
    return counted(round(suite.elapsed_s / 60), "minute")
