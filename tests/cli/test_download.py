"""`tempo download` and `tempo models`, with a hub on this machine that serves the tiny checkpoint."""

import hashlib
import http.server
import json
import shutil
import subprocess
import sys
import threading
import time

import pytest
import torch
from safetensors.torch import save_file

from .conftest import TINY, environment

NAME, BASE = "Vision-CAIR/Tempo-6B", "owner/qwen3-vl-tiny"
BIG = "model-00002-of-00002.safetensors"


class Hub(http.server.ThreadingHTTPServer):
    """As much of the hub's protocol as its client needs, for folders on this machine.

    Attributes:
        asked: (method, path, range) of every request.
        break_at: bytes after which a large file's connection breaks, once; None: it does not.
        slow: seconds between the blocks of a large file.
        renamed: old names, and what the models are called now.
        portal: whether a network's own page comes in the place of a large file.
    """

    daemon_threads = True

    def __init__(self, folders):
        super().__init__(("127.0.0.1", 0), Handler)
        self.folders = folders
        self.asked = []
        self.slow = 0.0
        self.renamed = {}
        self.portal = False
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}"

    def ranges(self):
        return [asked for method, path, asked in self.asked if method == "GET" and path.endswith(BIG)]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, *, body):
        path = self.path.partition("?")[0]
        self.server.asked.append((self.command, path, self.headers.get("Range")))
        if path.startswith("/api/models/"):
            name = "/".join(path.split("/")[3:5])
            if name in self.server.renamed:
                now = {"Location": path.replace(name, self.server.renamed[name])}
                return self.send(307, b"", now, body=body)
            if name not in self.server.folders:
                return self.send(404, b"{}", {"X-Error-Code": "RepoNotFound"}, body=body)
            return self.send(200, json.dumps(self.info(name, path)).encode(), {}, body=body)
        _, owner, model, _, _, *rest = path.split("/")
        if now := self.server.renamed.get(f"{owner}/{model}"):
            return self.send(307, b"", {"Location": path.replace(f"{owner}/{model}", now)}, body=body)
        file = self.server.folders[f"{owner}/{model}"] / "/".join(rest)
        if not file.is_file():
            return self.send(404, b"", {"X-Error-Code": "EntryNotFound"}, body=body)
        data = file.read_bytes()
        if self.server.portal and body and file.name == BIG:
            return self.send(200, b"<!DOCTYPE html><html>Log in to this network</html>", {}, body=body)
        headers = {"ETag": f'"{etag(data)}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        status, asked = 200, self.headers.get("Range")
        if asked:
            first = int(asked.removeprefix("bytes=").split("-")[0])
            headers["Content-Range"] = f"bytes {first}-{len(data) - 1}/{len(data)}"
            status, data = 206, data[first:]
        return self.send(status, data, headers, body=body, slow=self.server.slow if len(data) > 1e6 else 0)

    def info(self, name, path):
        folder = self.server.folders[name]
        files = sorted(file.name for file in folder.iterdir())
        if "/tree/" in path:
            return [
                {"type": "file", "path": one, "size": (folder / one).stat().st_size, "oid": "0" * 40}
                for one in files
            ]
        siblings = [{"rfilename": one, "size": (folder / one).stat().st_size} for one in files]
        return {
            "id": name,
            "sha": COMMIT,
            "siblings": siblings,
            "tags": [],
            "downloads": 0,
            "likes": 0,
            "private": False,
            "cardData": {"license": "apache-2.0"},
        }

    def send(self, status, data, headers, *, body, slow=0.0):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        for at in range(0, len(data) if body else 0, 1 << 20):
            try:
                self.wfile.write(data[at : at + (1 << 20)])
            except OSError:
                return
            time.sleep(slow)


COMMIT = "c" * 40


def etag(data):
    return hashlib.sha256(data).hexdigest() if len(data) > 1e6 else hashlib.sha1(data).hexdigest()


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The tiny checkpoint, in two shards, of which one is large: an unused tensor makes it so."""
    root = tmp_path_factory.mktemp("hub")
    shutil.copytree(TINY, root / "model")
    shutil.copytree(TINY.parent / "qwen3-vl-tiny", root / "base")
    (root / "model" / "model.safetensors").rename(root / "model" / "model-00001-of-00002.safetensors")
    noise = torch.randint(0, 256, (24 << 20,), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    save_file({"left.out": noise}, root / "model" / BIG)
    names = {"a": "model-00001-of-00002.safetensors", "left.out": BIG}
    (root / "model" / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    config = json.loads((root / "model" / "config.json").read_text())
    config["mm_vision_tower_aux_list"] = [BASE]
    (root / "model" / "config.json").write_text(json.dumps(config))
    (root / "model" / "pickled.bin").write_bytes(b"not for us")
    return {NAME: root / "model", BASE: root / "base"}


@pytest.fixture
def hub(folders):
    server = Hub(folders)
    yield server
    server.shutdown()
    server.server_close()


def online(hub):
    return {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": hub.address, "HF_HUB_DISABLE_XET": "1"}


@pytest.mark.slow
def test_the_licence_comes_first_and_a_killed_transfer_goes_on(tempo, hub, folders, tmp_path):
    done = tempo("download", **online(hub))
    assert done.returncode == 1
    assert "non-commercial" in done.stdout
    assert "--accept" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not hub.ranges(), "nothing is fetched before the licence is accepted"

    hub.slow = 0.1
    process = subprocess.Popen(
        [sys.executable, "-m", "tempo", "download", "--accept"],
        env=environment(tmp_path, **online(hub)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    parts = tmp_path / "hub" / "models--Vision-CAIR--Tempo-6B" / "blobs"
    deadline = time.monotonic() + 300
    while not any(part.stat().st_size > 4e6 for part in parts.glob("*.part")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    (part,) = parts.glob("*.part")
    left = part.stat().st_size
    listed = tempo("models", "--json")
    assert {one["name"] for one in json.loads(listed.stdout)["models"]} >= {"tempo-nano", NAME}

    hub.slow = 0.0
    done = tempo("download", "--accept", **online(hub))
    assert (done.returncode, done.stderr) == (0, "")
    assert "already here" in done.stdout
    assert done.stdout.splitlines()[-1] == f"ready: --model {NAME}"
    assert hub.ranges() == [None, f"bytes={left}-"]
    assert not any(path.endswith(".bin") for _, path, _ in hub.asked)

    # All of it is here, byte for byte, found by its name, and nothing is asked for again.
    (snapshot,) = (parts.parent / "snapshots").iterdir()
    for file in folders[NAME].glob("*.safetensors"):
        assert (snapshot / file.name).read_bytes() == file.read_bytes()
    assert not list(parts.glob("*.part"))
    done = tempo("download", **online(hub))
    assert (done.returncode, done.stderr) == (0, "")
    assert "all here" in done.stdout
    assert len(hub.ranges()) == 2
    states = {one["name"]: one["state"] for one in json.loads(tempo("models", "--json").stdout)["models"]}
    assert states[NAME] == "cached"


@pytest.mark.slow
def test_what_comes_damaged_is_not_kept(hub, tmp_path, monkeypatch):
    """The name of a large file's content is its hash."""
    monkeypatch.setattr(sys.modules[__name__], "etag", lambda data: "f" * 64 if len(data) > 1e6 else "a" * 40)
    done = subprocess.run(
        [sys.executable, "-m", "tempo", "download", "--accept"],
        env=environment(tmp_path, **online(hub)),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 1
    assert BIG in done.stderr
    assert "damaged" in done.stderr
    assert not list((tmp_path / "hub").rglob("*.part"))
    assert not list((tmp_path / "hub").rglob("f" * 64))


def test_a_hub_that_is_not_there_or_does_not_have_it(tempo, hub):
    for arguments, more in (
        (("owner/nosuch",), online(hub)),
        ((NAME,), {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": "http://127.0.0.1:9"}),
        ((NAME,), {}),
    ):
        done = tempo("download", *arguments, "--accept", **more)
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
        assert arguments[0] in done.stderr
        assert "bug in tempo" not in done.stderr


@pytest.mark.slow
def test_a_model_that_was_renamed_is_fetched_by_its_old_name(tempo, hub, folders):
    hub.renamed = {"owner/old": BASE}
    done = tempo("download", "owner/old", "--accept", **online(hub))
    assert (done.returncode, done.stderr) == (0, "")
    assert f"owner/old, which the hub calls {BASE} now," in done.stdout
    assert done.stdout.splitlines()[-1] == "ready: --model owner/old"


@pytest.mark.slow
def test_a_page_in_the_place_of_a_file_is_not_kept_as_its_beginning(tempo, hub, tmp_path):
    hub.portal = True
    done = tempo("download", "--accept", **online(hub))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "a web page instead of the Hub" in done.stderr
    (part,) = (tmp_path / "hub").rglob("*.part")
    assert part.stat().st_size == 0
    hub.portal = False
    done = tempo("download", "--accept", **online(hub))
    assert (done.returncode, done.stderr) == (0, "")


def test_a_folder_is_no_hub_name(fails, tmp_path):
    assert "Hub name" in fails("download", tmp_path, status=2)


def test_models_tells_folders_apart(tempo, tmp_path):
    (tmp_path / "empty").mkdir()
    broken = tmp_path / "broken"
    shutil.copytree(TINY, broken / "tempo-tiny")
    shutil.copytree(TINY.parent / "qwen3-vl-tiny", broken / "qwen3-vl-tiny")
    (broken / "tempo-tiny" / "model.safetensors").unlink()
    done = tempo("models", TINY, tmp_path / "empty", broken / "tempo-tiny", "owner/nosuch", "--json")
    assert (done.returncode, done.stderr) == (1, "")
    found = json.loads(done.stdout)["models"]
    assert [one["state"] for one in found] == [
        *("installed", "complete", "no model", "incomplete", "no model", "available")
    ]
    assert "published" in found[1]["remark"]
    assert "non-commercial" in found[-1]["remark"]
    done = tempo("models")
    assert (done.returncode, done.stderr) == (0, "")
    assert "tempo-nano" in done.stdout
    assert NAME in done.stdout


LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"


def spoil(file, kind):
    """Make a file what a clone without Git LFS, a cleared cache, or a broken transfer leaves of it."""
    data = file.read_bytes()
    file.unlink()
    if kind == "pointer":
        file.write_text(LFS)
    elif kind == "link":
        file.symlink_to(file.parent / "gone")
    else:
        file.write_bytes(data[:-100])


def test_models_says_of_a_folder_what_loading_says(tempo, fails, clip, tmp_path):
    folders = [tmp_path / kind for kind in ("pointer", "link", "cut", "tokenizer")]
    for folder in folders:
        shutil.copytree(TINY, folder / "model")
        shutil.copytree(TINY.parent / "qwen3-vl-tiny", folder / "qwen3-vl-tiny")
        name = "tokenizer.json" if folder.name == "tokenizer" else "model.safetensors"
        spoil(folder / "model" / name, "pointer" if folder.name == "tokenizer" else folder.name)
    done = tempo("models", *(folder / "model" for folder in folders), "--json")
    assert (done.returncode, done.stderr) == (1, "")
    found = json.loads(done.stdout)["models"][1:5]
    assert [one["state"] for one in found] == ["incomplete"] * 4
    for one, said in zip(found, ("Git LFS", "a broken link to", "damaged", "Git LFS"), strict=True):
        assert said in one["remark"]
    assert fails("ask", clip, "What?", "--model", found[0]["name"]) == found[0]["remark"]


@pytest.mark.parametrize("kind", ["pointer", "link", "cut"])
@pytest.mark.parametrize("where", [NAME, BASE])
def test_models_says_of_the_cache_what_is_wrong_with_it(tempo, tmp_path, kind, where):
    for name, source in ((NAME, TINY), (BASE, TINY.parent / "qwen3-vl-tiny")):
        folder = tmp_path / "hub" / ("models--" + name.replace("/", "--")) / "snapshots" / COMMIT
        shutil.copytree(source, folder)
        if name == where:
            spoil(folder / "model.safetensors", kind)
        if name == NAME:
            config = json.loads((folder / "config.json").read_text())
            (folder / "config.json").write_text(json.dumps(config | {"mm_vision_tower_aux_list": [BASE]}))
    done = tempo("models", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    (found,) = [one for one in json.loads(done.stdout)["models"] if one["name"] == NAME]
    assert found["state"] == "incomplete"
    assert "model.safetensors: " in found["remark"]
    assert f"resume with: tempo download {NAME}" in found["remark"]
