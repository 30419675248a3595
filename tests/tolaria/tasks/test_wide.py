import pickle

import pytest
import torch

from tolaria.errors import ConfigError
from tolaria.tasks.digits import digits
from tolaria.tasks.wide import DEPTH, SIDE, WIDTH_MAX, wide, width_of


def test_every_pixel_has_become_four() -> None:
    small, large = digits().train, wide(8).train
    images = large.inputs.view(-1, SIDE, SIDE)
    assert torch.equal(images[:, ::2, ::2], small.inputs[:, 0])
    assert torch.equal(images[:, 1::2, 1::2], small.inputs[:, 0])
    assert torch.equal(large.targets, small.targets)


@pytest.mark.parametrize("parameters", [10_000, 1_000_000])
def test_a_host_has_about_as_many_parameters_as_were_asked_for(parameters: int) -> None:
    host = wide(width_of(parameters)).build_host(0)
    assert host.host_parameters() == pytest.approx(parameters, rel=0.02)
    assert len(host.slots) == DEPTH


def test_the_widest_host_has_a_billion_parameters_which_nobody_has_to_build_to_know_it() -> None:
    with torch.device("meta"):
        assert wide(WIDTH_MAX).build_host(0).host_parameters() > 1_000_000_000
    assert width_of(1_000_000_000) < WIDTH_MAX


def test_the_wider_the_host_the_slower_it_learns() -> None:
    # By the root of how much wider it is than 256; a narrower one learns no faster.
    assert [wide(width).learning_rate for width in (8, 256, 1024)] == [0.1, 0.1, 0.05]


@pytest.mark.parametrize("width", [0, WIDTH_MAX + 1])
def test_other_widths_are_refused(width: int) -> None:
    with pytest.raises(ConfigError, match=r"^width: found"):
        wide(width)


def test_it_can_be_handed_to_another_process() -> None:
    task = pickle.loads(pickle.dumps(wide(8)))
    assert torch.equal(task.build_host(3).head.weight, wide(8).build_host(3).head.weight)
