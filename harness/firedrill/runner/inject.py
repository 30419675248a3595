"""Faults at the seams: whether each is due, its own random stream, and the witness of what it did."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np

from firedrill.events import FaultStruck
from firedrill.faults.fault import CouldNotStrike, Scene, Strike
from firedrill.faults.when import EventCounts
from firedrill.scenario.scenario import PlannedFault
from tolaria.seams import Seam
from tolaria.seeding import stream
from tolaria.telemetry.event import Event, Point

T = TypeVar("T")


class Injector:
    """Strikes when it is time. `complaints` says why a fault that was due found nothing to act on."""

    def __init__(self, faults: Sequence[PlannedFault], seed: int, emit: Callable[[Event], None]) -> None:
        self.complaints: list[str] = []
        # Strikes outside the training thread are kept here, because only that thread may write the history.
        self.strikes_aside: list[FaultStruck] = []
        # A run passes its seams thousands of times, and most of them have no fault.
        self._faults: dict[str, list[PlannedFault]] = {}
        for planned in faults:
            self._faults.setdefault(planned.at.phase or "", []).append(planned)
        self._seed = seed
        self._emit = emit
        self._counts = EventCounts()
        self._passages: Counter[tuple[int, int | None, int]] = Counter()
        self._streams: dict[tuple[int, int | None], np.random.Generator] = {}
        self._kept: dict[tuple[int, int | None], dict[str, Any]] = {}
        self._thread = threading.get_ident()

    def note(self, event: Event) -> None:
        """Hear of an event, for triggers that wait for one."""
        self._counts.note(event)

    def pass_through(self, seam: Seam[T], at: Point, value: T) -> T:
        """Let every fault that is due act on the value, in the order of the file."""
        for planned in self._faults.get(seam.name, ()):
            if planned.at.is_due(at, seam.name, self._counts, partial(self._luck, planned.number, at.env)):
                value = self._strike(planned, seam.name, at, value)
        return value

    def hears(self, seam: Seam[Any]) -> bool:
        """Whether any fault strikes there, now or ever."""
        return seam.name in self._faults

    def _luck(self, number: int, env: int | None) -> np.random.Generator:
        return stream(self._seed, "chance", number, -1 if env is None else env)

    def _strike(self, planned: PlannedFault, phase: str, at: Point, value: T) -> T:
        key = (planned.number, at.env, at.step)
        self._passages[key] += 1
        kept = self._kept.setdefault((planned.number, at.env), {})
        rng, witness = self._stream(planned.number, at.env), self._witness(planned, phase, at)
        scene = Scene(at, rng, planned.target, witness, self._passages[key], kept)
        try:
            struck: T = planned.fault.strike(value, scene)
        except CouldNotStrike as nothing:
            self.complaints.append(f"fault {planned.number} ({planned.fault.kind}), step {at.step}, env {at.env}: {nothing}")
            return value
        return struck

    def _witness(self, planned: PlannedFault, phase: str, at: Point) -> Callable[[Strike], None]:
        def tell(strike: Strike) -> None:
            event = FaultStruck(
                at,
                planned.number,
                planned.fault.kind,
                strike.place,
                strike.elements,
                strike.before,
                strike.after,
                strike.first_value,
                phase,
            )
            if threading.get_ident() == self._thread:
                self._emit(event)
            else:
                self.strikes_aside.append(event)

        return tell

    def _stream(self, number: int, env: int | None) -> np.random.Generator:
        key = (number, env)
        if key not in self._streams:
            self._streams[key] = stream(self._seed, "fault", number, -1 if env is None else env)
        return self._streams[key]
