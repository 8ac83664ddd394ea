"""Every state of the page on a desktop and a phone, light and dark: photographed, and checked with axe-core.

With TEMPO_SCREENSHOTS=docs/images the pictures in the docs are made anew; else they go into a folder that is
deleted.
"""

import os
import random
from pathlib import Path

import pytest
from PIL import Image

from tempo.synthetic.script import make_script
from tempo.synthetic.video_files import FileSpec, write_video
from tempo.ui.examples import EXAMPLES

pytestmark = pytest.mark.slow

SCREENS = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 390, "height": 844}}
LARGEST = 300_000  # bytes of a picture


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Two films, of which one takes a while to watch."""
    folder = tmp_path_factory.mktemp("library") / "films"
    folder.mkdir()
    for name, seconds in (("Ten minutes", 600), ("Ten seconds", 10)):
        spec = FileSpec(seconds=seconds, height=120, fps=5)
        write_video(make_script(random.Random(name), duration=seconds), folder / f"{name}.mp4", spec)
    return folder


@pytest.fixture
def server(serve, library):
    """A page that has watched nothing yet, or there would be no watching to be seen."""
    return serve(library=(library,))


@pytest.fixture
def folder(tmp_path):
    return Path(os.environ.get("TEMPO_SCREENSHOTS") or tmp_path)


class Photographer:
    """Takes pictures of what a visitor sees, and checks it for people who see or hear it otherwise."""

    def __init__(self, visitor, folder, name):
        axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core checks the page")
        self.visitor, self.page, self.folder, self.name = visitor, visitor.page, folder, name
        self._axe = axe.Axe()

    def take(self, state):
        self.page.mouse.move(0, 0)
        self.page.wait_for_timeout(300)
        path = self.folder / f"ui-{state}-{self.name}.png"
        self.page.screenshot(path=path, animations="disabled")
        with Image.open(path) as image:
            small = image.convert("RGB").quantize(192, dither=Image.Dither.NONE)
        small.save(path, optimize=True)
        assert path.stat().st_size < LARGEST
        found = self._axe.run(self.page)
        assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", SCREENS)
def test_every_state_is_seen_and_accessible(server, visit, folder, screen, scheme):
    touch = screen == "phone"
    visitor = visit(
        server.url, viewport=SCREENS[screen], color_scheme=scheme, has_touch=touch, reduced_motion="reduce"
    )
    page, photo = visitor.page, Photographer(visitor, folder, f"{screen}-{scheme}")
    page.wait_for_function(
        "() => [...document.querySelectorAll('.examples img')].every(i => i.naturalWidth > 0)"
    )
    page.wait_for_function("() => document.querySelectorAll('.films .card').length === 2")
    photo.take("start")

    page.click(".films button:has-text('Ten minutes')")
    page.click(".progress button")
    page.wait_for_selector(".failure, #tabs li.ready:has-text('Ten minutes')")
    if page.locator(".failure").count():  # else it was watched before it could be cancelled
        photo.take("stopped")
        page.click(".failure button:has-text('Try again')")
        page.locator(".progress p", has_text="left").wait_for()
        photo.take("watching")
    page.click("[aria-label='Close Ten minutes.mp4']")

    page.click(f".examples .suggestion:has-text('{EXAMPLES[0].questions[0]}')")
    page.locator(".turn .actions").wait_for()
    tiles = "() => [...document.querySelectorAll('.tiles img, .moments img')].every(i => i.naturalWidth > 0)"
    page.wait_for_function(tiles)
    page.wait_for_function("() => document.querySelector('#player video').readyState >= 2")
    assert page.locator(".moments li").count() >= 1
    if screen == "phone":
        in_order(page, ["#player", "#log", "#strip", "#composer"])
        answer, log = page.locator(".answer > .text").bounding_box(), page.locator("#log").bounding_box()
        assert log["y"] <= answer["y"] <= answer["y"] + answer["height"] <= log["y"] + log["height"]
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
    photo.take("answer")

    page.click(".actions .compare")
    page.locator(".variant .figures", has_text="tokens ·").nth(1).wait_for()
    photo.take("compare")
    if screen == "phone":
        page.click("#panel .shut")
    page.click("#settings-button")
    photo.take("settings")
    page.keyboard.press("Escape")

    page.mouse.move(*visitor.strip(30, of=120))
    page.mouse.down()
    page.mouse.move(*visitor.strip(60, of=120), steps=4)
    page.mouse.up()
    page.locator("#span-chip button").wait_for()
    photo.take("part")
    # Frames may still be on their way when their video is closed.
    assert [said for said in visitor.complaints if "/frames/" not in said] == []


def in_order(page, names):
    """From top to bottom, the last one at the end of the screen."""
    boxes = [page.locator(name).bounding_box() for name in names]
    assert [box["y"] for box in boxes] == sorted(box["y"] for box in boxes)
    last = boxes[-1]
    assert last["y"] + last["height"] == pytest.approx(page.viewport_size["height"], abs=1)


def test_the_examples_are_answered_as_their_scripts_say(server):
    """What the gallery suggests works: the answers are those of the videos' own scripts."""
    from ui_client import Client

    expected = {"shapes": ("down", "01:34"), "things": ("blinks", "01:06"), "phone": ("red", "00:18")}
    with Client(server.url) as client:
        for one in EXAMPLES:
            video = client.open(example=one.id)["video"]
            asked = list(zip(one.questions, expected[one.id], strict=True))
            for conversation in (asked, asked[::-1]):  # whichever is chosen first, the other follows
                for question, words in conversation:
                    assert words in client.ask(video, question)["text"], question
                client.http.delete(f"{client.base}/videos/{video['id']}/turns")
