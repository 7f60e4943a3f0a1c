"""Compares the predictions of an exported folder for the test split with the recorded ones; `mtlab
predict`'s reader makes them.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from mtlab.data import disk, encoding, sources
from mtlab.data.sources import Corpus
from mtlab.data.stored import Sentence
from mtlab.export.reader import BATCH, FORMS, NAMES, Nothing, Parts, Read, Reader
from mtlab.plan.errors import UserError, shown
from mtlab.plan.experiment import Experiment
from mtlab.plan.words import counted
from mtlab.train.prepare import CACHE

ROUNDING = {"fp32": 1e-4, "bf16": 2**-4}
"""How near two classes' logits must be, as a share of the largest logit of the item, for rounding
to decide between them. Sums are added up in another order where other sentences share a batch, and
on another device; in bf16 a number has 8 binary digits, and in fp32 24."""

REMEDY = "nothing is written; use the encoder and the versions that the model was trained with, or train it again"


@dataclass
class Count:
    """How many labels, or tags, were compared.

    Attributes:
        total: all of them.
        same: those that are as recorded.
        close: others between which and the recorded one rounding decides.
        first: where the first of the rest is, and how it differs.
    """

    total: int = 0
    same: int = 0
    close: int = 0
    first: str = ""

    @property
    def wrong(self) -> int:
        """How many differ by more than rounding."""
        return self.total - self.same - self.close


@dataclass
class Agreement:
    """The result of reading the test split again.

    Attributes:
        precision: that it was read in.
        counts: task to what was compared.
        why_not: why nothing could be compared; empty where it was.
    """

    precision: str = ""
    counts: dict[str, Count] = field(default_factory=lambda: {task: Count() for task in NAMES})
    why_not: str = ""

    @property
    def line(self) -> str:
        """What `mtlab export` prints of it."""
        if self.why_not:
            return f"not checked against the recorded predictions: {self.why_not}"
        same = " and ".join(
            f"{count.same:,} of {count.total:,} {NAMES[task]}"
            for task, count in self.counts.items()
            if count.total
        )
        close = sum(count.close for count in self.counts.values())
        share = f"a {1 / ROUNDING[self.precision]:,.0f}th of the largest logit"
        rest = f"; {close:,} more {'is a' if close == 1 else 'are'} close call{'' if close == 1 else 's'}, two classes within {share}"
        return f"checked: {same} of the test split are as recorded{rest if close else ''}"


def corpus_of(at: Experiment, fingerprint: str, directory: Path) -> tuple[Corpus | None, str]:
    """The data of an experiment as they were when it ran; or None, and why they cannot be had.

    Args:
        at: the experiment as it was run, at one point.
        fingerprint: of the data that it was run on.
        directory: what is too many for memory is put below it.
    """
    try:
        corpus = sources.load(at.data, at.data_seed, "data", directory / CACHE)
        first = at.source_phase()
        if first is not None:
            corpus, _ = sources.together(
                [corpus, sources.load(first.data, first.data_seed, "start.data", directory / CACHE)]
            )
    except UserError as error:
        return (
            None,
            f"the data cannot be read again ({': '.join(filter(None, (error.where, error.problem)))})",
        )
    if corpus.fingerprint != fingerprint:
        return None, "the data have changed since the run (their fingerprint differs)"
    return corpus, ""


def inputs_of(
    data: dict[str, Any], at: Experiment, corpus: Corpus | None, why_not: str
) -> dict[str, str]:
    """Task to how its sentences were read, as raw ``text`` or as ``words``.

    Args:
        data: what the suite recorded of its data; before format 2 of ``heads.json`` that did not
            say it.
        at: the experiment as it was run.
        corpus: its data, where they could be had.
        why_not: why they could not.

    Raises:
        UserError: the record does not say it, the settings leave it open, and the data cannot be
            had.
    """
    said = data.get("inputs", {})
    if all(said.get(task) in FORMS for task in NAMES):
        return {task: said[task] for task in NAMES}
    if corpus is not None:
        return corpus.inputs
    if at.data.classifier is None:  # one source with tags, and these belong to words
        return dict.fromkeys(NAMES, "words")
    named = at.data.classifier.columns.keys() & {"text", "tokens"}
    if named:
        return {"classifier": "text" if "text" in named else "words", "ner": "words"}
    problem = f"the record does not say whether sentences were classified as text or as words, and {why_not}"
    raise UserError(
        problem,
        "put the data back, or run it again",
        where=str(at.data.classifier.source),
        code="record-incomplete",
    )


def check(
    reader: Reader, corpus: Corpus, tokenizer: PreTrainedTokenizerBase, recorded: Path
) -> Agreement:
    """Read the test split with a written folder, and hold what it says against what was recorded
    when it was tested.

    Every sentence must come to the same sub-words as in training, and every label and tag must be
    the recorded one, unless rounding decides between the two (:data:`ROUNDING`).

    Args:
        reader: of the folder.
        corpus: the data as they were when it was tested.
        tokenizer: the encoder's own, which cuts where training did.
        recorded: the file of the trial's predictions.

    Raises:
        UserError: something differs.
    """
    agreement, test = Agreement(reader.precision), corpus.splits["test"]
    try:
        with recorded.open(encoding="utf-8") as file:
            said = [_said(json.loads(line)) for line in file]
    except (OSError, ValueError, KeyError, TypeError):
        return Agreement(why_not="the recorded predictions are missing or damaged")
    if len(said) != len(test):
        return Agreement(
            why_not=f"{counted(len(said), 'prediction')} recorded for {counted(len(test), 'test sentence')}"
        )
    pairs = zip(test, said, strict=True)
    while some := list(islice(pairs, disk.CHUNK)):
        _compare(reader, tokenizer, some, agreement)
    _refuse(agreement)
    return agreement


def _refuse(agreement: Agreement) -> None:
    """Refuse a folder that says something else than was recorded.

    Raises:
        UserError: it does.
    """
    wrong = {task: count for task, count in agreement.counts.items() if count.wrong}
    if wrong:
        counts = " and ".join(
            f"{count.wrong:,} of {count.total:,} {NAMES[task]}" for task, count in wrong.items()
        )
        first = next(iter(wrong.values())).first
        raise UserError(
            f"the folder gives {counts} of the test split that differ from the recorded ones (first: {first})",
            REMEDY,
            code="disagreement",
        )


def _differs(sentence: Sentence) -> UserError:
    problem = (
        f"the folder cuts {shown(sentence.surface)} into other sub-words than the tested model did"
    )
    return UserError(problem, REMEDY, where=sentence.place, code="disagreement")


def _said(line: Any) -> tuple[str | None, list[str]]:
    """The label and the tags that were predicted of a sentence.

    Raises:
        TypeError: they are none.
    """
    predicted = line["predicted"]
    label, tags = predicted.get("classifier"), predicted.get("ner", [])
    if (
        not (label is None or isinstance(label, str))
        or not isinstance(tags, list)
        or not all(isinstance(tag, str) for tag in tags)
    ):
        raise TypeError
    return label, tags


def _compare(
    reader: Reader,
    tokenizer: PreTrainedTokenizerBase,
    some: Sequence[tuple[Sentence, Any]],
    agreement: Agreement,
) -> None:
    """Compare some sentences, those of a length together."""
    encoded = encoding.encode(
        [sentence for sentence, _ in some], tokenizer, {}, reader.longest
    ).examples
    for tasks in (("classifier",), ("ner",), tuple(NAMES)):
        asked = [at for at, (sentence, _) in enumerate(some) if _gold(sentence) == tasks]
        for rows in _batches(sorted(asked, key=lambda at: len(encoded[at]))):
            parts = [
                Parts.of({"text": some[at][0].text, "tokens": some[at][0].tokens}) for at in rows
            ]
            try:
                read = reader.read(parts, tasks)
            except Nothing as error:
                raise _differs(some[rows[error.index]][0]) from None
            for at, by_task in zip(rows, read, strict=True):
                sentence, (label, tags) = some[at]
                if any(row.ids != encoded[at].input_ids.tolist() for row in by_task.values()):
                    raise _differs(sentence)
                if "classifier" in by_task:
                    _add(
                        agreement,
                        reader,
                        "classifier",
                        sentence.place,
                        by_task["classifier"],
                        [label],
                    )
                if "ner" in by_task:
                    _add(agreement, reader, "ner", sentence.place, by_task["ner"], tags)


def _batches(rows: Sequence[int]) -> Iterator[Sequence[int]]:
    return (rows[at : at + BATCH] for at in range(0, len(rows), BATCH))


def _gold(sentence: Sentence) -> tuple[str, ...]:
    """The tasks that a sentence was tested at."""
    return tuple(task for task in NAMES if sentence.gold(task) is not None)


def _add(
    agreement: Agreement,
    reader: Reader,
    task: str,
    place: str,
    row: Read,
    recorded: Sequence[str | None],
) -> None:
    """Count what was said of a sentence, against what was recorded."""
    names, count = reader.facts[NAMES[task]], agreement.counts[task]
    said = [names[int(row.logits[task].argmax())]] if task == "classifier" else reader.tags(row)
    if len(said) != len(recorded):
        raise UserError(
            f"{len(said)} {NAMES[task]} for {len(recorded)} that were recorded",
            REMEDY,
            where=place,
            code="disagreement",
        )
    for at, (now, then) in enumerate(zip(said, recorded, strict=True)):
        count.total += 1
        if now == then:
            count.same += 1
            continue
        logits = row.logits[task] if task == "classifier" else row.logits[task][row.first[at]]
        if _close(logits, names, then, reader.precision):
            count.close += 1
        elif not count.first:
            count.first = f"{place}: {shown(now)} where {shown(then)} was recorded"


def _close(logits: torch.Tensor, names: Sequence[str], then: str | None, precision: str) -> bool:
    if then not in names:
        return False
    return float(logits.max() - logits[names.index(then)]) <= ROUNDING[precision] * float(
        logits.abs().max()
    )
