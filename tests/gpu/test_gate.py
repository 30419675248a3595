"""The gate on a CUDA device: bad gradients are left out on the device, and nothing waits for it."""

import math
from collections.abc import Iterator

import pytest
import torch
from torch.nn import functional as F

from tolaria.env.capsule import CapsuleHost
from tolaria.env.config import TrainingConfig
from tolaria.gate import Gate
from tolaria.governor.config import GovernorConfig
from tolaria.integrations.plain import Guard, watch
from tolaria.seams import GRADIENTS_READY, NO_TAPS, Seam, T, Taps
from tolaria.tasks import TASKS
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.governor_events import UpdateGated

pytestmark = pytest.mark.gpu

DEVICE = torch.device("cuda")
# Never due while the device is watched: a snapshot waits for other streams.
RARELY = GovernorConfig(detectors="batch", snapshot_every=1000)


@pytest.fixture
def unwaiting() -> Iterator[None]:
    """Whatever waits for the device raises; set by the test itself once everything has been loaded."""
    yield
    torch.cuda.set_sync_debug_mode("default")


def raw(tensors: dict[str, torch.Tensor]) -> dict[str, bytes]:
    return {name: tensor.detach().cpu().numpy().tobytes() for name, tensor in tensors.items()}


class Loop:
    """A small network on the device, under a guard with a gate."""

    def __init__(self, fused: type[torch.optim.Optimizer] = torch.optim.AdamW) -> None:
        torch.manual_seed(0)
        self.model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).to(DEVICE)
        momentum = {"momentum": 0.9} if fused is torch.optim.SGD else {}
        self.optimizer = fused(self.model.parameters(), lr=0.01, fused=True, **momentum)  # type: ignore[call-arg] - every fused one
        self.inputs = torch.randn(16, 4, device=DEVICE)
        self.targets = torch.randint(3, (16,), device=DEVICE)
        self.events: list[Event] = []
        self.guard: Guard = watch(self.model, self.optimizer, RARELY, chance_loss=math.log(3), emit=self.events.append).gated()

    def step(self, factor: float = 1.0) -> str:
        loss = F.cross_entropy(self.model(self.inputs), self.targets) * factor
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return self.guard.after_step(loss).outcome.value

    def trained(self) -> dict[str, bytes]:
        named = dict(self.model.named_parameters())
        state = {f"{name}/{key}": value for name, p in named.items() for key, value in self.optimizer.state[p].items()}
        return raw(named | state)


@pytest.mark.parametrize("fused", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW])
def test_a_nan_gradient_leaves_every_byte_as_it_was_and_is_told_one_step_late(fused: type[torch.optim.Optimizer]) -> None:
    loop = Loop(fused)
    for _ in range(4):
        loop.step()
    before = loop.trained()
    assert loop.step(math.nan) == "healthy"
    assert loop.trained() == before
    assert [loop.step(), loop.step()] == ["gated", "healthy"]
    assert [(event.at.step, event.flagged) for event in loop.events if isinstance(event, UpdateGated)] == [(6, 5)]


def test_a_gated_first_step_of_sgd_leaves_no_uninitialised_momentum() -> None:
    loop = Loop(torch.optim.SGD)
    loop.step(math.nan)
    assert all(bool((loop.optimizer.state[p]["momentum_buffer"] == 0.0).all()) for p in loop.model.parameters())


def test_a_guarded_loop_with_a_gate_never_waits_for_the_device(unwaiting: None) -> None:
    loop = Loop()
    for _ in range(3):
        loop.step()
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    assert [loop.step() for _ in range(5)] == ["healthy"] * 5


class Bad:
    """Taps that spoil a gradient of the second batch, on the device."""

    def pass_through(self, seam: Seam[T], at: Point, value: T) -> T:
        if seam is GRADIENTS_READY and at.batch == 1:
            next(iter(value.host.own_parameters().values())).grad.view(-1)[0].fill_(math.nan)
        return value


def host_with(taps: Taps, optimizer: str, told: list[Event]) -> CapsuleHost:
    config = TrainingConfig(batches_per_step=3, warmup_batches=0, optimizer=optimizer, learning_rate=0.01, gate=True)
    return CapsuleHost(TASKS["spirals"](), config, 0, DEVICE, taps, told.append)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_batches_of_a_growing_host_are_trained_without_waiting(optimizer: str, unwaiting: None) -> None:
    host = host_with(NO_TAPS, optimizer, [])
    host.train(Point(0, 0))
    host.host.train()
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    for batch in range(3):
        host.train_batch(Point(1, 0, batch))


def test_a_bad_batch_of_a_growing_host_is_left_out() -> None:
    told: list[Event] = []
    host = host_with(Bad(), "adam", told)
    trained = host.train(Point(0, 0))
    assert trained.gated
    assert math.isfinite(trained.loss)
    assert host.nonfinite_places() == ()
    assert told == [UpdateGated(Point(0, 0), 0, (1,))]


def test_a_gate_before_several_devices_is_asked_for_once() -> None:
    """Flags of optimizers on the host and on the device come together where the first one lies."""
    pair = [torch.nn.Parameter(torch.ones(2, device=device)) for device in ("cuda", "cpu")]
    optimizers = [torch.optim.SGD([parameter], lr=0.1, fused=True) for parameter in pair]
    gate = Gate(optimizers)
    for parameter in pair:
        parameter.grad = torch.full_like(parameter, math.nan if parameter.device.type == "cpu" else 1.0)
    for optimizer in optimizers:
        optimizer.step()
    flag = gate.take()
    assert flag is not None
    assert (flag.device.type, float(flag)) == ("cuda", 1.0)
