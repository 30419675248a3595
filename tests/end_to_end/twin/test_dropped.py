"""Whatever a rollback that rewinds does not restore is noticed: each component of a snapshot is left out once."""

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import pytest
import torch

from tolaria.env.capsule import CapsuleHost
from tolaria.governor import rollback
from tolaria.governor.arena import Arena
from tolaria.governor.config import GovernorConfig
from tolaria.governor.jury import Jury
from tolaria.governor.snapshots import Snapshot
from tolaria.lifecycle.alpha import Ramp
from tolaria.lifecycle.seed import SlotState
from tolaria.lifecycle.stage import Stage
from tolaria.policy.random_policy import RandomPolicy
from tolaria.policy.scripted import ScriptedPolicy
from tolaria.train import run as running

Drill = Any

SLOT_FIELDS = tuple(f"manifest/slots/*/state/{name}" for name in sorted({field.name for field in fields(SlotState)} - {"ramp"}))
RAMP_FIELDS = tuple(f"manifest/slots/*/state/ramp/{field.name}" for field in fields(Ramp))
# The same in every snapshot of a run.
CONSTANTS = {"manifest/version", "manifest/family", "manifest/slots/*/channels", "manifest/slots/*/state/slot"}
DROPPED = (
    *(path for path in (*SLOT_FIELDS, *RAMP_FIELDS) if path not in CONSTANTS),
    "batches_stepped/host",
    "batches_stepped/s0.1",
    "loss_before",
    "cursor/0",
    "cursor/1",
    "course/step",
    "course/recent",
    "course/last_action",
    "course/last_accepted",
    "course/controller",
)
JUDGED = ("window/clean", "window/recent", "window/best")


def paths(value: object, path: str = "") -> set[str]:
    """Every path to a leaf, slots not told apart; what an episode has shown counts as one leaf each."""
    if not isinstance(value, (dict, list)) or (path.count("/") >= 2 and path.startswith("/course")):
        return {path[1:]}
    named = value.items() if isinstance(value, dict) else enumerate(value)
    return {leaf for key, inner in named for leaf in paths(inner, f"{path}/{'*' if path == '/manifest/slots' else key}")}


def with_the_live_one(recorded: Any, live: Any, path: list[str]) -> Any:
    """The recorded facts, but at the path those of the moment before the rollback; what was not there then is nowhere."""
    key = int(path[0]) if isinstance(recorded, list) else path[0]
    if key == "*":
        return {slot: with_the_live_one(recorded[slot], live[slot], path[1:]) for slot in recorded}
    changed = list(recorded) if isinstance(recorded, list) else dict(recorded)
    if len(path) > 1:
        changed[key] = with_the_live_one(recorded[key], live[key], path[1:])
    elif isinstance(live, list) or key in live:
        changed[key] = live[key]
    else:
        del changed[key]
    return changed


@pytest.mark.parametrize("task", ["spirals", "few_digits"])
@pytest.mark.parametrize(("name", "lag", "stage"), [("pruned", 4, Stage.HOLDING), ("nan in fossil's weights", 1, Stage.FOSSILIZED)])
def test_nothing_is_noticed_where_nothing_is_dropped(gentle: Drill, name: str, lag: int, stage: Stage, task: str) -> None:
    assert not gentle.notices(name, lag, "adamw", stage, task)


def test_every_fact_of_a_snapshot_is_dropped_once_or_constant(gentle: Drill) -> None:
    run, _ = gentle.fallen("pruned", 4, "adamw", Stage.HOLDING, "few_digits")
    recorded = run.governors[0].snapshots.published[0].facts
    assert paths({name: fact for name, fact in recorded.items() if name != rollback.JURY}) == {*DROPPED, *CONSTANTS}
    assert {f"window/{name}" for name in recorded[rollback.JURY]["window"]} == set(JUDGED)


@pytest.mark.parametrize("path", DROPPED)
def test_a_fact_that_is_not_restored_is_noticed(gentle: Drill, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    real = rollback._restore

    def dropping(snapshot: Snapshot, governed: CapsuleHost, *rest: Any) -> float:
        live = json.loads(json.dumps(governed.facts()))
        facts = with_the_live_one(snapshot.facts, live, path.split("/"))
        assert facts != snapshot.facts
        return real(replace(snapshot, facts=facts, digest=snapshot.arena.digest(facts)), governed, *rest)

    monkeypatch.setattr(rollback, "_restore", dropping)
    assert gentle.notices("pruned", 4, "adamw", Stage.HOLDING)


@pytest.mark.parametrize("path", JUDGED)
def test_a_judgement_that_is_not_restored_is_noticed(gentle: Drill, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    real = Jury.restore
    monkeypatch.setattr(Jury, "restore", lambda self, facts: real(self, with_the_live_one(facts, self.facts(), path.split("/"))))
    assert gentle.notices("pruned", 4, "adamw", Stage.HOLDING, "spirals")


@pytest.mark.parametrize(
    ("part", "optimizer", "stage"),
    [
        ("host/blocks.0.conv.weight", "sgd", Stage.DORMANT),
        ("host/head.linear.bias", "sgd", Stage.DORMANT),
        ("host/blocks.1.norm.running_mean", "sgd", Stage.DORMANT),
        ("host/blocks.1.norm.num_batches_tracked", "sgd", Stage.DORMANT),
        ("host/slots.s0.seed.2.weight", "sgd", Stage.TRAINING),
        ("host/slots.s0.seed.2.weight", "sgd", Stage.BLENDING),
        ("host/slots.s0.seed.0.running_var", "sgd", Stage.TRAINING),
        ("host/slots.s0.seed.0.running_var", "sgd", Stage.BLENDING),
        ("host/slots.s0.seed.2.weight", "sgd", Stage.FOSSILIZED),
        ("host/slots.s0.seed.0.running_var", "sgd", Stage.FOSSILIZED),
        *(
            (f"optimizer/host/{owner}/{field}", optimizer, Stage.BLENDING)
            for owner in ("head.linear.weight", "slots.s0.seed.2.weight")
            for optimizer, field in (("sgd", "momentum_buffer"), ("adamw", "exp_avg"), ("adamw", "exp_avg_sq"), ("adamw", "step"))
        ),
    ],
)
def test_a_tensor_that_is_not_restored_is_noticed(
    gentle: Drill, monkeypatch: pytest.MonkeyPatch, part: str, optimizer: str, stage: Stage
) -> None:
    copying, remembering = Arena.copy_out, CapsuleHost.restore_optimizers

    def without(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {name: tensor for name, tensor in tensors.items() if name != part}

    monkeypatch.setattr(Arena, "copy_out", lambda self, saved, *rest: copying(self, without(saved), *rest))
    monkeypatch.setattr(CapsuleHost, "restore_optimizers", lambda self, saved, policy: remembering(self, without(saved), policy))
    struck = "statistics" if "running" in part else "weights"
    assert gentle.notices(f"nan in fossil's {struck}" if stage is Stage.FOSSILIZED else "nan weight", 1, optimizer, stage)


@pytest.mark.parametrize("field", ["optimizer", "live_seeds", "rewind"])
def test_each_of_the_three_settings_is_needed(gentle: Drill, monkeypatch: pytest.MonkeyPatch, field: str) -> None:
    monkeypatch.setattr(gentle, "governor", replace(gentle.governor, **{field: getattr(GovernorConfig(), field)}))
    assert gentle.notices("nan weight", 1, "sgd", Stage.BLENDING)


def test_a_controller_that_is_not_wound_back_is_noticed(gentle: Drill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ScriptedPolicy, "rewind", lambda *_: None)
    assert gentle.notices("nan weight", 1, "sgd", Stage.DORMANT)


def test_a_random_controller_decides_the_same_once_more(gentle: Drill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gentle, "_never_fallen", {})
    monkeypatch.setattr(running, "build_policy", lambda _, space: RandomPolicy(space, 5))
    assert not gentle.notices("nan weight", 1, "adamw", Stage.BLENDING, "spirals")
    monkeypatch.setattr(RandomPolicy, "rewind", lambda *_: None)
    assert gentle.notices("nan weight", 1, "adamw", Stage.BLENDING, "spirals")
