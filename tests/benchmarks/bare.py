"""The cells of the benchmark of throughput, and what their training costs by itself.

`python bare.py RUNS` trains so many of them as a user does, without harness, process or judge, and prints the processor seconds of
one. It is a program, so that as many can train side by side as cells do: who shares caches and memory with a neighbour takes longer.
"""

import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from firedrill.runner.controls import name_of
from firedrill.runner.plan import config_of
from firedrill.scenario.cell import Cell, cells
from firedrill.scenario.load import load_all
from tolaria.seams import NO_TAPS
from tolaria.telemetry.history import History
from tolaria.train.trainer import Trainer

SCENARIOS = Path(__file__).parents[2] / "scenarios"
CELLS = 40


def drills() -> list[Cell]:
    """Cells of the subject that most of the committed cells have."""
    scenarios, problems = load_all([SCENARIOS])
    assert problems == []
    on_cpu = [cell for scenario in scenarios for cell in cells(scenario) if cell.device == "cpu"]
    ((subject, _),) = Counter(map(name_of, on_cpu)).most_common(1)
    return [cell for cell in on_cpu if name_of(cell) == subject][:CELLS]


def train(cell: Cell) -> None:
    """The run of a cell as a user trains it."""
    assert Trainer.tapped(config_of(cell), History(), NO_TAPS).train()


def seconds_side_by_side(processes: int, runs: int) -> float:
    """Processor seconds of one bare run, where so many processes train at once, each so many runs."""
    known = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    program = [sys.executable, __file__, str(runs)]
    started = [subprocess.Popen(program, env=known, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
    told = [process.communicate()[0] for process in started]
    assert all(process.returncode == 0 for process in started)
    return sum(map(float, told)) / processes


if __name__ == "__main__":
    chosen = drills()
    # The first run of a process loads and compiles what the others find.
    train(chosen[0])
    begun, wanted = time.process_time(), int(sys.argv[1])
    for number in range(wanted):
        train(chosen[number])
    sys.stdout.write(f"{(time.process_time() - begun) / wanted}\n")
