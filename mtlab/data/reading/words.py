"""The words of raw text."""

import regex

WORD = regex.compile(
    r"""
      (?:[^\W\d_]\.){2,}                                # U.N., a.m.
    | ['’][sS]\b                                        # the possessive, cut off
    | \d+(?:[.,:]\d+)+\w*                               # 1,200  3.5bn  19:30
    | [\w\p{M}]+(?:['’](?![sS]\b)[\w\p{M}]+)*          # words, O'Hara and don't among them
    | \.{2,} | -{2,}
    | (?!\s)\X                                          # every other sign by itself, hyphens too
    """,
    regex.VERBOSE,
)
"""Words and signs, in the manner of the Penn Treebank, but cut at hyphens and not within
``don't``."""
