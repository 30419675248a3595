"""The detectors of one host together, with what they remember: the window, and how often each cause came in a row."""

import math
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from tolaria.governor.config import DETECTOR_FAILED, RECOVERY_FAILED, GovernorConfig
from tolaria.governor.detectors import DETECTORS
from tolaria.governor.detectors.detector import Limits
from tolaria.governor.recovery import Recovery
from tolaria.governor.verdict import Alarm, Standing, Verdict
from tolaria.governor.window import LossWindow
from tolaria.telemetry.governor_events import Probe
from tolaria.vitals import Vitals

Ask = Callable[[Vitals, LossWindow], Alarm | None]
# What never heals by itself, and what is measured against the recovery itself: judged also while a host recovers from a rollback.
INCURABLE = frozenset({"non_finite", DETECTOR_FAILED, RECOVERY_FAILED})


def unheard(detector: str) -> None:
    """Nobody listens before a detector is asked."""


class Jury:
    """Judges vitals, which changes nothing, and then remembers them with the verdict that was acted on."""

    def __init__(self, config: GovernorConfig, limits: Limits) -> None:
        self._config = config
        self.detectors = {name: DETECTORS[name](limits) for name in config.detector_names}
        self.window = LossWindow(config.window)
        self.streaks: dict[str, int] = {}
        self._recovery = Recovery(limits)
        self._probe: Probe | None = None

    @property
    def relies_on_probe(self) -> bool:
        """Whether the host is judged by a probe, because too little else is known of it."""
        return self._probe is not None

    def begin(self) -> None:
        """A new host: nothing is known of it."""
        self.window = LossWindow(self._config.window)
        self.streaks = {}
        self._probe = None

    def judge(self, vitals: Vitals, recovering: bool = False, before: Callable[[str], object] = unheard) -> Verdict:
        """What is to be said of one step. `recovering`: a blended seed was just taken away.

        Where `before` raises, the detector whose name it was told has failed, and all others are asked as ever.
        """
        alarms = self._alarms(vitals, before)
        if not alarms:
            return Verdict.healthy()
        # A host that recovers is worse for a while, which is no collapse but nothing to be remembered as good either;
        # nothing is counted on meanwhile.
        counts = {
            cause: self.streaks.get(cause, 0) + (not recovering or cause in INCURABLE)
            for cause in dict.fromkeys(alarm.cause for alarm in alarms)
        }
        for alarm in alarms:
            curable = recovering and alarm.cause not in INCURABLE
            if not curable and alarm.collapse_at is not None and (alarm.immediate or counts[alarm.cause] >= alarm.collapse_at):
                return Verdict(Standing.COLLAPSED, alarm, counts[alarm.cause], counts)
        for alarm in alarms:
            if recovering or counts[alarm.cause] >= alarm.suspect_at:
                return Verdict(Standing.SUSPECT, alarm, counts[alarm.cause], counts)
        return Verdict(Standing.HEALTHY, streaks=counts)

    def remember(self, verdict: Verdict, vitals: Vitals) -> None:
        """The step is over, and this was said of it."""
        self.streaks = dict(verdict.streaks)
        if verdict.standing is Standing.HEALTHY:
            # Without a detector for it a host may pass for healthy with a loss that is no number.
            self.window.add(vitals, healthy=math.isfinite(vitals.val_loss))
            if len(self.window.clean.readings) >= self._config.samples_min:
                self._probe = None
            return
        assert verdict.alarm is not None
        self.window.add(vitals, healthy=False)
        # A warning that no better losses ever answer is no anomaly any more; it would freeze snapshots for good.
        if verdict.alarm.collapse_at is None and verdict.streak >= self._config.window:
            self.window.accept()

    def rolled_back(self, leaned: bool, probe: Probe | None) -> None:
        """The count begins anew; where a blended seed is gone, so do the statistics: they say nothing of a host without it.

        Until they are rich enough again the host is compared with `probe`, where there is one.
        """
        self.streaks = {}
        self._probe = probe
        if leaned:
            self.window.begin_anew()

    def facts(self) -> dict[str, Any]:
        """All of it, as JSON."""
        probe = None if self._probe is None else asdict(self._probe)
        return {"window": self.window.facts(), "streaks": self.streaks, "probe": probe}

    def restore(self, facts: dict[str, Any]) -> None:
        """Back to what `facts` recorded."""
        self.window.restore(facts["window"])
        self.streaks = dict(facts["streaks"])
        self._probe = None if facts["probe"] is None else Probe(**facts["probe"])

    def _alarms(self, vitals: Vitals, before: Callable[[str], object]) -> list[Alarm]:
        probe, answers = self._probe, []
        if probe is not None:
            answers.append(_answer(RECOVERY_FAILED, lambda now, _: self._recovery.alarm(now, probe), vitals, self.window, before))
        answers += [_answer(name, detector.alarm, vitals, self.window, before) for name, detector in self.detectors.items()]
        return [answer for answer in answers if answer is not None]


def _answer(name: str, ask: Ask, vitals: Vitals, window: LossWindow, before: Callable[[str], object]) -> Alarm | None:
    try:
        before(name)
        return ask(vitals, window)
    except Exception as error:  # noqa: BLE001 - a detector that fails must never be taken for a healthy host
        return Alarm(DETECTOR_FAILED, 1, None, None, f"{name}: {type(error).__name__}: {error}")
