"""Reads a report's markdown: the HTML that mtlab's reports use stays HTML, other HTML becomes text."""

import re
from collections.abc import Sequence
from html import escape

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

LINK = re.compile(r"https://\S+|#\S*|[^:/\\#\s][^:\\\s]*")
"""The allowed targets of a link: an encrypted page, a part of this page, or a file next to it."""

SUMMARY = re.compile(r"<summary>(.*)</summary>")


class Reader(MarkdownIt):
    """CommonMark with tables. The only HTML that it reads is ``<br>`` and ``<details>`` with a
    summary, each exactly as reports write it.
    """

    def __init__(self) -> None:
        super().__init__("commonmark", {"html": False, "xhtmlOut": False})
        self.enable("table").disable(["autolink", "html_inline", "html_block"])
        self.inline.ruler.before("entity", "line_end", _line_end)
        self.block.ruler.before("fence", "details", _details)

    def validateLink(self, url: str) -> bool:
        """Whether a link may lead there; the markdown of a forbidden link is shown as text."""
        return bool(LINK.fullmatch(url))


def read(report: str) -> list[Token]:
    """The tokens of a report."""
    return Reader().parse(report)


def rendered(tokens: Sequence[Token]) -> str:
    """Tokens as HTML. An image that is still among them becomes its alternative text."""
    reader = Reader()
    reader.add_render_rule(
        "image",
        lambda self, tokens, at, options, env: (
            f"<em>{escape(words(tokens[at].children or []))}</em>"
        ),
    )
    return str(reader.renderer.render(tokens, reader.options, {}))


def words(tokens: Sequence[Token]) -> str:
    """The words of tokens, without markup, on one line."""
    texts = (
        words(token.children)
        if token.children
        else " "
        if token.type.endswith("break")
        else token.content
        for token in tokens
    )
    return "".join(texts)


def _line_end(state: StateInline, silent: bool) -> bool:
    if not state.src.startswith("<br>", state.pos):
        return False
    if not silent:
        state.push("hardbreak", "br", 0)
    state.pos += len("<br>")
    return True


def _details(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Read a folded part. Without a summary or an end it stays text, so that every opened element
    is closed.
    """

    def line(number: int) -> str:
        return state.src[state.bMarks[number] : state.eMarks[number]] if number < end else ""

    summary = SUMMARY.fullmatch(line(start + 1))
    last, open_parts = None, 1
    for number in range(start + 2, end):
        open_parts += (line(number) == "<details>") - (line(number) == "</details>")
        if open_parts == 0:
            last = number
            break
    if line(start) != "<details>" or summary is None or last is None:
        return False
    if silent:
        return True
    state.push("details_open", "details", 1)
    state.push("summary_open", "summary", 1)
    inline = state.push("inline", "", 0)
    inline.content, inline.children = summary[1], []
    state.push("summary_close", "summary", -1)
    state.md.block.tokenize(state, start + 2, last)
    state.push("details_close", "details", -1)
    state.line = last + 1
    return True
