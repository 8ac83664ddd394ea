"""What the two models read around the video, as token ids.

What the two models read is put together from token ids, never from one string with markers in it, so nothing
that a user types can become a special token, a placeholder or a chat turn. Ordinary text gets exactly the ids
of the published one-string tokenisation: added tokens split a text before it is tokenised, so the pieces
between them can be encoded one by one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from tempo.errors import TempoError
from tempo.storage.model_files import check_file, first_line
from tempo.text_safety import whole_text

Spans = tuple[tuple[int, int], ...]
"""Where the visual tokens of each frame pair stand in a prompt: [start, end)."""

# How the chat format spells itself; the same in every Qwen tokenizer.
_SPECIALS = (
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|video_pad|>",
    "<|image_pad|>",
)


@dataclass(frozen=True, kw_only=True)
class Wording:
    """The sentences around the video, the published ones unless a checkpoint brings its own."""

    compressor_system: str = (
        "You are a query-conditioned visual compressor. "
        "Store in the provided memory tokens the minimal visual information needed to answer the Query. "
        "Ignore irrelevant details. "
        "Now, before compressing, answer exactly 'Yes' or 'No': is this segment relevant to the Query?"
    )
    query: str = "\nQuery:\n"
    decoder_system: str = "You are a helpful assistant."
    earlier_turn: str = "Context turn {number}: {question}"

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Wording:
        """Read from a checkpoint's configuration; an unknown field is an error that names it."""
        if unknown := set(values) - {field.name for field in fields(cls)}:
            raise TempoError(f"config.json: prompts has no field {min(unknown)!r}")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class TextEncoder:
    """A tokenizer file, reduced to what is needed of it. Encoding text never yields a special token."""

    def __init__(self, tokenizer: Tokenizer, path: Path) -> None:
        self.tokenizer = tokenizer
        self.path = path
        missing = [name for name in _SPECIALS if tokenizer.token_to_id(name) is None]
        if missing:
            raise TempoError(
                f"{path}: the tokenizer has no {missing[0]} token; it is not a Qwen-VL tokenizer"
            )
        # Added tokens that look like markup (<think>, <tool_call>) count as special, whatever the file says.
        markers = [
            token.content
            for token in tokenizer.get_added_tokens_decoder().values()
            if len(token.content) > 1 and (token.special or re.fullmatch(r"<.*>", token.content, re.DOTALL))
        ]
        self._marker = re.compile("|".join(re.escape(m) for m in sorted(markers, key=len, reverse=True)))

    @classmethod
    def from_folder(cls, folder: Path) -> TextEncoder:
        """Read `tokenizer.json`.

        Raises:
            TempoError: the file is missing or damaged.
        """
        path = folder / "tokenizer.json"
        if not path.exists() and not path.is_symlink():
            raise TempoError(f"{folder}: there is no tokenizer.json; add the one that belongs to the model")
        check_file(path)
        try:
            return cls(Tokenizer.from_file(str(path)), path)
        except TempoError:
            raise
        except Exception as error:
            raise TempoError(f"{path}: not a valid tokenizer file ({first_line(error)})") from error

    @property
    def largest_id(self) -> int:
        """The largest id that a text can be encoded to."""
        added = self.tokenizer.get_added_tokens_decoder()
        return max(self.tokenizer.get_vocab_size(with_added_tokens=False) - 1, *added)

    def id(self, token: str) -> int:
        """The id of one token by its exact name."""
        found = self.tokenizer.token_to_id(token)
        if found is None:
            raise TempoError(f"{self.path}: the tokenizer has no token {token!r}")
        return found

    def text(self, text: str) -> list[int]:
        """Ids of a text that somebody wrote: `<|im_end|>` in it stays ten characters.

        The text is cut inside every marker, so that the tokenizer never meets a whole one.
        """
        text = whole_text(text)  # from a terminal, or of a file name
        cuts, found = [0], self._marker.search(text)
        while found is not None:
            cuts.append(found.start() + 1)
            found = self._marker.search(text, found.start() + 1)
        pieces = [text[start:end] for start, end in zip(cuts, [*cuts[1:], len(text)], strict=True)]
        return [i for piece in pieces for i in self.tokenizer.encode(piece, add_special_tokens=False).ids]

    def bytes_of_tokens(self) -> dict[bytes, list[int]]:
        """The ids of every token that is text, by its bytes; special tokens are left out.

        Byte-level vocabularies spell each byte as a character: the printable ones of Latin-1 as they are, and
        the others, in order, from U+0100 on.
        """
        printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
        others = [byte for byte in range(256) if byte not in printable]
        spelled = {chr(byte): byte for byte in printable}
        spelled |= {chr(0x100 + number): byte for number, byte in enumerate(others)}
        added = self.tokenizer.get_added_tokens_decoder()
        found: dict[bytes, list[int]] = {}
        for token, number in self.tokenizer.get_vocab(with_added_tokens=False).items():
            if number not in added and all(character in spelled for character in token):
                found.setdefault(bytes(spelled[character] for character in token), []).append(number)
        return found

    def decode(self, ids: Sequence[int]) -> str:
        """Text of generated ids, special tokens left out."""
        return self.tokenizer.decode(list(ids), skip_special_tokens=True)


@dataclass(frozen=True)
class SegmentPrompt:
    """What the compressor reads of one segment before any question."""

    ids: list[int]
    spans: Spans

    @property
    def layout(self) -> tuple[int, Spans]:
        """Prompts of equal layout can go through the model in one batch with no padding."""
        return len(self.ids), self.spans


class Prompts:
    """Token ids of everything that the compressor and the decoder read."""

    def __init__(self, wording: Wording, *, compressor: TextEncoder, decoder: TextEncoder) -> None:
        self.wording = wording
        self.compressor = compressor
        self.decoder = decoder

    def segment(self, times: Sequence[float], *, tokens: int, kind: str = "video") -> SegmentPrompt:
        """System prompt, then every frame pair with its time tag, up to the last <|vision_end|>.

        Args:
            times: seconds from the start of the video, one for each frame pair; not read for an image.
            tokens: visual tokens of one frame pair.
        """
        encoder = self.compressor
        start, end = encoder.id("<|vision_start|>"), encoder.id("<|vision_end|>")
        pad = encoder.id("<|image_pad|>" if kind == "image" else "<|video_pad|>")
        ids = [*_turn(encoder, "system", self.wording.compressor_system), *_open_turn(encoder, "user")]
        spans = []
        for time in times:
            if kind != "image":
                # Encoded by itself: its "<" never joins the line break before the first one.
                ids += encoder.text(time_tag(time))
            ids.append(start)
            spans.append((len(ids), len(ids) + tokens))
            ids += [pad] * tokens
            ids.append(end)
        return SegmentPrompt(ids, tuple(spans))

    def question(self, question: str, *, earlier: Sequence[str] = ()) -> list[int]:
        """What follows the segment in the compressor: the query and the opening of the answer.

        Args:
            earlier: the questions asked before in the same conversation, oldest first.
        """
        if earlier:
            turns = [*earlier, question]
            lines = [
                self.wording.earlier_turn.format(number=n, question=q) for n, q in enumerate(turns, start=1)
            ]
            question = "\n".join(lines)
        encoder = self.compressor
        return [
            *encoder.text(self.wording.query + question),
            encoder.id("<|im_end|>"),
            *encoder.text("\n"),
            *_open_turn(encoder, "assistant"),
        ]

    def timestamp(self, seconds: float) -> list[int]:
        """What stands before a segment's memory tokens in the storyline."""
        return self.decoder.text(time_tag(seconds))

    def decoder_prompt(
        self, question: str, *, earlier: Sequence[tuple[str, str]] = ()
    ) -> tuple[list[int], list[int]]:
        """The decoder's prompt (before the video, after the video), up to the opening of the answer.

        Args:
            earlier: the (question, answer) pairs of the conversation so far, oldest first. The video stands
                in the first turn.
        """
        encoder = self.decoder
        before = [*_turn(encoder, "system", self.wording.decoder_system), *_open_turn(encoder, "user")]
        questions = [*(q for q, _ in earlier), question]
        after = encoder.text("\n" + questions[0])
        for (_, answer), following in zip(earlier, questions[1:], strict=True):
            after += _close_turn(encoder)
            after += [*_turn(encoder, "assistant", answer), *_open_turn(encoder, "user", following)]
        return before, [*after, *_close_turn(encoder), *_open_turn(encoder, "assistant")]

    @property
    def end_of_answer(self) -> int:
        return self.decoder.id("<|im_end|>")


def time_tag(seconds: float) -> str:
    """`<3.5 seconds>`: both models read times in this form."""
    return f"<{seconds:.1f} seconds>"


def _open_turn(encoder: TextEncoder, role: str, text: str = "") -> list[int]:
    return [encoder.id("<|im_start|>"), *encoder.text(f"{role}\n{text}")]


def _close_turn(encoder: TextEncoder) -> list[int]:
    return [encoder.id("<|im_end|>"), *encoder.text("\n")]


def _turn(encoder: TextEncoder, role: str, text: str) -> list[int]:
    return [*_open_turn(encoder, role, text), *_close_turn(encoder)]
