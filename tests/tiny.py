"""Tiny real things to test with: encoders from configurations, a tokenizer, data that can be
learned."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from tokenizers import (
    BertWordPieceTokenizer,
    ByteLevelBPETokenizer,
    SentencePieceUnigramTokenizer,
    Tokenizer,
    models,
    pre_tokenizers,
    processors,
)
from transformers import PreTrainedTokenizerFast

from mtlab.data import sources
from mtlab.data.sources import Corpus
from mtlab.plan.data import Data
from mtlab.plan.tasks import Task
from mtlab.tasks import kind
from mtlab.tasks.registry import USUAL

TASKS = {name: Task(**task) for name, task in USUAL.items()}
"""The tasks of an experiment that names none."""

SIZE = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "vocab_size": 120,
    "max_position_embeddings": 64,
}

CONFIGS: dict[str, Any] = {
    "bert": lambda: transformers.BertConfig(**SIZE),
    "roberta": lambda: transformers.RobertaConfig(**SIZE),
    "electra": lambda: transformers.ElectraConfig(**SIZE, embedding_size=16),
    "mpnet": lambda: transformers.MPNetConfig(**SIZE),
    "distilbert": lambda: transformers.DistilBertConfig(
        dim=32, n_layers=3, n_heads=4, hidden_dim=64, vocab_size=120, max_position_embeddings=64
    ),
    "deberta-v2": lambda: transformers.DebertaV2Config(
        **SIZE,
        relative_attention=True,
        position_buckets=8,
        pos_att_type=["p2c", "c2p"],
        norm_rel_ebd="layer_norm",
        share_att_key=True,
        conv_kernel_size=3,
    ),
    "modernbert": lambda: transformers.ModernBertConfig(
        **SIZE, pad_token_id=0, bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2
    ),
}

CITIES = ("oslo", "quito", "lagos", "turin")
PEOPLE = ("ada", "ivo", "uma", "noor")
TOPICS = {
    "weather": ("rain", "wind", "sun", "fog"),
    "sport": ("goal", "race", "match", "team"),
    "food": ("soup", "bread", "rice", "tea"),
}
FILLERS = ("the", "a", "with", "near", "today", "again", "some", "more")


def write_encoder(directory: Path, family: str = "bert", **settings: Any) -> Path:
    """An encoder with random weights and a word-level tokenizer, laid out as the hub lays them
    out."""
    torch.manual_seed(0)
    config = CONFIGS[family]()
    for key, value in settings.items():
        setattr(config, key, value)
    transformers.AutoModel.from_config(config).save_pretrained(directory)
    tokenizer().save_pretrained(directory)
    return directory


def tokenizer() -> PreTrainedTokenizerFast:
    """A word-level tokenizer that knows the words of :func:`sentences`."""
    special = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"]
    words = [
        *special,
        *CITIES,
        *PEOPLE,
        *FILLERS,
        *(word for words in TOPICS.values() for word in words),
    ]
    model = Tokenizer(
        models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="[UNK]")
    )
    model.pre_tokenizer = pre_tokenizers.Whitespace()
    model.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=model,
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        unk_token="[UNK]",
        model_max_length=64,
    )


def sentences(count: int, seed: int) -> list[dict[str, Any]]:
    """Sentences whose topic and entities follow from their words: a model that learns gets them
    right."""
    draw = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        label = str(draw.choice(list(TOPICS)))
        words = [(str(draw.choice(FILLERS)), "O") for _ in range(draw.integers(2, 7))]
        words.append((str(draw.choice(TOPICS[label])), "O"))
        if draw.random() < 0.8:
            words.append((str(draw.choice(CITIES)), "B-LOC"))
        if draw.random() < 0.5:
            words += [(str(draw.choice(PEOPLE)), "B-PER"), (str(draw.choice(PEOPLE)), "I-PER")]
        rows.append(
            {
                "tokens": [word for word, _ in words],
                "ner_tags": [tag for _, tag in words],
                "label": label,
            }
        )
    return rows


def write_data(directory: Path, train: int = 96, validation: int = 24, test: int = 24) -> Path:
    """Both labels on every sentence, as JSON lines."""
    directory.mkdir(parents=True, exist_ok=True)
    for seed, (split, count) in enumerate(
        {"train": train, "validation": validation, "test": test}.items()
    ):
        lines = [json.dumps(row) for row in sentences(count, seed)]
        (directory / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    return directory


ODD = (
    "the sun, near [MASK] again!",
    "  some  rain <mask> today...",
    "it's a goal; don't  stop",
    "soup 😀 with É and Ünï (near U.S.) ",
    "a</s>b [SEP]x <s>tea",
    "fog" + " and wind," * 30,
    "bread\u200b, rice?",
)
"""Sentences that a tokenizer reads otherwise where they are split into words: signs, what looks
like special tokens, blanks, a long one."""


def write_subword_encoder(directory: Path, family: str) -> Path:
    """An encoder with random weights and a tokenizer of its family's kind, that knows pieces of the
    words of :func:`sentences`."""
    write_encoder(directory, family, vocab_size=420)
    _subword_tokenizer(directory, family).save_pretrained(directory)
    return directory


def _subword_tokenizer(directory: Path, family: str) -> Any:
    texts = [" ".join(row["tokens"]) for row in sentences(60, 9)] * 2 + [*ODD] * 2
    marked = family in ("roberta", "mpnet")
    special = (
        ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
        if marked
        else ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"]
    )
    if family in ("roberta", "modernbert"):
        pieces = ByteLevelBPETokenizer()
        pieces.train_from_iterator(
            texts, vocab_size=400, min_frequency=2, special_tokens=special, show_progress=False
        )
        if family == "roberta":
            pieces.save_model(str(directory))
            named = {
                "vocab": str(directory / "vocab.json"),
                "merges": str(directory / "merges.txt"),
            }
            return transformers.RobertaTokenizer(**named, model_max_length=64)
        backend = Tokenizer.from_str(pieces.to_str())
        backend.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 0), ("[SEP]", 2)]
        )
        names = dict(
            zip(
                ("cls_token", "pad_token", "sep_token", "unk_token", "mask_token"),
                special,
                strict=True,
            )
        )
        return PreTrainedTokenizerFast(tokenizer_object=backend, **names, model_max_length=64)
    if family == "deberta-v2":
        unigram = SentencePieceUnigramTokenizer()
        unigram.train_from_iterator(
            texts, vocab_size=150, special_tokens=special, unk_token="[UNK]", show_progress=False
        )
        vocab = [tuple(piece) for piece in json.loads(unigram.to_str())["model"]["vocab"]]
        return transformers.DebertaV2Tokenizer(vocab=vocab, model_max_length=64)
    wordpiece = BertWordPieceTokenizer()
    wordpiece.train_from_iterator(
        texts,
        vocab_size=300,
        min_frequency=1,
        special_tokens=[*dict.fromkeys([*special, "[UNK]"])],
        show_progress=False,
    )
    kinds = {
        "mpnet": transformers.MPNetTokenizer,
        "distilbert": transformers.DistilBertTokenizer,
        "electra": transformers.ElectraTokenizer,
    }
    return kinds.get(family, transformers.BertTokenizer)(
        vocab=wordpiece.get_vocab(), model_max_length=64
    )


def shapes(labels: int, tags: int) -> dict[str, kind.Shape]:
    """Of heads for the usual tasks."""
    return {"classifier": kind.Shape(labels, False), "ner": kind.Shape(tags, True)}


def learnt(**names: tuple[str, ...]) -> dict[str, kind.Task]:
    """The usual tasks, or some of them, with these classes."""
    return {
        name: kind.Task(name, TASKS[name].as_kind, kind.Codes(known))
        for name, known in names.items()
    }


def load(data: Data, data_seed: int, **others: Any) -> Corpus:
    """The data of an experiment that names no tasks."""
    return sources.load(data, TASKS, data_seed, **others)
