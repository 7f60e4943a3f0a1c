"""The findings of a check about the gold labels of one task, in the words of its kind."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from mtlab.check.source import SourceCheck
from mtlab.plan.errors import shown
from mtlab.plan.words import counted
from mtlab.tasks.kind import Kind

Fact = tuple[str, str]
"""A topic, and what the check found."""

MOST = 12
"""The largest number of types or tags whose counts are printed."""


def facts(check: SourceCheck, task: str) -> Iterator[Fact]:
    """Findings on a task's gold in the splits of a source."""
    kind = check.wanted[task].as_kind
    golds = [sentence.gold[task] for sentence in check.whole["train"] if task in sentence.gold]
    times = {
        split: Counter(value for sentence in rows for value in kind.values(sentence.gold.get(task)))
        for split, rows in check.whole.items()
    }
    counts = times["train"].most_common()
    if not counts:
        yield from _numbers(check, task, kind, golds)
        return
    values = [kind.values(gold) for gold in golds]
    if kind.one_label:
        yield from _labels(counts, len(check.whole["train"]))
    elif kind.spans:
        yield from _entities(check, counts, values)
    else:
        yield from _several(kind, counts, values)
    yield from _odd([value for value, _ in counts], times)


def _labels(counts: Sequence[tuple[str, int]], sentences: int) -> Iterator[Fact]:
    if len(counts) > 8:
        yield "labels", f"{len(counts):,}; in train most often {_counts(counts[:3])}"
        yield "", f"least often {_counts(counts[:-4:-1])}"
    else:
        yield "labels", f"{len(counts):,}; in train {_counts(counts)}"
    most, least = counts[0][1], counts[-1][1]
    if len(counts) > 1:
        always = f"answering it every time is right for {most / sentences:.1%}"
        yield (
            "imbalance",
            f"the most frequent label has {most / least:.1f} times the sentences of the rarest; {always} of train",
        )


def _entities(
    check: SourceCheck, counts: Sequence[tuple[str, int]], types: Sequence[Sequence[str]]
) -> Iterator[Fact]:
    if check.part is not None and not any("converted to IOB2" in note for note in check.part.notes):
        yield "scheme", "IOB2, taken as it is"
    yield "entities", _total(types)
    yield "types", f"{len(counts):,}; in train {_first(counts)}"


def _several(
    kind: Kind, counts: Sequence[tuple[str, int]], values: Sequence[Sequence[str]]
) -> Iterator[Fact]:
    """Findings on labels if a sentence can have several, or on tags of words."""
    yield kind.gold_title, f"{len(counts):,}; in train {_first(counts)}"
    if kind.of_words:
        right = f"{counts[0][1] / sum(map(len, values)):.1%} of train's words"
        yield "", f"the most frequent one every time is right for {right}"
    else:
        yield "", _total(values)


def _total(values: Sequence[Sequence[str]]) -> str:
    total, bare = sum(map(len, values)), sum(not items for items in values)
    return f"{total:,} in train; {bare:,} of {len(values):,} sentences ({bare / len(values):.0%}) have none"


def _numbers(check: SourceCheck, task: str, kind: Kind, golds: Sequence[object]) -> Iterator[Fact]:
    """Findings on gold that is a number."""
    numbers = np.array([gold for gold in golds if isinstance(gold, int | float)], dtype=float)
    if not len(numbers):
        return
    different = len(np.unique(numbers))
    yield (
        f"{kind.gold_title}s",
        f"from {numbers.min():g} to {numbers.max():g} in train, mean {numbers.mean():.4g}, "
        f"standard deviation {numbers.std():.4g}; {different:,} different",
    )
    column = check.wanted[task].column
    source_column = check.said.get(column, column)
    blank = sum(
        row.values.get(source_column) in (None, "")
        for table in check.tables.values()
        for row in table.rows
    )
    if blank:
        yield "", f"missing in {counted(blank, 'sentence')}"


def _odd(values: Sequence[str], times: Mapping[str, Counter[str]]) -> Iterator[Fact]:
    """Labels, tags or types that occur only once in train, or not at all in another split."""
    once = [value for value in values if times["train"][value] == 1]
    if once:
        yield (
            "",
            f"once in train: {listed(once)}; nobody learns {'them' if len(once) > 1 else 'it'} from that",
        )
    for split, times_there in times.items():
        absent = [value for value in values if not times_there[value]]
        if absent and times_there:
            yield (
                "",
                f"not in {split}: {listed(absent)}; nothing is measured of {'them' if len(absent) > 1 else 'it'} there",
            )


def _first(counts: Sequence[tuple[str, int]]) -> str:
    return f"{_counts(counts[:MOST])}{', …' * (len(counts) > MOST)}"


def _counts(counts: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{shown(value)} {count:,}" for value, count in counts)


def listed(names: Sequence[str]) -> str:
    """Names for a message; at most the first eight, and how many more there are."""
    return ", ".join(map(shown, names[:8])) + (
        f" and {len(names) - 8:,} more" if len(names) > 8 else ""
    )
