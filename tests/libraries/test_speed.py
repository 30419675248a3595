"""The comparison of speed runs where what is compared with is installed."""

import json

import pytest

pytest.importorskip("stable_baselines3")

from tolaria.bench import speed


def test_a_comparison_measures_both_and_says_which_is_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "BLOCK_STEPS", 256)
    monkeypatch.setattr(speed, "WARM_UP_STEPS", 256)
    monkeypatch.setattr(speed, "PAIRS", 2)
    ours, theirs = zip(*speed.pairs(), strict=True)
    assert len(ours) == len(theirs) == 2
    assert min(*ours, *theirs) > 0.0
    assert json.dumps(speed.Speed(ours, theirs).to_value())


def test_the_ratio_is_of_steps_in_the_same_time() -> None:
    found = speed.Speed((2.0, 4.0, 100.0), (1.0, 3.6, 3.0))
    assert found.ratio == 0.5
    assert not found.passed
    assert found.told().startswith("MISSED")
