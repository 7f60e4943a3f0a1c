import random

import pytest

from mtlab.tasks import tags
from mtlab.tasks.tags import TagError


def iob2(*sequences: str) -> tuple[str, list[str]]:
    split = [sequence.split() for sequence in sequences]
    scheme = tags.detect(split)
    return scheme, [" ".join(converted) for converted in tags.to_iob2(split, scheme)]


@pytest.mark.parametrize(
    ("scheme", "given", "wanted"),
    [
        ("IOB2", ["B-a I-a O B-a B-a", "O"], ["B-a I-a O B-a B-a", "O"]),
        ("IOB2", ["O O"], ["O O"]),
        ("IOB2", ["B-a B-b I-b"], ["B-a B-b I-b"]),
        ("IOB1", ["I-a I-a O I-b", "I-a B-a I-a I-b"], ["B-a I-a O B-b", "B-a B-a I-a B-b"]),
        ("IOB1", ["O I-a"], ["O B-a"]),
        ("BIOES", ["B-a I-a E-a O S-b B-b E-b"], ["B-a I-a I-a O B-b B-b I-b"]),
        ("BIOES", ["S-a S-a"], ["B-a B-a"]),
        ("BILOU", ["B-a I-a L-a U-a O"], ["B-a I-a I-a B-a O"]),
        ("IOB2", ["B-creative-work I-creative-work"], ["B-creative-work I-creative-work"]),
    ],
)
def test_scheme_is_detected_and_converted(scheme: str, given: list[str], wanted: list[str]) -> None:
    assert iob2(*given) == (scheme, wanted)


@pytest.mark.parametrize(
    ("given", "place", "words"),
    [
        (["O", "O PER"], (1, 1), "'PER' is not a tag; write O, or B- or I- and a type"),
        (["B-a b-a"], (0, 1), "'b-a' is not a tag"),
        (["o"], (0, 0), "'o' is not a tag"),
        (["B-a", "B-"], (1, 0), "'B-' is not a tag"),
        ([""], None, ""),
        (
            ["B-a I-a", "B-b I-b", "O I-a"],
            (2, 1),
            "I-a follows O, not B-a or I-a, in tags that are otherwise IOB2; begin the",
        ),
        (["B-a I-a", "B-b I-b", "I-a"], (2, 0), "I-a follows the start"),
        (
            ["B-a I-a", "B-b I-b O", "B-a I-b", "I-a"],
            (2, 1),
            "not B-b or I-b, in tags that are otherwise IOB2 (2 such tags)",
        ),
        (
            ["I-a I-a", "I-b", "O B-a"],
            (2, 1),
            "B-a follows O, not B-a or I-a, in tags that are otherwise IOB1; begin the entity with I-a",
        ),
        (
            ["B-a E-a", "I-a E-a"],
            (1, 0),
            "I-a follows the start, not B-a or I-a, in tags that are otherwise BIOES; begin",
        ),
        (
            ["B-a E-a", "B-a O"],
            (1, 0),
            "B-a is not followed by I-a or E-a, in tags that are otherwise BIOES; end the entity with E-a",
        ),
        (["B-a L-a", "B-a I-a"], (1, 1), "I-a is not followed by I-a or L-a"),
        (
            ["S-a", "O U-a"],
            (1, 1),
            "U-a is BILOU, other tags are BIOES; use one scheme in all splits",
        ),
    ],
)
def test_wrong_tags_are_located(
    given: list[str], place: tuple[int, int] | None, words: str
) -> None:
    if place is None:
        assert iob2(*given)[0] == "IOB2"
        return
    with pytest.raises(TagError) as error:
        iob2(*given)
    assert (error.value.sequence, error.value.position) == place
    assert words in str(error.value)


def test_conversion_agrees_with_the_entities() -> None:
    """Random entities, written in each scheme, come back as the same IOB2."""
    draw = random.Random(7)
    written: dict[str, list[list[str]]] = {
        scheme: [] for scheme in ("IOB2", "IOB1", "BIOES", "BILOU")
    }
    for _ in range(300):
        rows: dict[str, list[str]] = {scheme: [] for scheme in written}
        last = None
        for _ in range(draw.randrange(1, 6)):
            kind, length = draw.choice(["a", "b", None]), draw.randrange(1, 4)
            for scheme in rows:
                rows[scheme] += spell(kind, length, scheme, kind is not None and kind == last)
            last = kind
        for scheme, row in rows.items():
            written[scheme].append(row)
    for scheme, sequences in written.items():
        assert tags.detect(sequences) == scheme
        assert [list(row) for row in tags.to_iob2(sequences, scheme)] == written["IOB2"]


def spell(kind: str | None, length: int, scheme: str, adjacent: bool) -> list[str]:
    if kind is None:
        return ["O"] * length
    last, one = {"BIOES": "ES", "BILOU": "LU"}.get(scheme, "IB")
    first = "B" if scheme != "IOB1" or adjacent else "I"
    if scheme == "IOB1":
        one = first
    prefixes = one if length == 1 else first + "I" * (length - 2) + last
    return [f"{prefix}-{kind}" for prefix in prefixes]
