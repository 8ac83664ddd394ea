"""What the page is told, as JSON values. Texts are plain: the page puts them into text nodes only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from tempo.checkpoints.hub import PUBLISHED
from tempo.inference.model_info import ModelInfo
from tempo.inference.results import Answer
from tempo.moments import frame_time, nothing_stands_out

from .client_sessions import ClientSession
from .clock_links import split
from .examples import Example
from .library import KINDS, LibraryVideo
from .open_video import PLAYED, BudgetLimits, OpenVideo
from .requests import DEFAULT_ANSWER_TOKENS, MAX_ANSWER_TOKENS
from .turns import Turn, Variant

_KNOWS_SYNTHETIC = (
    "It knows generated videos only: coloured shapes and everyday things that move. About any other footage "
    "it guesses."
)
_KNOWS_ALL = "It knows videos of every kind."
_LICENCE = (
    "Its weights are for academic and non-commercial research only; any commercial use needs their authors' "
    "written consent."
)


def model(loaded: ModelInfo) -> dict[str, Any]:
    """The model: its name, what it knows, where there is a better one, and its numbers."""
    synthetic = loaded.synthetic
    published = PUBLISHED.rpartition("/")[2].lower() in loaded.name.lower()
    return {
        "model": {
            "name": loaded.name,
            "knows": _KNOWS_SYNTHETIC if synthetic else _KNOWS_ALL,
            "licence": _LICENCE if published else "",
            "other": {"name": PUBLISHED, "commands": ["tempo download", f"tempo ui --model {PUBLISHED}"]}
            if synthetic
            else None,
            "segment_frames": loaded.segment_frames,
            "memory_tokens": loaded.memory_tokens,
        },
        "answer_tokens": {"usual": DEFAULT_ANSWER_TOKENS, "most": MAX_ANSWER_TOKENS},
        "kinds": list(KINDS),
    }


def example(one: Example) -> dict[str, Any]:
    """A card of the gallery."""
    width, height = one.spec.size
    return {
        "id": one.id, "title": one.title, "about": one.about, "questions": list(one.questions),
        "seconds": one.spec.seconds, "width": width, "height": height,
    }  # fmt: skip


def library_video(video: LibraryVideo) -> dict[str, Any]:
    """A card of the library."""
    return {"id": video.id, "title": video.title, "folder": video.id.rpartition("/")[0]}


def video(opened: OpenVideo, loaded: ModelInfo) -> dict[str, Any]:
    """An open video; `watched` is None while it is being watched."""
    shown, kind = opened.video, opened.media_type
    return {
        "id": opened.id,
        "title": opened.source.title,
        "source": {"kind": opened.source.kind, "id": opened.source.id},
        "kind": shown.kind,
        "plays": kind in PLAYED.values(),
        "shows": kind is not None,
        "duration": shown.duration,
        "width": shown.width,
        "height": shown.height,
        "questions": list(opened.source.questions),
        "watched": _watched(opened, loaded),
    }


def _watched(opened: OpenVideo, loaded: ModelInfo) -> dict[str, Any] | None:
    watched = opened.watched
    if watched is None:
        return None
    lost = "; ".join(dict.fromkeys(span.reason for span in watched.info.lost))
    remarks = (
        [f"{watched.info.lost_seconds:.1f} s of this video could not be decoded: {lost}."] if lost else []
    )
    return {
        "starts": list(watched.starts),
        "frames": watched.frames,
        "fps": watched.fps,
        "seconds": watched.seconds,
        "timings": watched.timings,
        "budget": _limits(loaded, len(watched.starts)),
        "remarks": [*remarks, *watched.info.remarks],
        "warnings": list(watched.warnings),
    }


def session(one: ClientSession, loaded: ModelInfo) -> dict[str, Any]:
    """What a page that is loaded again goes on with."""
    return {
        "videos": [
            {
                "video": video(opened, loaded),
                "turns": [turn(opened, number, loaded) for number in range(len(opened.turns))],
            }
            for opened in list(one.videos.values())
        ]
    }


def parts(text: str, duration: float) -> list[dict[str, Any]]:
    """A text in pieces: `seconds` is None, or the time that a piece names."""
    return [{"text": piece, "seconds": at} for piece, at in split(text.strip(), duration=duration)]


def turn(
    opened: OpenVideo, number: int, loaded: ModelInfo, answered: Variant | None = None
) -> dict[str, Any]:
    """A turn with one of its answers: that of the variant ANSWERED; None: the one that is shown."""
    one = opened.turns[number]
    variant = answered or one.variant
    answer = one.answers[variant]
    best = [] if answer.moments else [nothing_stands_out(answer.segments)]
    return {
        "number": number,
        "question": one.question,
        "part": list(one.part),
        "answer": parts(answer.text, answer.video.duration),
        "text": answer.display,
        "finished": answer.finished,
        "nothing": f"For this question {best[0]}." if best else "",
        "moments": [
            {
                "start": moment.start,
                "end": moment.end,
                "relevance": moment.relevance,
                "tokens": moment.tokens,
                "frame": frame_time(moment, answer.segments),
            }
            for moment in answer.moments
        ],
        "figures": _figures(answer),
        **allocation(one, variant, loaded),
    }


def allocation(one: Turn, variant: Variant, loaded: ModelInfo) -> dict[str, Any]:
    """How a turn's tokens are shared out under VARIANT and under the other allocation of the same budget."""
    relevance = [segment.relevance for segment in one.segments]

    def tokens(of: Variant) -> list[int]:
        return loaded.allocate(relevance, budget=of.budget, adaptive=of.adaptive)

    counts = tokens(variant)
    return {
        "segments": [
            [segment.start, segment.end, segment.relevance, count]
            for segment, count in zip(one.segments, counts, strict=True)
        ],
        "other": tokens(variant.other),
        "budget": variant.budget,
        "adaptive": variant.adaptive,
        "limits": _limits(loaded, len(relevance)),
        "spent": spent(counts, variant, most=loaded.memory_tokens),
    }


def _limits(loaded: ModelInfo, segments: int) -> dict[str, int]:
    """What a question may spend on a video of so many segments."""
    return asdict(BudgetLimits.of(loaded, segments))


def spent(counts: Sequence[int], variant: Variant, *, most: int) -> str:
    """What an allocation spends of its budget, and where that is not all of it, why.

    Args:
        counts: tokens of each segment.
        most: memory tokens that a segment has.
    """
    used = f"{sum(counts)} of {variant.budget} tokens"
    if sum(counts) >= variant.budget:
        return f"{used}: the whole budget."
    if min(counts) == most:
        return f"{used}: every moment has all of its {most} tokens."
    if variant.adaptive:
        return f"{used}: the rest of the video does not matter for this question."
    return f"{used}: every moment gets the same number, and one more each would be over the budget."


def _figures(answer: Answer) -> dict[str, Any]:
    usage = answer.usage
    return {
        "visual_tokens": usage.visual_tokens,
        "tokens_per_frame": usage.visual_tokens / answer.video.frames,
        "prompt_tokens": usage.prompt_tokens,
        "answer_tokens": usage.answer_tokens,
        "timings": usage.timings,
        "peak_memory_bytes": usage.peak_memory_bytes,
        "frames": answer.video.frames,
        "segments": len(answer.segments),
        "segment_seconds": answer.segments[0].end - answer.segments[0].start,
        "model": answer.model,
    }
