"""Scores of predictions: against a scorer written here, and by hand where the definition
matters."""

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import product
from typing import Any

import pytest
from seqeval.metrics import classification_report
from seqeval.scheme import IOB2

from mtlab.record.metrics import Prediction
from mtlab.record.metrics import contributions as contributions_of
from mtlab.record.metrics import score as score_tasks
from mtlab.record.quality import Contributions, Metrics, TaskMetrics
from mtlab.tasks import tags as schemes
from tests import tiny

TASKS = tiny.learnt(classifier=("a", "b"), ner=("O", "B-LOC"))


@dataclass(frozen=True)
class EntityMetrics:
    """Scores of entities in one mode."""

    precision: float | None
    recall: float | None
    f1: float | None
    support: int | None = field(compare=False)
    """Of a type; the record does not have that of all."""

    @classmethod
    def of(cls, scores: Mapping[str, Any], mode: str = "") -> "EntityMetrics":
        named = {metric: scores[f"{metric}{mode}"] for metric in ("precision", "recall", "f1")}
        return cls(**named, support=scores.get("support"))


@dataclass(frozen=True)
class NerMetrics:
    """Scores of entities in both modes, and by type."""

    default: EntityMetrics
    strict: EntityMetrics
    by_type: dict[str, EntityMetrics]
    sentences: int
    loss: float | None

    @classmethod
    def of(cls, metrics: Metrics) -> "NerMetrics":
        scored = metrics.by_task["ner"]
        by_type = {name: EntityMetrics.of(part) for name, part in scored.by_name.items()}
        modes = (EntityMetrics.of(scored.scores, mode) for mode in ("", "_strict"))
        return cls(*modes, by_type, scored.sentences, scored.loss)


def score(predictions: Sequence[Prediction], losses: Any = None) -> Metrics:
    return score_tasks(TASKS, predictions, losses)


def contributions(predictions: Sequence[Prediction]) -> Contributions:
    return contributions_of(TASKS, predictions)


UNDEFINED = EntityMetrics(precision=None, recall=None, f1=None, support=0)
Tags = Sequence[str]
ALIKE = (
    ("grade", "grade-", "-grade", "--grade--", "gra-de", "gra_de"),
    ("_", "-", "--", "- -"),
    ("O", "B", "I", "x", "-x", "B-x", "I-x", "I-O"),
    ("0", "1", "00", "1-0", "T0", "T1"),
    ("PER", "per", "Per", "PER ", " PER", "P E R"),
    ("macro avg", "micro avg", "weighted avg", "macro", "avg"),
    ("Ort", "Ort🧊", "Straße", "strasse", "\u00e9", "e\u0301", "日-本"),
)
"""Names of types that a scorer may take for each other, for markup or for its own."""


def made_of(
    label: str | None, predicted_label: str | None, tags: Tags | None, predicted_tags: Tags | None
) -> Prediction:
    """A sentence without the tasks that it has no gold of."""
    pairs = {"classifier": (label, predicted_label), "ner": (tags, predicted_tags)}
    known = {task: pair for task, pair in pairs.items() if pair[0] is not None}
    return Prediction(
        {task: gold for task, (gold, _) in known.items()},
        {task: predicted for task, (_, predicted) in known.items()},
    )


def ner(*pairs: tuple[str, str]) -> NerMetrics:
    """Scores of (gold, predicted) sentences, their tags separated by blanks."""
    metrics = score(
        [made_of(None, None, gold.split(), predicted.split()) for gold, predicted in pairs]
    )
    assert metrics.by_task.keys() == {"ner"}
    return NerMetrics.of(metrics)


def classifier(gold: str, predicted: str) -> TaskMetrics:
    metrics = score([made_of(*pair, None, None) for pair in zip(gold, predicted, strict=True)])
    assert metrics.by_task.keys() == {"classifier"}
    return metrics.by_task["classifier"]


def entities(tags: Tags, strict: bool) -> set[tuple[int, int, str]]:
    """(start, end, type). Where no entity of its type is open, I-x begins one, as in conlleval;
    strictly, it is none."""
    found, start = set(), None
    for position, tag in enumerate([*tags, "O"]):
        goes_on = tag[0] == "I" and position > 0 and tags[position - 1][1:] == tag[1:]
        if start is not None and not goes_on:
            found.add((start, position, tags[start][2:]))
            start = None
        if tag[0] == "B" or (tag[0] == "I" and not goes_on and not strict):
            start = position
    return found


def rescored(
    pairs: Sequence[tuple[Tags, Tags]], strict: bool = False, kind: str | None = None
) -> EntityMetrics:
    """Micro-averaged scores, of one entity type where ``kind`` names it."""
    sets = [
        [
            {entity for entity in entities(tags, strict) if kind in (None, entity[2])}
            for tags in pair
        ]
        for pair in pairs
    ]
    support, guessed = (sum(len(pair[side]) for pair in sets) for side in (0, 1))
    right = sum(len(gold & predicted) for gold, predicted in sets)
    if not support:
        return UNDEFINED
    precision = right / guessed if guessed else 0.0
    return EntityMetrics(
        precision=precision,
        recall=right / support,
        f1=2 * right / (support + guessed),
        support=support,
    )


def random_tags(draw: random.Random, length: int, types: Sequence[str]) -> list[str]:
    tags = ["O", *(f"{prefix}-{kind}" for prefix in "BI" for kind in types)]
    return draw.choices(
        tags, weights=[len(types) + 1, *[1] * len(types), *[2] * len(types)], k=length
    )


def random_pairs(
    count: int, seed: int, types: Sequence[str] = ("PER", "LOC", "a-b")
) -> list[tuple[list[str], list[str]]]:
    """Gold and predictions that often agree, over all sequences that B-, I- and O can make, legal
    or not."""
    draw = random.Random(seed)
    pairs = []
    for _ in range(count):
        gold = random_tags(draw, draw.randint(0, 12), types)
        noise = random_tags(draw, len(gold), types)
        pairs.append(
            (
                gold,
                [new if draw.random() < 0.2 else old for old, new in zip(gold, noise, strict=True)],
            )
        )
    return pairs


def predictions(pairs: Sequence[tuple[Tags, Tags]]) -> list[Prediction]:
    return [made_of(None, None, gold, predicted) for gold, predicted in pairs]


def close(ours: EntityMetrics, theirs: EntityMetrics) -> bool:
    theirs = replace(theirs, support=None) if ours.support is None else theirs
    return asdict(ours) == pytest.approx(asdict(theirs), abs=1e-12)


def test_scores_equal_an_independent_scorer_on_ten_thousand_random_sequences() -> None:
    pairs = random_pairs(10_000, seed=0)
    scored = NerMetrics.of(score(predictions(pairs)))
    assert scored.sentences == 10_000
    assert close(scored.default, rescored(pairs))
    assert close(scored.strict, rescored(pairs, strict=True))
    assert list(scored.by_type) == ["LOC", "PER", "a-b"]
    for kind, scores in scored.by_type.items():
        assert close(scores, rescored(pairs, kind=kind)), kind


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("types", ALIKE, ids=" ".join)
def test_no_name_of_a_type_changes_what_is_an_entity(types: Sequence[str]) -> None:
    pairs = random_pairs(400, 5, types)
    scored = NerMetrics.of(score(predictions(pairs)))
    assert close(scored.default, rescored(pairs))
    assert close(scored.strict, rescored(pairs, strict=True))
    assert list(scored.by_type) == sorted(types)
    for kind, scores in scored.by_type.items():
        assert close(scores, rescored(pairs, kind=kind)), kind
    renamed = {kind: f"kind{number}" for number, kind in enumerate(types)}
    plain = [
        tuple([tag if tag == "O" else tag[:2] + renamed[tag[2:]] for tag in side] for side in pair)
        for pair in pairs
    ]
    again = NerMetrics.of(score(predictions(plain)))
    assert (again.default, again.strict) == (scored.default, scored.strict)
    assert {renamed[kind]: scores for kind, scores in scored.by_type.items()} == again.by_type
    assert contributions(predictions(plain)) == contributions(predictions(pairs))
    for tags in (
        side for pair in pairs for side in pair
    ):  # an exported model names the same entities
        assert {(begin, end, kind) for kind, begin, end in schemes.entities(tags)} == entities(
            tags, strict=False
        )


def test_types_that_differ_by_a_hyphen_are_two() -> None:
    scored = ner(("B-grade O B-grade-", "B-grade- O B-grade-"))
    assert scored.default.f1 == scored.strict.f1 == pytest.approx(1 / 2)
    assert {kind: scores.f1 for kind, scores in scored.by_type.items()} == {
        "grade": 0.0,
        "grade-": pytest.approx(2 / 3),
    }


@pytest.mark.filterwarnings("ignore:.*ill-defined")
def test_scores_are_those_of_seqevals_own_report() -> None:
    pairs = random_pairs(500, seed=2)
    gold, predicted = ([pair[side] for pair in pairs] for side in (0, 1))
    scored = NerMetrics.of(score(predictions(pairs)))
    default = classification_report(gold, predicted, output_dict=True, zero_division=0)
    strict = classification_report(
        gold, predicted, output_dict=True, zero_division=0, mode="strict", scheme=IOB2
    )
    rows = {"micro avg": scored.default, **scored.by_type}
    for name, ours in [
        *((default[name], ours) for name, ours in rows.items()),
        (strict["micro avg"], scored.strict),
    ]:
        theirs = EntityMetrics(
            precision=name["precision"],
            recall=name["recall"],
            f1=name["f1-score"],
            support=name["support"],
        )
        assert close(ours, theirs)


def test_scores_equal_it_sentence_by_sentence_too() -> None:
    for pair in random_pairs(300, seed=1):
        scored = NerMetrics.of(score(predictions([pair])))
        assert close(scored.default, rescored([pair])), pair
        assert close(scored.strict, rescored([pair], strict=True)), pair


@pytest.mark.parametrize(
    ("gold", "predicted", "default", "strict"),
    [
        ("B-LOC I-LOC O", "B-LOC I-LOC O", (1, 1), (1, 1)),
        ("B-LOC", "I-LOC", (1, 1), (0, 0)),  # a fragment that never began
        ("B-LOC I-LOC", "I-LOC I-LOC", (1, 1), (0, 0)),
        ("B-LOC I-LOC", "B-LOC B-LOC", (0, 0), (0, 0)),
        ("B-LOC B-LOC", "B-LOC I-LOC", (0, 0), (0, 0)),
        (
            "B-LOC I-LOC",
            "B-LOC I-PER",
            (0, 0),
            (0, 0),
        ),  # strictly, I-PER begins nothing, and B-LOC is cut short
        (
            "B-LOC O",
            "B-LOC I-PER",
            (1 / 2, 1),
            (1, 1),
        ),  # by default, I-PER is a wrong entity; strictly, it is none
        ("B-LOC O B-PER", "B-LOC O O", (1, 1 / 2), (1, 1 / 2)),
        ("B-LOC O O", "B-LOC O B-LOC", (1 / 2, 1), (1 / 2, 1)),
        ("B-LOC", "B-PER", (0, 0), (0, 0)),
    ],
)
def test_precision_and_recall_by_hand(
    gold: str, predicted: str, default: tuple[float, float], strict: tuple[float, float]
) -> None:
    scored = ner((gold, predicted))
    for ours, (precision, recall) in ((scored.default, default), (scored.strict, strict)):
        f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        assert (ours.precision, ours.recall, ours.f1) == pytest.approx((precision, recall, f1))


@pytest.mark.parametrize("predicted", ["O O", "O I-LOC", "B-LOC O", "B-LOC I-PER"])
def test_without_a_gold_entity_scores_are_undefined_whatever_is_predicted(predicted: str) -> None:
    scored = ner(("O O", predicted))
    assert scored.default == scored.strict == UNDEFINED
    assert set(map(str, scored.by_type.values())) <= {str(UNDEFINED)}


def test_all_o_predictions_score_zero_where_there_are_entities() -> None:
    scored = ner(("B-LOC O", "O O"), ("O", "O"))
    nothing = EntityMetrics(precision=0.0, recall=0.0, f1=0.0, support=1)
    assert scored.default == scored.strict == scored.by_type["LOC"] == nothing


def test_by_type_tells_types_apart_and_marks_one_that_only_predictions_have() -> None:
    scored = ner(("B-LOC O B-PER O", "B-LOC O O B-ORG"))
    assert {kind: scores.f1 for kind, scores in scored.by_type.items()} == {
        "LOC": 1.0,
        "ORG": None,
        "PER": 0.0,
    }
    assert list(scored.by_type) == sorted(scored.by_type)
    assert scored.default.f1 == pytest.approx(1 / 2)  # one of two gold, one of two predicted


def test_scores_are_those_of_the_whole_split_and_not_means_over_sentences() -> None:
    scored = ner(("B-LOC", "B-LOC"), ("B-LOC O B-LOC O B-LOC", "O O O O O"))
    assert scored.default.recall == pytest.approx(1 / 4)
    assert scored.default.precision == 1.0


def test_contributions_make_the_scores_again() -> None:
    draw = random.Random(3)
    made = [
        made_of(draw.choice("ab"), draw.choice("ab"), gold, guess)
        for gold, guess in random_pairs(200, seed=4)
    ]
    made += [made_of("a", "a", None, None), made_of(None, None, ["B-LOC"], ["B-LOC"])]
    scored, found = score(made), contributions(made)
    labels, entities_of = found.by_task["classifier"], found.by_task["ner"]
    assert len(labels["right"]) == 201 and len(entities_of["gold"]) == 201
    assert sum(labels["right"]) / 201 == pytest.approx(scored.primary("classifier"))
    right, predicted, gold = (sum(entities_of[name]) for name in ("right", "predicted", "gold"))
    assert 2 * right / (predicted + gold) == pytest.approx(scored.primary("ner"))
    assert Contributions.model_validate_json(found.model_dump_json()) == found
    written = found.model_dump(mode="json")["by_task"]["ner"]["gold"]
    assert written == " ".join(map(str, entities_of["gold"]))


def test_macro_f1_by_hand() -> None:
    scored = classifier("aabbbc", "abbbba")
    by_class = {
        "a": 2 * 1 / (2 + 2),
        "b": 2 * 3 / (3 + 4),
        "c": 0.0,
    }  # twice the right ones over gold and predicted ones
    assert scored.scores["macro_f1"] == pytest.approx(sum(by_class.values()) / 3)
    assert scored.primary == pytest.approx(4 / 6)
    assert scored.sentences == 6


def test_labels_that_are_never_predicted_or_only_predicted_count_as_zero() -> None:
    assert classifier("ab", "aa").scores["macro_f1"] == pytest.approx((2 / 3 + 0) / 2)
    assert classifier("aa", "ab").scores["macro_f1"] == pytest.approx((2 / 3 + 0) / 2)
    assert classifier("ab", "ba").scores["macro_f1"] == 0.0


def test_a_task_without_gold_has_no_score_and_takes_no_sentence_of_the_other() -> None:
    assert score([]).model_dump() == {"by_task": {}}
    mixed = [
        made_of("a", "a", None, None),
        made_of(None, "b", ["B-LOC"], ["O"]),
        made_of("a", "b", None, ["B-LOC"]),
    ]
    scored = score(mixed, {"classifier": 0.5})
    labels, tagged = scored.by_task["classifier"], NerMetrics.of(scored)
    assert (labels.sentences, labels.primary, labels.loss) == (2, 0.5, 0.5)
    assert (tagged.sentences, tagged.by_type["LOC"].support, tagged.loss) == (1, 1, None)


def numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        for one in value.values():
            yield from numbers(one)
    elif value is not None:
        yield value


def test_every_number_is_finite_over_all_short_sequences() -> None:
    tags = ("O", "B-LOC", "I-LOC", "I-PER")
    for gold in product(tags, repeat=2):
        for predicted in product(tags, repeat=2):
            scored = score([made_of("a", "b", gold, predicted)])
            assert all(math.isfinite(number) for number in numbers(scored.model_dump())), (
                gold,
                predicted,
            )
