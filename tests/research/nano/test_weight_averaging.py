"""The mean of two models, against their tensors as they stand in the files."""

import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

import tempo
from research.nano.weight_averaging import average
from tempo.errors import TempoError
from tempo.inference.engine import EMBEDDED


@pytest.fixture
def other(tmp_path):
    """The embedded model with every number drawn anew, a little apart."""
    folder = tmp_path / "other"
    shutil.copytree(EMBEDDED, folder)
    generator = torch.Generator().manual_seed(3)
    tensors = load_file(EMBEDDED / "model.safetensors")
    for name, tensor in tensors.items():
        noise = torch.randn(tensor.shape, generator=generator) * 0.02
        tensors[name] = (tensor.float() + noise).to(tensor.dtype)
    save_file(tensors, folder / "model.safetensors")
    return folder


def test_every_number_is_the_mean_of_two(other, tmp_path):
    average(EMBEDDED, other, tmp_path / "mean")
    one, two, mean = (
        load_file(folder / "model.safetensors") for folder in (EMBEDDED, other, tmp_path / "mean")
    )
    assert one.keys() == two.keys() == mean.keys()
    for name, tensor in mean.items():
        assert tensor.dtype == torch.bfloat16
        expected = (one[name].double() + two[name].double()) / 2
        torch.testing.assert_close(tensor.double(), expected, rtol=2**-8, atol=1e-6)
    assert tempo.load(tmp_path / "mean", device="cpu").model.config.num_compression_tokens == 16


def test_models_of_two_lines_have_no_mean(reference, tmp_path):
    with pytest.raises(TempoError, match="not of one line"):
        average(EMBEDDED, reference / "tempo-tiny", tmp_path / "mean")
    assert not (tmp_path / "mean").exists()
