import json
from collections import deque
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from types import FunctionType
from typing import Any

import pytest
import torch
from safetensors.torch import load, save

from tolaria.env.capsule import FACTS, CapsuleHost
from tolaria.env.config import TrainingConfig
from tolaria.env.growth_env import EnvConfig, GrowthEnv
from tolaria.governor.config import GovernorConfig
from tolaria.governor.governor import Governor
from tolaria.governor.rollback import roll_back
from tolaria.governor.snapshots import SnapshotRing
from tolaria.lifecycle.action import WAIT, Action, Op
from tolaria.lifecycle.gates import GateConfig
from tolaria.lifecycle.stage import EXPERIMENTAL, RESTING, Stage
from tolaria.seams import NO_TAPS
from tolaria.tasks import TASKS
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.growth_events import SlotRestored, StageChanged

CPU = torch.device("cpu")
AT = Point(3, 0)
STAGES = list(Stage)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def build(optimizer: str = "sgd", seed: int = 0) -> tuple[CapsuleHost, list[Event]]:
    events: list[Event] = []
    host = CapsuleHost(TASKS["spirals"](), TrainingConfig(optimizer=optimizer, batches_per_step=1), seed, CPU, NO_TAPS, events.append)
    host.loss_before = 1.0
    return host, events


def bring(host: CapsuleHost, slot: str, stage: Stage, generation: int = 1) -> None:
    """Lead a slot into a stage by moves of the table."""
    if stage is Stage.DORMANT:
        return
    host.host.slot(slot).state = replace(host.state(slot), generation=generation - 1)
    host.host.germinate(slot, "residual_mlp", seed=generation, steps=2)
    with torch.no_grad():
        for tensor in host.host.seed_tensors(slot).values():
            tensor.add_(0.01 * generation)
    for _ in range(3):
        if stage in RESTING or host.state(slot).stage is stage:
            break
        host.host.slot(slot).state = host.state(slot).advanced().ticked()
    if stage is Stage.FOSSILIZED:
        host.fossilize(slot, AT, "test", "policy")
    if stage in RESTING:
        host.prune(slot, AT, "test", "policy")
        while host.state(slot).stage is not stage:
            host.host.slot(slot).state = host.state(slot).ticked()
    host.renew_optimizers()
    assert host.state(slot).stage is stage


def raw(tensors: dict[str, torch.Tensor]) -> dict[str, bytes]:
    return {name: tensor.detach().numpy().tobytes() for name, tensor in tensors.items()}


def through_a_checkpoint(tensors: dict[str, torch.Tensor], facts: dict[str, Any]) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    read = load(save({name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}))
    return dict(sorted(read.items(), reverse=True)), json.loads(json.dumps(facts))


# Rolling back, whatever became of a slot.


@pytest.mark.parametrize("live", STAGES)
@pytest.mark.parametrize("recorded", STAGES)
def test_a_host_comes_back_from_any_stage_to_any_stage(recorded: Stage, live: Stage) -> None:
    origin, _ = build()
    origin.train(AT)
    bring(origin, "s0", recorded)
    origin.train(AT)
    ring = SnapshotRing(2, 0)
    snapshot = ring.take(origin.stable_tensors(), origin.facts(), 0, "begin", bool, bool)

    host, events = build(seed=1)
    # A seed that began after the snapshot has a later generation, a fossil stays the same one for ever.
    later = recorded is not live and recorded is not Stage.DORMANT and live is not Stage.DORMANT
    bring(host, "s0", live, generation=2 if later else 1)
    host.train(AT)
    seed_before = host.state("s0")
    events.clear()
    done = roll_back(ring, host, AT, False, GovernorConfig(), NO_TAPS)

    after = host.state("s0")
    assert raw({name: t for name, t in host.all_tensors().items() if name.startswith("host/")}) == raw(
        {name: t for name, t in snapshot.tensors.items() if name.startswith("host/")}
    )
    assert (host.host.slot("s0").seed is not None) == (after.stage is Stage.FOSSILIZED) == (recorded is Stage.FOSSILIZED)
    assert after.stage not in EXPERIMENTAL
    assert after.generation >= seed_before.generation
    if recorded is not Stage.FOSSILIZED and live is not Stage.FOSSILIZED:
        assert after.stage is (Stage.PRUNED if live in EXPERIMENTAL else live)
    told = [event for event in done.moves if isinstance(event, StageChanged)]
    assert [event.slot for event in told] == list(done.pruned)
    back = [event for event in done.moves if isinstance(event, SlotRestored)]
    assert [(event.stage_from, event.stage_to) for event in back] == (
        [(live, recorded)] if (live is Stage.FOSSILIZED) != (recorded is Stage.FOSSILIZED) else []
    )
    assert set(host.optimizers) == {"host"}
    assert done.leaned == ((live in BLENDED or recorded in BLENDED) and recorded is not Stage.FOSSILIZED)
    # And life goes on: it trains, rests and germinates again.
    for _ in range(10):
        host.train(AT)
        host.tick(AT)
    if recorded is not Stage.FOSSILIZED:
        host.host.germinate("s0", "residual_mlp", seed=3)


BLENDED = {Stage.BLENDING, Stage.HOLDING, Stage.FOSSILIZED}


def test_a_fossil_that_the_snapshot_does_not_know_goes_back_and_is_told() -> None:
    host, events = build()
    bring(host, "s0", Stage.HOLDING)
    facts = json.loads(json.dumps(host.facts()))
    host.fossilize("s0", AT, "decision", "policy")
    events.clear()
    plan = host.prepare(facts)
    assert (plan.pruned, plan.leaned) == (("s0",), True)
    assert host.commit(plan, AT) == (
        SlotRestored(AT, "s0", 1, Stage.FOSSILIZED, Stage.HOLDING),
        StageChanged(AT, "s0", 1, "residual_mlp", Stage.HOLDING, Stage.PRUNED, "rollback", "governor"),
    )
    assert events == []


def test_a_seed_to_come_inherits_no_name_from_one_that_a_rollback_took_away() -> None:
    host, _ = build()
    facts = json.loads(json.dumps(host.facts()))
    bring(host, "s0", Stage.FOSSILIZED, generation=1)
    host.commit(host.prepare(facts), AT)
    assert (host.state("s0").stage, host.state("s0").generation) == (Stage.DORMANT, 1)
    assert host.apply(Action(Op.GERMINATE, "s0", "residual_mlp"), GateConfig(), AT)
    assert host.state("s0").generation == 2


def test_preparing_changes_nothing() -> None:
    host, events = build()
    facts = json.loads(json.dumps(host.facts()))
    bring(host, "s0", Stage.FOSSILIZED)
    bring(host, "s1", Stage.BLENDING)
    events.clear()
    before = raw(host.all_tensors()), host.facts(), host.host.slot_states(), list(host.optimizers), torch.get_rng_state().tolist()
    host.prepare(facts)
    after = raw(host.all_tensors()), host.facts(), host.host.slot_states(), list(host.optimizers), torch.get_rng_state().tolist()
    assert (after, events) == (before, [])


def test_committing_twice_comes_to_nothing_the_second_time() -> None:
    host, _ = build()
    facts = json.loads(json.dumps(host.facts()))
    bring(host, "s0", Stage.FOSSILIZED)
    bring(host, "s1", Stage.BLENDING)
    plan = host.prepare(facts)
    assert len(host.commit(plan, AT)) == 2
    before = raw(host.all_tensors()), host.facts()
    assert host.commit(plan, AT) == ()
    assert (raw(host.all_tensors()), host.facts()) == before


def test_the_data_stream_is_not_wound_back_and_the_learning_rate_is() -> None:
    host, _ = build()
    facts = json.loads(json.dumps(host.facts()))
    for _ in range(3):
        host.train(AT)
    position = host.batches.position
    host.settle(facts)
    assert host.batches.position == position == (0, 96)
    assert host.batches_stepped == {"host": 0}
    assert host.learning_rate("host") == pytest.approx(0.01)


def test_a_snapshot_leaves_out_experimental_seeds_and_their_optimizers_and_a_checkpoint_does_not() -> None:
    host, _ = build()
    bring(host, "s0", Stage.FOSSILIZED)
    bring(host, "s1", Stage.HOLDING)
    host.train(AT)
    stable, everything = host.stable_tensors(), host.all_tensors()
    assert any(name.startswith("host/slots.s0.") for name in stable)
    assert not any("slots.s1" in name or name.startswith("optimizer/s1") for name in stable)
    assert any(name.startswith("host/slots.s1.") for name in everything)
    assert any(name.startswith("optimizer/host/slots.s1.") for name in everything)


def test_optimizer_state_of_an_unknown_parameter_is_refused() -> None:
    host, _ = build()
    with pytest.raises(KeyError, match=r"head\.wait"):
        host.restore_optimizers({"optimizer/host/head.wait/momentum_buffer": torch.zeros(3)}, "restore")


# Every piece of mutable state.

# What facts or tensors hold, by class and attribute.
CAPTURED = {
    "GrowthEnv": {"episode", "training"},
    "CapsuleHost": {"host", "optimizers", "batches", "batches_stepped", "loss_before", "rewarming", "rate_cut", "course"},
    "MlpHost": {"blocks", "slots", "head"},
    "DenseBlock": {"linear"},
    "Slot": {"state", "seed"},
    "BatchStream": {"_epoch", "_cursor"},
    "Adam": {"state"},
    "Governor": {"_jury", "_snapshots", "_grace", "ladder", "_life"},
    "Ladder": {"_steps"},
    "Jury": {"window", "streaks", "_probe"},
    "SnapshotRing": {"_published", "_taken"},
    "LossWindow": {"_clean", "_recent", "_best"},
}
# What neither holds, and why not.
EXEMPT = {
    "GrowthEnv": {
        "task": "a constant",
        "config": "a constant",
        "env": "a constant",
        "taps": "handed in",
        "emit": "handed in",
        "_seed": "from the config of the run",
        "_device": "from the config of the run",
        "actions": "follows from the task",
        "observation_space": "follows from the task",
        "action_space": "follows from the task",
    },
    "CapsuleHost": {
        "task": "a constant",
        "config": "a constant",
        "seed": "follows from the environment's seed and episode",
        "device": "from the config of the run",
        "taps": "handed in",
        "emit": "handed in",
        "recovery": "a constant",
        "_splits": "constant data on the device",
    },
    "MlpHost": {"family": "a constant", "channels": "a constant"},
    "Slot": {
        "slot_id": "a constant",
        "channels": "a constant",
        "features": "of the batch at hand; every training forward writes it anew before it is read",
    },
    "BatchStream": {
        "num_samples": "a constant",
        "batch_size": "a constant",
        "_seed": "a constant",
        "_order": "follows from seed and epoch",
    },
    "Adam": {"defaults": "a constant", "param_groups": "the rate is set anew before every step, from the batches stepped"},
    "Governor": {
        "_config": "a constant",
        "_taps": "handed in",
        "_emit": "handed in",
    },
    "Ladder": {"_config": "a constant"},
    "Jury": {
        "_config": "a constant",
        "detectors": "pure functions with constant limits",
        "_recovery": "a pure function with constant limits",
    },
    "SnapshotRing": {
        "_kept": "a constant",
        "_probation": "a constant",
        "_seals_at_once": "a constant",
        "_bound": "found out again by the next snapshot",
        "_spare": "storage without content",
    },
    "DenseBlock": {},
    "LossWindow": {},
    "NoTaps": {},
    "NonFinite": {},
    "Lobotomy": dict.fromkeys(("_samples_min", "_history_max", "_tolerance", "_chance_loss"), "a constant"),
    "LossExplosion": dict.fromkeys(("_config", "_absolute"), "a constant"),
    "EarlyExplosion": dict.fromkeys(("_config", "_threshold"), "a constant"),
    "SpikeTrain": dict.fromkeys(("_strikes", "_explosion"), "a constant"),
    "UniformOutput": dict.fromkeys(("_samples_min", "_chance"), "a constant"),
    "MutualInformation": dict.fromkeys(("_samples_min", "_floor"), "a constant"),
    "AccuracyDrop": {"_samples_min": "a constant"},
    "SkillLost": dict.fromkeys(("_samples_min", "_unskilled", "_skilled"), "a constant"),
    "SlowDrift": dict.fromkeys(("_strikes", "_rise"), "a constant"),
    "LossOutlier": {"_samples_min": "a constant"},
    "Recovery": dict.fromkeys(("_absolute", "_multiplier", "_floor"), "a constant"),
}
# Machinery of torch beside parameters, buffers and modules; `training` is set before every forward.
TORCH = set(vars(torch.nn.Module())) | {"_parameters", "_buffers", "_modules"}
# State of an optimizer lies in `state` and `param_groups`; the rest are hooks and profiling.
OPTIMIZER = {"defaults", "state", "param_groups"}


def attributes(thing: object) -> dict[str, object]:
    """What an object of ours remembers."""
    if isinstance(thing, torch.optim.Optimizer):
        return {name: value for name, value in vars(thing).items() if name in OPTIMIZER}
    if isinstance(thing, torch.nn.Module):
        own = {name: value for name, value in vars(thing).items() if name not in TORCH}
        return own | dict(vars(thing)["_modules"])
    return dict(vars(thing))


def parts(thing: object) -> list[object]:
    """What an object holds; nothing for plain values and for what belongs to others."""
    if isinstance(thing, dict):
        return list(thing.values())
    if isinstance(thing, (list, tuple, set, deque)):
        return list(thing)
    if isinstance(thing, (torch.nn.ModuleDict, torch.nn.ModuleList)):
        return list(thing.children())
    if is_dataclass(thing) and not isinstance(thing, type):
        return [getattr(thing, field.name) for field in fields(thing)]
    return list(attributes(thing).values()) if is_mutable(thing) else []


def is_mutable(thing: object) -> bool:
    """Whether it is an object of ours that can change, or an optimizer; records of ours are frozen."""
    ours = type(thing).__module__.startswith("tolaria.") and not isinstance(thing, (type, Enum, FunctionType))
    return isinstance(thing, torch.optim.Optimizer) or (ours and not is_dataclass(thing))


def reachable(thing: object, found: dict[str, set[str]], seen: set[int]) -> dict[str, set[str]]:
    """Attributes by class of everything mutable that can be reached."""
    if id(thing) not in seen:
        seen.add(id(thing))
        if is_mutable(thing):
            found.setdefault(type(thing).__name__, set()).update(attributes(thing))
        for part in parts(thing):
            reachable(part, found, seen)
    return found


def grown_env() -> tuple[GrowthEnv, Governor]:
    """An environment in the midst of things: a fossil, a seed in training, a window, snapshots, a rollback behind it."""
    task = TASKS["spirals"]()
    env = GrowthEnv(task, EnvConfig(50, TrainingConfig(optimizer="adam", batches_per_step=2), GateConfig(seeds_max=2)), seed=3)
    governor = Governor(GovernorConfig(), task.chance_loss, task.explosion_loss, NO_TAPS, env.emit)
    governor.begin(env.training, Point(0, 0))
    bring(env.training, "s0", Stage.FOSSILIZED)
    for step in range(14):
        if step == 7:
            with torch.no_grad():
                env.training.host.own_parameters()["head.bias"].fill_(float("nan"))
        advance(env, governor, step)
    return env, governor


def advance(env: GrowthEnv, governor: Governor, step: int) -> None:
    action = {8: Action(Op.GERMINATE, "s1", "residual_mlp"), 9: Action(Op.ADVANCE, "s1")}.get(step, WAIT)
    outcome = env.advance(action, Point(step, 0))
    governor.enforce(governor.judge(outcome.vitals), outcome.vitals, env.training, Point(step, 0), outcome.fossilized)


def test_every_mutable_attribute_is_captured_or_on_the_list_with_a_reason() -> None:
    env, governor = grown_env()
    found = reachable([env, governor], {}, set())
    assert found == {name: CAPTURED.get(name, set()) | EXEMPT[name].keys() for name in CAPTURED.keys() | EXEMPT.keys()}
    assert all(not CAPTURED[name] & EXEMPT[name].keys() for name in CAPTURED)


def test_facts_are_complete_and_json() -> None:
    host, _ = build()
    assert host.facts().keys() == FACTS
    assert json.loads(json.dumps(host.facts())) == host.facts()


def test_after_a_checkpoint_everything_goes_on_to_the_last_bit() -> None:
    env, governor = grown_env()
    tensors, facts = through_a_checkpoint(env.training.all_tensors(), env.facts())
    kept, judged = through_a_checkpoint(*governor.capsule())
    twin = GrowthEnv(env.task, env.config, seed=3)
    twin.resume(tensors, facts)
    second = Governor(GovernorConfig(), env.task.chance_loss, env.task.explosion_loss, NO_TAPS, twin.emit)
    second.restore(kept, judged)
    assert env.training.host.slot_states()["s1"].stage is Stage.TRAINING
    for step in range(14, 19):
        if step == 17:
            for one in (env, twin):
                with torch.no_grad():
                    one.training.host.own_parameters()["head.bias"].fill_(float("nan"))
        advance(env, governor, step)
        advance(twin, second, step)
        assert raw(twin.training.all_tensors()) == raw(env.training.all_tensors()), step
        assert twin.facts() == env.facts()
        assert second.capsule()[1] == governor.capsule()[1]
    assert governor.life == 2
