"""The page in a real browser: what a visitor does, sees and is told."""

import dataclasses
import json
import shutil
import struct

import pytest
from PIL import Image

pytestmark = pytest.mark.slow

# A GIF of 200 pictures of 13,000 × 13,000 pixels in five kilobytes: 100 GB if somebody decoded them.
BOMB = (
    b"GIF89a" + struct.pack("<HHBBB", 13_000, 13_000, 0x80, 0, 0) + b"\xff\xff\xff\0\0\0"
    + (b"!\xf9\4\0\x0a\0\0\0," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\2\2\x44\1\0") * 200 + b";"
)  # fmt: skip
SECONDS = 24  # of the film


@pytest.fixture(scope="module")
def server(serve, film):
    return serve(library=(film.parent,), upload_bytes=3_000_000)


@pytest.fixture(scope="module")
def talk(server, visitor, film):
    """A visitor who has uploaded a film and asked twice."""
    talk = visitor(server.url)
    talk.open(film)
    talk.ask("What is there?")
    talk.ask("Which way does it <b>move</b>?")
    return talk


def test_upload_ask_and_ask_again(talk, server):
    turns = talk.opened(server).turns
    assert "48 frames in 6 segments" in talk.page.inner_text(".caption")
    assert talk.answers == [turn.answer.display or "(no answer)" for turn in turns]
    # As it was typed, not as markup.
    assert talk.page.locator(".asked").all_inner_texts() == [
        "What is there?",
        "Which way does it <b>move</b>?",
    ]
    assert turns[1].earlier == (("What is there?", turns[0].answer.text),)


def test_the_strip_shows_what_the_answer_rests_on(talk, server):
    segments = talk.opened(server).turns[-1].segments
    bars = talk.page.locator("#strip .relevance rect")
    assert [float(bar.get_attribute("height")) for bar in bars.all()] == pytest.approx(
        [segment.relevance for segment in segments]
    )
    talk.page.wait_for_function(
        "() => [...document.querySelectorAll('.tiles img')].every(i => i.naturalWidth > 0)"
    )


def test_clicks_and_keys_on_the_strip_seek_and_hover_shows_the_frame(talk):
    page = talk.page
    for seconds in (18, 6):
        page.mouse.click(*talk.strip(seconds, of=SECONDS))
        talk.wait_for_time(seconds)
    page.mouse.move(*talk.strip(10, of=SECONDS))
    page.locator(".tip", has_text="00:08–00:12").wait_for()
    page.wait_for_function("() => document.querySelector('.tip img').naturalWidth > 0")
    assert "relevance" in page.inner_text(".tip")
    slider = page.locator("#strip [role=slider]")
    for key, seconds in (("ArrowRight", 8), ("ArrowRight", 12), ("ArrowLeft", 8), ("End", 20), ("Home", 0)):
        slider.press(key)
        talk.wait_for_time(seconds)
    assert "00:00–00:04, relevance" in slider.get_attribute("aria-valuetext")


def test_a_drag_asks_about_a_part_only(server, visit, film):
    talk = visit(server.url)
    page = talk.page
    talk.open(film)
    page.mouse.move(*talk.strip(8, of=SECONDS))
    page.mouse.down()
    page.mouse.move(*talk.strip(12, of=SECONDS), steps=4)
    page.mouse.up()
    page.wait_for_function("() => document.querySelector('#span-chip').innerText === 'only 00:08–00:12'")
    talk.ask("What is there?")
    start, end = talk.opened(server).turns[0].part
    assert (start, end) == (pytest.approx(8, abs=0.2), pytest.approx(12, abs=0.2))
    assert page.locator(".asked .part").inner_text() == "only 00:08–00:12"
    page.hover("#span-chip button")
    page.mouse.down()
    page.fill("#question", "What else is there?")  # what is drawn meanwhile must not take the click away
    page.evaluate("document.querySelector('#composer').requestSubmit()")
    page.locator(".asked").nth(1).wait_for()
    page.mouse.up()
    page.locator("#span-chip button").wait_for(state="detached")


def test_times_in_an_answer_and_its_moments_lead_into_the_video(talk, server):
    page = talk.page
    turn = talk.opened(server).turns[-1]
    answer = turn.answer
    segments = [dataclasses.replace(one, relevance=0.01) for one in answer.segments]
    segments[3] = dataclasses.replace(segments[3], relevance=0.99)
    changed = dataclasses.replace(answer, text="From 0:05 on, and at 7.5 seconds.", segments=segments)
    turn.answers[turn.variant] = changed
    page.click("#panel label:has-text('Adaptive')")
    page.click("#panel label:has-text('Uniform')")
    page.click("#panel label:has-text('Adaptive')")
    page.locator(".time", has_text="0:05").click()
    talk.wait_for_time(5)
    page.locator(".time", has_text="00:07").click()
    talk.wait_for_time(7)
    moment = page.locator(".turn:last-child .moments button")
    assert moment.get_attribute("aria-label").startswith("Go to 00:12–00:16, relevance 0.99")
    moment.click()
    talk.wait_for_time(14)
    page.locator("h1").click(trial=True)
    page.evaluate("document.activeElement.blur()")
    for key, seconds in (("ArrowLeft", 9), ("]", 14), ("ArrowRight", 19), ("[", 14)):
        page.keyboard.press(key)
        talk.wait_for_time(seconds)
    page.keyboard.press(" ")
    page.wait_for_function("() => !document.querySelector('#player video').paused")
    page.keyboard.press(" ")
    page.wait_for_function("() => document.querySelector('#player video').paused")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "question"
    turn.answers[turn.variant] = answer


def test_a_budget_is_shared_out_while_it_moves_and_answered_when_it_stands(server, visit, film):
    talk = visit(server.url)
    page = talk.page
    talk.open(film)
    talk.ask("What is there?")
    opened = talk.opened(server)
    watched = opened.watched
    slider = page.locator("#budget")
    slider.focus()
    slider.press("Home")  # one token a segment
    page.locator("#panel .spent", has_text="6 of 6 tokens: the whole budget.").wait_for()
    page.locator(".answer .figures", has_text="6 of 6 tokens").wait_for()
    assert opened.turns[0].variant.budget == 6
    page.click(".actions .compare")
    page.locator(".variant", has_text="Uniform").locator(".figures", has_text="tokens ·").wait_for()
    assert page.locator(".variant h2").all_inner_texts() == ["Adaptive\nshown", "Uniform\nShow this"]
    page.click(".variant >> text=Show this")
    page.locator(".variant.shown", has_text="Uniform").wait_for()
    assert opened.turns[0].variant.adaptive is False
    assert opened.watched is watched  # nothing was watched again
    page.click("text=New conversation")
    page.locator(".intro h2").wait_for()
    assert opened.turns == []


def test_settings_hold_every_number_and_watch_again(server, visit, film):
    talk = visit(server.url)
    page = talk.page
    talk.open(film)
    talk.ask("What is there?")
    page.click("#settings-button")
    assert "48 frames are 6 segments of 8 frames, 4.0 s each" in page.inner_text("#segments")
    for words in ("frames", "score", "compress", "peak of the process", "tempo-nano", "a frame"):
        page.locator("#figures", has_text=words).wait_for()
    page.fill("#set-new", "3")
    page.fill("#set-temperature", "0")
    page.fill("#set-frames", "16")
    page.click("#watch-again")
    page.fill("#question", "What else?")
    page.press("#question", "Enter")  # at once
    page.locator(".caption", has_text="16 frames in 2 segments").wait_for()
    page.locator(".asked", has_text="What else?").wait_for()
    page.locator(".turn .actions").wait_for()
    opened = talk.opened(server)
    assert [(turn.question, turn.earlier) for turn in opened.turns] == [("What else?", ())]
    assert opened.turns[0].generation["max_new_tokens"] == 3
    assert opened.turns[0].answer.usage.answer_tokens <= 3


def test_what_is_saved(talk, film, tmp_path):
    page = talk.page
    saved = {}
    for says, kind in (("Conversation", "json"), ("Chart", "png"), ("Report", "html"), ("Moments", "srt")):
        page.click(".menu summary")
        with page.expect_download() as download:
            page.click(f".menu a:has-text('{says}')")
        assert download.value.suggested_filename == f"{film.stem}.{kind}"
        saved[kind] = tmp_path / f"saved.{kind}"
        download.value.save_as(saved[kind])
        assert page.locator(".menu[open]").count() == 0
    for close in (lambda: page.keyboard.press("Escape"), lambda: page.mouse.click(5, 790)):
        page.click(".menu summary")
        close()
        assert page.locator(".menu[open]").count() == 0
    assert json.loads(saved["json"].read_text(encoding="utf-8"))["title"] == film.name
    with Image.open(saved["png"]) as image:
        assert image.width > 800
    assert "Which way does it" in saved["html"].read_text(encoding="utf-8")


def test_copies_and_links(server, visit, film):
    talk = visit(server.url, permissions=["clipboard-read", "clipboard-write"])
    page = talk.page
    page.click(f".films button:has-text('{film.name}')")
    talk.wait_until_ready(film.name)
    talk.ask("What is there?")
    page.click("text=Copy answer with times")
    text = page.evaluate("navigator.clipboard.readText()")
    assert text.startswith(f"Q: What is there?\nA: {talk.opened(server).turns[0].answer.display}")
    page.mouse.click(*talk.strip(9, of=SECONDS))
    talk.wait_for_time(9)
    page.click("text=Copy link")
    page.wait_for_function("() => navigator.clipboard.readText().then(text => text.includes('#'))")
    link = page.evaluate("navigator.clipboard.readText()")
    assert str(film.parent) not in link
    other = visit(link)
    other.page.wait_for_selector(".turn .actions")
    assert other.page.locator(".asked").inner_text() == "What is there?"
    other.wait_for_time(9)


def test_tabs_keep_their_conversations(server, visit, film, tmp_path):
    talk = visit(server.url)
    page = talk.page
    other = tmp_path / "<i>other.mp4"
    other.write_bytes(film.read_bytes())
    talk.open(film)
    talk.ask("What is there?")
    talk.open(other)
    assert page.locator(".turn").count() == 0
    page.fill("#question", "half a question")
    page.click(f"#tabs .tab:has-text('{film.name}')")
    assert page.locator(".asked").all_inner_texts() == ["What is there?"]
    assert page.input_value("#question") == ""
    page.click("#tabs .tab:has-text('<i>other')")
    assert page.input_value("#question") == "half a question"
    page.click("[aria-label='Close <i>other.mp4']")
    assert page.locator("#tabs .tab").all_inner_texts() == [film.name]


def test_a_page_that_is_loaded_again_goes_on_where_it_was(server, visit, film, tmp_path):
    talk = visit(server.url)
    page = talk.page
    other = tmp_path / "other.mp4"
    other.write_bytes(film.read_bytes())
    talk.open(other)
    talk.ask("Where is it?")
    talk.open(film)
    talk.ask("What is there?")
    talk.ask("Is it red?")
    page.evaluate("document.querySelector('video').currentTime = 9")
    talk.wait_for_time(9)
    page.fill("#question", "half a question")
    before = page.locator(".turn .answer .text").all_inner_texts()
    page.reload()
    talk.wait_until_ready(film.name)
    assert page.locator(".asked").all_inner_texts() == ["What is there?", "Is it red?"]
    assert page.locator(".turn .answer .text").all_inner_texts() == before
    assert page.input_value("#question") == "half a question"
    talk.wait_for_time(9)
    assert page.locator("#tabs .tab").all_inner_texts() == ["other.mp4", film.name]
    talk.ask("And then?")
    assert [turn.question for turn in talk.opened(server).turns][-1] == "And then?"
    page.click("#tabs .tab:has-text('other')")
    assert page.locator(".asked").all_inner_texts() == ["Where is it?"]
    assert talk.complaints == []


def test_back_leads_to_the_page_before(server, visit, film):
    talk = visit(server.url)
    page = talk.page
    page.click(f".films button:has-text('{film.name}')")
    talk.wait_until_ready(film.name)
    page.fill("#question", "half a question")
    page.go_back()
    page.locator("#start").wait_for()
    assert "#" not in page.url
    page.go_forward()
    page.locator("#watch").wait_for()
    assert "#v=library" in page.url
    assert page.input_value("#question") == "half a question"
    page.reload()
    talk.wait_until_ready(film.name)
    page.go_back()
    page.locator("#start").wait_for()
    assert talk.complaints == []


def test_a_duplicate_of_a_page_begins_for_itself(server, visit, film):
    talk = visit(server.url)
    talk.open(film)
    kept = talk.page.evaluate("dispatchEvent(new Event('pagehide')), sessionStorage.getItem('tempo')")
    twin = talk.context.new_page()
    twin.goto(server.url)
    twin.evaluate("kept => sessionStorage.setItem('tempo', kept)", kept)
    twin.reload()
    twin.wait_for_selector("#file", state="attached")
    assert twin.locator("#tabs .tab").count() == 0
    talk.ask("What is there?")


def test_a_connection_that_breaks_off_loses_nothing(server, visit, film):
    talk = visit(server.url)
    page = talk.page
    talk.open(film)
    talk.ask("What is there?")
    talk.context.set_offline(True)
    page.fill("#question", "And then?")
    page.press("#question", "Enter")
    page.locator("#ask-error", has_text="cannot be reached").wait_for()
    talk.context.set_offline(False)
    assert page.input_value("#question") == "And then?"
    talk.ask("And then?")
    assert page.locator(".asked").all_inner_texts() == ["What is there?", "And then?"]


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("broken.mp4", b"This is no video.\n" * 100, "broken.mp4: "),
        ("empty.mp4", b"", "the file is empty"),
        ("notes.txt", b"words", "notes.txt: .txt is not supported; choose a video"),
        ("bomb.gif", BOMB, "bomb.gif: the picture is too large: 13,000 × 13,000 pixels"),
        ("large.mp4", b"\0" * 3_100_000, "large.mp4: has 3.1 MB; uploads are limited to 3.0 MB"),
    ],
)
def test_what_cannot_be_opened_is_said_where_the_visitor_looks(talk, film, tmp_path, name, data, words):
    (tmp_path / name).write_bytes(data)
    page = talk.page
    page.click("#home")
    talk.upload(tmp_path / name)
    said = page.locator("[role=alert]:visible", has_text=words)
    said.wait_for()
    assert "/" not in said.inner_text()  # no path of the server's
    if page.locator(f"#tabs .tab:has-text('{name}')").count():
        page.click(f"[aria-label='Close {name}']")
    page.click(f"#tabs .tab:has-text('{film.name}')")
    assert len(talk.answers) == 2


def test_a_full_disk_is_said(talk, film, tmp_path):
    """A limit on the size of files stands for the disk; the browser has its own."""
    resource = pytest.importorskip("resource", reason="limits the size of files")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    (tmp_path / "long.mp4").write_bytes(bytes(2_900_000))
    talk.page.click("#home")
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    try:
        talk.upload(tmp_path / "long.mp4")
        talk.page.locator("[role=alert]:visible", has_text="the server's disk is full; try again").wait_for()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    talk.page.click("[aria-label='Close long.mp4']")
    talk.page.click(f"#tabs .tab:has-text('{film.name}')")


def test_questions_that_cannot_be_asked_stay_to_be_mended(talk):
    page = talk.page
    long = "what " * 9000
    page.fill("#question", long)
    page.click("#ask")
    page.locator("#ask-error", has_text="the question is too long").wait_for()
    assert page.input_value("#question") == long.strip()
    page.fill("#question", "")


def test_a_file_that_browsers_do_not_play_is_shown_in_frames(server, visit, film, tmp_path):
    renamed = tmp_path / "film.avi"
    renamed.write_bytes(film.read_bytes())
    talk = visit(server.url)
    talk.open(renamed)
    image = talk.page.locator("#player img")
    before = image.get_attribute("src")
    talk.page.mouse.click(*talk.strip(18, of=SECONDS))
    talk.page.wait_for_function(
        "before => !document.querySelector('#player img').src.endsWith(before)", arg=before
    )
    assert round(int(image.get_attribute("src").rpartition("/")[2].removesuffix(".jpg")), -3) == 18_000


def test_cancel_ends_the_work_and_says_so(server, visit):
    talk = visit(server.url)
    page = talk.page
    page.click(".examples .suggestion >> nth=0")
    page.click(".progress button:has-text('Cancel')")
    page.locator(".failure", has_text="Stopped.").wait_for()
    page.locator("#tabs li.failed").wait_for()
    assert page.inner_text("#ask-error") == ""
    page.reload()  # what was stopped does not begin by itself
    page.locator(".failure", has_text="Stopped.").wait_for()
    page.click(".failure button:has-text('Try again')")
    page.locator(".progress").wait_for()


def test_a_library_of_many_videos_shows_its_covers_and_then_the_strip(serve, visit, film, tmp_path):
    for number in range(40):
        shutil.copy(film, tmp_path / f"{number:02}.mp4")
    talk = visit(serve(library=(tmp_path,)).url)
    covers = ".films .card img"
    talk.page.wait_for_function(f"() => document.querySelectorAll('{covers}').length >= 40")
    talk.page.wait_for_function(
        f"() => [...document.querySelectorAll('{covers}')].every(i => i.naturalWidth > 0)"
    )
    talk.page.click(".films button:has-text('07')")
    talk.wait_until_ready("07.mp4")
    talk.page.wait_for_function(
        "() => [...document.querySelectorAll('.tiles img')].every(i => i.naturalWidth > 0)"
    )
    assert talk.complaints == []


def test_what_is_typed_while_an_answer_is_written_is_not_asked_and_not_lost(server, visit, film):
    talk = visit(server.url)
    talk.open(film)
    page = talk.page
    page.fill("#question", "What is there?")
    page.keyboard.press("Enter")
    page.fill("#question", "And which colour?")
    page.keyboard.press("Enter")
    page.locator(".turn .actions").wait_for()
    assert page.locator(".asked").all_inner_texts() in (
        ["What is there?"],
        ["What is there?", "And which colour?"],  # the answer was quicker than the second key
    )
    if len(talk.answers) == 1:
        assert page.input_value("#question") == "And which colour?"
    assert talk.complaints == []


def test_a_link_in_the_address_of_an_open_page_is_followed(server, visit, film):
    talk = visit(server.url)
    talk.open(film)
    title = film.name
    found = talk.page.evaluate("fetch('ui/api/library').then(r => r.json())")["videos"]
    identity = next(one["id"] for one in found if one["title"].startswith("my film"))
    talk.page.evaluate(f"location.hash = '#v=library:{identity}&t=12&q=What+is+there%3F'")
    talk.page.locator(".turn .actions").wait_for()
    talk.wait_for_time(12)
    assert talk.page.locator("#tabs li").count() >= 2, title
    assert talk.complaints == []


def test_a_link_is_followed_where_an_earlier_page_left_its_tabs(server, visit, film):
    talk = visit(server.url)
    talk.open(film)
    found = talk.page.evaluate("fetch('ui/api/library').then(r => r.json())")["videos"]
    identity = next(one["id"] for one in found if one["title"].startswith("my film"))
    talk.page.goto("about:blank")
    talk.page.goto(f"{server.url}#v=library:{identity}&t=12&q=What+is+there%3F")
    talk.page.locator(".turn .actions").wait_for()
    talk.wait_for_time(12)
    assert talk.page.locator("#tabs .tab").count() == 2
    assert talk.complaints == []


def test_nothing_comes_from_elsewhere_and_nothing_is_wrong(talk, server):
    assert [url for url in talk.asked_for if not url.startswith((server.url, "data:"))] == []
    # But for the errors that were asked for.
    assert [
        said for said in talk.complaints if "status of 4" not in said and "status of 503" not in said
    ] == []
