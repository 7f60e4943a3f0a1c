"""Compares the predictions of an exported folder for the test split with the recorded predictions.
The reader of `mtlab predict` makes the predictions of the folder.
"""

import json
import math
import operator
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from mtlab.data import disk, encoding, sources
from mtlab.data.sources import Corpus
from mtlab.data.stored import Sentence
from mtlab.export.predict import both
from mtlab.export.reader import BATCH, Nothing, Parts, Read, Reader
from mtlab.model.losses import LOSSES
from mtlab.plan.errors import UserError, shown
from mtlab.plan.experiment import Experiment
from mtlab.plan.words import counted
from mtlab.report.markdown import listing
from mtlab.tasks.kind import IGNORE, Task
from mtlab.train.shared import CACHE

ROUNDING = {"fp32": 1e-4, "bf16": 2**-4}
"""Precision to the largest effect of rounding on a logit, as a share of the largest absolute logit
of the item (for labels and numbers, of 1 if that is less). Rounding may decide between two classes
whose logits differ by less, and about a label whose logit is nearer to 0; a predicted number may
differ from the recorded number by less. Sums are added in another order on another device, or if
other sentences share the batch. A number has 8 binary digits in bf16, and 24 in fp32."""

REMEDY = "nothing is written; use the encoder and the versions that the model was trained with, or train it again"


@dataclass
class Count:
    """The number of predictions of a task that were compared.

    Attributes:
        what: the word for the predictions, such as labels or tags.
        total: all predictions.
        same: predictions that equal the recorded ones; for numbers, up to rounding.
        close: other predictions that may differ from the recorded ones because of rounding.
        first: the place of the first wrong prediction, and how it differs; empty if there is none.
    """

    what: str = ""
    total: int = 0
    same: int = 0
    close: int = 0
    first: str = ""

    @property
    def wrong(self) -> int:
        """The number of predictions that differ from the recorded ones by more than rounding."""
        return self.total - self.same - self.close


@dataclass
class Agreement:
    """The result of reading the test split again.

    Attributes:
        precision: the precision of this reading.
        counts: task to the numbers of compared and equal predictions.
        why_not: why nothing could be compared; empty if something was.
    """

    precision: str = ""
    counts: dict[str, Count] = field(default_factory=dict)
    why_not: str = ""

    @property
    def line(self) -> str:
        """The line that `mtlab export` prints about it."""
        if self.why_not:
            return f"not checked against the recorded predictions: {self.why_not}"
        counts = [count for count in self.counts.values() if count.total]
        same = listing([f"{count.same:,} of {count.total:,} {count.what}" for count in counts])
        close = sum(count.close for count in counts)
        share = f"a {1 / ROUNDING[self.precision]:,.0f}th of the largest logit"
        near = f"; {close:,} more {'is a' if close == 1 else 'are'} close call{'' if close == 1 else 's'}, two classes within {share}"
        return f"checked: {same} of the test split are as recorded{near if close else ''}"


def corpus_of(at: Experiment, fingerprint: str, directory: Path) -> tuple[Corpus | None, str]:
    """The data of an experiment as they were when it ran; or None, and the reason.

    Args:
        at: the experiment as it was run, at one point.
        fingerprint: the fingerprint of the data when it ran.
        directory: data that do not fit into memory are stored below it.
    """

    def load(experiment: Experiment, option: str) -> Corpus:
        return sources.load(
            experiment.data, experiment.tasks, experiment.data_seed, option, directory / CACHE
        )

    try:
        corpus, first = load(at, "data"), at.source_phase()
        if first is not None:
            corpus, _ = sources.together([corpus, load(first, "start.data")])
    except UserError as error:
        why = ": ".join(filter(None, (error.where, error.problem)))
        return None, f"the data cannot be read again ({why})"
    if corpus.fingerprint != fingerprint:
        return None, "the data have changed since the run (their fingerprint differs)"
    return corpus, ""


def check(
    reader: Reader, corpus: Corpus, tokenizer: PreTrainedTokenizerBase, recorded: Path
) -> Agreement:
    """Read the test split with an exported folder, and compare its predictions with those that were
    recorded when the model was tested.

    Every sentence must have the same sub-words as in training, and every prediction must be the
    recorded one, unless rounding explains the difference (:data:`ROUNDING`).

    Args:
        reader: the reader of the folder.
        corpus: the data as they were when the model was tested.
        tokenizer: the encoder's tokenizer, which truncates as in training.
        recorded: the file of the trial's predictions.

    Raises:
        UserError: sub-words differ, or predictions differ by more than rounding.
    """
    agreement, test = Agreement(reader.precision, _counts(reader.tasks)), corpus.splits["test"]
    try:
        with recorded.open(encoding="utf-8") as file:
            predictions = [_said(json.loads(line), reader.tasks) for line in file]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Agreement(why_not="the recorded predictions are missing or damaged")
    if len(predictions) != len(test):
        return Agreement(
            why_not=f"{counted(len(predictions), 'prediction')} recorded for {counted(len(test), 'test sentence')}"
        )
    pairs = zip(test, predictions, strict=True)
    while chunk := list(islice(pairs, disk.CHUNK)):
        _compare(reader, tokenizer, chunk, agreement)
    _refuse(agreement)
    return agreement


def _refuse(agreement: Agreement) -> None:
    """Refuse a folder whose predictions differ from the recorded ones.

    Raises:
        UserError: a prediction differs by more than rounding.
    """
    wrong = [count for count in agreement.counts.values() if count.wrong]
    if wrong:
        counts = listing([f"{count.wrong:,} of {count.total:,} {count.what}" for count in wrong])
        first = wrong[0].first
        problem = f"the folder gives {counts} of the test split that differ from the recorded ones (first: {first})"
        raise UserError(problem, REMEDY, code="disagreement")


def _differs(sentence: Sentence) -> UserError:
    problem = (
        f"the folder cuts {shown(sentence.surface)} into other sub-words than the tested model did"
    )
    return UserError(problem, REMEDY, where=sentence.place, code="disagreement")


def _counts(tasks: Mapping[str, Task]) -> dict[str, Count]:
    """Task to a count of 0. If the word for gold is not unique, the name of the task is added to
    it.
    """
    titles = {}
    for name, task in tasks.items():
        sets = "sets of " if task.kind.many and not task.of_words else ""
        titles[name] = f"{sets}{task.kind.gold_titles}"
    times = Counter(titles.values())
    return {
        name: Count(title if times[title] == 1 else f"{title} of {name}")
        for name, title in titles.items()
    }


def _said(line: Any, tasks: Mapping[str, Task]) -> dict[str, Any]:
    """Task to the recorded prediction for a sentence.

    Raises:
        AttributeError, KeyError, TypeError, ValueError: the line is not a record of predictions.
    """
    predicted = {name: line["predicted"][name] for name in line["gold"]}
    for name, value in predicted.items():
        if isinstance(value, list) is not tasks[name].kind.many:
            raise TypeError
        tasks[name].targets(value)
    return predicted


def _compare(
    reader: Reader,
    tokenizer: PreTrainedTokenizerBase,
    chunk: Sequence[tuple[Sentence, Any]],
    agreement: Agreement,
) -> None:
    """Compare the predictions for some sentences; sentences of similar length share a batch."""
    sentences = [sentence for sentence, _ in chunk]
    encoded = encoding.encode(sentences, tokenizer, {}, reader.longest).examples
    names = [tuple(name for name in reader.tasks if name in sentence.gold) for sentence, _ in chunk]
    for tasks in dict.fromkeys(names):
        chosen = [at for at, task_names in enumerate(names) if task_names == tasks]
        chosen.sort(key=lambda at: len(encoded[at]))
        for first in range(0, len(chosen), BATCH):
            rows = chosen[first : first + BATCH]
            parts = [Parts.of(both(sentences[at])) for at in rows]
            try:
                read = reader.read(parts, tasks)
            except Nothing as error:
                raise _differs(sentences[rows[error.index]]) from None
            for at, by_task in zip(rows, read, strict=True):
                sentence, recorded = chunk[at]
                if any(row.ids != encoded[at].input_ids.tolist() for row in by_task.values()):
                    raise _differs(sentence)
                for name, row in by_task.items():
                    count, then = agreement.counts[name], recorded.get(name)
                    _add(count, reader, name, sentence.place, row, then)


def _add(count: Count, reader: Reader, name: str, place: str, row: Read, recorded: Any) -> None:
    """Compare the predictions for a sentence with the recorded ones, and count them."""
    of_words = reader.tasks[name].of_words
    now, then = _items(reader.predicted(row, name), of_words), _items(recorded, of_words)
    if len(now) != len(then):
        problem = f"{len(now)} {count.what} for {len(then)} that were recorded"
        raise UserError(problem, REMEDY, where=place, code="disagreement")
    count.total += len(then)
    count.same += sum(map(operator.eq, now, then))
    if now == then:
        return
    near = _items(reader.predicted(row, name, _nudged(reader, name, row, recorded)), of_words)
    for prediction, nearest, was in zip(now, near, then, strict=True):
        if prediction == was:
            continue
        if isinstance(was, float) and math.isclose(nearest, was, rel_tol=1e-6, abs_tol=1e-9):
            count.same += 1
        elif nearest == was:
            count.close += 1
        elif not count.first:
            count.first = f"{place}: {shown(prediction)} where {shown(was)} was recorded"


def _items(prediction: Any, of_words: bool) -> list[Any]:
    """The predictions to compare: one for each word, or one for the sentence."""
    return list(prediction or ()) if of_words else [prediction]


def _nudged(reader: Reader, name: str, row: Read, recorded: Any) -> torch.Tensor:
    """The logits within rounding whose prediction is nearest to the recorded one."""
    task, logits = reader.tasks[name], row.logits[name].double()
    loss, share = LOSSES[task.kind.loss], ROUNDING[reader.precision]
    wanted = np.asarray(task.targets(recorded))
    if not task.of_words:
        return loss.nudged(logits[None], torch.as_tensor(wanted[None]), share)[0]
    words = np.asarray(row.first)
    by_token = np.full((len(logits), *wanted.shape[1:]), IGNORE, dtype=wanted.dtype)
    by_token[words[words >= 0]] = wanted[words >= 0]
    return loss.nudged(logits, torch.as_tensor(by_token), share)
