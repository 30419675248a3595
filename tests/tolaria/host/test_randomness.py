import pytest
import torch

from tolaria.host.randomness import seeded


def test_the_same_seed_gives_the_same_numbers() -> None:
    with seeded(7):
        first = torch.rand(3)
    with seeded(7):
        second = torch.rand(3)
    with seeded(8):
        third = torch.rand(3)
    assert first.tolist() == second.tolist() != third.tolist()


def test_the_global_generator_stands_where_it_stood_even_after_an_error() -> None:
    before = torch.random.get_rng_state()
    with pytest.raises(IndexError), seeded(7):
        torch.rand(3)[3]
    assert torch.equal(torch.random.get_rng_state(), before)
