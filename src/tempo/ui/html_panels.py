"""What is shown of a visit, as HTML. Everything that was typed, uploaded or written by a model is escaped."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

from tempo.formatting import clock, size
from tempo.inference.moments import nothing_stands_out, strongest
from tempo.inference.results import Answer
from tempo.text_safety import whole_text

from .access import KINDS
from .chart import chart
from .client import (
    Drawing,
    Visit,
    Waiting,
    Watching,
)
from .clock_links import split
from .jobs import Alive
from .player import Film
from .turns import Setting, Text, Turn

PHASES = (
    ("decode", "frames"),
    ("watch", "watch"),
    ("route", "route"),
    ("distil", "distil"),
    ("answer", "answer"),
)


def escape(text: str) -> str:
    """TEXT as it can stand in a page, whatever is in it."""
    return html.escape(whole_text(text))


def head(model: str, *, most_bytes: int, remark: str = "") -> str:
    """The heading. It also tells page.js what may be uploaded."""
    more = f"<br>{escape(remark)}" if remark else ""
    return (
        f'<div class="tempo-head" data-most="{most_bytes}" data-kinds="{" ".join(KINDS)}"><h1>Tempo</h1>'
        "<p>Ask questions of a video, and see which moments the answer rests on. "
        f"Model: {escape(model)}.{more}</p></div>"
    )


def note(text: str) -> str:
    """Something to know."""
    return f'<p class="tempo-note">{escape(text)}</p>' if text else ""


def error(text: str) -> str:
    """What went wrong, read out at once by screen readers."""
    return f'<p class="tempo-error" role="alert"><span aria-hidden="true">⚠</span> {escape(text)}</p>'


def progress(event: Watching | Drawing | Waiting | Alive | Text) -> str:
    """How far it is, with a bar where that can be said."""
    match event:
        case Waiting(ahead):
            text, share = f"waiting for the model: {ahead} ahead of you", None
        case Drawing(done, total):
            text, share = f"drawing the example: {done} of {total} frames", done / total
        case Watching(done, total, left):
            rest = "" if left is None else f", {_duration(left)} left"
            text, share = f"watching: {done} of {total} frames{rest}", done / total
        case Alive(seconds):
            text, share = f"at work for {_duration(seconds)}", None
        case _:
            return ""
    value = "" if share is None else f' value="{share:.4f}"'
    return (
        f'<div class="tempo-progress" role="status"><progress max="1"{value}></progress>'
        f"<span>{escape(text)}</span></div>"
    )


def player(film: Film | None, key: str) -> str:
    """The video where the browser plays it; else its frames, which follow the chart."""
    if film is None:
        return '<div class="tempo-player empty">The video will be here.</div>'
    files = f"tempo/visits/{escape(key)}"
    stamp = f"{abs(hash((str(film.path), film.watched))):x}"  # another video has another address
    poster = f"{files}/frames/0.jpg?{stamp}"
    video = film.session.video
    if film.is_played:
        # Where it turns out that the browser lacks the codec, page.js shows the frames instead.
        inner = (
            f'<video id="tempo-video" controls playsinline preload="metadata" poster="{poster}" '
            f'src="{files}/video?{stamp}"></video>'
            f'<img class="still" hidden src="{poster}" data-stamp="{stamp}" alt="a frame of the video">'
        )
    elif film.media_type:
        inner = f'<img class="whole" src="{files}/video?{stamp}" alt="{escape(film.title)}">'
    else:
        inner = (
            f'<img class="still" src="{poster}" data-stamp="{stamp}" alt="a frame of the video">'
            '<p class="tempo-note">Browsers cannot play this kind of file. The frame of the moment that you '
            "choose is shown.</p>"
        )
    frames = len(film.session.sampling)
    info = film.session.video_info
    facts = [
        clock(video.duration) if video.kind == "video" else "still image",
        f"{video.width}×{video.height}",
        f"{frames} frame{'' if frames == 1 else 's'} watched in {film.watched:.1f} s",
    ]
    remarks = "".join(map(note, film.session.warnings))
    reasons = "; ".join(dict.fromkeys(span.reason for span in info.lost))
    if info.lost:
        remarks += note(f"{info.lost_seconds:.1f} s of this video could not be shown: {reasons}.")
    remarks += "".join(map(note, info.remarks))
    return (
        f'<div class="tempo-player" data-files="{files}" data-stamp="{stamp}">{inner}'
        f'<p class="tempo-caption"><b>{escape(film.title)}</b> · {" · ".join(facts)}</p>{remarks}</div>'
    )


def allocation(visit: Visit, setting: Setting) -> str:
    """The chart under SETTING, whether it was answered under it or not, and the strongest moments."""
    film = visit.film
    if film is None:
        return ""
    tokens, other = visit.tokens(setting), visit.tokens(setting.other)
    if tokens is None or other is None:
        return note(
            "Ask something: how relevant each moment is, and the tokens that it gets, are shown here."
        )
    answer = next(iter(visit.turns[-1].answers.values()))
    segments, floor = answer.segments, answer.relevance_floor
    most = visit.model.config.num_compression_tokens
    way, otherwise = ("adaptive", "uniform") if setting.adaptive else ("uniform", "adaptive")
    chips = "".join(
        f'<button type="button" class="tempo-chip" data-seek="{stretch.start:.3f}">'
        f"{clock(stretch.start)}–{clock(stretch.end)}<small>{stretch.relevance:.2f}</small></button>"
        for stretch in strongest(segments, floor=floor)
    )
    found = (
        f'<div class="tempo-chips" aria-label="the strongest moments">{chips}</div>'
        if chips
        else note(f"For this question {nothing_stands_out(segments)}.")
    )
    legend = (
        '<p class="tempo-legend"><i class="k-relevance"></i>relevance <i class="k-tokens"></i>'
        f'tokens, {way} <i class="k-other"></i>tokens, {otherwise}</p>'
    )
    return (
        f'<div class="tempo-allocation">{chart(segments, tokens, other, most=most)}{legend}'
        f'<p class="tempo-sum"><b id="tempo-used">{sum(tokens)}</b> tokens used of a budget of '
        f"<b>{setting.budget}</b></p>"
        f'{found}<div class="tempo-tip" hidden><img alt=""><span></span></div></div>'
    )


def conversation(
    turns: Sequence[Turn], *, duration: float, asked: str | None = None, written: str | None = None
) -> str:
    """All turns, and the one that is being answered: what was ASKED and what is WRITTEN of its answer."""
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
        return '<div class="tempo-talk empty">Questions and answers will be here.</div>'
    return f'<div class="tempo-talk" role="log" aria-live="polite">{"".join(shown)}</div>'


def _turn(question: str, text: str, duration: float, *, cut_off: bool = False, busy: bool = False) -> str:
    remark = '<small> … (cut off: allow longer answers under "Advanced")</small>' if cut_off else ""
    said = answer_html(text, duration, empty="…" if busy else "(no answer)")
    return (
        f'<div class="tempo-asked">{escape(question)}</div>'
        f'<div class="tempo-answer{" busy" if busy else ""}">{said}{remark}</div>'
    )


def answer_html(text: str, duration: float, *, empty: str = "(no answer)") -> str:
    """An answer with its times as buttons that take the player there; EMPTY: shown where it has no words."""
    text = text.strip()
    if not text:
        return f'<span class="tempo-faint">{empty}</span>'
    return "".join(
        escape(piece)
        if seconds is None
        else f'<button type="button" class="tempo-time" data-seek="{seconds:.3f}">{escape(piece)}</button>'
        for piece, seconds in split(text, duration=duration)
    )


def side_by_side(
    turn: Turn | None, setting: Setting, *, duration: float, written: Mapping[Setting, str] | None = None
) -> str:
    """The latest question's answers under adaptive and uniform, of the same budget."""
    if turn is None:
        return ""
    ways = (Setting(setting.budget, True), Setting(setting.budget, False))
    cells = []
    for way in ways:
        answer, text = turn.answers.get(way), (written or {}).get(way)
        name = "adaptive" if way.adaptive else "uniform"
        if answer is not None:
            took = answer.usage.timings["total"]
            foot = f"{answer.usage.visual_tokens} tokens · {took:.2f} s"
            body = answer_html(answer.text, duration)
        else:
            foot, body = "not answered yet", answer_html(text or "", duration, empty="…")
        shown = " shown" if way == setting else ""
        cells.append(
            f'<div class="tempo-way{shown}" data-way="{name}"><h4>{name}</h4><div>{body}</div>'
            f"<small>{foot}</small></div>"
        )
    return f'<div class="tempo-ways">{"".join(cells)}</div>'


def suggestions(film: Film | None) -> str:
    """Questions that can be asked with one click."""
    if film is None or not film.questions:
        return ""
    buttons = "".join(
        f'<button type="button" class="tempo-chip" data-ask="{escape(q)}">{escape(q)}</button>'
        for q in film.questions
    )
    return f'<div class="tempo-chips" aria-label="questions to try">{buttons}</div>'


def figures(answer: Answer | None, film: Film | None, key: str) -> str:
    """What an answer took: tokens, time by phase as a bar, memory; and the exports."""
    if answer is None or film is None:
        return note("Tokens, time and memory of the latest answer will be here.")
    usage, video = answer.usage, answer.video
    timings = answer.with_watching(film.session.timings).usage.timings
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
        ("this answer", f"{usage.timings['total']:.2f} s · watching before it {film.watched:.2f} s"),
        ("memory", f"{size(usage.peak_memory_bytes)} at most"),
        ("model", answer.model),
    ]
    table = "".join(f"<tr><th>{name}</th><td>{escape(value)}</td></tr>" for name, value in rows)
    files = f"tempo/visits/{escape(key)}"
    return (
        f'<div class="tempo-figures"><div class="tempo-phases">{bar}</div>'
        f'<p class="tempo-phase-names">{names}</p><table>{table}</table><p>'
        f'<a class="tempo-button" href="{files}/tempo.json" download>Save as JSON</a> '
        f'<a class="tempo-button" href="{files}/tempo.png" download>Save as PNG</a></p></div>'
    )


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 60 else clock(seconds)
