"""Photograph the page answering a question: ``python docs/make_screenshot.py`` rewrites ui-question.png.

It needs Chromium and the packages of requirements-dev.lock. The pictures of the page's other states come from
``TEMPO_SCREENSHOTS=docs/images python -m pytest tests/ui/test_page.py``.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

PICTURE = Path(__file__).parent / "images" / "ui-question.png"
QUESTION = "Which way does the yellow triangle move?"
SHOWN_SECOND = 252  # of the video: the triangle is on its way


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "tempo", "synthetic", "make", folder, "--seconds", "600"],
            check=True,
        )
        film = Path(folder) / "0-000.mp4"
        serving = subprocess.Popen(
            [sys.executable, "-m", "tempo", "ui", folder], stdout=subprocess.PIPE, encoding="utf-8"
        )
        try:
            photograph(serving.stdout.readline().split()[0], film)
        finally:
            serving.terminate()
            serving.wait()


def photograph(address: str, film: Path) -> None:
    """Open FILM on the page, ask, go to the moment, and take the picture."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--headless", "--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        page.set_default_timeout(240_000)
        page.goto(address)
        page.fill("#tempo-path input", str(film))
        page.press("#tempo-path input", "Enter")
        page.click("#tempo-open-path")
        page.wait_for_selector(f".tempo-caption:has-text('{film.name}')")
        page.fill("#tempo-question textarea", QUESTION)
        page.click("#tempo-ask")
        page.wait_for_selector(".tempo-asked")
        page.wait_for_selector("#tempo-ask", state="visible")
        page.wait_for_selector(".tempo-answer.busy", state="detached")
        page.wait_for_selector(".tempo-variant[data-variant=uniform] small:has-text('tokens')")
        page.get_by_text("working for").wait_for(state="detached")
        page.click("#tempo-figures button.label-wrap")
        page.get_by_text("Save as PNG").wait_for()
        seek = "second => { document.getElementById('tempo-video').currentTime = second }"
        page.evaluate(seek, SHOWN_SECOND)
        page.wait_for_timeout(1000)
        page.mouse.move(0, 0)
        page.screenshot(path=PICTURE, full_page=True)
        browser.close()
    with Image.open(PICTURE) as picture:
        small = picture.convert("RGB").quantize(256)
    small.save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()
