"""The drill beside a loop of one weight."""

from typing import Any

import torch

from firedrill.events import RollbackObserved, SnapshotObserved
from firedrill.subjects.drill import Drill, drive, in_history, optimizer_live, tensors_of
from firedrill.subjects.loop import Setup
from tolaria.seams import Seam
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.governor_events import EnvironmentRetired, RolledBack, SnapshotTaken, UpdateGated
from tolaria.telemetry.history import History
from tolaria.telemetry.run_events import RunAborted, RunFinished, RunStarted, StepFinished

from .test_mechanisms import Bench


class Loop:
    """A weight that is pulled to zero; `step_number` raises where it is told to."""

    scaler = None
    chance_loss = 1.0

    def __init__(self, fails_at: int = 99) -> None:
        self.model = torch.nn.Linear(1, 1, bias=False)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9)
        self.fails_at = fails_at
        self.steps = 0

    def batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.ones(2, 1), torch.zeros(2, 1)

    def loss(self, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        loss: torch.Tensor = ((self.model(inputs) - targets) ** 2).mean()
        return loss

    def backward(self, loss: torch.Tensor) -> None:
        loss.backward()

    def step(self, loss: torch.Tensor) -> None:
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.steps += 1
        if self.steps == self.fails_at:
            raise RuntimeError("the loop itself")

    def validate(self) -> tuple[float, float]:
        return float(self.model.weight.detach().square()), 0.5


class Listener:
    """Taps that write down what passes, and return it."""

    def __init__(self) -> None:
        self.passed: list[tuple[str, Point]] = []

    def pass_through(self, seam: Seam[Any], at: Point, value: Any) -> Any:
        self.passed.append((seam.name, at))
        return value


def drilled(loop: Loop, steps: int = 3, early: tuple[Event, ...] = ()) -> tuple[list[Event], Listener, Drill]:
    history, listener = History(), Listener()
    drill = Drill(Setup(7, "cpu", steps, "tolaria"), history, listener)
    for event in early:
        drill.emit(event)
    error = None
    try:
        drive(loop, drill)
    except RuntimeError as raised:
        error = raised
    drill.finish(error)
    return history.events, listener, drill


def test_a_step_passes_its_seams_in_the_order_of_a_step_of_ours() -> None:
    _, listener, _ = drilled(Loop(), steps=1)
    named = [name for name, _ in listener.passed]
    assert named == ["step_begun", "batch_ready", "loss_ready", "gradients_ready", "weights_updated", "step_finished"]
    assert {at for _, at in listener.passed} == {Point(0, 0), Point(0, 0, 0)}


def test_a_run_is_recorded_from_its_beginning_to_its_end() -> None:
    events, _, _ = drilled(Loop())
    assert isinstance(events[0], RunStarted)
    assert [event.at.step for event in events if isinstance(event, StepFinished)] == [0, 1, 2]
    assert events[-1] == RunFinished(Point(2), (0.5,))


def test_an_error_of_the_loop_is_told_and_its_last_step_is_measured() -> None:
    events, _, _ = drilled(Loop(fails_at=2))
    assert [event.at.step for event in events if isinstance(event, StepFinished)] == [0, 1]
    assert events[-1] == RunAborted(Point(1), "builtins.RuntimeError", "the loop itself")


def test_a_training_that_its_mechanism_ended_is_no_crash() -> None:
    events, _, _ = drilled(Loop(fails_at=2), early=(EnvironmentRetired(Point(2), 0, "enough"),))
    assert isinstance(events[-1], RunFinished)


def test_what_was_told_before_the_loop_was_there_stands_after_the_beginning() -> None:
    events, listener, _ = drilled(Loop(), early=(SnapshotTaken(Point(0), 0, "", 8, "begin"),))
    assert [type(event) for event in events[:3]] == [RunStarted, SnapshotTaken, SnapshotObserved]
    assert listener.passed[0] == ("snapshot_taken", Point(0, 0))


def test_a_rollback_is_looked_at_before_it_is_told() -> None:
    bench = Bench("reload_on_nan")
    history = History()
    drill = Drill(Setup(7, "cpu", 3, "reload_on_nan"), history, Listener())
    drill.attach(Loop())
    bench.step([0.3, 0.4])
    bench.step([0.3, 0.4], torch.tensor(float("nan")))
    for event in bench.events:
        drill.emit(event)
    assert [type(event) for event in history.events[-2:]] == [RollbackObserved, RolledBack]
    observed = history.events[-2]
    assert isinstance(observed, RollbackObserved)
    assert (observed.at, observed.identity_kept, observed.optimizer_live) == (Point(1, 0), True, True)


def test_steps_are_counted_from_0_and_what_came_before_them_belongs_to_the_first() -> None:
    assert in_history(UpdateGated(Point(5), 5)) == UpdateGated(Point(4, 0), 4)
    assert in_history(SnapshotTaken(Point(0), 0, "", 8, "begin")).at == Point(0, 0)


def test_tensors_bear_the_names_that_oracles_know() -> None:
    loop = Loop()
    drilled(loop)
    assert set(tensors_of(loop)) == {"host/weight", "optimizer/host/weight/momentum_buffer"}


def test_an_optimizer_that_holds_dead_parameters_is_seen() -> None:
    loop = Loop()
    assert optimizer_live(loop)
    loop.model = torch.nn.Linear(1, 1, bias=False)
    assert not optimizer_live(loop)
