"""Our advantages are those of TorchRL, also where segments end in the middle of a rollout."""

import pytest
import torch

from tolaria.ppo.advantages import gae

# TorchRL keeps them in single precision, in which these are exact.
GAMMA, LAMBDA = 0.96875, 0.9375

functional = pytest.importorskip("torchrl.objectives.value.functional")


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("name", ["generalized_advantage_estimate", "vec_generalized_advantage_estimate"])
def test_advantages_are_those_of_torchrl(name: str, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    T, N = 40, 5
    rewards, values, after = (torch.randn(T, N, generator=generator, dtype=torch.float64) for _ in range(3))
    kind = torch.rand(T, N, generator=generator)
    terminated, cut = kind < 0.1, (kind >= 0.1) & (kind < 0.2)
    cut[-1] = ~terminated[-1]
    # A rollback is a terminated row whose reward is the penalty.
    rewards = rewards.masked_fill(kind < 0.03, -10.0)
    following = torch.cat([values[1:], torch.zeros(1, N, dtype=torch.float64)])
    ours = gae(rewards, values, terminated, cut, after, GAMMA, LAMBDA)
    theirs, _ = getattr(functional, name)(
        GAMMA, LAMBDA, values[..., None], torch.where(cut, after, following)[..., None], rewards[..., None],
        done=(terminated | cut)[..., None], terminated=terminated[..., None], time_dim=0,
    )  # fmt: skip
    torch.testing.assert_close(ours, theirs.squeeze(-1), rtol=0.0, atol=1e-10)
