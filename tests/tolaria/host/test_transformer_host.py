import pytest
import torch
from torch import nn

from tolaria.errors import ConfigError
from tolaria.host.transformer_host import TransformerHost
from tolaria.lifecycle.seed import Blend

TOKENS = torch.randint(0, 7, (4, 6), generator=torch.Generator().manual_seed(0))


def host(**changes: int) -> TransformerHost:
    return TransformerHost(**({"vocabulary": 7, "context": 6, "width": 8, "depth": 2, "heads": 2, "seed": 1} | changes))


def test_every_place_gets_an_answer() -> None:
    assert host()(TOKENS).shape == (4, 6, 7)
    assert host()(TOKENS[:, :3]).shape == (4, 3, 7)


def test_a_place_is_answered_from_what_stands_before_it_alone() -> None:
    changed = TOKENS.clone()
    changed[:, 3:] = (changed[:, 3:] + 1) % 7
    before, after = host()(TOKENS), host()(changed)
    assert torch.equal(before[:, :3], after[:, :3])
    assert not torch.allclose(before[:, 3:], after[:, 3:])


@pytest.mark.parametrize("blend", Blend)
def test_growing_lets_no_place_see_what_comes_later(blend: Blend) -> None:
    grown = host()
    grown.germinate("s0", "causal_attention", seed=2, blend=blend, steps=0)
    slot = grown.slot("s0")
    slot.state = slot.state.advanced().advanced()
    assert slot.state.alpha == 1.0
    with torch.no_grad():
        for tensor in grown.seed_tensors("s0").values():
            tensor.add_(0.3)
    changed = TOKENS.clone()
    changed[:, 3:] = (changed[:, 3:] + 1) % 7
    assert torch.equal(grown(TOKENS)[:, :3], grown(changed)[:, :3])
    assert not torch.equal(grown(TOKENS), host()(TOKENS))


def test_the_head_shares_the_embedding_which_counts_once() -> None:
    built = host()
    assert built.tensors()["blocks.0.0.tokens.weight"] is dict(built.named_parameters(remove_duplicate=False))["head.linear.weight"]
    assert "head.linear.weight" not in built.tensors()
    # Tokens, places; a block: two norms, queries keys values, out, wide and narrow; the head: norm and bias.
    block = 2 * 16 + 8 * 24 + 24 + 8 * 8 + 8 + 8 * 32 + 32 + 32 * 8 + 8
    assert built.host_parameters() == 7 * 8 + 6 * 8 + 2 * block + 16 + 7


def test_the_shared_weight_stays_shared_on_another_dtype() -> None:
    moved = host().double()
    names = dict(moved.named_parameters(remove_duplicate=False))
    assert names["blocks.0.0.tokens.weight"] is names["head.linear.weight"]


def test_a_seed_learns_from_the_true_loss_at_full_strength() -> None:
    grown = host()
    grown.germinate("s0", "feedforward", seed=2)
    slot = grown.slot("s0")
    slot.state = slot.state.advanced()
    grown(TOKENS)
    assert slot.seed is not None
    optimizer = torch.optim.SGD(slot.seed.parameters(), lr=0.5)
    targets = TOKENS.roll(-1, 1)
    losses = []
    for _ in range(20):
        loss = nn.functional.cross_entropy(grown.shadow("s0", grown.features_at("s0")).flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] - 0.01


def test_slots_can_be_fewer_than_blocks() -> None:
    assert list(TransformerHost(7, 6, 8, 3, 2, seed=1, slots=["s1"]).slots) == ["s1"]
    assert list(host(depth=3).slots) == ["s0", "s1", "s2"]


@pytest.mark.parametrize("name", ["vocabulary", "context", "width", "depth", "heads"])
def test_sizes_are_at_least_one(name: str) -> None:
    with pytest.raises(ConfigError, match=f"host.{name}"):
        host(**{name: 0})


def test_heads_divide_the_width() -> None:
    with pytest.raises(ConfigError, match=r"host\.heads"):
        host(heads=3)


def test_a_sequence_that_is_too_long_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"host\.context: found 12"):
        host()(torch.cat([TOKENS, TOKENS], dim=1))
