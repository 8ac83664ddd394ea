"""`tempo convert` writes folders that load, and loses nothing on the way there and back."""

from safetensors import safe_open

from .conftest import TINY


def tensors(folder):
    found = {}
    for file in folder.glob("*.safetensors"):
        with safe_open(file, "pt") as weights:
            found |= {name: weights.get_tensor(name) for name in weights.keys()}  # noqa: SIM118
    return found


def test_there_and_back(tempo, tmp_path):
    done = tempo("convert", TINY, tmp_path / "own")
    assert (done.returncode, done.stderr) == (0, "")
    assert str(tmp_path / "own") in done.stdout
    done = tempo("convert", tmp_path / "own", tmp_path / "back", "--layout", "published")
    assert (done.returncode, done.stderr) == (0, "")
    before, after = tensors(TINY), tensors(tmp_path / "back")
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        assert tensor.dtype == after[name].dtype
        assert tensor.equal(after[name]), name


def test_an_occupied_destination_is_left_alone(fails, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    assert str(tmp_path) in fails("convert", TINY, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_bad_sources(fails, tmp_path):
    assert "nosuch" in fails("convert", "nosuch", tmp_path / "new")
    assert "Vision-CAIR/Tempo-6B" in fails("convert", "Vision-CAIR/Tempo-6B", tmp_path / "new")
    assert "published" in fails("convert", TINY, tmp_path / "new", "--layout", "published")
    assert "--layout" in fails("convert", TINY, tmp_path / "new", "--layout", "mine", status=2)


def test_a_full_disk_leaves_nothing(warm, tmp_path):
    script = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
from tempo.cli.main import main
sys.exit(main(["convert", {str(TINY)!r}, {str(tmp_path / "own")!r}]))
"""
    done = warm.run("-c", script)
    assert done.returncode == 1, done.stderr
    assert done.stderr.splitlines()[-1].startswith(f"tempo: {tmp_path / 'own'}: could not be written (")
    assert list(tmp_path.iterdir()) == []
