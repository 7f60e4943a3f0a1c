"""Texts that look alike: one normal form for comparing them, and a spelling that shows what the eye
does not see.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence

import regex

from mtlab.plan.errors import without_secrets

LONG = 120
"""Characters of a name that are shown."""

IGNORABLE = regex.compile(r"\p{Default_Ignorable_Code_Point}+")
"""Invisible characters: zero-width ones, soft hyphens, variation selectors, marks of direction."""

DASHES = regex.compile(r"\p{Pd}|\u2212")
APOSTROPHES = re.compile("[\u2018\u2019\u02bc\u00b4]")
QUOTES = "\"'`\u201c\u201d\u201e\u00ab\u00bb"
"""Marks that are left at an end of a name where a file's quotes do not match."""
LETTERS = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0425\u0406"
    "\u03bf\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7",
    "aeopcyxijsABEKMHOPCTXI" + "oABEZHIKMNOPTYX",
)
"""Cyrillic and Greek letters that are drawn as a Latin one."""


def normal(text: str) -> str:
    """A text without regard to case, white space, characters without a look, and the forms that
    Unicode calls compatible (NFKC).
    """
    if not text.isascii():
        for _ in range(2):  # folded text may have to be composed again
            text = unicodedata.normalize(
                "NFKC", IGNORABLE.sub("", unicodedata.normalize("NFKC", text)).casefold()
            )
    return " ".join(text.casefold().split())


def look(name: str) -> str:
    """The look of a label or type: its normal form, with one kind of dash and apostrophe, and Latin
    letters for those drawn alike.

    Quotes at its ends do not count, unless there is nothing else.
    """
    whole = DASHES.sub("-", normal(APOSTROPHES.sub("'", name).translate(LETTERS)))
    return whole.strip(QUOTES).strip() or whole


def groups(names: Iterable[str]) -> list[list[str]]:
    """The names that look like another one of them, together."""
    alike = defaultdict(list)
    for name in dict.fromkeys(names):
        alike[look(name)].append(name)
    return [same for same in alike.values() if len(same) > 1]


def notes(names: Iterable[str], what: str) -> list[str]:
    """A line for each group of names that look alike, each ``what`` spelt so that they differ."""
    lines = []
    for same in groups(names):
        spellings = ", ".join(spelt(same)[:8]) + (
            f" and {len(same) - 8:,} more" if len(same) > 8 else ""
        )
        in_case = len({" ".join(name.lower().split()) for name in same}) == 1
        how = "differ in case or white space alone" if in_case else "look alike"
        lines.append(f"{spellings} {how}, and are different {what}s")
    return lines


def spelt(names: Sequence[str]) -> list[str]:
    """Names that look alike, in quotes, and with marks spelt out that tell them apart: of an accent
    by itself, its number in Unicode.
    """
    shared = set.intersection(*map(set, names))
    return [_quoted(name, shared) for name in names]


def _quoted(name: str, shared: set[str]) -> str:
    pairs = zip(f"-{name}", name, strict=False)
    marks = [
        "\\x20" if before == mark == " " else _mark(mark, shared) for before, mark in pairs
    ]  # lines show several blanks as one
    quote = '"' if "'" in name and '"' not in name else "'"
    text = without_secrets("".join(marks))
    return f"{quote}{text}{quote}" if len(text) <= LONG else f"{quote}{text[:LONG]} ..."


def _mark(mark: str, shared: set[str]) -> str:
    """A character as it is shown: escaped where the eye takes it for another, or for nothing, and
    not all of the names have it.
    """
    if mark.isprintable() and (mark.isascii() or mark in shared or not _misleads(mark)):
        return mark
    return ascii(mark)[1:-1]


def _misleads(mark: str) -> bool:
    marks = (
        unicodedata.category(mark)[0] == "M"
        or IGNORABLE.match(mark)
        or DASHES.match(mark)
        or APOSTROPHES.match(mark)
    )
    return bool(marks) or ord(mark) in LETTERS or unicodedata.normalize("NFKC", mark) != mark
