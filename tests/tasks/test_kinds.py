"""Each kind of task: gold is read, made numbers and back, and scored as the field scores it."""

import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from seqeval.metrics import f1_score as entity_f1
from seqeval.metrics import precision_score, recall_score
from sklearn import metrics as sklearn
from sklearn.preprocessing import MultiLabelBinarizer

from mtlab.model.losses import LOSSES
from mtlab.tasks.classification import Classification
from mtlab.tasks.kind import IGNORE, BadValue, Codes, Kind, Task
from mtlab.tasks.multilabel import Multilabel
from mtlab.tasks.registry import KINDS
from mtlab.tasks.regression import Regression
from mtlab.tasks.tagging import Tagging

Pairs = list[tuple[Any, Any]]
NONE = np.zeros(0, dtype=np.int64)


def labels(draw: random.Random) -> Pairs:
    return [(draw.choice("abc"), draw.choice("abcd")) for _ in range(draw.randint(1, 9))]


def several(draw: random.Random) -> Pairs:
    def some() -> tuple[str, ...]:
        return tuple(name for name in "abcd" if draw.random() < 0.4)

    return [(some(), list(some())) for _ in range(draw.randint(1, 9))]


def numbers(draw: random.Random) -> Pairs:
    pairs = []
    for _ in range(draw.randint(3, 12)):
        gold = draw.choice([1.0, 2.0, 3.0, draw.gauss(0, 5)])
        pairs.append((gold, gold + draw.gauss(0, 2)))
    return pairs


def tags(draw: random.Random, names: Sequence[str]) -> Pairs:
    pairs = []
    for _ in range(draw.randint(1, 6)):
        gold = tuple(draw.choice(names) for _ in range(draw.randint(0, 7)))
        pairs.append((gold, [draw.choice([tag, *names]) for tag in gold]))
    return pairs


def of_labels(pairs: Pairs) -> dict[str, float | None]:
    gold, predicted = zip(*pairs, strict=True)
    return {
        "accuracy": sklearn.accuracy_score(gold, predicted),
        "macro_f1": sklearn.f1_score(gold, predicted, average="macro", zero_division=0.0),
    }


def of_several(pairs: Pairs) -> dict[str, float | None]:
    gold, predicted = zip(*pairs, strict=True)
    made = MultiLabelBinarizer().fit([*gold, *predicted])
    sides = made.transform(gold), made.transform(predicted)
    if len(made.classes_) == 1:
        f1 = sklearn.f1_score(*sides, zero_division=0.0) if sides[0].any() else None
        return {"f1": f1, "macro_f1": f1}
    exact = float(np.mean([set(one) == set(other) for one, other in pairs]))
    if not sides[0].any():
        return {"f1": None, "macro_f1": None, "exact": exact}
    return {
        "f1": sklearn.f1_score(*sides, average="micro", zero_division=0.0),
        "macro_f1": sklearn.f1_score(*sides, average="macro", zero_division=0.0),
        "exact": sklearn.accuracy_score(*sides),
    }


def of_numbers(pairs: Pairs) -> dict[str, float | None]:
    gold, predicted = zip(*pairs, strict=True)
    varies = len(set(gold)) > 1
    return {
        "r": stats.pearsonr(gold, predicted).statistic if varies else None,
        "rho": stats.spearmanr(gold, predicted).statistic if varies else None,
        "mae": sklearn.mean_absolute_error(gold, predicted),
    }


def of_words(pairs: Pairs) -> dict[str, float | None]:
    gold, predicted = ([tag for pair in pairs for tag in pair[side]] for side in (0, 1))
    if not gold:
        return {"accuracy": None, "macro_f1": None}
    return of_labels(list(zip(gold, predicted, strict=True)))


def of_entities(pairs: Pairs) -> dict[str, float | None]:
    gold, predicted = ([list(pair[side]) for pair in pairs] for side in (0, 1))
    if not any(tag != "O" for sentence in gold for tag in sentence):
        return {"f1": None, "precision": None, "recall": None}
    return {
        "f1": entity_f1(gold, predicted, zero_division=0),
        "precision": precision_score(gold, predicted, zero_division=0),
        "recall": recall_score(gold, predicted, zero_division=0),
    }


Case = tuple[Kind, Callable[[random.Random], Pairs], Callable[[Pairs], dict[str, float | None]]]
IOB = ("O", "O", "B-x", "I-x", "B-y", "I-y")
SCORERS: dict[str, Case] = {
    "classification": (Classification(), labels, of_labels),
    "multilabel": (Multilabel(), several, of_several),
    "regression": (Regression(), numbers, of_numbers),
    "tagging": (Tagging(), lambda draw: tags(draw, IOB), of_entities),
    "plain tags": (Tagging(spans=False), lambda draw: tags(draw, "abc"), of_words),
}


def subsets(known: Sequence[str]) -> list[list[str]]:
    return [
        [name for place, name in enumerate(known) if number >> place & 1]
        for number in range(2 ** len(known))
    ]


CONSTANTS: dict[str, Callable[[Any], list[Any]]] = {
    "classification": lambda gold: list("abc"),
    "multilabel": lambda gold: subsets("abcd"),
    "regression": lambda gold: [0.0, 1.0, 3.5],
    "tagging": lambda gold: [["O"] * len(gold)],
    "plain tags": lambda gold: [[tag] * len(gold) for tag in "abc"],
}
"""The constant answers to a sentence with some gold."""


@pytest.mark.filterwarnings("ignore:.*ill-defined", "ignore:.*zero_division")
@pytest.mark.parametrize("name", SCORERS)
def test_no_constant_answer_scores_more_than_the_best_one(name: str) -> None:
    kind, drawn, _ = SCORERS[name]
    metric = next(iter(kind.metrics))
    for seed in range(30):
        golds = [gold for gold, _ in drawn(random.Random(seed))]
        answers = zip(*(CONSTANTS[name](gold) for gold in golds), strict=True)
        scores = [kind.score(list(zip(golds, one, strict=True))).scores[metric] for one in answers]
        best = max(score or 0.0 for score in scores)
        assert kind.constant_score(golds) == pytest.approx(best), golds


@pytest.mark.filterwarnings("ignore:.*ill-defined", "ignore:.*zero_division")
@pytest.mark.parametrize("cases", [100, pytest.param(1000, marks=pytest.mark.nightly)])
@pytest.mark.parametrize("name", SCORERS)
def test_scores_are_those_of_the_fields_scorers_to_the_last_digit(name: str, cases: int) -> None:
    """But for F1 of entities, which seqeval makes of rounded precision and recall."""
    kind, made, scored = SCORERS[name]
    draw = random.Random(name)
    for _ in range(cases):
        pairs = made(draw)
        ours, theirs = kind.score(pairs).scores, scored(pairs)
        rounded = name == "tagging" and theirs["f1"] is not None
        assert {metric: ours[metric] for metric in theirs} == {
            **theirs,
            **({"f1": pytest.approx(theirs["f1"] or 0.0, rel=4e-16)} if rounded else {}),
        }, pairs
        assert list(ours) == list(kind.metrics)


@pytest.mark.parametrize("name", SCORERS)
def test_the_mean_of_what_sentences_add_is_the_metric(name: str) -> None:
    kind, made, _ = SCORERS[name]
    draw = random.Random(name)
    for _ in range(100):
        pairs = made(draw)
        primary = next(iter(kind.score(pairs).scores.values()))
        linear = kind.linear(kind.columns(pairs))
        if primary is None or linear is None:
            assert primary is linear is None, pairs
        else:
            assert len(linear) == len(pairs)
            assert linear.mean() == pytest.approx(primary, abs=1e-9)


@pytest.mark.parametrize("name", [name for name in SCORERS if name != "classification"])
def test_what_sentences_add_varies_as_the_metric_does_over_other_sentences(name: str) -> None:
    """The spread of the linear part is the bootstrap's, on 400 sentences."""
    kind, made, _ = SCORERS[name]
    draw = random.Random(0)
    pairs: Pairs = []
    while len(pairs) < 400:
        pairs += made(draw)
    pairs = pairs[:400]
    linear = kind.linear(kind.columns(pairs))
    assert linear is not None
    scores = []
    for _ in range(200):
        again = [pairs[draw.randrange(400)] for _ in pairs]
        value = next(iter(kind.score(again).scores.values()))
        scores.append(value or 0.0)
    assert np.std(scores) == pytest.approx(linear.std() / 20, rel=0.2)


GOLD: dict[str, list[Any]] = {
    "classification": ["b", "a", "c", "a"],
    "multilabel": [("a", "c"), (), ("b",), ("a",)],
    "regression": [2.0, -1.0, 4.5, 0.0],
    "tagging": [("O", "B-x"), ("B-x", "I-x"), (), ("B-y",)],
    "plain tags": [("n", "v"), ("v",), (), ("d", "n", "v")],
}


@pytest.mark.parametrize("name", GOLD)
def test_what_a_head_is_sure_of_is_read_as_it_was_written(name: str) -> None:
    """From gold to targets, to logits that say exactly that, and back."""
    kind, golds = SCORERS[name][0], GOLD[name]
    task = Task("made", kind, kind.learn(golds))
    loss = LOSSES[kind.loss]
    for gold in golds:
        targets = np.asarray(task.targets(gold))
        logits = sure(kind, targets, task.shape.outputs)
        words = np.arange(len(targets)) if kind.of_words else NONE
        said = task.predicted(loss.decide(logits).numpy(), words)
        assert (tuple(said) if kind.many else said) == pytest.approx(gold, abs=1e-6)
        flat = torch.as_tensor(targets) if kind.of_words else torch.as_tensor(targets)[None]
        given = logits if kind.of_words else logits[None]
        assert loss.given(flat).all()
        assert float(loss.total(given, flat)) == pytest.approx(0.0, abs=1e-6)
        assert loss.each(given, flat).sum() == pytest.approx(0.0, abs=1e-6)
    missing = torch.as_tensor(np.asarray(task.targets(None)))[None]
    if not kind.of_words:
        assert not loss.given(missing).any()
        assert float(loss.total(logits[None], missing)) == 0.0


def sure(kind: Kind, targets: np.ndarray, outputs: int) -> torch.Tensor:
    """Logits that say the targets."""
    if kind.loss == "squared error":
        return torch.tensor(targets, dtype=torch.float32)[None]
    if kind.loss == "binary cross-entropy":
        return torch.as_tensor(targets * 80.0 - 40.0, dtype=torch.float32)
    return torch.nn.functional.one_hot(torch.as_tensor(targets), outputs).float() * 60


@pytest.mark.parametrize("name", GOLD)
def test_codes_of_parts_are_codes_of_the_whole(name: str) -> None:
    kind, golds = SCORERS[name][0], GOLD[name]
    if name == "regression":  # each part counts as much, here both have as many
        joined, whole = kind.join([kind.learn(golds[:2]), kind.learn(golds[2:])]), kind.learn(golds)
        assert (joined.center, joined.spread) == pytest.approx((whole.center, whole.spread))
        return
    assert kind.join([kind.learn(golds[:2]), kind.learn(golds[2:])]) == kind.learn(golds)
    assert kind.lack(kind.learn(golds)) is None
    assert kind.lack(kind.learn([])) is not None


def test_gradients_of_each_loss_are_those_of_finite_differences() -> None:
    generator = torch.Generator().manual_seed(0)
    targets = {
        "cross-entropy": torch.tensor([2, IGNORE, 0]),
        "binary cross-entropy": torch.tensor([[1, 0, 1], [IGNORE] * 3, [0, 0, 1]]),
        "squared error": torch.tensor([0.5, math.nan, -2.0], dtype=torch.float64),
    }
    for name, loss in LOSSES.items():
        outputs = 1 if name == "squared error" else 3
        logits = torch.randn(3, outputs, generator=generator, dtype=torch.float64)
        logits.requires_grad_(True)
        torch.autograd.gradcheck(
            lambda given, name=name: LOSSES[name].total(given, targets[name]), logits
        )
        assert loss.each(logits, targets[name])[1] == 0.0, "nothing is learnt without gold"
        assert loss.given(targets[name]).tolist() == [True, False, True]
        other = torch.randn(3, outputs, generator=generator, dtype=torch.float64)
        logits = logits.detach()
        assert loss.apart(logits, logits).sum() == pytest.approx(0.0, abs=1e-12)
        assert (loss.apart(logits, other).sum(dim=-1) > 0).all()


def test_binary_divergence_is_that_of_two_distributions_a_label() -> None:
    old, new = torch.tensor([[0.3, -1.0]]), torch.tensor([[1.0, 2.0]])
    p, q = old.sigmoid(), new.sigmoid()
    wanted = (p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()).sum()
    assert LOSSES["binary cross-entropy"].apart(old, new).sum() == pytest.approx(float(wanted))


BAD: list[tuple[str, Any, str]] = [
    ("classification", None, "the label is missing"),
    ("classification", " ", "the label is empty"),
    ("classification", 1.5, "the label is {}, not text"),
    ("multilabel", ["a", None], "label 2 is missing"),
    ("multilabel", ["a", ""], "a label is empty"),
    ("regression", None, "the number is missing"),
    ("regression", "ten", "{} is not a number"),
    ("regression", math.nan, "{} is not a number"),
    ("regression", True, "{} is not a number"),
    ("tagging", ["O"], "2 tokens but 1 tags"),
    (
        "tagging",
        ["O", 3],
        "tag 2 is the number 3, and the source does not say what numbers stand for",
    ),
]


@pytest.mark.parametrize(("name", "value", "problem"), BAD)
def test_gold_that_cannot_be_used_is_refused(name: str, value: Any, problem: str) -> None:
    with pytest.raises(BadValue) as error:
        SCORERS[name][0].read(value, None, 2)
    assert error.value.problem == problem


def test_gold_is_read_in_every_form_that_it_may_have() -> None:
    assert Classification().read(3, None, None) == "3"
    assert Classification().read(1, ("no", "yes"), None) == "yes"
    assert Multilabel().read(["b", "a", "b"], None, None) == ("a", "b")
    assert Multilabel().read([0, 1], ("x", "y"), None) == ("x", "y")
    assert Multilabel().read([], None, None) == ()
    assert [Regression().read(value, None, None) for value in (2, "2.50", -1e3)] == [2.0, 2.5, -1e3]
    assert Tagging(spans=False).read([1, 0], ("NOUN", "VERB"), 2) == ("VERB", "NOUN")


def test_kinds_are_known_by_their_names() -> None:
    assert {name: kind.name for name, kind in KINDS.items()} == {name: name for name in KINDS}
    assert Tagging() == Tagging() != Tagging(spans=False)
    assert Codes(("a",)).numbers == {"a": 0}
