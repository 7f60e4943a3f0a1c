"""A figure that matplotlib wrote as SVG, as a part of a page: nothing in it can run, load, or share
an id with another figure.
"""

import re
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

TAGS = frozenset({"svg", "g", "defs", "use", "path", "rect", "circle", "clipPath", "pattern"})
"""Elements that figures use; any other, such as metadata, is left out. Text is drawn as paths."""

PAINT = re.compile(
    r"clip-path|clip-rule|color|opacity|fill(-opacity|-rule)?|stroke(-(dasharray|dashoffset|linecap|linejoin|miterlimit|opacity|width))?"
)
"""Style properties that are also attributes. The page's security policy forbids inline styles and
allows these attributes."""

SHAPE = re.compile(r"id|d|href|transform|viewBox|x|y|width|height|cx|cy|r|patternUnits")

_EVERYTHING = re.compile(r"\s*\*\s*\{([^}]*)\}\s*")


def inline(path: Path, label: str, prefix: str) -> str:
    """The figure in a file as an ``<svg>`` element.

    Args:
        path: of the SVG file.
        label: its text alternative.
        prefix: the beginning of its ids, unique on the page.

    Raises:
        OSError, xml.etree.ElementTree.ParseError: the file cannot be read.
    """
    root = ElementTree.parse(path).getroot()
    rules = "".join(element.text or "" for element in root.iter() if _local(element.tag) == "style")
    drawn = _copy(root)
    for unwanted in ("width", "height"):  # the page says how wide it is
        drawn.attrib.pop(unwanted, None)
    _name(drawn, prefix)
    everywhere = _EVERYTHING.fullmatch(rules)
    shared = _painted(everywhere[1]) if everywhere else {}
    drawn.attrib = {"role": "img", "aria-label": label, **shared, **drawn.attrib}
    return ElementTree.tostring(drawn, encoding="unicode")


def _copy(element: Element) -> Element:
    """A copy of an element and of its known children, without namespaces, comments and blanks."""
    copy = Element(_local(element.tag), _attributes(element))
    copy.extend(_copy(child) for child in element if _local(child.tag) in TAGS)
    return copy


def _attributes(element: Element) -> dict[str, str]:
    attributes = {_local(name): value for name, value in element.attrib.items()}
    kept = {
        name: value
        for name, value in attributes.items()
        if SHAPE.fullmatch(name) or PAINT.fullmatch(name)
    }
    kept |= _painted(attributes.get("style", ""))
    return {name: value for name, value in kept.items() if not _leads_out(name, value)}


def _painted(style: str) -> dict[str, str]:
    """The declarations of a style as attributes."""
    pairs = (declaration.partition(":") for declaration in style.split(";"))
    return {
        name.strip(): value.strip() for name, _, value in pairs if PAINT.fullmatch(name.strip())
    }


def _leads_out(name: str, value: str) -> bool:
    """Whether a value refers to anything but a part of its own figure."""
    return (name == "href" and not value.startswith("#")) or (
        "url(" in value and not re.fullmatch(r"url\(#[\w.-]+\)", value)
    )


def _name(root: Element, prefix: str) -> None:
    """Give the ids that something refers to the prefix, and take the others away."""
    references = [
        (element, name, value)
        for element in root.iter()
        for name, value in element.attrib.items()
        if (name == "href") or value.startswith("url(#")
    ]
    wanted = {
        value.removeprefix("url(").rstrip(")").removeprefix("#") for _, _, value in references
    }
    for element, name, value in references:
        element.set(name, value.replace("#", f"#{prefix}", 1))
    for element in root.iter():
        if element.get("id") in wanted:
            element.set("id", prefix + element.attrib["id"])
        else:
            element.attrib.pop("id", None)


def _local(tag: object) -> str:
    """A name without its namespace; empty for comments and the like."""
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""
