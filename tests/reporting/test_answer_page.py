"""A report in a real browser: it fetches nothing, fits a phone, and everybody can read it."""

import shutil
from dataclasses import dataclass

import numpy as np
import pytest

from tempo.reporting.answer_page import to_page
from tempo.reporting.plot import Thumbnail

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@dataclass
class Piece:
    start: float
    end: float
    relevance: float
    tokens: int


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    segments = [Piece(4.0 * i, 4.0 * i + 4, r, 4 + i) for i, r in enumerate([0.1, 0.9, 0.8, 0.1, 0.6, 0.2])]
    frames = [Thumbnail(index, 4.0 * index + 2, np.full((108, 192, 3), 90, np.uint8)) for index in (1, 4)]
    page = to_page(
        question="Which shape moves, and " + "where " * 60,
        answer="The circle, at 00:06.",
        segments=segments,
        floor=0.0,
        video="film.mp4",
        facts=[("video", "film.mp4"), ("seconds", "0.1")],
        warnings=["The model knows generated videos only."],
        pictures=frames,
    )
    path = tmp_path_factory.mktemp("report") / "answer.html"
    path.write_text(page, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("the tests of the page need Chromium: apt-get install chromium")
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "width"), [("light", 1000), ("dark", 390)])
def test_a_report_is_accessible_and_self_contained(browser, report, scheme, width):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    # axe puts its own script into the page, which the page's policy would refuse.
    page = browser.new_page(viewport={"width": width, "height": 844}, color_scheme=scheme, bypass_csp=True)
    requests, errors = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(report.as_uri())
    page.locator("summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator(".moments img").count() == 2
    found = axe.Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert [url for url in requests if not url.startswith("data:")] == [report.as_uri()]
    assert errors == []
    page.close()


@pytest.mark.slow
def test_pointing_at_a_segment_tells_its_figures(browser, report):
    page = browser.new_page()
    refused = []
    page.on("console", lambda message: refused.append(message.text))
    page.goto(report.as_uri())
    page.locator(".segment").nth(1).hover()
    assert page.locator("#readout").inner_text() == "00:04–00:08 · relevance 0.90 · 5 tokens"
    assert refused == []  # the page's own policy lets its script and style run
    page.close()
