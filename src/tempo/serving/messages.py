"""From a conversation as clients send it to a question, the turns before it, and the one video."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .api_errors import ApiError
from .protocol import ChatRequest, MediaUrl, Message, Part


@dataclass(frozen=True)
class Asked:
    """What a request asks.

    Attributes:
        media: where the video is: an address, or the id of an uploaded file behind ``file-id:``.
        earlier: (question, answer) pairs, oldest first.
        question: of the last message.
        fps, max_frames: how to sample; None: the model's own.
        frames_per_second: of frames that the client sampled.
    """

    media: str
    earlier: tuple[tuple[str, str], ...]
    question: str
    fps: float | None
    max_frames: int | None
    frames_per_second: float | None


def read(request: ChatRequest) -> Asked:
    """Raises ApiError: there is no question, not exactly one video, or the turns do not alternate."""
    parts = [part for message in request.messages for part in _parts(message) if part.type != "text"]
    media = {_address(part) for part in parts}
    if len(media) != 1:
        found = f"{len(media)} videos were sent" if media else "no video was sent"
        raise ApiError(400, f"{found}; send exactly one as video_url, image_url or file", param="messages")
    earlier, question = _turns(request.messages)
    url = next((part.video_url or part.image_url for part in parts if part.type != "file"), None)
    return Asked(next(iter(media)), tuple(earlier), question, **_sampling(request, url))


def _parts(message: Message) -> list[Part]:
    if isinstance(message.content, list):
        return message.content
    return [Part(type="text", text=message.content or "")]


def _text(message: Message) -> str:
    return "\n".join(part.text or "" for part in _parts(message) if part.type == "text").strip()


def _address(part: Part) -> str:
    """Raises ApiError where a part lacks what its type says."""
    if part.type == "file" and part.file is not None:
        return f"file-id:{part.file.file_id}"
    url = part.video_url if part.type == "video_url" else part.image_url
    if url is None:
        raise ApiError(400, f"a part of type {part.type} has no {part.type}", param="messages")
    return url.url


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
    own, processor = request.tempo, request.mm_processor_kwargs or {}
    loader = (request.media_io_kwargs or {}).get("video", {})
    given_frames = loader.get("num_frames")
    fps = [own.fps, url.fps if url else None, processor.get("fps")]
    frames = [own.max_frames, url.max_frames if url else None, processor.get("max_frames")]
    if isinstance(given_frames, int) and given_frames > 0:  # -1: all of them
        frames.append(given_frames)
    return {
        "fps": next((value for value in fps if value is not None), None),
        "max_frames": next((value for value in frames if value is not None), None),
        "frames_per_second": loader.get("fps"),
    }
