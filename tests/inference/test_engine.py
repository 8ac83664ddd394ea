import threading
import time

import pytest
import torch
from safetensors import safe_open

import clips
import tempo
from reference_cases import CASES, video_of
from tempo.devices import name_on_machine, pick_device, pick_devices, pick_dtype
from tempo.errors import TempoError, UsageError
from tempo.inference.engine import EMBEDDED
from tempo.loader import find


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"fps": 0.0}, UsageError),
        ({"fps": float("nan")}, UsageError),
        ({"max_frames": 0}, UsageError),
        ({"cache": "cloud"}, UsageError),
        ({"sampling": "nearest"}, UsageError),
        ({"decode_workers": 0}, UsageError),
    ],
)
def test_watching_options_that_can_never_work(options, error, engine, tmp_path):
    with pytest.raises(error, match=next(iter(options))):
        engine.watch(video_of(CASES["single_image"], tmp_path), **options)


def test_devices_dtypes_and_attentions_that_are_not_there(reference):
    for options, error in (
        ({"device": "abacus"}, UsageError),
        ({"device": "cuda:99"}, TempoError),
        ({"dtype": "int7"}, UsageError),
        ({"attention": "none"}, UsageError),
    ):
        with pytest.raises(error, match=next(iter(options))):
            tempo.load(reference / "tempo-tiny", **options)


def test_auto_chooses_what_is_there():
    assert (pick_device("auto").type == "cuda") == torch.cuda.is_available()
    assert pick_dtype("auto", torch.device("cuda")) is torch.bfloat16
    assert pick_dtype("auto", torch.device("cpu")) in (torch.bfloat16, torch.float32)
    assert pick_dtype("float16", torch.device("cpu")) is torch.float16
    assert pick_dtype(torch.float32, torch.device("cuda")) is torch.float32


def test_one_gpu_among_several_has_an_index(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr("torch.cuda.current_device", lambda: 0)
    gpus = [torch.device("cuda", index) for index in range(2)]
    assert pick_devices(None, ["cuda", "cuda:1", "cpu"]) == [*gpus, torch.device("cpu")]
    assert pick_devices(None, ["cuda"]) == pick_devices("cuda", None) == [torch.device("cuda")]


def test_what_does_not_fit_in_float32_is_loaded_in_bfloat16(reference, monkeypatch):
    # On a processor that is faster in float32, the free memory decides.
    monkeypatch.setattr("tempo.devices.is_faster_in_bfloat16", lambda: False)
    folder = reference / "tempo-tiny"
    model = tempo.load(folder, device="cpu").model
    assert model.dtype is torch.float32
    for share, dtype in ((2.0, torch.float32), (1.1, torch.bfloat16)):
        with monkeypatch.context() as less:
            free = int(share * sum(file.stat().st_size for file in folder.glob("*.safetensors")))
            less.setattr("tempo.devices.available_bytes", lambda device, free=free: free)
            assert tempo.load(folder, device="cpu").dtype is dtype
            assert tempo.load(folder, device="cpu", dtype="float32").dtype is torch.float32


def test_half_precision_answers_nearly_the_same(reference, tmp_path):
    case = CASES["single_image"]
    half = tempo.load(reference / "tempo-tiny", device="cpu", dtype="bfloat16")
    assert half.dtype is torch.bfloat16
    answer = half.watch(video_of(case, tmp_path), cache="none").ask(case.query, max_new_tokens=2)
    assert answer.segments[0].relevance == pytest.approx(case.tensors["relevance"].item(), abs=0.02)


@pytest.mark.parametrize("options", [{}, {"fps": 4.0, "max_frames": 12}])
def test_a_file_is_decoded_while_its_model_loads(options, reference, tmp_path):
    """Nothing of it is read again for what is watched then, and the answer is the usual one."""
    path = clips.write(tmp_path / "clip.mp4", count=90)
    usual = tempo.load(reference / "tempo-tiny", device="cpu", dtype="float32")
    expected = usual.watch(path, cache="none", **options).ask("What moves?", max_new_tokens=4)
    found = find(reference / "tempo-tiny", device="cpu", dtype="float32")
    video = tempo.Video.open(path)
    with found.decoding(video, **options):
        model = found.load()
        while any(thread.name == "tempo-decode" for thread in threading.enumerate()):
            time.sleep(0.01)
        path.unlink()
        session = model.watch(video, cache="device", **options)
    assert session.ask("What moves?", max_new_tokens=4).token_ids == expected.token_ids
    assert not session.damage


def test_the_public_names():
    assert set(tempo.__all__) <= set(dir(tempo))
    assert all(getattr(tempo, name) is not None for name in tempo.__all__)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = tempo.nonsense


def test_the_embedded_model_is_small_enough_to_come_along():
    """With the base that training starts from, in bfloat16."""
    files = [*EMBEDDED.rglob("*.safetensors"), *EMBEDDED.with_name("nano-base").rglob("*.safetensors")]
    assert len(files) == 2
    assert sum(file.stat().st_size for file in files) < 60_000_000
    for file in files:
        with safe_open(file, "pt") as weights:
            assert {weights.get_slice(name).get_dtype() for name in weights.keys()} == {"BF16"}  # noqa: SIM118


@pytest.mark.parametrize(
    ("visible", "device", "name"),
    [
        ("2,5", "cuda", "cuda:2"),
        ("2,5", "cuda:1", "cuda:5"),
        ("GPU-1d2f", "cuda:0", "cuda:GPU-1d2f"),
        (None, "cuda:1", "cuda:1"),
        ("3", "cpu", "cpu"),
    ],
)
def test_a_gpu_has_one_name_whatever_a_process_sees_of_its_machine(monkeypatch, visible, device, name):
    """Replicas of one machine would add up what they keep on two GPUs as if it were one otherwise."""
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert name_on_machine(torch.device(device)) == name
