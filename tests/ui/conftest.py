"""A page that is being served, and a real browser to visit it with."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import clips

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# Nothing that Chromium does by itself may reach for a network.
SWITCHES = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
WAIT = 240_000  # milliseconds; the machine may be busy


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty-four seconds in six segments, H.264, as a visitor would upload it."""
    path = tmp_path_factory.mktemp("film") / "my film.mp4"
    return clips.write(path, count=24 * 8, rate=8, size=(160, 96), options={"g": "8"})


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A browser for all tests of a module; skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the tests of the page need Playwright")
    if CHROMIUM is None:
        pytest.skip("the tests of the page need Chromium: apt-get install chromium")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def nano() -> Any:
    """The embedded model: it is quick, whatever it answers."""
    import tempo
    from tempo.inference.engine import EMBEDDED

    if not (EMBEDDED / "config.json").is_file():
        pytest.skip("no embedded model yet")
    return tempo.load()


@pytest.fixture(scope="module")
def serve(nano: Any) -> Iterator[Callable[..., Any]]:
    """Serve a page from this process with some settings; closed at the end of the module's tests."""
    from tempo.ui.server import Server, ServerConfig

    servers: list[Any] = []

    def start(**settings: Any) -> Any:
        servers.append(Server(nano, ServerConfig(**settings)))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


class Visitor:
    """A browser's page, and what it asked for and complained of."""

    def __init__(self, browser: Any, url: str, **context: Any) -> None:
        self.context = browser.new_context(**({"viewport": {"width": 1280, "height": 800}} | context))
        self.page = self.context.new_page()
        self.page.set_default_timeout(WAIT)
        self.asked_for: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.asked_for.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on(
            "console",
            lambda said: said.type == "error" and self.complaints.append(f"{said.text} {said.location}"),
        )
        self.page.goto(url)
        self.page.wait_for_selector("#file, #tabs li", state="attached")

    def upload(self, path: Path) -> None:
        self.page.set_input_files("#file", path)

    def open(self, path: Path) -> None:
        """Upload a film and wait until it was watched."""
        self.upload(path)
        self.wait_until_ready(path.name)

    def wait_until_ready(self, title: str) -> None:
        self.page.wait_for_selector(f"#tabs li:has-text('{title}'):is(.ready, .failed)")
        assert self.page.locator(".failure").all_inner_texts() == []

    def ask(self, question: str) -> None:
        """Ask and wait for the whole answer."""
        count = self.page.locator(".turn").count()
        self.page.fill("#question", question)
        self.page.press("#question", "Enter")
        self.page.locator(".turn").nth(count).locator(".actions").wait_for()

    def opened(self, server: Any) -> Any:
        """The server's side of the video that the visitor sees."""
        identity = self.page.get_attribute("#player", "data-video")
        sessions = server.actions.sessions._sessions.values()
        return next(one.videos[identity] for one in sessions if identity in one.videos)

    @property
    def answers(self) -> list[str]:
        return self.page.locator(".turn .answer > .text").all_inner_texts()

    @property
    def time(self) -> float:
        """Where the player stands."""
        return self.page.evaluate("document.querySelector('#player video').currentTime")

    def wait_for_time(self, seconds: float) -> None:
        self.page.wait_for_function(
            "t => Math.abs(document.querySelector('#player video').currentTime - t) < 0.1", arg=seconds
        )

    def strip(self, seconds: float, *, of: float) -> tuple[float, float]:
        """Where a time stands on the film strip of a video of so many seconds, in pixels of the page."""
        surface = self.page.locator("#strip .surface")
        surface.hover(trial=True)  # waits until it moves no more
        box = surface.bounding_box()
        return box["x"] + box["width"] * seconds / of, box["y"] + box["height"] / 2


@contextmanager
def _visitors(chromium: Any) -> Iterator[Callable[..., Visitor]]:
    visitors: list[Visitor] = []

    def go(url: str, **context: Any) -> Visitor:
        visitors.append(Visitor(chromium, url, **context))
        return visitors[-1]

    yield go
    for visitor in visitors:
        visitor.context.close()


@pytest.fixture
def visit(chromium: Any) -> Iterator[Callable[..., Visitor]]:
    """Open a page as a visitor of its own, who leaves after the test."""
    with _visitors(chromium) as go:
        yield go


@pytest.fixture(scope="module")
def visitor(chromium: Any) -> Iterator[Callable[..., Visitor]]:
    """The same, for a visitor who stays for all tests of a module."""
    with _visitors(chromium) as go:
        yield go
