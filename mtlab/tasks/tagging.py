"""Tasks with one tag per word: entities in IOB2, or plain tags."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from mtlab.tasks import linear
from mtlab.tasks.classification import right_classes
from mtlab.tasks.kind import (
    IGNORE,
    BadValue,
    Codes,
    Columns,
    Context,
    Kind,
    Score,
    Scored,
    largest_share,
    named,
)
from mtlab.tasks.tags import entities, entity_type

Tags = tuple[str, ...]
NOTES = {
    True: (
        "Micro-averaged over entities, in seqeval's default mode, which is conlleval's and the literature's; *strict* is seqeval's "
        '`mode="strict", scheme=IOB2`, which counts only entities that begin with a B tag. The two differ by points, so compare like '
        "with like."
    ),
    False: "Macro F1 is the mean of F1 over the tags that are gold or predicted, each as much as any other.",
}
COLUMNS = {
    True: ("ner_tags", "ner", "tags", "tag", "entities", "slots", "bio", "iob", "labels"),
    False: ("pos_tags", "pos", "upos", "tags", "tag", "labels"),
}
"""Whether tags mark entities, to the usual names of their columns."""
OUTSIDE = "O"
"""The tag of a word outside of entities."""


class Entity(NamedTuple):
    """An entity: words ``start`` to ``end`` of a sentence, both included."""

    sentence: int
    type: str
    start: int
    end: int


class Tagging(Kind):
    """One tag per word.

    Args:
        spans: whether the tags mark entities in IOB2. The metric is then F1 of entities; otherwise
            it is the share of words with the right tag.
    """

    name = "tagging"
    options = frozenset({"spans"})
    of_words = many = True
    loss = "cross-entropy"
    gold_title = "tags"
    wants = "a list of tags, one a word"
    usual: tuple[str, ...] = COLUMNS[True]
    code = (
        '[(word, {facts}["names"][tag]) '
        "for word, tag in zip(inputs.word_ids(), {logits}.argmax(dim=-1))]"
    )

    def __init__(self, spans: bool = True) -> None:
        self.spans = spans
        self.title = "entity recognition" if spans else "tagging"
        self.short = "NER" if spans else "tagging"
        self.usual = COLUMNS[spans]
        self.margin = 0.04 if spans else 0.02
        self.value_title = "entity type" if spans else "tag"
        self.note = NOTES[spans]
        self.wrong = "entities have a wrong type" if spans else "tags are wrong"
        self.metrics = {
            "f1": "entity F1",
            "precision": "entity precision",
            "recall": "entity recall",
            "f1_strict": "entity F1, strict IOB2",
            "precision_strict": "entity precision, strict IOB2",
            "recall_strict": "entity recall, strict IOB2",
        } if spans else {"accuracy": "accuracy a word", "macro_f1": "macro F1"}  # fmt: skip

    def read(self, value: list[Any], names: Sequence[str] | None, words: int | None) -> Tags:
        """The tag of each word, as the source writes it."""
        if words is None:
            raise BadValue("tags without words", "give the sentence as a list of words")
        if len(value) != words:
            raise BadValue(f"{words} tokens but {len(value)} tags", "give every token one tag")
        return tuple(
            named(item, names, f"tag {place + 1}", place) for place, item in enumerate(value)
        )

    def values(self, gold: Tags | None) -> list[str]:
        """The type of each entity; for plain tags, the tag of each word."""
        tags = gold or ()
        return [tag[2:] for tag in tags if tag.startswith("B-")] if self.spans else list(tags)

    def known(self, codes: Codes) -> list[str]:
        """The entity types; for plain tags, the tags."""
        if not self.spans:
            return sorted(codes.names)
        return sorted({kind for tag in codes.names if (kind := entity_type(tag)) is not None})

    def stratum(self, gold: Tags | None) -> str | None:
        """Whether the sentence has an entity; None for plain tags."""
        if gold is None or not self.spans:
            return None
        return "entity" if any(tag != OUTSIDE for tag in gold) else "none"

    def learn(self, golds: Iterable[Tags | None]) -> Codes:
        """The tags, sorted. For entities ``O`` comes first, even where it does not occur."""
        return self.join([Codes(tuple({tag for gold in golds for tag in gold or ()}))])

    def join(self, codes: Sequence[Codes]) -> Codes:
        """The tags of all."""
        tags = {tag for part in codes for tag in part.names}
        return Codes((OUTSIDE, *sorted(tags - {OUTSIDE})) if self.spans else tuple(sorted(tags)))

    def lack(self, codes: Codes) -> tuple[str, str] | None:
        """There must be an entity; for plain tags, two different tags."""
        if len(codes.names) > 1:
            return None
        if self.spans:
            return "no training sentence has an entity", "tag some"
        return "every training word has the same tag", "tagging needs two tags or more"

    def targets(self, gold: Tags | None, codes: Codes) -> np.ndarray:
        """(words,): the number of each tag, ``IGNORE`` for a tag that training does not have."""
        return np.asarray([codes.numbers.get(tag, IGNORE) for tag in gold or ()], dtype=np.int64)

    def predicted(self, raw: np.ndarray, codes: Codes, words: np.ndarray) -> list[str]:
        """One tag per word. A word without a sub-word is scored, too: as ``O`` where tags mark
        entities, otherwise with an empty tag, which is wrong.
        """
        missing = OUTSIDE if self.spans else ""
        return [codes.names[raw[position]] if position >= 0 else missing for position in words]

    def answer(self, predicted: list[str], context: Context, codes: Codes) -> dict[str, Any]:
        """The entities, each with the mean of its words' probabilities. For plain tags, each word
        with its tag, which is None for a word without a sub-word.
        """
        best = context.chances.max(axis=-1).tolist()
        scores = [best[position] if position >= 0 else None for position in context.words]
        if self.spans:
            return {"entities": [_entity(context, scores, *at) for at in entities(predicted)]}
        return {
            "tags": [
                {
                    "word": context.text[start:end],
                    "start": start,
                    "end": end,
                    "tag": None if score is None else tag,
                    "score": None if score is None else round(score, 6),
                }
                for tag, score, (start, end) in zip(predicted, scores, context.places, strict=True)
            ]
        }

    def score(self, pairs: Sequence[tuple[Sequence[str], Sequence[str]]]) -> Scored:
        """Precision, recall and F1 of entities, in seqeval's default mode, which reads tags as
        conlleval does, and in strict IOB2; all are undefined without gold entities. For plain tags,
        accuracy and macro F1 of words.
        """
        if not self.spans:
            return right_classes(
                *([tag for pair in pairs for tag in pair[side]] for side in (0, 1))
            )
        sides = [[tuple(pair[side]) for pair in pairs] for side in (0, 1)]
        lenient, strict = ([_entities(side, mode) for side in sides] for mode in (False, True))
        gold, predicted = map(_by_type, lenient)
        return Scored(
            {
                **_micro(*lenient),
                **{f"{metric}_strict": value for metric, value in _micro(*strict).items()},
            },
            {
                name: {**_micro(gold[name], predicted[name]), "support": len(gold[name])}
                for name in sorted(gold.keys() | predicted.keys())
            },
        )

    def constant_score(self, golds: Sequence[Tags]) -> float:
        """For entities 0, the score of an answer without entities; for plain tags, the share of the
        most frequent tag.
        """
        return 0.0 if self.spans else largest_share(tag for gold in golds for tag in gold)

    def columns(
        self, pairs: Sequence[tuple[Sequence[str], Sequence[str]]]
    ) -> dict[str, tuple[int | float, ...]]:
        """How many entities of each sentence are right, predicted, and gold, in seqeval's default
        mode. For plain tags, how many words have the right tag, and how many words there are.
        """
        if not self.spans:
            right = tuple(sum(map(str.__eq__, gold, predicted)) for gold, predicted in pairs)
            return {"right": right, "words": tuple(len(gold) for gold, _ in pairs)}
        spans = ((set(_read(tuple(tags), False)) for tags in pair) for pair in pairs)
        return linear.overlaps((gold, predicted) for gold, predicted in spans)

    def linear(self, columns: Columns) -> np.ndarray | None:
        """See :func:`mtlab.tasks.linear.f1`; for plain tags, :func:`mtlab.tasks.linear.ratio`."""
        values = {name: np.array(numbers) for name, numbers in columns.items()}
        if self.spans:
            return linear.f1(values["right"], values["predicted"], values["gold"])
        return linear.ratio(values["right"], values["words"]) if values["words"].sum() else None

    def with_value(self, gold: Tags | None, at: int, value: str) -> Tags:
        """The tags with a new type for one entity; for plain tags, with a new tag for one word."""
        tags = gold or ()
        if not self.spans:
            return (*tags[:at], value, *tags[at + 1 :])
        _, begin, end = list(entities(tags))[at]
        inside = (f"I-{value}" for _ in tags[begin + 1 : end])
        return (*tags[:begin], f"B-{value}", *inside, *tags[end:])

    def within(self, gold: Tags | None, known: Collection[str]) -> Tags | None:
        """The tags without entities of unknown types; for plain tags, see :meth:`Kind.within`."""
        if gold is None or not self.spans:
            return super().within(gold, known)
        kept = list(gold)
        for kind, begin, end in entities(gold):
            if kind not in known:
                kept[begin:end] = [OUTSIDE] * (end - begin)
        return tuple(kept)

    def may_be(
        self, gold: Tags | None, at: int, known: Iterable[str], longer: Iterable[str]
    ) -> list[str]:
        """The other types or tags. For an entity of several words, only types of such entities."""
        if self.spans:
            _, begin, end = list(entities(gold or ()))[at]
            known = longer if end > begin + 1 else known
        return [value for value in known if value != self.values(gold)[at]]

    def longer(self, gold: Tags | None) -> set[str]:
        """The types of entities of several words."""
        return {tag[2:] for tag in gold or () if tag.startswith("I-")} if self.spans else set()


def _entity(
    context: Context, scores: Sequence[float | None], kind: str, begin: int, end: int
) -> dict[str, Any]:
    start, stop = context.places[begin][0], context.places[end - 1][1]
    score = sum(score or 0.0 for score in scores[begin:end]) / (end - begin)
    text = context.text[start:stop]
    return {"type": kind, "start": start, "end": stop, "text": text, "score": round(score, 6)}


def _entities(sentences: Sequence[Tags], strict: bool) -> set[Entity]:
    return {
        Entity(number, *span)
        for number, tags in enumerate(sentences)
        for span in _read(tags, strict)
    }


@lru_cache(maxsize=1 << 16)
def _read(tags: Tags, strict: bool) -> tuple[tuple[str, int, int], ...]:
    """Type, first word and last word of each entity in a sentence, as seqeval reads them: by
    default, or with ``mode="strict", scheme=IOB2``.

    seqeval changes the names of some types (its strict mode strips hyphens, so that ``grade-`` and
    ``grade`` become equal), so it is given numbers instead. The results are cached, because gold
    tags and most predictions are the same in every epoch.
    """
    from seqeval.metrics.sequence_labeling import get_entities
    from seqeval.scheme import IOB2, Entities

    types = list(dict.fromkeys(tag[2:] for tag in tags if tag != OUTSIDE))
    numbers = {name: number for number, name in enumerate(types)}
    neutral = [tag if tag == OUTSIDE else f"{tag[0]}-{numbers[tag[2:]]}" for tag in tags]
    if strict:
        spans = [
            (entity.tag, entity.start, entity.end - 1)
            for entity in Entities([neutral], IOB2).entities[0]
        ]
    else:
        spans = get_entities(neutral)
    return tuple((types[int(number)], first, last) for number, first, last in spans)


def _by_type(entities: set[Entity]) -> defaultdict[str, set[Entity]]:
    by_type = defaultdict(set)
    for entity in entities:
        by_type[entity.type].add(entity)
    return by_type


def _micro(gold: set[Entity], predicted: set[Entity]) -> dict[str, Score]:
    """F1, precision and recall; undefined without gold entities, where 0.0 would mislead."""
    if not gold:
        return {"f1": None, "precision": None, "recall": None}
    right = len(gold & predicted)
    return {
        "f1": 2 * right / (len(gold) + len(predicted)),
        "precision": right / len(predicted) if predicted else 0.0,
        "recall": right / len(gold),
    }
