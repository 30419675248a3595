"""A listener fails on the news of one event."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from firedrill.faults.fault import Fault, Scene, Strike, Unfit, digest
from firedrill.faults.governor_raise_in import SINK_WRITING
from tolaria.telemetry.kinds import EVENT_KINDS, kind_of

if TYPE_CHECKING:
    from tolaria.telemetry.event import Event


@dataclass(frozen=True, slots=True)
class SinkRaise(Fault):
    """Imitates a tracker whose server is gone or whose disk is full: the sink raises at the first `event` of the due step."""

    event: str = "step_finished"
    error: Literal["runtime", "os"] = "os"

    kind: ClassVar[str] = "sink.raise"
    phases: ClassVar[tuple[str, ...]] = (SINK_WRITING,)

    def __post_init__(self) -> None:
        if self.event not in EVENT_KINDS:
            raise Unfit("event", f"there is no event {self.event}")

    def strike(self, value: Event, scene: Scene) -> Event:
        """Raise; every other event passes."""
        if kind_of(type(value)) != self.event:
            return value
        error = OSError(errno.ENOSPC, "injected into a sink") if self.error == "os" else RuntimeError("injected into a sink")
        scene.witness(Strike(f"sink, {self.event}", 1, digest("passed"), digest("raised"), type(error).__name__))
        raise error
