"""The governor's verdict is replaced by a healthy one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

from firedrill.faults.fault import Fault, Scene, Strike, digest
from tolaria.seams import VERDICT_READY


class HasHealthy(Protocol):
    """A verdict, as far as this fault knows it."""

    @staticmethod
    def healthy() -> HasHealthy:
        """The verdict that nothing is wrong."""
        ...


@dataclass(frozen=True, slots=True)
class GovernorSuppress(Fault):
    """Imitates a governor that is switched off or blind. A positive control: with it the oracles must turn red."""

    kind: ClassVar[str] = "governor.suppress"
    phases: ClassVar[tuple[str, ...]] = (VERDICT_READY.name,)

    def strike(self, value: HasHealthy, scene: Scene) -> HasHealthy:
        """A healthy verdict. Where it was healthy already, nothing was suppressed and nothing is witnessed."""
        healthy = type(value).healthy()
        if value != healthy:
            scene.witness(Strike("verdict", 1, digest(repr(value)), digest(repr(healthy)), repr(healthy)))
        return healthy
