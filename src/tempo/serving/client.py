"""Asks a server about a video from Python or the command line, with nothing but the standard library."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import json
import secrets
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tempo.errors import TempoError, UsageError
from tempo.inference.model_info import ModelInfo
from tempo.inference.results import Answer, AnswerSegment, Usage
from tempo.inference.video_info import LostSpan, VideoInfo
from tempo.storage import hashing

_CHUNK = 1 << 20
_PATIENCE = 3600.0  # seconds for an answer; watching may take long


class ServerClient:
    """A `tempo serve`, or anything else that speaks its protocol.

    Args:
        url: of the server, with or without ``/v1``.
        key: what it asks for; None: nothing.
    """

    def __init__(self, url: str, *, key: str | None = None) -> None:
        """Raises UsageError: that is no address of a server."""
        parts = urlsplit(url if "://" in url else f"http://{url}")
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in ("http", "https") or not parts.hostname or port == -1:
            raise UsageError(f"--server {url}: give an address such as http://127.0.0.1:8000")
        self.url = f"{parts.scheme}://{parts.netloc}"
        self._base = parts.path.rstrip("/").removesuffix("/v1")
        self._secure, self._host, self._port = parts.scheme == "https", parts.hostname, port
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    def model(self) -> str:
        """The first model that the server has.

        Raises:
            TempoError: it cannot be reached, or refuses.
        """
        return str(self._models()[0]["id"])

    def model_info(self) -> ModelInfo:
        """What the server says of its model.

        Raises:
            TempoError: it cannot be reached, refuses, or is no `tempo serve`.
        """
        try:
            return ModelInfo(**self._models()[0]["tempo"])
        except (KeyError, TypeError) as error:
            raise TempoError(f"{self.url}: says nothing of its model; is it a tempo server?") from error

    def _models(self) -> list[dict[str, Any]]:
        models = self._json("GET", "/v1/models").get("data")
        if not isinstance(models, list) or not models:
            raise TempoError(f"{self.url}: has no models; is it a tempo server?")
        return models

    def upload(self, path: Path) -> str:
        """The id of a file on the server; it is sent only where the server does not have it yet.

        Raises:
            TempoError: the file cannot be read, or the server cannot be reached or refuses it.
        """
        try:
            size, name = path.stat().st_size, f"{hashing.of_file(str(path))[:16]}-{_quoted(path.name)}"
        except OSError as error:
            raise TempoError(f"{path}: {error.strerror}; check the path") from error
        for known in self._json("GET", "/v1/files")["data"]:
            if known["filename"] == name and known["bytes"] == size:
                return str(known["id"])
        return str(self._send_file(path, name, size)["id"])

    def answer(self, video: str, question: str, **options: Any) -> dict[str, Any]:
        """The completion of one question.

        Args:
            video: an address, or the id of an uploaded file.
            options: more fields of the request.

        Raises:
            TempoError: the server cannot be reached, or refuses.
        """
        body = {"model": self.model(), "messages": _messages(video, question), **options}
        return self._json("POST", "/v1/chat/completions", body)

    def stream(
        self,
        video: str,
        question: str,
        *,
        gone: threading.Event,
        earlier: Sequence[tuple[str, str]] = (),
        **options: Any,
    ) -> Iterator[dict[str, Any]]:
        """The chunks of an answer as they come.

        Args:
            gone: nobody waits any more. It ends the work on the server, and the chunks.
            earlier: (question, answer) pairs before this question.

        Raises:
            TempoError: the server cannot be reached or refuses, at once or in between.
        """
        messages = _messages(video, question, earlier)
        body = json.dumps({"model": self.model(), "messages": messages, "stream": True, **options})
        headers = {"Content-Type": "application/json"} | self._headers
        connection, ended = self._connection(), threading.Event()
        try:
            connection.request("POST", f"{self._base}/v1/chat/completions", body.encode(), headers)
            threading.Thread(target=_hang_up, args=(connection.sock, gone, ended), daemon=True).start()
            response = connection.getresponse()
            if response.status != 200:
                self._checked(response.status, response.read())
            for line in response:
                if line.startswith(b"data: {"):
                    yield self._checked(200, line.removeprefix(b"data: "))
        except (OSError, http.client.HTTPException) as error:
            if not gone.is_set():
                raise self._unreachable(error) from error
        finally:
            ended.set()
            connection.close()

    def _json(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        headers = {} if body is None else {"Content-Type": "application/json"}
        return self._request(method, path, None if body is None else json.dumps(body).encode(), headers)

    def _send_file(self, path: Path, name: str, size: int) -> dict[str, Any]:
        boundary = secrets.token_hex(16)
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n'
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        ).encode()
        tail = f"\r\n--{boundary}--\r\n".encode()

        def parts() -> Iterator[bytes]:
            yield head
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    yield chunk
            yield tail

        headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(len(head) + size + len(tail)),
        }
        return self._request("POST", "/v1/files", parts(), headers)

    def _request(
        self, method: str, path: str, body: bytes | Iterator[bytes] | None, headers: dict[str, str]
    ) -> dict[str, Any]:
        connection = self._connection()
        try:
            # A server that refuses a large body answers and closes before it has read it.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, self._base + path, body, headers | self._headers)
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error
        finally:
            connection.close()
        return self._checked(response.status, content)

    def _connection(self) -> http.client.HTTPConnection:
        if self._secure:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(self._host, self._port, timeout=_PATIENCE, context=context)
        return http.client.HTTPConnection(self._host, self._port, timeout=_PATIENCE)

    def _unreachable(self, error: Exception) -> TempoError:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return TempoError(f"{self.url}: cannot be reached ({reason}); check that it runs")

    def _checked(self, status: int, content: bytes) -> dict[str, Any]:
        """An object that the server sent. Raises TempoError where it is none, or an error."""
        try:
            found = json.loads(content)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise TempoError(f"{self.url}: answers {status} and no JSON; is it a tempo server?")
        error = found.get("error")
        if status >= 400 or error:
            message = error.get("message") if isinstance(error, dict) else error
            raise TempoError(f"{self.url}: {message or f'answers {status}'}")
        return found


def _messages(video: str, question: str, earlier: Sequence[tuple[str, str]] = ()) -> list[dict[str, Any]]:
    """A conversation about a video, which stands before its first question."""
    part: dict[str, Any] = {"type": "video_url", "video_url": {"url": video}}
    if video.startswith("file-"):
        part = {"type": "file", "file": {"file_id": video}}
    told: list[dict[str, Any]] = []
    for asked, answer in earlier:
        told += [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
    told.append({"role": "user", "content": question})
    told[0]["content"] = [part, {"type": "text", "text": told[0]["content"]}]
    return told


def _hang_up(connection: socket.socket, gone: threading.Event, ended: threading.Event) -> None:
    """End a connection when nobody waits for it any more; whoever reads from it finds its end."""
    while not ended.wait(0.1):
        if gone.is_set():
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            return


def _quoted(name: str) -> str:
    """A file's name as it may stand in a form."""
    return "".join(c if c.isprintable() and c not in '"\\' else "_" for c in name)


def answer_of(completion: dict[str, Any], *, path: str) -> Answer:
    """The answer of a completion that was asked for with ``tempo: {segments: true}``.

    Args:
        path: of the video, as the user calls it; the server has another name for it.

    Raises:
        TempoError: the server sent none, so it is no `tempo serve`.
    """
    try:
        values = completion["tempo"]
        video = values["video"] | {
            "path": path,
            "lost": tuple(LostSpan(**span) for span in values["video"]["lost"]),
            "remarks": tuple(values["video"]["remarks"]),
        }
        return Answer(
            text=values["answer"],
            token_ids=values["token_ids"],
            segments=[AnswerSegment(index=n, **one) for n, one in enumerate(values["segments"])],
            usage=Usage(**{field.name: values[field.name] for field in dataclasses.fields(Usage)}),
            finished=values["finished"],
            budget=values["budget"],
            model=values["model"],
            video=VideoInfo(**video),
            relevance_floor=values["relevance_floor"],
            warnings=tuple(values["warnings"]),
            question=values["question"],
        )
    except (KeyError, TypeError) as error:
        raise TempoError(f"the server sends no segments ({error}); is it a tempo server?") from error
