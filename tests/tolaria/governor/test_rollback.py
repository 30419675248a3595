from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from tolaria.env.config import TrainingConfig
from tolaria.env.growth_env import EnvConfig
from tolaria.env.vector_env import VectorEnv
from tolaria.errors import RollbackFailed
from tolaria.governor.config import GovernorConfig
from tolaria.governor.governor import Governor
from tolaria.governor.rollback import LayoutMismatch, check_layout, check_optimizer, roll_back
from tolaria.governor.snapshots import Snapshot, SnapshotRing
from tolaria.lifecycle.action import WAIT, Action, Op
from tolaria.lifecycle.stage import Stage
from tolaria.seams import PENALTY_OWED, ROLLBACK_COPYING, ROLLBACK_PRUNING, WEIGHTS_UPDATED, Seam
from tolaria.tasks import TASKS
from tolaria.telemetry.event import Event, Point

World = Any
NewWorld = Callable[..., World]
THREE_STAGES = {"s0": Stage.TRAINING, "s1": Stage.BLENDING, "s2": Stage.HOLDING}
CPU = torch.device("cpu")


def raw(tensors: dict[str, torch.Tensor]) -> dict[str, bytes]:
    return {name: tensor.detach().numpy().tobytes() for name, tensor in tensors.items()}


def host_of(tensors: dict[str, torch.Tensor]) -> dict[str, bytes]:
    return raw({name: tensor for name, tensor in tensors.items() if name.startswith("host/")})


def restored(world: World) -> bool:
    """Whether the host holds its newest trusted snapshot byte for byte, and nothing else."""
    return host_of(world.host.all_tensors()) == host_of(world.governor.snapshots.trusted()[0].tensors)


def grown(new_world: NewWorld, optimizer: str = "sgd") -> World:
    """A host with a snapshot of a fossil in s0, and since then an experimental seed in s1, trained on."""
    world = new_world(optimizer, depth=3)
    world.train()
    world.bring("s0", Stage.FOSSILIZED)
    world.live(fossilized=True)
    for _ in range(3):
        world.live()
    world.bring("s1", Stage.BLENDING)
    world.train()
    assert [snapshot.reason for snapshot in world.governor.snapshots.trusted()] == ["fossilized", "begin"]
    return world


# A failure at any point.


def places(world: World) -> list[tuple[Seam[Any], object]]:
    """Every place of a rollback where something may fail."""
    copies = len(host_of(world.governor.snapshots.trusted()[0].tensors))
    assert copies == len(host_of(world.host.stable_tensors()))
    return [*((ROLLBACK_COPYING, index) for index in range(copies)), (ROLLBACK_PRUNING, "s1"), (PENALTY_OWED, -10.0)]


@pytest.mark.parametrize("error", [RuntimeError, MemoryError])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_passing_failure_anywhere_is_outlived_in_the_same_call(new_world: NewWorld, optimizer: str, error: type[Exception]) -> None:
    for number in range(len(places(grown(new_world, optimizer)))):
        world = grown(new_world, optimizer)
        world.taps.arm(*places(world)[number], error)
        assert world.die().penalty == -10.0
        assert world.taps.struck == 1
        assert restored(world)
        assert world.events[-1].work.attempts == 2
        assert world.events[-1].pruned == ("s1",)
        assert world.events[-2].slot == "s1"


@pytest.mark.parametrize("error", [RuntimeError, MemoryError])
def test_a_lasting_failure_stops_the_run_and_leaves_a_state_that_can_be_rolled_back(new_world: NewWorld, error: type[Exception]) -> None:
    for number in range(len(places(grown(new_world)))):
        world = grown(new_world)
        seam, value = places(world)[number]
        world.taps.arm(seam, value, error, times=1000)
        if (seam, value) != (ROLLBACK_PRUNING, "s1"):
            # The oldest snapshot has no fossil and so two tensors a layer less: the last copies are not reached there.
            world.governor.snapshots.drop(frozenset({0}))
        with pytest.raises(RollbackFailed, match="tripped"):
            world.die()
        world.taps.disarm()
        assert world.die().penalty == -10.0
        assert restored(world)


def test_an_interrupt_passes_at_once_and_the_next_rollback_is_byte_exact(new_world: NewWorld) -> None:
    for number in range(len(places(grown(new_world)))):
        world = grown(new_world)
        world.taps.arm(*places(world)[number], KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
            world.die()
        assert world.die().penalty == -10.0
        assert restored(world)


def test_a_damaged_snapshot_is_passed_over_for_the_next_older_one(new_world: NewWorld) -> None:
    world = grown(new_world)
    newest, oldest = world.governor.snapshots.trusted()
    newest.tensors["host/head.bias"].add_(1.0)
    world.die()
    rolled_back = world.events[-1]
    assert (rolled_back.snapshot, rolled_back.work.attempts) == (oldest.number, 3)
    assert restored(world)
    assert [snapshot.number for snapshot in world.governor.snapshots.published] == [oldest.number]


def test_nothing_is_restored_when_no_snapshot_is_intact(new_world: NewWorld) -> None:
    world = grown(new_world)
    for snapshot in world.governor.snapshots.published:
        snapshot.tensors["host/head.bias"].add_(1.0)
    before = world.bytes(), world.host.host.slot_states()
    with pytest.raises(RollbackFailed, match="its bytes are not those that were published"):
        roll_back(world.governor.snapshots, world.host, world.at, False, world.config, world.taps)
    assert (world.bytes(), world.host.host.slot_states()) == before


# A snapshot that does not fit.


def drifts(name: str, tensor: torch.Tensor) -> dict[str, dict[str, torch.Tensor]]:
    """What may be in a tensor's place."""
    return {
        "missing": {},
        "renamed": {f"{name}_": tensor},
        "doubled": {name: tensor, f"{name}_": tensor},
        "reshaped": {name: tensor.detach().reshape(-1, 1, 1)},
        "retyped": {name: tensor.detach().double()},
    }


def refuses(world: World, tensors: dict[str, torch.Tensor], facts: dict[str, Any]) -> None:
    """A rollback to such a snapshot fails, and not a byte of the host, its optimizers and its slots has changed."""
    ring = SnapshotRing(2, 0)
    ring.take(tensors, facts, 0, "begin", bool, bool)
    before = world.bytes(), world.host.host.slot_states(), world.host.facts(), list(world.events)
    with pytest.raises(RollbackFailed):
        roll_back(ring, world.host, world.at, False, world.config, world.taps)
    assert (world.bytes(), world.host.host.slot_states(), world.host.facts(), world.events) == before


@pytest.mark.parametrize("kind", ["missing", "renamed", "doubled", "reshaped", "retyped"])
def test_a_snapshot_that_drifted_in_any_key_leaves_the_host_untouched(new_world: NewWorld, kind: str) -> None:
    world = grown(new_world, "adam")
    source: Snapshot = world.governor.snapshots.trusted()[0]
    for name in source.tensors:
        if name.startswith("optimizer/") and kind in {"missing", "doubled", "retyped"}:
            continue
        drifted = {other: tensor for other, tensor in source.tensors.items() if other != name} | drifts(name, source.tensors[name])[kind]
        if kind == "renamed" and name.startswith("optimizer/"):
            drifted[name.replace("optimizer/host/", "optimizer/host/_")] = drifted.pop(f"{name}_")
        if kind == "reshaped" and name.endswith("/step"):
            drifted[name] = source.tensors[name].repeat(7)
        refuses(world, drifted, source.facts)


def test_a_manifest_that_does_not_fit_leaves_the_host_untouched(new_world: NewWorld) -> None:
    world = grown(new_world)
    source: Snapshot = world.governor.snapshots.trusted()[0]
    manifest = source.facts["manifest"]
    slots = manifest["slots"]
    wrong: list[dict[str, Any]] = [
        {"version": 2},
        {"family": "conv"},
        {"slots": {name: slots[name] for name in ("s0", "s1")}},
        {"slots": slots | {"s3": slots["s0"]}},
        {"slots": slots | {"s0": slots["s0"] | {"channels": 23}}},
        {"slots": slots | {"s0": {"channels": 24, "state": slots["s0"]["state"] | {"blueprint": "conv_norm"}}}},
        {"slots": slots | {"s0": {"channels": 24, "state": slots["s1"]["state"]}}},
        {"slots": slots | {"s0": {"channels": 24, "state": {}}}},
    ]
    for change in wrong:
        refuses(world, source.tensors, source.facts | {"manifest": manifest | change})
    for missing in source.facts:
        refuses(world, source.tensors, {key: value for key, value in source.facts.items() if key != missing})
    refuses(world, source.tensors, source.facts | {"surplus": 0})


def test_both_differences_of_keys_and_every_change_are_named() -> None:
    one, other = ((2, 3), torch.float32), ((3, 2), torch.float32)
    check_layout({"a": one}, {"a": one})
    with pytest.raises(LayoutMismatch, match=r"missing \['c'\], surplus \['a'\], changed \['b'\]"):
        check_layout({"a": one, "b": one}, {"b": other, "c": one})


def test_optimizer_state_is_like_its_parameter_or_a_single_number() -> None:
    expected = {"host/w": ((2, 3), torch.float32)}
    check_optimizer({"optimizer/host/w/exp_avg": ((2, 3), torch.bfloat16), "optimizer/host/w/step": ((), torch.float32)}, expected)
    with pytest.raises(LayoutMismatch, match="belongs to nothing"):
        check_optimizer({"optimizer/host/w/exp_avg": ((3, 2), torch.float32)}, expected)
    with pytest.raises(LayoutMismatch, match="belongs to nothing"):
        check_optimizer({"optimizer/host/v/step": ((), torch.float32)}, expected)


# What is restored.


@pytest.mark.parametrize("policy", ["reset", "reset_all", "restore"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_two_rollbacks_in_a_row_give_the_same_bytes(new_world: NewWorld, optimizer: str, policy: str) -> None:
    world = new_world(optimizer, optimizer=policy)
    for _ in range(9):
        world.live()
    results = []
    for _ in range(2):
        roll_back(world.governor.snapshots, world.host, world.at, False, world.config, world.taps)
        assert restored(world)
        results.append((world.bytes(), world.host.facts()))
        # Training on works in place; it must not reach the snapshot.
        world.train()
        world.train()
    assert results[0] == results[1]


def test_parameters_stay_the_same_objects(new_world: NewWorld) -> None:
    world = grown(new_world)
    before = {name: id(parameter) for name, parameter in world.host.host.own_parameters().items()}
    world.die()
    assert {name: id(parameter) for name, parameter in world.host.host.own_parameters().items()} == before
    held = [id(p) for group in world.host.optimizers["host"].param_groups for p in group["params"]]
    assert sorted(held) == sorted(before.values())


def state_of(world: World, fields: tuple[str, ...]) -> dict[str, bytes]:
    names = {name: t for name, t in world.host.stable_tensors().items() if name.startswith("optimizer/")}
    return raw({name: tensor for name, tensor in names.items() if name.rpartition("/")[2] in fields})


@pytest.mark.parametrize(
    ("optimizer", "policy", "zeroed", "kept"),
    [
        ("sgd", "reset", ("momentum_buffer",), ()),
        ("adam", "reset", ("exp_avg",), ("exp_avg_sq", "step")),
        ("sgd", "restore", (), ("momentum_buffer",)),
        ("adam", "restore", (), ("exp_avg", "exp_avg_sq", "step")),
        ("sgd", "reset_all", (), ()),
        ("adam", "reset_all", (), ()),
    ],
)
def test_optimizer_state_comes_back_by_policy(
    new_world: NewWorld, optimizer: str, policy: str, zeroed: tuple[str, ...], kept: tuple[str, ...]
) -> None:
    world = new_world(optimizer, optimizer=policy)
    for _ in range(4):
        world.live()
    world.live()
    for _ in range(3):
        world.live()
    snapshot = world.governor.snapshots.trusted()[0]
    assert snapshot.step == 5
    world.die()
    saved = raw({name: tensor for name, tensor in snapshot.tensors.items() if name.rpartition("/")[2] in kept})
    assert state_of(world, kept) == saved
    assert len(saved) == 6 * len(kept)
    assert all(not any(value) for value in state_of(world, zeroed).values())
    assert len(state_of(world, zeroed)) == 6 * len(zeroed)
    everything = {name for name in world.host.stable_tensors() if name.startswith("optimizer/")}
    assert len(everything) == 6 * (len(kept) + len(zeroed))
    assert world.host.batches_stepped == {"host": 5}


def test_the_first_step_after_a_reset_goes_down_the_gradient_alone(new_world: NewWorld) -> None:
    world = new_world("sgd")
    for _ in range(8):
        world.live()
    world.die()
    before = {name: p.detach().clone() for name, p in world.host.host.own_parameters().items()}
    rate = world.host.learning_rate("host")
    world.train()
    for name, parameter in world.host.host.own_parameters().items():
        assert parameter.grad is not None
        assert torch.equal(parameter.detach(), before[name].add(parameter.grad, alpha=-rate)), name


def test_live_seeds_in_three_stages_are_pruned_at_once_with_reason_and_initiator(new_world: NewWorld) -> None:
    world = new_world("sgd", depth=3)
    for slot, stage in THREE_STAGES.items():
        world.bring(slot, stage)
    world.train()
    world.die()
    told = [(e.slot, e.stage_from, e.stage_to, e.reason, e.initiator, e.blueprint) for e in world.events[-4:-1]]
    assert told == [(slot, stage, Stage.PRUNED, "rollback", "governor", "residual_mlp") for slot, stage in THREE_STAGES.items()]
    assert world.events[-1].pruned == ("s0", "s1", "s2")
    assert all(world.host.host.slot(slot).seed is None for slot in THREE_STAGES)
    assert list(world.host.optimizers) == ["host"]


@pytest.mark.parametrize("failing", range(6))
def test_whoever_is_told_may_fail_and_the_rollback_has_happened(new_world: NewWorld, failing: int) -> None:
    world = new_world("sgd", depth=3)
    for slot, stage in THREE_STAGES.items():
        world.bring(slot, stage)
    told: list[Event] = []

    def emit(event: Event) -> None:
        told.append(event)
        if len(told) > failing:
            raise OSError("the disk is full")

    world.governor._emit = emit
    if failing < 5:
        with pytest.raises(OSError, match="disk"):
            world.die()
    else:
        world.die()
    assert restored(world)
    assert world.governor.life == 1
    assert world.host.host.experimental_slots() == ()


def test_optimizers_hold_what_is_trained_after_every_move_and_rollback(new_world: NewWorld) -> None:
    world = new_world("sgd")

    def consistent() -> bool:
        held = {id(p) for o in world.host.optimizers.values() for group in o.param_groups for p in group["params"]}
        live = [slot.seed for slot in world.host.slots() if slot.state.stage in {Stage.TRAINING, Stage.BLENDING, Stage.HOLDING}]
        wanted = {id(p) for p in world.host.host.own_parameters().values()} | {id(p) for seed in live for p in seed.parameters()}
        return held == wanted

    for stage in (Stage.GERMINATED, Stage.TRAINING, Stage.BLENDING, Stage.HOLDING):
        world.bring("s0", stage)
        assert consistent(), stage
        world.die()
        assert consistent(), stage
        world.host.host.slot("s0").state = type(world.host.state("s0"))("s0")
    world.bring("s1", Stage.FOSSILIZED)
    assert consistent()
    world.die()
    assert consistent()


# Others.


class Poison:
    """Taps that put NaN into the weights of one environment in one step."""

    def __init__(self, env: int | None, step: int) -> None:
        self.env, self.step = env, step

    def pass_through(self, seam: Seam[Any], at: Point, value: Any) -> Any:
        if seam == WEIGHTS_UPDATED and (at.env, at.step) == (self.env, self.step):
            with torch.no_grad():
                value.host.head.weight.fill_(float("nan"))
        return value


def run_two(struck: int | None) -> tuple[dict[str, bytes], dict[str, Any], list[Event], list[float | None]]:
    """Two environments for eight steps, one of them struck or none; what can be known of the second."""
    events: list[Event] = []
    task = TASKS["spirals"]()
    config = EnvConfig(20, TrainingConfig(batches_per_step=2))
    taps = Poison(struck, 3)
    envs = VectorEnv(task, config, 2, 5, CPU, taps, events.append)
    governors = [Governor(GovernorConfig(), task.chance_loss, task.explosion_loss, taps, events.append) for _ in envs.envs]
    for env, governor in zip(envs.envs, governors, strict=True):
        governor.begin(env.training, Point(0, env.env))
    owed = []
    for step in range(8):
        action = Action(Op.GERMINATE, "s0", "residual_mlp") if step == 1 else Action(Op.ADVANCE, "s0") if step == 2 else WAIT
        outcomes = envs.advance(envs.views(), [action, action], step)
        for env, governor in zip(envs.envs, governors, strict=True):
            outcome, at = outcomes[env.env], Point(step, env.env)
            response = governor.enforce(governor.judge(outcome.vitals), outcome.vitals, env.training, at, outcome.fossilized)
            owed.append(response.penalty)
    bystander = envs.envs[1]
    saved, facts = governors[1].capsule()
    tensors = raw(bystander.training.all_tensors()) | raw(saved)
    return tensors, {"env": bystander.facts(), "governor": facts}, [event for event in events if event.at.env == 1], owed


def test_other_environments_notice_nothing_to_the_last_bit() -> None:
    *calm, owed_calm = run_two(struck=None)
    *stormy, owed_stormy = run_two(struck=0)
    assert calm == stormy
    assert (owed_calm.count(-10.0), owed_stormy.count(-10.0)) == (0, 1)
    assert run_two(struck=1)[0] != calm[0]


def test_ages_of_all_snapshots_are_told_newest_first(new_world: NewWorld) -> None:
    world = new_world("sgd", snapshot_every=2, probation=1)
    for _ in range(5):
        world.live()
    world.die()
    assert world.events[-1].decision.snapshot_ages == (2, 4, 6)
    assert replace(world.at, step=6) == world.at
