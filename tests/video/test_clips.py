"""Clips hold the frames of their moment: copied where the format allows, whatever the source is."""

import av
import numpy as np
import pytest
from PIL import Image

import clips
from tempo.errors import TempoError
from tempo.video.clips import cut
from tempo.video.video import Video


def shown(path):
    """(times, indices) of every frame of a file, decoded without tempo."""
    with av.open(str(path)) as container:
        frames = [(frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    return [time for time, _ in frames], clips.indices(np.stack([pixels for _, pixels in frames]))


def packets(path):
    with av.open(str(path)) as container:
        return {bytes(packet) for packet in container.demux(video=0) if packet.size}


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov", "a.ts"])
def test_packets_are_copied_from_the_keyframe_to_the_end(tmp_path, name):
    # A keyframe a second, with pictures between that are stored after those they lean on.
    options = {"g": "10", "bf": "2", "sc_threshold": "0"}
    source = clips.write(tmp_path / name, count=200, rate=10, options=options)
    video = Video.open(source)
    clip = cut(video, 4.5, 7.2, tmp_path)
    assert clip.copied
    assert clip.path.suffix == source.suffix
    assert (clip.start, clip.end) == (pytest.approx(4.0, abs=1e-3), 7.2)
    times, indices = shown(clip.path)
    # One more where the last picture leans on it.
    assert indices[:32] == list(range(40, 72))
    assert len(indices) <= 33
    assert np.diff(times[:32]) == pytest.approx([0.1] * 31, abs=2e-3)
    if name != "a.ts":  # where the packets are wrapped differently every time
        assert packets(clip.path) <= packets(source)
    assert clip.path.name == f"a_00-00-04.50_00-00-07.20{source.suffix}"


def test_sound_stays_with_the_pictures(tmp_path):
    source = clips.write(tmp_path / "a.mp4", count=100, rate=10, options={"g": "10"}, sound=(0, 10))
    clip = cut(Video.open(source), 3.0, 6.0, tmp_path)
    assert clip.copied
    with av.open(str(clip.path)) as container:
        heard = [packet.pts * packet.time_base for packet in container.demux(audio=0) if packet.size]
    assert len(heard) == pytest.approx(3 * 16000 / 1024, abs=2)
    assert 0 <= heard[0] < 0.1
    assert 2.9 < heard[-1] < 3.0


def test_a_stream_that_appears_in_mid_file(tmp_path):
    """Flash tells of its streams as they come: here, one packet of sound in a file without any."""
    source = clips.write(tmp_path / "a.flv", count=100, rate=10, options={"g": "10", "bf": "0"})
    sound = bytes.fromhex("08 000004 001388 00 000000") + b"\x2f\xff\xfb\x90" + (15).to_bytes(4, "big")
    source.write_bytes(source.read_bytes() + sound)
    clip = cut(Video.open(source), 3.0, 9.0, tmp_path)
    assert clip.copied
    assert shown(clip.path)[1] == list(range(30, 90))


def test_sound_of_a_codec_that_is_not_known_is_left_out(tmp_path):
    source = clips.write(tmp_path / "a.mkv", count=100, rate=10, options={"g": "10"}, sound=(0, 10))
    source.write_bytes(source.read_bytes().replace(b"A_AAC", b"A_???"))
    clip = cut(Video.open(source), 3.0, 6.0, tmp_path)
    assert clip.copied
    assert shown(clip.path)[1] == list(range(30, 60))


def test_a_turned_video_stays_turned(tmp_path):
    source = clips.write(tmp_path / "a.mp4", count=40, rate=10, options={"g": "10"})
    turned = Video.open(clips.set_display_matrix(source, 0, 1, -1, 0))
    clip = cut(turned, 1.0, 2.0, tmp_path)
    video = Video.open(clip.path)
    assert clip.copied
    assert (video.width, video.height) == (turned.width, turned.height) == (96, 160)


@pytest.mark.parametrize("kind", ["gif", "folder", "avi"])
def test_what_cannot_be_copied_is_encoded(tmp_path, kind):
    if kind == "avi":
        path = clips.write(tmp_path / "a.avi", count=40, rate=10, codec="mpeg4")
    else:
        pictures = [Image.fromarray(clips.picture(i)) for i in range(40)]
        path = tmp_path / "a.gif"
        pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=100)
        if kind == "folder":
            path = tmp_path / "a"
            path.mkdir()
            for i, picture in enumerate(pictures):
                picture.save(path / f"{i}.png")
    rate = 1 if kind == "folder" else 10
    clip = cut(Video.open(path), 10 / rate, 20 / rate, tmp_path)
    assert not clip.copied
    assert clip.path.suffix == ".mp4"
    times, indices = shown(clip.path)
    assert indices == list(range(10, 20))
    assert times == pytest.approx([i / rate for i in range(10)], abs=1e-3)


def test_nothing_half_written_is_left(tmp_path):
    source = clips.write(tmp_path / "a.gif.mp4", count=20, rate=10)
    with pytest.raises(TempoError, match="nowhere"):
        cut(Video.open(source), 0.0, 1.0, tmp_path / "nowhere")
    still = tmp_path / "still.png"
    Image.fromarray(clips.picture(1)).save(still)
    with pytest.raises(TempoError, match="still image"):
        cut(Video.open(still), 0.0, 0.0, tmp_path)
    video = Video.open(source)
    source.write_bytes(b"")
    with pytest.raises(TempoError):
        cut(video, 0.0, 1.0, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.gif.mp4", "still.png"]


def test_a_piece_behind_a_clock_that_restarted(tmp_path):
    """Its packets do not carry the times at which they are shown, so it is encoded anew."""
    one = clips.write(tmp_path / "one.ts", count=60, rate=10).read_bytes()
    path = tmp_path / "joined.ts"
    path.write_bytes(one * 2)
    clip = cut(Video.open(path), 8.0, 10.0, tmp_path)
    assert not clip.copied
    seen = Video.open(clip.path)
    frames = [frame for batch in seen.stream(seen.sample(fps=2), chunk=4) for frame in batch.frames]
    assert [clips.index_of(frame) for frame in frames] == [20, 25, 30, 35]
