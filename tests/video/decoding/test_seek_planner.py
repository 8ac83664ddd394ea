"""The planner against a decoder that is written down here: a table of which frame refers to which."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest

from tempo.video.decoding.seek_planner import Planner, Step, UnplannableError


@dataclass(frozen=True)
class Coded:
    """One packet of a made-up video. `refers` are the pts of the frames that it is predicted from."""

    pts: int
    dts: int
    key: bool = False
    refers: tuple[int, ...] = ()
    shown: bool = True


def groups(rng: random.Random, count: int, *, open_gop: bool, stretch: int = 1) -> list[Coded]:
    """A video of `count` groups of pictures: a keyframe, then P-frames with zero to three B-frames before
    each."""
    packets: list[tuple[int, bool, tuple[int, ...]]] = []
    pts, anchor = 0, -1
    for _ in range(count):
        leading = rng.randint(0, 2) if open_gop and packets else 0
        key = pts + leading
        packets.append((key, True, ()))
        packets += [(pts + i, False, (anchor, key)) for i in range(leading)]
        anchor, pts = key, key + 1
        for _ in range(rng.randint(0, 5)):
            between = rng.randint(0, 3)
            packets.append((pts + between, False, (anchor,)))
            packets += [(pts + i, False, (anchor, pts + between)) for i in range(between)]
            anchor, pts = pts + between, pts + between + 1
    # Decoding times: as early as the order of presentation demands, rising.
    delay = 4
    return [
        Coded(pts * stretch, (i - delay) * stretch, key, tuple(r * stretch for r in refers))
        for i, (pts, key, refers) in enumerate(packets)
    ]


def follow(
    video: list[Coded], limits: list[int], *, seeks: bool = True
) -> tuple[dict[int, int], list[Coded]]:
    """Run the planner over the video. Returns which pts every sample shows, and the packets sent to decode.

    Checks that every frame that is shown can be decoded from what was sent since the decoder last started
    anew.
    """
    planner: Planner[Coded] = Planner(limits, seeks=seeks)
    shows: dict[int, int] = {}
    sent: list[Coded] = []
    decodable: set[int] = set()

    def do(steps: list[Step[Coded]]) -> None:
        for step in steps:
            if step.packet is not None:
                if step.fresh:
                    decodable.clear()
                    assert step.packet.key
                sent.append(step.packet)
                if all(refers in decodable for refers in step.packet.refers):
                    decodable.add(step.pts)
            if step.sample is not None:
                assert step.pts in decodable
                shows[step.sample] = step.pts

    for packet in video:
        if not planner.busy:
            break
        planner.add(packet, pts=packet.pts, dts=packet.dts, key=packet.key, shown=packet.shown, size=100)
        do(list(planner.steps()))
    else:
        planner.end(keep=len(limits))
        do(list(planner.steps()))
    # Samples that show the frame of the sample before are not always mentioned one by one.
    return shows, sent


@pytest.mark.parametrize("open_gop", [False, True])
@pytest.mark.parametrize("seeks", [False, True])
def test_every_moment_shows_the_last_frame_that_has_appeared(open_gop: bool, seeks: bool) -> None:
    rng = random.Random(7)
    for _ in range(200):
        video = groups(rng, rng.randint(1, 12), open_gop=open_gop, stretch=rng.choice([1, 3]))
        shown = sorted(packet.pts for packet in video)
        limits = sorted(rng.randint(0, shown[-1] + 9) for _ in range(rng.randint(1, 30)))
        shows, sent = follow(video, limits, seeks=seeks)
        assert shows == {m: max(pts for pts in shown if pts <= limit) for m, limit in enumerate(limits)}
        assert len({packet.pts for packet in sent}) == len(sent), "nothing is decoded twice"


def test_groups_without_moments_are_not_decoded() -> None:
    video = [Coded(i, i - 1, key=i % 30 == 0, refers=() if i % 30 == 0 else (i - 1,)) for i in range(300)]
    shows, sent = follow(video, [5, 123, 272])
    assert shows == {0: 5, 1: 123, 2: 272}
    assert [packet.pts for packet in sent] == [*range(6), *range(120, 124), *range(270, 273)]


def test_short_jumps_are_decoded_through() -> None:
    """To empty a decoder and start it anew costs more than a few frames."""
    video = [Coded(i, i - 1, key=i % 3 == 0, refers=() if i % 3 == 0 else (i - 1,)) for i in range(30)]
    _, sent = follow(video, [1, 5, 9])
    assert [packet.pts for packet in sent] == list(range(10))


def test_frames_that_are_not_to_be_shown() -> None:
    """An edit list begins in the middle of a group: what is before it is decoded, and never shown."""
    video = [
        Coded(i, i - 1, key=i == 0, refers=() if i == 0 else (i - 1,), shown=i not in (0, 1, 2))
        for i in range(10)
    ]
    shows, sent = follow(video, [3, 4, 9])
    assert shows == {0: 3, 1: 4, 2: 9}
    assert len(sent) == 10


def test_the_end_of_the_file_settles_the_rest() -> None:
    video = [Coded(i, i - 1, key=i == 0, refers=() if i == 0 else (i - 1,)) for i in range(5)]
    assert follow(video, [2, 100, 200])[0] == {0: 2, 1: 4, 2: 4}


def test_looking_ahead_is_bounded() -> None:
    """A group that never ends is decoded as it comes, not collected."""
    planner: Planner[int] = Planner([100_000])
    begun = None
    for i in range(2000):
        planner.add(i, pts=i, dts=i - 1, key=i == 0, shown=True, size=10)
        if list(planner.steps()) and begun is None:
            begun = i
    assert begun is not None
    assert begun < 1000


@pytest.mark.parametrize(
    "video",
    [
        [Coded(0, 0, key=True), Coded(1, 1), Coded(1, 2)],  # two frames at one time
        [Coded(0, 0, key=True), Coded(5, 4), Coded(6, 5), Coded(2, 6)],  # one that comes too late
    ],
)
def test_times_that_cannot_be_relied_on(video: list[Coded]) -> None:
    with pytest.raises(UnplannableError):
        follow(video, [3, 9])
