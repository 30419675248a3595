import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from safetensors.torch import load, save

from tolaria.env.capsule import FACTS, CapsuleHost
from tolaria.env.config import USUAL, Recovery, TrainingConfig
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


def build(optimizer: str = "sgd", seed: int = 0, recovery: Recovery = USUAL) -> tuple[CapsuleHost, list[Event]]:
    events: list[Event] = []
    config = TrainingConfig(optimizer=optimizer, batches_per_step=1)
    host = CapsuleHost(TASKS["spirals"](), config, seed, CPU, NO_TAPS, events.append, recovery)
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


# Facts and checkpoints.


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


# Going back further.


@pytest.mark.parametrize("live", STAGES)
@pytest.mark.parametrize("recorded", STAGES)
@pytest.mark.parametrize("rewind", [False, True])
def test_a_live_seed_comes_back_from_any_stage(rewind: bool, recorded: Stage, live: Stage) -> None:
    recovery = Recovery(live_seeds=True, rewind=rewind)
    origin, _ = build(recovery=recovery)
    origin.train(AT)
    bring(origin, "s0", recorded)
    origin.train(AT)
    ring = SnapshotRing(2, 0)
    snapshot = ring.take(origin.stable_tensors(), origin.facts(), 0, "begin", bool, bool)

    host, _ = build(seed=1, recovery=recovery)
    later = recorded is not live and recorded is not Stage.DORMANT and live is not Stage.DORMANT
    bring(host, "s0", live, generation=2 if later else 1)
    host.train(AT)
    roll_back(ring, host, AT, False, GovernorConfig(optimizer="restore"), NO_TAPS)
    assert raw(host.stable_tensors()) == raw(snapshot.tensors)
    if recorded in EXPERIMENTAL or rewind:
        assert host.state("s0") == origin.state("s0")
        assert host.batches_stepped == origin.batches_stepped
    assert (host.batches.position == (0, 64)) == rewind
    assert host.optimizers.keys() == host.batches_stepped.keys()


def test_a_slot_that_returns_to_a_seed_is_told() -> None:
    host, _ = build(recovery=Recovery(live_seeds=True))
    bring(host, "s0", Stage.BLENDING)
    facts = json.loads(json.dumps(host.facts()))
    host.prune("s0", AT, "test", "policy")
    plan = host.prepare(facts)
    assert (plan.pruned, plan.leaned) == ((), False)
    assert host.commit(plan, AT) == (SlotRestored(AT, "s0", 1, Stage.PRUNED, Stage.BLENDING),)


def test_rewinding_brings_generations_and_rest_back() -> None:
    host, _ = build(recovery=Recovery(rewind=True))
    bring(host, "s0", Stage.EMBARGOED)
    facts, before = json.loads(json.dumps(host.facts())), host.state("s0")
    for _ in range(7):
        host.tick(AT)
    bring(host, "s0", Stage.TRAINING, generation=2)
    host.commit(host.prepare(facts), AT)
    assert host.state("s0") == before


def test_a_host_that_warms_up_anew_learns_slowly_at_first() -> None:
    host, _ = build(recovery=Recovery(rewarm_batches=4))
    for _ in range(20):
        host.train(AT)
    facts, tensors = json.loads(json.dumps(host.facts())), {n: t.clone() for n, t in host.stable_tensors().items() if n.startswith("opt")}
    assert host.learning_rate("host") == pytest.approx(0.1)
    host.restore_optimizers(tensors, "rewarm")
    host.settle(facts)
    assert not any(float(t.abs().max()) for n, t in host.stable_tensors().items() if n.endswith("momentum_buffer"))
    rates = []
    for _ in range(5):
        rates.append(host.learning_rate("host"))
        host.train(AT)
    assert rates == pytest.approx([0.025, 0.05, 0.075, 0.1, 0.1])
    assert host.rewarming == {}


def test_a_checkpoint_keeps_how_far_a_learning_rate_has_climbed() -> None:
    host, _ = build(recovery=Recovery(rewarm_batches=4))
    host.restore_optimizers({}, "rewarm")
    host.train(AT)
    other, _ = build(recovery=Recovery(rewarm_batches=4))
    other.resume(*through_a_checkpoint(host.all_tensors(), host.checkpoint_facts()))
    assert other.rewarming == {"host": 1}
    assert other.learning_rate("host") == host.learning_rate("host")
