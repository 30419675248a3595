import math
from dataclasses import replace
from pathlib import Path

import pytest

from firedrill.bench import governing, stepping, training
from firedrill.bench.clock import PROCESS
from firedrill.bench.training import AROUND, BOUNDS, WORKERS, measure, rounds_of


@pytest.mark.slow
def test_everything_is_measured_in_turns_and_what_is_to_be_equal_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equality of the bare loop's host and of both histories is asserted while it measures."""
    monkeypatch.setattr(stepping, "WARMUPS", 1)
    monkeypatch.setattr(training, "WARMUPS", 1)
    ended: list[None] = []
    found = measure(1, tmp_path, lambda: ended.append(None))
    assert {one.name: one.bound for one in found} == BOUNDS | governing.BOUNDS
    assert all(math.isfinite(one.value) for one in found)
    assert [one.name for one in found if one.at_most] == [AROUND, *governing.BOUNDS]
    assert len(ended) == rounds_of(1)


def test_a_bare_loop_that_does_less_is_no_measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stepping, "WARMUPS", 1)
    monkeypatch.setattr(training, "WARMUPS", 1)
    monkeypatch.setattr("torch.nn.utils.clip_grad_norm_", lambda *_: None)
    with pytest.raises(AssertionError, match="the same host"):
        measure(1, tmp_path, lambda: None)


@pytest.mark.slow
def test_a_device_is_measured_without_other_processes_and_without_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stepping, "WARMUPS", 1)
    monkeypatch.setattr(training, "WARMUPS", 1)
    # The device that is here, by another name, so that what only the CPU has is left out.
    device = replace(PROCESS, device="cpu:0", clock="wall")
    ended: list[None] = []
    found = measure(1, tmp_path, lambda: ended.append(None), device)
    assert [one.name for one in found] == [*(name for name in BOUNDS if name != WORKERS), governing.GOVERNED, governing.JUDGED]
    assert {one.clock for one in found} == {"wall"}
    assert [one.name for one in found if one.bound is not None] == [governing.GOVERNED]
    assert len(ended) == rounds_of(1, device)
