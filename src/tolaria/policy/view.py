"""What a controller may know of one environment when it decides."""

from collections.abc import Mapping
from dataclasses import dataclass

from tolaria.lifecycle.action import WAIT, Action
from tolaria.lifecycle.gates import GateConfig
from tolaria.lifecycle.seed import SlotState
from tolaria.vitals import Vitals

# So many of the latest vitals are shown.
RECENT = 5


@dataclass(frozen=True, slots=True)
class View:
    """One environment as its controller sees it. `recent` holds the latest vitals, oldest first, none from a collapse."""

    env: int
    episode_step: int
    episode_steps: int
    chance_loss: float
    slots: Mapping[str, SlotState]
    blueprints: tuple[str, ...]
    gates: GateConfig
    recent: tuple[Vitals, ...] = ()
    last_action: Action = WAIT
    last_accepted: bool = True
    host_parameters: int = 0
    seed_parameters: int = 0
