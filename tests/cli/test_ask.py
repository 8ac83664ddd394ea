"""`tempo ask`: what it prints, and one clear line for everything that can be wrong with what it is given."""

import contextlib
import json
import math
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from .conftest import TINY, environment, write_video

QUESTION = "What colour is the square?"
TINY_MODEL = ("--model", TINY, "--dtype", "float32", "--max-new-tokens", "4")


@pytest.fixture(scope="module")
def answered(clip, warm, tmp_path_factory):
    """One question with --json, asked once for all the tests that look at it."""
    home = environment(tmp_path_factory.mktemp("home"))
    done = warm.run("-m", "tempo", "ask", clip, QUESTION, *TINY_MODEL, "--json", env=home)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1
    return json.loads(done.stdout)


def test_json_holds_the_video_and_what_was_watched(answered, clip):
    video = answered["video"]
    assert video["path"] == str(clip)
    assert video["duration"] == pytest.approx(6.0, abs=0.01)
    assert (video["width"], video["height"]) == (128, 96)
    assert (video["frames"], video["fps"]) == (12, 2.0)
    assert answered["model"] == str(TINY)


def test_json_segments_tile_the_video(answered):
    segments = answered["segments"]
    assert [set(segment) for segment in segments] == [
        {"start", "end", "timestamp", "relevance", "tokens"}
    ] * 2
    assert [(s["start"], s["end"]) for s in segments] == [(0.0, 4.0), (4.0, 6.0)]
    # The middle of a full window, also for the short last segment.
    assert [s["timestamp"] for s in segments] == [2.0, 6.0]
    assert all(0 < s["relevance"] < 1 for s in segments)
    assert answered["visual_tokens"] == sum(s["tokens"] for s in segments)
    assert answered["visual_tokens"] <= answered["budget"] == 8192


def test_json_counts_and_times(answered):
    assert isinstance(answered["answer"], str)
    assert 1 <= len(answered["token_ids"]) == answered["answer_tokens"] <= 4
    timings = answered["timings"]
    assert set(timings) == {"decode", "watch", "route", "distil", "answer", "total"}
    assert all(math.isfinite(seconds) and seconds >= 0 for seconds in timings.values())
    assert min(timings["watch"], timings["route"], timings["distil"], timings["answer"]) > 0
    phases = sum(seconds for phase, seconds in timings.items() if phase != "total")
    assert phases <= timings["total"]
    assert answered["peak_memory_bytes"] > 50e6  # torch alone takes more


@pytest.mark.slow
def test_text_for_people(tempo, clip, answered):
    done = tempo("ask", clip, QUESTION, *TINY_MODEL, "--verbose")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout, "no colours where the output is no terminal"
    answer, bar, listed, figures = done.stdout.replace(answered["answer"].strip(), "ANSWER").split("\n\n")
    assert answer.startswith("ANSWER")
    assert "█" in bar
    assert "00:00" in bar
    assert "00:06" in bar
    first = max(answered["segments"], key=lambda segment: segment["relevance"])
    assert f"{int(first['start']):02d}".join(["00:", "–"]) in listed.splitlines()[0]
    for name in ("video", "watched", "tokens", "seconds", "memory", "model"):
        assert name in figures


@pytest.mark.slow
def test_quiet_prints_the_answer_alone(tempo, clip, answered):
    done = tempo("ask", clip, QUESTION, *TINY_MODEL, "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(answered["answer"].strip())
    assert "relevance" not in done.stdout
    assert "█" not in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("cache", ["none", "host", "disk"])
def test_every_cache_gives_the_same_answer(tempo, clip, answered, cache):
    def ask():
        done = tempo("ask", clip, QUESTION, *TINY_MODEL, "--json", "--cache", cache)
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)

    first = ask()
    for found in (first, ask()):
        assert found["token_ids"] == answered["token_ids"]
        for mine, plain in zip(found["segments"], answered["segments"], strict=True):
            assert mine["tokens"] == plain["tokens"]
            assert mine["relevance"] == pytest.approx(plain["relevance"], abs=1e-5)
    assert first["timings"]["watch"] > 0
    if cache == "disk":  # the second time nothing is watched, and --cache is not needed to find it
        assert found["timings"]["watch"] == 0
        done = tempo("ask", clip, QUESTION, *TINY_MODEL, "--json")
        assert json.loads(done.stdout)["timings"]["watch"] == 0


@pytest.mark.slow
def test_options_reach_the_model(tempo, clip):
    done = tempo(
        *("ask", clip, QUESTION, *TINY_MODEL, "--json"),
        *("--fps", "4", "--max-frames", "16", "--budget", "12", "--no-adaptive"),
    )
    found = json.loads(done.stdout)
    assert found["video"]["frames"] == 16
    assert found["budget"] == 12
    assert [segment["tokens"] for segment in found["segments"]] == [6, 6]


# --- wrong usage: known before anything is loaded ---------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--budget", "0"),
        ("--budget", "-5"),
        ("--budget", "many"),
        ("--fps", "0"),
        ("--fps", "nan"),
        ("--fps", "inf"),
        ("--fps", "-1"),
        ("--max-frames", "0"),
        ("--max-new-tokens", "0"),
        ("--temperature", "-0.5"),
        ("--temperature", "nan"),
        ("--keep", "middle"),
        ("--cache", "cloud"),
        ("--dtype", "int8"),
        ("--attention", "none"),
    ],
)
def test_impossible_options_are_wrong_usage(fails, option, value):
    message = fails("ask", "clip.mp4", QUESTION, option, value, status=2)
    assert message.startswith(option)
    assert value in message


@pytest.mark.parametrize("question", ["", "  ", "\n\t"])
def test_an_empty_question_is_wrong_usage(fails, clip, question):
    assert "QUESTION" in fails("ask", clip, question, status=2)


def test_an_unknown_device(fails, clip):
    assert "warp" in fails("ask", clip, QUESTION, *TINY_MODEL, "--device", "warp", status=2)


# --- files that cannot be watched -------------------------------------------------------------------------


def truncated(path):
    """The first half of a file whose index is at its end."""
    data = write_video(path).read_bytes()
    assert data.rindex(b"moov") > len(data) / 2
    path.write_bytes(data[: len(data) // 2])


def audio_only(path):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


def every_frame_corrupt(path):
    """A sound container whose video packets are zeros."""
    data = bytearray(write_video(path).read_bytes())
    at = data.index(b"mdat")
    (size,) = struct.unpack(">I", data[at - 4 : at])
    data[at + 4 : at - 4 + size] = bytes(size - 8)
    path.write_bytes(data)


BROKEN = {
    "empty.mp4": lambda path: path.touch(),
    "truncated.mp4": truncated,
    "audio.mp4": audio_only,
    "text.mp4": lambda path: path.write_text("this is no video\n" * 100),
    "corrupt.mp4": every_frame_corrupt,
    "missing.mp4": lambda path: None,
    "folder": lambda path: path.mkdir(),
    "notes": lambda path: (path.mkdir(), (path / "notes.txt").write_text("no pictures here")),
    "picture.png": lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100)),
    "two\nlines\x1b[2J.mp4": lambda path: path.write_text("its name is the trouble"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_cannot_be_watched_is_named(fails, tmp_path, name):
    path = tmp_path / name
    BROKEN[name](path)
    message = fails("ask", path, QUESTION, *TINY_MODEL)
    assert "\x1b" not in message
    assert str(path) in message or "lines" in name
    assert len(message) > len(str(path)) + 10, "it says what is wrong"


def test_an_address_without_a_network(fails):
    address = "http://127.0.0.1:9/film.mp4"
    assert address in fails("ask", address, QUESTION, *TINY_MODEL)


@pytest.mark.slow
def test_a_file_damaged_in_the_middle_is_watched_and_the_loss_is_told(tempo, tmp_path):
    path = write_video(tmp_path / "scratched.mp4", seconds=12)
    data = bytearray(path.read_bytes())
    at = data.index(b"mdat") + 4
    (size,) = struct.unpack(">I", data[at - 8 : at - 4])
    data[at + size * 2 // 5 : at + size * 3 // 5] = bytes(size * 3 // 5 - size * 2 // 5)
    path.write_bytes(data)
    done = tempo("ask", path, QUESTION, *TINY_MODEL, "--json")
    assert done.returncode == 0, done.stderr
    video = json.loads(done.stdout)["video"]
    lost = video["lost_seconds"]
    assert 0.5 < lost < 6
    assert sum(span["end"] - span["start"] for span in video["lost"]) == pytest.approx(lost)
    assert {span["reason"] for span in video["lost"]} == {"pictures are damaged"}
    assert done.stderr.count("\n") == 1
    assert str(path) in done.stderr
    assert f"{lost:.1f} s could not be decoded (pictures are damaged)" in done.stderr


# --- models that cannot be loaded -------------------------------------------------------------------------


def test_unknown_models(fails, clip, tmp_path):
    assert "nosuch" in fails("ask", clip, QUESTION, "--model", "nosuch")
    assert "owner/nosuch" in fails("ask", clip, QUESTION, "--model", "owner/nosuch")
    assert str(tmp_path) in fails("ask", clip, QUESTION, "--model", tmp_path)


def copy_of_tiny(folder):
    shutil.copytree(TINY, folder / "tempo-tiny")
    shutil.copytree(TINY.parent / "qwen3-vl-tiny", folder / "qwen3-vl-tiny")
    return folder / "tempo-tiny"


def test_a_checkpoint_with_a_missing_tensor(fails, clip, tmp_path):
    folder = copy_of_tiny(tmp_path)
    weights = load_file(folder / "model.safetensors")
    name = next(name for name in weights if "layers.1" in name)
    del weights[name]
    save_file(weights, folder / "model.safetensors")
    message = fails("ask", clip, QUESTION, "--model", folder)
    assert str(folder) in message
    assert "missing" in message


def test_a_checkpoint_with_a_misshapen_tensor(fails, clip, tmp_path):
    folder = copy_of_tiny(tmp_path)
    weights = load_file(folder / "model.safetensors")
    name = next(name for name, tensor in weights.items() if tensor.ndim == 2)
    weights[name] = weights[name][:-1].contiguous()
    save_file(weights, folder / "model.safetensors")
    assert name in fails("ask", clip, QUESTION, "--model", folder)


def test_a_truncated_checkpoint(fails, clip, tmp_path):
    folder = copy_of_tiny(tmp_path)
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])
    assert str(folder) in fails("ask", clip, QUESTION, "--model", folder)


def test_a_checkpoint_without_its_base(fails, clip, tmp_path):
    shutil.copytree(TINY, tmp_path / "tempo-tiny")
    message = fails("ask", clip, QUESTION, "--model", tmp_path / "tempo-tiny")
    assert "qwen3-vl-tiny" in message
    assert "base" in message


# --- questions and budgets that do not fit ----------------------------------------------------------------


def test_a_question_longer_than_the_context(fails, clip):
    assert "too long" in fails("ask", clip, "why? " * 20_000, *TINY_MODEL)


def test_a_budget_below_a_token_a_segment(fails, clip):
    message = fails("ask", clip, QUESTION, *TINY_MODEL, "--budget", "1")
    assert "budget" in message
    assert "2 segments" in message


# --- how it ends ------------------------------------------------------------------------------------------


def importing(process, video):
    """Whether torch is being imported."""
    return "libtorch" in Path(f"/proc/{process.pid}/maps").read_text()


def watching(process, video):
    """Whether the file is being decoded: it is open, and there is more than the main thread."""
    folder = Path(f"/proc/{process.pid}")
    files = []
    for file in (folder / "fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since it was listed
            files.append(os.readlink(file))
    return str(video) in files and len(list((folder / "task").iterdir())) > 2


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="looks into /proc to choose the moment")
@pytest.mark.parametrize("moment", [importing, watching])
def test_ctrl_c_stops_cleanly(tmp_path, moment):
    video = write_video(tmp_path / "long.mp4", seconds=100)
    process = subprocess.Popen(
        [sys.executable, "-m", "tempo", "ask", str(video), QUESTION, "--model", str(TINY), "--fps", "10"],
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        # Whoever runs the tests in the background has Ctrl-C ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    while process.poll() is None and not moment(process, video):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    output, said = process.communicate(timeout=120)
    assert (process.returncode, output, said) == (130, "", "tempo: stopped\n")


@pytest.mark.slow
def test_a_reader_that_goes_away_is_no_error(tmp_path, clip):
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "tempo", "ask", str(clip), QUESTION, *map(str, TINY_MODEL)],
            env=environment(tmp_path),
            stdout=closed,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            check=False,
        )
    assert done.stderr == ""
    assert done.returncode == 141


# --- other things to watch --------------------------------------------------------------------------------


@pytest.mark.slow
def test_pictures_can_be_asked_about(tempo, tmp_path):
    picture = Image.new("RGB", (120, 90), (200, 40, 40))
    still, folder = tmp_path / "still.png", tmp_path / "folder"
    picture.save(still)
    picture.save(tmp_path / "moving.gif", save_all=True, append_images=[picture.rotate(90)] * 5, duration=500)
    folder.mkdir()
    for i in range(10):
        picture.save(folder / f"{i}.jpg")
    frames = {}
    for path in (still, tmp_path / "moving.gif", folder):
        done = tempo("ask", path, QUESTION, *TINY_MODEL, "--json")
        assert (done.returncode, done.stderr) == (0, "")
        frames[path.name] = json.loads(done.stdout)["video"]["frames"]
    assert frames["still.png"] == 1
    assert frames["folder"] == 10
