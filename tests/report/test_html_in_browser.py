"""The page in a real browser. Debian's chromium will do; playwright's own is not needed."""

import os
import select
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mtlab.report.html.page import page

from .test_html import RAW

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe = pytest.importorskip(
    "axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed"
)

PROGRAM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(PROGRAM is None, reason="there is no chromium"),
]

WIDE, PHONE, PAPER = (1440, 900), (390, 844), (690, 975)
"""Widths and heights; the last is A4 without its margins, at 96 dots an inch."""


@pytest.fixture(scope="module")
def browser() -> Iterator[playwright.Browser]:
    root = hasattr(os, "getuid") and os.getuid() == 0
    with playwright.sync_playwright() as started:
        made = started.chromium.launch(
            executable_path=PROGRAM, args=["--no-sandbox"] if root else []
        )
        yield made
        made.close()


@contextmanager
def shown(
    browser: playwright.Browser,
    file: Path,
    size: tuple[int, int],
    *,
    evil: bool = False,
    **settings: bool,
) -> Iterator[playwright.Page]:
    """A page as it is shown; that it asks for nothing else and has nothing to complain of is looked
    at in the end."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **settings)
    tab, asked, told = context.new_page(), [], []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("console", lambda message: told.append(message.text))
    tab.on("pageerror", lambda error: told.append(str(error)))
    tab.on("dialog", lambda dialog: (told.append(dialog.message), dialog.dismiss()))
    tab.goto(file.as_uri())
    yield tab
    assert evil or (asked, told) == ([file.as_uri()], [])
    context.close()


@pytest.fixture
def opened(browser: playwright.Browser, tmp_path: Path):
    """Shows markdown as a page on a wide screen."""

    @contextmanager
    def opened(report: str, **settings: bool) -> Iterator[playwright.Page]:
        file = tmp_path / "report.html"
        file.write_text(page(report, tmp_path), encoding="utf-8")
        with shown(browser, file, WIDE, **settings) as tab:
            yield tab

    return opened


def column(tab: playwright.Page, number: int = 1) -> list[str]:
    return [
        words.strip()
        for words in tab.locator(
            f"main table >> nth=0 >> tbody tr > :nth-child({number})"
        ).all_inner_texts()
    ]


def table(*cells: str) -> str:
    return "# x\n\n| name | value |\n| --- | ---: |\n" + "".join(
        f"| {at} | {cell} |\n" for at, cell in enumerate(cells)
    )


@pytest.mark.parametrize("size", [WIDE, PHONE])
def test_the_page_asks_for_nothing_complains_of_nothing_and_is_as_wide_as_the_screen(
    browser: playwright.Browser, html_report: Path, size
) -> None:
    with shown(browser, html_report / "report.html", size) as tab:
        assert tab.evaluate("document.documentElement.scrollWidth") == size[0]
        tab.evaluate("scrollTo(500, 0)")
        assert tab.evaluate("scrollX") == 0
        assert tab.locator("nav details").get_attribute("open") == ("" if size == WIDE else None)
        assert tab.locator("figure img").first.bounding_box()["width"] > 600, (
            "words in a figure can be read"
        )


@pytest.mark.parametrize("size", [WIDE, PHONE])
def test_axe_finds_nothing_serious(browser: playwright.Browser, html_report: Path, size) -> None:
    with shown(browser, html_report / "report.html", size, bypass_csp=True) as tab:
        tab.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
        found = axe.Axe().run(tab).response
    assert len(found["passes"]) > 20
    assert not [
        one["id"] for one in found["violations"] if one["impact"] in ("serious", "critical")
    ]


def test_a_click_sorts_by_a_column_and_a_third_puts_it_back(
    browser: playwright.Browser, html_report: Path
) -> None:
    with shown(browser, html_report / "report.html", WIDE) as tab:
        heads = tab.locator("main table >> nth=0 >> thead th")
        names, scores = column(tab), column(tab, 2)
        accuracy = heads.nth(1).get_by_role("button", name="accuracy", exact=True)
        said = []
        for _ in range(3):
            accuracy.click()
            said.append((heads.nth(1).get_attribute("aria-sort"), column(tab, 2)))
        ascending = sorted(scores, key=lambda score: float(score.split()[0]))
        assert scores not in (ascending, ascending[::-1])
        assert said == [("ascending", ascending), ("descending", ascending[::-1]), (None, scores)]
        accuracy.click()
        heads.nth(0).get_by_role("button").click()
        assert column(tab) == sorted(names) and heads.nth(1).get_attribute("aria-sort") is None


def test_a_key_sorts_too(opened) -> None:
    with opened(table("2", "10", "1")) as tab:
        tab.keyboard.press("Tab")
        assert tab.evaluate("document.activeElement.className") == "skip"
        tab.get_by_role("button", name="value").focus()
        tab.keyboard.press("Enter")
        assert column(tab, 2) == ["1", "2", "10"]
        tab.keyboard.press("Space")
        assert column(tab, 2) == ["10", "2", "1"]
        assert tab.evaluate("document.activeElement.innerText").strip() == "value"


@pytest.mark.parametrize(
    ("ascending", "last"),
    [
        (
            [
                "−0.695 [−0.766, −0.623] worse",
                "−0.029 [−0.057, −0.001]",
                "0.000 [0.000, 0.000] tie",
                "+0.011 [−0.011, 0.033]",
            ],
            ["–"],
        ),
        (["5", "999", "12,345", "22,571,151"], ["–", "–"]),
        (["6e-05", "0.0001", "0.30× [0.21, 0.43]", "1.1×"], ["none [3 to –]"]),
        (["2.8%", "9.1%", "17.6%"], []),
        (["5 (0.512)", "5 (0.510)", "14 (few)"], []),
        (["2.2.0+cpu", "2.13.0+cpu", "3c2a"], []),
        (["layers[2]", "layers[10]", "total"], ["–"]),
    ],
)
def test_numbers_sort_as_numbers_words_as_words_and_what_is_missing_stays_below(
    opened, ascending, last
) -> None:
    """Cells that are equal by their number stay in the report's order."""
    mixed = [*last[:1], *ascending[1::2], *ascending[::2], *last[1:]]
    if "5 (0.512)" in ascending:
        mixed = ["14 (few)", "5 (0.512)", "5 (0.510)"]
    with opened(table(*mixed)) as tab:
        tab.get_by_role("button", name="value").click()
        assert column(tab, 2) == [*ascending, *last]
        tab.get_by_role("button", name="value").click()
        backwards = (
            ["14 (few)", "5 (0.512)", "5 (0.510)"] if "5 (0.512)" in ascending else ascending[::-1]
        )
        assert column(tab, 2) == [*backwards, *last]


def test_contents_lead_to_their_section_and_say_where_the_reader_is(
    browser: playwright.Browser, html_report: Path
) -> None:
    with shown(browser, html_report / "report.html", WIDE) as tab:
        for words in ("Cost", "How to reproduce"):
            tab.locator("nav a", has_text=words).click()
            tab.wait_for_function(
                "words => document.querySelector('nav [aria-current]').innerText === words",
                arg=words,
            )
            top = tab.locator("h2", has_text=words).bounding_box()["y"]
            assert 0 <= top < WIDE[1] and tab.locator("nav [aria-current]").count() == 1
        assert tab.locator("nav ol ol a").first.is_hidden()


def test_on_paper_everything_is_there(browser: playwright.Browser, html_report: Path) -> None:
    with shown(browser, html_report / "report.html", PAPER) as tab:
        tab.emulate_media(media="print")
        assert tab.locator("nav").is_hidden()
        tab.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert tab.locator("main details").count() == tab.locator("main details[open]").count() > 0
        cut = "[...document.querySelectorAll('.scroll')].filter(box => box.scrollWidth > box.clientWidth).map(box => box.ariaLabel)"
        assert (
            tab.evaluate(cut) == []
            and tab.evaluate("document.documentElement.scrollWidth") == PAPER[0]
        )
        tab.evaluate("dispatchEvent(new Event('afterprint'))")
        assert tab.locator("main details[open]").count() == 0


def test_only_what_scrolls_is_a_stop_for_the_keyboard(
    browser: playwright.Browser, html_report: Path
) -> None:
    right = """() => [...document.querySelectorAll(".scroll")].filter(box => box.checkVisibility()
        && (box.tabIndex === 0) !== (box.scrollWidth > box.clientWidth)).length === 0"""
    for size in (WIDE, PHONE):
        with shown(browser, html_report / "report.html", size) as tab:
            tab.evaluate(
                "for (const part of document.querySelectorAll('details')) part.open = true"
            )
            tab.wait_for_function(right)
            assert (tab.locator(".scroll[tabindex]").count() > 5) is (size == PHONE)


def test_raw_html_in_the_markdown_runs_nothing(opened) -> None:
    with opened(RAW) as tab:
        tab.wait_for_timeout(200)
        assert (
            tab.evaluate("window.ran") is None
            and tab.locator("main b, main img, main svg, main script").count() == 0
        )


def test_a_figure_runs_and_loads_nothing_and_has_its_colours(opened, tmp_path: Path) -> None:
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "x.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1" width="9pt" height="9pt" onload="parent.ran = 1">'
        '<script>parent.ran = 1</script><image href="http://evil.example/x"/>'
        '<rect width="1" height="1" style="fill: #ff0000"/></svg>'
    )
    with opened("# x\n\n![a figure](plots/x.png)\n") as tab:
        tab.wait_for_timeout(200)
        assert tab.evaluate("window.ran") is None
        drawn = """() => { const context = document.createElement("canvas").getContext("2d");
            context.drawImage(document.querySelector("figure img"), 0, 0, 4, 4);
            return [...context.getImageData(1, 1, 1, 1).data]; }"""
        assert tab.evaluate(drawn) == [255, 0, 0, 255]


def sent_to(server: socket.socket) -> Iterator[bytes]:
    """What a server was sent, a connection at a time; for a frame chromium connects before it reads
    the policy, and then sends nothing."""
    while select.select([server], [], [], 0)[0]:
        with server.accept()[0] as connection:
            connection.settimeout(1)
            yield connection.recv(1000)


def test_the_policy_stops_what_would_get_into_the_page_all_the_same(
    browser: playwright.Browser, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        there = f"http://127.0.0.1:{server.getsockname()[1]}"
        evil = (
            f"<script>window.ran = 1</script><script src={there}/x></script><img src={there}/x onerror='window.ran = 2'>"
            f"<style>h1 {{ color: red }}</style><link rel=stylesheet href={there}/x><iframe src={there}/x></iframe><base href={there}/>"
            "<p style='color: red'>red</p>"
        )
        file = tmp_path / "report.html"
        file.write_text(page("# x\n", tmp_path).replace("<h1", f"{evil}<h1"), encoding="utf-8")
        with shown(browser, file, WIDE, evil=True) as tab:
            tab.wait_for_timeout(300)
            assert (
                tab.evaluate("window.ran") is None
                and tab.evaluate("document.baseURI") == file.as_uri()
            )
            for what in ("h1", "main p"):
                assert (
                    tab.locator(what).evaluate("part => getComputedStyle(part).color")
                    == "rgb(27, 33, 41)"
                )
        assert b"".join(sent_to(server)) == b""
