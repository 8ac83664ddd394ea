"""From a conversation as clients send it to a question, the turns before it, and the one video."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from tempo.video.sampling_options import SamplingMode

from .api_errors import ApiError
from .protocol import ChatRequest, MediaUrl, Message, Part

# The text that stands before a frame in requests made for Qwen3-VL, lmms-eval's among them.
_TIME_OF_FRAME = re.compile(r"\s*<(\d+(?:\.\d+)?) seconds>\s*")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a request asks.

    Attributes:
        media: where the video is: an address, or the id of an uploaded file behind ``file-id:``; several are
            the frames of one video, in order; none: the video that was sent as `uuid` before.
        uuid: a name that the client gave the video.
        earlier: (question, answer) pairs, oldest first.
        question: of the last message.
        fps, max_frames: how to sample; None: the model's own.
        sampling: exact or keyframes; None: the server's own.
        part: begin and end of what to watch, in seconds.
        frame_rate, frame_times: of frames that the client sampled: how many a second, or the seconds of each.
    """

    media: tuple[str, ...]
    question: str
    uuid: str | None = None
    earlier: tuple[tuple[str, str], ...] = ()
    fps: float | None = None
    max_frames: int | None = None
    sampling: SamplingMode | None = None
    part: tuple[float | None, float | None] = (None, None)
    frame_rate: float | None = None
    frame_times: tuple[float, ...] | None = None


def read(request: ChatRequest) -> Asked:
    """Raises ApiError: there is no question, not exactly one video, or the turns do not alternate."""
    messages, times = _times_of_frames(request.messages)
    parts = [part for message in messages for part in _parts(message) if part.type != "text"]
    if not parts:
        raise _one_video("no video was sent")
    frames = [part for part in parts if part.type == "image_url"]
    addresses = [_address(part) for part in parts]
    media = addresses if len(frames) == len(parts) else list(dict.fromkeys(addresses))
    if len(media) > 1 and len(frames) < len(parts):
        raise _one_video(f"{len(media)} videos were sent")
    earlier, question = _turns(messages)
    url = next((part.video_url or part.image_url for part in parts if part.type != "file"), None)
    return Asked(
        media=tuple(address for address in media if address is not None),
        question=question,
        uuid=next((part.uuid for part in parts if part.uuid), None),
        earlier=tuple(earlier),
        **({"frame_times": times} | _sampling(request, url)),
    )


def _times_of_frames(messages: list[Message]) -> tuple[list[Message], tuple[float, ...] | None]:
    """The messages without the times that stand before frames, and these times; None: not all have one."""
    without, times, frames = [], [], 0
    for message in messages:
        parts: list[Part] = []
        for part in _parts(message):
            if part.type == "image_url":
                frames += 1
                if parts and (found := _TIME_OF_FRAME.fullmatch(parts[-1].text or "")):
                    times.append(float(found[1]))
                    parts.pop()
            parts.append(part)
        without.append(message.model_copy(update={"content": parts}))
    return (without, tuple(times)) if times and len(times) == frames else (messages, None)


def _one_video(found: str) -> ApiError:
    says = f"{found}; send exactly one as video_url or file, or its frames as image_url"
    return ApiError(400, says, param="messages")


def _parts(message: Message) -> list[Part]:
    if isinstance(message.content, list):
        return message.content
    return [Part(type="text", text=message.content or "")]


def _text(message: Message) -> str:
    return "\n".join(part.text or "" for part in _parts(message) if part.type == "text").strip()


def _address(part: Part) -> str | None:
    """None: the video was named by its `uuid`. Raises ApiError where a part lacks what its type says."""
    if part.type == "file" and part.file is not None:
        return part.file.file_data or f"file-id:{part.file.file_id}"
    url = part.video_url if part.type == "video_url" else part.image_url
    if url is None and part.uuid is None:
        raise ApiError(400, f"a part of type {part.type} has no {part.type}", param="messages")
    return None if url is None else url.url


def _turns(messages: list[Message]) -> tuple[list[tuple[str, str]], str]:
    system = "\n".join(_text(m) for m in messages if m.role in ("system", "developer"))
    talk = [(m.role, _text(m)) for m in messages if m.role not in ("system", "developer")]
    merged: list[tuple[str, str]] = []
    for role, text in talk:  # a video and its question may come as two messages
        if merged and merged[-1][0] == role:
            merged[-1] = (role, f"{merged[-1][1]}\n{text}".strip())
        else:
            merged.append((role, text))
    if not merged or merged[-1][0] != "user" or not merged[-1][1]:
        raise ApiError(400, "the last message must be a question of the user", param="messages")
    if merged[0][0] != "user":
        raise ApiError(400, "the conversation must begin with the user", param="messages")
    if system:
        merged[0] = ("user", f"{system}\n{merged[0][1]}".strip())
    texts = [text for _, text in merged]
    return list(zip(texts[:-1:2], texts[1:-1:2], strict=True)), texts[-1]


def _sampling(request: ChatRequest, url: MediaUrl | None) -> dict[str, Any]:
    """From wherever clients put it: `tempo`, SGLang's `video_url`, vLLM's two dictionaries."""
    own, processor = request.tempo, request.mm_processor_kwargs
    loader = request.media_io_kwargs.video
    fps = [own.fps, url.fps if url else None, processor.get("fps")]
    frames = [own.max_frames, url.max_frames if url else None, processor.get("max_frames")]
    if loader.num_frames is not None and loader.num_frames > 0:  # -1: all of them
        frames.append(loader.num_frames)
    for value in (processor.get("fps"), processor.get("max_frames")):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise ApiError(400, f"fps and max_frames are numbers, not {value!r}", param="mm_processor_kwargs")
    times = {} if loader.times is None else {"frame_times": tuple(loader.times)}
    return {
        "fps": next((value for value in fps if value is not None), None),
        "max_frames": next((value for value in frames if value is not None), None),
        "sampling": own.sampling,
        "part": (own.start, own.end),
        "frame_rate": loader.fps,
        **times,
    }
