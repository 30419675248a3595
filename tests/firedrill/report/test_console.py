import io
import re
from dataclasses import replace

from rich.console import Console

from firedrill.report.console import Progress, matrix, summary
from firedrill.runner.result import CellResult


def shown(thing: object) -> str:
    """What a console of 180 columns writes."""
    file = io.StringIO()
    Console(file=file, width=180, force_terminal=False).print(thing)
    return file.getvalue()


def test_the_matrix_says_outcome_and_verdict_without_colour(results: tuple[CellResult, ...]) -> None:
    (row,) = [line for line in shown(matrix(results)).splitlines() if "bn-buffers-poisoned" in line]
    assert re.split(r"\s{2,}", row.strip()) == [
        "bn-buffers-poisoned",
        "cpu",
        "11",
        "✗ wrong recovery, expected recovered",
        "state_restored, twin, optimizer_reset (unknown)",
        "2.4",
    ]
    assert "✓ as expected   ✗ not as expected   ◇ known gap   – not run" in shown(matrix(results))


def test_the_matrix_has_each_area_once(results: tuple[CellResult, ...]) -> None:
    lines = [line.strip() for line in shown(matrix(results)).splitlines()]
    assert [line for line in lines if line in {"faults", "governor", "ppo"}] == ["faults", "governor", "ppo"]


def test_text_of_a_scenario_is_no_markup(fossil: CellResult) -> None:
    assert "[bold]x[/bold]" in shown(matrix([replace(fossil, scenario="[bold]x[/bold]")]))


def test_the_summary_counts_every_outcome_that_occurs(results: tuple[CellResult, ...], fossil: CellResult) -> None:
    assert summary(results) == "8 cells: 3 as expected, 3 not, 1 known gap, 1 not run"
    assert summary([fossil], "a/page.html") == "1 cell: 1 as expected; report: a/page.html"
    assert summary([]) == "0 cells: 0 as expected"


def test_without_a_terminal_each_cell_is_one_plain_line(results: tuple[CellResult, ...]) -> None:
    console = Console(file=(file := io.StringIO()), width=20, force_terminal=False)
    with Progress(2, console) as progress:
        progress.ended(results[0])
        progress.ended(results[2])
    assert file.getvalue().splitlines() == [
        "[1/2] ✓ as expected      fossilize-then-nan[cpu,11]  recovered  2.4 s",
        "[2/2] ✗ not as expected  bn-buffers-poisoned[cpu,11]  wrong recovery  2.4 s",
    ]


def test_in_a_terminal_only_the_unexpected_is_named_and_the_bar_counts(results: tuple[CellResult, ...]) -> None:
    console = Console(file=(file := io.StringIO()), width=120, force_terminal=True, legacy_windows=False, _environ={})
    with Progress(2, console) as progress:
        progress.ended(results[0])
        progress.ended(results[2])
    assert "fossilize-then-nan" not in file.getvalue()
    assert "bn-buffers-poisoned" in file.getvalue()
    assert "✗ 1 not as expected  ✓ 1 as expected" in file.getvalue()
