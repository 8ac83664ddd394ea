"""The page about serving does what it says."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "serving.md"


def test_the_example_answers(served, folder, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    code = code.replace("http://127.0.0.1:8000", served.url).replace('"none"', repr(served.client().api_key))
    code = code.replace("/videos/meeting.mp4", str(folder / "0.mp4")).replace('"tempo",\n', '"nano",\n', 1)
    exec(compile(code, str(PAGE), "exec"), {})
    said = capsys.readouterr().out.strip()
    assert said.endswith("]")
    assert len(said) > len("[]")
