"""What every fault is: one class that imitates one event of the real world, at seams where that event could happen.

A fault knows nothing of triggers, oracles or other faults. When it is due is `When`'s business (`when.py`), what it
strikes is `Target`'s (`target.py`). It reports each strike through the witness of its scene, with a digest before and
after; equal digests mean that nothing was injected.
"""

from __future__ import annotations

import struct
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import xxhash

from tolaria.lifecycle.stage import IllegalMove
from tolaria.seams import ACTION_APPLIED, STEP_BEGUN, STEP_FINISHED, WEIGHTS_UPDATED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy as np
    import torch

    from firedrill.faults.target import Target
    from tolaria.policy.policy import Choice, Record
    from tolaria.seams import Trainee
    from tolaria.telemetry.event import Point

Realism = Literal["simulated", "real"]

# So many tensors are named in a witness; the others are counted.
PLACES_NAMED = 3
# The seams at which a slot may be moved behind the controller's back, the usual one first.
SLOT_PHASES = tuple(seam.name for seam in (ACTION_APPLIED, STEP_BEGUN, WEIGHTS_UPDATED, STEP_FINISHED))


class CouldNotStrike(Exception):
    """A fault was due and found nothing to act on; a cell with such a fault is NOT_INJECTED."""


class Unfit(ValueError):
    """A parameter makes no sense. `field` names it, so that a scenario file can be marked at the right place."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field


@dataclass(frozen=True, slots=True)
class Strike:
    """What one strike did: where, to how many elements, digests before and after, and the first value that it left."""

    place: str
    elements: int
    before: str
    after: str
    first_value: str


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that a fault may use when it strikes.

    `rng` is the fault's own stream. `passage` counts from 1 how often this fault has been due in this environment and
    step, so that a fault can wait for the n-th passage without remembering anything itself. What it must remember from
    strike to strike it puts into `kept`, which each environment has for itself.
    """

    at: Point
    rng: np.random.Generator
    target: Target | None
    witness: Callable[[Strike], None]
    passage: int = 1
    kept: dict[str, Any] = field(default_factory=dict)


class Fault(ABC):
    """Subclasses are frozen dataclasses; their fields are the parameters under `with:` in a scenario.

    `phases` are the names of the seams at which the fault may act, the usual one first. `realism` says whether the
    event itself happens ("real") or only its consequence is imitated ("simulated"). One that is `aside` strikes the
    process or its disk and not what is trained, so that a run without a governor says nothing of it.
    """

    __slots__ = ()

    kind: ClassVar[str]
    phases: ClassVar[tuple[str, ...]]
    targets: ClassVar[bool] = False
    realism: ClassVar[Realism] = "simulated"
    aside: ClassVar[bool] = False

    @property
    def allowed_phases(self) -> tuple[str, ...]:
        """The phases that these very parameters leave, the usual one first."""
        return self.phases

    @property
    def persistent(self) -> bool:
        """Whether one due step may hold any number of strikes, so that only "at least one" can be expected."""
        return False

    # What passes is typed by the seam, and a fault may serve several seams.
    @abstractmethod
    def strike(self, value: Any, scene: Scene) -> Any:
        """Act, tell the witness, and return what should go on. Raises CouldNotStrike where there is nothing to act on."""


def strike_slot(trainee: Trainee, scene: Scene, move: Callable[[str], None]) -> Trainee:
    """Make a move of the scene's slot by the table, and tell the witness; an impossible move is no strike."""
    slot = scene.target.slot if scene.target else None
    if slot is None or slot not in trainee.host.slot_states():
        raise CouldNotStrike(f"the host has no slot {slot!r}")
    before = trainee.host.slot_states()[slot]
    try:
        move(slot)
    except IllegalMove as impossible:
        raise CouldNotStrike(f"slot {slot}: {impossible}") from impossible
    after = trainee.host.slot_states()[slot]
    scene.witness(Strike(f"slots.{slot}", 1, digest(repr(before)), digest(repr(after)), after.stage.value))
    return trainee


def strike_record(choice: Choice, scene: Scene, place: str, change: Callable[[Record], Record]) -> Choice:
    """Change what a learner remembers of its decision, and tell the witness."""
    if choice.record is None:
        raise CouldNotStrike("a controller that does not learn remembers nothing of its decision")
    changed = change(choice.record)
    before, after = (digest(record.log_prob, record.value) for record in (choice.record, changed))
    scene.witness(Strike(place, 1, before, after, "nan"))
    return replace(choice, record=changed)


def digest(*parts: str | float | bytes) -> str:
    """The xxh3-128 of texts and numbers, by their bytes, as hexadecimal text."""
    state = xxhash.xxh3_128()
    for part in parts:
        state.update(part.encode() if isinstance(part, str) else part if isinstance(part, bytes) else struct.pack("<d", part))
    return state.hexdigest()


def tensors_digest(tensors: Iterable[torch.Tensor]) -> str:
    """The digest of the raw bytes of tensors: +0 and -0 differ, and a NaN equals itself."""
    return digest(*(raw_bytes(tensor) for tensor in tensors))


def raw_bytes(tensor: torch.Tensor) -> bytes:
    """The bytes of a tensor on the host. NumPy has no bfloat16, but widening to float32 keeps different values different."""
    on_host = tensor.detach().cpu()
    return (on_host.float() if str(on_host.dtype) == "torch.bfloat16" else on_host).contiguous().numpy().tobytes()


def places(names: Iterable[str]) -> str:
    """Names as one short text."""
    known = list(names)
    more = len(known) - PLACES_NAMED
    return ", ".join(known[:PLACES_NAMED]) + (f" and {more} more" if more > 0 else "")


def loaded_torch() -> Any:  # A module, and as many things as it holds.
    """PyTorch, which a run has loaded long before anything strikes; files of faults are read where it is not."""
    return sys.modules["torch"]


def check_positive_count(field: str, count: int) -> None:
    """Counts of passages, steps and elements begin at 1."""
    if count < 1:
        raise Unfit(field, f"{field} counts from 1, so {count} never comes")
