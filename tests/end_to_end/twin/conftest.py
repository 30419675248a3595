"""Runs that fall and runs that never do, and how their states are compared.

The first slot is in one of several stages when the fault strikes. The second is never at rest: its seed is pruned before
the snapshot, rests across it, and germinates again before the fault. Decisions come from a script. Nothing is compared but
states: of what the run was told and has learnt nothing is wound back.
"""

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import pytest
import torch

from firedrill.faults.fault import Fault
from firedrill.faults.governor_suppress import GovernorSuppress
from firedrill.faults.lifecycle_prune import LifecyclePrune
from firedrill.faults.loss_set import LossSet
from firedrill.faults.output_lobotomize import OutputLobotomize
from firedrill.faults.target import Pick, Target
from firedrill.faults.tensor_flip_bit import TensorFlipBit
from firedrill.faults.tensor_scale import TensorScale
from firedrill.faults.tensor_set import TensorSet
from firedrill.faults.when import When
from firedrill.runner.inject import Injector
from firedrill.scenario.scenario import PlannedFault
from firedrill.subjects.growth import optimizers_live, raw_bytes, tensors_of
from tolaria.env.capsule import CapsuleHost
from tolaria.env.config import TrainingConfig
from tolaria.errors import RollbackFailed
from tolaria.governor.config import GovernorConfig
from tolaria.governor.verdict import Alarm, Standing, Verdict
from tolaria.host.blueprints import BLUEPRINTS
from tolaria.host.blueprints.blueprint import Blueprint, zeroed
from tolaria.host.cnn_host import CnnHost
from tolaria.lifecycle.action import Action, Op
from tolaria.lifecycle.alpha import Curve
from tolaria.lifecycle.gates import GateConfig
from tolaria.lifecycle.seed import Blend
from tolaria.lifecycle.stage import EXPERIMENTAL, Stage
from tolaria.seams import NO_TAPS, STEP_FINISHED, VERDICT_READY, Seam, Taps
from tolaria.tasks import TASKS
from tolaria.tasks.digits import digits
from tolaria.tasks.task import Split, Task
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.governor_events import RolledBack
from tolaria.telemetry.history import History
from tolaria.train.config import Move, TrainConfig
from tolaria.train.rollout import take_step
from tolaria.train.run import Run

T = TypeVar("T")
State = dict[str, object]

FELL, LAST = 12, 24
EVERYTHING = GovernorConfig(detectors="classic", optimizer="restore", live_seeds="restore", rewind=True, probation=6)
SEEDS = {"spirals": ("residual_mlp", "linear_bottleneck"), "few_digits": ("with_statistics", "depthwise")}

G, A, F, P, R = Op.GERMINATE, Op.ADVANCE, Op.FOSSILIZE, Op.PRUNE, Op.RETARGET
# What is done to the second slot, and by stage at the fault to the first.
SECOND = {2: G, 4: P, 11: G, 13: A, 15: A, 18: A}
FIRST: dict[Stage, dict[int, Op]] = {
    Stage.DORMANT: {16: G, 17: A, 19: A},
    Stage.TRAINING: {0: G, 1: A, 16: A, 20: A, 21: F},
    Stage.BLENDING: {0: G, 1: A, 3: A, 17: A, 19: R, 23: A},
    Stage.FOSSILIZED: {0: G, 1: A, 3: A, 5: A, 6: F},
    # Not among the stages of the cells; its alpha was changed once before the snapshot.
    Stage.HOLDING: {0: G, 1: A, 3: A, 5: A, 6: R, 12: A, 16: F},
}
TEMPO = {Stage.DORMANT: 2, Stage.TRAINING: 3, Stage.BLENDING: 12, Stage.FOSSILIZED: 1, Stage.HOLDING: 1}


@dataclass(frozen=True, slots=True)
class Fall:
    """A fault, and whether the governor notices it by itself in the very step."""

    fault: Fault
    target: Target | None = None
    phase: str = "weights_updated"
    noticed: bool = False
    task: str = "spirals"


NAN, INF = float("nan"), float("inf")
FIRST_WEIGHT = Target(params="blocks.0.*", pick=Pick(index=0))
FALLS = {
    "nan weight": Fall(TensorSet(NAN), FIRST_WEIGHT, noticed=True),
    "inf weight": Fall(TensorSet(INF), FIRST_WEIGHT, noticed=True),
    "nan loss": Fall(LossSet(NAN), phase="loss_ready", noticed=True),
    "nan gradient": Fall(TensorSet(NAN), Target(grads="head.*", pick=Pick(index=1)), "gradients_ready", noticed=True),
    "nan statistics": Fall(TensorSet(NAN), Target(buffers="blocks.1.*running_var", pick=Pick(index=0)), noticed=True, task="few_digits"),
    "nan momentum": Fall(TensorSet(NAN), Target(optimizer="host/blocks.0.*", pick=Pick(index=2)), "step_begun", noticed=True),
    "exponent bit": Fall(TensorFlipBit(30), Target(params="head.weight", pick=Pick(index=3))),
    "explosion": Fall(TensorScale(1e4), Target(params="head.weight")),
    "lobotomy": Fall(OutputLobotomize()),
    # Of the young seed in the second slot, or of the older one in the first where it grows.
    "pruned": Fall(LifecyclePrune(), Target(slot="s1"), "step_begun"),
    # What a fossil is does not change by itself.
    "nan in fossil's weights": Fall(TensorSet(NAN), Target(params="slots.s0.*"), noticed=True),
    "nan in fossil's statistics": Fall(TensorSet(NAN), Target(buffers="slots.s0.*"), noticed=True),
}


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    # Batch normalisation needs images, but few; and none of the seeds that are sold has statistics of its own.
    monkeypatch.setitem(TASKS, "few_digits", few_digits)
    monkeypatch.setitem(BLUEPRINTS, "with_statistics", Blueprint("with_statistics", "conv", "batch normalisation", with_statistics))


def with_statistics(channels: int) -> torch.nn.Module:
    """A seed with buffers."""
    return torch.nn.Sequential(torch.nn.BatchNorm2d(channels), torch.nn.ReLU(), zeroed(torch.nn.Conv2d(channels, channels, 1)))


@functools.cache
def few_digits() -> Task:
    """The digits, but few of them, and a narrow host."""
    task = digits()
    train, validation = (Split(split.inputs[:count], split.targets[:count]) for split, count in ((task.train, 96), (task.validation, 24)))
    host = functools.partial(CnnHost, in_channels=1, width=4, depth=2, classes=10)
    return replace(
        task, name="few_digits", train=train, validation=validation, test=validation, batch_size=16, build_host=lambda seed: host(seed=seed)
    )


# Running.


class Struck:
    """Taps of a run that falls: the fault, blind steps after it, and a verdict of collapse when they are over."""

    def __init__(self, planned: PlannedFault, lag: int, emit: Callable[[Event], None]) -> None:
        blind = PlannedFault(1, When(step=FELL, env=0, phase=VERDICT_READY.name, for_steps=max(1, lag)), GovernorSuppress(), None, 0)
        self.injector = Injector([planned, blind] if lag else [planned], 0, emit)
        self.acts = FELL + lag
        self.verdicts: list[Verdict] = []
        self.stages: list[Stage] = []

    def pass_through(self, seam: Seam[T], at: Point, value: T) -> T:
        """Let it strike; the governor's own verdict stands where it is a collapse."""
        if seam == STEP_FINISHED and at.step == FELL - 1:
            assert isinstance(value, CapsuleHost)
            self.stages.append(value.state("s0").stage)
        value = self.injector.pass_through(seam, at, value)
        if isinstance(value, Verdict) and at.step == self.acts:
            self.verdicts.append(value)
            called = Verdict(Standing.COLLAPSED, Alarm("called", 1, None, None, "by the test"))
            return value if value.standing is Standing.COLLAPSED else called  # type: ignore[return-value]  # It is a Verdict.
        return value


def script(stage: Stage, task: str) -> tuple[Move, ...]:
    """Everything that the controller does."""
    first, second = SEEDS[task]

    def action(slot: str, step: int, op: Op) -> Action:
        if op is G and slot == "s0":
            return Action(op, slot, first, tempo=TEMPO[stage], alpha_target=0.7)
        if op is G:
            # The second seed of the slot is another one in every respect.
            return Action(op, slot, second) if step < FELL - 4 else Action(op, slot, first, Blend.MULTIPLY, 3, 0.5, 3, Curve.COSINE)
        return Action(op, slot, alpha_target=1.0, alpha_speed=3) if op is R else Action(op, slot)

    moves = {("s0", step): op for step, op in FIRST[stage].items()} | {("s1", step): op for step, op in SECOND.items()}
    return tuple(Move(step, 0, action(slot, step, op)) for (slot, step), op in moves.items())


def build(task: str, optimizer: str, stage: Stage, taps: Callable[[History], Taps], governor: GovernorConfig) -> Run:
    """A run that has not made its first step."""
    config = TrainConfig(
        task=task,
        policy="scripted",
        envs=1,
        steps=100,
        seed=3,
        rollout_steps=100,
        script=script(stage, task),
        training=TrainingConfig(batches_per_step=1, optimizer=optimizer, learning_rate=0.02, warmup_batches=15),
        gates=GateConfig(0, 1e9, 0, -1.0, 0, 2),
        governor=governor,
    )
    history = History()
    run = Run(config, torch.device("cpu"), history, taps(history))
    run.begin()
    return run


def state(run: Run) -> State:
    """Everything that a step depends on: tensors read off modules and optimizers, facts, random streams, what was judged."""
    env, host = run.envs.envs[0], run.envs.envs[0].training
    tensors: State = {name: raw_bytes(tensor) for name, tensor in tensors_of(host).items()}
    learns: State = {f"learns/{name}": parameter.requires_grad for name, parameter in host.host.named_parameters()}
    facts = env.facts()
    # Vitals are labelled with steps of the run, which goes on.
    facts["training"]["course"]["recent"] = [numbers for _, *numbers in facts["training"]["course"]["recent"]]
    judged = run.governors[0].capsule()[1]["jury"]
    more = flat({"env": facts, "policy": run.policy.facts(), "jury": json.loads(json.dumps(judged))}, "")
    rates: State = {f"rate/{key}": host.learning_rate(key) for key in host.optimizers}
    return tensors | learns | more | rates | {"live": optimizers_live(host)}


def flat(value: object, path: str) -> State:
    """The leaves of nested JSON by their paths."""
    if isinstance(value, dict):
        return {name: leaf for key, inner in value.items() for name, leaf in flat(inner, f"{path}/{key}").items()}
    return {path: json.dumps(value)}


class Drill:
    """Runs under one setting of the governor. What never falls is run once."""

    falls = FALLS
    fell = FELL

    def __init__(self) -> None:
        self.governor = EVERYTHING
        self._never_fallen: dict[tuple[str, str, Stage], tuple[State, ...]] = {}

    def never_fallen(self, task: str, optimizer: str, stage: Stage) -> tuple[State, ...]:
        """The states after 0, 1, 2, ... steps of the run that nothing strikes."""
        key = (task, optimizer, stage)
        if key not in self._never_fallen:
            run = build(task, optimizer, stage, lambda _: NO_TAPS, EVERYTHING)
            states = [state(run)]
            for _ in range(LAST):
                take_step(run)
                states.append(state(run))
            assert not rollbacks(run)
            self._never_fallen[key] = tuple(states)
        return self._never_fallen[key]

    def fallen(self, name: str, lag: int, optimizer: str, stage: Stage, task: str = "") -> tuple[Run, Struck]:
        """A run right after its rollback."""
        fall = FALLS[name]
        target = replace(fall.target, slot="s0") if name == "pruned" and fall.target and stage in EXPERIMENTAL else fall.target
        planned = PlannedFault(0, When(step=FELL, env=0, phase=fall.phase), fall.fault, target, 0)
        struck: list[Struck] = []

        def taps(history: History) -> Taps:
            struck.append(Struck(planned, lag, history.emit))
            return struck[0]

        run = build(task or fall.task, optimizer, stage, taps, self.governor)
        for _ in range(FELL + lag + 1):
            take_step(run)
        assert struck[0].injector.complaints == []
        return run, struck[0]

    def differences(self, run: Run, optimizer: str, stage: Stage) -> list[str]:
        """What is not as in the run that never fell, in the first step from now to the last in which anything is."""
        reference = self.never_fallen(run.config.task, optimizer, stage)
        while True:
            step = run.envs.envs[0].course.step
            now, never = state(run), reference[step]
            differing = sorted(key for key in now.keys() | never.keys() if now.get(key) != never.get(key))
            if differing or step >= LAST:
                return [f"step {step}: {key}" for key in differing]
            take_step(run)

    def notices(self, name: str, lag: int, optimizer: str, stage: Stage, task: str = "few_digits") -> bool:
        """Whether the rollback fails, or its run differs from the one that never fell."""
        try:
            run, _ = self.fallen(name, lag, optimizer, stage, task)
        except RollbackFailed:
            return True
        return self.differences(run, optimizer, stage) != []


def rollbacks(run: Run) -> list[RolledBack]:
    """Every rollback of a run."""
    return [event for event in run.history.events if isinstance(event, RolledBack)]


@pytest.fixture(scope="module")
def drill() -> Drill:
    """One for all tests of a file, so that what never falls runs once."""
    return Drill()


@pytest.fixture
def gentle(drill: Drill, monkeypatch: pytest.MonkeyPatch) -> Drill:
    """The same, where a snapshot is trusted soon: for faults that leave every number healthy."""
    monkeypatch.setattr(drill, "governor", replace(EVERYTHING, probation=3))
    return drill
