"""The page as Gradio components, and the action that each of their events calls.

Gradio is imported only when a page is built: everything else in this package works without it.
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
    DEFAULT_ANSWER_TOKENS,
    MAX_ANSWER_TOKENS,
    Actions,
    Change,
)
from .examples import EXAMPLES

# Gradio puts this into the page; both files come from the page's own server.
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
UPLOAD_CLEANUP = (60, 600)  # every minute, delete uploads that are older than ten minutes and not open

Components = dict[str, Any]
# The components that an action may change, by the names that it uses.
OUTPUTS = (
    "opening", "upload", "open_status", "stop_opening", "player", "allocation", "budget", "variants", "talk",
    "ask_status", "suggestions", "question", "ask", "stop", "figures",
)  # fmt: skip


def theme() -> Any:
    """A plain theme with the system's fonts."""
    import gradio as gr

    return gr.themes.Default(primary_hue="blue", neutral_hue="slate", font=SYSTEM_FONTS, font_mono=MONOSPACE)


def build(actions: Actions) -> Any:
    """Return the page as `gradio.Blocks`."""
    import gradio as gr

    model = actions.clients.model
    licence = LICENCE if PUBLISHED.lower() in model.name.lower() else ""
    with gr.Blocks(title="Tempo", analytics_enabled=False, delete_cache=UPLOAD_CLEANUP) as page:
        parts: Components = {"name": gr.State("")}
        _html(html_panels.head(model.name, most_bytes=actions.access.upload_bytes, remark=licence))
        with gr.Row():
            with gr.Column(scale=3, min_width=320):
                parts |= _opening_panel(actions)
                parts |= _video_panel(model.config.visual_token_budget)
            with gr.Column(scale=2, min_width=320):
                parts |= _conversation_panel()
                parts |= _advanced_panel(actions)
                with gr.Accordion("Figures", open=False, elem_id="tempo-figures"):
                    parts["figures"] = _html()
        _connect_actions(parts, actions)
        _connect_lifetime(page, parts["name"], actions)
    return page


def _html(*args: Any, **options: Any) -> Any:
    import gradio as gr

    return gr.HTML(*args, apply_default_css=False, **options)


def _opening_panel(actions: Actions) -> Components:
    """Upload, the operator's files, and the examples."""
    import gradio as gr

    access = actions.access
    with gr.Accordion("Open a video", open=True, elem_id="tempo-opening") as opening:
        upload = gr.File(
            label=f"Upload: a video or an image, {size(access.upload_bytes)} at most",
            file_types=list(KINDS), file_count="single", type="filepath", height=165, elem_id="tempo-upload",
        )  # fmt: skip
        _html('<div id="tempo-refused"></div>', elem_id="tempo-refusal")  # filled by page.js
        with gr.Row(visible=bool(access)):
            path = gr.Dropdown(
                choices=access.listing() if access else [], value=None, label="Or a file on this machine",
                info="Choose one, or type its path.", allow_custom_value=True, elem_id="tempo-path", scale=4,
            )  # fmt: skip
            open_path = gr.Button("Open", elem_id="tempo-open-path", scale=1, min_width=90)
        with gr.Row():
            examples = [
                gr.Button(example.title, size="sm", min_width=140, elem_classes="tempo-example")
                for example in EXAMPLES
            ]
    with gr.Row():
        open_status = _html(elem_id="tempo-open-status", scale=5, min_width=200)
        stop_opening = gr.Button(
            "Stop", visible=False, size="sm", min_width=80, scale=1, elem_id="tempo-stop-opening"
        )
    return {
        "opening": opening, "upload": upload, "path": path, "open_path": open_path, "examples": examples,
        "open_status": open_status, "stop_opening": stop_opening,
    }  # fmt: skip


def _video_panel(default_budget: int) -> Components:
    """The player, the chart, and what allocates the tokens."""
    import gradio as gr

    player = _html(html_panels.player(None, ""))
    allocation = _html(elem_id="tempo-allocation")
    with gr.Row():
        budget = gr.Slider(
            1, default_budget, value=default_budget, step=1, label="Budget, in tokens", interactive=False,
            elem_id="tempo-budget", scale=3, min_width=220, buttons=[],
        )  # fmt: skip
        mode = gr.Radio(
            ["adaptive", "uniform"], value="adaptive", label="Allocation",
            elem_id="tempo-mode", scale=2, min_width=190,
        )  # fmt: skip
    both = gr.Checkbox(True, label="Compare both allocations", container=False, elem_id="tempo-both")
    variants = _html(elem_id="tempo-variants")
    return {
        "player": player, "allocation": allocation, "budget": budget, "mode": mode, "both": both,
        "variants": variants,
    }  # fmt: skip


def _conversation_panel() -> Components:
    """The conversation, and the field of the next question."""
    import gradio as gr

    talk = _html(html_panels.conversation([], duration=0.0))
    ask_status = _html(elem_id="tempo-ask-status")
    suggestions = _html(elem_id="tempo-suggestions")
    question = gr.Textbox(
        label="Question", placeholder="Open a video first.", interactive=False, max_lines=8,
        elem_id="tempo-question",
    )  # fmt: skip
    with gr.Row():
        ask = gr.Button("Ask", variant="primary", interactive=False, elem_id="tempo-ask", min_width=90)
        stop = gr.Button("Stop", visible=False, elem_id="tempo-stop", min_width=90)
        forget = gr.Button("Start over", elem_id="tempo-forget", min_width=110)
    return {
        "talk": talk, "ask_status": ask_status, "suggestions": suggestions, "question": question, "ask": ask,
        "stop": stop, "forget": forget,
    }  # fmt: skip


def _advanced_panel(actions: Actions) -> Components:
    """Generation options and frame sampling."""
    import gradio as gr

    config = actions.clients.model.config
    with gr.Accordion("Advanced", open=False, elem_id="tempo-advanced"):
        longest = gr.Slider(
            1, MAX_ANSWER_TOKENS, value=DEFAULT_ANSWER_TOKENS, step=1, label="Longest answer, in tokens",
            elem_id="tempo-longest",
        )  # fmt: skip
        temperature = gr.Slider(
            0, 2, value=0, step=0.05, label="Temperature",
            info="0 always takes the likeliest token; higher values vary the answer more.",
            elem_id="tempo-temperature",
        )  # fmt: skip
        top_p = gr.Slider(
            0.05, 1, value=1, step=0.05, label="Top-p",
            info="Sample from the likeliest tokens that together have this probability.",
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
    return {
        "longest": longest, "temperature": temperature, "top_p": top_p, "fps": fps, "frames": frames,
        "again": again,
    }  # fmt: skip


def _connect_actions(parts: Components, actions: Actions) -> None:
    """Let every button and field call its action."""
    import gradio as gr

    outputs = [parts[part] for part in OUTPUTS]
    # Requests queue for the model in tempo's own queue, so Gradio must let all of them through.
    quietly = {"show_progress": "hidden", "concurrency_limit": None, "api_visibility": "private"}

    def updates(change: Change) -> Components:
        return {
            parts[part]: gr.update(**value) if isinstance(value, dict) else value
            for part, value in change.items()
        }

    def at_once(action: Callable[..., Change]) -> Callable[..., Any]:
        return lambda *fields: updates(action(*fields)) or gr.skip()

    def streamed(action: Callable[..., Iterator[Change]]) -> Callable[..., Iterator[Components]]:
        def run(*fields: Any) -> Iterator[Components]:
            # Gradio would clear every output of a generator that yields nothing.
            yield {parts["open_status"]: gr.skip()}
            yield from map(updates, action(*fields))

        return run

    def inputs(*names: str) -> list[Any]:
        return [parts[name] for name in ("name", *names)]

    sampling = ("fps", "frames")
    parts["upload"].upload(
        streamed(actions.open_upload),
        inputs("upload", *sampling),
        outputs,
        trigger_mode="multiple",
        **quietly,
    )
    for trigger in (parts["open_path"].click, parts["path"].select):
        trigger(streamed(actions.open_path), inputs("path", *sampling), outputs, **quietly)
    for example, button in zip(EXAMPLES, parts["examples"], strict=True):
        opens = functools.partial(_open_example, actions, example)
        button.click(streamed(opens), inputs(*sampling), outputs, **quietly)
    parts["again"].click(streamed(actions.watch_again), inputs(*sampling), outputs, **quietly)

    asking = inputs("question", "budget", "mode", "both", "longest", "temperature", "top_p")
    for trigger in (parts["ask"].click, parts["question"].submit):
        # The next question may come while the other variant of this one is still being answered.
        trigger(streamed(actions.ask), asking, outputs, trigger_mode="multiple", **quietly)
    parts["budget"].input(
        at_once(actions.redraw), inputs("budget", "mode"), [parts["allocation"]],
        queue=False, trigger_mode="always_last", **quietly,
    )  # fmt: skip
    comparing = inputs("budget", "mode", "both")
    for trigger in (parts["budget"].release, parts["mode"].input, parts["both"].input):
        trigger(streamed(actions.compare), comparing, outputs, trigger_mode="multiple", **quietly)
    for button in (parts["stop"], parts["stop_opening"]):
        button.click(actions.stop, inputs(), None, queue=False, **quietly)
    parts["forget"].click(at_once(actions.forget), inputs(), outputs, **quietly)


def _connect_lifetime(page: Any, name: Any, actions: Actions) -> None:
    """Begin a session when a browser loads the page, and end it when the page closes."""
    import gradio as gr

    def load(request: gr.Request) -> str:
        actions.clients.get_or_create(request.session_hash)
        return request.session_hash

    def unload(request: gr.Request) -> None:
        actions.clients.remove(request.session_hash)
        _drop_state(page, request.session_hash)

    # Annotations are text in this module; Gradio looks for the class itself.
    load.__annotations__["request"] = unload.__annotations__["request"] = gr.Request
    page.load(load, None, [name], show_progress="hidden", concurrency_limit=None, api_visibility="private")
    page.unload(unload)


def _open_example(actions: Actions, example: Any, page: str, *fields: Any) -> Iterator[Change]:
    yield from actions.open_example(page, example, *fields)


def _drop_state(page: Any, session: str) -> None:
    """Drop Gradio's copy of a closed page: two megabytes, which it keeps until 10,000 more pages came."""
    holder = getattr(page, "state_holder", None)
    for name in ("session_data", "time_last_used"):
        getattr(holder, name, {}).pop(session, None)
