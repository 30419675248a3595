"""A listener never comes back from the news of one event."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from firedrill.faults.fault import Fault, Realism, Scene, Strike, Unfit, digest
from firedrill.faults.governor_raise_in import SINK_WRITING
from tolaria.telemetry.kinds import EVENT_KINDS, kind_of

if TYPE_CHECKING:
    from tolaria.telemetry.event import Event


@dataclass(frozen=True, slots=True)
class SinkBlock(Fault):
    """Imitates a tracker whose server accepts a connection and never answers: the sink blocks at the first `event` of the due step."""

    event: str = "step_finished"
    seconds: float = 3600.0

    kind: ClassVar[str] = "sink.block"
    phases: ClassVar[tuple[str, ...]] = (SINK_WRITING,)
    realism: ClassVar[Realism] = "real"
    aside: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.event not in EVENT_KINDS:
            raise Unfit("event", f"there is no event {self.event}")
        if not 0.0 < self.seconds < math.inf:
            raise Unfit("seconds", f"a sink blocks for more than 0 s, not for {self.seconds:g} s")

    def strike(self, value: Event, scene: Scene) -> Event:
        """Tell, then sleep; every other event passes."""
        if kind_of(type(value)) == self.event:
            scene.witness(Strike(f"sink, {self.event}", 1, digest("writes"), digest("blocks"), f"{self.seconds:g} s"))
            time.sleep(self.seconds)
        return value
