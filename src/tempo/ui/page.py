"""The page in Gradio: which components there are, and which action each event calls.

Gradio is imported when a page is built, so that everything else works without it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

from tempo.formatting import size
from tempo.version import __version__

from . import html_panels
from .access import KINDS
from .callbacks import (
    LONGEST_ANSWER,
    USUAL_ANSWER,
    Actions,
    Change,
)
from .examples import EXAMPLES

# Read by Gradio from the page's own server; nothing is fetched from elsewhere.
HEAD = f"""
<link rel="stylesheet" href="tempo/static/page.css?{__version__}">
<script src="tempo/static/page.js?{__version__}" defer></script>
"""
PUBLISHED = "Tempo-6B"
LICENCE = (
    "The published weights are for academic and non-commercial research only; any commercial use needs their "
    "authors' written consent."
)
SYSTEM_FONTS = ["ui-sans-serif", "system-ui", "sans-serif"]
MONOSPACE = ["ui-monospace", "monospace"]
# Every minute, uploads that are older than ten and are not open are removed.
UPLOADS_KEPT = (60, 600)


def theme() -> Any:
    """Plain, with the fonts of the system."""
    import gradio as gr

    return gr.themes.Default(primary_hue="blue", neutral_hue="slate", font=SYSTEM_FONTS, font_mono=MONOSPACE)


def build(actions: Actions) -> Any:
    """Return the page as `gradio.Blocks`."""
    import gradio as gr

    model = actions.visits.model
    config = model.config
    licence = LICENCE if PUBLISHED.lower() in model.name.lower() else ""
    html = functools.partial(gr.HTML, apply_default_css=False)
    with gr.Blocks(title="Tempo", analytics_enabled=False, delete_cache=UPLOADS_KEPT) as page:
        name = gr.State("")
        html(html_panels.head(model.name, most_bytes=actions.access.upload_bytes, remark=licence))
        with gr.Row():
            with gr.Column(scale=3, min_width=320):
                with gr.Accordion("Open a video", open=True, elem_id="tempo-opening") as opening:
                    upload = gr.File(
                        label=f"Upload: a video or an image, {size(actions.access.upload_bytes)} at most",
                        file_types=list(KINDS),
                        file_count="single",
                        type="filepath",
                        height=165,
                        elem_id="tempo-upload",
                    )
                    html('<div id="tempo-refused"></div>', elem_id="tempo-refusal")  # filled by page.js
                    with gr.Row(visible=bool(actions.access)):
                        path = gr.Dropdown(
                            choices=actions.access.listing() if actions.access else [],
                            value=None,
                            label="Or a file on this machine",
                            info="Choose one, or type its path.",
                            allow_custom_value=True,
                            elem_id="tempo-path",
                            scale=4,
                        )
                        open_path = gr.Button("Open", elem_id="tempo-open-path", scale=1, min_width=90)
                    with gr.Row():
                        examples = [
                            gr.Button(example.title, size="sm", min_width=140, elem_classes="tempo-example")
                            for example in EXAMPLES
                        ]
                with gr.Row():
                    open_status = html(elem_id="tempo-open-status", scale=5, min_width=200)
                    stop_opening = gr.Button(
                        "Stop", visible=False, size="sm", min_width=80, scale=1, elem_id="tempo-stop-opening"
                    )
                player = html(html_panels.player(None, ""))
                allocation = html(elem_id="tempo-allocation")
                with gr.Row():
                    budget = gr.Slider(
                        1, config.visual_token_budget, value=config.visual_token_budget, step=1,
                        label="Budget, in tokens", interactive=False,
                        elem_id="tempo-budget", scale=3, min_width=220, buttons=[],
                    )  # fmt: skip
                    way = gr.Radio(
                        ["adaptive", "uniform"], value="adaptive", label="Shared out",
                        elem_id="tempo-way", scale=2, min_width=190,
                    )  # fmt: skip
                both = gr.Checkbox(
                    True, label="Answer both ways, side by side", container=False, elem_id="tempo-both"
                )
                ways = html(elem_id="tempo-ways")
            with gr.Column(scale=2, min_width=320):
                talk = html(html_panels.conversation([], duration=0.0))
                ask_status = html(elem_id="tempo-ask-status")
                suggestions = html(elem_id="tempo-suggestions")
                question = gr.Textbox(
                    label="Question", placeholder="Open a video first.", interactive=False, max_lines=8,
                    elem_id="tempo-question",
                )  # fmt: skip
                with gr.Row():
                    ask = gr.Button(
                        "Ask", variant="primary", interactive=False, elem_id="tempo-ask", min_width=90
                    )
                    stop = gr.Button("Stop", visible=False, elem_id="tempo-stop", min_width=90)
                    forget = gr.Button("Start over", elem_id="tempo-forget", min_width=110)
                with gr.Accordion("Advanced", open=False, elem_id="tempo-advanced"):
                    longest = gr.Slider(
                        1, LONGEST_ANSWER, value=USUAL_ANSWER, step=1, label="Longest answer, in tokens",
                        elem_id="tempo-longest",
                    )  # fmt: skip
                    temperature = gr.Slider(
                        0, 2, value=0, step=0.05, label="Temperature",
                        info="0 always takes the likeliest word, more draws more freely.",
                        elem_id="tempo-temperature",
                    )  # fmt: skip
                    top_p = gr.Slider(
                        0.05, 1, value=1, step=0.05, label="Top-p",
                        info="Words are drawn among the likeliest that have this probability together.",
                        elem_id="tempo-top-p",
                    )  # fmt: skip
                    with gr.Row():
                        fps = gr.Number(
                            None, label="Frames a second", minimum=0, elem_id="tempo-fps", min_width=120,
                            info=f"Empty: {config.fps:g}.",
                        )  # fmt: skip
                        frames = gr.Number(
                            None, label="Frames at most", precision=0, elem_id="tempo-frames", min_width=120,
                            info=f"Empty: {actions.max_frames}.",
                        )  # fmt: skip
                    again = gr.Button("Watch again with these frames", size="sm", elem_id="tempo-again")
                with gr.Accordion("Figures", open=False, elem_id="tempo-figures"):
                    figures = html()

        parts: dict[str, Any] = {
            "opening": opening, "upload": upload, "open_status": open_status, "stop_opening": stop_opening,
            "player": player, "allocation": allocation, "budget": budget, "ways": ways, "talk": talk,
            "ask_status": ask_status, "suggestions": suggestions, "question": question, "ask": ask,
            "stop": stop, "figures": figures,
        }  # fmt: skip
        everything = list(parts.values())

        def shown(change: Change) -> dict[Any, Any]:
            return {
                parts[part]: gr.update(**value) if isinstance(value, dict) else value
                for part, value in change.items()
            }

        def at_once(action: Callable[..., Change]) -> Callable[..., Any]:
            return lambda *fields: shown(action(*fields)) or gr.skip()

        def streamed(action: Callable[..., Iterator[Change]]) -> Callable[..., Iterator[dict[Any, Any]]]:
            def run(*fields: Any) -> Iterator[dict[Any, Any]]:
                # Of a generator that yields nothing, Gradio would empty every output.
                yield {open_status: gr.skip()}
                yield from map(shown, action(*fields))

            return run

        # The line in front of the model is tempo's own, so Gradio has to let everybody through.
        quietly = {"show_progress": "hidden", "concurrency_limit": None, "api_visibility": "private"}
        watching = [fps, frames]
        upload.upload(
            streamed(actions.open_upload), [name, upload, *watching], everything,
            trigger_mode="multiple", **quietly,
        )  # fmt: skip
        for trigger in (open_path.click, path.select):
            trigger(streamed(actions.open_path), [name, path, *watching], everything, **quietly)
        for example, button in zip(EXAMPLES, examples, strict=True):
            opens = functools.partial(_with_example, actions, example)
            button.click(streamed(opens), [name, *watching], everything, **quietly)
        again.click(streamed(actions.watch_again), [name, *watching], everything, **quietly)

        setting = [name, budget, way]
        asking = [name, question, budget, way, both, longest, temperature, top_p]
        for trigger in (ask.click, question.submit):
            # Another question may come while this one is still answered the other way.
            trigger(streamed(actions.ask), asking, everything, trigger_mode="multiple", **quietly)
        budget.input(
            at_once(actions.redraw), setting, [allocation], queue=False, trigger_mode="always_last", **quietly
        )
        for trigger in (budget.release, way.input, both.input):
            trigger(
                streamed(actions.compare), [*setting, both], everything, trigger_mode="multiple", **quietly
            )
        for button in (stop, stop_opening):
            button.click(actions.stop, [name], None, queue=False, **quietly)
        forget.click(at_once(actions.forget), [name], everything, **quietly)

        def arrive(request: gr.Request) -> str:
            actions.visits.arrive(request.session_hash)
            return request.session_hash

        def leave(request: gr.Request) -> None:
            actions.visits.leave(request.session_hash)
            _forget(page, request.session_hash)

        # Annotations are text in this module; Gradio looks for the class itself.
        arrive.__annotations__["request"] = leave.__annotations__["request"] = gr.Request
        page.load(arrive, None, [name], **quietly)
        page.unload(leave)
    return page


def _with_example(actions: Actions, example: Any, page: str, *fields: Any) -> Iterator[Change]:
    yield from actions.open_example(page, example, *fields)


def _forget(page: Any, session: str) -> None:
    """Drop Gradio's copy of the page for a visitor who left: two megabytes, kept until 10,000 more came."""
    holder = getattr(page, "state_holder", None)
    for kept in ("session_data", "time_last_used"):
        getattr(holder, kept, {}).pop(session, None)
