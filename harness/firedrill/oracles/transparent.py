"""Watching changes nothing."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from firedrill.events import HARNESS_KINDS, StateLeft
from firedrill.oracles.oracle import Evidence, Finding, Oracle, first_difference, of, place, where
from tolaria.telemetry.event import Event


@dataclass(frozen=True, slots=True)
class Transparent(Oracle):
    """With an empty plan the run tells and leaves, byte for byte, what it does when nobody listens, and no hook hangs anywhere."""

    kind: ClassVar[str] = "transparent"

    def judge(self, evidence: Evidence) -> Finding:
        """First what was told, then the state that is left, then hooks."""
        if not evidence.bare or not evidence.control:
            return self.unknown("there is no run at whose seams nobody listened")
        told = list(_own(evidence.control))
        difference = first_difference(told, _own(evidence.bare))
        if difference is not None:
            return self.failed(place(*where(difference[0])), f"{difference[1]} from the run without a harness", "told")
        left, bare = of(evidence.control, StateLeft), of(evidence.bare, StateLeft)
        for mine, theirs in zip(left, bare, strict=False):
            if mine.hooks > theirs.hooks:
                return self.failed(place(*where(mine)), f"{mine.hooks - theirs.hooks} hooks are left on the host", "hooks")
        difference = first_difference(left, bare)
        if difference is not None:
            return self.failed(place(*where(difference[0])), "another state is left than without a harness", "left")
        if not left:
            return self.unknown("nobody looked at what was left")
        return self.passed(f"{len(told)} events and {len(left)} states byte-equal to the run without a harness")


def _own(events: Iterable[Event]) -> Iterable[Event]:
    """What the run itself told."""
    return (event for event in events if not isinstance(event, HARNESS_KINDS))
