import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from tolaria.host.mlp_host import MlpHost
from tolaria.host.randomness import seeded


@pytest.fixture
def hurried() -> Iterator[None]:
    """Threads give way as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


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


def test_whoever_has_the_generator_may_ask_for_it_again() -> None:
    with seeded(7):
        torch.rand(2)
        with seeded(8):
            inner = torch.rand(1)
        outer = torch.rand(1)
    with seeded(8):
        assert inner.tolist() == torch.rand(1).tolist()
    with seeded(7):
        assert outer.tolist() == torch.rand(3)[2:].tolist()


def test_hosts_that_four_threads_build_at_once_are_those_that_their_seeds_name(hurried: None) -> None:
    def built(seed: int) -> list[float]:
        return MlpHost(inputs=2, width=24, depth=4, classes=3, seed=seed).head.weight.view(-1).tolist()

    before = torch.random.get_rng_state()
    expected = [built(seed) for seed in range(200)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(built, range(200))) == expected
    assert torch.equal(torch.random.get_rng_state(), before)
