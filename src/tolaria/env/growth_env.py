"""One host in training, seen as an environment: the controller decides, the host trains, the reward follows.

`GrowthEnv` is a `gymnasium.Env` that any library of reinforcement learning can drive. The main road drives it through
`view` and `advance`, which speak of actions and vitals instead of arrays.
"""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, astuple, dataclass
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
import torch

from tolaria.env.capsule import CapsuleHost
from tolaria.env.config import RewardConfig, TrainingConfig
from tolaria.env.reward import progress_reward, sparse_reward
from tolaria.lifecycle.action import WAIT, Action, Op
from tolaria.lifecycle.alpha import Curve
from tolaria.lifecycle.gates import GateConfig
from tolaria.lifecycle.seed import Blend
from tolaria.lifecycle.stage import Stage
from tolaria.policy.action_space import ActionSpace
from tolaria.policy.masks import masks_of
from tolaria.policy.observation import observation_size, observe
from tolaria.policy.view import RECENT, View
from tolaria.seams import ACTION_APPLIED, NO_TAPS, STEP_BEGUN, Taps
from tolaria.seeding import derive_seed
from tolaria.tasks.task import Task
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.run_events import StepFinished
from tolaria.vitals import Outputs, Vitals

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class EnvConfig:
    """What one environment is made of; `episode_steps` decisions, then the time limit."""

    episode_steps: int
    training: TrainingConfig = TrainingConfig()
    gates: GateConfig = GateConfig()
    reward: RewardConfig = RewardConfig()
    scan: bool = True


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one decision step came to. `reward` is None where no loss was finite; `fossilized`: a seed was committed."""

    vitals: Vitals
    reward: float | None
    accepted: bool
    fossilized: bool
    truncated: bool


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
        self.training = CapsuleHost(self.task, self.config.training, seed, self._device, self.taps, self.emit)
        self.episode_step = 0
        self.recent: deque[Vitals] = deque(maxlen=RECENT)
        self.last_action, self.last_accepted = WAIT, True
        loss, _ = self.training.validate()
        self.training.loss_before = loss

    def begin_episode(self) -> None:
        """A new host; its seed follows from the environment's seed and the number of the episode."""
        self.episode += 1
        self._begin()

    def view(self) -> View:
        """What a controller may know now."""
        host = self.training.host
        return View(
            env=self.env,
            episode_step=self.episode_step,
            episode_steps=self.config.episode_steps,
            chance_loss=self.task.chance_loss,
            slots=host.slot_states(),
            blueprints=self.training.blueprints,
            gates=self.config.gates,
            recent=tuple(self.recent),
            last_action=self.last_action,
            last_accepted=self.last_accepted,
            host_parameters=host.host_parameters(),
            seed_parameters=host.seed_parameters(),
        )

    def advance(self, action: Action, at: Point) -> Outcome:
        """Execute a decision, train, tick, validate, reward."""
        training = self.training
        self.taps.pass_through(STEP_BEGUN, at, training)
        fossils = self._fossils()
        accepted = training.apply(action, self.config.gates, at)
        self.taps.pass_through(ACTION_APPLIED, at, training)
        trained = training.train(at)
        training.tick(at)
        vitals = training.vitals(at, trained, self.config.scan)
        training.measure_seeds(vitals.val_accuracy)
        self.episode_step += 1
        truncated = self.episode_step >= self.config.episode_steps
        reward = self._reward(vitals, accepted and action.op is not Op.WAIT, truncated)
        if vitals.finite:
            self.recent.append(vitals)
            training.loss_before = vitals.val_loss
        self.last_action, self.last_accepted = action, accepted
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
        return Outcome(vitals, reward, accepted, self._fossils() > fossils, truncated)

    def forget_action(self) -> None:
        """After a rollback: what was decided in the step that is no more is not shown as done."""
        self.last_action, self.last_accepted = WAIT, False

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
        outcome = self.advance(decided, Point(self.episode_step, self.env))
        lost = outcome.reward is None
        info = self._info() | {"accepted": outcome.accepted, "val_loss": outcome.vitals.val_loss, "collapsed": lost}
        return observe(self.view()), 0.0 if outcome.reward is None else outcome.reward, lost, outcome.truncated and not lost, info

    def facts(self) -> dict[str, Any]:
        """What a checkpoint records beside the host's own capsule."""
        return {
            "episode": self.episode,
            "episode_step": self.episode_step,
            "recent": [vitals_to_list(vitals) for vitals in self.recent],
            # Not as indices: a script may decide what the action space does not hold, and was refused.
            "last_action": asdict(self.last_action),
            "last_accepted": self.last_accepted,
            "training": self.training.checkpoint_facts(),
        }

    def resume(self, tensors: dict[str, torch.Tensor], facts: dict[str, Any]) -> None:
        """Become exactly what a checkpoint recorded."""
        self.episode = facts["episode"]
        self._begin()
        self.episode_step = facts["episode_step"]
        self.recent.extend(vitals_from_list(values) for values in facts["recent"])
        self.last_action = action_from_dict(facts["last_action"])
        self.last_accepted = facts["last_accepted"]
        self.training.resume(tensors, facts["training"])

    def _reward(self, vitals: Vitals, acted: bool, is_last: bool) -> float | None:
        share = self.training.host.seed_parameters() / self.training.host.host_parameters()
        if self.config.reward.mode == "sparse":
            return sparse_reward(vitals, is_last, share, self.config.reward)
        before = self.training.loss_before
        assert math.isfinite(before), before
        return progress_reward(before, vitals, self.task.chance_loss, share, acted, self.config.reward)

    def _fossils(self) -> int:
        return sum(state.stage is Stage.FOSSILIZED for state in self.training.host.slot_states().values())

    def _info(self) -> dict[str, Any]:
        masks = masks_of(self.view())
        return {"op_mask": masks.op, "slot_mask": masks.slot_by_op}


def action_from_dict(values: dict[str, Any]) -> Action:
    """The inverse of `asdict` after a way through JSON, where an enum is its word."""
    words = {"op": Op(values["op"]), "blend": Blend(values["blend"]), "alpha_curve": Curve(values["alpha_curve"])}
    return Action(**(values | words))


def vitals_to_list(vitals: Vitals) -> list[Any]:
    """Finite vitals as JSON."""
    numbers = [vitals.step, vitals.train_loss, vitals.val_loss, vitals.val_accuracy, vitals.gradient_norm]
    return [*numbers, None if vitals.outputs is None else list(astuple(vitals.outputs))]


def vitals_from_list(values: list[Any]) -> Vitals:
    """The inverse of `vitals_to_list`."""
    step, train_loss, val_loss, val_accuracy, gradient_norm, outputs = values
    return Vitals(step, train_loss, val_loss, val_accuracy, gradient_norm, outputs=None if outputs is None else Outputs(*outputs))
