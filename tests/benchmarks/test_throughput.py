"""How many cells a minute two cores record and judge once the fork server is warm.

The cells are committed scenarios as they are: those with the subject that most of them have, spirals with three environments, 24
steps and a seed that grows, which is about half of all. Others are longer, as-if-never and digits among them, and take their time.

What counts is the time of the processors, of the children and of the judging parent together, because a machine that others use
as well gives fewer of its minutes: 300 cells a minute on two cores are 0.4 s of processor a cell. Both numbers are told.
"""

import time
from collections import Counter
from pathlib import Path

import psutil

from firedrill.runner.controls import name_of
from firedrill.runner.executors.local import Local
from firedrill.runner.run import execute
from firedrill.scenario.cell import Cell, cells
from firedrill.scenario.load import load_all

SCENARIOS = Path(__file__).parents[2] / "scenarios"
JOBS = 2
CELLS_A_MINUTE = 300


def drills() -> list[Cell]:
    """The cells of the subject that most of the committed cells have."""
    scenarios, problems = load_all([SCENARIOS])
    assert problems == []
    on_cpu = [cell for scenario in scenarios for cell in cells(scenario) if cell.device == "cpu"]
    ((subject, _),) = Counter(map(name_of, on_cpu)).most_common(1)
    return [cell for cell in on_cpu if name_of(cell) == subject]


def processor_seconds() -> float:
    """Of this process, its children and theirs, those that have ended included."""
    return sum(sum(process.cpu_times()[:4]) for process in psutil.Process().children()) + sum(psutil.Process().cpu_times()[:2])


def test_three_hundred_cells_a_minute_on_two_cores(contest) -> None:
    chosen = drills()
    with Local(JOBS) as executor:
        execute(chosen[:JOBS], executor, lambda _: None)
        begun, spent = time.perf_counter(), processor_seconds()

        def campaign() -> None:
            assert all(result.passed for result in execute(chosen, executor, lambda _: None))

        contest.benchmark.pedantic(campaign, rounds=1, iterations=1, warmup_rounds=0)
        minutes, spent = (time.perf_counter() - begun) / 60, processor_seconds() - spent
    seconds = spent / len(chosen)
    facts = {"cells": len(chosen), "cells a minute": len(chosen) / minutes, "processor seconds a cell": seconds}
    contest.benchmark.extra_info |= facts
    contest.say(", ".join(f"{value:.3g} {name}" for name, value in facts.items()))
    assert 60 * JOBS / seconds >= CELLS_A_MINUTE
