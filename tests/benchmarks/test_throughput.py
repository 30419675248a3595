"""How many cells a minute two cores record and judge once the fork server is warm, and how much of that is training.

The cells are committed scenarios as they are: those with the subject that most of them have, spirals with three environments, 24
steps and a seed that grows, which is about half of all. Others are longer, as-if-never and digits among them, and take their time.

A machine that others use as well gives fewer of its minutes, so what counts is the time of the processors, of the children and of
the judging parent together: 0.4 s a cell are 300 cells a minute on two cores that nobody else uses. It is told beside the wall's.
The limit is a ratio, to the same run without harness, process or judge, because a faster machine must not hide a slower harness.
"""

import time
from collections import Counter
from pathlib import Path

import psutil

from firedrill.runner.controls import name_of
from firedrill.runner.executors.local import Local
from firedrill.runner.plan import config_of
from firedrill.runner.run import execute
from firedrill.scenario.cell import Cell, cells
from firedrill.scenario.load import load_all
from tolaria.seams import NO_TAPS
from tolaria.telemetry.history import History
from tolaria.train.trainer import Trainer

SCENARIOS = Path(__file__).parents[2] / "scenarios"
JOBS = 2
CELLS = 40
BARE_RUNS = 10
# A control run for every cell would alone make it 2.4.
RATIO_MAX = 1.6


def drills() -> list[Cell]:
    """Cells of the subject that most of the committed cells have."""
    scenarios, problems = load_all([SCENARIOS])
    assert problems == []
    on_cpu = [cell for scenario in scenarios for cell in cells(scenario) if cell.device == "cpu"]
    ((subject, _),) = Counter(map(name_of, on_cpu)).most_common(1)
    return [cell for cell in on_cpu if name_of(cell) == subject][:CELLS]


def processor_seconds() -> float:
    """Of this process, its children and theirs, those that have ended included."""
    return sum(sum(process.cpu_times()[:4]) for process in psutil.Process().children()) + sum(psutil.Process().cpu_times()[:2])


def train_bare(cell: Cell) -> None:
    """The run of a cell as a user trains it."""
    assert Trainer.tapped(config_of(cell), History(), NO_TAPS).train()


def test_a_cell_costs_little_more_than_its_training(contest) -> None:
    chosen = drills()
    train_bare(chosen[0])
    spent = time.process_time()
    for cell in chosen[:BARE_RUNS]:
        train_bare(cell)
    bare = (time.process_time() - spent) / BARE_RUNS
    with Local(JOBS) as executor:
        execute(chosen[:JOBS], executor, lambda _: None)
        begun, spent = time.perf_counter(), processor_seconds()

        def campaign() -> None:
            assert all(result.passed for result in execute(chosen, executor, lambda _: None))

        contest.benchmark.pedantic(campaign, rounds=1, iterations=1, warmup_rounds=0)
        minutes, seconds = (time.perf_counter() - begun) / 60, (processor_seconds() - spent) / len(chosen)
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
