"""The page as far as its server can tell: a client of its API, for tests and for `tests/soak.py`."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx


class Client:
    """A visitor without a browser. Leaving the `with` block leaves the page."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=600)
        self.key: str = self.http.post("/ui/api/sessions").json()["key"]
        self.base = f"/ui/api/sessions/{self.key}"

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.http.post(f"{self.base}/leave")
        self.http.close()

    def upload(self, path: Path) -> str:
        sent = self.http.post(f"{self.base}/uploads", params={"name": path.name}, content=path.read_bytes())
        sent.raise_for_status()
        return sent.json()["upload"]

    def get(self, path: str) -> httpx.Response:
        return self.http.get(f"{self.base}/{path}").raise_for_status()

    def post(self, path: str, body: dict[str, Any]) -> Any:
        return self.http.post(f"{self.base}/{path}", json=body).raise_for_status().json()

    def events(self, path: str, body: dict[str, Any]) -> list[tuple[str, Any]]:
        """All events of an action, as (name, data)."""
        return _events(self.http.post(f"{self.base}/{path}", json=body).raise_for_status())

    def last(self, path: str, body: dict[str, Any]) -> Any:
        """The data of the last event, which must be no error."""
        name, data = self.events(path, body)[-1]
        assert name != "error", data
        return data

    def error(self, path: str, body: dict[str, Any]) -> str:
        """What is wrong with a request, whether it is refused at once or fails later."""
        found = self.http.post(f"{self.base}/{path}", json=body)
        if found.status_code != 200:
            return found.json()["error"]["message"]
        name, data = _events(found)[-1]
        assert name == "error", data
        return data["error"]["message"]

    def open(self, **what: Any) -> Any:
        return self.last("videos", what)

    def ask(self, video: dict[str, Any], question: str, **options: Any) -> Any:
        return self.last(f"videos/{video['id']}/turns", {"question": question, **options})["turn"]

    def answer(self, video: dict[str, Any], number: int, **variant: Any) -> Any:
        return self.last(f"videos/{video['id']}/turns/{number}/answers", variant)["turn"]


def _events(found: httpx.Response) -> list[tuple[str, Any]]:
    blocks = [block.split("\n") for block in found.text.split("\n\n") if block.startswith("event: ")]
    return [(name.split(": ", 1)[1], json.loads(data.split(": ", 1)[1])) for name, data in blocks]
