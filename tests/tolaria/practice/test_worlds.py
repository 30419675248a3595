from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tolaria.errors import ConfigError
from tolaria.practice.worlds import Worlds


def test_what_ends_an_episode_is_kept_apart_from_what_begins_the_next(counting: Callable[..., Any]) -> None:
    worlds = Worlds(lambda: counting(length=2), 1, seed=0)
    worlds.step(0, [1])
    happened = worlds.step(0, [3])
    assert happened.last.tolist() == [2.0, 0.0]
    assert worlds.seen().observations.tolist() == [[0.0, 1.0]]
    assert (happened.reward, happened.terminated, happened.truncated) == (3.0, True, False)


@pytest.mark.parametrize(("ends", "flags"), [("terminated", (True, False)), ("truncated", (False, True)), ("both", (True, False))])
def test_an_episode_that_is_over_is_not_also_cut_off(counting: Callable[..., Any], ends: str, flags: tuple[bool, bool]) -> None:
    happened = Worlds(lambda: counting(length=1, ends=ends), 1, seed=0).step(0, [0])
    assert (happened.terminated, happened.truncated) == flags


def test_masks_follow_the_step_and_the_new_episode(counting: Callable[..., Any]) -> None:
    worlds = Worlds(lambda: counting(length=2, masked=True), 2, seed=0)
    assert worlds.seen().masks.tolist() == [[False, True, False, True]] * 2
    worlds.step(1, [1])
    assert worlds.seen().masks.tolist() == [[False, True, False, True], [False, True, False, False]]
    worlds.step(1, [1])
    assert worlds.seen().masks[1].tolist() == [False, True, False, True]


def test_a_mask_may_come_with_the_info(counting: Callable[..., Any]) -> None:
    assert Worlds(lambda: counting(by_info=True), 1, seed=0).seen().masks.tolist() == [[True, False, False, False]]


def test_without_masks_there_are_none(counting: Callable[..., Any]) -> None:
    worlds = Worlds(counting, 3, seed=0)
    assert tuple(worlds.seen().masks.shape) == (3, 0)


def test_a_mask_that_goes_missing_is_refused(counting: Callable[..., Any]) -> None:
    worlds = Worlds(lambda: counting(by_info=True), 1, seed=0)
    worlds.envs[0].by_info = False  # type: ignore[attr-defined]  # as built above
    with pytest.raises(ConfigError, match="a mask of None choices"):
        worlds.step(0, [0])


def test_a_mask_that_was_not_there_at_the_first_reset_is_refused(counting: Callable[..., Any]) -> None:
    worlds = Worlds(counting, 1, seed=0)
    worlds.envs[0].by_info = True  # type: ignore[attr-defined]  # as built above
    with pytest.raises(ConfigError, match="a mask of 4 choices', expected none, as at the first reset"):
        worlds.step(0, [0])


@pytest.mark.parametrize(
    ("told", "rollback"),
    [(True, {}), (np.True_, {}), ({}, {}), ({"causes": []}, {"causes": []}), (False, None), (np.False_, None), (None, None)],
)
def test_a_rollback_may_be_told_of_by_true_or_false(counting: Callable[..., Any], told: object, rollback: object) -> None:
    assert Worlds(lambda: counting(length=1, ends="rollback", told=told), 1, seed=0).step(0, [0]).rollback == rollback


def test_a_rollback_that_is_told_of_otherwise_is_refused(counting: Callable[..., Any]) -> None:
    with pytest.raises(ConfigError, match=r"info\.rollback: found 'nan'"):
        Worlds(lambda: counting(length=1, ends="rollback", told="nan"), 1, seed=0).step(0, [0])


def test_what_was_seen_is_not_written_to_later(counting: Callable[..., Any]) -> None:
    worlds = Worlds(lambda: counting(masked=True), 1, seed=0)
    before = worlds.seen()
    worlds.step(0, [1])
    assert before.observations.tolist() == [[0.0, 0.0]]
    assert before.masks.tolist() == [[False, True, False, True]]
