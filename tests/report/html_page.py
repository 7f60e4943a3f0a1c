"""What a test sees of an HTML page: its elements with their attributes and words, in order."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

from markdown_it import MarkdownIt

EMPTY = {"meta", "br", "link", "img", "input", "hr", "base"}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    path: tuple[str, ...]
    """The tags that it stands in, and its own."""
    words: str = ""


@dataclass
class Page(HTMLParser):
    """Parses ``source``; an element that is not closed, or closed twice, is an error."""

    source: str
    elements: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[Element] = []
        self.feed(self.source)
        self.close()
        assert not self.open
        for element in self.elements:
            element.words = " ".join(element.words.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), "an attribute twice"
        path = (*self.open[-1].path, tag) if self.open else (tag,)
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}, path))
        if tag not in EMPTY:
            self.open.append(self.elements[-1])
        else:
            self.handle_data(" ")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in EMPTY:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.words += data

    def all(self, *tags: str) -> list[Element]:
        """The elements with one of these tags."""
        return [element for element in self.elements if element.tag in tags]

    def one(self, tag: str) -> Element:
        """The only element with this tag."""
        (found,) = self.all(tag)
        return found

    @property
    def ids(self) -> list[str]:
        return [element.attributes["id"] for element in self.elements if "id" in element.attributes]


HTML = {
    "html", "head", "meta", "title", "style", "body", "a", "nav", "details", "summary", "ol", "ul", "li", "main", "script",
    "h1", "h2", "h3", "p", "blockquote", "strong", "em", "code", "pre", "br", "table", "thead", "tbody", "tr", "th", "td",
    "div", "figure", "figcaption", "img",
}  # fmt: skip
IMAGE = "data:image/svg+xml;base64,"


def check_inert(source: str) -> Page:
    """Hold a page against what may be in it, whatever its records say."""
    page = Page(source)
    assert {element.tag for element in page.elements} <= HTML
    assert [element.path for element in page.all("script", "style", "title")] == [
        ("html", "head", "title"),
        ("html", "head", "style"),
        ("html", "body", "script"),
    ]
    assert (
        len(page.all("html"))
        == len(page.all("body"))
        == len(page.all("main"))
        == len(page.all("h1"))
        == 1
    )
    for element in page.elements:
        for name, value in element.attributes.items():
            assert name != "style" and not name.startswith("on"), element
            assert "src" not in name or (
                (element.tag, name) == ("img", "src") and value.startswith(IMAGE)
            ), element
            assert "url(" not in value, element
            if name.endswith("href"):
                assert value.startswith("https://") or not re.match(
                    r"[a-z][a-z0-9+.-]*:|[/\\]", value, re.IGNORECASE
                ), element
    return page


def of_markdown(report: Path) -> Page:
    """A report's markdown, read by the plain parser that trusts every tag in it."""
    made = (
        MarkdownIt("commonmark", {"html": True})
        .enable("table")
        .render(report.read_text(encoding="utf-8"))
    )
    return Page(f"<main>{made}</main>")
