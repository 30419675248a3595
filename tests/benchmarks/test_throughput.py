"""How many cells a minute two cores record and judge once the fork server is warm, and how much of that is training.

The cells are committed scenarios as they are: those with the subject that most of them have, spirals with three environments, 24
steps and a seed that grows, which is about half of all. Others are longer, as-if-never and digits among them, and take their time.

A machine that others use as well gives fewer of its minutes, so what counts is the time of the processors, of the children and of
the judging parent together: 0.4 s a cell are 300 cells a minute on two cores that nobody else uses. It is told beside the wall's.
The limit is a ratio, to the same run without harness, process or judge, because a faster machine must not hide a slower harness.
Both sides have a neighbour at work: as many bare runs train at once as cells are recorded, one half of them before and one after.
"""

import time

import psutil
from benchmarks.bare import drills, seconds_side_by_side

from firedrill.runner.executors.local import Local
from firedrill.runner.run import execute

JOBS = 2
BARE_RUNS = 5
# A control run for every cell would alone make it 2.4.
RATIO_MAX = 1.5


def processor_seconds() -> float:
    """Of this process, its children and theirs, those that have ended included."""
    return sum(sum(process.cpu_times()[:4]) for process in psutil.Process().children()) + sum(psutil.Process().cpu_times()[:2])


def test_a_cell_costs_little_more_than_its_training(contest) -> None:
    chosen = drills()
    bare = seconds_side_by_side(JOBS, BARE_RUNS) / 2
    with Local(JOBS) as executor:
        execute(chosen[:JOBS], executor, lambda _: None)
        begun, spent = time.perf_counter(), processor_seconds()

        def campaign() -> None:
            assert all(result.passed for result in execute(chosen, executor, lambda _: None))

        contest.benchmark.pedantic(campaign, rounds=1, iterations=1, warmup_rounds=0)
        minutes, seconds = (time.perf_counter() - begun) / 60, (processor_seconds() - spent) / len(chosen)
    bare += seconds_side_by_side(JOBS, BARE_RUNS) / 2
    facts = {
        "cells": len(chosen),
        "cells a minute of the wall": len(chosen) / minutes,
        "cells a minute of two processors": 60 * JOBS / seconds,
        "processor seconds a cell": seconds,
        "times its bare training": seconds / bare,
    }
    contest.benchmark.extra_info |= facts
    contest.say(", ".join(f"{value:.3g} {name}" for name, value in facts.items()))
    assert seconds / bare <= RATIO_MAX
