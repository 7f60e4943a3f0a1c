"""The ways in which other programs spell entity tags, and their conversion to the spelling here."""

import re
from collections.abc import Mapping

from mtlab.tasks.tags import TYPELESS, bare_types

OUTSIDE = ("O", "o", "0", "_", "-", "NONE", "None", "none", "OTHER", "Other", "other", "OUT", "OUTSIDE", "O-O")  # fmt: skip
"""Spellings of ``O``."""
BEGIN = "BSUW"
"""Prefixes that begin an entity. A source has one of them, unless all its prefixes are I."""
SPELLINGS = (
    re.compile(r"(?P<prefix>[BIESLUMW])-(?P<kind>\S+)"),
    *(re.compile(rf"(?P<prefix>[BIESLUMW]){re.escape(sign)}(?P<kind>\S+)") for sign in "_:. "),
    *(re.compile(rf"(?P<prefix>[bieslumw]){re.escape(sign)}(?P<kind>\S+)") for sign in "-_:"),
    *(re.compile(rf"(?P<kind>\S+){re.escape(sign)}(?P<prefix>[BIESLUMW])") for sign in "-_"),
)
"""Patterns of tags with a type. All tags of a source match the same pattern, except ``O``."""


def respelt(counts: Mapping[str, int]) -> dict[str, str]:
    """Tag of a source to its spelling here, for the tags that are spelt differently. Empty where
    there are none, or where the spelling is not recognised.

    Args:
        counts: tag to its number of occurrences.
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
    """Tag with a prefix and a type to its spelling here; None where some tags have another form."""
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
    """Prefixes without types to their spelling here; None where not all tags are prefixes."""
    upper = {tag: tag.upper() for tag in types}
    if all(map(TYPELESS.fullmatch, upper.values())) and "B" in upper.values():
        return upper
    return None
