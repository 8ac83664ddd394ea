"""`tempo completion`: what a real bash offers after TAB, and scripts that other shells accept."""

import shlex
import shutil
import subprocess

import pytest

from tempo.cli.main import VERBS, parser_of
from tempo.cli.shell_completion import SHELLS, verbs_of

BASH = shutil.which("bash")


@pytest.fixture(scope="module")
def scripts():
    verbs = [verb for name, told in VERBS.items() for verb in verbs_of(name, parser_of(name), told)]
    return {shell: write(verbs) for shell, write in SHELLS.items()}


@pytest.fixture
def tab(scripts, tmp_path):
    """What bash offers where the cursor stands behind a line; a blank at its end begins a new word."""
    script = tmp_path / "tempo.bash"
    script.write_text(scripts["bash"], encoding="utf-8")

    def press(line):
        words = shlex.split(line) + ([""] if line.endswith(" ") else [])
        asked = (
            f"source {script}; COMP_WORDS=({shlex.join(words)}); COMP_CWORD={len(words) - 1}; "
            'complete -p tempo >&2; _tempo; printf "%s\\n" "${COMPREPLY[@]}"'
        )
        done = subprocess.run(
            [BASH, "--norc", "--noprofile", "-c", asked],
            cwd=tmp_path,
            capture_output=True,
            encoding="utf-8",
            check=True,
        )
        assert "-F _tempo tempo" in done.stderr
        return done.stdout.split()

    return press


needs_bash = pytest.mark.skipif(BASH is None, reason="there is no bash")


@needs_bash
def test_bash_offers_verbs_options_and_values(tab, tmp_path):
    (tmp_path / "film.mp4").touch()
    assert set(VERBS) <= set(tab("tempo "))
    assert tab("tempo as") == ["ask"]
    assert tab("tempo --v") == ["--version"]
    assert {"--budget", "--save", "--help"} <= set(tab("tempo ask film.mp4 what --"))
    assert tab("tempo ask --bud") == ["--budget"]
    assert tab("tempo ask --dtype b") == ["bfloat16"]
    assert "film.mp4" in tab("tempo ask ")
    assert tab("tempo ask --save fi") == ["film.mp4"]
    assert set(tab("tempo synthetic ")) == {"make", "bench"}
    assert "--held-out" in tab("tempo synthetic make films --")
    assert "--held-out" not in tab("tempo synthetic bench films --")
    assert tab("tempo completion f") == ["fish"]
    assert tab("tempo nosuch --") == []


@needs_bash
@pytest.mark.parametrize("verb", VERBS)
def test_every_option_of_every_verb_is_offered(tab, verb):
    told = {name for action in parser_of(verb)._actions for name in action.option_strings}
    assert told <= set(tab(f"tempo {verb} -"))


@pytest.mark.parametrize("shell", SHELLS)
def test_the_verb_prints_what_the_shell_accepts(tempo, scripts, shell, tmp_path):
    done = tempo("completion", shell)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == scripts[shell]
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"there is no {shell}")
    (tmp_path / "script").write_text(done.stdout, encoding="utf-8")
    checked = subprocess.run([program, "-n", str(tmp_path / "script")], capture_output=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, b"")


def test_an_unknown_shell(fails):
    assert "cmd" in fails("completion", "cmd", status=2)
