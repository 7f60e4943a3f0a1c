"""Reads sentences with an exported model. It needs torch, transformers, safetensors, regex, numpy,
and mtlab's modules for words, losses and kinds of tasks.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import linear
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModel, AutoTokenizer

from mtlab.data.reading.words import WORD
from mtlab.model.losses import LOSSES
from mtlab.tasks.kind import Context, Task
from mtlab.tasks.registry import rebuilt

HEADS = "heads.json"
"""The file that describes the heads: kinds of tasks, names of classes, the pooling, and the
settings of the test."""

FORMAT = 3
"""The format of that file. Before format 3, a model always had two tasks."""

BATCH = 32
"""The number of sentences in a batch."""

FORMS = ("text", "words")
"""The forms of a sentence: raw text, or a list of words. A task reads the form that it was trained
on."""

Given = str | Sequence[str] | Mapping[str, Any]
"""A sentence: raw text, its words, or both, as ``{"text": ..., "tokens": [...]}``."""


class Nothing(ValueError):
    """The tokenizer makes no sub-words from a sentence. Models are not trained or tested on such
    sentences.

    Attributes:
        index: the index of the sentence in the input.
    """

    def __init__(self, index: int, text: str) -> None:
        self.index, self.text = index, text
        super().__init__(f"the encoder's tokenizer leaves nothing of {text!r:.60}")


@dataclass(frozen=True)
class Read:
    """The result of reading a sentence in one form.

    Attributes:
        ids: its sub-words, including special tokens.
        first: the position of each word's first sub-word, -1 for a word without a sub-word; empty
            for raw text.
        cut: whether its end is beyond the limit on the length.
        logits: task to logits, for the tasks that read this form: (outputs,), or (sub-words,
            outputs) for a task of words.
    """

    ids: list[int]
    first: list[int]
    cut: bool
    logits: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Parts:
    """A sentence in both forms.

    Attributes:
        text: the string to which the places of words refer: the raw text if only that was given,
            else the words joined by blanks.
        raw: the input of tasks that were trained on raw text: the text, or, without one, the words
            joined by blanks.
        words: the input of tasks that were trained on words: the given words, or, without any, the
            words that :data:`WORD` finds in the text.
        spans: start and end of each word in ``text``.
    """

    text: str
    raw: str
    words: list[str]
    spans: list[tuple[int, int]]

    @classmethod
    def of(cls, sentence: Given) -> "Parts":
        """The forms of a sentence.

        Raises:
            ValueError: the sentence is neither text nor words.
        """
        if not isinstance(sentence, Mapping):
            sentence = {"text" if isinstance(sentence, str) else "tokens": sentence}
        text, words = sentence.get("text"), sentence.get("tokens")
        if isinstance(text, str) and words is None:
            matches = list(WORD.finditer(text))
            return cls(
                text, text, [match[0] for match in matches], [match.span() for match in matches]
            )
        if (
            isinstance(words, str)
            or not isinstance(words, Iterable)
            or not all(isinstance(word, str) for word in words)
        ):
            raise ValueError(f"{sentence!r:.60} is neither a text nor a list of words")
        spans, at = [], 0
        for word in words:
            spans.append((at, at + len(word)))
            at += len(word) + 1
        joined = " ".join(words)
        return cls(joined, text if isinstance(text, str) else joined, list(words), spans)


class Reader:
    """An exported model.

    Args:
        directory: the exported folder.
        device: the device on which the model runs.
        precision: ``bf16`` (autocast) or ``fp32``; by default that of the test.
    """

    def __init__(self, directory: Path, device: str = "cpu", precision: str | None = None) -> None:
        self.facts: dict[str, Any] = json.loads((directory / HEADS).read_text(encoding="utf-8"))
        self.tokenizer = AutoTokenizer.from_pretrained(directory, local_files_only=True)
        encoder = AutoModel.from_pretrained(
            directory,
            local_files_only=True,
            use_safetensors=True,
            dtype=torch.float32,
            **_asked(self.facts["encoder"]),
        )
        self.device = torch.device(device)
        self.encoder = encoder.eval().to(self.device)
        self.heads = {
            name: tensor.to(self.device)
            for name, tensor in load_file(directory / "heads.safetensors").items()
        }
        self.precision = precision or self.facts["precision"]
        self.longest = int(self.tokenizer.model_max_length)
        tasks = self.facts["tasks"]
        self.tasks: dict[str, Task] = {name: rebuilt(name, tasks[name]) for name in tasks}
        self.inputs: dict[str, str] = {name: tasks[name]["input"] for name in tasks}
        for name, task in self.tasks.items():
            outputs = len(self.heads[f"{name}.weight"])
            if outputs != task.shape.outputs:
                raise ValueError(f"{name} has {task.summary}, and its head {outputs} outputs")
            if self.inputs[name] not in FORMS:
                raise ValueError(
                    f"{name} reads {self.inputs[name]!r}, which is none of {', '.join(FORMS)}"
                )

    def __call__(self, sentences: Sequence[Given]) -> list[dict[str, Any]]:
        """Read sentences, in one batch for each form.

        Returns:
            For each sentence: ``text``; ``tasks``, task to the answer of its kind; and ``cut``,
            whether the end of the sentence was truncated.

        Raises:
            Nothing: the tokenizer makes no sub-words from a sentence.
            ValueError: a sentence is neither text nor words.
        """
        parts = [Parts.of(sentence) for sentence in sentences]
        return [
            self._answer(part, by_task)
            for part, by_task in zip(parts, self.read(parts, self.tasks), strict=True)
        ]

    @torch.no_grad()
    def read(self, parts: Sequence[Parts], tasks: Collection[str]) -> list[dict[str, Read]]:
        """Read sentences for some of the tasks, in one batch for each form that these tasks read.

        Returns:
            For each sentence: task to the result in the task's form.

        Raises:
            Nothing: the tokenizer makes no sub-words from a sentence.
        """
        results: list[dict[str, Read]] = [{} for _ in parts]
        for form in FORMS:
            reading = [task for task in tasks if self.inputs[task] == form]
            if not reading or not parts:
                continue
            rows = self.encode(parts, form)
            logits = self._logits([row.ids for row in rows], reading)
            for number, row in enumerate(rows):
                for task, values in logits.items():
                    real = slice(len(row.ids) if self.tasks[task].of_words else None)
                    row.logits[task] = values[number][real]
                results[number] |= dict.fromkeys(reading, row)
        return results

    def encode(self, parts: Sequence[Parts], form: str) -> list[Read]:
        """The sub-words of sentences, as in training, from raw ``text`` or from ``words``.

        Raises:
            Nothing: a sentence has no sub-words.
        """
        split = form == "words"
        inputs = [(part.words or [part.raw]) if split else part.raw for part in parts]
        batch = self.tokenizer(inputs, is_split_into_words=split, truncation=True)
        rows = []
        for number, ids in enumerate(batch["input_ids"]):
            if len(ids) <= self.tokenizer.num_special_tokens_to_add():
                raise Nothing(number, parts[number].raw)
            first = (
                _first_subwords(batch.word_ids(number), len(parts[number].words)) if split else []
            )
            rows.append(
                Read(ids, first, len(ids) >= self.longest and self._too_long(inputs[number]))
            )
        return rows

    def _too_long(self, sentence: str | Sequence[str]) -> bool:
        whole = self.tokenizer(
            sentence,
            is_split_into_words=not isinstance(sentence, str),
            truncation=False,
            verbose=False,
        )
        return len(whole["input_ids"]) > self.longest

    def _logits(self, rows: Sequence[Sequence[int]], tasks: Sequence[str]) -> dict[str, Tensor]:
        """Task to logits of sentences. They are padded on the right, as in training; the tokenizer
        might pad them differently.
        """
        ids = pad_sequence(
            [torch.tensor(row) for row in rows],
            batch_first=True,
            padding_value=self.tokenizer.pad_token_id,
        )
        mask = pad_sequence(
            [torch.ones(len(row), dtype=torch.long) for row in rows], batch_first=True
        )
        ids, mask = ids.to(self.device), mask.to(self.device)
        autocast: AbstractContextManager[object] = nullcontext()
        if self.precision == "bf16":
            autocast = torch.autocast(self.device.type, torch.bfloat16)
        with autocast:
            states = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
            pooled = self._pooled(states, mask)
            logits = {
                task: linear(
                    states if self.tasks[task].of_words else pooled,
                    self.heads[f"{task}.weight"],
                    self.heads[f"{task}.bias"],
                )
                for task in tasks
            }
        return {task: values.float().cpu() for task, values in logits.items()}

    def _pooled(self, states: Tensor, mask: Tensor) -> Tensor:
        if self.facts["pooling"] != "mean":
            return states[:, 0]
        weights = mask.unsqueeze(-1).float()
        return (states.float() * weights).sum(dim=1) / weights.sum(dim=1)

    def predicted(self, row: Read, task: str, logits: Tensor | None = None) -> Any:
        """The prediction of a task, in the form that records have.

        Args:
            row: the output for the sentence.
            task: its name.
            logits: logits to use in place of those in ``row``.
        """
        loss = LOSSES[self.tasks[task].kind.loss]
        raw = loss.decide(row.logits[task] if logits is None else logits)
        return self.tasks[task].predicted(raw.numpy(), np.asarray(row.first, dtype=np.int64))

    def _answer(self, parts: Parts, by_task: Mapping[str, Read]) -> dict[str, Any]:
        """The answer for a sentence."""
        answers = {}
        for name, row in by_task.items():
            kind, codes = self.tasks[name].kind, self.tasks[name].codes
            chances = LOSSES[kind.loss].chances(row.logits[name]).numpy()
            context = Context(parts.text, parts.spans, row.first, chances)
            answers[name] = kind.answer(self.predicted(row, name), context, codes)
        cut = any(row.cut for row in by_task.values())
        return {
            "text": parts.text,
            "tasks": {name: answers[name] for name in self.tasks},
            "cut": cut,
        }


def _asked(settings: Any) -> dict[str, Any]:
    """The folder's settings for transformers, after a check. Only harmless ones are allowed,
    because some settings of transformers run code.

    Raises:
        ValueError: a setting is not allowed.
    """
    kernel, pooler = settings.get("attn_implementation"), settings.get("add_pooling_layer", False)
    if (
        kernel not in ("eager", "sdpa")
        or pooler is not False
        or settings.keys() - {"attn_implementation", "add_pooling_layer"}
    ):
        raise ValueError(f"{HEADS} asks for {sorted(settings)}, of which not all can be granted")
    return dict(settings)


def _first_subwords(word_ids: Sequence[int | None], words: int) -> list[int]:
    """The position of each word's first sub-word, -1 for a word without a sub-word."""
    first = [-1] * words
    for position in range(len(word_ids) - 1, -1, -1):
        word = word_ids[position]
        if word is not None and word < words:
            first[word] = position
    return first
