"""Steps per CPU-second of our PPO and of Stable-Baselines3, in turns and with the same parameters, in one process and one thread."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median

import stable_baselines3
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env

from tolaria.environments.named import maker
from tolaria.practice.presets import preset
from tolaria.practice.training import train_env

ENV = "CartPole-v1"
BLOCK_STEPS = 10_240
WARM_UP_STEPS = 1_024
# Ours, theirs, theirs, ours: what drifts on the machine is shared.
PAIRS = 6
RATIO_MIN = 0.9


@dataclass(frozen=True, slots=True)
class Speed:
    """CPU seconds of all blocks of `BLOCK_STEPS` steps, in the order they were measured, a pair at a time."""

    ours: tuple[float, ...]
    theirs: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """How many steps of ours a CPU-second holds for each of theirs; the median over pairs, which a disturbed one does not move."""
        return median(theirs / ours for ours, theirs in zip(self.ours, self.theirs, strict=True))

    @property
    def passed(self) -> bool:
        """Whether the bar is reached."""
        return self.ratio >= RATIO_MIN

    def to_value(self) -> dict[str, object]:
        """As a value of JSON."""
        rates = {name: [BLOCK_STEPS / seconds for seconds in side] for name, side in (("ours", self.ours), ("theirs", self.theirs))}
        return {
            "env": ENV, "against": f"stable-baselines3 {stable_baselines3.__version__}", "block_steps": BLOCK_STEPS,
            "steps_per_cpu_s": rates, "ratio": self.ratio, "bar": RATIO_MIN, "passed": self.passed,
        }  # fmt: skip

    def told(self) -> str:
        """In a line."""
        ours, theirs = (BLOCK_STEPS / median(side) for side in (self.ours, self.theirs))
        return (
            f"{'reached' if self.passed else 'MISSED ':<8} {'speed':<18} {ours:,.0f} steps/CPU-s against {theirs:,.0f} of "
            f"stable-baselines3 {stable_baselines3.__version__}: {self.ratio:.2f} (>= {RATIO_MIN:g})"
        )


def pairs() -> Iterator[tuple[float, float]]:
    """CPU seconds of a block of ours and of theirs, over and over."""
    for run in (_ours, _theirs):
        run(WARM_UP_STEPS, 0)
    for pair in range(PAIRS):
        first, second = (_ours, _theirs) if pair % 2 == 0 else (_theirs, _ours)
        one, two = _timed(first, pair), _timed(second, pair)
        yield (one, two) if pair % 2 == 0 else (two, one)


def _timed(run: Callable[[int, int], None], seed: int) -> float:
    before = time.process_time()
    run(BLOCK_STEPS, seed)
    return time.process_time() - before


def _ours(steps: int, seed: int) -> None:
    train_env(maker(ENV), preset(ENV, steps), seed, steps)


def _theirs(steps: int, seed: int) -> None:
    # The same constants, written as rl-baselines3-zoo has them.
    copies = make_vec_env(ENV, n_envs=8, seed=seed)
    PPO(
        "MlpPolicy", copies, n_steps=32, batch_size=256, gae_lambda=0.8, gamma=0.98, n_epochs=20, ent_coef=0.0, device="cpu", seed=seed,
        learning_rate=lambda left: left * 1e-3, clip_range=lambda left: left * 0.2,
    ).learn(steps)  # fmt: skip
    copies.close()
