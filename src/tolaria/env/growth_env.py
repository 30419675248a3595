"""One host in training, seen as an environment: the controller decides, the host trains, the reward follows.

`GrowthEnv` is a `gymnasium.Env` that any library of reinforcement learning can drive. The main road drives it through
`view` and `advance`, which speak of actions and vitals instead of arrays.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
import torch

from tolaria.env.capsule import CapsuleHost
from tolaria.env.config import AttributionConfig, Recovery, RewardConfig, TrainingConfig
from tolaria.env.course import Course
from tolaria.env.reward import Deed, Parts, fossils, reward_parts
from tolaria.env.training import Trained
from tolaria.lifecycle.action import WAIT, Action, Op
from tolaria.lifecycle.gates import GateConfig
from tolaria.lifecycle.seed import SlotState
from tolaria.policy.action_space import ActionSpace
from tolaria.policy.masks import masks_of
from tolaria.policy.observation import observation_size, observe
from tolaria.policy.policy import JSON
from tolaria.policy.view import View
from tolaria.seams import ACTION_APPLIED, NO_TAPS, STEP_BEGUN, Taps
from tolaria.seeding import derive_seed
from tolaria.tasks.task import Task
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.growth_events import RewardExplained
from tolaria.telemetry.run_events import StepFinished
from tolaria.vitals import Vitals

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class EnvConfig:
    """What one environment is made of; `episode_steps` decisions, then the time limit."""

    episode_steps: int
    training: TrainingConfig = TrainingConfig()
    gates: GateConfig = GateConfig()
    reward: RewardConfig = RewardConfig()
    scan: bool = True
    recovery: Recovery = Recovery()
    attribution: AttributionConfig = AttributionConfig()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one decision step came to. `reward` is None where no loss was finite; `fossilized`: a seed was committed."""

    vitals: Vitals
    reward: float | None
    accepted: bool
    fossilized: bool
    truncated: bool


@dataclass(frozen=True, slots=True)
class Broken:
    """What came of a step that raised: the error in words. Its environment is in no state to go on."""

    reason: str


@dataclass(frozen=True, slots=True)
class Begun:
    """A step whose decision has been executed, and whose batches are still to be trained. `before` are the slots as they were."""

    action: Action
    accepted: bool
    before: tuple[SlotState, ...]


class GrowthEnv(gymnasium.Env[FloatArray, npt.NDArray[np.int64]]):
    """One host and its slots. Observations [D] lie in [-10, 10]; actions are the factored decision of `ActionSpace`.

    Without a governor above it, a host whose loss is not finite ends its episode (`terminated`, reward 0).
    `info` holds "op_mask" [6] and "slot_mask" [6, S], true where an op, and an op on a slot, would be executed.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - gymnasium declares it as a variable of the instance

    def __init__(
        self,
        task: Task,
        config: EnvConfig,
        seed: int = 0,
        env: int = 0,
        device: torch.device | None = None,
        taps: Taps = NO_TAPS,
        emit: Callable[[Event], None] = lambda _: None,
    ) -> None:
        self.task = task
        self.config = config
        self.env = env
        self.taps = taps
        self.emit = emit
        self._seed = seed
        self._device = device or torch.device("cpu")
        self.episode = 0
        self._begin()
        slots = tuple(self.training.host.slots)
        self.actions = ActionSpace(slots, self.training.blueprints)
        self.observation_space = gymnasium.spaces.Box(
            -10.0, 10.0, (observation_size(len(slots), len(self.training.blueprints)),), np.float32
        )
        self.action_space = gymnasium.spaces.MultiDiscrete(np.array(self.actions.sizes))

    def _begin(self) -> None:
        seed = derive_seed(self._seed, "environment", self.env, "episode", self.episode)
        self.training = CapsuleHost(self.task, self.config.training, seed, self._device, self.taps, self.emit, self.config.recovery)
        self.training.attribution = self.config.attribution
        loss, _ = self.training.validate()
        self.training.loss_before = loss

    def begin_episode(self) -> None:
        """A new host; its seed follows from the environment's seed and the number of the episode."""
        self.episode += 1
        self._begin()

    @property
    def course(self) -> Course:
        """The episode so far; it is part of the state, so it lives with the state."""
        return self.training.course

    @property
    def is_over(self) -> bool:
        """Whether the time limit is reached; a rollback may have wound the episode back since its last step."""
        return self.course.step >= self.config.episode_steps

    def view(self) -> View:
        """What a controller may know now."""
        host, course = self.training.host, self.course
        return View(
            env=self.env,
            episode_step=course.step,
            episode_steps=self.config.episode_steps,
            chance_loss=self.task.chance_loss,
            slots=host.slot_states(),
            blueprints=self.training.blueprints,
            gates=self.config.gates,
            recent=course.recent,
            last_action=course.last_action,
            last_accepted=course.last_accepted,
            host_parameters=host.host_parameters(),
            seed_parameters=host.seed_parameters(),
        )

    def advance(self, action: Action, at: Point) -> Outcome:
        """Execute a decision, train, tick, validate, reward."""
        begun = self.begin_step(action, at)
        return self.finish_step(begun, self.training.train(at), at)

    def begin_step(self, action: Action, at: Point) -> Begun:
        """Execute a decision; what follows is training, and then `finish_step`."""
        training = self.training
        self.taps.pass_through(STEP_BEGUN, at, training)
        before = self._slots()
        accepted = training.apply(action, self.config.gates, at)
        self.taps.pass_through(ACTION_APPLIED, at, training)
        return Begun(action, accepted, before)

    def finish_step(self, begun: Begun, trained: Trained, at: Point) -> Outcome:
        """Tick, validate, reward a step whose batches have been trained."""
        training, action, accepted = self.training, begun.action, begun.accepted
        training.tick(at)
        vitals = training.vitals(at, trained, self.config.scan)
        training.course = self.course.advanced(vitals, action, accepted)
        training.measure_seeds(at, self._fossils_are_due())
        parts = self._reward(vitals, accepted and action.op is not Op.WAIT, begun.before)
        reward = None if parts is None else parts.total
        if parts is not None:
            self.emit(RewardExplained(at, parts.progress, parts.contribution, parts.bonus, parts.rent, parts.cost))
        if vitals.finite:
            training.loss_before = vitals.val_loss
        self.emit(
            StepFinished(
                at,
                action.op.value,
                action.slot,
                accepted,
                vitals.train_loss,
                vitals.val_loss,
                vitals.val_accuracy,
                vitals.gradient_norm,
                reward,
            )
        )
        return Outcome(vitals, reward, accepted, fossils(self._slots()) > fossils(begun.before), self.is_over)

    def forget_action(self) -> None:
        """After a rollback: what was decided in the step that is no more is not shown as done."""
        self.training.course = replace(self.course, last_action=WAIT, last_accepted=False)

    def note_controller(self, position: JSON) -> None:
        """Keep where the controller stands with everything else that a snapshot may record."""
        self.training.course = replace(self.course, controller=position)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[FloatArray, dict[str, Any]]:
        """A new host; `seed` names it and those that follow."""
        super().reset(seed=seed)
        if seed is not None:
            self._seed, self.episode = seed, 0
            self._begin()
        else:
            self.begin_episode()
        return observe(self.view()), self._info()

    def step(self, action: npt.NDArray[np.int64]) -> tuple[FloatArray, float, bool, bool, dict[str, Any]]:
        """One decision step, as gymnasium has it; a refused decision is a WAIT with `info["accepted"]` false."""
        decided = self.actions.decode(tuple(int(index) for index in action))
        outcome = self.advance(decided, Point(self.course.step, self.env))
        lost = outcome.reward is None
        info = self._info() | {"accepted": outcome.accepted, "val_loss": outcome.vitals.val_loss, "collapsed": lost}
        return observe(self.view()), 0.0 if outcome.reward is None else outcome.reward, lost, outcome.truncated and not lost, info

    def action_masks(self) -> npt.NDArray[np.bool_]:
        """What is legal in each head by itself, one head behind the other, as sb3-contrib asks for it.

        An op and a slot that are each legal may not be so together; such a decision is refused, and is a WAIT.
        """
        masks = masks_of(self.view())
        return np.concatenate([masks.op, masks.slot_by_op.any(axis=0), np.ones(sum(self.actions.sizes[2:]), dtype=np.bool_)])

    def facts(self) -> dict[str, Any]:
        """What a checkpoint records beside the host's own capsule."""
        return {
            "episode": self.episode,
            "training": self.training.checkpoint_facts(),
        }

    def resume(self, tensors: dict[str, torch.Tensor], facts: dict[str, Any]) -> None:
        """Become exactly what a checkpoint recorded."""
        self.episode = facts["episode"]
        self._begin()
        self.training.resume(tensors, facts["training"])

    def _fossils_are_due(self) -> bool:
        # The sum of what is paid is what they are worth at the end, and not some steps earlier.
        paid = self.is_over and self.config.reward.mode == "contribution"
        return paid or self.course.step % self.config.attribution.reablate_every == 0

    def _reward(self, vitals: Vitals, acted: bool, before: tuple[SlotState, ...]) -> Parts | None:
        host = self.training.host
        seeds = host.seed_parameters()
        deed = Deed(seeds / (host.host_parameters() + seeds), acted, self.is_over, before, self._slots())
        assert math.isfinite(self.training.loss_before), self.training.loss_before
        return reward_parts(self.training.loss_before, vitals, self.task.chance_loss, deed, self.config.reward)

    def _slots(self) -> tuple[SlotState, ...]:
        return tuple(self.training.host.slot_states().values())

    def _info(self) -> dict[str, Any]:
        masks = masks_of(self.view())
        return {"op_mask": masks.op, "slot_mask": masks.slot_by_op}
