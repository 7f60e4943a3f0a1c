"""How other programs spell tags of entities, and the same tags as they are spelt here."""

import re
from collections.abc import Mapping

from mtlab.tasks.tags import TYPELESS, bare_types

OUTSIDE = ("O", "o", "0", "_", "-", "NONE", "None", "none", "OTHER", "Other", "other", "OUT", "OUTSIDE", "O-O")  # fmt: skip
"""What stands for ``O``."""
BEGIN = "BSUW"
"""Prefixes of which tags of entities have one."""
SPELLINGS = (
    re.compile(r"(?P<prefix>[BIESLUMW])-(?P<kind>\S+)"),
    *(re.compile(rf"(?P<prefix>[BIESLUMW]){re.escape(sign)}(?P<kind>\S+)") for sign in "_:. "),
    *(re.compile(rf"(?P<prefix>[bieslumw]){re.escape(sign)}(?P<kind>\S+)") for sign in "-_:"),
    *(re.compile(rf"(?P<kind>\S+){re.escape(sign)}(?P<prefix>[BIESLUMW])") for sign in "-_"),
)
"""Tags with a type; all tags of a source have the same spelling."""


def respelt(counts: Mapping[str, int]) -> dict[str, str]:
    """The tags of a source that are spelt otherwise here, and how; empty where none is, or where
    nobody can tell.

    Args:
        counts: tags to how often they stand.
    """
    outside = [tag for tag in counts if tag in OUTSIDE]
    types = [tag for tag in counts if tag not in OUTSIDE]
    if not types or len(outside) > 1:
        return {}
    spelling = _typed(types) or _typeless(types)
    if spelling is None and bare_types(
        {"O" if tag in OUTSIDE else tag: counts[tag] for tag in counts}
    ):
        spelling = {}
    if spelling is None:
        return {}
    return {
        old: new for old, new in {**spelling, **dict.fromkeys(outside, "O")}.items() if old != new
    }


def _typed(types: list[str]) -> dict[str, str] | None:
    """Tags with a prefix and a type; None where they are none."""
    for spelling in SPELLINGS:
        matches = [spelling.fullmatch(tag) for tag in types]
        matched = [match for match in matches if match is not None]
        if len(matched) < len(types):
            continue
        prefixes = {match["prefix"].upper() for match in matched}
        if prefixes <= {"I"} or prefixes & {*BEGIN}:
            single = "S" if prefixes & {"E", "M"} else "W"  # W- of BMEWO is S- of BMES
            return {
                match[0]: f"{match['prefix'].upper().replace('W', single)}-{match['kind']}"
                for match in matched
            }
    return None


def _typeless(types: list[str]) -> dict[str, str] | None:
    """Prefixes without types; None where they are none."""
    upper = {tag: tag.upper() for tag in types}
    if all(map(TYPELESS.fullmatch, upper.values())) and "B" in upper.values():
        return upper
    return None
