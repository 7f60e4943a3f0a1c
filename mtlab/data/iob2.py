"""Tags of a source in IOB2, whatever scheme it writes them in."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from mtlab.data.reading.table import Table
from mtlab.data.sentences import Reading
from mtlab.data.stored import Joined, Sentence, collect
from mtlab.plan.errors import Mistakes, UserError, shown
from mtlab.tasks import tags as schemes
from mtlab.tasks.spelling import respelt
from mtlab.tasks.tags import Tags


def to_iob2(
    task: str,
    splits: Mapping[str, Sequence[Sentence]],
    tables: Mapping[str, Table],
    reading: Reading,
    mistakes: Mistakes = None,
) -> tuple[dict[str, Sequence[Sentence]], str | None]:
    """The sentences with a task's tags in IOB2, and a note where the source has another scheme,
    which is found from all splits together.

    If mistakes are collected, sentences with wrong tags are left out.

    Raises:
        UserError: a tag belongs to no scheme, or the source's scheme does not allow it at this
            place.
    """
    joined = Joined(list(splits.values()))
    counts = Counter(tag for tags in _TagsOf(joined, task) for tag in tags)
    spelt: Callable[[str], str]
    convert = _to_iob2
    if spelling := respelt(counts):
        old, new = next(iter(spelling.items()))
        change = f"tags are spelt otherwise: {shown(old)} is read as {new}"
        spelt, convert = (lambda tag: spelling.get(tag, tag)), to_iob2
    elif schemes.typeless(counts):
        change = f"tags have no types: all entities are of one, {schemes.ONE_TYPE}"
        spelt = schemes.typed
    elif schemes.bare_types(counts):
        change = "tags have no prefixes: neighbouring words with the same type are one entity"
        spelt = schemes.prefixed
    else:
        return _to_iob2(task, splits, tables, reading, mistakes)
    respelt_splits = {
        split: collect((_respelt(sentence, task, spelt) for sentence in kept), reading.directory)
        for split, kept in splits.items()
    }
    converted, note = convert(task, respelt_splits, tables, reading, mistakes)
    return converted, f"{change}; {note}" if note else f"{change}."


def _respelt(sentence: Sentence, task: str, spelt: Callable[[str], str]) -> Sentence:
    """A sentence whose tags are written in another way."""
    tags = sentence.gold.get(task)
    return sentence if tags is None else sentence.with_gold(task, tuple(map(spelt, tags)))


def _to_iob2(
    task: str,
    splits: Mapping[str, Sequence[Sentence]],
    tables: Mapping[str, Table],
    reading: Reading,
    mistakes: Mistakes = None,
) -> tuple[dict[str, Sequence[Sentence]], str | None]:
    """The same as :func:`to_iob2`, for tags that have prefixes and types in the usual spelling."""
    sentences = Joined(list(splits.values()))
    sequences = _TagsOf(sentences, task)
    if mistakes is not None and (errors := schemes.mistakes(sequences)):
        mistakes += _misplaced(task, errors, sentences, tables, reading)
        wrong = {error.sequence for error in errors}
        numbered = enumerate(sentences)
        correct = {}
        for split, kept in splits.items():
            correct_sentences = (
                sentence for number, sentence in islice(numbered, len(kept)) if number not in wrong
            )
            correct[split] = collect(correct_sentences, reading.directory)
        try:
            return _to_iob2(task, correct, tables, reading)
        except UserError:  # two schemes at once, which a mistake reports already
            return correct, None
    try:
        scheme = schemes.detect(sequences)
        converted = schemes.to_iob2(sequences, scheme)
    except schemes.TagError as error:
        raise _misplaced(task, [error], sentences, tables, reading)[0] from None
    if scheme == "IOB2":
        return dict(splits), None
    changed = total = 0
    for old, new in zip(sequences, converted, strict=True):
        changed, total = changed + sum(map(str.__ne__, old, new)), total + len(old)
    note = f"tags are {scheme}: converted to IOB2, which rewrote {changed:,} of {total:,} tags."
    renewed = (
        sentence.with_gold(task, tags)
        for sentence, tags in zip(sentences, schemes.to_iob2(sequences, scheme), strict=True)
    )
    return {
        split: collect(islice(renewed, len(kept)), reading.directory)
        for split, kept in splits.items()
    }, note


class _TagsOf(Sequence[Tags]):
    """The tags of a task for each sentence; an empty sequence for a sentence without them."""

    def __init__(self, sentences: Sequence[Sentence], task: str) -> None:
        self._sentences, self._task = sentences, task

    def __len__(self) -> int:
        return len(self._sentences)

    def __iter__(self) -> Iterator[Tags]:
        return (sentence.gold.get(self._task, ()) for sentence in self._sentences)

    def __getitem__(self, index: Any) -> Any:
        return self._sentences[index].gold.get(self._task, ())


def _misplaced(
    task: str,
    errors: Sequence[schemes.TagError],
    sentences: Sequence[Sentence],
    tables: Mapping[str, Table],
    reading: Reading,
) -> list[UserError]:
    """The mistakes about wrong tags in some of the ``sentences``, each with its place."""
    wrong = {error.sequence: sentences[error.sequence] for error in errors}
    places = {sentence.place for sentence in wrong.values()}
    rows = {
        place: row
        for table in tables.values()
        for row in table.rows
        if (place := row.place()) in places
    }
    ours = reading.tasks[task].column
    column, problems = reading.columns.get(ours, ours), []
    for error in errors:
        sentence = wrong[error.sequence]
        problem = f"{error.problem} (token {error.position + 1}, {shown((sentence.tokens or ())[error.position])})"
        problems.append(
            UserError(
                problem,
                error.remedy,
                where=f"{rows[sentence.place].place(error.position)} {column}",
                code="bad-tags",
            )
        )
    return problems
