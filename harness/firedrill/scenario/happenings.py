"""Which events can happen in a subject, so that a fault may wait for them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from firedrill.faults import FAULTS
from firedrill.scenario.complaint import Setting, mapping, whole
from firedrill.scenario.schema import JSON
from tolaria.governor.config import GovernorConfig

# What comes of trouble only, and never in a run that nothing strikes.
OF_TROUBLE = frozenset(
    {
        "suspected",
        "collapsed",
        "rolled_back",
        "penalty_delivered",
        "environment_retired",
        "snapshot_refused",
        "slot_restored",
        "policy_restored",
        "storage_failed",
    }
)
OF_THE_GOVERNOR = frozenset(
    {"snapshot_taken", "snapshot_trusted", "snapshot_refused", "suspected", "collapsed", "rolled_back", "penalty_delivered"}
)
OF_GROWTH = frozenset({"stage_changed", "action_refused", "slot_restored"})
OF_LEARNING = frozenset({"update_finished", "policy_restored"})
OF_A_GATE = frozenset({"update_gated", "snapshot_withdrawn"})
LAST_WORDS = frozenset({"run_finished", "run_aborted"})
DISK = "io."

# The last phase of a step that is over when an event of this step comes.
PASSED_BY = {
    "step_finished": "vitals_measured",
    "suspected": "verdict_ready",
    "collapsed": "verdict_ready",
    "snapshot_taken": "snapshot_verifying",
    "snapshot_trusted": "verdict_ready",
    "rolled_back": "penalty_owed",
    "penalty_delivered": "penalty_owed",
    "episode_finished": "penalty_owed",
    "rollout_finished": "rollout_ready",
    "update_finished": "rollout_ready",
    "storage_failed": "checkpoint_due",
}


@dataclass(frozen=True, slots=True)
class Wait:
    """Somebody waits for an occurrence of an event, counted from 1, and then so many steps."""

    event: str
    occurrence: int
    plus: int
    setting: Setting
    others: Sequence[JSON]

    @property
    def behind_the_end(self) -> bool:
        """Whether even one occurrence in every step would come too late."""
        steps = self.setting.steps
        return steps is not None and self.event == "step_finished" and self.occurrence + self.plus > steps

    @property
    def rollbacks_max(self) -> int:
        """How many rollbacks an environment lives through in a row."""
        budget = whole(mapping(self.setting.written.get("governor")).get("budget", GovernorConfig().budget))
        window = whole(mapping(self.setting.written.get("governor")).get("budget_window", GovernorConfig().budget_window))
        steps = self.setting.steps
        # In a longer run old rollbacks no longer count.
        return budget - 1 if budget and window and steps and steps <= window else self.occurrence

    @property
    def troubled(self) -> bool:
        """Whether another fault can strike without waiting for trouble itself."""
        return any(str(mapping(other.get("at")).get("event")) not in OF_TROUBLE for other in self.others)

    @property
    def stored(self) -> bool:
        """Whether a disk that can fail is written to."""
        return self.setting.said("checkpoint_every") is not None and any(str(other.get("do")).startswith(DISK) for other in self.others)


REASONS: dict[str, Callable[[Wait], bool]] = {
    "after the last word of a run there is nothing to strike": lambda wait: wait.event in LAST_WORDS,
    "an environment that is retired makes no step any more": lambda wait: wait.event == "environment_retired",
    "a run begins once": lambda wait: wait.event == "run_started" and wait.occurrence > 1,
    "only a controller of policy ppo learns": lambda wait: wait.event in OF_LEARNING and wait.setting.said("policy") != "ppo",
    "the governor is off": lambda wait: wait.event in OF_THE_GOVERNOR and not wait.setting.governed,
    "nothing here trains behind a gate": lambda wait: wait.event in OF_A_GATE,
    "nothing is decided about any slot": lambda wait: (
        wait.event in OF_GROWTH
        and not wait.setting.grows
        and not any(str(other.get("do")).startswith("lifecycle.") for other in wait.others)
    ),
    "no disk that could fail is written to": lambda wait: wait.event == "storage_failed" and not wait.stored,
    "nothing strikes before it": lambda wait: wait.event in OF_TROUBLE and not wait.troubled,
    "each step finishes once, and there are too few": lambda wait: wait.behind_the_end,
    "an environment is retired before it has been rolled back so often": lambda wait: (
        wait.event in {"rolled_back", "penalty_delivered"} and wait.occurrence > wait.rollbacks_max
    ),
}


def why_never(event: str, occurrence: int, plus: int, setting: Setting, others: Sequence[JSON]) -> str:
    """Why nothing can strike after this occurrence of an event, or nothing."""
    wait = Wait(event, occurrence, plus, setting, [other for other in others if other.get("do") in FAULTS])
    return next((reason for reason, holds in REASONS.items() if holds(wait)), "")
