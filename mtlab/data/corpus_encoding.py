"""Encoding a corpus for an encoder, and refusing what the encoder cannot read."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from transformers import PreTrainedTokenizerBase

from mtlab.data import encoding
from mtlab.data.encoding import Encoded
from mtlab.data.sources import Corpus
from mtlab.data.stored import Sentence
from mtlab.plan.errors import Mistakes, UserError, noted, shown
from mtlab.plan.words import counted
from mtlab.tasks.kind import Kind


def encode(
    corpus: Corpus, tokenizer: PreTrainedTokenizerBase, limit: int, directory: Path | None = None
) -> dict[str, Encoded]:
    """Encode every split of a corpus; numbers that do not fit in memory are stored on the disk of
    ``directory``.

    Raises:
        UserError: the tokenizer makes no token of a sentence, such as a zero-width space.
    """
    encoded_splits = {
        split: encoding.encode(rows, tokenizer, corpus.tasks, limit, directory)
        for split, rows in corpus.splits.items()
    }
    for split, encoded in encoded_splits.items():
        check_encoded(corpus.splits[split], encoded, tokenizer)
    return encoded_splits


def lost_words(counts: Mapping[str, int], kinds: Iterable[Kind]) -> list[str]:
    """Notes on words of which the encoder reads nothing, because they are cut off or blank: a line
    for each split that has some.
    """
    scored = "O" if all(kind.spans for kind in kinds if kind.of_words) else "wrong"
    lines = []
    for split, count in counts.items():
        verbs = ("has", "it is") if count == 1 else ("have", "they are")
        if count:
            lines.append(
                f"{split}: {counted(count, 'word')} {verbs[0]} no sub-word within the limit; {verbs[1]} scored as {scored}"
            )
    return lines


def check_encoded(
    sentences: Sequence[Sentence],
    encoded: Encoded,
    tokenizer: PreTrainedTokenizerBase,
    mistakes: Mistakes = None,
) -> None:
    """Refuse sentences that have no tokens but special ones.

    Raises:
        UserError: the tokenizer makes no token of a sentence.
    """
    nothing = tokenizer.num_special_tokens_to_add()
    for index in np.flatnonzero(encoded.examples.lengths <= nothing).tolist():
        sentence = sentences[index]
        problem = f"the encoder's tokenizer leaves nothing of {shown(sentence.surface)}"
        with noted(mistakes):
            raise UserError(problem, "remove the sentence", where=sentence.place, code="no-tokens")


def check_vocabulary(
    encoded: Mapping[str, Encoded], pad_id: int, size: int | None, encoder: str
) -> None:
    """Refuse a tokenizer with tokens for which the encoder has no embedding.

    Args:
        encoded: split to its sentences.
        pad_id: the token that inputs are padded with.
        size: how many tokens have an embedding in the encoder; None where that is unknown.
        encoder: its name.

    Raises:
        UserError: sentences have a token that the encoder has no embedding for.
    """
    largest = [int(split.examples.input_ids.max(initial=0)) for split in encoded.values()]
    token = max([pad_id, *largest])
    if size is not None and token >= size:
        problem = f"the tokenizer of {encoder} gives token {token:,}, and the encoder has {size:,}"
        remedy = "put the tokenizer there that it was trained with"
        raise UserError(problem, remedy, where="encoder", code="encoder-unfit")
