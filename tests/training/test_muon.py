"""Muon against torch's, and against what it is defined to do to singular values."""

import pytest
import torch

from tempo.training.muon import COEFFICIENTS, ITERATIONS, Muon, orthogonalized


@pytest.mark.parametrize("shape", [(3, 24, 24), (2, 16, 40), (2, 40, 16)])
def test_singular_values_follow_the_quintic(shape: tuple[int, ...]) -> None:
    matrices = torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    left, values, right = torch.linalg.svd(matrices, full_matrices=False)
    values = values / values.norm(dim=1, keepdim=True)
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        values = a * values + b * values**3 + c * values**5
    expected = left @ torch.diag_embed(values) @ right
    torch.testing.assert_close(orthogonalized(matrices, torch.float64), expected, atol=1e-9, rtol=1e-7)


def test_steps_are_those_of_torch() -> None:
    """Up to the bfloat16 in which torch computes: all updates have the length of a rotation."""
    generator = torch.Generator().manual_seed(2)
    shapes = [(48, 32), (32, 48), (48, 32), (40, 40)]
    start = [torch.randn(*shape, generator=generator) for shape in shapes]
    gradients = [[torch.randn(*shape, generator=generator) for shape in shapes] for _ in range(4)]
    ended = []
    for kind, options in ((Muon, {}), (torch.optim.Muon, {"adjust_lr_fn": "match_rms_adamw"})):
        parameters = [torch.nn.Parameter(one.clone()) for one in start]
        optimizer = kind(parameters, lr=0.02, weight_decay=0.1, **options)
        for at_step in gradients:
            for parameter, gradient in zip(parameters, at_step, strict=True):
                parameter.grad = gradient.clone()
            optimizer.step()
        ended.append([parameter.detach() for parameter in parameters])
    for ours, theirs, before in zip(*ended, start, strict=True):
        assert (ours - theirs).norm() < 0.02 * (theirs - before).norm()


def test_a_matrix_without_a_gradient_stays() -> None:
    still, moved = (torch.nn.Parameter(torch.ones(4, 4)) for _ in range(2))
    moved.grad = torch.randn(4, 4, generator=torch.Generator().manual_seed(3))
    Muon([still, moved], lr=0.1).step()
    assert torch.equal(still, torch.ones(4, 4))
    assert not torch.equal(moved, torch.ones(4, 4))
