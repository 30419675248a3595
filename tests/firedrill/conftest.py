"""One history in which everything goes well, written by hand, and three ways to spoil it.

Two environments, fourteen steps. Environment 1 grows a seed, is snapshotted in step 3, struck in step 5, rolled back in
the same step and goes on; environment 0 notices nothing. Losses of 0 and values of 0 keep the arithmetic of rows simple.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from firedrill.events import (
    HARNESS_KINDS,
    BufferObserved,
    CensusTaken,
    FaultStruck,
    RollbackObserved,
    RowSeen,
    SnapshotObserved,
    StateDigested,
    StateLeft,
    TensorSeen,
    TwinStepped,
)
from firedrill.oracles.oracle import Claim, Evidence
from firedrill.scenario.cell import Cell, cells
from firedrill.scenario.load import load_text
from tolaria.lifecycle.stage import Stage
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.governor_events import (
    Collapsed,
    Decision,
    PenaltyDelivered,
    Remedy,
    RolledBack,
    Rung,
    SnapshotTaken,
    SnapshotTrusted,
    Work,
)
from tolaria.telemetry.growth_events import StageChanged
from tolaria.telemetry.run_events import RunFinished, RunStarted, StepFinished

# The smallest cell that is really rolled back.
SMALL = """\
version: 1
name: small
because: A NaN in a host of two is undone, and costs a second.
subject:
  seed: 11
  envs: 2
  steps: 8
  batches_per_step: 1
  governor: {snapshot_every: 2, probation: 1}
  script: [{step: 0, env: 0, op: germinate, slot: s0, blueprint: residual_mlp}]
faults:
  - {at: {step: 5, env: 1}, do: tensor.set, target: {params: "head.*", pick: {index: 0}}, with: {value: nan}}
expect: [core, bystanders_untouched]
"""

STEPS = 14
STRUCK = Point(5, 1)

CLAIM = Claim(
    envs=2,
    steps=STEPS,
    struck_envs=frozenset({1}),
    declared_strikes=(1,),
    fault_kinds=("tensor.set",),
    gamma=0.5,
    gae_lambda=0.5,
    chance_loss=0.7,
)

# What discounting by gamma x lambda = 1/4 makes of a penalty of -10 in the steps before it.
ADVANTAGES = (-0.009765625, -0.0390625, -0.15625, -0.625, -2.5, -10.0, 0.0)

MOVES = {
    1: (Stage.DORMANT, Stage.GERMINATED, "policy"),
    2: (Stage.GERMINATED, Stage.TRAINING, "policy"),
    6: (Stage.PRUNED, Stage.EMBARGOED, "time"),
    11: (Stage.EMBARGOED, Stage.RESETTING, "time"),
    12: (Stage.RESETTING, Stage.DORMANT, "time"),
}

SAVED = (
    TensorSeen("host/head.weight", "aa", 0, 1.0),
    TensorSeen("host/norm.running_mean", "bb", 0, 0.5),
    TensorSeen("optimizer/host/head.weight/exp_avg", "cc", 0, 0.3),
    TensorSeen("optimizer/host/head.weight/exp_avg_sq", "dd", 0, 0.2),
    TensorSeen("optimizer/host/head.weight/step", "ee", 0, 3.0),
)
LIVE_SEED = TensorSeen("host/slots.s0.seed.0.weight", "99", 0, 0.1)
RESTORED = tuple(replace(tensor, digest="00", magnitude=0.0) if tensor.name.endswith("/exp_avg") else tensor for tensor in SAVED)


def moved(step: int, stage_from: Stage, stage_to: Stage, initiator: str) -> StageChanged:
    """A move of slot s0 of environment 1."""
    return StageChanged(Point(step, 1), "s0", 1, "norm", stage_from, stage_to, "rollback" if initiator == "governor" else "", initiator)


def finished(step: int, env: int) -> list[Event]:
    """The end of an ordinary step."""
    loss = 0.6 - 0.01 * step
    digested = StateDigested(Point(step, env), (("host", f"{env}.{step}"), ("rng", f"{step}")))
    return [StepFinished(Point(step, env), "wait", "", True, loss, loss, 0.7, 1.0, 0.0), digested]


def rows(env: int, steps: range, collapsed: bool) -> BufferObserved:
    """The rows of one rollout; a collapse is in step 5 of environment 1."""
    seen = []
    for step in steps:
        dead, life = collapsed and step == 5, int((collapsed and step > 5) or (env == 1 and step > 6))
        advantage = ADVANTAGES[step] if collapsed else 0.0
        fresh = step == 0 or (collapsed and step == 6)
        seen.append(RowSeen(step, life, -10.0 if dead else 0.0, 0.0, 0.0, 0.0, advantage, dead, False, fresh, dead, 0.0))
    return BufferObserved(Point(steps[-1], env), tuple(seen), 0.5, 0.5)


def strike_and_rollback() -> list[Event]:
    """What the struck step leaves in a history before its end."""
    decision = Decision("non_finite", None, None, 0.58, 0.01, 0, (0.6, 0.59, None), (2, 5))
    return [
        FaultStruck(STRUCK, 0, "tensor.set", "host/head.weight[0]", 1, "aa", "ab", "nan"),
        Collapsed(STRUCK, "non_finite", None, None, 0, "parameters"),
        moved(5, Stage.TRAINING, Stage.PRUNED, "governor"),
        # As if the rollback had been made twice.
        RollbackObserved(STRUCK, 1, RESTORED, True, True, ()),
        RollbackObserved(STRUCK, 1, RESTORED, True, True, ()),
        RolledBack(STRUCK, 1, 3, decision, ("s0",), "reset", Remedy(Rung.NEWEST, None, None), Work(1, 100), 1),
        PenaltyDelivered(STRUCK, -10.0, 5, ((5, -10.0),)),
    ]


def history(faulted: bool) -> tuple[Event, ...]:
    """The faulted run, or the control run, which grows nothing."""
    events: list[Event] = [RunStarted(Point(0), 7, "{}", "abc", (), ("s0",), 0.7)]
    for env in (0, 1):
        events += [SnapshotTaken(Point(0, env), 0, "f0", 100, "begin"), SnapshotObserved(Point(0, env), 0, SAVED[:2])]
    for step in range(STEPS):
        if faulted and step in MOVES:
            events.append(moved(step, *MOVES[step]))
        if faulted and step == 3:
            events += [SnapshotTaken(Point(3, 1), 1, "f1", 100, "cadence"), SnapshotObserved(Point(3, 1), 1, (*SAVED, LIVE_SEED))]
        if faulted and step == 4:
            events.append(SnapshotTrusted(Point(4, 1), 1))
        if faulted and step == 5:
            events += strike_and_rollback()
        events += finished(step, 0) + finished(step, 1)
        if step in {6, 13}:
            steps = range(step - 6, step + 1)
            events += [rows(0, steps, False), rows(1, steps, faulted and step == 6)]
    # As if a census had been taken four times.
    counted = [CensusTaken(STRUCK, 0, 0, 0, 0, 0)] * 4
    left = [StateLeft(Point(STEPS, env), (("host", f"{env}.end"),), 0) for env in (0, 1, None)]
    return (*events, *counted, RunFinished(Point(13), (0.9, 0.85)), *left)


@pytest.fixture
def small() -> Cell:
    """A cell that is rolled back once."""
    return cells(load_text(SMALL, Path("scenarios/small.yaml")))[0]


@pytest.fixture
def healed() -> Evidence:
    """Every oracle answers PASS, and the verdict is RECOVERED."""
    twin = tuple(TwinStepped(Point(step, 1), 1, (("host", f"1.{step}"), ("rng", f"{step}"))) for step in range(6, 11))
    control = history(False)
    bare = tuple(event for event in control if isinstance(event, StateLeft) or not isinstance(event, HARNESS_KINDS))
    return Evidence(history(True), control, twin, None, CLAIM, again=control, bare=bare)


@pytest.fixture
def empty() -> Evidence:
    """Nothing was recorded of a run that was to be struck."""
    return Evidence((), (), (), None, CLAIM)


Which = Callable[[Event], bool]
Edit = Callable[..., Evidence]


def every(_: Event) -> bool:
    """Which events: all of the kind."""
    return True


@pytest.fixture
def edit(healed: Evidence) -> Edit:
    """The good evidence with fields of some faulted events changed: `edit(kind, which, field=value)`."""

    def edited(kind: type[Event], which: Which = every, **fields: object) -> Evidence:
        hit = [isinstance(event, kind) and which(event) for event in healed.faulted]
        assert any(hit), "the test edits nothing"
        changed = tuple(replace(event, **fields) if yes else event for event, yes in zip(healed.faulted, hit, strict=True))
        return replace(healed, faulted=changed)

    return edited


@pytest.fixture
def drop(healed: Evidence) -> Edit:
    """The good evidence without some faulted events: `drop(kind, which)`."""

    def dropped(kind: type[Event], which: Which = every) -> Evidence:
        kept = tuple(event for event in healed.faulted if not (isinstance(event, kind) and which(event)))
        assert len(kept) < len(healed.faulted), "the test drops nothing"
        return replace(healed, faulted=kept)

    return dropped


@pytest.fixture
def add(healed: Evidence) -> Edit:
    """The good evidence with more faulted events, each after everything else of its step: `add(event, ...)`."""

    def added(*events: Event) -> Evidence:
        faulted = list(healed.faulted)
        for event in events:
            faulted.insert(1 + max(i for i, other in enumerate(faulted) if other.at.step <= event.at.step), event)
        return replace(healed, faulted=tuple(faulted))

    return added
