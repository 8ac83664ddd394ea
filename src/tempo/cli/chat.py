"""Talk about a video: it is watched once, and every question sees the earlier ones.

Answers appear as they are written; times in them are shown as mm:ss. Questions are read from the terminal or,
one a line, from whatever is piped in. Ctrl-C stops an answer; Ctrl-D or /quit ends the conversation.

  /budget [N]     memory tokens for the next answers; without N: what they are
  /moments [N]    the N strongest moments of the last answer, and its allocation over time
  /plot FILE      draw the last answer's allocation as FILE.png, .svg or .html
  /clear          forget the questions and answers so far; the video stays watched
  /help           this list
  /quit           the end

Examples:
  tempo synthetic make films
  tempo chat films/0-000.mp4
  tempo chat films/0-000.mp4 --budget 256 --cache disk
  tempo chat films/0-000.mp4 --keep-turns 4   # of a long talk
  tempo chat holiday.mp4 --model Vision-CAIR/Tempo-6B < questions.txt
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from .options import (
    add_answer_options,
    add_model_options,
    add_watch_options,
    given,
    integer_from_zero,
    positive_integer,
)

if TYPE_CHECKING:
    from tempo.console import Output
    from tempo.inference.results import Answer
    from tempo.inference.session import Conversation

PROMPT = "> "


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare VIDEO and the shared options."""
    parser.add_argument("video", metavar="VIDEO", help="what to watch")
    add_model_options(parser)
    add_watch_options(parser)
    add_answer_options(parser)
    group = parser.add_argument_group("conversation")
    group.add_argument(
        "--keep-turns",
        type=integer_from_zero,
        metavar="N",
        help="latest questions, with their answers, that a new one is read with (default: all of them, until "
        "they fill the model's context)",
    )


def run(args: argparse.Namespace) -> int:
    """Watch, then answer until there is nothing more to read."""
    from tempo.console import counting

    from .answer_report import tell_losses, tell_unfamiliar
    from .model_loading import (
        WATCH_OPTIONS,
        answer_options,
        load_model,
        open_video,
        remark_on_watching,
    )

    remark_on_watching(args)
    video = open_video(args.video)
    with counting("watching", "frames", before="loading") as progress:
        model = load_model(args)
        tell_unfamiliar(model, video)
        sampling = given(args, *WATCH_OPTIONS)
        session = model.watch(video, cache=args.cache, several=True, progress=progress, **sampling)
    tell_losses(session.video_info)
    talk = _Talk(
        session.conversation(keep_turns=args.keep_turns), answer_options(args), asked_by_hand=_by_hand()
    )
    for line in _lines(talk):
        talk.hear(line)
        if talk.over:
            break
    return 1 if talk.failures and not talk.asked_by_hand else 0


def _by_hand() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _lines(talk: _Talk) -> Iterator[str]:
    """What is typed, or piped in, line by line."""
    if not talk.asked_by_hand:
        for line in sys.stdin:
            yield line.rstrip("\n")
        return
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401 - gives input() its line editing and history
    talk.say_how()
    while True:
        try:
            yield input(PROMPT)
        except EOFError:
            print()
            return


class _Talk:
    """A conversation, and what its commands need.

    Attributes:
        asked_by_hand: at a terminal; an interrupted answer then does not end everything.
        failures: how many lines could not be answered.
        over: whether /quit was said.
    """

    def __init__(self, conversation: Conversation, options: dict[str, Any], *, asked_by_hand: bool) -> None:
        from tempo.console import Output

        self.asked_by_hand = asked_by_hand
        self.failures = 0
        self.over = False
        self._conversation = conversation
        self._options = options
        self._last: tuple[str, Answer] | None = None
        self._console: Output = Output()
        self._commands: dict[str, Callable[[str], None]] = {
            "/budget": self._budget,
            "/moments": self._moments,
            "/plot": self._plot,
            "/clear": self._clear,
            "/help": self._help,
            "/quit": self._quit,
        }

    def hear(self, line: str) -> None:
        """Answer a question or do what a command says. What is wrong is told, and the talk goes on."""
        from tempo.console import say
        from tempo.errors import ConversationFullError, TempoError

        line = line.strip()
        if not line:
            return
        try:
            if line.startswith("/"):
                self._command(line)
            else:
                self._answer(line)
        except ConversationFullError as error:
            self.failures += 1
            say(f"{error}: /clear begins anew, and --keep-turns N forgets the oldest turns by itself")
        except TempoError as error:
            self.failures += 1
            say(str(error))

    def say_how(self) -> None:
        """Greet somebody at a terminal."""
        from tempo.console import FAINT
        from tempo.formatting import clock

        video = self._conversation.session.video
        greeting = f"{clock(video.duration)} watched. Ask, or say /help."
        self._console.print(greeting, style=FAINT, soft_wrap=True)

    def _answer(self, question: str) -> None:
        from tempo.console import counting
        from tempo.formatting import printable
        from tempo.inference.timestamps import ClockTimes

        stream = self._conversation.stream(question, **self._options)
        times = ClockTimes()
        written = False
        try:
            with counting("looking"):
                piece = next(stream, None)
            while piece is not None:
                shown = times.add(piece)
                # Blanks before the first word would look like an answer that says nothing.
                if shown := shown if written else shown.lstrip():
                    written = True
                    self._write(printable(shown))
                piece = next(stream, None)
            rest = times.close()
            self._write(printable(rest if written else rest.lstrip() or "(no answer)"))
        except KeyboardInterrupt:
            stream.close()
            self._write("\n")
            if not self.asked_by_hand:
                raise
            return
        except BaseException:
            if written:
                self._write("\n")
            raise
        answer = stream.answer
        self._write("\n" if answer.finished else " … (cut off: raise --max-new-tokens)\n")
        self._last = question, answer

    def _write(self, text: str) -> None:
        self._console.file.write(text)
        self._console.file.flush()

    def _command(self, line: str) -> None:
        from tempo.errors import UsageError

        name, _, rest = line.partition(" ")
        if name not in self._commands:
            raise UsageError(f"there is no {name}; there are {', '.join(self._commands)}")
        self._commands[name](rest.strip())

    def _budget(self, text: str) -> None:
        if text:
            self._options["budget"] = _number("/budget", text)
        budget = self._options.get("budget") or self._conversation.session.engine.config.visual_token_budget
        self._console.print(f"budget {budget} tokens")

    def _moments(self, text: str) -> None:
        from tempo.inference.moments import COUNT

        from .render import chart, indented, moments

        _, answer = self._last_answer()
        count = _number("/moments", text) if text else COUNT
        floor = answer.relevance_floor
        for block in (
            chart(answer.segments, floor=floor),
            moments(answer.segments, count=count, floor=floor),
        ):
            self._console.print(indented(block), soft_wrap=True)

    def _plot(self, text: str) -> None:
        from tempo.errors import UsageError
        from tempo.reporting.plot import check_path, plot, save

        if not text:
            raise UsageError("/plot needs a file, as in: /plot answer.png")
        question, answer = self._last_answer()
        path = check_path(text)
        save(plot(answer, self._conversation.session.video, question=question), path)
        self._console.print(str(path), soft_wrap=True, markup=False)

    def _clear(self, _: str) -> None:
        self._conversation.clear()
        self._console.print("a new conversation")

    def _help(self, _: str) -> None:
        commands = (__doc__ or "").split("\n\n")[2]
        self._console.print(commands, soft_wrap=True, markup=False)

    def _quit(self, _: str) -> None:
        self.over = True

    def _last_answer(self) -> tuple[str, Answer]:
        from tempo.errors import TempoError

        if self._last is None:
            raise TempoError("there is no answer yet; ask something first")
        return self._last


def _number(name: str, text: str) -> int:
    from tempo.errors import UsageError

    try:
        return positive_integer(text)
    except argparse.ArgumentTypeError as error:
        raise UsageError(f"{name} {error}") from None
