import torch

from tolaria.tasks.spirals import spirals
from tolaria.tasks.spirals_impaired import spirals_impaired


def is_bent(answers: torch.Tensor) -> bool:
    """Whether the middle one of three points on a line has another answer [K] than the mean of the outer two."""
    return not torch.allclose(answers[1], (answers[0] + answers[2]) / 2, atol=1e-4)


def test_the_data_are_those_of_spirals() -> None:
    whole, impaired = spirals(), spirals_impaired()
    assert torch.equal(whole.train.inputs, impaired.train.inputs)
    assert torch.equal(whole.test.targets, impaired.test.targets)


def test_the_host_draws_straight_lines_and_a_seed_bends_them() -> None:
    host = spirals_impaired().build_host(0).eval()
    points = torch.tensor([[-1.0, -1.0], [0.0, 0.0], [1.0, 1.0]])
    assert not is_bent(host(points))
    host.germinate("s0", "residual_mlp", seed=0)
    seed = host.slot("s0").seed
    assert isinstance(seed, torch.nn.Sequential)
    # All but the last layer, which is zero at birth.
    assert is_bent(seed[:-1](host.blocks[0](points)))
