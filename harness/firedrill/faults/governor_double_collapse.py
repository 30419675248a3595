"""The governor hears of a collapse that is over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from firedrill.faults.fault import CouldNotStrike, Fault, Scene, Strike, digest
from tolaria.governor.verdict import Alarm, Standing, Verdict
from tolaria.seams import VERDICT_READY


@dataclass(frozen=True, slots=True)
class GovernorDoubleCollapse(Fault):
    """Imitates an alarm that is delivered twice, or a stale reading: a host that was just rolled back is called collapsed again.

    A second rollback of a healthy host must leave it as good as one.
    """

    kind: ClassVar[str] = "governor.double_collapse"
    phases: ClassVar[tuple[str, ...]] = (VERDICT_READY.name,)

    def strike(self, value: Verdict, scene: Scene) -> Verdict:
        """A collapse at once; a verdict that is one already cannot be doubled."""
        if value.standing is Standing.COLLAPSED:
            raise CouldNotStrike("the verdict is a collapse already")
        told = Verdict(Standing.COLLAPSED, Alarm("non_finite", 1, None, None, "told twice"), 1)
        scene.witness(Strike("verdict", 1, digest(repr(value)), digest(repr(told)), told.standing.value))
        return told
