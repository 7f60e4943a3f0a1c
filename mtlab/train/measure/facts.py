"""Facts about data and encoder for the record."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
from transformers import PretrainedConfig

from mtlab.data import corpus_encoding
from mtlab.train.prepare import Prepared


def describe_data(prepared: Prepared) -> dict[str, Any]:
    """Facts about the data for the record."""
    corpus, data = prepared.corpus, prepared.experiment.data
    sources = [data] if data.source is not None else list(data.by_task.values())
    encoded = prepared.encoded | {
        name: test_set.encoded["test"] for name, test_set in prepared.also.items()
    }
    notes = [
        *corpus.notes,
        *notes_of_sets(prepared),
        *corpus_encoding.lost_words(
            {split: of_split.lost_words for split, of_split in encoded.items()},
            [task.kind for task in corpus.tasks.values()],
        ),
    ]
    also = {"also_test": describe_sets(prepared)} if prepared.also else {}
    start = {} if prepared.source is None else {"start": describe_data(prepared.source)}
    return {
        "sizes": {split: len(sentences) for split, sentences in corpus.splits.items()},
        "tokens": {
            split: int(encoded.examples.starts[-1]) for split, encoded in prepared.encoded.items()
        },
        "tasks": {
            name: {"kind": task.kind.name, **asdict(task.codes), "summary": task.summary}
            for name, task in corpus.tasks.items()
        },
        "inputs": corpus.inputs,
        "sources": [source.title for source in sources],
        "fingerprint": corpus.fingerprint,
        "notes": notes,
        **also,
        **start,
    }


def describe_sets(prepared: Prepared) -> dict[str, dict[str, Any]]:
    """Facts about the test sets out of distribution, by name."""
    entries = prepared.experiment.also_test
    return {
        name: {
            "of": entries[name].of or "",
            "title": entries[name].called(name),
            "sentences": len(test_set.corpus.splits["test"]),
            "fingerprint": test_set.corpus.fingerprint,
        }
        for name, test_set in prepared.also.items()
    }


def notes_of_sets(prepared: Prepared) -> Iterator[str]:
    """Notes on the test sets out of distribution, also about changes that do not alter the
    encoder's input, such as lower case for an encoder that converts all text to lower case.
    """
    test = prepared.examples("test").input_ids
    for name, test_set in prepared.also.items():
        yield from test_set.corpus.notes
        if test.any() and np.array_equal(test_set.examples("test").input_ids, test):
            yield f"{name}: this encoder reads the same tokens as in test, so that scores are the same"


def describe_encoder(prepared: Prepared) -> dict[str, str | int | None]:
    """Facts about the encoder for the record."""
    config: PretrainedConfig = prepared.location.config
    return {
        "name": prepared.location.name,
        "revision": prepared.location.revision,
        "sha256": prepared.encoder_digest,
        "family": config.model_type,
        "blocks": len(prepared.pristine.blocks),
        "hidden": prepared.pristine.hidden_size,
        "attention": prepared.pristine.model.config._attn_implementation,
    }
