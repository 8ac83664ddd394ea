"""Answers as OpenAI's clients read them: one object, or a stream of chunks."""

from __future__ import annotations

import secrets
import time
from typing import Any

from tempo.inference.results import Answer


class Completion:
    """One answer on its way to a client."""

    def __init__(self, model: str, *, cached: bool, segments: bool) -> None:
        self.id = f"chatcmpl-{secrets.token_hex(12)}"
        self.created = int(time.time())
        self.model, self.cached, self.segments = model, cached, segments

    def whole(
        self, answer: Answer, *, stopped: bool, logprobs: list[dict[str, Any]] | None
    ) -> dict[str, Any]:
        """A `chat.completion`."""
        message = {"role": "assistant", "content": answer.text, "refusal": None}
        reason = finish_reason(answer, stopped=stopped)
        choice = {"index": 0, "message": message, "logprobs": _logprobs(logprobs), "finish_reason": reason}
        return self._head("chat.completion") | {
            "choices": [choice],
            "usage": self.usage(answer),
            **self._own(answer),
        }

    def chunk(
        self,
        delta: dict[str, Any],
        reason: str | None = None,
        logprobs: list[dict[str, Any]] | None = None,
    ) -> dict[str, Any]:
        """A `chat.completion.chunk` with a piece of the answer."""
        choice = {"index": 0, "delta": delta, "logprobs": _logprobs(logprobs), "finish_reason": reason}
        return self._head("chat.completion.chunk") | {"choices": [choice]}

    def last_chunk(self, answer: Answer) -> dict[str, Any]:
        """The chunk with the usage, which has no choice."""
        head = self._head("chat.completion.chunk")
        return head | {"choices": [], "usage": self.usage(answer), **self._own(answer)}

    def usage(self, answer: Answer) -> dict[str, Any]:
        """Tokens read and written; those of the video count as cached where it was watched before."""
        read, written = answer.usage.prompt_tokens, answer.usage.answer_tokens
        visual = answer.usage.visual_tokens
        return {
            "prompt_tokens": read,
            "completion_tokens": written,
            "total_tokens": read + written,
            "prompt_tokens_details": {"cached_tokens": visual if self.cached else 0, "video_tokens": visual},
        }

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}

    def _own(self, answer: Answer) -> dict[str, Any]:
        if not self.segments:
            return {}
        values = answer.to_dict()
        values["video"]["path"] = None  # where the server keeps its files is nobody's business
        values["relevance_floor"] = answer.relevance_floor
        return {"tempo": values}


def _logprobs(content: list[dict[str, Any]] | None) -> dict[str, Any] | None:
    return None if content is None else {"content": content, "refusal": None}


def finish_reason(answer: Answer, *, stopped: bool) -> str:
    """Why it ended: by itself or at a stop text, or at the limit of tokens."""
    return "stop" if stopped or answer.finished else "length"
