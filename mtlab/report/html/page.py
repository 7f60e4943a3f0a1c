"""The report as one HTML page: the text of ``report.md`` with the figures inside. The page loads no
other file.
"""

import hashlib
import itertools
import re
from base64 import b64encode
from collections.abc import Iterator, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import NamedTuple

from markdown_it.token import Token

from mtlab.report.html.reader import read, rendered, words

FIGURE = re.compile(r"plots/([\w.-]+)\.png")

SHELL = Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="$policy">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="mtlab">
<title>$title</title>
<style>$style</style>
</head>
<body>
<a class="skip" href="#report">Skip to the report</a>
<nav aria-label="Contents">
<details open>
<summary>Contents</summary>
$contents
</details>
</nav>
<main id="report" tabindex="-1">
$report</main>
<script>$script</script>
</body>
</html>
""")


class Heading(NamedTuple):
    """A heading of the page: its level, the name of its anchor, and its text."""

    level: int
    anchor: str
    words: str


def page(report: str, directory: Path) -> str:
    """The report as HTML: the same report and figures give the same text.

    The security policy lets the page run only its own script and load nothing, whatever the text of
    the report is.

    Args:
        report: the report as markdown.
        directory: the folder with the figures' SVG files in ``plots/``.

    Raises:
        OSError: a figure cannot be read.
    """
    tokens = read(report)
    headings = list(_anchored(tokens))
    body = rendered(list(_framed(_illustrated(tokens, directory))))
    style, script = (
        files("mtlab.report.html").joinpath(name).read_text(encoding="utf-8")
        for name in ("page.css", "page.js")
    )
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; "
        f"script-src '{_hash(script)}'; base-uri 'none'; form-action 'none'"
    )
    title = next((heading.words for heading in headings if heading.level == 1), "report")
    return SHELL.substitute(
        policy=policy,
        title=escape(title),
        style=style,
        contents=_contents(headings),
        report=body,
        script=script,
    )


def fragment(report: str, directory: Path) -> str:
    """A part of a report as HTML for use in another page, such as a notebook. It loads nothing, and
    has no style or script of its own.

    Args:
        report: the part as markdown, without headings.
        directory: the folder with the figures' SVG files in ``plots/``.

    Raises:
        OSError: a figure cannot be read.
    """
    body = rendered(list(_framed(_illustrated(read(report), directory))))
    return f'<div class="mtlab">\n{body}</div>\n'


def _hash(text: str) -> str:
    return "sha256-" + b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _anchored(tokens: Sequence[Token]) -> Iterator[Heading]:
    """Every heading; each first gets a unique id."""
    taken = {"report"}
    for at, token in enumerate(tokens):
        if token.type != "heading_open":
            continue
        title = words(tokens[at + 1].children or [])
        base = anchor = re.sub(r"[^a-z0-9]+", "-", title.lower())[:60].strip("-") or "section"
        number = 1
        while anchor in taken:
            number += 1
            anchor = f"{base}-{number}"
        taken.add(anchor)
        token.attrSet("id", anchor)
        yield Heading(int(token.tag[1]), anchor, title)


def _contents(headings: Sequence[Heading]) -> str:
    """The headings as a list of links. Headings below the second level are in a list inside their
    section.
    """
    lines, within = ["<ol>"], False
    for number, heading in enumerate(headings):
        deeper = heading.level > 2
        if deeper != within:
            lines.append("<ol>" if deeper else "</ol></li>")
        within = deeper
        followed = number + 1 < len(headings) and not deeper and headings[number + 1].level > 2
        lines.append(
            f'<li><a href="#{heading.anchor}">{escape(heading.words)}</a>'
            + ("" if followed else "</li>")
        )
    return "\n".join([*lines, *(["</ol></li>"] if within else []), "</ol>"])


def _html(content: str) -> Token:
    return Token("html_block", "", 0, content=content)


def _illustrated(tokens: Sequence[Token], directory: Path) -> Iterator[Token]:
    """The tokens, with every image and its caption as a figure.

    An SVG in an ``<img>`` is a separate document: it runs no script, loads nothing, and its ids do
    not clash with those of other figures.
    """
    at = number = 0
    while at < len(tokens):
        drawing = _only(tokens[at : at + 3], "image")
        path = FIGURE.fullmatch(str(drawing[0].attrs["src"])) if len(drawing) == 1 else None
        if not path:
            yield tokens[at]
            at += 1
            continue
        number += 1
        svg = b64encode((directory / "plots" / f"{path[1]}.svg").read_bytes()).decode()
        alt = escape(words(drawing[0].children or []))
        image = f'<img src="data:image/svg+xml;base64,{svg}" alt="{alt}">'
        yield _html(
            f'<figure>\n<div class="scroll" role="region" aria-label="Figure {number}" tabindex="0">{image}</div>\n'
        )
        at += 3
        if _only(tokens[at : at + 3], "em_open"):
            yield _html("<figcaption>")
            yield tokens[at + 1]
            yield _html("</figcaption>\n")
            at += 3
        yield _html("</figure>\n")


def _only(tokens: Sequence[Token], kind: str) -> list[Token]:
    """The tokens inside a paragraph that consists of one element of ``kind``, an image or an
    emphasis; empty for any other paragraph.
    """
    if [token.type for token in tokens] != ["paragraph_open", "inline", "paragraph_close"]:
        return []
    inner = tokens[1].children or []
    outer = [token.type for token in inner if token.level == 0]
    return inner if outer in ([kind], [kind, kind.replace("open", "close")]) else []


def _framed(tokens: Iterator[Token]) -> Iterator[Token]:
    """The tokens with every table in a scrolling frame, named after the heading or the summary
    above it.
    """
    heading, number = "", 0
    for token in tokens:
        if token.type == "heading_open":
            inline = next(tokens)
            heading = words(inline.children or [])
            yield from (token, inline)
        elif token.type == "summary_open":
            inline = next(tokens)
            heading = inline.content
            yield from (token, inline)
        elif token.type == "table_open":
            number += 1
            label = escape(f"Table {number}: {heading}")
            yield _html(f'<div class="scroll" role="region" aria-label="{label}" tabindex="0">\n')
            yield from _scoped(
                [token, *itertools.takewhile(lambda cell: cell.type != "table_close", tokens)]
            )
            yield _html("</table>\n</div>\n")
        else:
            yield token


def _scoped(table: Sequence[Token]) -> Iterator[Token]:
    """A table in which the first cell of each row is the row's header. An empty head is removed: such
    a table has a name and a value in each row.
    """
    head = [at for at, token in enumerate(table) if token.type.startswith("thead")]
    if not any(token.content for token in table[head[0] : head[1]]):
        table = [*table[: head[0]], *table[head[1] + 1 :]]
    first = False
    for at, token in enumerate(table):
        if token.attrs.pop("style", "") == "text-align:right":
            token.attrSet("class", "number")
        elif token.type == "td_open" and len(table[at + 1].content) > 48:
            token.attrSet("class", "long")
        if token.type == "tr_open":
            first = True
        elif token.type == "th_open":
            token.attrSet("scope", "col")
        elif token.type == "td_open" and first:
            first = False
            token.tag = table[at + 2].tag = "th"
            token.attrSet("scope", "row")
        yield token
