"""A scenario as the runner gets it: every name looked up, every moment resolved."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from firedrill.faults.fault import Fault
from firedrill.faults.target import Target
from firedrill.faults.when import When
from firedrill.oracles.oracle import Oracle
from firedrill.scenario.subject import Subject

Device = Literal["cpu", "cuda"]

# The tag of a scenario that a campaign made and no file holds.
GENERATED = "generated"

# The verdicts that a scenario may expect. What they mean is decided by the runner, which stands above this floor.
VERDICTS = (
    "not_injected",
    "control_failed",
    "crashed",
    "hung",
    "livelock",
    "silent_corruption",
    "wrong_recovery",
    "missed",
    "false_alarm",
    "late",
    "lost_work",
    "fail_stop",
    "recovered",
    "masked",
)


@dataclass(frozen=True, slots=True)
class Budget:
    """What a cell may use up at most: rollbacks in all environments together, wall time in seconds, and `resumes`.

    So often its run is started again from the newest checkpoint after its process has died.
    """

    rollbacks: Annotated[int, Field(ge=0)] = 1
    wall: Annotated[float, Field(gt=0.0, le=3600.0)] = 60.0
    resumes: Annotated[int, Field(ge=0, le=9)] = 0


@dataclass(frozen=True, slots=True)
class KnownGap:
    """Why a cell is red for now, and by which verdict; another one is news, and so is green."""

    verdict: Annotated[str, Field(pattern=f"^({'|'.join(VERDICTS)})$")]
    reason: Annotated[str, Field(min_length=20)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Combination:
    """A device and a seed of the matrix; in `exclude` a missing one stands for every one."""

    device: Device | None = None
    seed: Annotated[int, Field(ge=0)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """The cells of a scenario: every device with every seed, less `exclude`, and then `include`."""

    device: Annotated[tuple[Device, ...], Field(min_length=1)] = ("cpu",)
    seed: tuple[Annotated[int, Field(ge=0)], ...] = ()
    include: tuple[Combination, ...] = ()
    exclude: tuple[Combination, ...] = ()


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """A fault with its moment and its target; `number` is its place in the file, from 0, and `line` where it stands."""

    number: int
    at: When
    fault: Fault
    target: Target | None
    line: int

    def declared_strikes(self, envs: int) -> int | None:
        """How often it must strike in all; None where only "at least once" can be said."""
        return None if self.fault.persistent else self.at.declared_strikes(envs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One claim about a run. `id` is the path below the scenarios' folder without its ending, as in "governor/nan-weight"."""

    id: str
    path: Path
    name: str
    because: str
    tags: tuple[str, ...]
    subject: Subject
    matrix: Matrix
    faults: tuple[PlannedFault, ...]
    oracles: tuple[Oracle, ...]
    verdicts: tuple[str, ...]
    budget: Budget
    known_gap: KnownGap | None
