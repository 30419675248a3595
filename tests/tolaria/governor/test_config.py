from typing import Any

import pytest

from tolaria.errors import ConfigError
from tolaria.governor.config import DETECTOR_NAMES, GovernorConfig
from tolaria.governor.detectors import DETECTORS


@pytest.mark.parametrize("window", range(10))
def test_a_window_below_ten_is_refused(window: int) -> None:
    with pytest.raises(ConfigError, match=r"governor\.window"):
        GovernorConfig(window=window)
    with pytest.raises(ConfigError, match=r"governor\.window"):
        GovernorConfig(samples_min=window)


def test_a_window_of_ten_is_accepted() -> None:
    assert GovernorConfig(window=10).window == 10


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("detectors", ("non_finite", "drift")),
        ("detectors", "modern"),
        ("detectors", ("lobotomy", "loss_explosion")),
        ("optimizer", "forget"),
        ("live_seeds", "keep"),
        ("rewarm_batches", 0),
        ("digest", "never"),
        ("strikes", 0),
        ("snapshot_every", 0),
        ("snapshots_kept", 1),
        ("budget", 0),
        ("budget_window", 0),
        ("probation", -1),
        ("relapse_steps", -1),
        ("grace_steps", -1),
        ("ease_from", 0),
        ("ease_skip", -1),
        ("ease_factor", 0.0),
        ("ease_factor", 1.01),
        ("ease_factor", float("nan")),
        ("sigma", float("nan")),
        ("multiplier", 0.0),
        ("lobotomy_history", float("inf")),
        ("lobotomy_tolerance", -0.1),
        ("penalty", 0.0),
        ("penalty", float("nan")),
        ("penalty", float("-inf")),
    ],
)
def test_the_impossible_is_refused_with_its_path(field: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=rf"governor\.{field}"):
        GovernorConfig(**{field: value})


def test_every_detector_can_be_named() -> None:
    assert tuple(DETECTORS) == DETECTOR_NAMES


def test_a_suite_is_named_by_a_word_and_the_default_one_has_all_but_what_nothing_confirms() -> None:
    assert GovernorConfig(detectors="classic").detector_names == ("non_finite", "lobotomy", "loss_explosion")
    default = set(GovernorConfig(detectors="default").detector_names)
    assert default == set(DETECTOR_NAMES) - {"lobotomy", "loss_explosion"}
    assert set(GovernorConfig(detectors="classic").detector_names) - default == {"lobotomy", "loss_explosion"}
    assert GovernorConfig(detectors=("non_finite",)).detector_names == ("non_finite",)
