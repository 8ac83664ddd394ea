"""The wheel, installed as a tool by uv, uvx and pipx, without a network.

Each resolves the wheel's own requirements, from wheels that are empty but for their metadata; one of them
leads to the packages of this environment. So everything is tested that is ours: what the wheel requires, its
command, and that this finds its model where it was installed.
"""

import importlib.metadata
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

BIN = Path(sys.executable).parent


def add_wheel(folder, name, **files):
    """A wheel of the version of a package that is installed here, with nothing in it but FILES."""
    version = importlib.metadata.version(name).partition("+")[0]
    stem = f"{re.sub('[-.]', '_', name)}-{version}"
    about = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
        for path, text in about.items():
            wheel.writestr(f"{stem}.dist-info/{path}", text)


@pytest.fixture(scope="module")
def packages(wheel, tmp_path_factory):
    """A folder with a wheel for everything that the wheel requires."""
    folder = tmp_path_factory.mktemp("packages")
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        lines = archive.read(metadata).decode().splitlines()
    required = [line.partition(": ")[2] for line in lines if line.startswith("Requires-Dist")]
    for name in [re.split(r"[^\w.-]", one)[0] for one in required if "extra ==" not in one]:
        add_wheel(folder, name)
    # Python reads folders to import from out of .pth files: torch's leads to what is installed here.
    add_wheel(folder, "torch", **{"installed.pth": sysconfig.get_path("purelib") + "\n"})
    return folder


@pytest.fixture
def tool(packages, tmp_path):
    """Runs a command in a home of its own, in which only those packages can be had."""
    only = f'no-index = true\nfind-links = ["{packages}"]\n'
    (tmp_path / "uv.toml").write_text(f"{only}[pip]\n{only}")
    own = ("UV_", "PIP_", "PIPX_", "PYTHON")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    environment |= {
        "HOME": str(tmp_path),
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "UV_CACHE_DIR": str(tmp_path / "cache"),
        "UV_TOOL_DIR": str(tmp_path / "tools"),
        "UV_TOOL_BIN_DIR": str(tmp_path / "bin"),
        "UV_CONFIG_FILE": str(tmp_path / "uv.toml"),
        "UV_OFFLINE": "1",
        "UV_PYTHON": sys.executable,
        "UV_PYTHON_DOWNLOADS": "never",
        "PIPX_HOME": str(tmp_path / "pipx"),
        "PIPX_BIN_DIR": str(tmp_path / "bin"),
        "PIPX_DEFAULT_PYTHON": sys.executable,
        "PIPX_DEFAULT_BACKEND": "uv",
    }

    def run(*command):
        call = list(map(str, command))
        done = subprocess.run(
            call, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def assert_works(tool, tmp_path):
    """The command finds its model and its libraries, from where it was installed."""
    found = tool(tmp_path / "bin" / "tempo", "doctor")
    assert str(tmp_path) in found


def test_uv_installs_it_as_a_tool(tool, wheel, tmp_path):
    tool("uv", "tool", "install", wheel)
    assert_works(tool, tmp_path)
    assert "tempo-video" in tool("uv", "tool", "list")
    tool("uv", "tool", "uninstall", "tempo-video")
    assert not (tmp_path / "bin" / "tempo").exists()


def test_uvx_runs_it_without_installing(tool, wheel):
    assert tool("uvx", "--from", wheel, "tempo", "--version").startswith("tempo ")


def test_pipx_installs_it(tool, wheel, tmp_path):
    tool("pipx", "install", wheel)
    assert_works(tool, tmp_path)
    assert "tempo-video" in tool("pipx", "list", "--short")
