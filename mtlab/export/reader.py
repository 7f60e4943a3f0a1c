"""Reads sentences with an exported model. It needs torch, transformers, safetensors and regex, and nothing else of mtlab's but words."""

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModel, AutoTokenizer

from mtlab.data.words import WORD

HEADS = "heads.json"
"""The file that says what the heads are: names of labels and tags, how the encoder is read, what it was measured with."""

BATCH = 32
"""Sentences that are read together."""

Sentence = str | Sequence[str]
"""Raw text, or its words."""


class Reader:
    """An exported model.

    Args:
        directory: where it was exported to.
        device: where to compute.
        precision: ``bf16`` (autocast) or ``fp32``; the one that it was measured with, where none is given.
    """

    def __init__(self, directory: Path, device: str = "cpu", precision: str | None = None) -> None:
        self.facts: dict[str, Any] = json.loads((directory / HEADS).read_text(encoding="utf-8"))
        self.tokenizer = AutoTokenizer.from_pretrained(directory, local_files_only=True)
        encoder = AutoModel.from_pretrained(
            directory, local_files_only=True, use_safetensors=True, dtype=torch.float32, **_asked(self.facts["encoder"])
        )
        self.device = torch.device(device)
        self.encoder = encoder.eval().to(self.device)
        self.heads = {name: tensor.to(self.device) for name, tensor in load_file(directory / "heads.safetensors").items()}
        self.precision = precision or self.facts["precision"]
        self.longest = int(self.tokenizer.model_max_length)
        for task, names in (("classifier", "labels"), ("ner", "tags")):
            if f"{task}.weight" in self.heads and len(self.heads[f"{task}.weight"]) != len(self.facts[names]):
                raise ValueError(f"{len(self.facts[names])} {names} for a head of {len(self.heads[f'{task}.weight'])}")

    @torch.no_grad()
    def __call__(self, sentences: Sequence[Sentence]) -> list[dict[str, Any]]:
        """Read sentences, in one batch.

        Returns:
            For each ``text``; ``intent`` with ``label`` and ``score``; ``entities`` with ``type``, ``start`` and ``end`` (characters of
            the text), ``text`` and ``score``; and ``cut``: whether words at the end did not fit in. Scores are probabilities; an
            entity's is the mean over its words. A task that the model does not have is left out.
        """
        cuts = [_cut(sentence) for sentence in sentences]
        batch = self.tokenizer(
            [words or [text] for text, words, _ in cuts], is_split_into_words=True, truncation=True, padding=True, return_tensors="pt"
        )
        ids, mask = batch["input_ids"].to(self.device), batch["attention_mask"].to(self.device)
        autocast: AbstractContextManager[object] = nullcontext()
        if self.precision == "bf16":
            autocast = torch.autocast(self.device.type, torch.bfloat16)
        with autocast:
            states = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
            logits = self._heads(states, mask)
        found: list[dict[str, Any]] = [{"text": text} for text, _, _ in cuts]
        if "classifier" in logits:
            scores, best = logits["classifier"].float().softmax(dim=-1).max(dim=-1)
            for one, score, label in zip(found, scores.tolist(), best.tolist(), strict=True):
                one["intent"] = {"label": self.facts["labels"][label], "score": round(score, 6)}
        for row, (one, (text, words, spans)) in enumerate(zip(found, cuts, strict=True)):
            first = _first_subwords(batch.word_ids(row), len(words))
            if "ner" in logits:
                one["entities"] = list(self._entities(logits["ner"][row], first, text, spans))
            one["cut"] = len(batch.word_ids(row)) >= self.longest and self._too_long(words)
        return found

    def _too_long(self, words: Sequence[str]) -> bool:
        return len(self.tokenizer(words, is_split_into_words=True, truncation=False, verbose=False)["input_ids"]) > self.longest

    def _heads(self, states: Tensor, mask: Tensor) -> dict[str, Tensor]:
        pooled = states[:, 0]
        if self.facts["pooling"] == "mean":
            weights = mask.unsqueeze(-1).float()
            pooled = (states.float() * weights).sum(dim=1) / weights.sum(dim=1)
        read = {"classifier": pooled, "ner": states}
        return {
            task: torch.nn.functional.linear(read[task], self.heads[f"{task}.weight"], self.heads[f"{task}.bias"])
            for task in read
            if f"{task}.weight" in self.heads
        }

    def _entities(self, logits: Tensor, first: Sequence[int], text: str, spans: Sequence[tuple[int, int]]) -> Iterator[dict[str, Any]]:
        scores, best = logits.float().softmax(dim=-1).max(dim=-1)
        tags = [self.facts["tags"][int(best[position])] if position >= 0 else "O" for position in first]
        for kind, begin, end in entities(tags):
            start, stop = spans[begin][0], spans[end - 1][1]
            score = sum(float(scores[first[word]]) for word in range(begin, end)) / (end - begin)
            yield {"type": kind, "start": start, "end": stop, "text": text[start:stop], "score": round(score, 6)}


def _asked(settings: Any) -> dict[str, Any]:
    """What the folder may ask of transformers, checked: nothing else is handed on, for among its settings are some that run code.

    Raises:
        ValueError: it asks for something else.
    """
    kernel, pooler = settings.get("attn_implementation"), settings.get("add_pooling_layer", False)
    if kernel not in ("eager", "sdpa") or pooler is not False or settings.keys() - {"attn_implementation", "add_pooling_layer"}:
        raise ValueError(f"{HEADS} asks for {sorted(settings)}, of which not all can be granted")
    return dict(settings)


def entities(tags: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """Type, first word and the word after the last of each entity in IOB2 tags, read as conlleval does: ``I-`` alone begins one, too."""
    begin, kind = 0, ""
    for at, tag in enumerate([*tags, "O"]):
        prefix, _, other = tag.partition("-")
        if kind and (prefix != "I" or other != kind):
            yield kind, begin, at
            kind = ""
        if prefix in ("B", "I") and not kind:
            begin, kind = at, other


def _cut(sentence: Sentence) -> tuple[str, list[str], list[tuple[int, int]]]:
    """A sentence's text, its words, and where they stand in the text."""
    if isinstance(sentence, str):
        found = list(WORD.finditer(sentence))
        return sentence, [match[0] for match in found], [match.span() for match in found]
    words, spans, at = list(sentence), [], 0
    for word in words:
        spans.append((at, at + len(word)))
        at += len(word) + 1
    return " ".join(words), words, spans


def _first_subwords(word_ids: Sequence[int | None], words: int) -> list[int]:
    """The position of each word's first sub-word, -1 where it has none."""
    first = [-1] * words
    for position in range(len(word_ids) - 1, -1, -1):
        word = word_ids[position]
        if word is not None and word < words:
            first[word] = position
    return first
