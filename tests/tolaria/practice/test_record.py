import json
from collections.abc import Callable
from typing import Any

import pytest

from tolaria.practice.config import PracticeConfig
from tolaria.practice.record import Evaluation, recent_return, to_value
from tolaria.practice.training import Episode, train_env


def test_an_evaluation_tells_mean_and_spread() -> None:
    found = Evaluation((1.0, 3.0, 5.0, 7.0), sampled=False)
    assert (found.mean, found.std) == (4.0, pytest.approx(5.0**0.5))


def test_the_last_hundred_episodes_count() -> None:
    assert recent_return([]) is None
    assert recent_return([Episode(0, 1000.0, 1)] + [Episode(1, 2.0, 1)] * 100) == 2.0


def test_practice_is_written_as_json_with_every_episode(counting: Callable[..., Any], small: Callable[..., PracticeConfig]) -> None:
    done = train_env(lambda: counting(ends="rollback"), small(), 0, steps=16)
    value = json.loads(json.dumps(to_value("Counting-v0", 0, 20, small(), done, Evaluation((2.0,), sampled=True))))
    assert (value["schema"], value["env"], value["steps"], value["complete"]) == ("tolaria.practice/1.0", "Counting-v0", 16, False)
    assert [episode[2:] for episode in value["episodes"]] == [[3, True]] * 4
    assert value["config"]["network"]["widths"] == [8]
    assert value["evaluation"] == {"returns": [2.0], "mean": 2.0, "sampled": True}
