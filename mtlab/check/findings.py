"""What a check found in the user's own data, in lines to read."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

import numpy as np

from mtlab.check import columns
from mtlab.check.columns import Choice
from mtlab.check.survey import SourceCheck, Survey, survey
from mtlab.data.alike import normal
from mtlab.data.reading.names import SPLITS
from mtlab.data.stored import Sentence
from mtlab.plan.errors import UserError, printable, shown

Fact = tuple[str, str]
"""A topic, and what the check found."""

FOR = {
    ("classifier",): "classification",
    ("ner",): "NER",
    ("classifier", "ner"): "classification and NER",
}
OURS = {"label": "label", "text": "text", "tokens": "tokens", "ner_tags": "tags"}
IN_LINES = {"tokens": "one a line, its first column", "ner_tags": "the last column of a line"}
ALIKE = 10
"""Mistakes of one kind that are printed one by one; of the others, the number is printed."""


def report(given: Sequence[str], overrides: Mapping[str, list[str]]) -> Survey:
    """Check one source or two, and print the findings.

    Raises:
        UserError: there are mistakes; they are printed.
    """
    result = survey(given, overrides)
    for line in lines(result):
        print(line)
    if result.mistakes:
        count = len(result.mistakes)
        raise UserError(
            "1 mistake, listed above" if count == 1 else f"{count:,} mistakes, listed above",
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
            f"{check.given}: read for {FOR[check.tasks]}"
            if check.tasks
            else f"{check.given}: not read"
        )
        before = ""
        for what, text in _facts(check):
            yield f"  {what if what != before else '':<11} {text}"
            before = what
        yield ""
    if survey.either:
        yield "Both have labels and tags: the first is taken for classification, the second for NER; a guess, and their order changes it."
        yield ""
    if survey.limit is not None and any(check.whole for check in survey.checks):
        yield f"Of a sentence {printable(survey.experiment.encoder.name)} reads {survey.limit:,} sub-words{_of_its_own(survey)}"
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
    if check.located.unread:
        yield "", check.located.skipped
    if check.located.beside:
        yield "", f"beside it lie {_names(check.located.beside)}: pass the folder to read them too"


def _facts(check: SourceCheck) -> Iterator[Fact]:
    yield from _splits(check)
    a_token_a_line = check.train is not None and next(iter(check.train.rows)).line_per_token
    yield from (
        (OURS[choice.name], IN_LINES[choice.name] if a_token_a_line else _column(check, choice))
        for choice in check.choices
    )
    if (
        check.train is not None
        and check.train.flat
        and check.choices
        and all(_by_values(choice) for choice in check.choices)
    ):
        yield (
            "",
            "none of these names is a usual one: if the first line of the file is a sentence, put a line with names above it",
        )
    unread = (
        columns.not_read(check.train, check.choices)
        if check.train is not None and check.tasks
        else []
    )
    if unread:
        yield "not read", f"column{'s' * (len(unread) > 1)} {_names(unread)}"
    if check.part is None:
        return
    if check.mistakes:
        yield "", "what follows is of the sentences without mistakes"
    if "classifier" in check.tasks:
        yield from _labels(check)
    if "ner" in check.tasks:
        yield from _entities(check)
    yield from _repeated(check)
    for note in (
        check.early if check.mistakes else check.part.notes
    ):  # with some left out, a run would say otherwise
        text = note.removeprefix(f"{check.part.name}: ").removeprefix(f"{check.part.name} ")
        if not note.endswith(" test sentences.") and text != f"{check.located.skipped}.":
            yield "in a run", text
    if not check.mistakes and (used := _sizes(check.part.splits)) != _sizes(check.whole):
        yield "in a run", f"{used} sentences"


def _sizes(splits: Mapping[str, Collection]) -> str:
    return ", ".join(f"{split} {len(splits[split]):,}" for split in SPLITS if split in splits)


def _by_values(choice: Choice) -> bool:
    return bool(choice.guess) and "its name" not in choice.guess


def _column(check: SourceCheck, choice: Choice) -> str:
    text = f"column {shown(choice.column)}"
    if choice.guess:
        text += f", a guess {choice.guess}"
    if choice.others:
        text += f"; it might be {_names(choice.others)} too"
    if choice.guess or choice.others:
        text += f"; --{check.option}.columns.{choice.name} COLUMN takes another"
    return text


def _labels(check: SourceCheck) -> Iterator[Fact]:
    train = check.whole["train"]
    counts = Counter(
        sentence.label for sentence in train if sentence.label is not None
    ).most_common()
    if not counts:
        return
    if len(counts) > 8:
        yield "labels", f"{len(counts):,}; in train most often {_counts(counts[:3])}"
        yield "", f"least often {_counts(counts[:-4:-1])}"
    else:
        yield "labels", f"{len(counts):,}; in train {_counts(counts)}"
    most, least = counts[0][1], counts[-1][1]
    if len(counts) > 1:
        always = f"answering it every time is right for {most / len(train):.1%}"
        yield (
            "imbalance",
            f"the most frequent label has {most / least:.1f} times the sentences of the rarest; {always} of train",
        )
    yield from _odd(
        [str(label) for label, _ in counts], _times(check, lambda sentence: [sentence.label or ""])
    )


def _entities(check: SourceCheck) -> Iterator[Fact]:
    train = check.whole["train"]
    counts = Counter(kind for sentence in train for kind in _types(sentence)).most_common()
    if not counts or check.part is None:
        return
    if not any("converted to IOB2" in note for note in check.part.notes):
        yield "scheme", "IOB2, taken as it is"
    bare = sum(not _types(sentence) for sentence in train)
    total = sum(count for _, count in counts)
    yield (
        "entities",
        f"{total:,} in train; {bare:,} of {len(train):,} sentences ({bare / len(train):.0%}) have none",
    )
    yield "types", f"{len(counts):,}; in train {_counts(counts[:12])}{', …' * (len(counts) > 12)}"
    yield from _odd([kind for kind, _ in counts], _times(check, _types))


def _types(sentence: Sentence) -> list[str]:
    """The type of each of a sentence's entities."""
    return [tag[2:] for tag in sentence.tags or () if tag.startswith("B-")]


def _times(
    check: SourceCheck, values: Callable[[Sentence], Iterable[str]]
) -> dict[str, Counter[str]]:
    """Split to how often each value stands in it."""
    return {
        split: Counter(value for sentence in rows for value in values(sentence))
        for split, rows in check.whole.items()
    }


def _odd(known: Sequence[str], times: dict[str, Counter[str]]) -> Iterator[Fact]:
    """Labels or types that deserve another look."""
    once = [value for value in known if times["train"][value] == 1]
    if once:
        yield (
            "",
            f"once in train: {_names(once)}; nobody learns {'them' if len(once) > 1 else 'it'} from that",
        )
    for split, counted in times.items():
        absent = [value for value in known if not counted[value]]
        if absent and counted:
            yield (
                "",
                f"not in {split}: {_names(absent)}; nothing is measured of {'them' if len(absent) > 1 else 'it'} there",
            )


def _repeated(check: SourceCheck) -> Iterator[Fact]:
    """Sentences that stand in a split twice, and in validation and test; a run itself holds these
    against train.
    """
    for split, rows in check.whole.items():
        alike = defaultdict(list)
        for sentence in rows:
            alike[normal(sentence.surface)].append(sentence)
        several = [same for same in alike.values() if len(same) > 1]
        if several:
            text = f"{sum(map(len, several)) - len(several):,} of {len(rows):,} sentences of {split} repeat an earlier one"
            differing = [
                same
                for same in several
                if len({(sentence.label, sentence.tags) for sentence in same}) > 1
            ]
            if differing:
                first = differing[0][0]
                other = next(
                    sentence
                    for sentence in differing[0]
                    if (sentence.label, sentence.tags) != (first.label, first.tags)
                )
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


def _of_its_own(survey: Survey) -> str:
    return (
        " (max_length)"
        if survey.experiment.max_length is not None
        else ", as many as it has positions for"
    )


def _length(check: SourceCheck, limit: int) -> str:
    if check.lengths is None or not len(check.lengths):
        return "nothing to measure"
    cut = int((check.lengths > limit).sum())
    text = f"the longest sentence has {check.lengths.max():,}, 95% have {int(np.percentile(check.lengths, 95)):,} or fewer; "
    if not cut:
        return f"{text}none is cut"
    lost = (
        f", and {check.lost_words:,} words with a tag are lost, which count as O"
        if check.lost_words
        else ""
    )
    return f"{text}{cut:,} of {len(check.lengths):,} are cut{lost}"


def _grouped(mistakes: Iterable[UserError]) -> Iterator[str]:
    """Mistakes, kind by kind; where there are many of a kind, the first."""
    kinds = defaultdict(list)
    for mistake in mistakes:
        kinds[
            re.sub(r"'[^']*'|\"[^\"]*\"|[\d,.]+", "…", f"{mistake.problem}; {mistake.remedy}")
        ].append(mistake)
    for alike in kinds.values():
        yield from map(str, alike[:ALIKE])
        if len(alike) > ALIKE:
            yield f"… and {len(alike) - ALIKE:,} more like these, the last at {alike[-1].where}"


def _counts(counts: Iterable[tuple[str | None, int]]) -> str:
    return ", ".join(f"{shown(value)} {count:,}" for value, count in counts)


def _names(names: Sequence[str]) -> str:
    """Names as messages have them; of many, the first."""
    return ", ".join(map(shown, names[:8])) + (
        f" and {len(names) - 8:,} more" if len(names) > 8 else ""
    )
