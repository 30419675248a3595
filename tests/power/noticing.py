"""Governors that look at the wrong thing, too seldom, or for ever."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from power.patching import Patch, Wrapper, always, wrap

from tolaria.env.capsule import CapsuleHost
from tolaria.governor.config import GovernorConfig
from tolaria.governor.detectors import DETECTORS
from tolaria.governor.detectors.detector import Limits
from tolaria.governor.detectors.non_finite import NonFinite
from tolaria.governor.governor import Governor, Response
from tolaria.governor.jury import Jury
from tolaria.governor.ladder import Ladder
from tolaria.governor.recovery import Recovery
from tolaria.governor.verdict import Standing
from tolaria.governor.verdict import Verdict as GovernorVerdict
from tolaria.governor.window import LossWindow
from tolaria.telemetry.event import Point
from tolaria.telemetry.governor_events import Rung
from tolaria.vitals import Vitals

EVERY_DETECTOR = tuple(build(Limits(GovernorConfig(), 1.0, 1.5, 1.0)) for build in DETECTORS.values())


def blind(*detectors: type) -> Callable[[Patch], None]:
    def sabotage(patch: Patch) -> None:
        for detector in detectors:
            always(patch, detector, "alarm", None)

    return sabotage


def nan_is_repaired(patch: Patch) -> None:
    def around(real: Wrapper, self: Governor, verdict: GovernorVerdict, vitals: Vitals, governed: CapsuleHost, *rest: Any) -> Any:
        if verdict.standing is not Standing.COLLAPSED:
            return real(self, verdict, vitals, governed, *rest)
        with torch.no_grad():
            for tensor in governed.stable_tensors().values():
                torch.nan_to_num_(tensor, 0.0, 0.0, 0.0)
        return Response()

    wrap(patch, Governor, "enforce", around)


def the_budget_is_ignored(patch: Patch) -> None:
    def around(real: Wrapper, self: Governor, config: Any, *rest: Any) -> None:
        real(self, replace(config, budget=1000), *rest)

    wrap(patch, Governor, "__init__", around)


def an_ease_skips_nothing(patch: Patch) -> None:
    wrap(patch, CapsuleHost, "ease", lambda real, self, factor, steps, _: real(self, factor, steps, 0))


def an_ease_says_that_it_skipped(patch: Patch) -> None:
    wrap(
        patch, CapsuleHost, "ease", lambda real, self, factor, steps, skip: replace(real(self, factor, steps, skip - 1), skipped_batches=0)
    )


def a_recovery_is_not_judged(patch: Patch) -> None:
    always(patch, Recovery, "alarm", None)


def a_rollback_names_another_rung(patch: Patch) -> None:
    always(patch, Ladder, "climb", Rung.OLDER)


def another_loss_is_judged(patch: Patch) -> None:
    """The one that the batches came to, and not the one of the validation."""
    wrap(patch, Governor, "judge", lambda real, self, vitals, at: real(self, replace(vitals, val_loss=vitals.train_loss), at))


def strikes_are_never_enough(patch: Patch) -> None:
    """A condition that cannot be true."""
    wrap(
        patch,
        Jury,
        "__init__",
        lambda real, self, config, limits: real(self, config, replace(limits, config=replace(config, strikes=10**6))),
    )


def nan_poisons_the_history(patch: Patch) -> None:
    """What was no number counts as a large one, among the losses that tell what is usual."""

    def around(real: Wrapper, self: LossWindow, vitals: Vitals, healthy: bool) -> None:
        real(self, vitals if math.isfinite(vitals.val_loss) else replace(vitals, val_loss=1e30), healthy=True)

    wrap(patch, LossWindow, "add", around)


def strikes_count_across_rollbacks(patch: Patch) -> None:
    def around(real: Wrapper, self: Jury, *rest: Any) -> None:
        streaks = dict(self.streaks)
        real(self, *rest)
        self.streaks = streaks

    wrap(patch, Jury, "rolled_back", around)


def a_collapse_is_only_told(patch: Patch) -> None:
    wrap(patch, Governor, "_recover", lambda *_: Response())


def the_environment_is_given_up(patch: Patch) -> None:
    always(patch, Ladder, "climb", Rung.RETIRED)


def an_alarm_rings_everywhere(patch: Patch) -> None:
    """State that environments share: what one of them saw last, the next one sees too."""
    seen: list[Vitals] = []

    def around(real: Wrapper, self: Governor, vitals: Vitals, at: Point) -> GovernorVerdict:
        judged = seen.pop() if seen else vitals
        if judged is vitals and vitals.nonfinite:
            seen.append(vitals)
        answer: GovernorVerdict = real(self, judged, at)
        return answer

    wrap(patch, Governor, "judge", around)


def an_alarm_rings_without_a_reason(patch: Patch) -> None:
    def around(real: Wrapper, self: NonFinite, vitals: Vitals, window: Any) -> Any:
        return real(self, replace(vitals, nonfinite=("nothing",)) if vitals.step == 11 else vitals, window)

    wrap(patch, NonFinite, "alarm", around)
