"""Pages of MLflow's interface in a real browser: for tests, and as pictures (`python -m
tests.screens ADDRESS RUN FOLDER`)."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mtlab.report.figures.canvas import light

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)

QUIET = "localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')"
"""Keeps the assistant of the interface from opening itself."""


@contextmanager
def page(width: int = 1500, height: int = 1000, scale: int = 1) -> Iterator[Any]:
    """A page of Debian's chromium, driven by playwright; ``scale`` pixels are one of the page's."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        size = {"width": width, "height": height}
        shown = browser.new_page(viewport=size, device_scale_factor=scale)
        shown.set_default_timeout(60_000)
        shown.add_init_script(QUIET)
        yield shown
        browser.close()


def suites_page(shown: Any, address: str, run: str) -> None:
    """The page of a suite's run, with the whole of its description."""
    shown.goto(f"{address}/#/runs/{run}")
    shown.get_by_text("Show more").first.click()
    shown.get_by_text("It cannot tell you").wait_for()


def runs(shown: Any, address: str, run: str, words: str) -> None:
    """The runs of a suite's trials, where the link with these words on its page leads."""
    suites_page(shown, address, run)
    link = shown.get_by_role("link", name=words, exact=True).get_attribute("href")
    shown.goto("about:blank")
    shown.goto(f"{address}/{link}")
    shown.get_by_text("Group by: scenario").wait_for()
    shown.get_by_text("Group: ").first.wait_for()


def main(address: str, run: str, folder: str) -> None:
    """Take the pictures that the README shows: the parts of the pages that answer, so that they can
    be read at the width of a README.
    """
    with page(1400, 1150, scale=2) as shown:
        suites_page(shown, address, run)
        shown.wait_for_timeout(1500)
        _picture(shown, Path(folder) / "mlflow_suite.png", 200, 10, 700, 700)
        runs(shown, address, run, "as charts")
        shown.wait_for_timeout(4000)
        _picture(shown, Path(folder) / "mlflow_runs.png", 215, 200, 880, 930)


def _picture(shown: Any, file: Path, x: int, y: int, width: int, height: int) -> None:
    """A part of the page as a picture of few colours, which is light."""
    clip = {"x": x, "y": y, "width": width, "height": height}
    file.write_bytes(light(shown.screenshot(clip=clip)))


if __name__ == "__main__":
    main(*sys.argv[1:])
