"""What tests on a device share: a state that takes a while to travel, and training that ends in values one can recognise."""

from collections.abc import Callable

import pytest
import torch

from tolaria.governor.arena import CPU, Arena, Bound
from tolaria.governor.offload import CHUNK_BYTES

DEVICE = torch.device("cuda", 0)
# Three chunks and a bit, so that a transfer takes longer than the host needs to go on.
LARGE = 3 * CHUNK_BYTES // 4 + 17
# Long enough for the host to have queued everything that follows.
CYCLES = 200_000_000

Tensors = dict[str, torch.Tensor]


@pytest.fixture
def new_state() -> Callable[[], Tensors]:
    """Makes weights on the device, of two dtypes."""
    return lambda: {
        "host/weight": torch.nn.Parameter(torch.zeros(LARGE, device=DEVICE)),
        "host/half": torch.zeros(33, dtype=torch.bfloat16, device=DEVICE),
    }


@pytest.fixture
def train() -> Callable[[Tensors, float], None]:
    """A step on the current stream that ends in these values, behind work that keeps the device busy."""

    def step(live: Tensors, value: float) -> None:
        torch.cuda._sleep(CYCLES)
        with torch.no_grad():
            for tensor in live.values():
                tensor.fill_(value)

    return step


@pytest.fixture
def new_arena() -> Callable[[Bound], Arena]:
    """Makes pinned storage for what is bound."""
    return lambda bound: Arena.allocate(bound.layout, CPU, True, bound.in_host_memory)


@pytest.fixture
def holds() -> Callable[[Arena, float], bool]:
    """Whether there is nothing but this value in an arena."""
    return lambda arena, value: all(bool((view == value).all()) for view in arena.views.values())
