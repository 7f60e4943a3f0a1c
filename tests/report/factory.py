"""A synthetic journal of plausible size: six scenarios of a small encoder, some seeds, failures
where asked for."""

import hashlib
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mtlab.record.journal import Journal
from mtlab.record.quality import Contributions, Metrics, TaskMetrics
from mtlab.record.records import (
    AlsoTested,
    EpochRecord,
    Selection,
    StageRecord,
    Status,
    SuiteRecord,
    TrialRecord,
    Units,
)
from mtlab.tasks.kind import Score
from mtlab.tasks.registry import USUAL

from . import answers

BLOCKS = [f"layers[{index}]" for index in range(6)]
ENCODER = ["embeddings", *BLOCKS]
HEADS = ["head.classifier", "head.ner"]
SIZES = {
    "embeddings": 11_922_432,
    **dict.fromkeys(BLOCKS, 1_774_464),
    "head.classifier": 9_240,
    "head.ner": 21_489,
}
RATES = {"head.classifier": 1e-3, "head.ner": 1e-3, "encoder": 5e-5, "layers[-1/3:]": 5e-5}
STEPS = 60
"""Steps an epoch."""
STARTED = 1_790_000_000.0

# scenario: its stages (name, epochs, trained units), test accuracy, test F1, seconds a step
SCENARIOS: dict[str, tuple[list[tuple[str, int, list[str]]], float, float, float]] = {
    "fully_frozen": ([("fully_frozen", 0, [])], 0.2, 0.02, 0.0),
    "backbone_frozen": ([("backbone_frozen", 6, HEADS)], 0.952, 0.561, 0.015),
    "classifier_head_frozen": (
        [("classifier_head_frozen", 6, [*ENCODER, "head.ner"])],
        0.979,
        0.889,
        1.02,
    ),
    "ner_head_frozen": (
        [("ner_head_frozen", 6, [*ENCODER, "head.classifier"])],
        0.983,
        0.862,
        1.03,
    ),
    "gradual_unfreeze": (
        [("heads", 2, HEADS), ("top", 2, [*BLOCKS[-2:], *HEADS]), ("full", 2, [*ENCODER, *HEADS])],
        0.981,
        0.884,
        0.55,
    ),
    "full_finetune": ([("full_finetune", 6, [*ENCODER, *HEADS])], 0.982, 0.893, 1.05),
}

MORE = {
    **{
        f"top_{k}": (
            [(f"top_{k}", 6, [*BLOCKS[-k:], *HEADS])],
            0.95 + 0.006 * k,
            0.56 + 0.055 * k,
            0.4 + 0.1 * k,
        )
        for k in range(1, 7)
    },
    "classifier_alone": (
        [("classifier_alone", 6, [*ENCODER, "head.classifier"])],
        0.981,
        0.02,
        1.0,
    ),
    "ner_alone": ([("ner_alone", 6, [*ENCODER, "head.ner"])], 0.2, 0.89, 1.0),
    "ner_head_alone": ([("ner_head_alone", 6, ["head.ner"])], 0.2, 0.56, 0.015),
}
"""Scenarios that some experiments have beside the six."""

LOSSES = {"classifier_alone": ("classifier",), "ner_alone": ("ner",)}


def sha(*parts: Any) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def entities(f1: float | None, support: int = 900) -> dict[str, Score]:
    """The scores of entities of one type."""
    return {"f1": f1, "precision": f1, "recall": f1, "support": support}


def metrics(
    accuracy: float, f1: float, types: tuple[str, ...] = ("PER", "ORG", "LOC", "DATE")
) -> Metrics:
    by_type = {
        kind: entities(min(1.0, f1 * (1.05 - 0.05 * at)), support=400 // (at + 1) ** 3)
        for at, kind in enumerate(types)
    }
    whole = dict.fromkeys(("f1", "precision", "recall"), f1)
    strict = dict.fromkeys(("f1_strict", "precision_strict", "recall_strict"), f1 * 0.93)
    ner = TaskMetrics(
        scores={**whole, **strict}, by_name=by_type, loss=1.2 * (1 - f1), sentences=600
    )
    classifier = TaskMetrics(
        scores={"accuracy": accuracy, "macro_f1": accuracy * 0.98},
        loss=1.5 * (1 - accuracy),
        sentences=600,
    )
    return Metrics(by_task={"classifier": classifier, "ner": ner})


def without(trial: TrialRecord, task: str) -> TrialRecord:
    """The trial with a test split that has no gold of a task."""
    assert trial.test is not None and trial.contributions is not None
    scores, columns = dict(trial.test.by_task), dict(trial.contributions.by_task)
    del scores[task], columns[task]
    tested = {"test": Metrics(by_task=scores), "contributions": Contributions(by_task=columns)}
    return trial.model_copy(update=tested)


def with_types(trial: TrialRecord, types: dict[str, dict[str, Score]]) -> TrialRecord:
    """The trial with other scores by type of entity."""
    assert trial.test is not None
    ner = trial.test.by_task["ner"].model_copy(update={"by_name": types})
    test = Metrics(by_task={**trial.test.by_task, "ner": ner})
    return trial.model_copy(update={"test": test})


SENTENCES = 600


def contributions(accuracy: float, f1: float, seed: int = 0) -> Contributions:
    """Sentences that make these scores, to 1/600 and 1/900; who is hard is the same for every seed
    but for a few."""
    rank = np.random.default_rng(1).permutation(SENTENCES) + np.random.default_rng(seed + 2).normal(
        0, 20, SENTENCES
    )
    easy = np.argsort(np.argsort(rank))
    gold = np.where(np.arange(SENTENCES) % 2, 1, 2)
    found = np.cumsum(gold[np.argsort(easy)])[np.argsort(np.argsort(easy))]
    right = np.where(found <= round(max(0.0, min(f1, 1.0)) * gold.sum()), gold, 0)
    return counted(
        (easy < round(min(accuracy, 1.0) * SENTENCES)).astype(int).tolist(),
        right.tolist(),
        gold.tolist(),
    )


def counted(labels: Sequence[int], right: Sequence[int], gold: Sequence[int]) -> Contributions:
    """Contributions of sentences.

    Args:
        labels: whether the label is right.
        right: how many entities are right.
        gold: how many are gold, and predicted.
    """
    found = {"right": tuple(right), "predicted": tuple(gold), "gold": tuple(gold)}
    return Contributions(by_task={"classifier": {"right": tuple(labels)}, "ner": found})


def tested(accuracy: float, f1: float, seed: int = 0) -> dict[str, Any]:
    """The fields of a record that a test of its weights fills in, which agree with each other."""
    found = contributions(accuracy, f1, seed)
    labels, tags = found.by_task["classifier"], found.by_task["ner"]
    entities_found = 2 * sum(tags["right"]) / (sum(tags["predicted"]) + sum(tags["gold"]))
    return {
        "test": metrics(sum(labels["right"]) / SENTENCES, entities_found),
        "contributions": found,
    }


def stage(
    name: str,
    epochs: int,
    trained: list[str],
    seed: int,
    before: dict[str, str],
    losses: tuple[str, ...] = ("classifier", "ner"),
    sizes: Mapping[str, int] = SIZES,
) -> StageRecord:
    units = {
        unit: Units(trainable=size if unit in trained else 0, frozen=0 if unit in trained else size)
        for unit, size in sizes.items()
    }
    trainable = sum(unit.trainable for unit in units.values())
    prefix = next((at for at, block in enumerate(BLOCKS) if block in trained), len(BLOCKS))
    after = {
        unit: sha(name, unit, seed, "trained") if unit in trained else digest
        for unit, digest in before.items()
    }
    rates = {
        key: rate
        for key, rate in RATES.items()
        if key in trained or (key == "encoder" and "embeddings" in trained)
    }
    return StageRecord(
        name=name,
        epochs=epochs,
        steps=STEPS * epochs,
        train=rates,
        losses=losses,
        prefix_depth=0 if "embeddings" in trained else prefix,
        parameters=units,
        params_total=sum(sizes.values()),
        params_trainable=trainable,
        params_frozen=sum(sizes.values()) - trainable,
        digests_before=before,
        digests_after=after,
        step_s=0.3 if trained else None,
    )


def laps_of(step_s: float, elapsed: float, draw: random.Random) -> dict[str, float]:
    return {
        "setup": 2.0 + draw.random(),
        "cache": 0.0 if step_s > 1 else 24.0,
        "train": elapsed * (1 + draw.random() / 50),
        "eval": 6.0 + draw.random(),
    }


def trial(
    scenario: str,
    seed: int,
    status: Status = "ok",
    reason: str = "",
    point: dict[str, Any] | None = None,
    spread: float = 0.004,
    scores: tuple[float, float] | None = None,
    length: int | None = None,
    tasks: answers.Tasks = USUAL,
) -> TrialRecord:
    """A trial's record.

    Args:
        scenario: one of ``SCENARIOS`` or ``MORE``.
        seed: moves its scores.
        status: how it ended.
        reason: why, where it did not end well.
        point: of a sweep.
        spread: standard deviation of the scores over seeds.
        scores: accuracy and F1 in place of the scenario's.
        length: epochs in place of those of its last stage.
        tasks: in place of the usual two; all scores are then about F1, and what trains a head trains
            all.
    """
    plan, accuracy, f1, step_s = {**SCENARIOS, **MORE}[scenario]
    accuracy, f1 = scores or (accuracy, f1)
    plan = [*plan[:-1], (plan[-1][0], plan[-1][1] if length is None else length, plan[-1][2])]
    sizes, usual = SIZES, tasks is USUAL
    if not usual:
        heads = {f"head.{name}": 1_000 + at for at, name in enumerate(tasks)}
        sizes = {**{unit: SIZES[unit] for unit in ENCODER}, **heads}
        plan = [
            (
                name,
                epochs,
                [*(unit for unit in trained if unit in ENCODER), *(heads if trained else ())],
            )
            for name, epochs, trained in plan
        ]

    def quality(accuracy: float, f1: float) -> Metrics:
        return metrics(accuracy, f1) if usual else answers.metrics(tasks, f1)

    draw = random.Random(repr((scenario, seed, point)))
    accuracy, f1 = accuracy + draw.gauss(0, spread / 2), f1 + draw.gauss(0, spread * 2)
    stages, epochs = (
        [],
        [
            EpochRecord(
                stage=0,
                epoch=0,
                step=0,
                elapsed_s=0.0,
                ended_at=STARTED,
                validation=quality(0.2, 0.02),
            )
        ],
    )
    digests = {unit: sha(unit, "" if unit in ENCODER else seed) for unit in sizes}
    done, elapsed = 0, 0.0
    for index, (name, length, trained) in enumerate(plan):
        losses = LOSSES.get(scenario, tuple(tasks))
        stages.append(stage(name, length, trained, seed, digests, losses, sizes))
        digests = stages[-1].digests_after
        for _ in range(length):
            done += 1
            elapsed += STEPS * (step_s if set(trained) & set(ENCODER) else 0.015)
            rise = 1 - 0.45**done
            reached = quality(
                0.2 + (accuracy - 0.2) * rise + draw.gauss(0, spread),
                max(0.0, 0.02 + (f1 - 0.02) * rise + draw.gauss(0, spread)),
            )
            loss = {"total": 2.0 * (1 - rise), **dict.fromkeys(tasks, 1 - rise)}
            epochs.append(
                EpochRecord(
                    stage=index,
                    epoch=done,
                    step=done * STEPS,
                    elapsed_s=elapsed,
                    ended_at=STARTED + elapsed,
                    train_loss=loss,
                    validation=reached,
                )
            )
    laps = laps_of(step_s, elapsed, draw)
    ok = status == "ok"
    flops = round(3e12 * done * (1 if set(plan[0][2]) & set(ENCODER) else 1 / 3))
    test = (
        answers.tested(tasks, f1 - 0.004, seed)
        if not usual
        else tested(accuracy - 0.002, f1 - 0.004, seed)
    )
    return TrialRecord(
        key=sha(scenario, seed, point),
        scenario=scenario,
        seed=seed,
        point=point or {},
        status=status,
        reason=reason,
        started_at=STARTED,
        initial_digest=sha("start", seed),
        final_digest=sha(scenario, seed),
        order_digest=sha("order", done),
        stages=tuple(stages),
        epochs=tuple(epochs) if ok else tuple(epochs[:3]),
        selection=Selection(rule="best", epoch=max(0, done - seed % 2), score=(accuracy + f1) / 2)
        if ok
        else None,
        validation=quality(accuracy, f1) if ok else None,
        **(test if ok else {}),
        laps=laps,
        wall_s=sum(laps.values()) + (5.0 if 0 < step_s < 1 else 0.0) if ok else None,
        wall_plain_s=8.0 + done * STEPS * max(step_s, 0.36) if ok else None,
        peak_memory_mb=612.4 + 1_500 * (step_s > 0.5) + draw.random(),
        train_flops=flops,
        train_flops_padding=flops // 7,
        train_tokens=done * STEPS * 32 * 17,
        tokens_per_s=done * STEPS * 32 * 17 / elapsed if elapsed else None,
    )


USUAL_FACTS = {
    "classifier": {
        "kind": "classification",
        "names": ["sport", "politics", "science"],
        "summary": "3 labels",
    },
    "ner": {
        "kind": "tagging",
        "names": ["O", "B-PER", "I-PER", "B-ORG", "I-ORG"],
        "summary": "5 tags",
    },
}


def suite(trials: list[TrialRecord], seeds: int = 3, **changes: Any) -> SuiteRecord:
    """The suite of ``trials``; ``changes`` go into the experiment, or replace fields of the
    record."""
    stages = {
        name: [{"name": label, "epochs": epochs} for label, epochs, _ in plan]
        for name, (plan, *_) in SCENARIOS.items()
    }
    experiment = {
        "name": "freezing",
        "seeds": list(range(seeds)),
        "control": "full_finetune",
        "scenarios": stages,
        "sweep": {},
    }
    fields: dict[str, Any] = {
        "question": "Which parts should be frozen on small data?",
        "command": "mtlab compare experiments/freezing.yaml --seeds 0 1 2",
        "started_at": STARTED,
        "elapsed_s": 2345.6,
        "environment": {
            "device": "cpu",
            "precision": "fp32",
            "attention": "sdpa",
            "threads": 2,
            "torch": "2.11.0",
            "seeded": True,
        },
        "encoder": {
            "": {
                "name": "minilm",
                "revision": None,
                "weights": sha("minilm"),
                "family": "bert",
                "blocks": 6,
                "hidden_size": 384,
            },
        },
        "data": {
            "": {
                "sizes": {"train": 1920, "validation": 300, "test": 600},
                "tasks": answers.facts(changes["tasks"]) if "tasks" in changes else USUAL_FACTS,
                "fingerprint": sha("data"),
                "notes": [
                    "2 sentences stand in train and in test",
                    "a validation split was cut from train",
                ],
            }
        },
    }
    experiment |= {
        key: value for key, value in changes.items() if key not in SuiteRecord.model_fields
    }
    fields |= {key: value for key, value in changes.items() if key in SuiteRecord.model_fields}
    return SuiteRecord(
        experiment=experiment, trials=tuple(record.key for record in trials), **fields
    )


OTHER_SETS = {
    "chat": ("", "chat messages"),
    "lower": ("test", "lower case"),
    "typos": ("test", "typos"),
    "reports": ("", "weather reports"),
}
"""Test sets out of distribution: whether they are the test split, changed, and their titles."""


def also(trial: TrialRecord, losses: Mapping[str, tuple[float, float]]) -> TrialRecord:
    """The trial with scores on test sets out of distribution: those on test minus a loss of accuracy
    and F1 on each set."""
    if not trial.ok or trial.test is None:
        return trial
    accuracy, f1 = (trial.test.primary(task) or 0.0 for task in ("classifier", "ner"))
    scored = {
        name: tested(max(0.0, accuracy - lost[0]), max(0.0, f1 - lost[1]), trial.seed)
        for name, lost in losses.items()
    }
    found = {
        name: AlsoTested(metrics=fields["test"], contributions=fields["contributions"])
        for name, fields in scored.items()
    }
    return trial.model_copy(update={"also": found})


def with_sets(record: SuiteRecord, names: Sequence[str]) -> SuiteRecord:
    """The suite with test sets out of distribution of :data:`OTHER_SETS`."""
    sets = {
        name: {"of": of, "title": title, "sentences": SENTENCES}
        for name, (of, title) in OTHER_SETS.items()
        if name in names
    }
    data = {point: {**facts, "also_test": sets} for point, facts in record.data.items()}
    asked = {name: {"of": "test"} if found["of"] else {} for name, found in sets.items()}
    experiment = {**record.experiment, "also_test": asked}
    return record.model_copy(update={"data": data, "experiment": experiment})


def all_trials(
    seeds: int = 3, point: dict[str, Any] | None = None, spread: float = 0.004
) -> list[TrialRecord]:
    return [
        trial(name, seed, point=point, spread=spread) for seed in range(seeds) for name in SCENARIOS
    ]


def journal(directory: Path, record: SuiteRecord, trials: list[TrialRecord]) -> Path:
    """Write a journal, as a run would leave it."""
    made = Journal(directory)
    made.write_suite(record)
    for one in trials:
        made.write_trial(one)
    return directory
