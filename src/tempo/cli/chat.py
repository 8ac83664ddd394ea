"""Hold a conversation about a video: watch it once, then answer follow-up questions.

Answers stream as they are generated; times in them appear as mm:ss. Type questions at the terminal, or pipe
them in, one per line. Ctrl-C stops an answer; Ctrl-D or /quit ends the conversation.

  /budget [N]     set the memory tokens of the next answers; without N, show them
  /moments [N]    list the N strongest moments of the last answer, and chart its allocation
  /save FILE      save the last answer as FILE.html (a report), .png, .svg, .srt, .txt or .json
  /clear          start a new conversation about the same video
  /help           list these commands
  /quit           end the conversation

Examples:
  tempo synthetic make films
  tempo chat films/0-000.mp4
  tempo chat films/0-000.mp4 --budget 256 --cache disk
  tempo chat films/0-000.mp4 --keep-turns 4   # limit the history that questions see
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
    add_cluster_option,
    add_model_options,
    add_watch_options,
    integer_from_zero,
    positive_integer,
)

if TYPE_CHECKING:
    from tempo.console import Output
    from tempo.inference.results import Answer
    from tempo.inference.session import Conversation

PROMPT = "> "


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("video", metavar="VIDEO", help="the video to watch")
    add_model_options(parser, several_devices=True)
    add_cluster_option(parser)
    add_watch_options(parser)
    add_answer_options(parser)
    group = parser.add_argument_group("conversation")
    group.add_argument(
        "--keep-turns",
        type=integer_from_zero,
        metavar="N",
        help="turns of history that a question sees (default: all, until they fill the model's context)",
    )


def run(args: argparse.Namespace) -> int:
    """Watch, then answer until the input ends."""
    from .model_loading import answer_options, open_video, watched

    with watched(args, open_video(args.video), several=True) as session:
        pass  # the progress bar is for watching only
    conversation = session.conversation(keep_turns=args.keep_turns)
    interactive = sys.stdin.isatty() and sys.stdout.isatty()
    chat = _Chat(conversation, answer_options(args), interactive=interactive)
    for line in _lines(chat):
        chat.handle(line)
        if chat.ended:
            break
    return 1 if chat.failures and not chat.interactive else 0


def _lines(chat: _Chat) -> Iterator[str]:
    """The lines that the user types or pipes in."""
    if not chat.interactive:
        for line in sys.stdin:
            yield line.rstrip("\n")
        return
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401 - gives input() its line editing and history
    chat.greet()
    while True:
        try:
            yield input(PROMPT)
        except EOFError:
            print()
            return


class _Chat:
    """A conversation and the commands that steer it.

    Attributes:
        interactive: whether it runs at a terminal, where Ctrl-C stops the answer and not the program.
        failures: lines that could not be answered.
        ended: whether the user gave /quit.
    """

    def __init__(self, conversation: Conversation, options: dict[str, Any], *, interactive: bool) -> None:
        from tempo.console import Output

        self.interactive = interactive
        self.failures = 0
        self.ended = False
        self._conversation = conversation
        self._options = options
        self._last: Answer | None = None
        self._console: Output = Output()
        self._commands: dict[str, Callable[[str], None]] = {
            "/budget": self._budget,
            "/moments": self._moments,
            "/save": self._save,
            "/clear": self._clear,
            "/help": self._help,
            "/quit": self._quit,
        }

    def handle(self, line: str) -> None:
        """Answer a question or run a command. Errors are printed, and the conversation continues."""
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
            say(f"{error}: give /clear, or start with --keep-turns N to limit the history")
        except TempoError as error:
            self.failures += 1
            say(str(error))

    def greet(self) -> None:
        """Print the greeting of an interactive conversation."""
        from tempo.console import FAINT
        from tempo.formatting import clock

        video = self._conversation.session.video
        greeting = f"Watched {clock(video.duration)} of video. Ask a question, or type /help."
        self._console.print(greeting, style=FAINT, soft_wrap=True)

    def _answer(self, question: str) -> None:
        """Stream the answer to a question."""
        from tempo.console import progress_bar
        from tempo.formatting import printable
        from tempo.inference.timestamps import ClockTimes

        stream = self._conversation.stream(question, **self._options)
        times = ClockTimes()
        written = False
        try:
            with progress_bar("answering"):
                piece = next(stream, None)
            while piece is not None:
                shown = times.add(piece)
                # Leading blanks would look like an empty answer.
                if shown := shown if written else shown.lstrip():
                    written = True
                    self._write(printable(shown))
                piece = next(stream, None)
            rest = times.close()
            self._write(printable(rest if written else rest.lstrip() or "(no answer)"))
        except KeyboardInterrupt:
            stream.close()
            self._write("\n")
            if not self.interactive:
                raise
            return
        except BaseException:
            if written:
                self._write("\n")
            raise
        answer = stream.answer
        self._write("\n" if answer.finished else " … (cut off: raise --max-new-tokens)\n")
        self._last = answer

    def _write(self, text: str) -> None:
        self._console.file.write(text)
        self._console.file.flush()

    def _command(self, line: str) -> None:
        from tempo.errors import UsageError

        name, _, rest = line.partition(" ")
        if name not in self._commands:
            raise UsageError(f"unknown command {name}; choose from {', '.join(self._commands)}")
        self._commands[name](rest.strip())

    def _budget(self, text: str) -> None:
        if text:
            self._options["budget"] = _number("/budget", text)
        budget = self._options.get("budget") or self._conversation.session.engine.config.visual_token_budget
        self._console.print(f"budget {budget} tokens")

    def _moments(self, text: str) -> None:
        from tempo.moments import COUNT

        from .render import chart, indented, moments

        answer = self._last_answer()
        count = _number("/moments", text) if text else COUNT
        floor = answer.relevance_floor
        for block in (
            chart(answer.segments, floor=floor),
            moments(answer.segments, count=count, floor=floor),
        ):
            self._console.print(indented(block), soft_wrap=True)

    def _save(self, text: str) -> None:
        from tempo.errors import UsageError

        if not text:
            raise UsageError("/save needs a file name, for example: /save answer.html")
        self._last_answer().save(text, video=self._conversation.session.video)
        self._console.print(text, soft_wrap=True, markup=False)

    def _clear(self, _: str) -> None:
        self._conversation.clear()
        self._console.print("started a new conversation")

    def _help(self, _: str) -> None:
        commands = (__doc__ or "").split("\n\n")[2]
        self._console.print(commands, soft_wrap=True, markup=False)

    def _quit(self, _: str) -> None:
        self.ended = True

    def _last_answer(self) -> Answer:
        from tempo.errors import TempoError

        if self._last is None:
            raise TempoError("there is no answer yet; ask a question first")
        return self._last


def _number(name: str, text: str) -> int:
    from tempo.errors import UsageError

    try:
        return positive_integer(text)
    except argparse.ArgumentTypeError as error:
        raise UsageError(f"{name} {error}") from None
