"""What is in sight on the page, on screens of every size."""

import pytest

import clips
from tempo.ui.server import STATIC

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(serve):
    return serve()


def test_on_a_phone_the_latest_question_stands_above_its_answer(server, visit, film):
    talk = visit(server.url, viewport={"width": 390, "height": 844}, reduced_motion="reduce")
    page = talk.page
    talk.open(film)

    def check():
        page.wait_for_function(
            """() => {
              const [log, asked, text] = ["#log", ".turn:last-child .asked", ".turn:last-child .answer .text"]
                .map(name => document.querySelector(name).getBoundingClientRect());
              return log.top <= asked.top && text.bottom <= log.bottom && asked.top < log.top + 40;
            }"""
        )

    for question in ("What is there?", "Is it red?", "And then?"):
        talk.ask(question)
    check()
    page.reload()
    talk.wait_until_ready(film.name)
    check()


def test_what_the_visitor_scrolled_to_stays_and_a_reload_shows_the_latest_turn(server, visit, film):
    """Also where the video is watched anew, which writes above the conversation while the turns stay."""
    talk = visit(server.url, viewport={"width": 390, "height": 844})
    page = talk.page
    talk.open(film)
    for question in ("What is there?", "Is it red?", "And then?"):
        talk.ask(question)
    latest = """() => {
      const [log, turn] = ["#log", ".turn:last-child"].map(name => document.querySelector(name));
      const below = turn.getBoundingClientRect().top - log.getBoundingClientRect().top;
      return Math.abs(below - 8) < 40 || log.scrollTop + log.clientHeight > log.scrollHeight - 2;
    }"""
    page.reload()
    talk.wait_until_ready(film.name)
    page.wait_for_function(latest)
    talk.opened(server).watched = None  # as where the server let go of it
    page.reload()
    talk.wait_until_ready(film.name)
    page.wait_for_function(latest)
    page.mouse.move(195, 400)
    page.mouse.wheel(0, -3000)
    page.wait_for_function("() => document.querySelector('#log').scrollTop === 0")
    page.set_viewport_size({"width": 390, "height": 800})
    page.wait_for_timeout(200)
    assert page.evaluate("document.querySelector('#log').scrollTop") == 0


def test_a_long_question_leaves_room_for_its_answer(server, visit, film):
    for size in (
        {"width": 390, "height": 844},
        {"width": 720, "height": 450},
        {"width": 1280, "height": 800},
    ):
        talk = visit(server.url, viewport=size, reduced_motion="reduce")
        page = talk.page
        talk.open(film)
        talk.ask("What is there? " * 25)
        log, answer = (page.locator(name).bounding_box() for name in ("#log", ".answer > .text"))
        assert log["y"] <= answer["y"] <= answer["y"] + answer["height"] <= log["y"] + log["height"], size
        words = page.locator(".asked .words")
        folded = words.bounding_box()["height"]
        page.click(".asked .more")
        assert words.bounding_box()["height"] > folded
        assert page.get_attribute(".asked .more", "aria-expanded") == "true"


def test_nothing_is_cut_off_for_an_upright_or_a_very_short_video(server, visit, tmp_path):
    film = clips.write(tmp_path / "upright.mp4", count=9, rate=30, size=(96, 160))
    talk = visit(server.url, viewport={"width": 360, "height": 640})
    page = talk.page
    talk.open(film)
    assert "0.3 s" in page.inner_text(".caption")
    talk.ask("What is there?")
    turn = talk.opened(server).turns[0]
    whole = "(inner) => { const [a, b] = [inner, inner.parentElement].map(e => e.getBoundingClientRect());"
    whole += " return a.left >= b.left && a.right <= b.right; }"
    for one in page.locator(".moments .clock").all():
        assert one.inner_text() == "00:00.0–00:00.3"
        assert one.evaluate(whole)
    assert page.locator(".moments .clock").count() == len(turn.answer.moments)
    button = page.locator(".sheet").bounding_box()
    assert button["x"] + button["width"] <= 360


def test_our_own_files_stay_small():
    assert sum(path.stat().st_size for path in STATIC.rglob("*") if path.is_file()) <= 300_000
