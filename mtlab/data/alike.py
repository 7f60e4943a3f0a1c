"""Texts that look alike: a normal form to compare them, and a spelling that shows differences that
are invisible.
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
"""Marks that stay at an end of a name when a file's quotes do not match."""
LETTERS = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0425\u0406"
    "\u03bf\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7",
    "aeopcyxijsABEKMHOPCTXI" + "oABEZHIKMNOPTYX",
)
"""Cyrillic and Greek letters to the Latin letters that look the same."""


def normal(text: str) -> str:
    """The normal form of a text: without differences in case, in white space, in invisible
    characters, and between forms that Unicode calls compatible (NFKC).
    """
    if not text.isascii():
        for _ in range(2):  # folded text may have to be composed again
            text = unicodedata.normalize(
                "NFKC", IGNORABLE.sub("", unicodedata.normalize("NFKC", text)).casefold()
            )
    return " ".join(text.casefold().split())


def look(name: str) -> str:
    """The look of a label or type: names that look alike have the same one. It is the normal form
    with one kind of dash and apostrophe, and Latin letters for letters that look like them.

    Quotes at its ends are removed, unless nothing else is left.
    """
    whole = DASHES.sub("-", normal(APOSTROPHES.sub("'", name).translate(LETTERS)))
    return whole.strip(QUOTES).strip() or whole


def groups(names: Iterable[str]) -> list[list[str]]:
    """The groups of names that look alike; a name that looks like no other is in none."""
    alike = defaultdict(list)
    for name in dict.fromkeys(names):
        alike[look(name)].append(name)
    return [same for same in alike.values() if len(same) > 1]


def notes(names: Iterable[str], what: str) -> list[str]:
    """A line for each group of names that look alike, spelt so that the difference shows; ``what``
    is the word for one of them, such as "label".
    """
    lines = []
    for same in groups(names):
        spellings = ", ".join(spelt(same)[:8]) + (
            f" and {len(same) - 8:,} more" if len(same) > 8 else ""
        )
        in_case = len({" ".join(name.lower().split()) for name in same}) == 1
        difference = "differ in case or white space alone" if in_case else "look alike"
        lines.append(f"{spellings} {difference}, and are different {what}s")
    return lines


def spelt(names: Sequence[str]) -> list[str]:
    """Names that look alike, in quotes, with escapes for the characters that distinguish them: for
    a combining accent, its number in Unicode.
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
    """A character as it is shown: as an escape if it cannot be printed, or if it looks like another
    character or is invisible and not all of the names have it.
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
