"""Muon and the schedules."""

import dataclasses

import pytest
import torch
from torch import nn

from models.presets.training import TrainConfig
from models.training.optimizer import Muon, build_optimizers, learning_rate, orthogonalise


@pytest.mark.parametrize("shape", [(6, 10), (10, 6), (3, 8, 5)])
def test_orthogonalise_brings_singular_values_near_one(shape):
    torch.manual_seed(0)
    matrices = torch.randn(shape)
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    values = torch.linalg.svdvals(orthogonalise(matrices))
    assert values.min() > 0.5 and values.max() < 1.3
    aligned = torch.diagonal(left.mT @ orthogonalise(matrices) @ right.mT, dim1=-2, dim2=-1)
    assert torch.allclose(aligned, values.flip(-1).sort(descending=True).values, atol=0.5)


def test_a_stack_is_updated_matrix_by_matrix():
    torch.manual_seed(0)
    stack = torch.randn(3, 4, 6)
    together = nn.Parameter(stack.clone())
    apart = [nn.Parameter(matrix.clone()) for matrix in stack]
    gradient = torch.randn_like(stack)
    together.grad = gradient.clone()
    for parameter, part in zip(apart, gradient, strict=True):
        parameter.grad = part.clone()
    Muon([together], lr=0.1).step()
    Muon(apart, lr=0.1).step()
    assert torch.allclose(together.detach(), torch.stack([parameter.detach() for parameter in apart]), atol=1e-6)


def test_muon_agrees_with_torchs_on_a_single_matrix():
    torch.manual_seed(0)
    start = torch.randn(8, 12)
    ours, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    mine = Muon([ours], lr=0.2)
    reference = torch.optim.Muon([theirs], lr=0.2, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
    for _ in range(20):
        gradient = torch.randn(8, 12)
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        mine.step()
        reference.step()
    assert torch.allclose(ours, theirs, atol=0.05)  # theirs iterates in bfloat16
    assert (ours - start).abs().max() > 0.3


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_every_parameter_is_optimised_once(optimizer):
    network = nn.Sequential(nn.Linear(4, 4), nn.LSTM(4, 4), nn.LayerNorm(4))
    network.register_parameter("band_bias", nn.Parameter(torch.zeros(3, 1, 4)))
    optimizers = build_optimizers(network, TrainConfig(optimizer=optimizer))
    chosen = [id(p) for o in optimizers for group in o.param_groups for p in group["params"]]
    assert sorted(chosen) == sorted(id(parameter) for parameter in network.parameters())
    if optimizer == "muon":
        assert all(p.ndim > 1 and min(p.shape[-2:]) > 1 for p in optimizers[0].param_groups[0]["params"])


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_it_minimises(optimizer):
    torch.manual_seed(0)
    network, target = nn.Linear(6, 6), torch.randn(32, 6)
    inputs = torch.randn(32, 6)
    optimizers = build_optimizers(network, TrainConfig(optimizer=optimizer, lr=0.02))
    losses = []
    for _ in range(100):
        loss = (network(inputs) - target).square().mean()
        losses.append(loss.item())
        for one in optimizers:
            one.zero_grad()
        loss.backward()
        for one in optimizers:
            one.step()
    assert losses[-1] < 0.8 * losses[0]


def test_schedules():
    config = TrainConfig(lr=1e-3, decay=0.98, decay_steps=10, warmup_steps=9)
    assert learning_rate(config, 0, 0.0) == pytest.approx(1e-4)  # warm-up that warms up
    assert learning_rate(config, 9, 0.0) == pytest.approx(1e-3)
    assert learning_rate(config, 25, 0.0) == pytest.approx(1e-3 * 0.98**2)
    linear = dataclasses.replace(config, schedule="linear", warmup_steps=0)
    assert [learning_rate(linear, 5, progress) for progress in (0.0, 0.5, 1.0, 1.5)] == [1e-3, 5e-4, 0.0, 0.0]
