"""Tag schemes of entity annotation: which one a source uses, whether its tags obey it, and
conversion to IOB2.

seqeval's ``scheme`` module tells IOB2 from BIOES, but neither knows IOB1 when it sees it nor says
where a tag is wrong.
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
"""A tag that has a prefix in a spelling that is not read, or no letter."""
MOST_TYPES = 100
"""More types than that no source has."""
ONE_TYPE = "entity"
"""The type of entities that have none."""
CONTINUES: dict[Scheme, str] = {
    "IOB2": "I",
    "IOB1": "B",
    "BIOES": "IE",
    "BILOU": "IL",
    "BMES": "ME",
}
"""The prefixes that may only follow ``B-x`` or ``I-x`` of their own type. IOB1 keeps B- for an
entity right after another; BMES writes M- for I-."""
MARK_ENDS = ("BIOES", "BILOU", "BMES")
"""Schemes in which the last word of an entity has a prefix of its own."""
TO_IOB2 = {"E": "I", "L": "I", "M": "I", "S": "B", "U": "B"}


class TagError(ValueError):
    """A tag that no scheme has, or that its scheme does not allow where it stands.

    ``sequence`` and ``position`` say where, both from 0.
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
    """``x`` of ``B-x``; None of ``O``."""
    return None if tag == "O" else tag[2:]


def entities(tags: Tags) -> Iterator[tuple[str, int, int]]:
    """Type, first word and the word after the last of each entity in IOB2 tags, read as conlleval
    does: ``I-`` alone begins one, too.
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
    """A tag without a type, with the one type that there is."""
    return tag if tag == "O" else f"{tag}-{ONE_TYPE}"


def prefixed(tag: str) -> str:
    """A tag that is a bare type, with a prefix."""
    return tag if tag == "O" else f"I-{tag}"


def bare_types(counts: Mapping[str, int]) -> bool:
    """Whether tags are types without prefixes, and ``O`` for most words: neighbouring words of one type
    are one entity.

    Args:
        counts: tags to how often they stand.
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
    """Whether all of some texts are tags of entities, with types or all without."""
    return all(map(TAG.fullmatch, texts)) or all(map(TYPELESS.fullmatch, texts))


def detect(sequences: Sequence[Tags]) -> Scheme:
    """The scheme of a whole source.

    A set with B, I and O alone is IOB1 where fewer tags are out of place under IOB1 than under
    IOB2; so a set with tags out of place under both is read as what it mostly is, and
    :func:`to_iob2` points at the exceptions.

    Raises:
        TagError: a tag is neither ``O`` nor a prefix and a type, or BIOES and BILOU are mixed.
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
    """BMES, in which no other scheme's tags may stand.

    Raises:
        TagError: one does.
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
    """Everything that :func:`detect` and :func:`to_iob2` would refuse; the scheme is that of the
    sequences without unknown tags.
    """
    wrong = unknown(sequences)
    aside = {error.sequence for error in wrong}
    rest = [() if number in aside else tags for number, tags in enumerate(sequences)]
    try:
        scheme = detect(rest)
    except TagError as error:
        return [*wrong, error]
    return wrong + [_error(rest, scheme, *place, 1) for place in _misplaced(rest, scheme)]


def to_iob2(sequences: Sequence[Tags], scheme: Scheme) -> Iterator[tuple[str, ...]]:
    """Every sequence in IOB2, when all of them were looked at; those of IOB2 are handed on as they
    are.

    Raises:
        TagError: the first tag that ``scheme`` does not allow where it stands, with the number of
            such tags.
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
    """Places of tags that continue nothing, or, where ends are marked, that nothing ends."""
    return (
        (number, position)
        for number, tags in enumerate(sequences)
        for position in _out_of_place(tuple(tags), scheme)
    )


@lru_cache(maxsize=1 << 14)
def _out_of_place(tags: tuple[str, ...], scheme: Scheme) -> tuple[int, ...]:
    """Positions of such tags in one sequence. Remembered, for most sentences are tagged as some
    other is.
    """
    marks_ends = scheme in MARK_ENDS
    positions = []
    for position, (before, tag, after) in enumerate(
        zip(("O", *tags), tags, (*tags[1:], "O"), strict=False)
    ):
        unbegun = tag[0] in CONTINUES[scheme] and not _goes_on(before, tag)
        open_ = marks_ends and tag[0] in "BIM"
        unended = open_ and not (after[0] in "IMEL" and after[1:] == tag[1:])
        if unbegun or unended:
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
