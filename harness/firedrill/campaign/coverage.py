"""Coverage: which cells of the space were exercised by any run, and which branches of the governor were taken.

A cell is a fault at a seam, on a device, in a topology, with an answer of the detectors or without one. It counts as
exercised only where the fault was seen to strike and to change something just so, whatever scenario it stood in.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from firedrill.campaign.plants import Plant, Strength, space, why_not
from firedrill.runner.marks import MARKS
from firedrill.runner.result import CellResult

DEVICES = ("cpu", "cuda")
# So much of what can be exercised on a CPU must be.
EXERCISED_MIN = 0.95

# Marks that no fault can bring about on a CPU, with the reason.
MARK_GAPS: dict[str, str] = {
    "snapshot withdrawn": "Flags come late only from a CUDA device to a guard; on a CPU and in a growing run they come in their own step.",
}


class State(StrEnum):
    """How a cell of the space stands."""

    NOT_APPLICABLE = "n/a"
    NOT_RUN = "not-run"
    PASS = "pass"
    KNOWN_GAP = "known-gap"
    FAIL = "fail"


EXERCISED = frozenset({State.PASS, State.KNOWN_GAP, State.FAIL})


@dataclass(frozen=True, slots=True)
class Covered:
    """A cell of the space. `why` is a reason where it has none to show, else the id of a cell that exercised it."""

    plant: Plant
    state: State
    why: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """All cells of the space, and for every mark the id of a cell that hit it, or nothing."""

    cells: tuple[Covered, ...]
    marks: dict[str, str]

    def share(self, device: str) -> tuple[int, int]:
        """Exercised and applicable cells of a device."""
        states = [cell.state for cell in self.cells if cell.plant.device == device and cell.state is not State.NOT_APPLICABLE]
        return sum(state in EXERCISED for state in states), len(states)

    @property
    def unexplained(self) -> list[str]:
        """Marks that nothing hit, and that no reason excuses."""
        return [name for name, cell in self.marks.items() if not cell and name not in MARK_GAPS]

    @property
    def taken(self) -> tuple[int, int]:
        """Marks that were hit, of those that can be: one that a CPU cannot hit counts where a device hit it."""
        hit = sum(bool(cell) for cell in self.marks.values())
        return hit, hit + len(self.unexplained)

    @property
    def holds(self) -> bool:
        """Whether enough is exercised."""
        exercised, applicable = self.share("cpu")
        return exercised >= EXERCISED_MIN * applicable and not self.unexplained


def coverage_of(results: Sequence[CellResult]) -> Coverage:
    """What these results exercised."""
    by_key: dict[tuple[object, ...], list[CellResult]] = {}
    hits = dict.fromkeys(MARKS, "")
    for result in results:
        for exposure in result.exposures:
            strength = next(strength for strength in Strength if exposure.reply in strength.replies)
            key = (exposure.kind, exposure.phase, result.device, exposure.topology, strength)
            by_key.setdefault(key, []).append(result)
        for name in result.marks:
            hits[name] = hits.get(name) or result.id
    plants = [plant for device in DEVICES for plant in space(device)]
    return Coverage(tuple(_covered(plant, by_key) for plant in plants), hits)


def _covered(plant: Plant, by_key: dict[tuple[object, ...], list[CellResult]]) -> Covered:
    at = (plant.kind, plant.phase, plant.device, plant.topology)
    found = by_key.get((*at, plant.strength), [])
    if found:
        worst = max(found, key=lambda result: (result.counts_as_failed, result.known_gap is not None))
        state = State.FAIL if worst.counts_as_failed else State.KNOWN_GAP if worst.known_gap else State.PASS
        return Covered(plant, state, worst.id)
    reason = why_not(plant)
    if reason:
        return Covered(plant, State.NOT_APPLICABLE, reason)
    other = any((*at, strength) in by_key for strength in Strength)
    return Covered(plant, State.NOT_RUN, OTHERWISE[plant.strength] if other else "it never struck there")


OTHERWISE = {Strength.STRONG: "it struck there, and no detector answered", Strength.WEAK: "it struck there, and was always answered"}


def explained(cells: Iterable[Covered]) -> dict[str, int]:
    """How many cells have each reason for not being exercised."""
    counts: dict[str, int] = {}
    for cell in cells:
        if cell.state not in EXERCISED:
            reason = f"{cell.state}: {cell.why}"
            counts[reason] = counts.get(reason, 0) + 1
    return counts
