"""What command lines say, and the codes with which they leave."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from firedrill.runner.result import CellResult
    from firedrill.scenario.scenario import Scenario

PASSED, FAILED, BAD_INPUT, HARNESS_BROKEN, NOTHING_RAN, INTERRUPTED = 0, 1, 2, 3, 4, 130


class Refused(ValueError):
    """What was asked for cannot be had; says why, and a command line leaves with the code for bad input."""


def show(results: "Sequence[CellResult]", html: Path | None) -> None:
    """The matrix of cells, and one line that sums it up."""
    from rich.console import Console

    from firedrill.report import console

    screen = Console()
    screen.print(console.matrix(results))
    screen.print(console.summary(results, str(html or "")), markup=False, highlight=False)


def load(paths: Sequence[Path]) -> "list[Scenario] | None":
    """The scenarios of files and folders; None where there are mistakes, which are told."""
    from firedrill.scenario.load import load_all

    scenarios, problems = load_all(paths)
    if not problems:
        return scenarios
    count = f"{len(problems)} problems" if len(problems) > 1 else "1 problem"
    complain("\n\n".join(problem.render() for problem in problems) + f"\n\n{count}")
    return None


def say(text: str, error: bool = False) -> None:
    """A line of text."""
    stream = sys.stderr if error else sys.stdout
    stream.write(text + "\n")


def complain(text: str) -> int:
    """What is wrong with what was asked for, and the code for that."""
    say(text, error=True)
    return BAD_INPUT
