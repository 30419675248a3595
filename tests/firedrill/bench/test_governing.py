from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
import torch

from firedrill.bench import governing, stepping
from firedrill.bench.clock import PROCESS
from firedrill.bench.governing import BOUNDS, BOUNDS_ON_DEVICE, CALLS, GOVERNED, JUDGED, bare_call, calling, judging, measure
from firedrill.bench.stepping import WAITING, begun
from tolaria.governor.jury import Jury
from tolaria.governor.verdict import Verdict
from tolaria.train.config import TrainConfig

CONFIG = TrainConfig(task="spirals", envs=1, steps=1000, heuristic=WAITING)


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stepping, "WARMUPS", 1)
    monkeypatch.setattr(governing, "SAMPLES", 1)


def test_governing_judging_and_a_seam_are_measured_against_their_bounds() -> None:
    found = measure(CONFIG, 1, lambda: None)
    assert {one.name: one.bound for one in found} == BOUNDS
    assert all(one.value > 0.0 and one.at_most for one in found)


def test_of_a_device_only_what_a_step_costs_was_promised_and_a_seam_is_none_of_its_business() -> None:
    # The same clocks, by another name of the same device.
    found = measure(replace(CONFIG, device="cpu"), 1, lambda: None, replace(PROCESS, device="cpu:0", clock="wall"))
    assert {one.name: (one.bound, one.clock) for one in found} == {GOVERNED: (BOUNDS_ON_DEVICE[GOVERNED], "wall"), JUDGED: (None, "wall")}


def test_runs_that_end_differently_are_no_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "equal", lambda *_: False)
    with pytest.raises(AssertionError, match="changes nothing"):
        measure(CONFIG, 1, lambda: None)


def test_what_is_judged_is_healthy_each_time() -> None:
    said: list[str] = []
    real = Jury.judge

    def judge(self: Jury, *given: Any, **named: Any) -> Verdict:
        said.append(real(self, *given, **named).standing.name)
        return real(self, *given, **named)

    with ExitStack() as held, pytest.MonkeyPatch.context() as patch:
        call = judging(begun(CONFIG, held))
        patch.setattr(Jury, "judge", judge)
        for _ in range(6):
            call()
    assert said == ["HEALTHY"] * 6


def test_a_seam_is_called_so_often_that_the_clock_is_not_what_is_measured() -> None:
    passed: list[object] = []
    calling(lambda seam, at, value: passed.append(bare_call(seam, at, value)))()
    assert passed == [1.0] * CALLS
