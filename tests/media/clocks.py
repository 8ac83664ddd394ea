"""Recordings whose clocks, chunks and headers are the point: what phones, cameras and recorders write."""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from pathlib import Path

from . import headers, mp4
from .bitstreams import pack_b_frames
from .cases import Case, case
from .recording import H264, WITH_B_FRAMES, Sound, Video, through_ffmpeg, write, written_then
from .shapes import Shape, every_third_dropped, irregular, lapse, standing_still, steady, then

HEVC = Video("libx265")
MPEG4 = Video("mpeg4", {"bf": "2"})
MJPEG = Video("mjpeg")
TEN = steady(10)
TICK = Fraction(1, 90_000)
WRAP = 2**33  # ticks of a transport stream's clock


def interleaved() -> list[Case]:
    """B-frames, and sound between chunks of pictures."""
    whole = Sound(0, 10)
    fragments = {"movflags": "empty_moov+default_base_moof", "frag_duration": "500000"}
    quarter = {**fragments, "frag_duration": "250000"}
    delayed = {**fragments, "movflags": "delay_moov+default_base_moof"}
    keyframes = {"movflags": "empty_moov+default_base_moof+frag_keyframe", "frag_duration": "100000000"}
    cases = []
    for name, video, muxing, chunk in (
        ("fragments.mp4", WITH_B_FRAMES, fragments, None),
        ("fragments-quarter.mp4", WITH_B_FRAMES, quarter, None),
        ("fragments-with-edits.mp4", WITH_B_FRAMES, delayed, None),
        ("fragments.mov", WITH_B_FRAMES, fragments, None),
        ("fragments-hevc.mp4", HEVC, fragments, None),
        ("fragments-from-keyframes.mp4", WITH_B_FRAMES, keyframes, None),
        ("chunks-half.mp4", WITH_B_FRAMES, {}, 0.5),
        ("chunks-quarter.mov", WITH_B_FRAMES, {}, 0.25),
        ("chunks-second.mp4", WITH_B_FRAMES, {}, 1.0),
        ("chunks-hevc.mp4", HEVC, {}, 0.5),
        ("chunks-muxer.mp4", WITH_B_FRAMES, {"chunk_duration": "500000"}, None),
    ):
        # Without a delayed index the muxer cannot know that the pictures wait for their B-frames: they begin
        # two pictures after the sound, as every player shows.
        shape = TEN.moved(Fraction(2, 12)) if muxing in (fragments, quarter, keyframes) else TEN
        cases.append(case(name, partial(_interleaved, TEN, video, whole, muxing, chunk), shape))
    return cases


def _interleaved(
    shape: Shape, video: Video, sound: Sound, muxing: dict[str, str], chunk: float | None, path: Path
) -> None:
    write(path, shape, video, sound=sound, muxing=muxing)
    if chunk:
        mp4.rechunk(path, chunk)


STILL = standing_still()
# The last picture's length is written nowhere in most of these: a picture of the usual length, or the average
# one, or until the sound ends.
STILL_END = (STILL.end - 0.15, STILL.end + 0.7)


def sparse() -> list[Case]:
    """A screen that stands still, one picture a minute, and a camera that drops pictures."""
    return [*_still_screens(), *_lapses(), *_dropped_pictures(), *_short_headers()]


def _still_screens() -> list[Case]:
    still, end = STILL, STILL_END
    sound = Sound(0, still.end)
    cases = [
        case(f"still.{suffix}", partial(_write, still, video, sound), still, end=end)
        for suffix, video in (
            ("avi", MPEG4_PLAIN),
            ("wmv", Video("wmv2")),
            ("flv", H264),
            ("ts", H264),
            ("mov", H264),
            ("mp4", H264),
            ("mkv", H264),
            ("webm", Video("libvpx")),
        )
    ]
    cases += [
        case(f"still-b-frames.{suffix}", partial(_write, still, WITH_B_FRAMES, sound), still, end=end)
        for suffix in ("flv", "ts", "mov", "mp4", "mkv")
    ]
    # Ogg tells when a page ends. FFmpeg takes that for the time of the next picture, and so does every player
    # that is built on it: each picture of the second part appears as soon as the one before has been shown.
    early = irregular([*range(22), *range(41, 182, 20)], tail=20)
    theora = ("-c:v", "libtheora", "-q:v", "8", "-c:a", "libvorbis", "-fps_mode", "vfr")
    cases.append(
        case("still.ogv", lambda path: through_ffmpeg(path, still, *theora, sound=sound), early, end=end)
    )
    # Without sound, too: there is nothing else to read, and nothing that says where the file ends.
    cases += [
        case(f"still-mute.{suffix}", partial(_write, still, video, None), still, end=end)
        for suffix, video in (("avi", MPEG4_PLAIN), ("wmv", Video("wmv2")), ("flv", H264), ("ts", H264))
    ]
    return cases


def _lapses() -> list[Case]:
    """One picture a minute, of which some wait for minutes in the decoder."""
    slow = lapse()
    return [
        case(
            f"lapse{mute}.{suffix}",
            partial(_write, slow, WITH_B_FRAMES, None if mute else Sound(0, slow.end)),
            slow,
            # How long the last picture stays is known where packets have a length, or sound goes on.
            end=(slow.end - 61, slow.end + 1),
            interval=60.0,
        )
        for suffix, mute in (
            ("flv", "-mute"),
            ("ts", "-mute"),
            ("ts", ""),
            ("mov", "-mute"),
            ("mp4", "-mute"),
            ("mkv", "-mute"),
        )
    ]


def _dropped_pictures() -> list[Case]:
    dropped = every_third_dropped()
    cases = [
        case(f"dropped-{kind}.avi", partial(_write, dropped, video, Sound(0, dropped.end)), dropped)
        for kind, video in (("mjpeg", MJPEG), ("mpeg4", MPEG4_PLAIN))
    ]
    cases.append(case("dropped-mjpeg-mute.avi", partial(_write, dropped, MJPEG, None), dropped))
    return cases


def _short_headers() -> list[Case]:
    """A header that ends before the last pictures."""
    still, end, short = STILL, STILL_END, 12.0
    return [
        case(
            "still-short-header.mkv",
            partial(written_then, still, H264, partial(headers.set_matroska_duration, seconds=short)),
            still,
            end=end,
        ),
        case(
            "still-short-header.mp4",
            partial(written_then, still, H264, partial(mp4.set_durations, seconds=short)),
            still,
            end=end,
        ),
        case(
            "still-short-header.avi",
            partial(written_then, still, MPEG4_PLAIN, partial(headers.set_avi_frames, count=120)),
            still,
            end=end,
        ),
        case(
            "still-short-header.flv",
            partial(written_then, still, H264, partial(headers.set_flv_duration, seconds=short)),
            still,
            end=end,
        ),
    ]


MPEG4_PLAIN = Video("mpeg4")


def _write(shape: Shape, video: Video, sound: Sound | None, path: Path) -> None:
    write(path, shape, video, sound=sound)


def b_frames_in_avi() -> list[Case]:
    """There are no presentation times in AVI: the decoder's order says it all."""
    xvid = ("-c:v", "libxvid", "-bf", "2", "-qscale:v", "3", "-g", "24")
    cases = [
        case("h264-b-frames.avi", partial(_write, TEN, WITH_B_FRAMES, None), TEN),
        case("h264-b-frames-sound.avi", partial(_write, TEN, WITH_B_FRAMES, Sound(0, 10)), TEN),
        case("h264-b-pyramid.avi", partial(_write, TEN, PYRAMID, None), TEN),
        case("mpeg4-b-frames.avi", partial(_write, TEN, MPEG4, None), TEN),
        case("mpeg4-b-frames-sound.avi", partial(_write, TEN, MPEG4, Sound(0, 10)), TEN),
        # Xvid keeps the last two pictures to itself, and leaves two of the first chunks empty: whoever plays
        # the file shows what follows two pictures late.
        case(
            "xvid-b-frames.avi",
            lambda path: through_ffmpeg(path, TEN, *xvid),
            shown=TEN.shown[:118],
            end=(9.8, 10.1),
            interval=1 / 12,
            within=0.17,
        ),
        case("xvid-packed-b-frames.avi", _packed_b_frames, TEN),
    ]
    return cases


PYRAMID = Video(options={"bf": "5", "x264-params": "b-adapt=0:b-pyramid=normal:scenecut=0:ref=4"})


def _packed_b_frames(path: Path) -> None:
    write(path, TEN, Video("mpeg4", {"bf": "1", "b_strategy": "0"}), repack=pack_b_frames)


def restarting_clocks() -> list[Case]:
    """Two recordings joined byte by byte, clocks that jump, and clocks that overflow."""
    cases = [*_joined_recordings(), *_jumping_clocks()]
    cases.append(
        case(
            "damaged-time.ts",
            partial(written_then, TEN, WITH_B_FRAMES, partial(headers.damage_time, pts=42 * 7500)),
            TEN,
            # The time of picture 40 says nothing any more, and it may appear when it is decoded.
            within=0.3,
            may_lose=True,
        )
    )
    for name, before in (("wrap.ts", 4), ("wrap-at-once.ts", 0), ("wrap-b-frames.ts", 5)):
        video = WITH_B_FRAMES if "b-frames" in name else H264
        cases.append(case(name, partial(_wrapping, TEN, video, before), TEN))
    return cases


def _joined_recordings() -> list[Case]:
    first, second = steady(5), steady(6).moved(0, first=500)
    cases = []
    for suffix, video, sound in (
        ("ts", H264, False),
        ("ts", H264, True),
        ("ts", WITH_B_FRAMES, True),
        ("ts", Video("mpeg2video", {"bf": "2"}), True),
        ("vob", MPEG2, True),
        ("mpg", Video("mpeg1video", {"bf": "2"}), True),
        ("flv", H264, True),
        ("flv", H264, False),
    ):
        shape_a, shape_b = first, second
        if suffix in ("vob", "mpg") or video.codec == "mpeg2video":
            shape_a, shape_b = steady(5, 25), steady(6, 25).moved(0, first=500)
        told, until = then(shape_a, shape_b)
        name = f"joined-{video.codec.removeprefix('lib')}"
        name += "-b-frames" if video is WITH_B_FRAMES else ""
        name += "" if sound else "-mute"
        cases.append(
            case(
                f"{name}.{suffix}",
                partial(_joined, [(shape_a, video), (shape_b, video)], sound),
                shown=told,
                # One picture's length at the seam is a matter of judgement; so is the sound's overhang.
                end=(until - 0.3, until + 0.3),
                interval=float(shape_a.base),
                within=0.3 if video is WITH_B_FRAMES else 0.1,
                # FFmpeg does not get past a second header in FLV. That has to be told at least.
                may_lose=suffix == "flv",
            )
        )
    return cases


def _jumping_clocks() -> list[Case]:
    first, second, hour = steady(5), steady(6).moved(0, first=500), Fraction(3600)
    shown, end = then(first, second)
    cases = []
    for name, a, b in (
        ("jump-ahead.ts", first.moved(0), second.moved(hour, first=500)),
        ("jump-back.ts", first.moved(hour), second.moved(100, first=500)),
        ("jump-ahead.flv", first.moved(0), second.moved(hour, first=500)),
        ("jump-back.flv", first.moved(hour), second.moved(100, first=500)),
    ):
        cases.append(
            case(
                name,
                # In FLV the clock jumps within one stream, without a second header.
                partial(_joined, [(a, H264), (b, H264)], True, skip=13 if name.endswith("flv") else 0),
                shown=shown,
                end=(end - 0.3, end + 0.3),
                interval=1 / 12,
                within=0.1,
            )
        )
    return cases


MPEG2 = Video("mpeg2video", {"bf": "2"})


def _joined(parts: list[tuple[Shape, Video]], sound: bool, path: Path, *, skip: int = 0) -> None:
    """`skip`: bytes to leave out at the beginning of all but the first."""
    data = b""
    for shape, video in parts:
        begin = float(shape.ticks[0] * shape.base)
        # Where a clock does not begin at 0, the muxer must not begin it there.
        muxing = {"avoid_negative_ts": "disabled"} if begin else {}
        write(path, shape, video, sound=Sound(begin, shape.end) if sound else None, muxing=muxing)
        data += path.read_bytes()[skip if data else 0 :]
    path.write_bytes(data)


def _wrapping(shape: Shape, video: Video, before: int, path: Path) -> None:
    """The clock of 33 bits begins again `before` seconds after the first picture."""
    begin = Fraction(WRAP, 90_000) - before
    ticks = tuple(round((tick * shape.base + begin) / TICK) for tick in shape.ticks)
    late = Shape(ticks, TICK, round(shape.base / TICK))
    write(path, late, video, sound=Sound(float(begin), float(begin) + 10))


def sound_that_goes_on() -> list[Case]:
    """Sound that is longer than the pictures, and a recording of one picture."""
    short = steady(5)
    sound = Sound(0, 20)
    cases = [
        case(
            f"long-sound.{suffix}",
            partial(_write, short, video, sound),
            short,
            # The pictures' own end, or the file's with the last picture until then.
            end=(short.end - 0.05, 20.2),
        )
        for suffix, video in (
            ("mkv", H264),
            ("flv", H264),
            ("wmv", Video("wmv2")),
            ("mp4", H264),
            ("ts", H264),
            ("webm", Video("libvpx")),
            ("avi", MPEG4_PLAIN),
            ("mov", WITH_B_FRAMES),
        )
    ]
    theora = ("-c:v", "libtheora", "-q:v", "8", "-c:a", "libvorbis")
    cases.append(
        case(
            "long-sound.ogv",
            lambda path: through_ffmpeg(path, short, *theora, sound=sound),
            short,
            end=(short.end - 0.05, 20.2),
        )
    )
    one = irregular([0], tail=1)
    cases += [
        case(f"one-picture.{suffix}", partial(_write, one, video, sound), one, end=(0.0, 20.2), within=0.03)
        for suffix, video in (
            ("mkv", H264),
            ("flv", H264),
            ("wmv", Video("wmv2")),
            ("mp4", H264),
            ("ts", H264),
            ("avi", MPEG4_PLAIN),
        )
    ]
    # Here the container says that the picture stays.
    stays = irregular([0], tail=200)
    cases += [
        case(
            f"one-picture-stays.{suffix}",
            partial(_write, stays, H264, sound),
            stays,
            end=(19.9, 20.2),
            within=0.03,  # Matroska has the sound begin early by what its decoder needs to warm up
        )
        for suffix in ("mp4", "mkv")
    ]
    return cases


def program_streams() -> list[Case]:
    """MPEG program streams, as DVDs, digital receivers and old camcorders have them."""
    ten = steady(10, 25)
    cases = []
    for suffix, codec in (("mpg", "mpeg1video"), ("mpg", "mpeg2video"), ("vob", "mpeg2video")):
        for b_frames in ("0", "2"):
            for sound in (None, Sound(0, 10)):
                name = f"{codec[:5]}{'-b-frames' if b_frames != '0' else ''}{'' if sound else '-mute'}"
                cases.append(
                    case(
                        f"program-{name}.{suffix}",
                        partial(_write, ten, Video(codec, {"bf": b_frames}), sound),
                        ten,
                        end=(9.9, 10.15),
                        # Not every picture has a time of its own, and FFmpeg gives one to its neighbour.
                        within=0.09,
                    )
                )
    return cases


def clocks() -> list[Case]:
    return [
        *interleaved(),
        *sparse(),
        *b_frames_in_avi(),
        *restarting_clocks(),
        *sound_that_goes_on(),
        *program_streams(),
    ]
