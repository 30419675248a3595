"""No piece of mutable state of a run or of a watched loop is forgotten: each is captured, or on a list with the reason why not."""

from collections import deque
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cached_property
from pathlib import Path
from types import FunctionType, SimpleNamespace

import pytest
import torch

from tolaria.env.config import TrainingConfig
from tolaria.governor.config import GovernorConfig
from tolaria.integrations.loop_state import LoopParts
from tolaria.integrations.plain import Guard, Outcome
from tolaria.integrations.readings import AtOnce, OneStepLate, Reading
from tolaria.lifecycle.action import Action, Op
from tolaria.lifecycle.gates import GateConfig
from tolaria.ppo.config import PpoConfig
from tolaria.seams import NO_TAPS
from tolaria.telemetry.history import History
from tolaria.train.config import Move, TrainConfig
from tolaria.train.rollout import finish_rollout, take_step
from tolaria.train.run import Run

# What facts or tensors hold, by class and attribute.
CAPTURED = {
    "Run": {"step", "begun", "envs", "governors", "policy", "learner", "buffer", "tallies", "monitor"},
    "Tally": {"fresh", "total_reward", "rollbacks", "touched"},
    "GrowthMonitor": {"_rates", "_deaths", "_count", "_frozen"},
    "VectorEnv": {"envs", "retired"},
    "LearnedPolicy": {"agent"},
    "Agent": {"net", "_state", "_generators"},
    "ActorCritic": {"trunk", "cell", "heads", "value", "value_trunk"},
    "RandomPolicy": {"_streams"},
    "ScriptedPolicy": {"_steps"},
    "Learner": {"agent", "optimizer", "_updates", "_skipped"},
    "RolloutBuffer": {"_rows", "_marks", "_finished", "normalizer", "price", "death_spread"},
    "Price": {"multiplier"},
    "ReturnNormalizer": {"_count", "_mean", "_returns", "_squares", "_peak"},
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
    "LossWindow": {"clean", "_recent", "_best"},
    "Clean": {"readings"},
}
# What neither holds, and why not.
EXEMPT = {
    "Run": {
        "config": "a constant",
        "task": "a constant",
        "history": "its place is captured, what it tells is on the disk",
        "taps": "handed in",
    },
    "History": {
        "events": "what was told, which is no state; on the disk",
        "remark": "said once, when a history is resumed",
        "_file": "opened anew at the place that the checkpoint records",
        "_durable": "a constant",
        "_sinks": "handed in",
        "_closed": "a run that goes on has an open one",
        "_one_at_a_time": "a lock, which nobody holds between steps",
    },
    "VectorEnv": {"_pool": "how hosts are stepped, which is no part of what they are"},
    "GrowthMonitor": dict.fromkeys(("_episode_steps", "_given"), "a constant"),
    "Price": {"_config": "a constant"},
    "LearnedPolicy": dict.fromkeys(("space", "num_envs", "_observation_size"), "a constant"),
    "GrowthActions": dict.fromkeys(("sizes", "op_floor", "mask_size", "_ops", "_slots"), "a constant"),
    "Agent": dict.fromkeys(("distribution", "num_envs", "_no_life_begins"), "a constant"),
    "ActorCritic": dict.fromkeys(("config", "state_size"), "a constant"),
    "RandomPolicy": dict.fromkeys(("space", "_seed"), "a constant"),
    "ScriptedPolicy": {"_script": "a constant"},
    "HeuristicPolicy": {"config": "a constant"},
    "Learner": dict.fromkeys(("config", "_seed"), "a constant"),
    "RolloutBuffer": dict.fromkeys(("num_envs", "horizon", "_config"), "a constant"),
    "ReturnNormalizer": {"gamma": "a constant"},
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
        "attribution": "a constant",
        "hits": "of the step at hand, and nothing after it",
        "_splits": "constant data on the device",
    },
    "MlpHost": {"family": "a constant", "channels": "a constant"},
    "Slot": {
        "slot_id": "a constant",
        "channels": "a constant",
        "features": "of the batch at hand; every training forward writes it anew before it is read",
        "hears_gradients": "a constant",
        "gradient": "as the features, of the backward pass",
        "alphas": "of the pass at hand, and nothing after it",
        "dial": "of a replica alone, which is no host of a run",
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
        "_shared": "storage without content",
        "_offload": "streams and mirrors, made anew by the next snapshot",
        "_placement": "follows from the memory of the device",
        "_refused": "told in the step after; a checkpoint waits for what is on its way",
    },
    "SharedPages": {"_left": "storage without content"},
    "DenseBlock": {},
    "LossWindow": {"_size": "a constant"},
    "NoTaps": {},
    "NonFinite": {},
    "ConfirmedLobotomy": dict.fromkeys(("_lobotomy", "_limits"), "a constant"),
    "ConfirmedExplosion": dict.fromkeys(("_explosion", "_limits"), "a constant"),
    "Recovery": dict.fromkeys(("_absolute", "_multiplier", "_floor"), "a constant"),
    "Lobotomy": dict.fromkeys(("_samples_min", "_history_max", "_tolerance", "_chance_loss"), "a constant"),
    "LossExplosion": dict.fromkeys(("_config", "_absolute"), "a constant"),
    "EarlyExplosion": dict.fromkeys(("_config", "_threshold"), "a constant"),
    "SpikeTrain": dict.fromkeys(("_strikes", "_explosion"), "a constant"),
    "UniformOutput": dict.fromkeys(("_samples_min", "_chance"), "a constant"),
    "MutualInformation": {"_limits": "a constant"},
    "AccuracyDrop": dict.fromkeys(("_limits", "_samples_min", "_guessed"), "a constant"),
    "SkillLost": dict.fromkeys(("_limits", "_unskilled", "_skilled"), "a constant"),
    "SlowDrift": dict.fromkeys(("_strikes", "_rise"), "a constant"),
    "LossOutlier": {"_samples_min": "a constant"},
}
# The same of a guard beside a loop; what it captures is what its snapshots hold.
LOOP_CAPTURED = {
    "Guard": {"_state", "_parts"},
    "LoopParts": {"model", "optimizers", "schedulers", "scaler", "ema"},
    "LoopState": {"steps", "rate_scale", "_parts"},
    "SGD": {"state", "param_groups"},
}
LOOP_EXEMPT = {
    "Guard": {
        "_config": "a constant",
        "_tell": "handed in",
        "_governor": "judges what is restored, and is not wound back with it; in a new process it begins anew",
        "_calls": "counts on over a rollback; where a loop is recalled it begins at the step of the snapshot",
        "_reading": "a rollback forgets what is not read yet",
        "_gate": "machinery around the live optimizers",
        "_gated_in_a_row": "begins anew after a rollback",
        "_rolled_back": "what was told last",
        "_spent": "ends the loop",
        "_finished": "ends the loop",
        "_warned": "what was told once",
        "_vault": "the folder that a new process names again",
        "_hook": "machinery around the live model",
    },
    "LoopState": {
        "_graphs": "counts restores, which none of them may wind back",
        "_forgets": "of the rollback at hand, and nothing after it",
    },
    "OutdatedGraphs": {"restores": "counts restores, which none of them may wind back"},
    "AtOnce": {},
    "OneStepLate": {
        "_slots": "of the step that is not read yet",
        "_events": "of the step that is not read yet",
        "_unread": "of the step that is not read yet",
        "_calls": "which slot is free; either will do",
    },
    "Gate": {
        "_flags": "of the step at hand",
        "_given": "of the step at hand",
        "_unwritten": "of the step at hand",
        "_hooks": "machinery around the live optimizers",
    },
    "Vault": {"_folder": "a constant", "_held": "a lock, which a new process takes itself"},
    "SGD": {"defaults": "a constant"},
}
# Machinery of torch beside parameters, buffers and modules; `training` is set before every forward.
TORCH = set(vars(torch.nn.Module())) | {"_parameters", "_buffers", "_modules"}
# What is no record has no such parameters.
THAWED = SimpleNamespace(frozen=False)
# State of an optimizer lies in `state` and `param_groups`; the rest are hooks and profiling.
OPTIMIZER = {"defaults", "state", "param_groups"}


def attributes(thing: object) -> dict[str, object]:
    """What an object of ours remembers."""
    if isinstance(thing, torch.optim.Optimizer):
        return {name: value for name, value in vars(thing).items() if name in OPTIMIZER}
    if isinstance(thing, torch.nn.Module):
        own = {name: value for name, value in vars(thing).items() if name not in TORCH}
        return own | dict(vars(thing)["_modules"])
    if is_dataclass(thing):
        return {field.name: getattr(thing, field.name) for field in fields(thing)}
    # What is worked out from the rest, and kept, is worked out again by whoever asks.
    return {name: value for name, value in vars(thing).items() if not isinstance(vars(type(thing)).get(name), cached_property)}


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
    """Whether it is an object of ours that can change, or an optimizer; nearly all records of ours are frozen."""
    ours = type(thing).__module__.startswith("tolaria.") and not isinstance(thing, (type, Enum, FunctionType))
    return isinstance(thing, torch.optim.Optimizer) or (ours and not getattr(thing, "__dataclass_params__", THAWED).frozen)


def reachable(thing: object, found: dict[str, set[str]], seen: set[int]) -> dict[str, set[str]]:
    """Attributes by class of everything mutable that can be reached."""
    if id(thing) not in seen:
        seen.add(id(thing))
        if is_mutable(thing):
            found.setdefault(type(thing).__name__, set()).update(attributes(thing))
        for part in parts(thing):
            reachable(part, found, seen)
    return found


def lived(policy: str) -> Run:
    """A run of two environments in the midst of things: an update behind it, a rollback, a window, snapshots, what grows."""
    script = (Move(1, None, Action(Op.GERMINATE, "s0", "residual_mlp")), Move(2, None, Action(Op.ADVANCE, "s0")))
    config = TrainConfig(
        task="spirals",
        policy=policy,
        envs=2,
        steps=40,
        rollout_steps=6,
        script=script if policy == "scripted" else (),
        training=TrainingConfig(optimizer="adam", batches_per_step=1),
        gates=GateConfig(training_steps_min=0),
        governor=GovernorConfig(optimizer="rewarm"),
        ppo=PpoConfig(minibatches=1, epochs=1),
    )
    run = Run(config, torch.device("cpu"), History(), NO_TAPS)
    run.begin()
    for step in range(9):
        if step == 7:
            with torch.no_grad():
                run.envs.envs[1].training.host.own_parameters()["head.bias"].fill_(float("nan"))
        take_step(run)
        if step == 5:
            finish_rollout(run)
    assert run.governors[1].life == 1
    return run


@pytest.mark.parametrize("policy", ["ppo", "scripted", "random", "heuristic"])
def test_every_mutable_attribute_is_captured_or_on_the_list_with_a_reason(policy: str) -> None:
    found = reachable(lived(policy), {}, set())
    listed = {name: CAPTURED.get(name, set()) | EXEMPT.get(name, {}).keys() for name in CAPTURED.keys() | EXEMPT.keys()}
    assert found == {name: listed.get(name, set()) for name in found}
    assert all(not CAPTURED[name] & EXEMPT.get(name, {}).keys() for name in CAPTURED)


def test_no_list_names_what_no_run_has() -> None:
    found = {name for policy in ("ppo", "scripted", "random", "heuristic") for name in reachable(lived(policy), {}, set())}
    assert (CAPTURED.keys() | EXEMPT.keys()) - found == set()


def watched(reading: Reading, folder: Path) -> Guard:
    """A guard in the midst of things: a gate, stored snapshots, a rollback behind it."""
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, fused=True)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 5)
    parts = LoopParts(model, [optimizer], [scheduler], torch.amp.GradScaler("cpu"), {"average": torch.zeros(2)})
    guard = Guard(parts, GovernorConfig(snapshot_every=2, probation=1), 2.0, reading, [].append).gated()
    guard.persist(folder)
    outcomes = []
    for loss in (1.0, 1.0, 1.0, float("nan"), 1.0, 1.0):
        model(torch.ones(1, 2)).sum().backward()
        optimizer.step()
        outcomes.append(guard.after_step(loss).outcome)
    assert outcomes.count(Outcome.ROLLED_BACK) == 1
    return guard


@pytest.mark.parametrize("reading", [AtOnce(), OneStepLate(torch.device("cpu"))])
def test_every_mutable_attribute_of_a_watched_loop_is_captured_or_on_the_list_with_a_reason(reading: Reading, tmp_path: Path) -> None:
    found = reachable(watched(reading, tmp_path), {"LoopParts": {field.name for field in fields(LoopParts)}}, set())
    own = {name: attributes for name, attributes in found.items() if name not in CAPTURED.keys() | EXEMPT.keys()}
    names = (LOOP_CAPTURED.keys() | LOOP_EXEMPT.keys()) - ({"AtOnce", "OneStepLate"} - {type(reading).__name__})
    assert own == {name: LOOP_CAPTURED.get(name, set()) | LOOP_EXEMPT.get(name, {}).keys() for name in names}
