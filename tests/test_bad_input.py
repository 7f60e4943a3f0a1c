"""Whatever is wrong with what a person gives: one line with place, problem and remedy, status 2,
and nothing is trained."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from mtlab.cli import main
from tests import tiny

EXPERIMENT = """\
encoder: ./encoder
data: {source: set}
batch_size: 4
seeds: [0]
precision: fp32
device: cpu
output: report
control: full
scenarios:
  heads:
    - {epochs: 1, train: {heads: 1.0e-2}}
  full:
    - {epochs: 1, train: {all: 1.0e-3}}
"""


def row(words: str, tags: str, label: str, **other: Any) -> str:
    """A line of a data file."""
    return (
        json.dumps(
            {"tokens": words.split(" "), "ner_tags": tags.split(" "), "label": label, **other}
        )
        + "\n"
    )


TRAIN = (
    row("rain near oslo", "O O B-LOC", "weather")
    + row("ada ivo wins the race", "B-PER I-PER O O O", "sport")
    + row("wind in lagos again", "O O B-LOC O", "weather")
    + row("a goal in turin", "O O O B-LOC", "sport")
)
VALIDATION = row("fog near quito", "O O B-LOC", "weather")
TEST = row("uma wins the match", "B-PER O O O", "sport")


@dataclass(frozen=True)
class Bad:
    """A mistake, and the line that tells of it."""

    name: str
    line: str
    """Without ``mtlab: ``; ``…`` stands for words of another package."""
    files: Mapping[str, str | bytes | None] = field(default_factory=dict)
    """What stands there instead; None takes a file away."""
    change: tuple[str, str] = ("", "")
    """Words of the experiment file, and what stands there instead."""
    options: str = ""
    """More of the command line."""
    encoder: Callable[[Path], object] = lambda directory: None
    """What is done to the encoder's directory."""
    works: bool = False
    """Whether this machine, or the person, is such that it is no mistake here."""


def in_train(more: str) -> dict[str, str | bytes | None]:
    """A fifth line in the training split."""
    return {"set/train.jsonl": TRAIN + more}


def in_test(more: str) -> dict[str, str | bytes | None]:
    """A second line in the test split."""
    return {"set/test.jsonl": TEST + more}


def top(line: str) -> tuple[str, str]:
    """A first line in the experiment file."""
    return "encoder: ", f"{line}\nencoder: "


def stage(written: str) -> tuple[str, str]:
    """Another stage for ``full``, in line 13."""
    return "{epochs: 1, train: {all: 1.0e-3}}", written


def rate(written: str) -> tuple[str, str]:
    """Another learning rate for ``full``, in line 13."""
    return "1.0e-3", written


def other(file: str, **values: Any) -> Callable[[Path], object]:
    """Other values in one of the encoder's JSON files; None takes a key out."""

    def change(directory: Path) -> None:
        content = {**json.loads((directory / file).read_text()), **values}
        (directory / file).write_text(
            json.dumps({key: value for key, value in content.items() if value is not None})
        )

    return change


def albert(directory: Path) -> None:
    """An encoder whose layers share one block."""
    config = transformers.AlbertConfig(**tiny.SIZE, embedding_size=16)
    transformers.AutoModel.from_config(config).save_pretrained(directory)


def clip(directory: Path) -> None:
    """A model that wants a picture with the words."""
    parts = {**tiny.SIZE, "num_hidden_layers": 1, "projection_dim": 8}
    config = transformers.CLIPConfig(
        text_config=parts,
        vision_config={**parts, "image_size": 8, "patch_size": 4},
        projection_dim=8,
    )
    transformers.AutoModel.from_config(config).save_pretrained(directory)


BERT = ("clean_text", "handle_chinese_chars", "strip_accents", "lowercase")
FULL = "exp.yaml:13 scenarios.full.0"
ANEW = "put its model.safetensors and config.json there anew"
NO_DATA = "no data; pass --data.source PATH (one source for all tasks), or --data.classifier.source and --data.ner.source"
RATE = "a learning rate is above 0, not {}; to freeze a part, leave its selector out"
UNSEEN = "or pass --data.unseen_labels count_as_error"
WRITE = "choose another --output, or make room"
LONG = "x" * 300

CASES = [
    # sentences
    Bad(
        "more tokens than tags",
        "set/train.jsonl:5 ner_tags: 3 tokens but 2 tags; give every token one tag",
        in_train(row("sun and fog", "O O", "weather")),
    ),
    Bad(
        "more tags than tokens",
        "set/test.jsonl:2 ner_tags: 2 tokens but 3 tags; give every token one tag",
        in_test(row("sun again", "O O O", "weather")),
    ),
    Bad(
        "tag without a prefix",
        "set/train.jsonl:5 ner_tags: 'LOC' is not a tag (token 3, 'oslo'); write O, or B- or I- and a type, as in B-person",
        in_train(row("sun in oslo", "O O LOC", "weather")),
    ),
    Bad(
        "tag as a number",
        "set/train.jsonl:5 ner_tags: tag 1 is the number 0, and the source does not say what numbers stand for; write it as text",
        in_train(row("sun in oslo", "", "weather", ner_tags=[0, 0, 1])),
    ),
    Bad(
        "entity that nothing begins",
        "set/train.jsonl:5 ner_tags: I-LOC follows O, not B-LOC or I-LOC, in tags that are otherwise IOB2 (token 3, 'oslo'); "
        "begin the entity with B-LOC",
        in_train(row("sun in oslo", "O O I-LOC", "weather")),
    ),
    Bad(
        "entity that changes its type",
        "set/test.jsonl:2 ner_tags: I-LOC follows B-PER, not B-LOC or I-LOC, in tags that are otherwise IOB2 (token 2, 'oslo'); "
        "begin the entity with B-LOC",
        in_test(row("ada oslo", "B-PER I-LOC", "sport")),
    ),
    Bad(
        "two ways to mark ends",
        "set/train.jsonl:6 ner_tags: U-LOC is BILOU, other tags are BIOES (token 3, 'oslo'); use one scheme in all splits",
        in_train(
            row("sun in quito", "O O S-LOC", "weather") + row("sun in oslo", "O O U-LOC", "weather")
        ),
    ),
    Bad(
        "sentence without tokens",
        "set/train.jsonl:5 tokens: the sentence has no tokens; remove the sentence",
        in_train(row("", "", "weather", tokens=[], ner_tags=[])),
    ),
    Bad(
        "sentence of blanks",
        "set/train.jsonl:5 tokens: all tokens are blank; remove the sentence",
        in_train(row("  ", "O O O", "weather")),
    ),
    Bad(
        "sentence of which the tokenizer leaves nothing",
        "set/train.jsonl:5: the encoder's tokenizer leaves nothing of '\\u200b \\ufeff'; remove the sentence",
        in_train(row("\u200b \ufeff", "O O", "weather")),
        encoder=other(
            "tokenizer.json", normalizer={"type": "BertNormalizer", **dict.fromkeys(BERT, True)}
        ),
    ),
    Bad(
        "tokens as one text",
        "set/train.jsonl:5 tokens: tokens are 'sun again', not a list; write a list of tokens",
        in_train(row("", "O O", "weather", tokens="sun again")),
    ),
    Bad(
        "number among the tokens",
        "set/train.jsonl:5 tokens: token 2 is 7, not text; quote it",
        in_train(row("", "O O", "weather", tokens=["sun", 7])),
    ),
    Bad(
        "empty label",
        "set/train.jsonl:5 label: the label is empty; give the sentence a label, or remove it",
        in_train(row("sun again", "O O", "")),
    ),
    Bad(
        "sentence without a label",
        "set/train.jsonl:5 label: the label is missing; write it as text",
        in_train('{"tokens": ["sun"], "ner_tags": ["O"]}\n'),
    ),
    Bad(
        "label that training does not have",
        f"set/test.jsonl:2 label: train has no label 'sports'; did you mean 'sport'?, {UNSEEN}",
        in_test(row("a match", "O O", "sports")),
    ),
    Bad(
        "entity type that training does not have",
        f"set/test.jsonl:2 ner_tags: train has no entity type 'ORG'; correct it, {UNSEEN}",
        in_test(row("a team", "O B-ORG", "sport")),
    ),
    # files
    Bad(
        "not UTF-8",
        f"set/train.jsonl:5: not UTF-8 at byte {len(TRAIN) + 16}; save the file as UTF-8",
        {
            "set/train.jsonl": TRAIN.encode()
            + '{"tokens": ["café"], "ner_tags": ["O"], "label": "sport"}\n'.encode("latin-1")
        },
    ),
    Bad(
        "line that is no JSON",
        "set/train.jsonl:5: not JSON (Expecting value at column 11); write one JSON object a line",
        in_train('{"label": }\n'),
    ),
    Bad(
        "line that is no object",
        'set/train.jsonl:5: a JSON list, not an object; write {"tokens": [...], "ner_tags": [...], "label": "..."}',
        in_train('["sun", "again"]\n'),
    ),
    Bad(
        "one object a line in a .json, one of them broken",
        "rows.json:2: not JSON (Extra data at column 1); one object a line is `.jsonl`",
        {"rows.json": TRAIN.splitlines(keepends=True)[0] + '{"tokens": ["sun"\n'},
        options="--data.source rows.json",
    ),
    Bad(
        "row with a cell too many",
        "data.csv:3: 4 cells, the header has 3; put cells that hold commas in double quotes",
        {
            "data.csv": "tokens,ner_tags,label\nrain in oslo,O O B-LOC,weather\nsun, again,O O,weather\n"
        },
        options="--data.source data.csv",
    ),
    Bad(
        "quote that is not closed",
        "rows.csv:2: not CSV (unexpected end of data); close quotes, and double those inside quoted cells",
        {"rows.csv": 'tokens,ner_tags,label\n"rain in oslo,O O B-LOC,weather\n'},
        options="--data.source rows.csv",
    ),
    Bad(
        "column of words alone",
        "rows.conll:2 ner_tags: one column ('in'); a line holds a token and its tag",
        {"rows.conll": "rain O\nin\noslo B-LOC\n"},
        options="--data.source rows.conll",
    ),
    Bad(
        "bracket that is not closed",
        "rows.txt:2 ner_tags: a bracket that marks nothing, near 'rain in [LOC oslo'; write `[TYPE name]`",
        {"rows.txt": "weather | sun in [LOC quito]\nweather | rain in [LOC oslo\n"},
        options="--data.source rows.txt",
    ),
    Bad(
        "not what the extension says",
        "rows.parquet: not a Parquet file (ArrowInvalid); write it as Parquet again",
        {"rows.parquet": TRAIN},
        options="--data.source rows.parquet",
    ),
    Bad(
        "extension that nothing reads",
        "rows.xlsx: unknown kind of file '.xlsx'; use one of .jsonl .json .csv .tsv .parquet .conll .txt",
        {"rows.xlsx": b"PK"},
        options="--data.source rows.xlsx",
    ),
    # sources and splits
    Bad(
        "source that is not there",
        "./sett: no such file or directory; check the path",
        change=("source: set", "source: ./sett"),
    ),
    Bad(
        "file that is not there",
        "set/trian.jsonl: no such file or directory; check the path",
        options="--data.source set/trian.jsonl",
    ),
    Bad(
        "source that is an address",
        "exp.yaml:2 data.source: a source is not a URL; download the data and pass its path, or pass a hub id such as owner/name",
        change=("source: set", "source: 'https://somebody:secret@example.org/set'"),
    ),
    Bad(
        "directory without data",
        "empty: no data files that could be read; "
        "name the files train, validation and test (.jsonl .json .csv .parquet .conll), or lay them out as the hub does",
        {"empty/notes.doc": "x"},
        options="--data.source empty",
    ),
    Bad(
        "no train split",
        "set: no train split; add a file train with one of .jsonl .json .csv .tsv .parquet .conll .txt",
        {"set/train.jsonl": None},
    ),
    Bad(
        "no test split",
        "set: no test split; add one, name it with --data.splits.test NAME, or cut one off train with --data.test_fraction 0.1",
        {"set/test.jsonl": None},
    ),
    Bad(
        "split that is not there",
        "set: no file 'test.json' for the test split; did you mean 'test.jsonl'?",
        change=("source: set", "source: set, splits: {test: test.json}"),
    ),
    Bad(
        "empty split",
        "set/test.jsonl: no sentences; the test split needs some",
        {"set/test.jsonl": ""},
    ),
    Bad(
        "split without the labels asked for",
        "exp.yaml:2 data.labels: no sentence of the test split has one of these labels; name others",
        in_train(row("rice and tea", "O O O", "food")),
        change=("source: set", "source: set, labels: [weather, food]"),
    ),
    Bad(
        "one class",
        "set label: every training sentence has the label 'weather'; classification needs two labels or more",
        {
            f"set/{name}.jsonl": row(f"{word} in oslo", "O O B-LOC", "weather")
            for name, word in (("train", "sun"), ("test", "fog"))
        },
    ),
    Bad(
        "no entities",
        "set ner_tags: no training sentence has an entity; tag some",
        {"set/train.jsonl": row("sun again", "O O", "weather") + row("a goal", "O O", "sport")},
    ),
    Bad(
        "test sentences that training has",
        "set/test.jsonl:2: test: 1 of 2 sentences (50.0%) also stand in train, 0 of them exactly; the limit is 5.0%; "
        "remove them (the first also stands at set/train.jsonl:1), or allow them with --data.max_duplicates 0.51",
        in_test(row("Rain near Oslo", "O O B-LOC", "weather")),
    ),
    Bad(
        "training split as the test split",
        "set/train.jsonl:1: test: 4 of 4 sentences (100.0%) also stand in train, 4 of them exactly; the limit is 5.0%; "
        "remove them (the first also stands at set/train.jsonl:1), or allow them with --data.max_duplicates 1.00",
        options="--data.splits.test train.jsonl",
    ),
    Bad(
        "column that is not there",
        "set/train.jsonl: no column 'intent'; the columns are tokens, ner_tags, label; pass --data.columns.label COLUMN",
        options="--data.columns.label intent",
    ),
    Bad(
        "text for NER",
        "set/train.jsonl: no column 'tokens'; the columns are text, ner_tags, label; "
        "tags belong to words: write the text as a list of words, or pass --data.columns.tokens COLUMN",
        {"set/train.jsonl": TRAIN.replace("tokens", "text")},
    ),
    Bad(
        "more training sentences than there are",
        "exp.yaml:2 data.train_size: 100 is above the 4 training sentences of set; pass 4 at most, or full",
        change=("source: set", "source: set, train_size: 100"),
    ),
    # the experiment file
    Bad(
        "key that is not known",
        "exp.yaml:1 bach_size: unknown key; did you mean 'batch_size'?",
        change=top("bach_size: 8"),
    ),
    Bad(
        "selector that is not known",
        f"{FULL}.train.encodr: unknown selector 'encodr'; did you mean 'encoder'?",
        change=("all: 1.0e-3", "encodr: 1.0e-3"),
    ),
    Bad(
        "loss that is not known",
        f"{FULL}.losses.0: 'nre' is not known; did you mean 'ner'?",
        change=stage("{epochs: 0, losses: [nre]}"),
    ),
    Bad(
        "control that is not there",
        "exp.yaml:8 control: no scenario is called 'ful'; did you mean 'full'?",
        change=("full\ns", "ful\ns"),
    ),
    Bad(
        "half an epoch",
        f"{FULL}.epochs: 1.5 is not a whole number",
        change=stage("{epochs: 1.5, train: {all: 1}}"),
    ),
    Bad(
        "no seeds",
        "exp.yaml:4 seeds: there is no seed; give at least one, as in `[0]`",
        change=("[0]", "[]"),
    ),
    Bad(
        "seed twice",
        "exp.yaml:4 seeds.2: seed 1 stands twice; keep one of them",
        change=("[0]", "[1, 0, 1]"),
    ),
    Bad("negative rate", f"{FULL}.train.all: {RATE.format('-0.001')}", change=rate("-1.0e-3")),
    Bad(
        "rate that is no number",
        f"{FULL}.train.all: nan is not a finite number",
        change=rate(".nan"),
    ),
    Bad("infinite rate", f"{FULL}.train.all: inf is not a finite number", change=rate(".inf")),
    Bad(
        "rate in quotes",
        f"{FULL}.train.all: '1e-5' is text, not a number; take the quotes off",
        change=rate("'1e-5'"),
    ),
    Bad(
        "key twice",
        "exp.yaml:5: the key 'seeds' stands twice; keep one of them",
        change=top("seeds: [1]"),
    ),
    Bad(
        "tag",
        "exp.yaml:1: the tag !!python/name:os.system has no place in an experiment file; take it out",
        change=top("question: !!python/name:os.system x"),
    ),
    Bad(
        "tab",
        "exp.yaml:11: not YAML: a tab; indent with spaces",
        change=("    - {epochs: 1, train: {heads", "\t- {epochs: 1, train: {heads"),
    ),
    Bad("no data", f"exp.yaml:2 data: {NO_DATA}", change=("{source: set}", "")),
    Bad(
        "data file as the experiment",
        "exp.yaml:2: not YAML: more after the first value; an experiment file is one mapping of keys to values",
        {"exp.yaml": TRAIN},
    ),
    Bad(
        "file that is no text",
        "exp.yaml: not UTF-8 at byte 2; save the file as UTF-8",
        {"exp.yaml": b"PK\x90\x03\x04"},
    ),
    Bad(
        "epochs but nothing to train",
        f"{FULL}: there are epochs but nothing to train; add `train`, or write `epochs: 0`",
        change=stage("{epochs: 1}"),
    ),
    Bad(
        "head that no loss reaches",
        f"{FULL}.losses: no loss reaches what trains here; name the head's own task among `losses`",
        change=stage("{epochs: 1, train: {head.classifier: 1.0e-2}, losses: [ner]}"),
    ),
    Bad(
        "rehearsal of nothing",
        f"{FULL}.rehearsal: rehearsal keeps what a checkpoint knows, and there is none here; add `start`, or take rehearsal out",
        change=stage("{epochs: 1, train: {all: 1.0e-3}, losses: [ner], rehearsal: 0.5}"),
    ),
    Bad(
        "selector out of range",
        f"{FULL}.train.layers[9]: selector 'layers[9]' is out of range; the encoder has layers[0:3]",
        change=("all: 1.0e-3", '"layers[9]": 1.0e-3'),
    ),
    Bad(
        "selector that matches nothing",
        f"{FULL}.train.layers[2:1]: selector 'layers[2:1]' matches no block; the encoder has layers[0:3]",
        change=("all: 1.0e-3", '"layers[2:1]": 1.0e-3'),
    ),
    Bad(
        "selector that comes too late",
        f"{FULL}.train.heads: selector 'heads' comes after others that match all it names; put it first, or leave it out",
        change=("all: 1.0e-3", "all: 1.0e-3, heads: 1.0e-2"),
    ),
    Bad(
        "longer than the encoder reads",
        "exp.yaml:1 max_length: 512 is above the encoder's 64 tokens; give at most 64",
        change=top("max_length: 512"),
    ),
    Bad(
        "swept to longer than the encoder reads",
        "exp.yaml:14 max_length: 512 is above the encoder's 64 tokens; give at most 64",
        change=("{all: 1.0e-3}}\n", "{all: 1.0e-3}}\nsweep: {max_length: [32, 512]}\n"),
    ),
    Bad(
        "sweep of what belongs to all",
        "exp.yaml:1 sweep.device: device cannot be swept; it is the same for the whole experiment",
        change=top("sweep: {device: [cpu, cuda]}"),
    ),
    # the command line
    Bad(
        "option without a value",
        "--seeds: no value; write settings as --key value",
        options="--seeds",
    ),
    Bad(
        "scenario that is not there",
        "--scenarios: no scenario is called 'haeds'; did you mean 'heads'?",
        options="--scenarios full haeds",
    ),
    Bad(
        "option that is not known",
        "--batchsize: unknown key; did you mean 'batch_size'?",
        options="--batchsize 8",
    ),
    Bad(
        "option longer than the encoder reads",
        "--max_length: 512 is above the encoder's 64 tokens; give at most 64",
        options="--max_length 512",
    ),
    Bad(
        "GPU where there is none",
        "--device: cuda was asked for, none found; use `--device auto` or `--device cpu`",
        options="--device cuda",
        works=torch.cuda.is_available(),
    ),
    Bad(
        "device that is not known",
        "--device: 'gpu' is not known; write auto, cpu, cuda, or cuda:0 for one of several",
        options="--device gpu",
    ),
    # the output
    Bad(
        "file as the output",
        f"exp.yaml: cannot be written (File exists); {WRITE}",
        options="--output exp.yaml",
    ),
    Bad(
        "output below a file",
        f"exp.yaml/a: cannot be written (Not a directory); {WRITE}",
        options="--output exp.yaml/a",
    ),
    Bad(
        "output with too long a name",
        f"{LONG}: cannot be written (File name too long); {WRITE}",
        options=f"--output {LONG}",
    ),
    Bad(
        "output where nothing may be written",
        f"locked/report: cannot be written (Permission denied); {WRITE}",
        {"locked/": None},
        options="--output locked/report",
        works=os.geteuid() == 0,
    ),
    Bad(
        "output that is no path",
        "exp.yaml:7 output: 'a\\x00b' holds a control character; take it out",
        change=("output: report", 'output: "a\\0b"'),
    ),
    Bad(
        "empty output",
        "--output: '' cannot be the path of a directory; name another, or leave the key out",
        options="--output ''",
    ),
    # the encoder
    Bad(
        "encoder that is not there",
        "--encoder: no encoder in encodr; a directory holds config.json, model.safetensors and a tokenizer",
        options="--encoder ./encodr",
    ),
    Bad(
        "encoder without weights",
        "exp.yaml:1 encoder: no weights for encoder ./encoder (…); it needs model.safetensors",
        {"encoder/model.safetensors": None},
    ),
    Bad(
        "weights that were not fetched",
        f"exp.yaml:1 encoder: the weights of ./encoder cannot be loaded (…); {ANEW}",
        {
            "encoder/model.safetensors": "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
        },
    ),
    Bad(
        "encoder without a tokenizer",
        "exp.yaml:1 encoder: no tokenizer for encoder ./encoder; its directory holds tokenizer.json",
        {"encoder/tokenizer.json": None, "encoder/tokenizer_config.json": None},
    ),
    Bad(
        "damaged tokenizer",
        "exp.yaml:1 encoder: the tokenizer of ./encoder cannot be read (…); put its tokenizer.json there anew",
        {"encoder/tokenizer.json": '{"model": {}}'},
    ),
    Bad(
        "tokenizer without padding",
        "exp.yaml:1 encoder: the tokenizer of ./encoder has no padding token; add `pad_token` to its tokenizer_config.json",
        encoder=other("tokenizer_config.json", pad_token=None),
    ),
    Bad(
        "tokenizer of a larger encoder",
        "exp.yaml:1 encoder: the tokenizer of ./encoder gives token 26, and the encoder has 10; "
        "put the tokenizer there that it was trained with",
        encoder=lambda directory: tiny.write_encoder(directory, vocab_size=10),
    ),
    Bad(
        "configuration that is no JSON",
        "exp.yaml:1 encoder: config.json of ./encoder cannot be used (…); put that of a transformers encoder there",
        {"encoder/config.json": "bert"},
    ),
    Bad(
        "configuration with text for a number",
        "exp.yaml:1 encoder: config.json of ./encoder cannot be used (Validation error for field 'hidden_size'); "
        "put that of a transformers encoder there",
        encoder=other("config.json", hidden_size="small"),
    ),
    Bad(
        "configuration that does not fit",
        f"exp.yaml:1 encoder: the weights of ./encoder cannot be loaded (…); {ANEW}",
        encoder=other("config.json", num_attention_heads=5),
    ),
    Bad(
        "encoder with code of its own",
        "exp.yaml:1 encoder: encoder ./encoder comes with code of its own; mtlab runs none, so take another",
        encoder=other("config.json", auto_map={"AutoModel": "own.Model"}),
    ),
    Bad(
        "encoder-decoder",
        "exp.yaml:1 encoder: t5 is an encoder-decoder; mtlab takes encoders, such as BERT or RoBERTa",
        {"encoder/config.json": '{"model_type": "t5"}'},
    ),
    Bad(
        "encoder with one block for all layers",
        "exp.yaml:1 encoder: the 3 layers of albert are not 3 blocks that run one after another (ALBERT shares one), "
        "so none can be frozen alone; take BERT, RoBERTa, DistilBERT, ELECTRA, MPNet, DeBERTa or ModernBERT",
        encoder=albert,
    ),
    Bad(
        "model that wants a picture",
        "exp.yaml:1 encoder: clip does not make hidden states of tokens (…); "
        "take BERT, RoBERTa, DistilBERT, ELECTRA, MPNet, DeBERTa or ModernBERT",
        encoder=clip,
    ),
    Bad(
        "revision of a directory",
        "--encoder.revision: a local encoder has no revisions; leave it out",
        options="--encoder.revision v1",
    ),
]

OFFLINE = [
    Bad(
        "encoder that only the hub has",
        "--encoder: no encoder owner/model (the hub is out of reach, and it is not in the cache); "
        "check the name; where no hub can be reached, give a local directory or `minilm`",
        options="--encoder owner/model",
    ),
    Bad(
        "data that only the hub has",
        "--data.source: 'owner/set' is not a file or directory here, and as a data set it is not in the cache, with the hub out of reach; "
        "check the path, or connect and unset HF_HUB_OFFLINE where it is set",
        options="--data.source owner/set",
    ),
]
"""What only shows where ``HF_HUB_OFFLINE`` was set before anything was imported: in a process of
its own."""

PROGRAM = "import json, sys; from mtlab.cli import main; print(*[main(one) for one in json.loads(sys.argv[1])])"


@pytest.fixture
def home(tmp_path: Path, encoder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory in which everything is right."""
    shutil.copytree(encoder, tmp_path / "encoder")
    (tmp_path / "set").mkdir()
    for split, rows in (("train", TRAIN), ("validation", VALIDATION), ("test", TEST)):
        (tmp_path / "set" / f"{split}.jsonl").write_text(rows)
    (tmp_path / "exp.yaml").write_text(EXPERIMENT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    return tmp_path


def make(bad: Bad, home: Path) -> list[str]:
    """Make the mistake; returns the command line."""
    text = EXPERIMENT.replace(*bad.change)
    assert (text == EXPERIMENT) is (bad.change == ("", ""))
    (home / "exp.yaml").write_text(text)
    for name, content in bad.files.items():
        file = home / name
        file.parent.mkdir(exist_ok=True)
        if name.endswith("/"):
            file.mkdir(mode=0o500)
        elif content is None:
            file.unlink()
        else:
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
    bad.encoder(home / "encoder")
    return ["compare", "exp.yaml", *shlex.split(bad.options)]


def same(told: str, expected: str) -> bool:
    """Whether a line is the one expected, whatever stands where that has ``…``."""
    start, gap, end = f"mtlab: {expected}".partition("…")
    return (
        told == start
        if not gap
        else told.startswith(start) and told.endswith(end) and len(told) > len(start + end)
    )


def nothing_was_trained(home: Path) -> bool:
    return not [*home.rglob("records"), *home.rglob("predictions"), *home.rglob("mlflow.db")]


def test_what_the_mistakes_are_made_in_is_right(
    home: Path, empty_database: Path, capsys: pytest.CaptureFixture
) -> None:
    shutil.copy(empty_database, home / "mlflow.db")
    assert main(["compare", "exp.yaml"]) == 0
    assert capsys.readouterr().err == ""
    assert len(list((home / "report" / "records").iterdir())) == 2


@pytest.mark.parametrize("bad", CASES, ids=lambda bad: bad.name.replace(" ", "_"))
def test_a_mistake_is_one_line_and_nothing_is_trained(
    bad: Bad, home: Path, capsys: pytest.CaptureFixture
) -> None:
    if bad.works:
        pytest.skip("no mistake here")
    status = main(make(bad, home))
    (told,) = capsys.readouterr().err.splitlines()
    assert same(told, bad.line), told
    assert status == 2
    assert nothing_was_trained(home)


@pytest.mark.process
def test_offline(home: Path) -> None:
    environment = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(home / "cache"),
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    command = [sys.executable, "-c", PROGRAM, json.dumps([make(bad, home) for bad in OFFLINE])]
    ended = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    lines = ended.stderr.splitlines()
    assert len(lines) == len(OFFLINE), ended.stderr
    assert all(same(told, bad.line) for told, bad in zip(lines, OFFLINE, strict=True)), ended.stderr
    assert ended.stdout.split() == ["2"] * len(OFFLINE)
    assert nothing_was_trained(home)


def test_there_are_many_mistakes_and_no_two_of_a_name() -> None:
    names = [bad.name for bad in CASES + OFFLINE]
    assert len(names) == len(set(names)) >= 45
