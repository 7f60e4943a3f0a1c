"""The findings of a check of the user's own data, as lines of text."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import numpy as np

from mtlab.check import gold, guesses
from mtlab.check.columns import Choice
from mtlab.check.gold import Fact, listed
from mtlab.check.source import SourceCheck
from mtlab.check.survey import Survey, survey
from mtlab.data.alike import normal
from mtlab.data.reading import names
from mtlab.data.reading.names import SPLITS
from mtlab.data.reading.table import Form
from mtlab.plan.errors import UserError, printable, shown
from mtlab.plan.tasks import WORDS
from mtlab.plan.words import counted

ALIKE = 10
"""Mistakes of one kind that are printed one by one; of the others, the number is printed."""


def report(sources: Sequence[str], overrides: Mapping[str, list[str]]) -> Survey:
    """Check one source or two, and print the findings.

    Raises:
        UserError: there are mistakes; they are printed.
    """
    result = survey(sources, overrides)
    for line in lines(result):
        print(line)
    if result.mistakes:
        raise UserError(
            f"{counted(len(result.mistakes), 'mistake')}, listed above",
            "correct them, then run this again",
            code="mistakes-found",
        )
    return result


def lines(survey: Survey) -> Iterator[str]:
    """All findings, line by line, safe to print."""
    for line in _lines(survey):
        yield printable(line)


def _lines(survey: Survey) -> Iterator[str]:
    for check in survey.checks:
        yield (
            f"{check.given}: read for {names.listed(_called(check))}"
            if check.tasks
            else f"{check.given}: not read"
        )
        before = ""
        for topic, text in _facts(check):
            yield f"  {topic if topic != before else '':<11} {text}"
            before = topic
        yield ""
    if survey.either:
        yield _order(survey)
        yield ""
    if survey.limit is not None and any(check.whole for check in survey.checks):
        own = (
            ", as many as it has positions for"
            if survey.experiment.max_length is None
            else " (max_length)"
        )
        yield f"Of a sentence {printable(survey.experiment.encoder.name)} reads {survey.limit:,} sub-words{own}"
        for check in survey.checks:
            if check.whole:
                yield from (
                    f"  {check.given}: {line}"
                    for line in (_length(check, survey.limit), *check.lost)
                )
        yield ""
    if survey.mistakes:
        yield "Mistakes"
        yield from (f"  {text}" for text in _grouped(survey.mistakes))


def _splits(check: SourceCheck) -> Iterator[Fact]:
    if any(table.rows for table in check.tables.values()):
        missing = [f"no {split}" for split in SPLITS if split not in check.tables]
        text = f"{_sizes({split: table.rows for split, table in check.tables.items()})} sentences"
        yield "splits", f"{text}; {' and '.join(missing)}: cut off train" if missing else text
    for split, choice in check.located.guesses.items():
        yield (
            "",
            f"{split} is {shown(choice.name)}, a guess {choice.why}; --{check.option}.splits.{split} FILE takes another",
        )
    if check.split_column is not None:
        column = shown(check.split_column)
        yield (
            "",
            f"column {column} says the split of each row, a guess by its values; --{check.option}.split_column COLUMN takes another",
        )
    if check.located.unread:
        yield "", check.located.skipped
    if check.located.beside:
        yield "", f"beside it lie {listed(check.located.beside)}: pass the folder to read them too"


def _facts(check: SourceCheck) -> Iterator[Fact]:
    yield from _splits(check)
    form = check.train.form if check.train is not None else None
    for choice in check.choices:
        text = _column(check, choice) if form is None else _place(check, choice, form)
        yield _topic(check, choice), text
    if (
        check.train is not None
        and check.train.flat
        and check.choices
        and all(choice.guess and "its name" not in choice.guess for choice in check.choices)
    ):
        yield (
            "",
            "none of these names is a usual one: if the first line of the file is a sentence, put a line with names above it",
        )
    read = {choice.column for choice in check.choices}
    all_columns = check.train.columns if check.train is not None and check.tasks else ()
    read |= {*check.train.aliases} if check.train is not None else set()
    read |= {check.source.split_column} if check.source.split_column is not None else set()
    if unread := [column for column in all_columns if column not in read]:
        yield "not read", f"column{'s' * (len(unread) > 1)} {listed(unread)}"
    yield from (("left out", line) for line in check.left_out)
    yield from _possible(check)
    if check.part is None:
        return
    if check.mistakes:
        yield "", "what follows is of the sentences without mistakes"
    for task in check.tasks:
        for topic, text in gold.facts(check, task):
            named = f"{topic}: {text}" if topic else text
            yield (topic, text) if check.usual else (task, named)
    yield from _repeated(check)
    for note in (
        check.early if check.mistakes else check.part.notes
    ):  # mistakes leave out sentences, which changes the notes of a run
        text = note.removeprefix(f"{check.part.name}: ").removeprefix(f"{check.part.name} ")
        if not note.endswith(" test sentences.") and text != f"{check.located.skipped}.":
            yield "in a run", text
    if not check.mistakes and (used := _sizes(check.part.splits)) != _sizes(check.whole):
        yield "in a run", f"{used} sentences"


def _sizes(splits: Mapping[str, Collection]) -> str:
    return ", ".join(f"{split} {len(splits[split]):,}" for split in SPLITS if split in splits)


def _called(check: SourceCheck) -> list[str]:
    """The tasks of a source, in words."""
    shorts = {name: task.as_kind.short for name, task in check.tasks.items()}
    return [short if check.usual else f"{name} ({short})" for name, short in shorts.items()]


def _order(survey: Survey) -> str:
    """A note for two sources that both fit either task: the task that each was taken for."""
    golds = [task.as_kind.gold_titles for task in survey.experiment.tasks.values()]
    first, second = (names.listed(_called(check)) for check in survey.checks)
    return (
        f"Both have {names.listed(golds)}: the first is taken for {first}, the second for {second}; "
        "a guess, and their order changes it."
    )


def _task_of(check: SourceCheck, choice: Choice) -> str | None:
    """The task whose gold a column holds; None for a column of words."""
    return next((name for name, task in check.tasks.items() if task.column == choice.name), None)


def _topic(check: SourceCheck, choice: Choice) -> str:
    """The name of the task or of the column, for the beginning of a finding."""
    task = _task_of(check, choice)
    if task is None:
        return choice.name
    return check.tasks[task].as_kind.gold_title if check.usual else task


def _possible(check: SourceCheck) -> Iterator[Fact]:
    """Further tasks for which columns could be gold, and the options that add them."""
    if check.mistakes or not check.possible:
        return
    for name, (task, why) in check.possible.items():
        text = f"column {shown(task.column)} could be a {task.as_kind.short} task ({why})"
        yield "", f"{text}: {guesses.options({name: task})}"
    yield (
        "",
        f"tasks that are named so replace the others; to keep them: {guesses.options(check.tasks)}",
    )


def _place(check: SourceCheck, choice: Choice, form: Form) -> str:
    """The position of a column in a file with one token per line, in words."""
    number = form.numbers.get(choice.column)
    if number is None and choice.column not in ("tokens", "ner_tags"):
        return f"column {choice.column} of a line"
    if number is None:
        return (
            "one a line, its first column" if choice.name in WORDS else "the last column of a line"
        )
    text = f"column {number} of {form.width} in a line, a guess by its values"
    if choice.name not in WORDS and form.others:
        text += f"; it might be column {listed([str(place + 1) for place in form.others])} too"
    return f"{text}; --{check.option}.columns.{choice.name} NUMBER takes another"


def _column(check: SourceCheck, choice: Choice) -> str:
    text, task = f"column {shown(choice.column)}", _task_of(check, choice)
    if task in check.guessed:
        return f"{text}, a guess by its values ({check.guessed[task]})"
    if choice.guess:
        text += f", a guess {choice.guess}"
    if choice.others:
        text += f"; it might be {listed(choice.others)} too"
    if choice.guess or choice.others:
        text += f"; --{check.option}.columns.{choice.name} COLUMN takes another"
    return text


def _repeated(check: SourceCheck) -> Iterator[Fact]:
    """Sentences that occur twice in a split, or in both validation and test. A run itself compares
    validation and test with train.
    """
    for split, rows in check.whole.items():
        alike = defaultdict(list)
        for sentence in rows:
            alike[normal(sentence.surface)].append(sentence)
        several = [same for same in alike.values() if len(same) > 1]
        if several:
            text = f"{sum(map(len, several)) - len(several):,} of {len(rows):,} sentences of {split} repeat an earlier one"
            differing = [
                (same[0], others[0])
                for same in several
                if (others := [other for other in same if other.gold != same[0].gold])
            ]
            if differing:
                first, other = differing[0]
                text += f"; labelled in two ways: {len(differing):,} (the first: {first.place} and {other.place})"
            yield "repeated", text
    if {"validation", "test"} <= check.whole.keys():
        seen = {normal(sentence.surface) for sentence in check.whole["validation"]}
        both = sum(normal(sentence.surface) in seen for sentence in check.whole["test"])
        if both:
            yield (
                "",
                f"{both:,} of {len(check.whole['test']):,} sentences of test also stand in validation",
            )


def _length(check: SourceCheck, limit: int) -> str:
    if check.lengths is None or not len(check.lengths):
        return "nothing to measure"
    cut = int((check.lengths > limit).sum())
    text = f"the longest sentence has {check.lengths.max():,}, 95% have {int(np.percentile(check.lengths, 95)):,} or fewer; "
    if not cut:
        return f"{text}none is cut"
    spans = all(task.as_kind.spans for task in check.tasks.values() if task.as_kind.of_words)
    lost = (
        f", and {check.lost_words:,} words with a tag are lost, which count as {'O' if spans else 'wrong'}"
        if check.lost_words
        else ""
    )
    return f"{text}{cut:,} of {len(check.lengths):,} are cut{lost}"


def _grouped(mistakes: Iterable[UserError]) -> Iterator[str]:
    """Mistakes, kind by kind; of each kind only the first :data:`ALIKE`."""
    kinds = defaultdict(list)
    for mistake in mistakes:
        kinds[
            re.sub(r"'[^']*'|\"[^\"]*\"|[\d,.]+", "…", f"{mistake.problem}; {mistake.remedy}")
        ].append(mistake)
    for alike in kinds.values():
        yield from map(str, alike[:ALIKE])
        if len(alike) > ALIKE:
            yield f"… and {len(alike) - ALIKE:,} more like these, the last at {alike[-1].where}"
