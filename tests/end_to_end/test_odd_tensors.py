"""Tensors that few models hold: watched, copied, looked at and brought back like any other."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from tolaria.governor.arena import Arena, Bound
from tolaria.governor.config import GovernorConfig
from tolaria.integrations.plain import Answer, Guard, Outcome, watch

NAN = float("nan")
CONFIG = GovernorConfig(snapshot_every=3, probation=1)
Make = Callable[[], torch.Tensor]


def made_in_inference() -> torch.Tensor:
    with torch.inference_mode():
        return torch.ones(2, 3).T * 2.0


ODD: dict[str, Make] = {
    "repeated": lambda: torch.tensor([1.0, 2.0]).expand(3, 2),
    "repeated inside": lambda: torch.tensor([[1.0], [2.0]]).expand(2, 3),
    "overlapping": lambda: torch.arange(6.0).unfold(0, 3, 1),
    "from inference": made_in_inference,
    "conjugated": lambda: torch.full((2,), 1.0 + 2.0j).conj(),
    "negated": lambda: torch.full((2,), 1.0 + 2.0j).conj().imag,
    "complex": lambda: torch.full((2, 2), 1.0 + 2.0j),
    "eight bits": lambda: torch.ones(3).to(torch.float8_e4m3fn),
    "boolean": lambda: torch.tensor([True, False]),
    "nothing": lambda: torch.empty(0),
}


class Odd(nn.Linear):
    """A layer with a buffer that it never uses."""

    odd: torch.Tensor

    def __init__(self, buffer: torch.Tensor) -> None:
        super().__init__(4, 4)
        self.register_buffer("odd", buffer, persistent=False)


class Loop:
    """A model with one odd buffer, trained under a guard."""

    def __init__(self, buffer: torch.Tensor) -> None:
        torch.manual_seed(0)
        self.model = Odd(buffer)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01)
        self.guard: Guard = watch(self.model, self.optimizer, CONFIG, chance_loss=2.0)

    def step(self) -> Answer:
        self.optimizer.zero_grad()
        loss = self.model(torch.ones(2, 4)).pow(2).mean()
        loss.backward()
        self.optimizer.step()
        return self.guard.after_step(loss)

    def run(self, steps: int) -> None:
        assert [self.step().outcome for _ in range(steps)] == [Outcome.HEALTHY] * steps

    def odd(self) -> tuple[torch.dtype, list[object]]:
        return self.model.odd.dtype, self.model.odd.to(torch.complex64 if self.model.odd.is_complex() else torch.float32).tolist()

    def spoil(self) -> None:
        with torch.no_grad():
            self.model.weight[0, 0] = NAN


@pytest.mark.parametrize("kind", ODD)
def test_a_host_with_such_a_buffer_is_rolled_back(kind: str) -> None:
    loop = Loop(ODD[kind]())
    before = loop.odd()
    loop.run(7)
    loop.spoil()
    assert loop.step().outcome is Outcome.ROLLED_BACK
    assert loop.odd() == before
    assert loop.model.weight.isfinite().all()


@pytest.mark.parametrize("kind", ["repeated", "repeated inside", "from inference", "conjugated", "negated", "complex", "eight bits"])
def test_what_was_written_to_it_since_is_taken_back(kind: str) -> None:
    loop = Loop(ODD[kind]())
    before = loop.odd()
    loop.run(7)
    with torch.inference_mode(loop.model.odd.is_inference()):
        parts = loop.model.odd.narrow(0, 0, 1) if kind == "repeated" else loop.model.odd.narrow(-1, 0, 1)
        parts.copy_(torch.zeros(1))
    assert loop.odd() != before
    loop.spoil()
    assert loop.step().outcome is Outcome.ROLLED_BACK
    assert loop.odd() == before


@pytest.mark.parametrize("kind", ODD)
def test_a_buffer_that_becomes_such_a_one_is_seen(kind: str) -> None:
    """Also where the new one begins at the address of the old one, as those do that hold nothing."""
    plain = torch.empty(ODD[kind]().shape)
    loop = Loop(plain.fill_(3.0))
    loop.run(4)
    loop.model.odd = ODD[kind]()
    before = loop.odd()
    loop.run(6)
    loop.spoil()
    assert loop.step().outcome is Outcome.ROLLED_BACK
    assert loop.odd() == before


def test_a_view_of_another_dtype_at_the_same_address_is_seen() -> None:
    loop = Loop(torch.zeros(4))
    loop.run(4)
    loop.model.odd = loop.model.odd.view(torch.int32).fill_(-1)
    loop.run(6)
    loop.spoil()
    assert loop.step().outcome is Outcome.ROLLED_BACK
    assert loop.model.odd.tolist() == [-1] * 4


def test_a_conjugate_at_the_same_address_is_seen() -> None:
    loop = Loop(torch.full((2,), 1j))
    loop.run(4)
    loop.model.odd = loop.model.odd.conj()
    loop.run(6)
    assert loop.guard.governor.snapshots.trusted()[0].tensors["model/odd"].tolist() == [-1j, -1j]


@pytest.mark.parametrize("kind", ["complex", "eight bits"])
def test_one_that_is_no_number_is_noticed(kind: str) -> None:
    loop = Loop(ODD[kind]())
    loop.run(7)
    loop.model.odd.view(torch.uint8 if kind == "eight bits" else torch.float32).view(-1)[0] = 0x7F if kind == "eight bits" else NAN
    # Buffers are looked at when a snapshot is due.
    assert [loop.step().outcome for _ in range(2)] == [Outcome.HEALTHY, Outcome.ROLLED_BACK]


def test_a_buffer_may_be_resized_as_ever_and_what_that_means_for_snapshots_is_told() -> None:
    loop = Loop(torch.zeros(4))
    loop.run(4)
    loop.model.odd.resize_(1000).fill_(5.0)
    with pytest.warns(RuntimeWarning, match="a snapshot was refused: LayoutChanged: model/odd"):
        loop.run(6)
    assert loop.model.odd.tolist() == [5.0] * 1000


@pytest.mark.parametrize("kind", ODD)
def test_it_comes_back_one_by_one_too(kind: str) -> None:
    tensors = {"odd": ODD[kind]()}
    bound = Bound.to(tensors)
    arena = Arena.allocate(bound.layout, bound.device)
    arena.copy_in(bound, bool)
    wanted, asked = tensors["odd"].tolist(), []
    arena.copy_out(tensors, tensors, asked.append)
    assert (tensors["odd"].tolist(), asked) == (wanted, [0])
