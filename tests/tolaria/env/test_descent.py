"""Every short way gives the bytes of PyTorch's own."""

import copy

import pytest
import torch

from tolaria.env.descent import clip_gradients, descend, forget_gradients, is_heard


def model() -> torch.nn.Module:
    """Small, with gradients that are far above the norm they are clipped to."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        net = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Tanh(), torch.nn.Linear(7, 3))
        filled(net, 1)
    return net


def filled(net: torch.nn.Module, seed: int, scale: float = 9.0) -> None:
    """Gradients that are the same for the same number."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in net.parameters():
        parameter.grad = scale * torch.randn(parameter.shape, generator=generator)


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    """Parameters and gradients, byte for byte."""
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return all(torch.equal(a, b) and torch.equal(a.grad, b.grad) for a, b in pairs)


@pytest.mark.parametrize("norm_max", [0.5, 1e6])
def test_gradients_are_clipped_as_pytorch_clips_them(norm_max: float) -> None:
    mine, theirs = model(), model()
    norm = clip_gradients(mine.parameters(), norm_max)
    assert torch.equal(norm, torch.nn.utils.clip_grad_norm_(theirs.parameters(), norm_max))
    assert same(mine, theirs)


def test_one_nan_spreads_to_every_gradient() -> None:
    net = model()
    next(net.parameters()).grad[0, 0] = float("nan")
    assert torch.isnan(clip_gradients(net.parameters(), 1.0))
    assert all(bool(torch.isnan(parameter.grad).all()) for parameter in net.parameters())


def test_nothing_to_clip_has_no_norm() -> None:
    assert clip_gradients([torch.zeros(2)], 1.0) == 0.0


@pytest.mark.parametrize(("momentum", "decay"), [(0.9, 5e-4), (0.0, 5e-4), (0.9, 0.0), (0.0, 0.0)])
def test_steps_are_those_of_sgd_the_first_and_the_later_ones(momentum: float, decay: float) -> None:
    mine, theirs = model(), model()
    made = [torch.optim.SGD(net.parameters(), lr=0.1, momentum=momentum, weight_decay=decay) for net in (mine, theirs)]
    for number in range(4):
        for net in (mine, theirs):
            filled(net, number)
        descend(made[0])
        made[1].step()
        assert same(mine, theirs)
    for parameter, other in zip(mine.parameters(), theirs.parameters(), strict=True):
        assert made[0].state[parameter].keys() == made[1].state[other].keys()
        for key, value in made[0].state[parameter].items():
            assert torch.equal(value, made[1].state[other][key])


def test_a_parameter_without_a_gradient_stays_and_one_whose_momentum_is_gone_begins_anew() -> None:
    mine, theirs = model(), model()
    made = [torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9) for net in (mine, theirs)]
    for number in range(3):
        for net, optimizer in zip((mine, theirs), made, strict=True):
            filled(net, number)
            last = list(net.parameters())[-1]
            if number == 1:
                last.grad = None
                optimizer.state.pop(next(net.parameters()))
        descend(made[0])
        made[1].step()
        assert all(torch.equal(a, b) for a, b in zip(mine.parameters(), theirs.parameters(), strict=True))


def test_whoever_listens_to_an_optimizer_hears_its_step() -> None:
    net, heard = model(), []
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    assert not is_heard(optimizer)
    optimizer.register_step_post_hook(lambda *_: heard.append("step"))
    assert is_heard(optimizer)
    descend(optimizer)
    assert heard == ["step"]


def test_other_optimizers_step_as_they_do() -> None:
    mine, theirs = model(), model()
    made = [torch.optim.AdamW(net.parameters(), lr=0.1) for net in (mine, theirs)]
    descend(made[0])
    made[1].step()
    assert same(mine, theirs)


def test_gradients_are_forgotten_and_not_zeroed() -> None:
    net = model()
    kept = copy.deepcopy(net)
    forget_gradients(torch.optim.SGD(net.parameters(), lr=0.1))
    assert all(parameter.grad is None for parameter in net.parameters())
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), kept.parameters(), strict=True))


def test_the_norm_of_no_gradients_lies_beside_the_parameters() -> None:
    assert clip_gradients([torch.zeros(2, device="meta")], 1.0).device.type == "meta"
    assert float(clip_gradients([torch.zeros(2)], 1.0)) == 0.0
