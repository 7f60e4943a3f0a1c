"""Selectors: what they accept, what they mean at a depth, and what they say when they mean
nothing."""

import pytest

from mtlab.plan import selectors
from mtlab.plan.errors import UserError
from mtlab.tasks.registry import USUAL


@pytest.mark.parametrize("name", selectors.names(USUAL))
def test_every_name_parses_to_itself(name: str) -> None:
    assert selectors.parse(name, USUAL).name == name


@pytest.mark.parametrize(
    ("text", "depth", "blocks"),
    [
        ("layers[:]", 6, range(6)),
        ("layers[2:]", 6, range(2, 6)),
        ("layers[:2]", 6, range(2)),
        ("layers[1:3]", 6, range(1, 3)),
        ("layers[-2:]", 6, range(4, 6)),
        ("layers[:-2]", 6, range(4)),
        ("layers[ 1 : 3 ]", 6, range(1, 3)),
        ("layers[0:6]", 6, range(6)),
        ("layers[-6:]", 6, range(6)),
        ("layers[0]", 6, range(1)),
        ("layers[5]", 6, range(5, 6)),
        ("layers[-1]", 6, range(5, 6)),
        ("layers[-2]", 6, range(4, 5)),
        ("layers[-1/3:]", 6, range(4, 6)),
        ("layers[-1/3:]", 12, range(8, 12)),
        ("layers[-1/3:]", 4, range(3, 4)),  # 1.33 blocks
        ("layers[-1/2:]", 3, range(1, 3)),  # 1.5 blocks: halves up
        ("layers[-1/12:]", 3, range(2, 3)),  # a fraction is at least one block
        ("layers[:1/3]", 6, range(2)),
        ("layers[1/3:2/3]", 6, range(2, 4)),
        ("layers[-6/6:]", 6, range(6)),  # the whole depth, not one block
        ("layers[:2/2]", 6, range(6)),
    ],
)
def test_slices_are_pythons_and_fractions_are_of_the_depth(
    text: str, depth: int, blocks: range
) -> None:
    assert selectors.parse(text, USUAL).blocks(depth) == blocks


@pytest.mark.parametrize("part", selectors.PARTS)
def test_parts_stand_alone_or_behind_blocks(part: str) -> None:
    alone, behind = (selectors.parse(text, USUAL) for text in (part, f"layers[-2:].{part}"))
    assert (alone.name, alone.part) == ("encoder", part)
    assert (behind.name, behind.part, behind.blocks(6)) == ("layers", part, range(4, 6))


@pytest.mark.parametrize(
    ("text", "depth", "line"),
    [
        ("layers[7:]", 6, "selector 'layers[7:]' is out of range; the encoder has layers[0:6]"),
        ("layers[:7]", 6, "selector 'layers[:7]' is out of range; the encoder has layers[0:6]"),
        ("layers[-7:]", 6, "selector 'layers[-7:]' is out of range; the encoder has layers[0:6]"),
        ("layers[6]", 6, "selector 'layers[6]' is out of range; the encoder has layers[0:6]"),
        ("layers[3:3]", 6, "selector 'layers[3:3]' matches no block; the encoder has layers[0:6]"),
        ("layers[6:]", 6, "selector 'layers[6:]' matches no block; the encoder has layers[0:6]"),
        ("layers[4:2]", 6, "selector 'layers[4:2]' matches no block; the encoder has layers[0:6]"),
    ],
)
def test_a_slice_that_names_no_block_says_what_the_encoder_has(
    text: str, depth: int, line: str
) -> None:
    with pytest.raises(UserError) as error:
        selectors.parse(text, USUAL).blocks(depth)
    assert str(error.value) == line


KNOWN = (
    "encoder, embeddings, heads, head.classifier, head.ner, lora, all, "
    "norms, biases, attention, ffn, layers[a:b]"
)
SLICES = "a slice of blocks reads layers[a:b], as in layers[0:2] or layers[-1/3:]"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("encodr", "unknown selector 'encodr'; did you mean 'encoder'?"),
        ("head.nre", "unknown selector 'head.nre'; did you mean 'head.ner'?"),
        (
            "xyz",
            f"unknown selector 'xyz'; known: {KNOWN}",
        ),
        ("Encoder", "unknown selector 'Encoder'; did you mean 'encoder'?"),
        (
            "",
            f"unknown selector ''; known: {KNOWN}",
        ),
        ("norm", "unknown selector 'norm'; did you mean 'norms'?"),
        (
            "layers[-1].norm",
            "selector 'layers[-1].norm': blocks have no part 'norm'; did you mean 'norms'?",
        ),
        ("layers[a:].norms", f"unknown selector 'layers[a:]'; {SLICES}"),
        (
            "head.ner.norms",
            "unknown selector 'head.ner.norms'; did you mean 'head.ner'?",
        ),
        ("layers", f"unknown selector 'layers'; {SLICES}"),
        ("layers[]", f"unknown selector 'layers[]'; {SLICES}"),
        ("layers[a:]", f"unknown selector 'layers[a:]'; {SLICES}"),
        ("layers[0.5:]", f"unknown selector 'layers[0.5:]'; {SLICES}"),
        ("layers[0:4:2]", f"unknown selector 'layers[0:4:2]'; {SLICES}"),
        (
            "layers[1/3]",
            "selector 'layers[1/3]': one block has a whole number; for a share of the depth write layers[1/3:]",
        ),
        (
            "layers[4/3:]",
            "selector 'layers[4/3:]': a fraction of the depth lies between -1 and 1 and is not 0",
        ),
        (
            "layers[-0/6:]",
            "selector 'layers[-0/6:]': a fraction of the depth lies between -1 and 1 and is not 0",
        ),
        (
            "layers[1/0:]",
            "selector 'layers[1/0:]': a fraction of the depth lies between -1 and 1 and is not 0",
        ),
    ],
)
def test_what_is_no_selector_is_told_in_one_line(text: str, line: str) -> None:
    with pytest.raises(UserError) as error:
        selectors.parse(text, USUAL)
    assert str(error.value) == line
