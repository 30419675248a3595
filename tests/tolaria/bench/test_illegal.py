import pytest
import torch

from tolaria.bench.illegal import illegal_probability
from tolaria.environments.named import maker
from tolaria.policy import distribution
from tolaria.practice.presets import preset
from tolaria.practice.training import train_env


def test_a_mask_that_only_discourages_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    make_env = maker("tolaria/MaskedCounting-v0")
    done = train_env(make_env, preset("tolaria/MaskedCounting-v0", 1), 0, steps=1)
    assert illegal_probability(done, make_env, 0) == 0.0
    monkeypatch.setattr(distribution, "masked_log_softmax", lambda logits, mask: (logits - 5.0 * (~mask).float()).log_softmax(-1))
    assert illegal_probability(done, make_env, 0) > 1e-4
    assert torch.is_grad_enabled()
