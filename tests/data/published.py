"""Data sets in miniature, laid out as well-known ones are published: names of files, columns, comments
and all. Every layout has the same sentences, so that what is read can be compared with them."""

import csv
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

COUNTS = {"train": 30, "validation": 8, "test": 9}
TAGS = [
    ["O", "B-PER", "I-PER", "O", "B-LOC"],
    ["B-LOC", "O", "O"],
    ["O", "O", "B-PER", "B-LOC"],
    ["O", "O", "B-LOC", "I-LOC", "I-LOC", "O"],
]
POS = ["DT", "NN", "VB", "IN", "JJ", "RB"]
INTENTS = ["book", "play", "ask"]
SYLLABLES = ["ka", "lo", "mi", "re", "tu", "vo", "zen", "bar", "dol", "fen"]


class Line(NamedTuple):
    """A sentence: its words, their tags in IOB2, and its label."""

    tokens: list[str]
    tags: list[str]
    label: str

    @property
    def text(self) -> str:
        return " ".join(self.tokens)

    @property
    def spans(self) -> list[list[Any]]:
        """Its entities by characters."""
        found: list[list[Any]] = []
        at = 0
        for token, tag in zip(self.tokens, self.tags, strict=True):
            if tag.startswith("B-"):
                found.append([at, at + len(token), tag[2:]])
            elif tag.startswith("I-"):
                found[-1][1] = at + len(token)
            at += len(token) + 1
        return found

    @property
    def marked(self) -> str:
        """Its text with `[type : words]`."""
        text = self.text
        for start, end, kind in reversed(self.spans):
            text = f"{text[:start]}[{kind.lower()} : {text[start:end]}]{text[end:]}"
        return text


Splits = dict[str, list[Line]]


def line(number: int) -> Line:
    tags = TAGS[number % len(TAGS)]
    pieces = [SYLLABLES[(number // 10**place) % 10] for place in range(3)]
    tokens = [
        f"{SYLLABLES[place]}{pieces[place % 3]}{pieces[(place + 1) % 3]}"
        for place in range(len(tags))
    ]
    return Line(tokens, tags, INTENTS[number % len(INTENTS)])


def splits() -> Splits:
    first, made = 0, {}
    for split, count in COUNTS.items():
        made[split] = [line(number) for number in range(first, first + count)]
        first += count
    return made


def put(path: Path, lines: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def columns(
    some: Sequence[Line], cells: Callable[[Line, int], Sequence[str]], by: str = "\t"
) -> list[str]:
    """The lines of a file with a token a line; ``cells`` are those of a word."""
    return [
        text
        for sentence in some
        for text in [*(by.join(cells(sentence, at)) for at in range(len(sentence.tokens))), ""]
    ]


def two(sentence: Line, at: int) -> Sequence[str]:
    return sentence.tokens[at], sentence.tags[at]


def bmes(tags: Sequence[str], inside: str = "M") -> list[str]:
    made = []
    for tag, after in zip(tags, [*tags[1:], "O"], strict=True):
        last = not after.startswith("I-")
        first = {"B": "S" if last else "B", "I": "E" if last else inside}.get(tag[0], "O")
        made.append(tag if tag == "O" else f"{first}{tag[1:]}")
    return made


def wnut17(root: Path, made: Splits) -> None:
    names = ("wnut17train.conll", "emerging.dev.conll", "emerging.test.annotated")
    for name, some in zip(names, made.values(), strict=True):
        put(root / name, columns(some, two))


def conll2003(root: Path, made: Splits, names: Sequence[str]) -> None:
    def cells(sentence: Line, at: int) -> Sequence[str]:
        chunk = "B-NP" if at % 2 == 0 else "I-NP"
        return sentence.tokens[at], POS[at], chunk, sentence.tags[at]

    for name, some in zip(names, made.values(), strict=True):
        put(root / name, ["-DOCSTART- -X- -X- O", "", *columns(some, cells, " ")])


def bc2gm(root: Path, made: Splits) -> None:
    for name, some in zip(("train", "devel", "test"), made.values(), strict=True):
        put(root / f"{name}.tsv", columns(some, lambda s, at: (s.tokens[at], s.tags[at][0])))


def jointbert(root: Path, made: Splits) -> None:
    for name, some in zip(("train", "dev", "test"), made.values(), strict=True):
        put(root / name / "seq.in", [sentence.text for sentence in some])
        put(root / name / "seq.out", [" ".join(sentence.tags) for sentence in some])
        put(root / name / "label", [sentence.label for sentence in some])
    put(root / "intent_label.txt", ["UNK", *INTENTS])
    put(root / "slot_label.txt", ["PAD", "UNK", "O", "B-PER", "I-PER", "B-LOC", "I-LOC"])


def clinc(root: Path, made: Splits) -> None:
    pairs = [[[sentence.text, sentence.label] for sentence in some] for some in made.values()]
    out = [["what is this", "oos"]]
    names = ("train", "val", "test")
    value = {
        "oos_val": out,
        **dict(zip(names, pairs, strict=True)),
        "oos_test": out,
        "oos_train": out,
    }
    put(root / "data_full.json", [json.dumps(value)])


def crossner(root: Path, made: Splits) -> None:
    for name, some in zip(("train", "dev", "test"), made.values(), strict=True):
        put(root / f"{name}.txt", columns(some, two))


def massive(root: Path, made: Splits) -> None:
    rows = []
    for name, some in zip(("train", "dev", "test"), made.values(), strict=True):
        rows += [
            {
                "id": str(len(rows) + number), "locale": "en-US", "partition": name, "scenario": sentence.label[:2],
                "intent": sentence.label, "utt": sentence.text, "annot_utt": sentence.marked, "worker_id": str(number % 7),
            }
            for number, sentence in enumerate(some)
        ]  # fmt: skip
    put(root / "en-US.jsonl", [json.dumps(row) for row in rows])


def germeval(root: Path, made: Splits) -> None:
    for name, some in zip(("train", "dev", "test"), made.values(), strict=True):
        lines = []
        for number, sentence in enumerate(some):
            nested = [
                "B-LOCderiv" if tag == "B-LOC" and number % 5 == 0 else "O" for tag in sentence.tags
            ]
            cells = zip(sentence.tokens, sentence.tags, nested, strict=True)
            lines.append(f"#\thttp://de.example.org/{number} [2010-01-17]")
            lines += ["\t".join((str(at), *cell)) for at, cell in enumerate(cells, start=1)] + [""]
        put(root / f"NER-de-{name}.tsv", lines)


def resume(root: Path, made: Splits) -> None:
    for name, some in zip(("train", "dev", "test"), made.values(), strict=True):
        put(
            root / f"{name}.char.bmes",
            columns(some, lambda s, at: (s.tokens[at], bmes(s.tags)[at]), " "),
        )


def multiconer(root: Path, made: Splits) -> None:
    for name, some in zip(("train", "dev", "test"), made.values(), strict=True):
        lines = []
        for number, sentence in enumerate(some):
            lines += ["", f"# id {number:08x}-ab\tdomain=en"]
            lines += [
                f"{token} _ _ {tag}"
                for token, tag in zip(sentence.tokens, sentence.tags, strict=True)
            ]
        put(root / f"en_{name}.conll", lines)


def label_studio(root: Path, made: Splits) -> None:
    for name, some in zip(("train", "dev", "test"), made.values(), strict=True):
        cells = columns(some, lambda s, at: (s.tokens[at], "-X-", "_", s.tags[at]), " ")
        put(root / f"{name}.conll", ["-DOCSTART- -X- O", *cells])


def kaggle(root: Path, made: Splits) -> None:
    with (root / "ner_dataset.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["Sentence #", "Word", "POS", "Tag"])
        for number, sentence in enumerate(made["train"], start=1):
            for at, cells in enumerate(zip(sentence.tokens, POS, sentence.tags, strict=False)):
                table.writerow(["" if at else f"Sentence: {number}", *cells])


def token_rows(root: Path, made: Splits) -> None:
    """The same with an object a token, and numbers of sentences and of words."""
    for name, some in zip(("train", "dev", "test"), made.values(), strict=True):
        put(
            root / f"{name}.jsonl",
            [
                json.dumps({"sentence_id": number, "token_id": at, "token": token, "ner_tag": tag, "intent": sentence.label})
                for number, sentence in enumerate(some)
                for at, (token, tag) in enumerate(zip(sentence.tokens, sentence.tags, strict=True))
            ],
        )  # fmt: skip


def doccano(root: Path, made: Splits) -> None:
    for name, some in zip(("train", "valid", "test"), made.values(), strict=True):
        put(
            root / f"{name}.jsonl",
            [
                json.dumps(
                    {"id": number, "text": sentence.text, "label": sentence.spans, "Comments": []}
                )
                for number, sentence in enumerate(some)
            ],
        )


def doccano_relations(root: Path, made: Splits) -> None:
    for name, some in zip(("train", "valid", "test"), made.values(), strict=True):
        rows = []
        for sentence in some:
            entities = [
                {"id": number, "label": kind, "start_offset": start, "end_offset": end}
                for number, (start, end, kind) in enumerate(sentence.spans)
            ]
            rows.append({"text": sentence.text, "entities": entities, "relations": []})
        put(root / f"{name}.jsonl", [json.dumps(row) for row in rows])


def spacy(root: Path, made: Splits) -> None:
    for name, some in zip(("train", "dev", "test"), made.values(), strict=True):
        rows = [[sentence.text, {"entities": sentence.spans}] for sentence in some]
        put(root / f"{name}.json", [json.dumps(rows)])


def doccano_csv(root: Path, made: Splits) -> None:
    for name, some in zip(("train", "dev", "test"), made.values(), strict=True):
        with (root / f"{name}.csv").open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["text", "label"])
            table.writerows([sentence.text, json.dumps(sentence.spans)] for sentence in some)


def fewnerd(root: Path, made: Splits) -> None:
    for name, some in zip(("train", "dev", "test"), made.values(), strict=True):
        put(
            root / f"{name}.txt", columns(some, lambda s, at: (s.tokens[at], s.tags[at][2:] or "O"))
        )


def rasa(root: Path, made: Splits) -> None:
    for name, some in zip(("train", "dev", "test"), made.values(), strict=True):
        rows = [
            {
                "text": re.sub(r"\[(\w+) : ([^\]]*)\]", r"[\2](\1)", sentence.marked),
                "intent": sentence.label,
            }
            for sentence in some
        ]
        put(root / f"{name}.jsonl", [json.dumps(row) for row in rows])


def prodigy(root: Path, made: Splits) -> None:
    for name, some in zip(("train", "dev", "test"), made.values(), strict=True):
        rows = [
            {
                "text": sentence.text,
                "tokens": [{"text": token, "id": at} for at, token in enumerate(sentence.tokens)],
                "spans": [
                    {"start": start, "end": end, "label": kind}
                    for start, end, kind in sentence.spans
                ],
            }
            for sentence in some
        ]
        put(root / f"{name}.jsonl", [json.dumps(row) for row in rows])


def universal(root: Path, made: Splits) -> None:
    for name, some in zip(("train", "dev", "test"), made.values(), strict=True):
        lines = []
        for number, sentence in enumerate(some):
            lines += [f"# sent_id = {number}", f"# text = {sentence.text}"]
            for at, token in enumerate(sentence.tokens, start=1):
                if at == 2:
                    lines.append(f"2-3\t{token}x\t_\t_\t_\t_\t_\t_\t_\t_")
                lines.append(f"{at}\t{token}\t{token}\t{POS[at - 1]}\t_\t_\t{at - 1}\tdep\t_\t_")
            lines.append("")
        put(root / f"en_ewt-ud-{name}.conllu", lines)


class Layout(NamedTuple):
    """A layout: what writes it, the source, and what its sentences have."""

    write: Callable[[Path, Splits], None]
    source: str = "set"
    has: str = "tags"
    alone: bool = False
    """Whether there is nothing but a training split."""


LAYOUTS = {
    "wnut17": Layout(wnut17),
    "conll2003": Layout(lambda root, made: conll2003(root, made, ("train.txt", "valid.txt", "test.txt"))),
    "conll2003, as it came": Layout(
        lambda root, made: conll2003(root, made, ("eng.train", "eng.testa", "eng.testb"))
    ),
    "bc2gm": Layout(bc2gm, has="bare tags"),
    "jointbert": Layout(jointbert, has="both"),
    "clinc": Layout(clinc, has="label"),
    "clinc, the file": Layout(clinc, "set/data_full.json", has="label"),
    "crossner": Layout(crossner),
    "massive": Layout(massive, "set/en-US.jsonl", has="marked"),
    "germeval": Layout(germeval),
    "resume": Layout(resume),
    "multiconer": Layout(multiconer),
    "label studio": Layout(label_studio),
    "kaggle": Layout(kaggle, "set/ner_dataset.csv", alone=True),
    "a token a row": Layout(token_rows, has="both"),
    "doccano": Layout(doccano),
    "doccano with relations": Layout(doccano_relations),
    "doccano as csv": Layout(doccano_csv),
    "spacy": Layout(spacy),
    "prodigy": Layout(prodigy),
    "few-nerd": Layout(fewnerd),
    "rasa": Layout(rasa, has="marked"),
    "universal dependencies": Layout(universal, has="pos"),
}  # fmt: skip
