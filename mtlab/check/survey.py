"""Reads the user's own data as a run does, guesses settings that are missing, and gathers every
mistake. Nothing is trained.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from ruamel.yaml import YAML

from mtlab.check import columns, starter
from mtlab.check.columns import Choice
from mtlab.data import sources
from mtlab.data.gather import Part, gather
from mtlab.data.reading import locate
from mtlab.data.reading.locate import Located as Opened
from mtlab.data.reading.table import Table
from mtlab.data.stored import Sentence
from mtlab.plan import experiment as experiments
from mtlab.plan import yaml_file
from mtlab.plan.errors import UserError, noted
from mtlab.plan.experiment import Experiment
from mtlab.plan.selectors import TASKS
from mtlab.plan.settings import Source
from mtlab.plan.yaml_file import Located

if TYPE_CHECKING:
    from mtlab.data.encoding import Example

TEST_FRACTION = 0.1
"""Share of train that is taken for test where there is none: in a run that has to be said, and the
file says it."""

NEEDS = {"classifier": "a label a sentence", "ner": "a list of tags, one a word"}
COLUMN = {"classifier": "label", "ner": "ner_tags"}


@dataclass
class SourceCheck:
    """One source, and what the check found in it."""

    given: str
    """As the user wrote it."""
    option: str
    """What an experiment calls it: ``data``, ``data.classifier`` or ``data.ner``."""
    wanted: tuple[str, ...]
    """The tasks that it is to serve."""
    source: Source
    """With what was guessed."""
    located: Opened
    """How it came to its splits."""
    can: tuple[str, ...]
    """The tasks that it has columns for."""
    mistakes: list[UserError]
    choices: list[Choice] = field(default_factory=list)
    whole: dict[str, Sequence[Sentence]] = field(default_factory=dict)
    """Its splits as they were given, tags in IOB2."""
    early: list[str] = field(default_factory=list)
    """Notes from reading them, before anything was cut."""
    part: Part | None = None
    lengths: np.ndarray | None = None
    """Of each sentence, in sub-words; None where the tokenizer is missing."""
    lost_words: int = 0
    """Words with a tag of sentences that are cut which have no sub-word."""
    lost: list[str] = field(default_factory=list)
    """Notes of a run on words without a sub-word."""

    @property
    def tables(self) -> dict[str, Table]:
        """Its splits, opened."""
        return self.located.tables

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that it is read for."""
        return tuple(task for task in self.wanted if task in self.can)

    @property
    def train(self) -> Table | None:
        """The table that columns are guessed from."""
        return next((table for table in self.tables.values() if table.rows), None)


@dataclass
class Survey:
    """What the check found in all sources."""

    given: tuple[str, ...]
    experiment: Experiment
    """The experiment of the file."""
    settings: dict[str, Any]
    """The part of that file that is not the same for everybody."""
    comments: dict[tuple[str, ...], str]
    """Comments of the file, by path of their setting."""
    checks: list[SourceCheck]
    either: bool = False
    """Whether the two sources could change places."""
    limit: int | None = None
    """Longest input in sub-words; None where the encoder could not be had."""
    more: list[UserError] = field(default_factory=list)
    """Mistakes outside the sources."""

    @property
    def mistakes(self) -> list[UserError]:
        """All of them."""
        return [mistake for check in self.checks for mistake in check.mistakes] + self.more

    @property
    def file(self) -> str:
        """The experiment file to start from."""
        sizes = [len(check.part.splits["train"]) for check in self.checks if check.part is not None]
        names, counts = (
            " and ".join(starter.short(given) for given in self.given),
            " and ".join(f"{size:,}" for size in sizes),
        )
        question = f"Which parts should be frozen on {names}, with {counts} training sentences?"
        return starter.text(self.settings, self.comments, question, sizes)


def survey(given: Sequence[str], overrides: Mapping[str, list[str]]) -> Survey:
    """Look at one source with labels and tags, or at two, whichever has which.

    Args:
        given: paths, hub ids or ``builtin``.
        overrides: settings over what would be guessed, dotted key to values.

    Raises:
        UserError: an override that makes no sense.
    """
    orders = [tuple(given), tuple(reversed(given))][: len(given)]
    tried = []
    for order in orders:
        tried.append(_look(order, overrides))
        if all(set(check.wanted) <= set(check.can) for check in tried[-1].checks):
            break
    best = max(tried, key=lambda attempt: sum(len(check.tasks) for check in attempt.checks))
    best.either = len(given) == 2 and all(set(TASKS) <= set(check.can) for check in best.checks)
    _read(best)
    _measure(best)
    if not best.mistakes:
        _try(best)
    return best


def _look(given: tuple[str, ...], overrides: Mapping[str, list[str]]) -> Survey:
    """Open the sources, in this order, and see what each could be for."""
    located = Located(starter.settings(given), {(): ""})
    for key, values in overrides.items():
        yaml_file.override(located, key, values)
    experiment = _experiment(located, starter.scenarios(0))
    survey = Survey(given, experiment, located.value, {}, [])
    asked = sources.asked(experiment.data)
    if [source.source for source, _, _ in asked] != list(given):
        raise UserError(
            "the sources are named before the settings",
            "take `source` out of these",
            where="--data",
            code="conflict",
        )
    for path, (source, wanted, option) in zip(given, asked, strict=True):
        survey.checks.append(_open(path, source, wanted, option))
    return survey


def _experiment(located: Located, scenarios: str) -> Experiment:
    rest = {"name": "check", "output": "reports/check", **YAML(typ="safe").load(scenarios)}
    return experiments.checked(Located({**rest, **located.value}, located.places))


def _open(given: str, source: Source, wanted: tuple[str, ...], option: str) -> SourceCheck:
    mistakes: list[UserError] = []
    located = Opened({})
    with noted(mistakes):
        located = locate.read(source, option, mistakes)
    for number, mistake in enumerate(mistakes):
        if mistake.where == f"{option}.source":
            mistakes[number] = UserError(
                mistake.problem, mistake.remedy, where=given, code=mistake.code
            )
    checked = SourceCheck(given, option, wanted, source, located, (), mistakes)
    if checked.train is not None:
        checked.can = tuple(task for task in TASKS if _can(checked.train, source, task))
    return checked


def _can(table: Table, source: Source, task: str) -> bool:
    said = {str(ours): theirs for ours, theirs in source.columns.items()}
    names = {choice.name for choice in columns.choose(table, said, (task,))}
    return COLUMN[task] in names and bool(
        names & ({"tokens"} if task == "ner" else {"tokens", "text"})
    )


def _read(survey: Survey) -> None:
    """Read every source for its tasks, as a run would."""
    data = survey.experiment.data
    if data.test_fraction is None and any(
        check.tables and "test" not in check.tables for check in survey.checks
    ):
        data = data.model_copy(update={"test_fraction": TEST_FRACTION})
    for number, check in enumerate(survey.checks):
        if check.train is None:
            continue
        check.mistakes += [_lacking(check, task) for task in check.wanted if task not in check.can]
        if not check.tasks:
            continue
        said = {str(ours): theirs for ours, theirs in check.source.columns.items()}
        check.choices = columns.choose(check.train, said, check.tasks)
        guessed = {
            choice.name: choice.column
            for choice in check.choices
            if choice.guess and choice.name != choice.column
        }
        _fill_in(survey, check, "columns", guessed)
        splits = {split: choice.name for split, choice in check.located.guesses.items()}
        _fill_in(survey, check, "splits", splits)
        check.source = check.source.model_copy(
            update={"columns": {**guessed, **said}, "splits": {**splits, **check.source.splits}}
        )
        with noted(check.mistakes):
            part = gather(
                check.source,
                number,
                check.tasks,
                check.option,
                replace(check.located, choices={}),
                check.mistakes,
            )
            check.whole, check.early = dict(part.splits), list(part.notes)
            _warn(survey, check, part)
            check.part = sources.settle(part, data, survey.experiment.data_seed, check.mistakes)
    if data.test_fraction != survey.experiment.data.test_fraction:
        survey.settings["data"]["test_fraction"] = data.test_fraction
        survey.comments["data", "test_fraction"] = "there is no test split"


def _fill_in(survey: Survey, check: SourceCheck, key: str, guessed: Mapping[str, str]) -> None:
    """Write into the file's settings what was guessed of a source."""
    if not guessed:
        return
    path = check.option.split(".")
    node = survey.settings
    for part in path:
        node = node[part]
    node[key] = {**guessed, **node.get(key, {})}
    survey.comments[*path, key] = "a guess"


def _warn(survey: Survey, check: SourceCheck, part: Part) -> None:
    """Note in the file which unread files may be a split that is cut off train."""
    missed = {split: text for split, text in part.missed.items() if text}
    if missed:
        lines = []
        for text in dict.fromkeys(missed.values()):
            splits = " or the ".join(split for split in missed if missed[split] == text)
            lines.append(text.replace("it may be", f"the {splits} split may be", 1))
        survey.comments[(*check.option.split("."), "source")] = "; ".join(lines)


def _lacking(check: SourceCheck, task: str) -> UserError:
    """The mistake of a source without a column for a task."""
    table = check.train
    there = table.columns if table is not None else ()
    problem = (
        f"no column for {'NER' if task == 'ner' else 'classification'}, with {NEEDS[task]}; "
        f"the columns are {', '.join(there) or 'none'}"
    )
    spans = columns.spans(table) if table is not None and task == "ner" else []
    remedy = f"name it with --{check.option}.columns.{COLUMN[task]} COLUMN"
    if spans:
        remedy = f"{spans[0]!r} holds objects: write {NEEDS[task]}"
    if len(check.wanted) > 1:
        remedy += ", or give a second source that does (`builtin` will do to try)"
    return UserError(
        problem,
        remedy,
        where=table.name if table is not None else check.given,
        code="column-missing",
    )


def _measure(survey: Survey) -> None:
    """Measure the lengths of sentences in sub-words of the encoder."""
    from mtlab.data import corpus_encoding, encoding
    from mtlab.model import backbone
    from mtlab.train import prepare

    with noted(survey.more), survey.experiment.pointing():
        location = backbone.find(survey.experiment.encoder)
        tokenizer = backbone.tokenizer(location)
        survey.limit = prepare.length_limit(
            survey.experiment, backbone.skeleton(location.config), tokenizer
        )
        for check in survey.checks:
            rows = [sentence for kept in check.whole.values() for sentence in kept]
            encoded = encoding.encode(rows, tokenizer, {}, ENDLESS)
            corpus_encoding.check_encoded(rows, encoded, tokenizer, check.mistakes)
            check.lengths = encoded.examples.lengths
            longer = [
                row
                for row, length in zip(rows, check.lengths, strict=True)
                if length > survey.limit
            ]
            cut = encoding.encode(longer, tokenizer, {}, survey.limit)
            check.lost_words = cut.lost_words
            whole = [
                pair
                for pair in zip(rows, encoded.examples, strict=True)
                if len(pair[1]) <= survey.limit
            ]
            check.lost = corpus_encoding.lost_words(
                _lost(check, [*whole, *zip(longer, cut.examples, strict=True)])
            )


def _lost(check: SourceCheck, examples: Iterable[tuple[Sentence, "Example"]]) -> dict[str, int]:
    """Words without a sub-word in each split that a run would have, or, where there are mistakes,
    that was given.
    """
    lost = {
        (sentence.place, sentence.tokens): missing
        for sentence, example in examples
        if (missing := int((example.words < 0).sum()))
    }
    used = check.whole if check.part is None or check.mistakes else check.part.splits
    return {
        split: sum(
            lost.get((sentence.place, sentence.tokens), 0) for sentence in rows if sentence.tags
        )
        for split, rows in used.items()
    }


ENDLESS = 2**31
"""Sub-words that no sentence has."""


def _try(survey: Survey) -> None:
    """Prepare a run of the file as far as that goes without weights."""
    from mtlab.train.measure import dry_run

    with noted(survey.more):
        file = YAML(typ="safe").load(survey.file)
        experiment = experiments.checked(
            Located({"name": "check", "output": "reports/check", **file}, {(): ""})
        )
        dry_run.sketch(
            experiment,
            sources.join([check.part for check in survey.checks if check.part is not None]),
        )
        survey.experiment = experiment
