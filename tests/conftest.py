"""What the tests share."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

# Modules beside this one (clips, reference_cases) are imported by name.
sys.path.insert(0, str(Path(__file__).parent))

import ray_nodes
from reference_cases import CASES, CASES_BY_VIDEO, REFERENCE
from warm_processes import WarmServer

# What is started in the background of a shell ignores Ctrl-C, and so would every command that tests stop with
# it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

if TYPE_CHECKING:
    from tempo import Tempo
    from tempo.modeling import TempoQwenForCausalLM


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "cheap: quick on every reference case, the long ones too")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes `case` runs on every one; those of three minutes are slow unless marked cheap.

    One that takes `same_video` runs once for each video, with all cases about it: it need not watch twice.
    """
    if "case" in metafunc.fixturenames:
        cheap = any(metafunc.definition.iter_markers("cheap"))
        params = [
            pytest.param(case, id=name, marks=[] if cheap or "three" not in name else pytest.mark.slow)
            for name, case in CASES.items()
        ]
        metafunc.parametrize("case", params)
    if "same_video" in metafunc.fixturenames:
        params = [
            pytest.param(cases, id=name, marks=pytest.mark.slow if "three" in name else [])
            for name, cases in CASES_BY_VIDEO.items()
        ]
        metafunc.parametrize("same_video", params)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The modules with a Ray come last, one after another: its daemons run beside no others."""
    last = {item.path for item in items if "cluster" in getattr(item, "fixturenames", ())}
    items.sort(key=lambda item: item.path in last)


@pytest.fixture(scope="session")
def two_nodes() -> Iterator[Any]:
    """The one Ray of all modules."""
    with ray_nodes.two_nodes() as running:
        yield running


@pytest.fixture(scope="module")
def cluster(two_nodes: Any) -> Iterator[Any]:
    """A Ray of two nodes of a core each. A module leaves them as it found them."""
    yield two_nodes
    ray_nodes.tidy(two_nodes)


@pytest.fixture(scope="session")
def warm() -> Iterator[WarmServer]:
    """Starts processes of their own without waiting for their imports."""
    server = WarmServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as it is released."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (file,) = folder.glob("*.whl")
    return file


@pytest.fixture(scope="session")
def reference() -> Path:
    return REFERENCE


@pytest.fixture(scope="session")
def tiny() -> "Tempo":
    """The tiny published checkpoint, loaded in float32 on the CPU."""
    import tempo

    return tempo.load(REFERENCE / "tempo-tiny", device="cpu", dtype="float32")


@pytest.fixture(scope="session")
def tiny_of_transformers() -> "TempoQwenForCausalLM":
    """The same weights in transformers' classes."""
    from tempo.modeling import TempoQwenForCausalLM
    from tempo.modeling.loading import find_checkpoint

    return TempoQwenForCausalLM.load(find_checkpoint(REFERENCE / "tempo-tiny"))


@pytest.fixture
def engine(tiny: "Tempo", tmp_path: Path) -> "Tempo":
    """The tiny model, with a disk cache of its own."""
    from tempo.inference.prefix_cache import DiskCache

    tiny.disk = DiskCache(tmp_path / "kept")
    return tiny


@pytest.fixture(scope="session")
def nano() -> "Tempo":
    """The embedded model in exact arithmetic."""
    import tempo

    return tempo.load(device="cpu", dtype="float32")


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one synthetic video of half a minute and three questions about it."""
    from tempo.synthetic.video_files import FileSpec, make_file

    folder = tmp_path_factory.mktemp("films")
    spec = FileSpec(seconds=30, height=120, fps=5, held_out=True)
    make_file(folder / "a-000.mp4", spec, seed="claims-test", questions=3)
    return folder
