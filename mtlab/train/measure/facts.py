"""Facts about data and encoder for the record."""

from dataclasses import asdict
from typing import Any

from transformers import PretrainedConfig

from mtlab.data import corpus_encoding
from mtlab.train.prepare import Prepared


def describe_data(prepared: Prepared) -> dict[str, Any]:
    """Facts about the data for the record."""
    corpus, data = prepared.corpus, prepared.experiment.data
    sources = [data] if data.source is not None else list(data.by_task.values())
    notes = [
        *corpus.notes,
        *corpus_encoding.lost_words(
            {split: encoded.lost_words for split, encoded in prepared.encoded.items()},
            [task.kind for task in corpus.tasks.values()],
        ),
    ]
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
        **start,
    }


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
