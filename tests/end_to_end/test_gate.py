"""A gate before a whole loop: a bad gradient is left out on the device, read late, and no candidate from then is kept."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from tolaria.env.config import TrainingConfig
from tolaria.errors import ConfigError
from tolaria.governor.config import GovernorConfig
from tolaria.integrations.loop_state import LoopParts
from tolaria.integrations.plain import Answer, Guard, watch
from tolaria.integrations.readings import AtOnce, OneStepLate, Reading
from tolaria.seams import GRADIENTS_READY, Seam, T
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.governor_events import Collapsed, RolledBack, SnapshotTaken, SnapshotTrusted, SnapshotWithdrawn, UpdateGated
from tolaria.telemetry.history import History
from tolaria.train.config import TrainConfig
from tolaria.train.trainer import Trainer

NAN = math.nan
OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.05, momentum=0.9, fused=True),
    "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=0.01, fused=True),
}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Loop:
    """A small network with batch statistics; `micro` micro-batches an optimizer step, and a scaler where one is asked for."""

    def __init__(self, reading: Reading, trainer: str = "adamw", micro: int = 1, scale: float | None = None, **settings: int) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            self.model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
        self.optimizer = OPTIMIZERS[trainer](self.model.parameters())
        self.scaler = torch.amp.GradScaler("cpu", init_scale=scale or 1.0, growth_interval=1000, enabled=scale is not None)
        self.data = torch.Generator().manual_seed(1)
        self.micro = micro
        self.events: list[Event] = []
        parts = LoopParts(self.model, [self.optimizer], scaler=self.scaler)
        config = GovernorConfig(detectors="batch", **({"snapshot_every": 4, "probation": 1} | settings))
        self.guard = Guard(parts, config, math.log(3), reading, self.events.append).gated()

    def step(self, inputs: float = 1.0, loss: float = 1.0, gradient: float | None = None) -> Answer:
        """One optimizer step; factors of the inputs and the loss of its first micro-batch, a number written into a gradient."""
        losses = []
        for number in range(self.micro):
            points = torch.randn(16, 4, generator=self.data)
            logits = self.model(points if number else points * inputs)
            losses.append(F.cross_entropy(logits, (points[:, 0] > 0).long()) * (1.0 if number else loss))
            self.scaler.scale(losses[-1]).backward()
        weight = self.model[3].weight.grad
        if gradient is not None and weight is not None:
            weight[0, 0] = gradient
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()
        return self.guard.after_step(torch.stack(losses))

    def skip(self) -> None:
        """What the same loop does that leaves a batch out: the forward pass alone."""
        for _ in range(self.micro):
            self.model(torch.randn(16, 4, generator=self.data))

    def trained(self) -> dict[str, bytes]:
        """What an optimizer writes: weights, moments, step counters."""
        named = dict(self.model.named_parameters())
        state = {f"{name}/{key}": value for name, p in named.items() for key, value in self.optimizer.state[p].items()}
        return {name: tensor.detach().numpy().tobytes() for name, tensor in (named | state).items()}

    def lasting(self) -> dict[str, bytes]:
        """All of it, with batch statistics."""
        return self.trained() | {name: tensor.numpy().tobytes() for name, tensor in self.model.named_buffers()}

    def told(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def late() -> OneStepLate:
    return OneStepLate(torch.device("cpu"))


@pytest.mark.parametrize("reading", [AtOnce, late])
@pytest.mark.parametrize("trainer", OPTIMIZERS)
def test_a_nan_gradient_is_left_out_and_the_run_goes_on_as_if_its_batch_had_been(trainer: str, reading: Callable[[], Reading]) -> None:
    struck, spared = Loop(reading(), trainer), Loop(reading(), trainer)
    for step in range(1, 13):
        before = struck.trained() if step > 1 else {}
        struck.step(gradient=NAN if step == 6 else None)
        if step == 6:
            assert struck.trained() == before
            spared.skip()
        else:
            spared.step()
    assert struck.lasting() == spared.lasting()
    assert [event.flagged for event in struck.told(UpdateGated)] == [6]
    assert struck.told(Collapsed) == []
    # The steps that its weights have behind them.
    assert struck.guard.steps == 11


def test_a_flag_that_comes_late_withdraws_the_candidate_that_was_taken_in_its_step() -> None:
    loop = Loop(late())
    outcomes = [loop.step(gradient=NAN if step == 8 else None).outcome for step in range(1, 13)]
    # A snapshot is due in step 8, when step 7 has been read; that its own gradient was bad is known in step 9.
    assert outcomes[6:] == ["healthy", "healthy", "gated", "healthy", "healthy", "healthy"]
    assert [(event.at.step, event.snapshot) for event in loop.told(SnapshotTaken)] == [(0, 0), (4, 1), (8, 2), (10, 3)]
    assert [(event.at.step, event.flagged) for event in loop.told(UpdateGated)] == [(9, 8)]
    assert [(event.at.step, event.snapshot, event.flagged) for event in loop.told(SnapshotWithdrawn)] == [(9, 2, 8)]
    assert [event.snapshot for event in loop.told(SnapshotTrusted)] == [1, 3]
    assert [snapshot.number for snapshot in loop.guard.governor.snapshots.published] == [3, 1, 0]


def test_a_candidate_of_a_step_before_stays_and_comes_no_nearer_to_being_trusted() -> None:
    loop = Loop(late(), probation=2)
    for step in range(1, 13):
        loop.step(gradient=NAN if step == 9 else None)
    assert loop.told(SnapshotWithdrawn) == []
    # Trusted after the steps 8, 10 and 11, which were read in the steps 9, 11 and 12.
    assert [(event.at.step, event.snapshot) for event in loop.told(SnapshotTrusted)] == [(7, 1), (12, 2)]


@pytest.mark.parametrize("micro", [1, 3])
def test_a_nan_loss_costs_its_own_step_and_no_rollback(micro: int) -> None:
    loop = Loop(late(), micro=micro)
    outcomes = [loop.step(loss=NAN if step == 6 else 1.0).outcome for step in range(1, 10)]
    assert outcomes == ["unread", *["healthy"] * 5, "gated", "healthy", "healthy"]
    assert loop.told(RolledBack) == []


def test_a_network_of_which_no_gradient_comes_through_any_more_is_rolled_back() -> None:
    loop = Loop(AtOnce())
    answers = [loop.step(gradient=NAN if step >= 6 else None) for step in range(1, 10)]
    assert [answer.outcome for answer in answers][5:] == ["gated", "gated", "rolled_back", "gated"]
    assert (answers[7].cause, answers[7].snapshot_step) == ("non_finite", 4)
    assert [event.evidence for event in loop.told(Collapsed)] == ["not finite: gradients"]


def test_batch_statistics_that_the_gate_cannot_protect_are_rolled_back_at_once() -> None:
    loop = Loop(AtOnce())
    for _ in range(6):
        loop.step()
    answer = loop.step(inputs=NAN)
    assert (answer.outcome, answer.snapshot_step) == ("rolled_back", 4)
    assert [event.evidence for event in loop.told(Collapsed)] == ["not finite: buffers, train_loss, val_loss"]
    assert loop.step().outcome == "healthy"


def test_a_weight_that_a_bit_flip_spoils_is_rolled_back_although_its_gradients_are_gated() -> None:
    loop = Loop(late())
    for _ in range(6):
        loop.step()
    with torch.no_grad():
        loop.model[3].weight[0, 0] = NAN
    assert [loop.step().outcome for _ in range(2)] == ["healthy", "rolled_back"]


def test_a_scaler_may_overflow_as_often_as_it_must_while_it_looks_for_its_scale() -> None:
    # So many gradients add up to more than the largest scale allows.
    loop = Loop(AtOnce(), micro=90, scale=2.0**127)
    outcomes = [loop.step().outcome for _ in range(9)]
    gated = outcomes.count("gated")
    assert gated > 3
    assert outcomes == ["gated"] * gated + ["healthy"] * (9 - gated)
    assert loop.scaler.get_scale() == 2.0 ** (127 - gated)


def test_after_the_end_the_optimizer_is_one_that_nobody_gates() -> None:
    loop = Loop(late())
    loop.step()
    loop.step(gradient=NAN)
    answer = loop.guard.finish()
    assert answer is not None
    assert answer.outcome == "gated"
    for parameter in loop.model.parameters():
        parameter.grad = torch.full_like(parameter, NAN)
    loop.optimizer.step()
    assert all(bool(parameter.isnan().all()) for parameter in loop.model.parameters())


def test_watch_puts_the_gate_before_fused_optimizers_and_refuses_others() -> None:
    model = torch.nn.Linear(2, 2)
    with pytest.raises(ConfigError, match="SGD without fused kernels"):
        watch(model, torch.optim.SGD(model.parameters(), lr=0.1), chance_loss=1.0).gated()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, fused=True)
    guard = watch(model, optimizer, chance_loss=1.0).gated()
    (model(torch.ones(1, 2)).sum() * NAN).backward()
    optimizer.step()
    assert guard.after_step(NAN).outcome == "gated"
    assert bool(torch.isfinite(model.weight).all())


# A run of growing hosts.


class Struck:
    """Taps that put NaN into a gradient of environment 1, in these steps."""

    def __init__(self, steps: tuple[int, ...]) -> None:
        self.steps = steps

    def pass_through(self, seam: Seam[T], at: Point, value: T) -> T:
        if seam is GRADIENTS_READY and at.env == 1 and at.step in self.steps and at.batch == 1:
            next(iter(value.host.own_parameters().values())).grad.view(-1)[0] = NAN
        return value


def run_of(steps: tuple[int, ...], **settings: Any) -> list[Event]:
    training = TrainingConfig(batches_per_step=2, warmup_batches=0, **settings)
    config = TrainConfig(task="spirals", envs=2, steps=14, rollout_steps=14, training=training, governor=GovernorConfig(snapshot_every=3))
    trainer = Trainer.tapped(config, History(), Struck(steps))
    assert trainer.train()
    return trainer.run.history.events


def test_a_gated_step_of_a_growing_host_is_no_collapse_and_gives_no_snapshot() -> None:
    events = [event for event in run_of((6, 7), gate=True) if event.at.env == 1]
    assert [event for event in events if isinstance(event, (Collapsed, RolledBack))] == []
    assert [event for event in events if isinstance(event, UpdateGated)] == [UpdateGated(Point(s, 1), s, (1,)) for s in (6, 7)]
    # Due in the steps 6 and 11 otherwise.
    assert [event.at.step for event in events if isinstance(event, SnapshotTaken)] == [0, 3, 8, 11]
    # Its probation counts the steps 4, 5 and 8, not those that were gated.
    assert [event.at.step for event in events if isinstance(event, SnapshotTrusted)] == [8, 11]


def test_without_a_gate_the_same_gradient_costs_a_rollback() -> None:
    assert [event.at.step for event in run_of((6,)) if isinstance(event, RolledBack)] == [6]
