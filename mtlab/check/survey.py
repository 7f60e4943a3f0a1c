"""Reads the user's own data as a run does, guesses missing settings, and collects all mistakes.
Nothing is trained.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from mtlab.check import columns, guesses, starter
from mtlab.check.source import SourceCheck, open_source
from mtlab.data import sources
from mtlab.data.gather import Part, gather
from mtlab.data.stored import Sentence
from mtlab.plan import experiment as experiments
from mtlab.plan import yaml_file
from mtlab.plan.errors import UserError, noted
from mtlab.plan.experiment import Experiment
from mtlab.plan.yaml_file import Located
from mtlab.tasks import kind as kinds
from mtlab.tasks.registry import USUAL

if TYPE_CHECKING:
    from mtlab.data.encoding import Example

TEST_FRACTION = 0.1
"""Share of train that becomes the test split if there is none. A run requires this setting, so the
file has it."""


@dataclass
class Survey:
    """What the check found in all sources."""

    given: tuple[str, ...]
    experiment: Experiment
    """The experiment of the file."""
    settings: dict[str, Any]
    """The part of the file that depends on the sources."""
    comments: dict[tuple[str, ...], str]
    """Path of a setting to its comment in the file."""
    checks: list[SourceCheck]
    either: bool = False
    """Whether each of the two sources has columns for all tasks, so that their order decides."""
    limit: int | None = None
    """Longest input in sub-words; None if the encoder is not available."""
    more: list[UserError] = field(default_factory=list)
    """Mistakes outside the sources."""

    @property
    def mistakes(self) -> list[UserError]:
        """All mistakes."""
        return [mistake for check in self.checks for mistake in check.mistakes] + self.more

    @property
    def file(self) -> str:
        """The experiment file to start from."""
        sizes = [len(check.part.splits["train"]) for check in self.checks if check.part is not None]
        names, counts = (
            " and ".join(starter.short(source) for source in self.given),
            " and ".join(f"{size:,}" for size in sizes),
        )
        question = f"Which parts should be frozen on {names}, with {counts} training sentences?"
        tasks = list(self.experiment.tasks)
        return starter.text(self.settings, self.comments, question, sizes, tasks)


def survey(source_names: Sequence[str], overrides: Mapping[str, list[str]]) -> Survey:
    """Check one source for all tasks, or two sources for two tasks, in the order that fits.

    Args:
        source_names: paths, hub ids or ``builtin``.
        overrides: dotted key to values, for settings that replace guesses.

    Raises:
        UserError: an override is not valid.
    """
    orders = [tuple(source_names), tuple(reversed(source_names))][: len(source_names)]
    tried = []
    for order in orders:
        tried.append(_look(order, overrides))
        if all(check.wanted.keys() <= set(check.can) for check in tried[-1].checks):
            break
    best = max(tried, key=lambda attempt: sum(len(check.tasks) for check in attempt.checks))
    every = best.experiment.tasks.keys()
    best.either = len(source_names) == 2 and all(every <= set(check.can) for check in best.checks)
    if len(source_names) == 1 and "tasks" not in best.settings:
        best = _guess_tasks(best, overrides)
    _read(best)
    _measure(best)
    if not best.mistakes:
        _try(best)
    return best


def _look(source_names: tuple[str, ...], overrides: Mapping[str, list[str]]) -> Survey:
    """Open the sources in this order, and find the tasks for which each has columns."""
    survey = _settings(source_names, overrides, _named(overrides))
    experiment = survey.experiment
    asked = sources.asked(experiment.data, experiment.tasks)
    if [source.source for source, _, _ in asked] != list(source_names):
        raise UserError(
            "the sources are named before the settings",
            "take `source` out of these",
            where="--data",
            code="conflict",
        )
    for path, (source, wanted, option) in zip(source_names, asked, strict=True):
        survey.checks.append(open_source(path, source, wanted, option, experiment.tasks))
    return survey


def _named(overrides: Mapping[str, list[str]]) -> dict[str, Any] | None:
    """The tasks that the user names; None if the user names none."""
    located = Located({}, {(): ""})
    for key, values in overrides.items():
        if key.split(".")[0] == "tasks":
            yaml_file.override(located, key, values)
    tasks = located.value.get("tasks")
    return tasks if isinstance(tasks, dict) and tasks else None


def _settings(
    source_names: tuple[str, ...], overrides: Mapping[str, list[str]], tasks: dict[str, Any] | None
) -> Survey:
    """A survey of sources that are not opened yet."""
    located = Located(starter.settings(source_names, tasks), {(): "", ("tasks",): "--tasks"})
    for key, values in overrides.items():
        yaml_file.override(located, key, values)
    experiment = _experiment(located, starter.scenarios(0, USUAL if tasks is None else tasks))
    return Survey(source_names, experiment, located.value, {}, [])


def _guess_tasks(survey: Survey, overrides: Mapping[str, list[str]]) -> Survey:
    """Guess the tasks of a source if the user names none: the usual two if it has both; else those
    of the two that it has, and tasks that fit its other columns.
    """
    (check,) = survey.checks
    if check.train is None:
        return survey
    served = check.tasks
    read = [*check.said.values()]
    read += [choice.column for choice in columns.choose(check.train, check.said, served)]
    check.possible = guesses.tasks(check.train, read, served)
    lacking = [name for name in check.wanted if name not in served]
    if not lacking or any(check.objects(name) for name in lacking):
        return survey
    new = {
        name: guess for name, guess in check.possible.items() if not guess[0].as_kind.one_label
    }  # a second column of labels may be anything
    tasks = {**served, **{name: task for name, (task, _) in new.items()}}
    if not tasks:
        return survey
    written = {name: task.model_dump(exclude_defaults=True) for name, task in tasks.items()}
    try:
        guessed = _settings(survey.given, overrides, written)
    except UserError:  # the user gave settings of a task for which there is no column
        return survey
    wanted = guessed.experiment.tasks
    able = check.able(wanted)
    if len(able) < len(wanted):
        return survey
    split_column = check.source.split_column
    left_out = [check.lacking(name, with_others=False) for name in lacking]
    check.left_out = [f"{mistake.problem}; {mistake.remedy}" for mistake in left_out]
    check.guessed = {name: why for name, (_, why) in new.items()}
    check.possible = {
        name: proposal for name, proposal in check.possible.items() if name not in new
    }
    check.wanted, check.can, check.source = wanted, able, guessed.experiment.data
    check.source = check.source.model_copy(update={"split_column": split_column})
    guessed.checks = [check]
    guessed.comments = {("tasks", name): f"a guess: {why}" for name, why in check.guessed.items()}
    return guessed


def _experiment(located: Located, scenarios: str) -> Experiment:
    base = {"name": "check", "output": "reports/check", **YAML(typ="safe").load(scenarios)}
    return experiments.checked(Located({**base, **located.value}, located.places))


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
        check.mistakes += [check.lacking(task) for task in check.wanted if task not in check.can]
        if not check.tasks:
            continue
        column_names = check.said
        check.choices = columns.choose(check.train, column_names, check.tasks)
        guessed = {
            choice.name: choice.column
            for choice in check.choices
            if choice.guess and choice.name != choice.column
        }
        numbers = check.train.form.numbers if check.train.form is not None else {}
        chosen = {choice.column: choice.name for choice in check.choices}
        guessed |= {chosen[ours]: number for ours, number in numbers.items() if ours in chosen}
        _fill_in(survey, check, "columns", guessed)
        splits = {split: choice.name for split, choice in check.located.guesses.items()}
        _fill_in(survey, check, "splits", splits)
        if check.split_column is not None:
            _write(survey, check, "split_column", check.split_column)
        check.source = check.source.model_copy(
            update={
                "columns": {**guessed, **column_names},
                "splits": {**splits, **check.source.splits},
            }
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
    """Write the guesses about a source into the settings of the file."""
    if guessed:
        _write(survey, check, key, guessed)


def _write(survey: Survey, check: SourceCheck, key: str, value: Any) -> None:
    path = check.option.split(".")
    node = survey.settings
    for part in path:
        node = node[part]
    node[key] = {**value, **node.get(key, {})} if isinstance(value, Mapping) else value
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
            of_words = {
                name: kinds.Task(name, task.as_kind, kinds.Codes())
                for name, task in check.tasks.items()
                if task.as_kind.of_words
            }
            encoded = encoding.encode(rows, tokenizer, of_words, ENDLESS)
            corpus_encoding.check_encoded(rows, encoded, tokenizer, check.mistakes)
            check.lengths = encoded.examples.lengths
            longer = [
                row
                for row, length in zip(rows, check.lengths, strict=True)
                if length > survey.limit
            ]
            cut = encoding.encode(longer, tokenizer, of_words, survey.limit)
            check.lost_words = cut.lost_words
            whole = [
                pair
                for pair in zip(rows, encoded.examples, strict=True)
                if len(pair[1]) <= survey.limit
            ]
            check.lost = corpus_encoding.lost_words(
                _lost(check, [*whole, *zip(longer, cut.examples, strict=True)]),
                [task.as_kind for task in check.tasks.values()],
            )


def _lost(check: SourceCheck, examples: Iterable[tuple[Sentence, "Example"]]) -> dict[str, int]:
    """Split to its number of words without a sub-word, in sentences with tags. The splits are those
    of a run, or, if there are mistakes, those of the source.
    """
    lost = {
        (sentence.place, sentence.tokens): missing
        for sentence, example in examples
        if (missing := int((example.words < 0).sum()))
    }
    used = check.whole if check.part is None or check.mistakes else check.part.splits
    tagged = [name for name, task in check.tasks.items() if task.as_kind.of_words]
    return {
        split: sum(
            lost.get((sentence.place, sentence.tokens), 0)
            for sentence in rows
            if any(sentence.gold.get(name) for name in tagged)
        )
        for split, rows in used.items()
    }


ENDLESS = 2**31
"""More sub-words than any sentence has."""


def _try(survey: Survey) -> None:
    """Prepare a run of the file as far as possible without weights."""
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
