"""The arms of the credit experiment: what becomes of a rollback in the buffer of the learner."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from tolaria.ppo.config import PenaltyConfig, PpoConfig
from tolaria.practice.config import PracticeConfig

Change = Callable[[PracticeConfig], PracticeConfig]
SHIPPED = "shipped"


ARMS: Mapping[str, Change] = {
    # The defaults of `PpoConfig`, whatever they are.
    SHIPPED: lambda config: config,
    # What the reviewed governor did: it forgot everything that the environment had done in this rollout.
    "clear": lambda config: replace(config, rollback="clear"),
    "truncate": lambda config: replace(config, rollback="truncate"),
    "terminal-0": lambda config: replace(config, penalty=0.0),
    "last": lambda config: replace(config, ppo=replace(config.ppo, penalty_attribution="last")),
    "cause": lambda config: replace(config, ppo=replace(config.ppo, penalty_attribution="cause")),
    "continue": lambda config: replace(config, ppo=replace(config.ppo, rollback_transition="continue")),
    "lagrangian": lambda config: replace(config, ppo=replace(config.ppo, penalty=PenaltyConfig(mode="lagrangian"))),
    "return_std": lambda config: replace(config, ppo=replace(config.ppo, penalty=PenaltyConfig(mode="return_std"))),
    "terminal -30": lambda config: replace(config, penalty=-30.0),
}

# What is the shipped form at this moment, for whoever reads a table.
ABOUT: Mapping[str, str] = {
    SHIPPED: f"{PpoConfig().penalty_attribution}, {PpoConfig().rollback_transition}, {PpoConfig().penalty.mode}",
    "clear": "rows forgotten, no penalty",
    "truncate": "a time limit, bootstrapped, no penalty",
    "terminal-0": "terminal, penalty 0",
    "last": "all on the row that collapsed",
    "cause": "all on the decision that led there",
    "continue": "split, the segment goes on",
    "lagrangian": "split, a multiplier holds the rate of collapses",
    "return_std": "split, in units of the spread of returns",
    "terminal -30": "split, three times the penalty",
}
