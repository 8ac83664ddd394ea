"""The page in a real browser: what a visitor does, sees and is told.

With TEMPO_SCREENSHOTS=docs/images the pictures of the main states in the docs are made anew; else they go
into a temporary folder.
"""

import dataclasses
import json
import os
import struct
import time
from pathlib import Path

import pytest
from PIL import Image

from tempo.inference.timestamps import with_clock_times
from tempo.ui.examples import EXAMPLES
from tempo.ui.turns import Variant

pytestmark = pytest.mark.slow

# A GIF of 200 pictures of 13,000 × 13,000 pixels in five kilobytes: 100 GB if somebody decoded them.
BOMB = (
    b"GIF89a" + struct.pack("<HHBBB", 13_000, 13_000, 0x80, 0, 0) + b"\xff\xff\xff\0\0\0"
    + (b"!\xf9\4\0\x0a\0\0\0," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\2\2\x44\1\0") * 200 + b";"
)  # fmt: skip
UNIFORM_IS_ANSWERED = ".tempo-variant[data-variant=uniform] small:has-text('tokens')"


@pytest.fixture(scope="module")
def server(serve, film):
    return serve(allowed=(film.parent,), upload_bytes=3_000_000, max_open=2)


@pytest.fixture(scope="module")
def talk(serve, visitor, film):
    """A visitor on a page of its own, who has uploaded a film and asked twice."""
    server = serve(upload_bytes=3_000_000)
    talk = visitor(server.url)
    talk.server = server
    assert talk.page.locator("#tempo-question textarea").is_disabled()
    talk.open(film)
    for mode in ("uniform", "adaptive"):  # before there is anything to share out
        talk.page.click(f"#tempo-mode input[value={mode}]")
    talk.ask("What is there?")
    talk.ask("Which way does it <b>move</b>?")
    talk.page.wait_for_selector(UNIFORM_IS_ANSWERED)
    return talk


@pytest.fixture
def screenshot(tmp_path):
    """Take a small PNG of what is seen, under a name."""
    folder = Path(os.environ.get("TEMPO_SCREENSHOTS") or tmp_path)

    def take(visitor, name, **options):
        path = folder / f"ui-{name}.png"
        visitor.page.screenshot(path=path, **options)
        with Image.open(path) as image:
            small = image.convert("RGB").quantize(192, dither=Image.Dither.NONE)
        small.save(path, optimize=True)
        assert path.stat().st_size < 300_000

    return take


def client_of(server, visitor):
    """The server's side of a visitor's page."""
    key = visitor.page.get_attribute(".tempo-player[data-files]", "data-files").rpartition("/")[2]
    return server.clients.by_key(key)


def answers_of(client):
    return [with_clock_times(turn.answer.text.strip()) or "(no answer)" for turn in client.turns]


def wait_until(true, seconds=60.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


# --- one visitor, from upload to export --------------------------------------------------------------------


def test_upload_ask_and_ask_again(talk):
    page, client = talk.page, client_of(talk.server, talk)
    caption = page.inner_text(".tempo-caption")
    assert "00:24" in caption
    assert "48 frames" in caption
    assert len(talk.tokens) == 6
    assert talk.answers == answers_of(client)
    assert page.locator(".tempo-asked").all_inner_texts() == [
        "What is there?",
        "Which way does it <b>move</b>?",  # as it was typed
    ]
    assert client.turns[1].earlier == (("What is there?", client.turns[0].answer.text),)


def test_a_click_on_a_segment_and_on_a_time_seeks_the_player(talk):
    page = talk.page
    assert talk.time == 0
    for index in (4, 2):
        page.click(f".t-segment[data-index='{index}'] .t-touch")
        talk.wait_for_time(index * 4)
    assert page.get_attribute(".t-segment.now", "data-index") == "2"
    for key in ("ArrowRight", "ArrowRight", "Enter"):  # the first, the second, and there
        page.locator("svg.tempo-chart").press(key)
    talk.wait_for_time(4)
    # The answer is replaced by one that speaks of times; it is shown when the mode is switched.
    turn = client_of(talk.server, talk).turns[-1]
    for variant, answer in turn.answers.items():
        turn.answers[variant] = dataclasses.replace(answer, text="From 0:13 on, and at 7.5 seconds.")
    page.click("#tempo-mode input[value=uniform]")
    times = page.locator(".tempo-answer").last.locator(".tempo-time")
    times.nth(1).wait_for()
    assert times.all_inner_texts() == ["0:13", "00:07"]
    for index, seconds in ((0, 13), (1, 7)):
        times.nth(index).click()
        talk.wait_for_time(seconds)
    page.click("#tempo-mode input[value=adaptive]")
    page.wait_for_selector(".tempo-variant.shown[data-variant=adaptive]")


def test_the_frame_of_a_segment_is_shown_under_the_pointer(talk):
    page = talk.page
    page.hover(".t-segment[data-index='3'] .t-touch")
    page.wait_for_selector(".tempo-tip img[src*='/frames/14000.jpg']")
    page.wait_for_function("document.querySelector('.tempo-tip img').naturalWidth > 0")
    shown = client_of(talk.server, talk).turns[-1].answer.segments[3]
    tokens = "1 token" if shown.tokens == 1 else f"{shown.tokens} tokens"
    told = f"00:12–00:16, relevance {shown.relevance:.2f}, {tokens}"
    assert page.inner_text(".tempo-tip span") == told
    page.mouse.move(2, 2)
    page.wait_for_selector(".tempo-tip", state="hidden")


def test_the_slider_and_the_switch_share_the_tokens_out_anew(talk):
    page, client = talk.page, client_of(talk.server, talk)
    film, turn, before = client.open_video, client.turns[-1], talk.tokens
    slider = page.locator("#tempo-budget input[type=range]")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] - 4, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.3, middle, steps=4)
    # While it is still held the tokens are others already, and nothing was answered anew.
    page.wait_for_function(
        "sum => document.getElementById('tempo-used').innerText != sum", arg=str(sum(before))
    )
    answered = len(turn.answers)
    page.mouse.up()
    budget = int(slider.input_value())
    each = budget // 6
    page.wait_for_selector(f".tempo-variant[data-variant=uniform] small:has-text('{each * 6} tokens')")
    assert len(turn.answers) == answered + 2
    assert sum(talk.tokens) <= budget < sum(before)
    left, right = (page.locator(".tempo-variant").nth(i).bounding_box() for i in (0, 1))
    assert left["y"] == right["y"]
    assert left["x"] < right["x"]

    page.click("#tempo-mode input[value=uniform]")
    page.wait_for_selector(".tempo-variant.shown[data-variant=uniform]")
    assert talk.tokens == [each] * 6
    slider.press("ArrowRight")
    wait_until(lambda: any(variant.budget == budget + 1 for variant in turn.answers))
    assert client.open_video is film  # nothing was watched again
    page.click("#tempo-mode input[value=adaptive]")
    page.wait_for_selector(".tempo-variant.shown[data-variant=adaptive]")
    wait_until(lambda: Variant(budget + 1, True) in turn.answers)


def test_figures_and_what_is_saved(talk, film, tmp_path):
    page = talk.page
    page.click("#tempo-figures button.label-wrap")
    for words in ("a frame", "watching before it", "at most", "route", "tempo-nano"):
        page.locator(".tempo-figures", has_text=words).wait_for()
    for ending in ("JSON", "PNG"):
        with page.expect_download() as download:
            page.click(f"text=Save as {ending}")
        download.value.save_as(tmp_path / f"saved.{ending}")
    saved = json.loads((tmp_path / "saved.JSON").read_text(encoding="utf-8"))
    assert saved["title"] == film.name
    turn = saved["turns"][-1]
    (shown,) = (
        answer
        for answer in turn["answers"]
        if (answer["budget"], answer["adaptive"]) == (turn["shown"]["budget"], turn["shown"]["adaptive"])
    )
    assert [segment["tokens"] for segment in shown["segments"]] == talk.tokens
    with Image.open(tmp_path / "saved.PNG") as image:
        assert image.width > 800


def test_questions_that_cannot_be_asked(talk):
    page = talk.page
    page.fill("#tempo-question textarea", "   ")
    page.click("#tempo-ask")
    page.get_by_text("the question is empty").wait_for()
    long = "what " * 9000
    page.fill("#tempo-question textarea", long)
    page.click("#tempo-ask")
    page.get_by_text("the question is too long").wait_for()
    assert page.input_value("#tempo-question textarea") == long.strip()  # to be shortened


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("broken.mp4", b"This is no video.\n" * 100, "broken.mp4: "),
        ("empty.mp4", b"", "empty.mp4: the file is empty"),
        ("notes.txt", b"words", "notes.txt: .txt is not supported; upload a video"),
        ("bomb.gif", BOMB, "bomb.gif: the picture is too large: 13,000 × 13,000 pixels"),
        ("large.mp4", b"\0" * 3_100_000, "large.mp4: has 3.1 MB; uploads are limited to 3.0 MB"),
    ],
)
def test_what_cannot_be_opened_is_said_where_the_visitor_looks(talk, tmp_path, name, data, words, screenshot):
    (tmp_path / name).write_bytes(data)
    page, client = talk.page, client_of(talk.server, talk)
    film, turns = client.open_video, client.turns
    if not page.locator("#tempo-upload").is_visible():
        page.click("#tempo-opening button.label-wrap")
    page.fill("#tempo-question textarea", "")
    talk.upload(tmp_path / name)
    page.get_by_text(words).first.wait_for()
    if name == "broken.mp4":
        assert page.locator("#tempo-open-status [role=alert]").is_visible()
        assert "/" not in page.inner_text("#tempo-open-status")  # no path of the server's
        screenshot(talk, "unreadable")
    assert client.open_video is film
    assert client.turns is turns
    assert len(talk.answers) == 2


def test_what_the_server_hands_out(talk, film):
    server, get = talk.server, talk.page.request.get
    for path in ("/etc/passwd", str(film), str(server.folder), __file__):
        assert get(f"{server.url}gradio_api/file={path}").status in (403, 404), path
    key = client_of(server, talk).key
    whole = get(f"{server.url}tempo/clients/{key}/video")
    assert whole.body() == film.read_bytes()
    assert "default-src 'self'" in whole.headers["content-security-policy"]
    part = get(f"{server.url}tempo/clients/{key}/video", headers={"range": "bytes=5-9"})
    assert (part.status, part.body()) == (206, film.read_bytes()[5:10])
    assert get(f"{server.url}tempo/clients/{key[:-1]}x/video").status == 404
    assert get(server.url, headers={"host": "elsewhere.example"}).status == 421
    large = {"name": "a.mp4", "mimeType": "video/mp4", "buffer": b"\0" * 3_100_000}
    assert talk.page.request.post(f"{server.url}gradio_api/upload", multipart={"files": large}).status == 413


def test_nothing_comes_from_elsewhere_and_nothing_is_wrong(talk):
    own = (talk.server.url, "data:", "blob:")
    assert [url for url in talk.asked_for if not url.startswith(own)] == []
    # How far an upload is, Gradio asks before it has begun too.
    assert [said for said in talk.complaints if "upload_progress" not in said] == []


# --- other visitors ----------------------------------------------------------------------------------------


def test_an_example_opens_with_one_click_and_offers_questions(server, visit, screenshot):
    visitor = visit(server.url)
    page = visitor.page
    screenshot(visitor, "start")
    page.click(f".tempo-example:has-text('{EXAMPLES[0].title}')")
    page.wait_for_selector(f".tempo-caption:has-text('{EXAMPLES[0].title}')")
    question = page.locator("#tempo-suggestions .tempo-chip").first
    text = question.inner_text()
    question.click()
    page.wait_for_selector(f".tempo-asked:has-text('{text}')")
    page.wait_for_selector(UNIFORM_IS_ANSWERED)
    page.locator(".tempo-allocation .tempo-chip").first.click()
    page.click("#tempo-figures button.label-wrap")
    page.get_by_text("Save as PNG").wait_for()
    page.hover(".t-segment[data-index='3'] .t-touch")
    page.wait_for_function("document.querySelector('.tempo-tip img').naturalWidth > 0")
    screenshot(visitor, "answer", full_page=True)


def test_a_window_as_small_as_a_phone_and_the_files_that_the_operator_allows(server, visit, film, screenshot):
    visitor = visit(server.url, viewport={"width": 375, "height": 720}, has_touch=True, is_mobile=True)
    page = visitor.page
    field = page.locator("#tempo-path input")
    for path in ("/etc/passwd", str(film)):
        field.fill(path)
        field.press("Enter")
        page.click("#tempo-open-path")
        if path != str(film):
            page.get_by_text(f"{path}: the operator does not allow this path").wait_for()
    page.wait_for_selector(f".tempo-caption:has-text('{film.name}')")
    assert client_of(server, visitor).open_video.path == film
    visitor.ask("What is there?")
    page.wait_for_selector(UNIFORM_IS_ANSWERED)
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    for part in ("#tempo-video", "svg.tempo-chart", "#tempo-budget", "#tempo-question", "#tempo-ask"):
        box = page.locator(part).bounding_box()
        assert box["x"] >= 0, part
        assert box["x"] + box["width"] <= 375.5, part
    page.locator(".t-segment[data-index='5'] .t-touch").tap()
    visitor.wait_for_time(20)
    screenshot(visitor, "phone", full_page=True)


NUMBERS = {"tempo-longest": 8, "tempo-temperature": 1, "tempo-top-p": 0.5, "tempo-fps": 1, "tempo-frames": 16}


@pytest.mark.parametrize("how", ["touched and left", "emptied", "changed and put back"])
def test_every_number_may_be_touched(server, visit, film, how):
    """Whatever was done to the fields that hold numbers, a video opens and a question is answered."""
    talk = visit(server.url)
    page = talk.page
    page.click("#tempo-advanced button.label-wrap")

    def touch():
        for name, other in NUMBERS.items():
            field = page.locator(f"#{name} input[type=number]")
            before = field.input_value()
            field.click()
            if how != "touched and left":
                field.fill("")
            if how == "changed and put back":
                field.fill(str(other))
                field.press("Tab")
                field.click()
                field.fill(before)
            field.press("Tab")

    touch()
    talk.open(film)
    talk.ask("What is there?")
    page.wait_for_selector(UNIFORM_IS_ANSWERED)
    touch()
    page.click("#tempo-again")
    page.wait_for_selector(".tempo-answer", state="detached")
    talk.ask("What else?")
    assert page.locator("#tempo-open-status [role=alert], #tempo-ask-status [role=alert]").count() == 0
    assert len(talk.answers) == 1


def test_two_visitors_at_once_and_a_third(server, visit, film, tmp_path):
    other = tmp_path / "other film.mp4"
    other.write_bytes(film.read_bytes())
    first, second = visit(server.url), visit(server.url)
    comers = ((first, film, "What is there?"), (second, other, "Which way does it move?"))
    for visitor, path, _ in comers:
        visitor.upload(path)
    for visitor, path, question in comers:
        visitor.page.wait_for_selector(f".tempo-caption:has-text('{path.name}')")
        visitor.page.fill("#tempo-question textarea", question)
    for visitor, _, _ in comers:
        visitor.page.click("#tempo-ask")
    for visitor, _, question in comers:
        visitor.page.wait_for_selector(UNIFORM_IS_ANSWERED)
        assert visitor.page.locator(".tempo-asked").all_inner_texts() == [question]
        assert visitor.answers == answers_of(client_of(server, visitor))
    # Two are as many as can be open: a third takes the place of the one that was not used for longest.
    used = {visitor: client_of(server, visitor).last_used for visitor in (first, second)}
    oldest, newer = sorted(used, key=used.get)
    third = visit(server.url)
    third.open(film)
    oldest.page.fill("#tempo-question textarea", "Still there?")
    oldest.page.click("#tempo-ask")
    oldest.page.get_by_text("closed to make room for other sessions; open it again").wait_for()
    assert oldest.page.input_value("#tempo-question textarea") == "Still there?"
    newer.ask("And then?")


def test_stop_and_closing_the_page_end_the_work(server, visit):
    before = set(server.clients._clients)
    visitor = visit(server.url)
    page, clients = visitor.page, server.clients

    def at_work():
        return len(clients.open_queue) + len(clients.request_queue)

    wait_until(lambda: set(server.clients._clients) - before)
    (name,) = set(server.clients._clients) - before
    for end in (lambda: page.click("#tempo-stop-opening"), page.close):
        page.click(f".tempo-example:has-text('{EXAMPLES[1].title}')")
        page.locator(".tempo-progress", has_text="frames").wait_for()
        assert at_work() == 1
        end()
        wait_until(lambda: at_work() == 0)
        if not page.is_closed():
            page.get_by_text("Stopped.").wait_for()
    wait_until(lambda: name not in server.clients._clients)
