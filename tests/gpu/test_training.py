"""Training as it is done on a device: in half precision with a scaler, and as a graph that is captured once."""

import math
from collections.abc import Callable

import pytest
import torch
from torch.nn import functional as F

from tolaria.governor.config import GovernorConfig
from tolaria.integrations.plain import Guard, Outcome, watch
from tolaria.telemetry.event import Event
from tolaria.telemetry.governor_events import Collapsed, RolledBack

pytestmark = pytest.mark.gpu

DEVICE = torch.device("cuda", 0)
OFTEN = GovernorConfig(detectors="batch", snapshot_every=2, probation=1, digest="offload")


class Trained:
    """A small network that learns one batch by heart."""

    def __init__(self, new_optimizer: Callable[..., torch.optim.Optimizer], scaler: torch.amp.GradScaler | None = None) -> None:
        torch.manual_seed(0)
        self.model = torch.nn.Sequential(torch.nn.Linear(8, 32), torch.nn.ReLU(), torch.nn.Linear(32, 4)).to(DEVICE)
        self.optimizer = new_optimizer(self.model.parameters())
        self.inputs = torch.randn(64, 8, device=DEVICE)
        self.targets = torch.randint(4, (64,), device=DEVICE)
        self.scaler = scaler
        self.events: list[Event] = []

    def watched(self) -> Guard:
        return watch(self.model, self.optimizer, OFTEN, chance_loss=math.log(4), scaler=self.scaler, emit=self.events.append)

    def told(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]

    def bytes(self) -> list[bytes]:
        return [parameter.detach().cpu().numpy().tobytes() for parameter in self.model.parameters()]

    def poison(self) -> None:
        with torch.no_grad():
            next(self.model.parameters()).view(-1)[0] = math.nan


def half_step(loop: Trained, dtype: torch.dtype) -> torch.Tensor:
    assert loop.scaler is not None
    with torch.autocast("cuda", dtype):
        loss = F.cross_entropy(loop.model(loop.inputs), loop.targets)
    loop.optimizer.zero_grad()
    loop.scaler.scale(loss).backward()
    loop.scaler.step(loop.optimizer)
    loop.scaler.update()
    return loss


def adam(parameters: object, **options: bool) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr=0.01, **options)  # type: ignore[arg-type] - whatever a model gives


@pytest.mark.parametrize(("dtype", "overflows"), [(torch.float16, True), (torch.bfloat16, False)])
def test_a_scale_that_overflows_costs_steps_and_no_rollback(dtype: torch.dtype, overflows: bool) -> None:
    loop = Trained(adam, torch.amp.GradScaler("cuda", init_scale=2.0**40))
    guard = loop.watched()
    before = loop.bytes()
    guard.after_step(half_step(loop, dtype))
    assert (loop.bytes() == before) is overflows
    for _ in range(60):
        guard.after_step(half_step(loop, dtype))
    assert loop.told(Collapsed) == []
    assert loop.scaler is not None
    assert (loop.scaler.get_scale() < 2.0**40) is overflows
    assert loop.bytes() != before


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_that_are_lost_in_half_precision_come_back_with_the_scale(dtype: torch.dtype) -> None:
    loop = Trained(adam, torch.amp.GradScaler("cuda"))
    guard = loop.watched()
    for _ in range(8):
        assert guard.after_step(half_step(loop, dtype)).outcome in {Outcome.UNREAD, Outcome.HEALTHY}
    assert loop.scaler is not None
    scale = loop.scaler.get_scale()
    loop.poison()
    outcomes = [guard.after_step(half_step(loop, dtype)).outcome for _ in range(3)]
    assert outcomes.count(Outcome.ROLLED_BACK) == 1
    assert all(bool(torch.isfinite(parameter).all()) for parameter in loop.model.parameters())
    assert loop.scaler.get_scale() == scale


def captured(loop: Trained) -> tuple[torch.cuda.CUDAGraph, torch.Tensor]:
    """The whole step as a graph, after steps on a stream of their own as PyTorch asks for; the loss is where it leaves it."""

    def step() -> torch.Tensor:
        loss = F.cross_entropy(loop.model(loop.inputs), loop.targets)
        loss.backward()
        loop.optimizer.step()
        return loss

    aside = torch.cuda.Stream(DEVICE)
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(3):
            loop.optimizer.zero_grad()
            step()
    torch.cuda.current_stream().wait_stream(aside)
    loop.optimizer.zero_grad()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = step()
    return graph, loss


def test_a_captured_step_goes_on_from_what_a_rollback_has_restored() -> None:
    loop = Trained(lambda parameters: adam(parameters, capturable=True))
    graph, loss = captured(loop)
    guard = loop.watched()
    places = [parameter.data_ptr() for parameter in loop.model.parameters()]
    for _ in range(8):
        graph.replay()
        guard.after_step(loss)
    loop.poison()
    outcomes = []
    for _ in range(3):
        graph.replay()
        outcomes.append(guard.after_step(loss).outcome)
    assert outcomes.count(Outcome.ROLLED_BACK) == 1
    assert [parameter.data_ptr() for parameter in loop.model.parameters()] == places
    (rollback,) = loop.told(RolledBack)
    assert isinstance(rollback, RolledBack)
    for _ in range(20):
        graph.replay()
        answer = guard.after_step(loss)
    assert answer.outcome is Outcome.HEALTHY
    assert float(loss) < math.log(4)


def test_snapshots_between_replays_are_whole() -> None:
    loop = Trained(lambda parameters: adam(parameters, capturable=True))
    graph, loss = captured(loop)
    guard = loop.watched()
    kept: dict[int, list[bytes]] = {}
    for step in range(1, 13):
        graph.replay()
        guard.after_step(loss)
        kept[step] = loop.bytes()
    torch.cuda.synchronize()
    names = [f"model/{name}" for name, _ in loop.model.named_parameters()]
    trusted = [snapshot for snapshot in guard.governor.snapshots.trusted() if snapshot.step > 0]
    assert trusted
    for snapshot in trusted:
        # Taken one call after its step was replayed at the latest.
        assert [snapshot.tensors[name].numpy().tobytes() for name in names] == kept[snapshot.step]
