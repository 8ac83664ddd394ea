"""Extract the option letter from a free-form answer, in the languages that models answer in.

The first rule that finds a letter decides: a slot (`<answer>B</answer>`, a LaTeX box), an announcement ("the
answer is B", "答案是B"), the very beginning ("B. red", "B because …"), or a single letter in the place of an
answer ("I think B"). An answer that names two letters ("B or C", "(A) red (B) blue") gives none.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass

# A letter stands alone between these. Only Latin letters and digits are compared, since other scripts are
# written without blanks ("选B"). The full stop and the hyphen keep out "U.S.A." and "B-roll".
_BEFORE = r"(?<![A-Za-z\u00c0-\u024f0-9'’.&+-])"
_AFTER = r"(?![A-Za-z\u00c0-\u024f0-9&+#]|['’][A-Za-z]|-[A-Za-z0-9]|\.[A-Za-z](?![A-Za-z]))"
_OPENING, _CLOSING = "[(\\[{\"'“‘「『«<]{0,4}", "[)\\]}\"'”’」』»>]{0,4}"
_NAMED = (
    r"(?:the |la |las |el |die |das |der |den )?"
    r"(?:(?:option|choice|letter|variante?|opción|letra|alternativa) )?"
)

_SLOT = re.compile(r"<answer>(.*?)(?:</answer>|$)|\\boxed\{([^{}]*)\}", re.DOTALL | re.IGNORECASE)
_DRESSED = re.compile(r"\\(?:text|textbf|mathbf|mathrm|mathbb|rm|bf)\s*\{([^{}]*)\}")

# What announces an answer. A letter, or several, follow behind a verb or a colon, or directly.
_IS = (
    r"(?:\s*(?:(?:is|would be|should be|must be|will be|was|are|ist|wäre|lautet|sind|es|sería|son)\b|"
    r"應該是|应该是|应为|是|为|هي|هو|ستكون))?(?: therefore| thus| clearly| likely| probably| most likely)?"
)
_ANNOUNCED = re.compile(
    r"(?:"
    r"\b(?:answer|antwort|lösung|respuesta|solución|solution|result|conclusion)(?: here| choice| option)?"
    r"(?: to (?:the|this) question)?(?: correcta| final| is indeed)?"
    r"|\b(?:(?:correct|right|best|final|chosen|richtige|correcta) (?:one|option|choice|letter|wahl|variante?|"
    r"opción|alternativa)|opción correcta|alternativa correcta|my (?:choice|pick|selection|guess)|meine wahl|"
    r"mi elección|(?:la|el|lo) correct[ao]|correct|richtig|correcta)(?=\s*(?:is|would|ist|wäre|es|sería|:))"
    r"|\b(?:it|that|this)(?=(?:['’]s| is| must be| would be| should be))(?:['’]s)?"
    r"|答案(?:选项|應該|应该)?|答(?=\s*[:：是])|正确(?:的)?(?:选项|答案)?(?=\s*[:：是为])|选项(?=\s*[:：是为])"
    r"|(?:الإجابة|الاجابة|الجواب|الإجابه|الخيار|الاختيار|الحل)(?:\s+(?:الصحيحة|الصحيح|النهائية|الصحيحه))?"
    r")" + _IS + r"\s*[:：=–—-]*\s*",
    re.IGNORECASE,
)
# Words in front of a letter that is meant as an answer, though less surely.
_HINTED = re.compile(
    r"(?:\b(?:options?|choices?|letter|choose|chose|pick|select|go(?:ing)? (?:with|for)|settle (?:on|for)|"
    r"say|guess|think|believe|vote for|lean towards?|definitely|probably|likely|clearly|certainly|maybe|"
    r"perhaps|possibly|so|thus|hence|therefore|but|rather|ist|wäre|nehme|wähle|tippe auf|für|also|antwort|"
    r"variante|sondern|es|sería|seria|opción|letra|alternativa|elijo|escojo|selecciono|elegiría|escogería|"
    r"creo que|quedo con|marco|sino)|选择|选|應選|应选|故选|是|为|选项|"
    r"أختار|اختار|أختر|الخيار|الاختيار|الحرف|إنها|إنه|هي|هو|بل|→|->|=>|⇒|:|：)"
    r"\s*(?:is\s+)?(?:the |la |el |die |option |choice |letter |opción |letra |mit )*$",
    re.IGNORECASE,
)
# Words behind a letter that make it the answer.
_CONFIRMED = re.compile(
    r"\s*(?:(?:is|was|would be|seems|looks|must be|ist|wäre|es|sería|是|为|هي|هو)\s*"
    r"(?:the |la |el |die |das |也|就)?(?:most |more )?(?:likely |probably |clearly |indeed )?"
    r"(?:correct|right|answer|best|true|one|my (?:answer|choice)|richtig|korrekt|correct[ao]|respuesta|"
    r"opción|正确|对的|答案|正解|الإجابة|الاجابة|الجواب|الصحيح|صحيح|الخيار)"
    r"|选项|項|项|正确|wählen\b|nehmen\b|for sure)",
    re.IGNORECASE,
)
_NEGATED_BEFORE = re.compile(
    r"(?:\b(?:not|neither|nor|never|than|instead of|except|without|isn['’]t|nicht|weder|noch|keine?|statt|no|"
    r"no es|ni|excepto)|不是|并非|而非|不选|不为|排除|ليس|ليست|لا)"
    r"[ \t]*(?:the |la |el |die |option |choice |letter |opción |letra )*$",
    re.IGNORECASE,
)
_NEGATED_BEHIND = re.compile(
    r"[ \t]*(?:(?:is|are|was|seems|ist|es|está|是|هي|هو)?[ \t]*(?:clearly |obviously |also )?"
    r"(?:not\b|incorrect|wrong|false|excluded|ruled out|out\b|nicht\b|falsch|incorrect[ao]|fals[ao]|"
    r"不|错|錯|خطأ|خاطئ|ليس|غير)|isn['’]t|doesn['’]t|can(?:not|['’]t)|no (?:es|puede)\b|kann nicht|"
    r"scheidet aus|does not|shows? no)",
    re.IGNORECASE,
)
# Behind these only reasons follow, and reasons may name other letters.
_REASONS = re.compile(
    r"[,;.\s]*(?:\b(?:because|since|as|due to|given|for|while|whereas|explanation|reason(?:ing)?|rationale|"
    r"weil|da|denn|wegen|begründung|porque|ya que|pues|dado|puesto que|debido|explicación|razón)\b|"
    r"因为|因為|由于|理由|解释|解析|原因|لأن|لان|بسبب|حيث|التفسير|الشرح)",
    re.IGNORECASE,
)
_LISTED = (
    r"\s*(?:,|/|\||&|、|，|;|\b(?:or|and|to|oder|und|bis|o|u|y|e)\b|或者?|和|与|及|أو|او|و)+\s*"
    r"(?:maybe |perhaps |possibly |even |also )?"
)
# What takes back an earlier letter, and what comes before the one that a text ends with.
_TAKES_BACK = re.compile(r"\b(?:no|wait|actually|sorry|correction|nein|doch|perdón)[,.:;—-]*\s*$", re.I)
_COMES_TO = r"(?i:(?:\b(?:so|thus|hence|therefore|also|entonces)\b|所以|因此)[,，:]?)\s*"
_ENDING = r"[\s.。!]*$"

# The only letter that is a word too. Behind an article stands a noun or what describes it, and none of these.
_NO_NOUN = re.compile(
    r"(?:is|isn['’]t|was|wasn['’]t|are|were|be|because|since|as|for|while|whereas|would|will|could|should|can|"
    r"may|might|must|has|had|does|did|do|seems?|appears|looks|matches|fits|shows|describes|says|states|means|"
    r"and|or|but|not|nor|so|if|when|which|that|who|by|from|in|on|at|of|with|without|to|it|its|the|this|these|"
    r"there|he|she|they|we|i|you|due|given|based|therefore|thus|hence|than|then|also|"
    r"ist|war|wäre|weil|da|denn|und|oder|wird|passt|stimmt|zeigt|trifft|aber|nicht|sondern|"
    r"es|era|sería|porque|pues|ya|dado|que|y|o|pero|no|parece|muestra)(?![\w'’])",
    re.IGNORECASE,
)
_NEAR = 80  # characters in front of a letter that are looked at


@dataclass(frozen=True)
class _Mention:
    """A letter that stands alone in a text, with its brackets: from `start` to `end`."""

    letter: str
    start: int
    end: int
    bracketed: bool


def letter_of(text: str, letters: str, options: Mapping[str, str] | None = None) -> str | None:
    """The letter that an answer gives, or None if it gives none or several.

    Args:
        text: the answer.
        letters: the possible letters, such as "ABCD".
        options: the text of each option, if known; tells the option "A red" from "A red ball falls".
    """
    text = _plain(text)
    if slots := [one[1] if one[1] is not None else one[2] for one in _SLOT.finditer(text)]:
        text = slots[-1].strip()
    reader = _Reader(text, letters, options or {})
    for rule in (reader.announced, reader.leading, reader.alone, reader.hinted):
        found = rule()
        if found:
            return found.pop() if len(found) == 1 else None
    return None


def options_of(question: str) -> dict[str, str]:
    """The options that a question lists, one per line: "A. red", "(B) blue" or "C) green"."""
    lines = re.finditer(r"^\s*\(?([A-Z])[).:]\s*(\S.*?)\s*$", question, re.MULTILINE)
    return {line[1]: line[2] for line in lines}


def _plain(text: str) -> str:
    """The text without reasoning, Markdown, LaTeX and direction marks, and with plain letters."""
    text = unicodedata.normalize("NFKC", text)
    text = re.sub(r"[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]", "", text)
    text = re.sub(r"^.*</think>", "", text, flags=re.DOTALL)
    text = re.sub(r"(\*\*|__)([A-Z])\1", r"(\2)", text)  # emphasis sets a letter off as brackets do
    text = re.sub(r"\*+|__|`+|\$+|^#+ *|^> *|~~", "", text, flags=re.MULTILINE)
    for _ in range(3):
        text = _DRESSED.sub(r"\1", text)
    return text.strip()


class _Reader:
    """One answer and the rules that find letters in it; each rule returns the letters it finds."""

    def __init__(self, text: str, letters: str, options: Mapping[str, str]) -> None:
        self.text = text
        self.options = {letter: _plain(option) for letter, option in options.items()}
        self.one = rf"{_BEFORE}({_OPENING})([{letters}])({_CLOSING}){_AFTER}"
        self.several = re.compile(rf"{self.one}(?:(?i:{_LISTED}{_NAMED}){self.one})*")
        self.meant = [
            mention
            for m in re.finditer(self.one, text)
            if not self._article(mention := _Mention(m[2], m.start(), m.end(), bool(m[1] and m[3])))
            and not self._negated(mention)
        ]
        self.by_start = {mention.start: mention for mention in self.meant}

    def announced(self) -> set[str]:
        """Behind "the answer is" and its like, or a final "so". The last one counts: the text comes to it."""
        if ending := re.search(f"{_COMES_TO}{self.one}{_ENDING}", self.text):
            return {ending[2]}
        found: set[str] = set()
        for announcement in _ANNOUNCED.finditer(self.text):
            named = re.compile(_NAMED, re.IGNORECASE).match(self.text, announcement.end())
            at = named.end() if named else announcement.end()
            if first := self._at(at):
                found = self._together(first)
        return found

    def leading(self) -> set[str]:
        """At the very beginning: alone, or before an option's text or a reason."""
        named = re.match(rf"{_NAMED}(?:选项|الخيار)?\s*", self.text, re.IGNORECASE)
        first = self._at(named.end() if named else 0) or self._at(0)
        if first is None:
            return set()
        found = self._together(first)
        reasons = _REASONS.search(self.text, first.end)
        until = reasons.start() if reasons else len(self.text)
        for other in self.meant:
            if first.end <= other.start < until and (
                other.bracketed
                or self._lists(other)
                or _TAKES_BACK.search(self.text, max(0, other.start - _NEAR), other.start)
            ):
                found.add(other.letter)
        return found

    def alone(self) -> set[str]:
        """As the last line or sentence, or behind a last colon."""
        last = self.text.splitlines()[-1] if self.text else ""
        ending = re.search(rf"(?:^|[:：.!?。！？])\s*{self.one}{_ENDING}", last)
        return {ending[2]} if ending and self.meant and self.meant[-1].letter == ending[2] else set()

    def hinted(self) -> set[str]:
        """Wherever an answer would name it."""
        found: set[str] = set()
        for mention in self.meant:
            before = max(0, mention.start - _NEAR)
            if (
                mention.bracketed
                or _HINTED.search(self.text, before, mention.start)
                or _CONFIRMED.match(self.text, mention.end)
            ):
                found |= self._together(mention)
        return found

    def _at(self, place: int) -> _Mention | None:
        return self.by_start.get(place)

    def _together(self, first: _Mention) -> set[str]:
        """The letters of a list that begins with FIRST: "B", "B or C"."""
        listed = self.several.match(self.text, first.start)
        end = listed.end() if listed else first.end
        found, at = set(), bisect_left(self.meant, first.start, key=lambda mention: mention.start)
        while at < len(self.meant) and self.meant[at].start < end:
            found.add(self.meant[at].letter)
            at += 1
        return found

    def _lists(self, mention: _Mention) -> bool:
        """Whether it stands as before an option: "B. blue", "B) blue", or on a line of its own."""
        before = self.text[max(0, mention.start - _NEAR) : mention.start].rstrip(" \t")
        begins = not before or before[-1] in "\n.!?。！？"
        behind = self.text[self.text.index(mention.letter, mention.start) + 1 :]
        return bool(re.match(r"[.:：)\]、]\s*\w", behind)) or (
            begins and bool(re.match(r"\s*(?:$|\n)", behind))
        )

    def _negated(self, mention: _Mention) -> bool:
        return bool(
            _NEGATED_BEFORE.search(self.text, max(0, mention.start - _NEAR), mention.start)
            or _NEGATED_BEHIND.match(self.text, mention.end)
        )

    def _article(self, mention: _Mention) -> bool:
        """Whether it is the article of "A red ball falls": an A that begins a sentence, before a word."""
        if mention.letter != "A" or self.text[mention.end - 1] != "A":
            return False
        behind = re.match(r"[ \t]+(?=[A-Za-z\u00c0-\u024f])", self.text[mention.end :])
        if behind is None or _NO_NOUN.match(self.text, mention.end + behind.end()):
            return False
        before = self.text[: mention.start].rstrip(" \t\"'“‘(")
        if before and before[-1] not in ".!?:;\n。！？：" and not self.text.isupper():
            return False
        return not self._spells(mention.end)

    def _spells(self, place: int) -> bool:
        """Whether what stands from PLACE on is the text of option A, and of no longer one."""
        rest = self.text[place:].strip().lower()
        own = self.options.get("A", "").strip(" .").lower()
        whole = f"a {rest}".rstrip(" .")
        if not own or whole == own:
            return bool(own)
        longer = [
            o for o in self.options.values() if len(o) > len(own) and rest.startswith(o.strip(" .").lower())
        ]
        if longer or not rest.startswith(own):
            return False
        behind = rest[len(own) :].lstrip()
        return not re.match(r"\w", behind) or _NO_NOUN.match(behind) is not None
