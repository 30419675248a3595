import json
from dataclasses import replace

import pytest

from tolaria.bench.learning import LESSONS, Learnt, Lesson, chosen, curriculum, learn, panels, to_value, told
from tolaria.bench.ppo_cli import NAMES

MAZE = Lesson("t-maze", "tolaria/TMaze-v0", 50, 1, 0.95)
REACHED = Learnt(MAZE, 0, mean=0.97, worst=-1.0, cpu_s=2.0, steps=64, curve=((32, 0.1), (64, 0.9)))


def test_every_lesson_has_a_name_on_the_command_line() -> None:
    assert [lesson.name for lesson in LESSONS] + ["speed"] == list(NAMES)
    assert [(lesson.name, seed) for lesson, seed in chosen(["cards", "cartpole"])] == [
        ("cartpole", 0), ("cartpole", 1), ("cartpole", 2), ("cards", 0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("learnt", "passed"),
    [
        (REACHED, True),
        (replace(REACHED, mean=0.94), False),
        (replace(REACHED, illegal=0.0), True),
        (replace(REACHED, illegal=1e-6), False),
        (replace(REACHED, lesson=replace(MAZE, at_least=-0.25, at_most=0.25)), False),
        (replace(REACHED, mean=0.1, lesson=replace(MAZE, at_least=-0.25, at_most=0.25)), True),
    ],
)
def test_a_bar_is_reached_or_missed(learnt: Learnt, passed: bool) -> None:
    assert learnt.passed is passed
    assert next(told([learnt])).startswith("reached" if passed else "MISSED")


def test_a_lesson_is_learnt_and_written_down() -> None:
    kept: list[Learnt] = []
    (learnt,) = curriculum([(replace(MAZE, steps=2_000), 3)], kept.append)
    assert kept == [learnt]
    assert learnt.steps == 2_048
    assert all(0 < at <= 2_048 for at, _ in learnt.curve)
    value = json.loads(json.dumps(to_value(kept, None, complete=True)))
    assert (value["cells"][0]["lesson"]["env"], value["cells"][0]["seed"], value["complete"]) == ("tolaria/TMaze-v0", 3, True)
    assert panels(kept) == {"tolaria/TMaze-v0": {"seed 3": learnt.curve}}


def test_illegal_actions_are_looked_for_where_there_are_masks() -> None:
    counting = Lesson("counting", "tolaria/MaskedCounting-v0", 100, 1, 6.5, masked=True)
    learnt = learn(counting, 0)
    assert learnt.illegal == 0.0
    assert 1.0 < learnt.mean <= 8.0
