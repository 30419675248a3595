"""What becomes of optimizers when slots change: `training.py`, `growing.py` and `capsule.py` together."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tolaria.env.capsule import CapsuleHost
from tolaria.env.config import TrainingConfig
from tolaria.governor.config import GovernorConfig
from tolaria.governor.rollback import roll_back
from tolaria.governor.snapshots import SnapshotRing
from tolaria.lifecycle.action import WAIT, Action, Op
from tolaria.lifecycle.gates import GateConfig, refusal
from tolaria.lifecycle.seed import Blend
from tolaria.lifecycle.stage import Stage
from tolaria.seams import NO_TAPS
from tolaria.tasks import TASKS
from tolaria.telemetry.event import Point

AT = Point(0, 0)
LEARNING = {Stage.TRAINING, Stage.BLENDING, Stage.HOLDING}
OPEN = GateConfig(training_steps_min=0, magnitude_max=1e9, holding_steps_min=0, contribution_min=-1.0, prune_age_min=0, seeds_max=2)
CLIMB = [Action(op=Op.GERMINATE, slot="s0", blueprint="residual_mlp", tempo=3), *[Action(op=Op.ADVANCE, slot="s0")] * 3]


def build(optimizer: str = "adam", warmup_batches: int = 4) -> CapsuleHost:
    config = TrainingConfig(batches_per_step=1, optimizer=optimizer, warmup_batches=warmup_batches, learning_rate=0.02)
    host = CapsuleHost(TASKS["spirals"](), config, 0, torch.device("cpu"), NO_TAPS, lambda _: None)
    host.loss_before = 1.0
    return host


def move(host: CapsuleHost, action: Action, step: int = 0) -> None:
    """One decision step."""
    host.apply(action, OPEN, Point(step, 0))
    host.train(Point(step, 0))
    host.tick(Point(step, 0))
    host.measure_seeds(Point(step, 0))


def assert_exactly_what_learns(host: CapsuleHost) -> None:
    """Every parameter that learns is in one optimizer, under the name of who owns it, and nothing else is."""
    wanted = {"host": set(host.host.own_parameters())}
    for slot_id, state in host.host.slot_states().items():
        if state.stage in LEARNING:
            wanted[f"{slot_id}.{state.generation}"] = set(host.host.seed_tensors(slot_id))
    names = {id(parameter): name for name, parameter in host.host.named_parameters()}
    held = {
        key: [names[id(parameter)] for group in optimizer.param_groups for parameter in group["params"]]
        for key, optimizer in host.optimizers.items()
    }
    assert {key: set(group) for key, group in held.items()} == wanted
    assert sum(map(len, held.values())) == len(set().union(*held.values()))
    # State of a parameter that is gone would be kept alive, and might meet another one at its place.
    alive = {id(parameter) for parameter in host.host.parameters()}
    assert all(id(parameter) in alive for optimizer in host.optimizers.values() for parameter in optimizer.state)
    assert host.batches_stepped.keys() == host.optimizers.keys()


MOVES = [
    Action(op=op, slot=slot, blueprint="residual_mlp" if op is Op.GERMINATE else "", tempo=3)
    for op in Op
    if op is not Op.WAIT
    for slot in ("s0", "s1")
]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(0, 99), min_size=8, max_size=25), st.integers(0, 24), st.sampled_from(["reset", "restore", "reset_all", "rewarm"])
)
def test_after_every_move_and_every_rollback_optimizers_hold_exactly_what_learns(draws: list[int], fall: int, policy: str) -> None:
    host = build()
    ring = SnapshotRing(2, 0)
    ring.take(host.stable_tensors(), host.facts(), 0, "begin", bool, bool)
    for step, draw in enumerate(draws):
        legal = [action for action in MOVES if refusal(host.host.slot_states(), action.op, action.slot, OPEN) is None]
        move(host, [*legal, WAIT][draw % (len(legal) + 1)], step)
        assert_exactly_what_learns(host)
        if step == fall:
            roll_back(ring, host, Point(step, 0), False, GovernorConfig(optimizer=policy), NO_TAPS)
            assert_exactly_what_learns(host)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_no_seed_inherits_the_moments_of_one_that_grew_in_its_place(optimizer: str) -> None:
    """The same blueprint in the same slot: names and shapes agree, and only the generation tells the two apart."""
    host = build(optimizer)
    for action in CLIMB[:2]:
        move(host, action)
    old = host.optimizers["s0.1"]
    assert all(old.state[parameter] for parameter in host.host.slot("s0").parameters())
    move(host, Action(op=Op.PRUNE, slot="s0"))
    for _ in range(7):
        move(host, WAIT)
    host.apply(CLIMB[0], OPEN, AT)
    host.tick(AT)
    host.apply(CLIMB[1], OPEN, AT)
    assert set(host.optimizers) == {"host", "s0.2"}
    new = host.optimizers["s0.2"]
    assert new is not old
    assert len(new.state) == 0
    assert host.batches_stepped["s0.2"] == 0
    first = {name: parameter.detach().clone() for name, parameter in host.host.slot("s0").named_parameters()}
    host.train(AT)
    moments = ("momentum_buffer", "exp_avg")
    for name, parameter in host.host.slot("s0").named_parameters():
        state = new.state[parameter]
        moment = next(state[key] for key in moments if key in state)
        # After one batch a first moment is what this batch alone says, and never points where an older seed was going.
        assert torch.isfinite(moment).all()
        assert parameter.grad is not None
        decayed = parameter.grad + 5e-4 * first[name] if optimizer != "adamw" else parameter.grad
        expected = decayed if optimizer == "sgd" else 0.1 * decayed
        torch.testing.assert_close(moment, expected, rtol=1e-5, atol=1e-7)


def test_a_neighbours_moments_stay_with_it_to_the_last_bit_when_a_seed_is_pruned_or_committed() -> None:
    host = build()
    for action in CLIMB[:3]:
        move(host, action)
    move(host, Action(op=Op.GERMINATE, slot="s1", blueprint="residual_mlp", tempo=3))
    move(host, Action(op=Op.ADVANCE, slot="s1"))
    move(host, Action(op=Op.ADVANCE, slot="s0"))

    def moments(prefix: str) -> dict[str, torch.Tensor]:
        return {name: tensor.clone() for name, tensor in host.all_tensors().items() if name.startswith(f"optimizer/host/{prefix}")}

    for leaving, staying in ((Action(op=Op.FOSSILIZE, slot="s0"), ("slots.s1", "blocks")), (Action(op=Op.PRUNE, slot="s1"), ("blocks",))):
        before = {prefix: moments(prefix) for prefix in staying}
        assert all(before.values())
        assert host.apply(leaving, OPEN, AT)
        for prefix in staying:
            after = moments(prefix)
            assert after.keys() == before[prefix].keys()
            assert all(torch.equal(after[name], tensor) for name, tensor in before[prefix].items())
        assert not moments(f"slots.{leaving.slot}")


def test_a_learning_rate_follows_from_the_steps_of_its_group_and_from_nothing_that_happened_between() -> None:
    """Two hosts, one of which has germinated, pruned and committed on its way: what steps the same number of batches is as fast."""
    quiet, busy = build(), build()
    moves = [*CLIMB, WAIT, WAIT, CLIMB[-1], Action(op=Op.FOSSILIZE, slot="s0"), WAIT]
    for number, action in enumerate(moves):
        move(quiet, WAIT, number)
        move(busy, action, number)
        assert quiet.learning_rate("host") == busy.learning_rate("host") == pytest.approx(0.02 * min(1.0, (number + 2) / 4))
    assert busy.state("s0").stage is Stage.FOSSILIZED


def test_a_new_group_is_warmed_up_and_the_old_ones_are_not_slowed_down() -> None:
    host = build()
    for _ in range(6):
        move(host, WAIT)
    rates = []
    for action in [*CLIMB[:2], WAIT, WAIT, WAIT, WAIT]:
        move(host, action)
        rates.append({key: optimizer.param_groups[0]["lr"] for key, optimizer in host.optimizers.items()})
    assert all(rate["host"] == pytest.approx(0.02) for rate in rates)
    assert [rate["s0.1"] for rate in rates[1:]] == pytest.approx([0.005, 0.01, 0.015, 0.02, 0.02])


def test_a_gate_is_in_the_optimizer_of_its_seed_from_the_first_batch() -> None:
    host = build()
    for action in [Action(op=Op.GERMINATE, slot="s0", blueprint="residual_mlp", blend=Blend.GATE), Action(op=Op.ADVANCE, slot="s0")]:
        move(host, action)
    held = {id(parameter) for group in host.optimizers["s0.1"].param_groups for parameter in group["params"]}
    gate = [parameter for name, parameter in host.host.slot("s0").named_parameters() if ".gate." in name]
    assert gate
    assert all(id(parameter) in held for parameter in gate)


def test_restored_state_goes_to_the_parameter_of_its_name_whatever_the_order() -> None:
    origin = build()
    for action in CLIMB[:3]:
        move(origin, action)
    saved = {name: tensor.clone() for name, tensor in origin.all_tensors().items() if name.startswith("optimizer/")}
    other = build()
    for action in CLIMB[:3]:
        move(other, action)
    for shuffled in itertools.islice(itertools.permutations(list(saved)[:4]), 3):
        other.restore_optimizers({name: saved[name] for name in [*shuffled, *list(saved)[4:]]}, "restore")
        again = other.all_tensors()
        assert all(torch.equal(again[name], tensor) for name, tensor in saved.items())
