import re
import tokenize
from pathlib import Path

import pytest

from mtlab.plan.words import counted


def test_one_is_one() -> None:
    assert [counted(number, "trial") for number in (0, 1, 2, 2000)] == [
        "0 trials",
        "1 trial",
        "2 trials",
        "2,000 trials",
    ]


BANNED = re.compile(
    r"\b(is|are) told\b|\bstands? beside\b|\bholds 0\b|(?<!there) is no |\bwhoever\b|\bgo(es)? on\b|\bnot told\b",
    re.IGNORECASE,
)
"""Phrases that a reader of English as a second language has to read twice."""

CODE = Path(__file__).parents[2] / "mtlab"
FOLDERS = sorted({str(file.parent.relative_to(CODE)) for file in CODE.rglob("*.py")})


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_docstring_comment_or_message_has_a_phrase_that_is_read_twice(folder: str) -> None:
    found = []
    for file in (CODE / folder).glob("*.py"):
        with tokenize.open(file) as source:
            for token in tokenize.generate_tokens(source.readline):
                said = token.type in (tokenize.STRING, tokenize.COMMENT)
                if said and (phrase := BANNED.search(" ".join(token.string.split()))):
                    found.append(f"{file}:{token.start[0]}: {phrase[0]}")
    assert not found
