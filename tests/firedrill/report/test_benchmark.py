from dataclasses import replace

from rich.console import Console
from rich.table import Table

from firedrill.bench.gates import judge
from firedrill.bench.record import Case
from firedrill.report.benchmark import Sampling, cases_table, gates_table, verdict

CASE = Case("restore", 100_000, 30, "hot", 2.5, {"load_state_dict": 4.5}, 45e-6, 2e-3, 3e-3, 1.5, 2.5, 7, False)


def shown(table: Table) -> str:
    console = Console(width=120, record=True, file=None)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def test_a_gate_stands_beside_what_was_measured_with_a_mark_that_needs_no_colour() -> None:
    lines = shown(gates_table(judge([CASE]))).splitlines()
    assert lines[2].split() == ["restore", "/", "memmove", "0.1M", "hot", "2.50", "<=", "3", "✓"]
    assert lines[3].split() == ["restore", "faster", "than", "load_state_dict", "0.1M", "hot", "4.50x", ">=", "5x", "✗"]


def test_times_have_the_unit_that_fits() -> None:
    assert shown(cases_table([CASE])).splitlines()[2].split() == ["restore", "0.1M", "hot", "45", "µs", "2", "ms", "1.5", "s", "2.50"]


def test_what_was_contended_is_marked_and_the_mark_explained() -> None:
    contended = replace(CASE, contended=True)
    assert shown(cases_table([contended])).splitlines()[2].rstrip().endswith("2.50 ~")
    assert verdict(judge([contended])).endswith("~ contended")
    assert verdict(judge([CASE])) == (
        "2 gates: 1 hold, 1 missed, 0 undecided; thread CPU time, one thread; medians against memmove, medians of ratios against peers"
    )
    assert verdict(judge([contended])).startswith("2 gates: 1 hold, 0 missed, 1 undecided")
    assert shown(gates_table(judge([contended]))).splitlines()[3].endswith("?")


def test_rounds_are_counted_also_where_there_is_no_terminal() -> None:
    with Sampling(2) as sampling:
        sampling.advance()
        sampling.advance()
    assert sampling._bar.finished
