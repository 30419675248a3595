"""Harnesses that disturb what they watch, and runs that are another one each time."""

from itertools import count
from typing import Any

import torch
from power.patching import Patch, Wrapper, wrap

from firedrill.faults.when import When
from firedrill.runner.inject import Injector
from firedrill.runner.observe import Observer
from tolaria.env.capsule import CapsuleHost
from tolaria.seams import STEP_BEGUN, STEP_FINISHED


def the_harness_leaves_a_hook(patch: Patch) -> None:
    def around(real: Wrapper, self: Observer, seam: Any, at: Any, value: Any) -> None:
        real(self, seam, at, value)
        if seam == STEP_FINISHED and at.step == 3:
            value.host.register_forward_hook(lambda *_: None)

    wrap(patch, Observer, "see", around)


def the_harness_touches_a_weight(patch: Patch) -> None:
    def around(real: Wrapper, self: Observer, seam: Any, at: Any, value: Any) -> None:
        real(self, seam, at, value)
        if seam == STEP_BEGUN and at.step == 3:
            with torch.no_grad():
                value.host.head.bias.add_(1e-3)

    wrap(patch, Observer, "see", around)


def every_run_is_another(patch: Patch) -> None:
    """What a process has done before decides about the next run in it."""
    runs = count()

    def around(real: Wrapper, self: CapsuleHost, *args: Any, **kwargs: Any) -> None:
        real(self, *args, **kwargs)
        with torch.no_grad():
            self.host.head.bias.add_(1e-6 * next(runs))

    wrap(patch, CapsuleHost, "__init__", around)


def a_fault_strikes_twice(patch: Patch) -> None:
    def around(real: Wrapper, self: Injector, planned: Any, phase: str, at: Any, value: Any) -> Any:
        return real(self, planned, phase, at, real(self, planned, phase, at, value))

    wrap(patch, Injector, "_strike", around)


def a_fault_strikes_at_another_seam(patch: Patch) -> None:
    def beginning(real: Wrapper, self: Injector, *rest: Any) -> None:
        real(self, *rest)
        self._faults["gradients_ready"] = self._faults.pop("weights_updated", [])

    def around(real: Wrapper, self: When, at: Any, phase: str, *rest: Any) -> bool:
        due: bool = real(self, at, "weights_updated" if phase == "gradients_ready" else "", *rest)
        return due

    wrap(patch, Injector, "__init__", beginning)
    wrap(patch, When, "is_due", around)
