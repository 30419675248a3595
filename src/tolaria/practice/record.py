"""What came of practice as a value of JSON, and the words for it."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from tolaria.policy.policy import JSON
from tolaria.practice.config import PracticeConfig
from tolaria.practice.training import Episode, Practised

SCHEMA = "tolaria.practice/1.0"
# Of so many last episodes the mean return is told.
RECENT = 100


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The returns of new episodes, in each step the likeliest action or a `sampled` one."""

    returns: tuple[float, ...]
    sampled: bool

    @property
    def mean(self) -> float:
        """The mean return."""
        return sum(self.returns) / len(self.returns)

    @property
    def std(self) -> float:
        """The spread of the returns."""
        return math.sqrt(sum((one - self.mean) ** 2 for one in self.returns) / len(self.returns))


def recent_return(episodes: Sequence[Episode]) -> float | None:
    """The mean return of the last episodes; None before the first."""
    last = episodes[-RECENT:]
    return sum(episode.reward for episode in last) / len(last) if last else None


def to_value(
    env: str, seed: int, steps: int, config: PracticeConfig, practised: Practised, evaluation: Evaluation | None
) -> dict[str, JSON]:  # fmt: skip
    """Everything of one practice but its network."""
    told: JSON = {"returns": evaluation.returns, "mean": evaluation.mean, "sampled": evaluation.sampled} if evaluation else None
    return {
        "schema": SCHEMA,
        "env": env,
        "seed": seed,
        "steps": practised.steps,
        "complete": practised.steps >= steps,
        "config": asdict(config),
        "updates": len(practised.reports),
        "skipped": sum(bool(report.skipped) for report in practised.reports),
        "restored": sum(bool(report.restored) for report in practised.reports),
        "episodes": [[episode.at, episode.reward, episode.length, episode.rolled_back] for episode in practised.episodes],
        "evaluation": told,
    }
