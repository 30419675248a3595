"""Environments that a pool has stepped, with whatever grows in their hosts and whatever strikes them."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from tolaria.env.config import TrainingConfig
from tolaria.env.growth_env import Broken, EnvConfig, Outcome
from tolaria.env.vector_env import POOLS, VectorEnv
from tolaria.governor.config import GovernorConfig
from tolaria.governor.rollback import roll_back
from tolaria.governor.snapshots import SnapshotRing
from tolaria.lifecycle.action import WAIT, Action, Op
from tolaria.lifecycle.gates import GateConfig
from tolaria.lifecycle.seed import Blend
from tolaria.seams import GRADIENTS_READY, LOSS_READY, NO_TAPS, STEP_BEGUN, WEIGHTS_UPDATED, Seam, T, Taps
from tolaria.tasks import TASKS
from tolaria.telemetry.event import Event, Point

OPEN = GateConfig(training_steps_min=0, magnitude_max=1e9, holding_steps_min=0, contribution_min=-1.0, prune_age_min=0, seeds_max=2)
# Environments, and what each of them grows; the last one grows nothing.
GROWN = [(blueprint, blend) for blueprint in ("mlp_norm", "linear_bottleneck", "residual_mlp") for blend in Blend]
ENVS = len(GROWN) + 1
STEPS = 12


def growing(kinds: Sequence[tuple[str, Blend]]) -> Callable[[int, int], Action]:
    """In even steps a seed in s0 goes on, in odd ones one in s1, so that every stage meets every other; in the end s0 is committed."""

    def decide(step: int, env: int) -> Action:
        if env >= len(kinds):
            return WAIT
        blueprint, blend = kinds[env]
        slot, age = f"s{step % 2}", step // 2
        # Some are earlier than others.
        age -= env % 2
        if age < 0:
            return WAIT
        ops = (Op.GERMINATE, Op.ADVANCE, Op.ADVANCE, Op.ADVANCE, Op.FOSSILIZE if slot == "s0" else Op.WAIT)
        op = ops[age] if age < len(ops) else Op.WAIT
        return Action(op=op, slot=slot, blueprint=blueprint, blend=blend, tempo=1)

    return decide


moves = growing(GROWN)


def waits(_step: int, _env: int) -> Action:
    """Nothing grows."""
    return WAIT


def alike(step: int, env: int) -> Action:
    """All grow the same in the same slot, and each is blended in at its own pace, so that a group has as many strengths as hosts."""
    ops = (Op.GERMINATE, Op.ADVANCE, Op.ADVANCE)
    op = ops[step] if step < len(ops) else Op.WAIT
    return Action(op=op, slot="s0", blueprint="residual_mlp", blend=Blend.GATE, tempo=2 + env)


@dataclass(slots=True)
class Gradients:
    """Keeps every gradient that a batch came to, clipped by nobody yet."""

    kept: dict[tuple[int, int, int], dict[str, torch.Tensor]] = field(default_factory=dict)

    def pass_through(self, seam: Seam[T], at: Point, value: T) -> T:
        if seam is GRADIENTS_READY:
            host = value.host  # type: ignore[attr-defined]  # the seam passes a trainee
            found = {name: p.grad.detach().clone() for name, p in host.named_parameters() if p.grad is not None}
            self.kept[at.step, at.env or 0, at.batch or 0] = found
        return value


class Does:
    """Does something to one environment, at a seam of one step."""

    def __init__(self, seam: Seam[Any], act: Callable[[Any], Any], env: int = 1, step: int = 5) -> None:
        self.seam, self.act, self.env, self.step = seam, act, env, step

    def pass_through(self, seam: Seam[T], at: Point, value: T) -> T:
        due = seam is self.seam and at.env == self.env and at.step == self.step and not at.batch
        return self.act(value) if due else value


@dataclass(slots=True)
class Played:
    """All environments after their steps."""

    backend: str
    taps: Taps = NO_TAPS
    settings: Mapping[str, Any] = field(default_factory=dict)
    only: Sequence[int] = tuple(range(ENVS))
    moves: Callable[[int, int], Action] = moves
    task: str = "spirals"
    steps: int = STEPS
    device: torch.device = torch.device("cpu")
    between: Callable[[int, VectorEnv], object] = lambda _step, _envs: None
    events: list[Event] = field(default_factory=list)
    outcomes: dict[tuple[int, int], Outcome | Broken] = field(default_factory=dict)
    envs: VectorEnv = field(init=False)

    def __post_init__(self) -> None:
        config = EnvConfig(self.steps, TrainingConfig(**({"batches_per_step": 3} | dict(self.settings))), OPEN)
        task = TASKS[self.task]()
        self.envs = VectorEnv(task, config, ENVS, 0, self.device, self.taps, self.events.append, POOLS[self.backend]())
        self.envs.retired.update(set(range(ENVS)) - set(self.only))
        for step in range(self.steps):
            self.between(step, self.envs)
            views = self.envs.views()
            came = self.envs.advance(views, [self.moves(step, view.env) for view in views], step)
            self.outcomes |= {(step, env): outcome for env, outcome in came.items()}
            self.envs.retired.update(env for env, outcome in came.items() if isinstance(outcome, Broken))

    def tensors(self, env: int) -> dict[str, torch.Tensor]:
        return {name: tensor.detach() for name, tensor in self.envs.envs[env].training.all_tensors().items()}


def assert_equal(one: Played, other: Played, envs: Sequence[int]) -> None:
    for env in envs:
        mine, theirs = one.tensors(env), other.tensors(env)
        assert mine.keys() == theirs.keys()
        assert [name for name in mine if not torch.equal(mine[name], theirs[name])] == []
        for step in range(one.steps):
            assert repr(one.outcomes[step, env]) == repr(other.outcomes[step, env])


def fill(value: float) -> Callable[[Any], Any]:
    def act(trainee: Any) -> Any:
        with torch.no_grad():
            trainee.host.head.weight.fill_(value)
        return trainee

    return act


def listen(trainee: Any) -> Any:
    trainee.host.head.register_forward_hook(lambda _module, _inputs, output: output * 0.5)
    return trainee


def hasten(trainee: Any) -> Any:
    trainee.optimizers["host"].register_step_pre_hook(lambda optimizer, *_: optimizer.param_groups[0].update(lr=3.0))
    return trainee


def replace_gradients(trainee: Any) -> Any:
    for parameter in trainee.host.parameters():
        parameter.grad = None if parameter.grad is None else torch.full_like(parameter.grad, 0.25)
    return trainee


def fail(value: Any) -> Any:
    raise OSError("the disk with the data is gone")


STRUCK: dict[str, tuple[Seam[Any], Callable[[Any], Any]]] = {
    "a weight": (WEIGHTS_UPDATED, fill(math.nan)),
    "a weight before the step": (STEP_BEGUN, fill(7.0)),
    "a loss": (LOSS_READY, lambda loss: loss * math.nan),
    "a loss that is large": (LOSS_READY, lambda loss: loss * 100.0),
    "gradients": (GRADIENTS_READY, replace_gradients),
    "an answer": (WEIGHTS_UPDATED, listen),
    "an optimizer": (GRADIENTS_READY, hasten),
}


def collapsing(policy: str) -> Callable[[int, VectorEnv], None]:
    """Environment 1 is lost in step 7, and is rolled back to where it was in step 5; written where its weights were, and nowhere else."""
    rings: dict[int, SnapshotRing] = {}

    def between(step: int, envs: VectorEnv) -> None:
        training = envs.envs[1].training
        if step == 5:
            rings[id(envs)] = SnapshotRing(kept=3, probation=3)
            rings[id(envs)].take(training.stable_tensors(), training.facts(), 5, "begin", bool, bool)
        if step == 7:
            with torch.no_grad():
                training.host.head.weight.fill_(math.nan)
            places = [parameter.data_ptr() for parameter in training.host.own_parameters().values()]
            roll_back(rings[id(envs)], training, Point(7, 1), False, GovernorConfig(optimizer=policy), NO_TAPS)
            assert [parameter.data_ptr() for parameter in training.host.own_parameters().values()] == places

    return between
