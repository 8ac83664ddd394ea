"""Which letter an answer gives, for every letter and in five languages; and which answers give none."""

import pytest

from tempo.evaluation.letters import letter_of, options_of

# X is the letter; every line holds for each of them. Reasons name other letters, which count for nothing.
GIVEN = """
X
X.
X,
X:
X)
(X)
[X]
{X}
"X"
'X'
*X*
**X**
**X.**
**X**.
**(X)**
__X__
`X`
X!
X;
X\\n
 X.\\n
“X”
「X」
<X>
X. red
X.red
X) a red star
X: blue
X - blue
X – blue
X — blue
(X) red
(X) The red one.
[X] red
**X. red**
**X** red
X. A red star
X. The man in the U.S.A.
X\\nred
X\\n\\nExplanation: the star is red.
X\\n\\nExplanation: C is blue and D is green.
X.\\n\\nThe video shows a dog.
X because the star is red
X because B is not shown
X, because D does not appear
X since the man runs
X as the dog is brown
X, since the others are wrong
X due to the colour
X for the star is red
X. Because the star is red
X. Reason: D is green
X (because C is green)
X. Explanation: Option C is wrong.
X is the answer
X is the correct answer.
X is correct
X is right.
X is the best answer
X is the most likely answer
X would be the answer
X seems correct
X must be right
X, I think.
X I think
The answer is X
The answer is X.
The answer is: X
The answer is (X).
The answer is **X**.
The answer is "X".
the answer is X
The answer is option X.
The answer is X. red
The answer is X, because C is not seen.
The answer would be X
The answer should be X.
The correct answer is X.
The correct answer is (X) red.
The correct answer: X
The right answer is X.
The best answer is X
The final answer is X.
Final answer: X
Final Answer: (X)
**Final answer:** X
**Answer:** X
**Answer: X**
**Answer**: X
Answer: X
Answer: X. red
Answer - X.
Answer X
ANSWER: X
answer: X
My answer is X.
So the answer is X.
Therefore, the answer is X.
Thus, the correct option is X.
The correct option is X
The correct choice is (X).
The correct one is X.
Correct answer: option X
Correct: X
Option X
Option X.
Option (X)
Option X is correct.
Option X: red
The option X
Choice X
Letter X
It is X
It is X.
It's X.
It must be X.
It would be X
That is X.
That's X
This is X.
I choose X
I would choose X
I'd choose (X).
I pick X.
I select X
I would select option X.
I'd go with X.
I'll go with option X.
I think X.
I think it is X.
I think the answer is X
I believe X is correct.
I believe the answer is X.
I guess X
My guess is X.
My choice: X
Probably X.
Definitely X.
Most likely X.
Maybe X
So, it is X.
Clearly, it is X
It is not B but (X)
It is not C but X.
Not C, so X.
Not C. The answer is X.
Neither C nor D. It is X.
C is wrong. The answer is X.
Is it D? No. The answer is X.
The answer is C. Wait, no. The answer is X.
(A) red (B) blue (C) green (D) black. The answer is X.
A. red\\nB. blue\\nC. green\\nD. black\\nAnswer: X
Because it moves to the left.\\nX
Looking at each option:\\nA. red - no\\nB. blue - yes\\nC. green - no\\n\\nX
Option A says blue, option B says red. So X.
B is not shown, C is not shown. X.
X, not E
Not E. X
The star is red.\\n\\n(X)
The man runs, so the answer is\\nX
The star moves to the left: X
The video shows a star. Therefore X is correct.
Based on the video, the answer is X.
Looking at the frames, the correct answer is X.
<answer>X</answer>
<answer>X. red</answer>
<answer> (X) </answer>
<answer>X
<ANSWER>X</ANSWER>
<think>A or B? C looks wrong.</think>X
<think>D is green</think>\\n<answer>X</answer>
<think>D</think>\\n\\nThe answer is X.
\\boxed{X}
$\\boxed{X}$
\\boxed{\\text{X}}
\\boxed{\\textbf{X}}
\\boxed{X. red}
The answer is \\boxed{X}.
Answer: $X$
Ｘ
（Ｘ）
𝐗
答案是X
答案是X。
答案是 X
答案：X
答案: X
答案为X
答案：（X）
答案是选项X
正确答案是X
正确答案是（X）。
正确答案：X
正确的答案是X
正确选项是X
正确的选项是 X
正确选项为X。
因此，答案是X。
所以答案为X
最终答案：X
**答案：X**
选X
选择X
选择X。
我选X
我选择X
应选X
故选X。
选项X
选项X是正确的
X选项
X项
X、红色
X。
X。红色
X：红色
X 红色
X，因为星星是红色的
X因为C是绿色
X是正确的
X是正确答案
X正确
应该是X
是X
Die Antwort ist X
Die Antwort ist X.
Die richtige Antwort ist X.
Die richtige Antwort lautet X.
Die richtige Antwort: X
Die Antwort lautet X
Die Lösung ist X.
Antwort: X
**Antwort:** X
Antwort X
Richtig ist X.
Richtige Antwort: X
Meine Wahl: X
Ich wähle X
Ich würde X wählen.
Ich entscheide mich für X.
Ich nehme X
Es ist X.
Variante X
X ist richtig
X ist die richtige Antwort.
X ist korrekt
X weil der Stern rot ist
X, weil C nicht zu sehen ist
X, da der Stern rot ist
X denn der Stern ist rot
X. Begründung: D ist grün
Nicht C, sondern X.
La respuesta es X
La respuesta es X.
La respuesta correcta es X.
La respuesta correcta es la X.
La respuesta correcta es la opción X
La respuesta es: X
Respuesta: X
**Respuesta:** X
Respuesta correcta: X
La opción correcta es X.
La correcta es la X
La opción X
Opción X
Es X.
Es la X
Sería X
Elijo X
Elijo la opción X.
Creo que es X.
Me quedo con la X.
Selecciono X
X es correcta
X es la respuesta correcta.
X es la opción correcta
X porque la estrella es roja
X, porque C no aparece
X, ya que la estrella es roja
X ya que la estrella es roja
X pues la estrella es roja
No es C sino X.
الإجابة هي X
الإجابة هي X.
الإجابة: X
الإجابة الصحيحة هي X
الإجابة الصحيحة هي (X).
الإجابة الصحيحة: X
الاجابة الصحيحة هي X
الجواب هو X
الجواب: X
الجواب الصحيح هو X
الخيار X
الخيار الصحيح هو X
الاختيار X
أختار X
أختار الخيار X
إنها X
الحل هو X
X هي الإجابة الصحيحة
X هو الخيار الصحيح
X لأن النجمة حمراء
X، لأن النجمة حمراء
**الإجابة:** X
الإجابة هي \u200eX\u200e
""".strip("\n").split("\n")
GIVEN = [line.replace("\\n", "\n").replace("\\u200e", "\u200e").replace("\\\\", "\\") for line in GIVEN]

WIDE = {"Ｘ": 0xFF21, "𝐗": 0x1D400}  # A of the full-width and of the bold mathematical letters


def filled(template: str, letter: str) -> str:
    for sign, first in WIDE.items():
        template = template.replace(sign, chr(first + ord(letter) - ord("A")))
    # "X" alone is the sign; \text and "Explanation" hold none.
    return template.replace("X", letter)


def test_the_table_is_as_long_as_it_is_said_to_be():
    assert len(set(GIVEN)) >= 200


@pytest.mark.parametrize("letter", "ABCD")
def test_every_phrasing_counts_for_every_letter(letter):
    missed = {
        text: found
        for template in GIVEN
        if (found := letter_of(text := filled(template, letter), "ABCD")) != letter
    }
    assert missed == {}


NONE = [
    "",
    "   ",
    ".",
    "Blue",
    "blue",
    "b",
    "E",
    "(E)",
    "The answer is E.",
    "Dogs",
    "The Best",
    "Can't say",
    "Don't know",
    "I cannot tell.",
    "A dog runs",
    "A red star is shown.",
    "A red star",
    "A man and a woman",
    "A few seconds",
    "The video shows a star. A dog runs.",
    "A little girl is dancing",
    "In the U.S.A. a dog barks",
    "He plays the B-roll",
    "It is written in C++",
    "A.M.",
    "D.C. is the city",
    "D'accord",
    "C'est la vie",
    "Vitamin C helps",
    "He lives in apartment B with a dog",
    "Plan B was followed by the team",
    "BC",
    "ABCD",
    "B52",
    # Two letters are no letter.
    "B or C",
    "A or B",
    "(B) or (C)",
    "B and C",
    "B, C",
    "B/C",
    "B & C",
    "A, B and C",
    "Both A and C",
    "Either B or D",
    "Either (B) or (D)",
    "The answer is B or C.",
    "The answer is B or maybe C.",
    "A. No, B.",
    "B. Wait, C.",
    "The answer is either B or C",
    "The answer is B and D.",
    "Answer: A, C",
    "Option A or option B",
    "I think B or C.",
    "It is A or B",
    "It could be B. It could be C.",
    "(A) red (B) blue",
    "(A) red (B) blue (C) green (D) black",
    "A. red B. blue",
    "A. red\nB. blue\nC. green",
    "A) red\nB) blue",
    "A: no. B: yes.",
    "A\nB",
    "A\nB\nC\nD",
    "<answer>A or B</answer>",
    "<answer></answer>",
    "<answer>red</answer>",
    "\\boxed{A, B}",
    "\\boxed{red}",
    "B或C",
    "答案是B或C",
    "答案是B和C",
    "B、C",
    "选A和B",
    "B oder C",
    "Die Antwort ist B oder C.",
    "A und B",
    "B o C",
    "La respuesta es B o C",
    "A y B",
    "B أو C",
    "الإجابة هي B أو C",
    # None of them is the answer.
    "Not A.",
    "It is not B.",
    "The answer is not B.",
    "Neither A nor B",
    "B is wrong.",
    "A is not correct.",
    "A is incorrect",
    "不是B",
    "B是错误的",
    "Nicht B",
    "B ist falsch.",
    "No es B",
    "ليس B",
]


@pytest.mark.parametrize("text", NONE)
def test_answers_that_give_none(text):
    assert letter_of(text, "ABCD") is None


OPTIONS = {"A": "red", "B": "a blue ball", "C": "red star", "D": "A cat sleeps."}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("A red", "A"),
        ("A red.", "A"),
        ("A Red\n", "A"),
        ("A red, since the ball is red", "A"),
        ("A red is the answer", "A"),
        ("A red ball falls", None),
        ("A red star", None),  # the text of C, without its letter
        ("A cat sleeps.", None),
        ("A cat sleeps on a mat", None),
        ("A blue ball", None),
        ("B a blue ball", "B"),
        ("C red star", "C"),
        ("D A cat sleeps.", "D"),
        ("D. A cat sleeps.", "D"),
    ],
)
def test_the_texts_of_the_options_tell_the_letter_a_from_the_word(text, wanted):
    assert letter_of(text, "ABCD", OPTIONS) == wanted


def test_the_text_of_option_a_that_begins_with_an_article_is_option_a():
    assert letter_of("A red star.", "ABCD", {"A": "A red star.", "B": "A blue star."}) == "A"
    assert letter_of("A blue star.", "ABCD", {"A": "A red star.", "B": "A blue star."}) is None


def test_only_letters_that_there_are_count():
    assert letter_of("E", "ABCDE") == "E"
    assert letter_of("The answer is E.", "ABCD") is None


@pytest.mark.parametrize(
    "sign",
    ["A. red\nB. blue ball", "(A) red\n(B) blue ball", "A) red\n B) blue ball ", "A: red\nB: blue ball"],
)
def test_the_options_of_a_question(sign):
    question = f"What falls?\n{sign}\nAnswer with the option's letter from the given choices directly."
    assert options_of(question) == {"A": "red", "B": "blue ball"}


def test_long_answers_take_no_time():
    """A model that goes round in circles writes thousands of letters; nothing may backtrack over them."""
    for text in ("A or " * 4_000, "(A) red " * 4_000, "the answer is " * 4_000, "option " * 4_000):
        letter_of(text, "ABCD")
