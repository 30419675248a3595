"""A guard beside a loop: what it notices, what it gives back to the last bit, what it leaves alone."""

import copy
import io
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from tolaria.errors import BudgetSpent, ConfigError, GraphOutdated, RollbackFailed
from tolaria.governor.config import GovernorConfig
from tolaria.governor.snapshots import NotFinite
from tolaria.integrations.loop_state import LoopParts
from tolaria.integrations.plain import Guard, Outcome, watch
from tolaria.integrations.readings import OneStepLate
from tolaria.telemetry.governor_events import Collapsed, RolledBack, SnapshotRefused, SnapshotTaken

NAN = float("nan")
KEEPS_ALL = {"optimizer": "restore"}
FIRST_MOMENTS = {"momentum_buffer", "exp_avg"}

New = Callable[..., Any]


# What is noticed.


def test_a_healthy_loop_is_left_as_it_is_to_the_last_bit(new_loop: New) -> None:
    guarded, bare = new_loop(), new_loop(guarded=False)
    for _ in range(20):
        assert guarded.step().outcome is Outcome.HEALTHY
        bare.train()
    assert guarded.state() == bare.state()


def test_snapshots_are_taken_when_they_are_due(new_loop: New) -> None:
    loop = new_loop(snapshot_every=4)
    loop.run(9)
    assert [event.at.step for event in loop.events if isinstance(event, SnapshotTaken)] == [0, 4, 8]


def test_a_nan_loss_is_rolled_back_in_its_own_step(new_loop: New) -> None:
    loop = new_loop(snapshot_every=4, probation=2)
    loop.run(7)
    answer = loop.step(factor=NAN)
    assert (answer.outcome, answer.step, answer.cause) == (Outcome.ROLLED_BACK, 8, "non_finite")
    assert (answer.snapshot_step, answer.penalty, answer.rate_scale) == (4, None, 1.0)


def test_a_nan_weight_is_noticed_by_the_next_loss(new_loop: New) -> None:
    loop = new_loop()
    loop.run(6)
    loop.spoil()
    assert loop.step().outcome is Outcome.ROLLED_BACK


def test_a_nan_that_no_loss_shows_is_noticed_before_the_next_snapshot(new_loop: New) -> None:
    loop = new_loop(snapshot_every=5)
    loop.run(6)
    loop.ema.module.head.bias.data[0] = NAN
    loop.run(3)
    answer = loop.step()
    assert (answer.outcome, answer.step, answer.snapshot_step) == (Outcome.ROLLED_BACK, 10, 5)
    collapsed = next(event for event in loop.events if isinstance(event, Collapsed))
    assert collapsed.evidence == "not finite: ema"
    assert not [event for event in loop.events if isinstance(event, SnapshotRefused)]


def test_an_exploded_loss_is_suspect_twice_and_rolled_back_the_third_time(new_loop: New) -> None:
    loop = new_loop()
    loop.run(12)
    good = loop.model.head.weight.detach().clone()
    with torch.no_grad():
        loop.model.head.weight.mul_(1e4)
    answers = [loop.step() for _ in range(3)]
    assert [answer.outcome for answer in answers] == ["suspect", "suspect", "rolled_back"]
    assert answers[-1].cause == "loss_explosion"
    assert loop.model.head.weight.abs().max() < 2 * good.abs().max()


def test_a_nan_micro_batch_shows_in_the_mean_of_the_accumulated_losses(new_loop: New) -> None:
    loop = new_loop()
    loop.run(6)
    losses = [loop.loss(), loop.loss() * NAN, loop.loss()]
    torch.stack(losses).mean().backward()
    loop.optimizer.step()
    assert loop.guard.after_step(torch.stack(losses)).outcome is Outcome.ROLLED_BACK


def test_a_nan_micro_batch_that_nobody_reports_is_noticed_one_step_later(new_loop: New) -> None:
    loop = new_loop(snapshot_every=5, **KEEPS_ALL)
    loop.run(5)
    good = loop.state()
    loop.run(3)
    (loop.loss() * NAN).backward()
    last = loop.loss()
    last.backward()
    loop.optimizer.step()
    assert loop.guard.after_step(last).outcome is Outcome.HEALTHY
    answer = loop.step()
    assert (answer.outcome, answer.snapshot_step) == (Outcome.ROLLED_BACK, 5)
    assert loop.state() == good


def test_gradients_of_the_lost_weights_are_not_kept(new_loop: New) -> None:
    loop = new_loop()
    loop.run(6)
    loop.step(factor=NAN)
    assert [parameter.grad for parameter in loop.model.parameters() if parameter.grad is not None] == []


# What is given back.


@pytest.mark.parametrize("trainer", ["sgd", "adam", "adamw"])
def test_a_rollback_gives_back_everything_byte_for_byte(new_loop: New, trainer: str) -> None:
    loop = new_loop(trainer, snapshot_every=5, **KEEPS_ALL)
    loop.run(15)
    good = loop.state()
    loop.run(4)
    assert loop.step(factor=NAN).snapshot_step == 15
    after = loop.state()
    for part, value in good.items():
        assert after[part] == value, part
    assert loop.guard.steps == 15


def test_the_loop_goes_on_as_if_the_lost_steps_had_never_been(new_loop: New) -> None:
    struck, spared = (new_loop(snapshot_every=5, **KEEPS_ALL) for _ in range(2))
    struck.run(10)
    spared.run(10)
    struck.run(4)
    struck.step(factor=NAN)
    struck.data.set_state(spared.data.get_state())
    struck.run(12)
    spared.run(12)
    assert struck.state() == spared.state()


def test_two_rollbacks_to_one_snapshot_are_equal(new_loop: New) -> None:
    loop = new_loop(snapshot_every=9, relapse_steps=0, **KEEPS_ALL)
    loop.run(13)
    loop.step(factor=NAN)
    first = loop.state()
    # Work in place on whatever the first rollback has left in the optimizer.
    loop.run(3)
    answer = loop.step(factor=NAN)
    assert answer.snapshot_step == 9
    assert loop.state() == first


@pytest.mark.parametrize("trainer", ["sgd", "adam", "adamw"])
def test_reset_forgets_first_moments_only(new_loop: New, trainer: str) -> None:
    loop = new_loop(trainer, snapshot_every=5)
    loop.run(5)
    good = loop.state()["optimizer"]
    loop.run(4)
    loop.step(factor=NAN)
    after = loop.state()["optimizer"]
    assert after.keys() == good.keys()
    for key, value in after.items():
        assert value == (bytes(len(value)) if key[1] in FIRST_MOMENTS else good[key]), key


@pytest.mark.parametrize("trainer", ["sgd", "adam", "adamw"])
def test_reset_all_forgets_the_whole_optimizer(new_loop: New, trainer: str) -> None:
    loop = new_loop(trainer, snapshot_every=5, optimizer="reset_all")
    loop.run(9)
    loop.step(factor=NAN)
    assert loop.state()["optimizer"] == {}
    loop.run(3)


def test_the_scheduler_steps_on_from_its_restored_place(new_loop: New) -> None:
    loop = new_loop(snapshot_every=5, **KEEPS_ALL)
    loop.run(14)
    assert loop.optimizer.param_groups[0]["lr"] == 0.005
    loop.step(factor=NAN)
    assert (loop.scheduler.last_epoch, loop.optimizer.param_groups[0]["lr"]) == (10, 0.01)
    loop.run(2)
    assert loop.optimizer.param_groups[0]["lr"] == 0.005


def test_parameters_and_hooks_survive(new_loop: New) -> None:
    loop = new_loop()
    seen: list[int] = []
    loop.model.head.register_forward_hook(lambda *_: seen.append(1))
    loop.model.head.weight.register_hook(lambda _: seen.append(2))
    loop.run(9)
    before = {name: (id(tensor), tensor.data_ptr()) for name, tensor in loop.model.named_parameters()}
    keys = [id(parameter) for parameter in loop.optimizer.state]
    loop.step(factor=NAN)
    assert {name: (id(tensor), tensor.data_ptr()) for name, tensor in loop.model.named_parameters()} == before
    assert sorted(id(parameter) for parameter in loop.optimizer.state) == sorted(keys)
    assert loop.model.tied.weight is loop.model.again.weight
    seen.clear()
    loop.step()
    assert seen == [1, 2]


def test_the_data_stream_is_not_rewound(new_loop: New) -> None:
    struck, spared = new_loop(), new_loop()
    struck.run(8)
    spared.run(8)
    struck.step(factor=NAN)
    spared.step()
    assert torch.equal(struck.batch()[0], spared.batch()[0])


# What is refused.


def test_backward_of_a_loss_from_before_a_rollback_is_refused(new_loop: New) -> None:
    loop = new_loop()
    loop.run(6)
    early = loop.loss()
    loop.step(factor=NAN)
    with pytest.raises(GraphOutdated, match="before a rollback"):
        early.backward()
    loop.run(2)


def test_a_single_layer_gets_no_gradient_of_weights_that_are_gone() -> None:
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    guard = watch(model, optimizer, chance_loss=1.0)
    early = model(torch.ones(1, 2)).sum()
    guard.after_step(NAN)
    with pytest.raises(GraphOutdated):
        early.backward()


def test_a_watched_model_can_be_copied_and_saved(new_loop: New) -> None:
    loop = new_loop()
    loop.run(2)
    twin = copy.deepcopy(loop.model)
    torch.save(loop.model, io.BytesIO())
    assert len(list(twin.parameters())) == len(list(loop.model.parameters()))


def test_a_finished_guard_leaves_no_hook(new_loop: New) -> None:
    loop = new_loop()
    assert len(loop.model._forward_hooks) == 1
    assert loop.guard.finish() is None
    assert len(loop.model._forward_hooks) == 0


def test_a_model_that_is_lost_already_is_not_watched(new_loop: New) -> None:
    loop = new_loop(guarded=False)
    loop.spoil()
    with pytest.raises(NotFinite):
        loop.watched()


def test_an_optimizer_of_other_parameters_is_refused() -> None:
    stranger = torch.optim.SGD(torch.nn.Linear(2, 2).parameters(), lr=0.1)
    with pytest.raises(ConfigError, match="2 parameters that the model does not have"):
        watch(torch.nn.Linear(2, 2), stranger, chance_loss=1.0)


# What happens to a model that keeps collapsing.


def test_the_ladder_goes_older_then_slower_then_stops(new_loop: New) -> None:
    loop = new_loop(snapshot_every=2, probation=1, budget=4)
    loop.run(9)
    first, second, third = (loop.step(factor=NAN) for _ in range(3))
    assert first.snapshot_step > second.snapshot_step
    assert (first.rate_scale, second.rate_scale, third.rate_scale) == (1.0, 1.0, 0.5)
    with pytest.raises(BudgetSpent, match="4 rollbacks within 40 steps, the last for non_finite"):
        loop.step(factor=NAN)
    assert all(torch.isfinite(parameter).all() for parameter in loop.model.parameters())
    with pytest.raises(BudgetSpent):
        loop.step()


def test_a_rate_that_was_cut_stays_cut_over_schedules_and_rollbacks(new_loop: New) -> None:
    loop = new_loop(snapshot_every=2, probation=1, budget=9)
    loop.run(9)
    for _ in range(3):
        loop.step(factor=NAN)
    assert loop.optimizer.param_groups[0]["lr"] == 0.005
    loop.step(factor=NAN)
    assert loop.optimizer.param_groups[0]["lr"] == 0.0025
    while loop.scheduler.last_epoch < 12:
        loop.step()
    assert loop.optimizer.param_groups[0]["lr"] == 0.00125


def test_where_no_snapshot_can_be_trusted_the_loop_stops(new_loop: New) -> None:
    loop = new_loop()
    loop.run(8)
    for snapshot in loop.guard.governor.snapshots.published:
        next(iter(snapshot.tensors.values())).flatten()[0] += 1
    with pytest.raises(RollbackFailed, match="not those that were published"):
        loop.step(factor=NAN)


def test_a_listener_that_fails_does_not_prevent_the_rollback(new_loop: New) -> None:
    loop = new_loop(**KEEPS_ALL)
    loop.run(5)
    good = loop.state()

    def fail(event: object) -> None:
        if isinstance(event, (Collapsed, RolledBack)):
            raise OSError("no space left")

    loop.guard._tell = fail
    loop.run(3)
    with pytest.raises(OSError, match="no space left"):
        loop.step(factor=NAN)
    assert loop.state() == good


# A loss that comes late, as from a device.


def late_guard(loop: Any, **settings: Any) -> Guard:
    return Guard(LoopParts(loop.model, [loop.optimizer]), GovernorConfig(**settings), math.log(3), OneStepLate(torch.device("cpu")))


def test_a_late_loss_is_judged_before_the_step_after_next(new_loop: New) -> None:
    loop = new_loop(guarded=False)
    loop.guard = late_guard(loop, snapshot_every=2, probation=0)
    assert loop.step().outcome is Outcome.UNREAD
    loop.run(5)
    assert loop.step(factor=NAN).outcome is Outcome.HEALTHY
    answer = loop.step()
    assert (answer.outcome, answer.step) == (Outcome.ROLLED_BACK, 8)
    # The loss of the lost weights, which was on its way, is judged by nobody.
    assert loop.step().outcome is Outcome.UNREAD
    assert loop.step().outcome is Outcome.HEALTHY


def test_a_late_loss_never_restores_what_its_own_step_has_spoilt(new_loop: New) -> None:
    loop = new_loop(guarded=False)
    loop.guard = late_guard(loop, snapshot_every=1, probation=0)
    loop.step()
    loop.run(12)
    with torch.no_grad():
        loop.model.head.weight.mul_(1e6)
    outcomes = [loop.step().outcome for _ in range(4)]
    assert outcomes == ["healthy", "suspect", "suspect", "rolled_back"]
    assert loop.model.head.weight.abs().max() < 100


def test_the_last_late_loss_is_judged_at_the_end(new_loop: New) -> None:
    loop = new_loop(guarded=False)
    loop.guard = late_guard(loop)
    loop.step()
    loop.step(factor=NAN)
    answer = loop.guard.finish()
    assert answer is not None
    assert answer.outcome is Outcome.ROLLED_BACK


def test_any_model_may_be_watched() -> None:
    """Several optimizers, plain tensors as averages, no scheduler, a loss that is a number."""
    pair = torch.nn.ModuleList([torch.nn.Linear(3, 3), torch.nn.Linear(3, 1)])
    optimizers = [torch.optim.SGD(pair[0].parameters(), lr=0.1, momentum=0.9), torch.optim.Adam(pair[1].parameters())]
    averages = {"weight": pair[0].weight.detach().clone()}
    guard = watch(pair, optimizers, GovernorConfig(snapshot_every=3, probation=1), chance_loss=1.0, ema=averages)
    good = []
    for step in range(1, 6):
        loss = F.mse_loss(pair[1](pair[0](torch.ones(2, 3))), torch.zeros(2, 1))
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        averages["weight"].lerp_(pair[0].weight.detach(), 0.1)
        assert guard.after_step(loss.item()).outcome is Outcome.HEALTHY
        if step == 3:
            good = [averages["weight"].clone(), *(parameter.detach().clone() for parameter in pair.parameters())]
    assert guard.after_step(NAN).snapshot_step == 3
    assert all(torch.equal(one, other) for one, other in zip([averages["weight"], *pair.parameters()], good, strict=True))


def test_rollbacks_far_apart_cut_no_rate(new_loop: New) -> None:
    loop = new_loop(snapshot_every=2, probation=1, budget_window=5)
    scales = []
    for _ in range(4):
        loop.run(6)
        scales.append(loop.step(factor=NAN).rate_scale)
    assert scales == [1.0] * 4


@pytest.mark.parametrize(("field", "value"), [("rewind", True), ("live_seeds", "restore"), ("optimizer", "rewarm")])
def test_what_only_a_growing_run_has_is_refused(field: str, value: object) -> None:
    model = torch.nn.Linear(2, 2)
    with pytest.raises(ConfigError, match=field):
        watch(model, torch.optim.SGD(model.parameters(), 0.1), GovernorConfig(**{field: value}), chance_loss=1.0)  # type: ignore[arg-type]  # One field at a time.
