"""Which sentences go together, in which order, as which tensors."""

import json
import os
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from mtlab.data.batches import WINDOW, by_length, collate, epoch
from mtlab.data.encoding import Encoded, Example, Examples
from mtlab.tasks.kind import IGNORE

Batches = list[tuple[int, ...]]


def example(length: int, source: int = 0) -> Example:
    return Example(
        source,
        np.arange(1, length + 1),
        np.zeros(0, dtype=np.int64),
        {"ner": np.zeros(0, dtype=np.int64)},
        {"classifier": 0},
    )


def split(*sizes: int, lengths: tuple[int, int] = (4, 40)) -> Encoded:
    """``sizes[s]`` sentences of source s, of random lengths; the sources' sentences stand mixed."""
    draw = np.random.default_rng(len(sizes))
    sources = draw.permutation([source for source, size in enumerate(sizes) for _ in range(size)])
    return Encoded(
        Examples.of(example(int(draw.integers(*lengths)), int(source)) for source in sources)
    )


def members(encoded: Encoded, source: int) -> set[int]:
    return {index for index, one in enumerate(encoded.examples) if one.source == source}


def padding(encoded: Encoded, batches: Batches) -> float:
    """Padding tokens to real ones."""
    lengths = [[len(encoded.examples[index]) for index in batch] for batch in batches]
    real = sum(map(sum, lengths))
    return (sum(max(batch) * len(batch) for batch in lengths) - real) / real


@pytest.mark.parametrize("size", [1, 7, 8, 9, 16, 63, 64, 65, 8 * WINDOW, 8 * WINDOW + 3])
def test_batches_are_whole_and_every_sentence_is_seen(size: int) -> None:
    encoded = split(size)
    batches = epoch(encoded, [0], 8, data_seed=0, number=0)
    assert [len(batch) for batch in batches] == [8] * -(-size // 8)
    seen = Counter(index for batch in batches for index in batch)
    assert set(seen) == set(range(size))
    assert (
        max(seen.values()) - min(seen.values()) <= 1
    )  # only the last batch is filled up, and each sentence once


def test_who_fills_up_the_last_batch_changes_with_the_epoch() -> None:
    encoded = split(30)
    fills = []
    for number in range(10):
        seen = Counter(index for batch in epoch(encoded, [0], 8, 0, number) for index in batch)
        fills.append(tuple(sorted(index for index, count in seen.items() if count == 2)))
    assert {len(fill) for fill in fills} == {2}
    assert len(set(fills)) > 5


def test_order_follows_from_data_seed_and_epoch_alone() -> None:
    encoded = split(200, 60)
    first = epoch(encoded, [0, 1], 8, data_seed=3, number=2)
    np.random.seed(99)
    torch.manual_seed(99)
    assert epoch(encoded, [0, 1], 8, data_seed=3, number=2) == first
    others = [
        epoch(encoded, [0, 1], 8, *draw)
        for draw in ((3, 1), (3, 3), (2, 2), (2, 3), (0, 0), (1, 0), (0, 1))
    ]
    assert len({str(order) for order in (first, *others)}) == 8


@pytest.mark.process
def test_order_is_the_same_in_every_process() -> None:
    code = "import json; from tests.data.test_batches import split, epoch; print(json.dumps(epoch(split(50, 20), [0, 1], 8, 5, 1)))"
    root, environment = Path(__file__).parents[2], {**os.environ, "PYTHONHASHSEED": "7"}
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert [tuple(batch) for batch in json.loads(ran.stdout)] == epoch(
        split(50, 20), [0, 1], 8, 5, 1
    )


def test_sentences_meet_others_in_other_epochs() -> None:
    encoded = split(400)
    first, second = (
        {frozenset(pair) for batch in epoch(encoded, [0], 8, 0, number) for pair in pairwise(batch)}
        for number in (0, 1)
    )
    assert len(first & second) < len(first) / 4


def test_batches_are_not_served_by_length() -> None:
    encoded = split(WINDOW * 8)
    means = [
        np.mean([len(encoded.examples[index]) for index in batch])
        for batch in epoch(encoded, [0], 8, 0, 0)
    ]
    rises = sum(late > early for early, late in pairwise(means))
    assert 10 < rises < WINDOW - 10


def test_a_batch_holds_one_source_and_two_alternate_in_proportion() -> None:
    encoded = split(600, 200)
    batches = epoch(encoded, [0, 1], 8, 0, 0)
    sources = [{encoded.examples[index].source for index in batch} for batch in batches]
    assert all(len(found) == 1 for found in sources)
    of_second = [int(found == {1}) for found in sources]
    assert (len(of_second), sum(of_second)) == (100, 25)
    for length in (
        4,
        8,
        20,
        60,
    ):  # spread evenly: any stretch of the epoch has its quarter, to one batch
        counts = {sum(of_second[start : start + length]) for start in range(100 - length + 1)}
        assert max(abs(count - length / 4) for count in counts) <= 1
    assert {index for batch in batches for index in batch} == set(range(800))


def test_a_source_comes_in_the_same_order_whoever_else_is_trained() -> None:
    encoded = split(100, 40)
    both = epoch(encoded, [0, 1], 8, 0, 0)
    for source in (0, 1):
        alone = epoch(encoded, [source], 8, 0, 0)
        assert {index for batch in alone for index in batch} == members(encoded, source)
        assert [batch for batch in both if set(batch) <= members(encoded, source)] == alone


def test_a_source_without_sentences_gives_no_batch() -> None:
    assert epoch(split(0), [0], 8, 0, 0) == []
    assert len(epoch(split(16), [0, 1], 8, 0, 0)) == 2


def test_windows_keep_padding_far_below_that_of_plain_shuffling() -> None:
    draw = np.random.default_rng(0)
    lengths = (
        np.clip(draw.lognormal(2.35, 0.4, 13_084).round(), 2, 35).astype(int) + 2
    )  # about as long as SNIPS' sentences
    encoded = Encoded(Examples.of(example(int(length)) for length in lengths))
    order = draw.permutation(len(lengths))[: 32 * 400].reshape(-1, 32)
    plain = padding(encoded, [tuple(map(int, row)) for row in order])
    ours = padding(encoded, epoch(encoded, [0], 32, 0, 0))
    assert plain > 0.5
    assert ours < plain / 8


def test_tags_stand_on_first_sub_words_and_nowhere_else() -> None:
    long = Example(
        0,
        np.array([101, 7, 8, 9, 10, 102]),
        np.array([1, 3, -1, 4]),
        {"ner": np.array([2, IGNORE, 5, 0])},
        {"classifier": 1},
    )
    short = Example(
        0,
        np.array([101, 7, 102]),
        np.array([-1, 1]),
        {"ner": np.array([4, 3])},
        {"classifier": IGNORE},
    )
    text = Example(
        1,
        np.array([101, 9, 9, 102]),
        np.zeros(0, dtype=np.int64),
        {"ner": np.zeros(0, dtype=np.int64)},
        {"classifier": 0},
    )
    batch = collate([text, short, long], (2, 1, 0), pad_id=55)
    no = IGNORE
    assert batch.targets["ner"].tolist() == [
        [no, 2, no, no, 0, no],
        [no, 3, no, no, no, no],
        [no] * 6,
    ]
    assert batch.input_ids.tolist() == [
        [101, 7, 8, 9, 10, 102],
        [101, 7, 102, 55, 55, 55],
        [101, 9, 9, 102, 55, 55],
    ]
    assert batch.attention_mask.tolist() == [[1] * 6, [1] * 3 + [0] * 3, [1] * 4 + [0] * 2]
    assert batch.targets["classifier"].tolist() == [1, IGNORE, 0]
    assert (batch.ids, batch.lengths) == ((2, 1, 0), (6, 3, 4))
    assert {
        tensor.dtype for tensor in (batch.input_ids, batch.attention_mask, *batch.targets.values())
    } == {torch.int64}


def test_a_batch_may_hold_a_sentence_twice() -> None:
    batch = collate([example(3), example(5)], (1, 0, 1), pad_id=0)
    assert torch.equal(batch.input_ids[0], batch.input_ids[2])
    assert batch.ids == (1, 0, 1)


def test_a_moved_batch_is_the_same_batch() -> None:
    batch = collate([example(3)], (0,), pad_id=0)
    moved = batch.to(torch.device("meta"))
    assert {
        tensor.device.type
        for tensor in (moved.input_ids, moved.attention_mask, *moved.targets.values())
    } == {"meta"}
    assert (moved.ids, moved.lengths) == (batch.ids, batch.lengths)


@pytest.mark.parametrize("budget", [1, 39, 40, 100, 4096, 10**9])
def test_evaluation_covers_every_sentence_once_within_the_budget(budget: int) -> None:
    encoded = split(150, 50)
    batches = by_length(encoded, budget)
    assert sorted(index for batch in batches for index in batch) == list(range(200))
    for batch in batches:
        assert (
            len(batch) == 1
            or len(batch) * max(len(encoded.examples[index]) for index in batch) <= budget
        )


def test_evaluation_pads_little() -> None:
    encoded = split(1500, 500)
    assert padding(encoded, by_length(encoded, 1024)) < 0.05


def test_evaluation_of_nothing_has_no_batch() -> None:
    assert by_length(Encoded(Examples.of(())), 100) == []
