"""Tag schemes of entity annotation: which one a source uses, whether its tags follow it, and
conversion to IOB2.

seqeval's ``scheme`` module distinguishes IOB2 from BIOES, but it does not recognise IOB1, and it
does not say where a tag is wrong.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Literal

Scheme = Literal["IOB2", "IOB1", "BIOES", "BILOU", "BMES"]
Tags = Sequence[str]

TAG = re.compile(r"O|[BIESLUM]-.+")
TYPELESS = re.compile("[OBIESLUM]")
"""A tag of a source whose entities have no type."""
PREFIXED = re.compile(r"^[BIESLUM][^A-Za-z0-9]|[^A-Za-z0-9][BIESLUM]$|^[biesl][-_]|^[^A-Za-z]*$")
"""A tag that has no letter, or a prefix in a spelling that is not supported."""
MOST_TYPES = 100
"""The largest number of types for which tags are read as bare types."""
ONE_TYPE = "entity"
"""The type given to entities without a type."""
CONTINUES: dict[Scheme, str] = {
    "IOB2": "I",
    "IOB1": "B",
    "BIOES": "IE",
    "BILOU": "IL",
    "BMES": "ME",
}
"""The prefixes that may only follow ``B-x`` or ``I-x`` of their own type. IOB1 uses B- only for an
entity right after another; BMES writes M- for I-."""
MARK_ENDS = ("BIOES", "BILOU", "BMES")
"""Schemes with a special prefix for the last word of an entity."""
TO_IOB2 = {"E": "I", "L": "I", "M": "I", "S": "B", "U": "B"}


class TagError(ValueError):
    """A tag that belongs to no scheme, or that its scheme does not allow at this place.

    ``sequence`` and ``position`` are the place, both counted from 0.
    """

    def __init__(self, sequence: int, position: int, problem: str, remedy: str) -> None:
        self.sequence, self.position, self.problem, self.remedy = (
            sequence,
            position,
            problem,
            remedy,
        )
        super().__init__(f"sequence {sequence}, position {position}: {problem}; {remedy}")


def entity_type(tag: str) -> str | None:
    """``x`` for the tag ``B-x``; None for ``O``."""
    return None if tag == "O" else tag[2:]


def entities(tags: Tags) -> Iterator[tuple[str, int, int]]:
    """Type, first word and the word after the last of each entity in IOB2 tags, read as conlleval
    does: an ``I-`` tag that continues no entity begins one.
    """
    begin, kind = 0, ""
    for at, tag in enumerate([*tags, "O"]):
        prefix, _, other = tag.partition("-")
        if kind and (prefix != "I" or other != kind):
            yield kind, begin, at
            kind = ""
        if prefix in ("B", "I") and not kind:
            begin, kind = at, other


def typeless(tags: Iterable[str]) -> bool:
    """Whether tags are prefixes without types, not all of them ``O``."""
    known = set(tags)
    return known != {"O"} and bool(known) and all(map(TYPELESS.fullmatch, known))


def typed(tag: str) -> str:
    """A typeless tag with :data:`ONE_TYPE` as its type."""
    return tag if tag == "O" else f"{tag}-{ONE_TYPE}"


def prefixed(tag: str) -> str:
    """A tag that is a bare type, with the prefix ``I-``."""
    return tag if tag == "O" else f"I-{tag}"


def bare_types(counts: Mapping[str, int]) -> bool:
    """Whether tags are types without prefixes, and ``O`` for at least half of the words.
    Neighbouring words of one type are then one entity.

    Args:
        counts: tag to its number of occurrences.
    """
    types = [tag for tag in counts if tag != "O"]
    return (
        bool(types)
        and len(types) <= MOST_TYPES
        and 2 * counts.get("O", 0) >= sum(counts.values())
        and all(tag.strip() and " " not in tag and not PREFIXED.search(tag) for tag in types)
        and not any(TAG.fullmatch(tag) or TYPELESS.fullmatch(tag) for tag in types)
        and len(types) <= sum(counts[tag] for tag in types) / 2
    )


def are_tags(texts: Collection[str]) -> bool:
    """Whether all texts are entity tags, either all with types or all without."""
    return all(map(TAG.fullmatch, texts)) or all(map(TYPELESS.fullmatch, texts))


def detect(sequences: Sequence[Tags]) -> Scheme:
    """The scheme of a whole source.

    Tags with the prefixes B and I alone are IOB1 where fewer of them are out of place in IOB1 than
    in IOB2. So where tags are out of place in both schemes, the source is read in the scheme that
    it mostly follows, and :func:`to_iob2` names the exceptions.

    Raises:
        TagError: a tag is neither ``O`` nor a prefix and a type, or schemes are mixed.
    """
    known = {tag for tags in sequences for tag in tags}
    wrong = _unknown(sequences, known)
    if wrong:
        raise wrong[0]
    prefixes = {tag[0] for tag in known}
    if "M" in prefixes:
        return _bmes(sequences, known)
    bioes, bilou = prefixes & {"E", "S"}, prefixes & {"L", "U"}
    if bioes and bilou:
        sequence, position = _first(sequences, {tag for tag in known if tag[0] in bilou})
        problem = f"{sequences[sequence][position]} is BILOU, other tags are BIOES"
        raise TagError(sequence, position, problem, "use one scheme in all splits")
    if bioes or bilou:
        return "BIOES" if bioes else "BILOU"
    iob2 = sum(1 for _ in _misplaced(sequences, "IOB2"))
    return "IOB1" if iob2 and sum(1 for _ in _misplaced(sequences, "IOB1")) < iob2 else "IOB2"


def _bmes(sequences: Sequence[Tags], known: set[str]) -> Scheme:
    """BMES, after a check that no tag of another scheme occurs.

    Raises:
        TagError: such a tag occurs.
    """
    others = {tag for tag in known if tag[0] in "ILU"}
    if others:
        sequence, position = _first(sequences, others)
        problem = f"{sequences[sequence][position]} stands among tags of BMES, which have M- inside"
        raise TagError(sequence, position, problem, "use one scheme in all splits")
    return "BMES"


def unknown(sequences: Sequence[Tags]) -> list[TagError]:
    """Every tag that is neither ``O`` nor a prefix and a type."""
    return _unknown(sequences, {tag for tags in sequences for tag in tags})


def _unknown(sequences: Sequence[Tags], known: set[str]) -> list[TagError]:
    wrong = {tag for tag in known if not TAG.fullmatch(tag)}
    places = (
        [(s, p) for s, tags in enumerate(sequences) for p, tag in enumerate(tags) if tag in wrong]
        if wrong
        else []
    )
    remedy = "write O, or B- or I- and a type, as in B-person"
    return [TagError(s, p, f"{sequences[s][p]!r} is not a tag", remedy) for s, p in places]


def mistakes(sequences: Sequence[Tags]) -> list[TagError]:
    """All errors that :func:`detect` and :func:`to_iob2` would raise; the scheme is detected from
    the sequences without unknown tags.
    """
    wrong = unknown(sequences)
    excluded = {error.sequence for error in wrong}
    rest = [() if number in excluded else tags for number, tags in enumerate(sequences)]
    try:
        scheme = detect(rest)
    except TagError as error:
        return [*wrong, error]
    return wrong + [_error(rest, scheme, *place, 1) for place in _misplaced(rest, scheme)]


def to_iob2(sequences: Sequence[Tags], scheme: Scheme) -> Iterator[tuple[str, ...]]:
    """Convert every sequence to IOB2, after a check of all of them; tags in IOB2 stay as they are.

    Raises:
        TagError: a tag is not allowed by ``scheme`` at its place; the error is for the first one
            and gives the number of such tags.
    """
    misplaced = _misplaced(sequences, scheme)
    first = next(misplaced, None)
    if first is not None:
        raise _error(sequences, scheme, *first, 1 + sum(1 for _ in misplaced))
    return (tuple(_convert(tags, scheme)) for tags in sequences)


def _convert(tags: Tags, scheme: Scheme) -> Iterator[str]:
    for before, tag in zip(("O", *tags), tags, strict=False):
        if scheme == "IOB1" and tag[0] == "I" and not _goes_on(before, tag):
            yield f"B{tag[1:]}"
        else:
            yield TO_IOB2.get(tag[0], tag[0]) + tag[1:]


def _misplaced(sequences: Sequence[Tags], scheme: Scheme) -> Iterator[tuple[int, int]]:
    """The places, sequence and position, of tags that ``scheme`` does not allow there: tags that
    should continue an entity and do not, and in schemes that mark ends, tags of an entity without
    an end.
    """
    return (
        (number, position)
        for number, tags in enumerate(sequences)
        for position in _out_of_place(tuple(tags), scheme)
    )


@lru_cache(maxsize=1 << 14)
def _out_of_place(tags: tuple[str, ...], scheme: Scheme) -> tuple[int, ...]:
    """The positions of misplaced tags (see :func:`_misplaced`) in one sequence. The results are
    cached, because many sentences have the same tags.
    """
    marks_ends = scheme in MARK_ENDS
    positions = []
    for position, (before, tag, after) in enumerate(
        zip(("O", *tags), tags, (*tags[1:], "O"), strict=False)
    ):
        not_begun = tag[0] in CONTINUES[scheme] and not _goes_on(before, tag)
        open_ = marks_ends and tag[0] in "BIM"
        not_ended = open_ and not (after[0] in "IMEL" and after[1:] == tag[1:])
        if not_begun or not_ended:
            positions.append(position)
    return tuple(positions)


def _goes_on(before: str, tag: str) -> bool:
    """Whether ``before`` leaves an entity of the type of ``tag`` open."""
    return before[0] in "BIM" and before[1:] == tag[1:]


def _error(
    sequences: Sequence[Tags], scheme: Scheme, sequence: int, position: int, count: int
) -> TagError:
    tags = sequences[sequence]
    tag = tags[position]
    before = tags[position - 1] if position else "the start"
    kind = tag[2:]
    also = f" ({count:,} such tags)" if count > 1 else ""
    if tag[0] in CONTINUES[scheme] and not (position and _goes_on(before, tag)):
        inside = "M" if scheme == "BMES" else "I"
        problem = f"{tag} follows {before}, not B-{kind} or {inside}-{kind}, in tags that are otherwise {scheme}{also}"
        return TagError(
            sequence,
            position,
            problem,
            f"begin the entity with {'I' if scheme == 'IOB1' else 'B'}-{kind}",
        )
    end, inside = "L" if scheme == "BILOU" else "E", "M" if scheme == "BMES" else "I"
    problem = f"{tag} is not followed by {inside}-{kind} or {end}-{kind}, in tags that are otherwise {scheme}{also}"
    return TagError(sequence, position, problem, f"end the entity with {end}-{kind}")


def _first(sequences: Sequence[Tags], tags: set[str]) -> tuple[int, int]:
    return next(
        (s, p)
        for s, sequence in enumerate(sequences)
        for p, tag in enumerate(sequence)
        if tag in tags
    )
