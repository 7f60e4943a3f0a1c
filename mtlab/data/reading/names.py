"""Which split a name means: the name of a file, a folder, a split on the hub, or a value of a
column.
"""

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from mtlab.data.reading.table import Table
from mtlab.plan.errors import UserError, shown

SPLITS = ("train", "validation", "test")
MEANT = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev", "devel", "development"), "validation"),
    **dict.fromkeys(("test", "testing", "tst"), "test"),
}
"""Words to the split that they always mean."""
EITHER = ("eval", "evaluation", "testa", "testb")
"""Words that may mean validation or test: only the names of the other splits decide."""
LETTERED = re.compile("test[-_. ]([ab])(?![a-z])", re.IGNORECASE)
"""``testa`` and ``testb`` with a sign before the letter."""
CALLED = {"split", "splits", "fold", "folds", "partition", "subset", "set", "part", "usage"}
"""Words in the name of a column that divides the rows into splits."""
FOLDS = 20
"""A column with more values than this does not divide the rows into splits."""
WORD = re.compile("[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


@dataclass(frozen=True)
class Claim:
    """The split that a name means."""

    split: str | None
    """One of ours, ``either`` for validation or test, or None: the name means no split, or
    several."""
    exact: bool = False
    """Whether the name is nothing but a word for the split."""


@dataclass(frozen=True)
class Choice:
    """The file or split that was chosen for a split of ours."""

    name: str
    why: str = ""
    """The reason, where its name is not exactly the split's."""


def claim(name: str) -> Claim:
    """The split that a name, without an extension, means: ``dev`` and ``my-dev`` mean validation,
    ``train_test`` means none.
    """
    name = LETTERED.sub(r"test\1", name)
    if name.casefold() in MEANT or name.casefold() in EITHER:
        return Claim(MEANT.get(name.casefold(), "either"), exact=True)
    words = {re.sub("(set|data|split)$", "", word.casefold()) for word in WORD.findall(name)}
    meanings = {MEANT.get(word, "either") for word in words if word in MEANT or word in EITHER}
    return Claim(meanings.pop() if len(meanings) == 1 else None)


def may_be(name: str, split: str) -> bool:
    """Whether a file or folder with this name may be the missing ``split``: the name does not mean
    another one.
    """
    return claim(name).split in (None, split, *(() if split == "train" else ("either",)))


def assign(
    names: Mapping[str, str], named: Collection[str] = (), option: str = "data"
) -> dict[str, Choice]:
    """Choose a file, folder or value for each split, by their names.

    A name that is exactly a split is chosen before one that has the split as one of several words.

    Args:
        names: name in messages to the part of the name that says the split.
        named: splits that the user has named; nothing is chosen for them.
        option: of the source on the command line, for messages.

    Raises:
        UserError: two names mean the same split, or one may mean validation as well as test.
    """
    claims = {name: claim(words) for name, words in names.items()}
    chosen: dict[str, Choice] = {}
    for split in SPLITS:
        meaning = [name for name, claimed in claims.items() if claimed.split == split]
        exact = [name for name in meaning if claims[name].exact]
        several = exact or meaning
        if split in named or not several:
            continue
        if len(several) > 1:
            remedy = f"keep one, or name it with --{option}.splits.{split} {several[1]}"
            if len({Path(name).suffix for name in several} - {""}) == 1:
                remedy += f", or move all of them into a folder {split}"
            raise UserError(
                f"{listed(several)} are {'both' if len(several) == 2 else 'all'} the {split} split",
                remedy,
                code="ambiguous-split",
            )
        chosen[split] = Choice(several[0], "" if exact else "by its name")
    either = {name: names[name] for name, claimed in claims.items() if claimed.split == "either"}
    return {**chosen, **_either(either, chosen, named, option)}


def _either(
    names: Mapping[str, str], chosen: Mapping[str, Choice], named: Collection[str], option: str
) -> dict[str, Choice]:
    """Choose splits for names that may mean validation or test: those that the other names leave,
    if that is certain.
    """
    missing = [split for split in SPLITS[1:] if split not in chosen and split not in named]
    if not names or not missing:
        return {}
    letters = {
        LETTERED.sub(r"test\1", words).casefold()[-5:]: name for name, words in names.items()
    }
    if len(missing) == len(names) == 2 and letters.keys() == {"testa", "testb"}:
        why = "as in CoNLL-2003, where testa is validation and testb is test"
        return {"validation": Choice(letters["testa"], why), "test": Choice(letters["testb"], why)}
    if len(missing) == len(names) == 1:
        other = "test" if missing == ["validation"] else "validation"
        reason = f"{shown(chosen[other].name)} is" if other in chosen else "another is named"
        return {missing[0]: Choice(next(iter(names)), f"since {reason} the {other} split")}
    remedy = " or ".join(f"--{option}.splits.{split} {next(iter(names))}" for split in missing)
    raise UserError(
        f"{listed(list(names))} may be the {' or the '.join(missing)} split",
        f"say which with {remedy}",
        code="ambiguous-split",
    )


def listed(names: Collection[str]) -> str:
    """``a, b and c``; the first ones of many; empty for none."""
    if not names:
        return ""
    *leading, last = [*list(names)[:8], *([f"{len(names) - 8:,} more"] if len(names) > 8 else [])]
    return f"{', '.join(leading)} and {last}" if leading else last


def in_columns(table: Table, read: Collection[str] = ()) -> dict[str, Counter[str]]:
    """Columns of a table whose cells are names of splits, at least two different ones, and how many
    rows each name has.

    Args:
        table: a split.
        read: columns that are read for another purpose.
    """
    first = next(iter(table.rows), None)
    names = {
        name
        for name, value in (first.values if first else {}).items()
        if _is_split(value, name) and name not in read
    }
    counts: dict[str, Counter[str]] = {name: Counter() for name in names}
    for row in table.rows if names else ():
        for name in [name for name in counts if not _is_split(row.values.get(name), name)]:
            del counts[name]
        for name, counted in counts.items():
            counted[row.values[name]] += 1
    return {name: counted for name, counted in counts.items() if len(counted) > 1}


def _is_split(value: object, column: str) -> bool:
    if not isinstance(value, str):
        return False
    claimed = claim(value.strip())
    return claimed.exact or (is_called(column) and claimed.split is not None)


def is_called(column: str) -> bool:
    """Whether the name of a column says that it divides the rows into splits."""
    words = {word.casefold() for word in WORD.findall(column)}
    return not CALLED.isdisjoint(words) or {"is", "train"} <= words or {"is", "test"} <= words


def dividing(table: Table, read: Collection[str]) -> dict[str, Counter[str]]:
    """Columns whose name says that they divide the rows, but whose few values are not names of
    splits, and how many rows each value has.

    Args:
        table: a split.
        read: columns that are read for another purpose.
    """
    dividing = {}
    known = in_columns(table, read)
    for name in table.columns:
        if is_called(name) and name not in known and name not in read:
            counts = Counter(str(row.values.get(name)) for row in table.rows)
            if 1 < len(counts) <= FOLDS:
                dividing[name] = counts
    return dividing
