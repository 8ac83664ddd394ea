"""The panels of the page as HTML. Text from users, files and models is always escaped."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

from tempo.formatting import clock, size
from tempo.inference.results import Answer
from tempo.moments import nothing_stands_out, strongest
from tempo.text_safety import whole_text

from .access import KINDS
from .chart import chart
from .client import ClientSession, Queued, RenderProgress, WatchProgress
from .clock_links import split
from .jobs import Heartbeat
from .player import OpenVideo
from .turns import PartialAnswer, Turn, Variant

PHASES = (
    ("decode", "frames"),
    ("watch", "watch"),
    ("route", "route"),
    ("distil", "distil"),
    ("answer", "answer"),
)


def escape(text: str) -> str:
    """Escape TEXT for HTML, and replace characters that UTF-8 cannot carry."""
    return html.escape(whole_text(text))


def head(model: str, *, most_bytes: int, remark: str = "") -> str:
    """The heading. Its data attributes tell page.js what may be uploaded."""
    more = f"<br>{escape(remark)}" if remark else ""
    return (
        f'<div class="tempo-head" data-most="{most_bytes}" data-kinds="{" ".join(KINDS)}"><h1>Tempo</h1>'
        "<p>Ask questions of a video, and see which moments the answer rests on. "
        f"Model: {escape(model)}.{more}</p></div>"
    )


def note(text: str) -> str:
    """A remark in small print."""
    return f'<p class="tempo-note">{escape(text)}</p>' if text else ""


def error(text: str) -> str:
    """An error, which screen readers read out at once."""
    return f'<p class="tempo-error" role="alert"><span aria-hidden="true">⚠</span> {escape(text)}</p>'


def progress(event: WatchProgress | RenderProgress | Queued | Heartbeat | PartialAnswer) -> str:
    """An event of running work as a line of text, with a bar if its total is known."""
    match event:
        case Queued(ahead):
            text, share = f"waiting for the model: {ahead} ahead of you", None
        case RenderProgress(done, total):
            text, share = f"rendering the example: {done} of {total} frames", done / total
        case WatchProgress(done, total, left):
            rest = "" if left is None else f", {_duration(left)} left"
            text, share = f"watching: {done} of {total} frames{rest}", done / total
        case Heartbeat(seconds):
            text, share = f"working for {_duration(seconds)}", None
        case _:
            return ""
    value = "" if share is None else f' value="{share:.4f}"'
    return (
        f'<div class="tempo-progress" role="status"><progress max="1"{value}></progress>'
        f"<span>{escape(text)}</span></div>"
    )


def player(opened: OpenVideo | None, key: str) -> str:
    """The video if browsers can play it; otherwise single frames, which follow the chart."""
    if opened is None:
        return '<div class="tempo-player empty">The video appears here.</div>'
    files = f"tempo/clients/{escape(key)}"
    stamp = f"{abs(hash((str(opened.path), opened.watched))):x}"  # keeps browsers from caching across videos
    poster = f"{files}/frames/0.jpg?{stamp}"
    video = opened.session.video
    if opened.is_played:
        # If the browser turns out to lack the codec, page.js shows the frames instead.
        inner = (
            f'<video id="tempo-video" controls playsinline preload="metadata" poster="{poster}" '
            f'src="{files}/video?{stamp}"></video>'
            f'<img class="still" hidden src="{poster}" data-stamp="{stamp}" alt="a frame of the video">'
        )
    elif opened.media_type:
        inner = f'<img class="whole" src="{files}/video?{stamp}" alt="{escape(opened.title)}">'
    else:
        inner = (
            f'<img class="still" src="{poster}" data-stamp="{stamp}" alt="a frame of the video">'
            '<p class="tempo-note">Browsers cannot play this kind of file; the page shows the frame of the '
            "moment that you choose.</p>"
        )
    frames = len(opened.session.sampling)
    info = opened.session.video_info
    facts = [
        clock(video.duration) if video.kind == "video" else "still image",
        f"{video.width}×{video.height}",
        f"{frames} frame{'' if frames == 1 else 's'} watched in {opened.watched:.1f} s",
    ]
    remarks = "".join(map(note, opened.session.warnings))
    reasons = "; ".join(dict.fromkeys(span.reason for span in info.lost))
    if info.lost:
        remarks += note(f"{info.lost_seconds:.1f} s of this video could not be decoded: {reasons}.")
    remarks += "".join(map(note, info.remarks))
    return (
        f'<div class="tempo-player" data-files="{files}" data-stamp="{stamp}">{inner}'
        f'<p class="tempo-caption"><b>{escape(opened.title)}</b> · {" · ".join(facts)}</p>{remarks}</div>'
    )


def allocation(client: ClientSession, variant: Variant) -> str:
    """The chart of the latest question under VARIANT, answered or not, and the strongest moments."""
    opened = client.open_video
    if opened is None:
        return ""
    tokens, other = client.tokens(variant), client.tokens(variant.other)
    if tokens is None or other is None:
        return note("Ask a question: this chart shows each moment's relevance and the tokens that it gets.")
    answer = next(iter(client.turns[-1].answers.values()))
    segments, floor = answer.segments, answer.relevance_floor
    most = client.model.config.num_compression_tokens
    chips = "".join(
        f'<button type="button" class="tempo-chip" data-seek="{moment.start:.3f}">'
        f"{clock(moment.start)}–{clock(moment.end)}<small>{moment.relevance:.2f}</small></button>"
        for moment in strongest(segments, floor=floor)
    )
    found = (
        f'<div class="tempo-chips" aria-label="the strongest moments">{chips}</div>'
        if chips
        else note(f"For this question {nothing_stands_out(segments)}.")
    )
    legend = (
        '<p class="tempo-legend"><i class="k-relevance"></i>relevance <i class="k-tokens"></i>'
        f'tokens, {variant.name} <i class="k-other"></i>tokens, {variant.other.name}</p>'
    )
    return (
        f'<div class="tempo-allocation">{chart(segments, tokens, other, most=most)}{legend}'
        f'<p class="tempo-sum"><b id="tempo-used">{sum(tokens)}</b> tokens used of a budget of '
        f"<b>{variant.budget}</b></p>"
        f'{found}<div class="tempo-tip" hidden><img alt=""><span></span></div></div>'
    )


def conversation(
    turns: Sequence[Turn], *, duration: float, asked: str | None = None, written: str | None = None
) -> str:
    """The turns, then the question that is being ASKED with the part of its answer WRITTEN so far."""
    shown = []
    for turn in turns:
        answer = turn.answer
        last = asked is None and turn is turns[-1]
        text = written if last and written is not None else answer.text if answer else ""
        cut_off = answer is not None and written is None and not answer.finished
        shown.append(_turn(turn.question, text, duration, cut_off=cut_off, busy=last and written is not None))
    if asked is not None:
        shown.append(_turn(asked, written or "", duration, busy=True))
    if not shown:
        return '<div class="tempo-talk empty">Questions and answers appear here.</div>'
    return f'<div class="tempo-talk" role="log" aria-live="polite">{"".join(shown)}</div>'


def _turn(question: str, text: str, duration: float, *, cut_off: bool = False, busy: bool = False) -> str:
    remark = '<small> … (cut off: allow longer answers under "Advanced")</small>' if cut_off else ""
    said = answer_html(text, duration, empty="…" if busy else "(no answer)")
    return (
        f'<div class="tempo-asked">{escape(question)}</div>'
        f'<div class="tempo-answer{" busy" if busy else ""}">{said}{remark}</div>'
    )


def answer_html(text: str, duration: float, *, empty: str = "(no answer)") -> str:
    """An answer whose times are buttons that seek the player; EMPTY stands for an answer without words."""
    text = text.strip()
    if not text:
        return f'<span class="tempo-faint">{empty}</span>'
    return "".join(
        escape(piece)
        if seconds is None
        else f'<button type="button" class="tempo-time" data-seek="{seconds:.3f}">{escape(piece)}</button>'
        for piece, seconds in split(text, duration=duration)
    )


def compare_variants(
    turn: Turn | None, variant: Variant, *, duration: float, written: Mapping[Variant, str] | None = None
) -> str:
    """The latest question's answers under adaptive and uniform allocation of one budget, side by side."""
    if turn is None:
        return ""
    cells = []
    for one in (Variant(variant.budget, True), Variant(variant.budget, False)):
        answer, text = turn.answers.get(one), (written or {}).get(one)
        if answer is not None:
            took = answer.usage.timings["total"]
            foot = f"{answer.usage.visual_tokens} tokens · {took:.2f} s"
            body = answer_html(answer.text, duration)
        else:
            foot, body = "not answered yet", answer_html(text or "", duration, empty="…")
        shown = " shown" if one == variant else ""
        cells.append(
            f'<div class="tempo-variant{shown}" data-variant="{one.name}"><h4>{one.name}</h4>'
            f"<div>{body}</div><small>{foot}</small></div>"
        )
    return f'<div class="tempo-variants">{"".join(cells)}</div>'


def suggestions(opened: OpenVideo | None) -> str:
    """Questions that one click asks."""
    if opened is None or not opened.questions:
        return ""
    buttons = "".join(
        f'<button type="button" class="tempo-chip" data-ask="{escape(q)}">{escape(q)}</button>'
        for q in opened.questions
    )
    return f'<div class="tempo-chips" aria-label="questions to try">{buttons}</div>'


def figures(answer: Answer | None, opened: OpenVideo | None, key: str) -> str:
    """Tokens, time by phase as a bar, and memory of an answer; and the links that export it."""
    if answer is None or opened is None:
        return note("Tokens, time and memory of the latest answer appear here.")
    usage, video = answer.usage, answer.video
    timings = answer.with_watching(opened.session.timings).usage.timings
    total = sum(timings[phase] for phase, _ in PHASES) or 1.0
    bar = "".join(
        f'<i class="p-{phase}" style="width:{timings[phase] / total * 100:.2f}%"></i>' for phase, _ in PHASES
    )
    names = "".join(f'<span class="p-{phase}">{name} {timings[phase]:.2f} s</span>' for phase, name in PHASES)
    rows = [
        (
            "tokens",
            f"{usage.visual_tokens} of {answer.budget} · {usage.visual_tokens / video.frames:.2f} a frame",
        ),
        ("text", f"{usage.prompt_tokens} tokens read · {usage.answer_tokens} written"),
        ("this answer", f"{usage.timings['total']:.2f} s · watching before it {opened.watched:.2f} s"),
        ("memory", f"{size(usage.peak_memory_bytes)} at most"),
        ("model", answer.model),
    ]
    table = "".join(f"<tr><th>{name}</th><td>{escape(value)}</td></tr>" for name, value in rows)
    files = f"tempo/clients/{escape(key)}"
    return (
        f'<div class="tempo-figures"><div class="tempo-phases">{bar}</div>'
        f'<p class="tempo-phase-names">{names}</p><table>{table}</table><p>'
        f'<a class="tempo-button" href="{files}/tempo.json" download>Save as JSON</a> '
        f'<a class="tempo-button" href="{files}/tempo.png" download>Save as PNG</a></p></div>'
    )


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 60 else clock(seconds)
