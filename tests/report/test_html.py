import html
import itertools
import re
from base64 import b64decode, b64encode
from hashlib import sha256
from pathlib import Path

import pytest

from mtlab.report import document
from mtlab.report.html.page import page

from . import factory
from .html_page import IMAGE, Page, check_inert, of_markdown
from .test_document import HOSTILE


@pytest.fixture(scope="module")
def seen(html_report: Path) -> Page:
    return check_inert((html_report / "report.html").read_text(encoding="utf-8"))


def of(report: str, directory: Path = Path()) -> Page:
    return check_inert(page(report, directory))


def test_the_page_says_what_the_report_says_and_nothing_else(html_report: Path, seen: Page) -> None:
    report = of_markdown(html_report / "report.md")
    assert len(report.all("td")) > 100 and seen.one("main").words == report.one("main").words


def test_every_cell_of_every_table_is_there_in_its_place(html_report: Path, seen: Page) -> None:
    cells = [
        cell.words
        for cell in of_markdown(html_report / "report.md").all("td", "th")
        if cell.tag == "td" or cell.words
    ]
    assert [cell.words for cell in seen.all("td", "th")] == cells


def test_the_same_report_gives_the_same_page(html_report: Path) -> None:
    report = (html_report / "report.md").read_text(encoding="utf-8")
    assert page(report, html_report) == (html_report / "report.html").read_text(encoding="utf-8")


def test_nothing_is_loaded_and_links_lead_to_files_beside_the_page(
    html_report: Path, seen: Page
) -> None:
    links = {element.attributes["href"] for element in seen.all("a")}
    beside = {link for link in links if not link.startswith("#")}
    assert beside == {"trials.csv"} and all((html_report / link).exists() for link in beside)
    assert not seen.all("link", "object", "iframe", "base")
    assert all(image.attributes["src"].startswith(IMAGE) for image in seen.all("img"))
    source = (html_report / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"https?://|@import|@font-face", source)


def test_only_the_pages_own_style_and_script_are_allowed(seen: Page) -> None:
    policy = next(
        element.attributes["content"]
        for element in seen.all("meta")
        if "http-equiv" in element.attributes
    )
    source = seen.source
    for kind in ("style", "script"):
        (text,) = re.findall(f"<{kind}>(.*?)</{kind}>", source, re.DOTALL)
        assert (
            f"{kind}-src 'sha256-{b64encode(sha256(text.encode()).digest()).decode()}';" in policy
        )
    assert policy.startswith("default-src 'none';") and "unsafe" not in policy


def test_contents_lead_to_every_heading_and_all_ids_are_unique(seen: Page) -> None:
    assert len(seen.ids) == len(set(seen.ids))
    entries = [
        (element.attributes["href"], element.words)
        for element in seen.all("a")
        if "nav" in element.path
    ]
    headings = [
        (f"#{element.attributes['id']}", element.words) for element in seen.all("h1", "h2", "h3")
    ]
    assert entries == headings and len(entries) > 15
    within = [element.words for element in seen.all("a") if element.path.count("ol") == 2]
    assert within == [element.words for element in seen.all("h3")] and within


def test_headings_are_in_order(seen: Page) -> None:
    levels = [
        int(element.tag[1]) for element in seen.elements if re.fullmatch("h[1-6]", element.tag)
    ]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_the_page_has_a_language_a_title_a_skip_link_and_a_width(seen: Page) -> None:
    assert seen.one("html").attributes["lang"] == "en"
    assert seen.one("title").words == seen.one("h1").words == "freezing"
    first = next(
        element
        for element in seen.elements
        if element.path[:2] == ("html", "body") and len(element.path) == 3
    )
    assert first.tag == "a" and first.attributes["href"] == "#" + seen.one("main").attributes["id"]
    assert any(element.attributes.get("name") == "viewport" for element in seen.all("meta"))


def test_every_figure_has_a_name_and_a_caption(html_report: Path, seen: Page) -> None:
    report = (html_report / "report.md").read_text(encoding="utf-8")
    words = [html.unescape(word) for word in re.findall(r"!\[([^\]]*)\]", report)]
    figures = seen.all("img")
    assert [figure.attributes["alt"] for figure in figures] == words and all(words)
    assert all(figure.path[-3:-1] == ("figure", "div") for figure in figures)
    assert len(seen.all("figcaption")) == len(seen.all("figure")) == len(figures) == 4


def test_a_figure_is_its_file(html_report: Path, seen: Page) -> None:
    report = (html_report / "report.md").read_text(encoding="utf-8")
    names = re.findall(r"\(plots/([^)]*)\.png\)", report)
    images = [b64decode(figure.attributes["src"].removeprefix(IMAGE)) for figure in seen.all("img")]
    assert images == [(html_report / "plots" / f"{name}.svg").read_bytes() for name in names]


def test_every_table_has_headers_with_a_scope_and_a_name(seen: Page) -> None:
    assert all(
        cell.attributes["scope"] == ("col" if "thead" in cell.path else "row")
        for cell in seen.all("th")
    )
    rows = [len(part.split("</th>")) - 1 for part in seen.source.split("<tr>")[1:]]
    assert min(rows) >= 1, "every row has a header cell"
    names = [
        element.attributes["aria-label"]
        for element in seen.all("div")
        if "aria-label" in element.attributes
    ]
    assert len(set(names)) == len(names) == len(seen.all("table")) + len(seen.all("figure"))
    assert "Table 1: freezing" in names and "Table 3: Cost" in names
    assert any(name.endswith(": Certificates") or name.endswith(": Data") for name in names)


def luminance(colour: str) -> float:
    """WCAG 2's relative luminance of ``#rrggbb``."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_every_colour_of_words_stands_out_from_every_ground() -> None:
    assert contrast("#000000", "#ffffff") == 21 and contrast("#767676", "#ffffff") == pytest.approx(
        4.54, abs=0.01
    )
    style = (Path(document.__file__).parent / "html" / "page.css").read_text()
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", style))
    rules = style.partition("}")[2]
    assert not re.search(r"#[0-9a-fA-F]{3,8}\b|rgba?\(|hsla?\(|opacity", rules), (
        "colours have names"
    )
    words, grounds = (
        set(re.findall(rf"(?<![\w-]){name}: var\(--(\w+)\)", rules))
        for name in ("color", "background")
    )
    assert words >= {"ink", "quiet", "link"} and grounds >= {"paper", "tint"}
    for one, other in itertools.product(words, grounds):
        assert contrast(colours[one], colours[other]) >= 4.5, (one, other)


def test_a_report_with_hostile_names_is_inert_as_a_page(tmp_path: Path, no_figures: None) -> None:
    trials = []
    for trial in factory.all_trials(2):
        stages = tuple(stage.model_copy(update={"name": HOSTILE}) for stage in trial.stages)
        hostile = factory.with_types(trial, {HOSTILE: factory.entities(0.5, 3)})
        trials.append(hostile.model_copy(update={"stages": stages, "point": {"encoder": HOSTILE}}))
    trials[0] = trials[0].model_copy(update={"status": "crashed", "reason": HOSTILE})
    facts = {
        HOSTILE: {HOSTILE: [HOSTILE, 1, None], "notes": [HOSTILE]},
        "</main>": {"</table>": "</td>"},
    }
    suite = factory.suite(
        trials, seeds=2, name=HOSTILE, question=HOSTILE, command=HOSTILE, data=facts, environment={HOSTILE: HOSTILE},
        encoder={"": {"name": HOSTILE}}, tracking={"uri": HOSTILE}, sweep={"encoder": [HOSTILE]},
    )  # fmt: skip
    document.write(factory.journal(tmp_path, suite, trials))
    seen = check_inert((tmp_path / "report.html").read_text(encoding="utf-8"))
    whole = " ".join(HOSTILE.split())
    assert seen.one("main").words.count(whole) > 20 and seen.one("title").words == whole
    assert {element.attributes["href"] for element in seen.all("a") if "main" in element.path} == {
        "trials.csv"
    }


RAW = """\
# One <script>alert(1)</script> "' onload=x

<script>window.ran = 1</script>

<img src=x onerror="window.ran = 1"> <b onclick=x>b</b> <svg onload=x> <!-- --> <http://evil.example> </main></body>

<details>
<summary><img src=x onerror=x></summary>

never closed

</details><script>

![a "picture" <b>](http://evil.example/i.png) [one](javascript:alert) [two](http://evil.example) [three](//evil.example)
[four](data:text/html,x) [five](\\\\evil.example) [six](/etc/passwd)
[seven](java&#115;cript:alert) [eight](https://example.org/x) [nine](a/b.csv#c)

![](plots/../../secret.png)

## One

## one

## ???

| a<br>b | "c" |
| --- | --- |
| <br/> <BR> | `<br>` |
"""


def test_even_raw_html_in_the_markdown_is_text(tmp_path: Path) -> None:
    seen = of(RAW, tmp_path)
    assert (
        "<script>window.ran = 1</script>" in seen.one("main").words
        and "<!-- -->" in seen.one("main").words
    )
    links = [element.attributes["href"] for element in seen.all("a") if "main" in element.path]
    assert links == ["%5Cevil.example", "https://example.org/x", "a/b.csv#c"], (
        "the first is the name of a file"
    )
    assert len(seen.all("br")) == 1 and seen.all("th")[0].words == "a b"
    assert len(seen.all("details")) == 1, "the contents alone"


def test_headings_alike_or_without_letters_have_anchors_of_their_own(tmp_path: Path) -> None:
    seen = of("# Report\n\n## One\n\n## one\n\n## One 2\n\n## ???\n\n## 日本\n", tmp_path)
    anchors = [element.attributes["id"] for element in seen.all("h1", "h2")]
    assert anchors == ["report-2", "one", "one-2", "one-2-2", "section", "section-2"]
    assert len(set(seen.ids)) == len(seen.ids)


def test_a_folded_part_and_an_image_that_is_no_figure(tmp_path: Path) -> None:
    seen = of(
        "# x\n\n<details>\n<summary>More *of* it</summary>\n\n| a |\n| --- |\n| 1 |\n\n</details>\n\n![words](other.png)\n",
        tmp_path,
    )
    assert [element.words for element in seen.all("summary")] == ["Contents", "More of it"]
    assert [element.path[-5:-1] for element in seen.all("table")] == [
        ("body", "main", "details", "div")
    ]
    assert seen.one("main").words.endswith("words") and not seen.all("img", "figure")


PUBLISHED = Path(__file__).parents[2] / "reports" / "published"


@pytest.mark.parametrize(
    "report", sorted(PUBLISHED.glob("*/report.md")), ids=lambda path: path.parent.name
)
def test_a_committed_report_has_links_that_lead_somewhere_and_figures_with_words(
    report: Path,
) -> None:
    text = report.read_text(encoding="utf-8")
    links = re.findall(r"(!?)\[((?:\\.|[^\]\\])*)\]\(([^)]+)\)", text)
    assert links and all((report.parent / target).exists() for _, _, target in links)
    assert all(words.strip() for _, words, _ in links)
