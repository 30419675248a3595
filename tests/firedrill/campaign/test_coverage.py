from collections.abc import Callable
from dataclasses import replace

from firedrill.campaign.coverage import MARK_GAPS, Coverage, State, coverage_of
from firedrill.campaign.plants import Strength
from firedrill.runner.exposure import Exposure, Reply, Topology
from firedrill.runner.marks import MARKS
from firedrill.runner.result import CellResult
from firedrill.runner.verdict import Verdict

Make = Callable[..., CellResult]
MET = Exposure(0, "tensor.set", "weights_updated", Topology.BARE, Reply.AT_ONCE, "non_finite")


def state(coverage: Coverage, strength: Strength = Strength.STRONG, device: str = "cpu") -> tuple[State, str]:
    (cell,) = [
        cell
        for cell in coverage.cells
        if (cell.plant.kind, cell.plant.phase, cell.plant.topology) == (MET.kind, MET.phase, MET.topology)
        and (cell.plant.strength, cell.plant.device) == (strength, device)
    ]
    return cell.state, cell.why


def test_what_struck_so_is_exercised_and_nothing_else(result: Make) -> None:
    coverage = coverage_of([result(exposures=(MET,))])
    assert state(coverage) == (State.PASS, "nan/x[cpu,seed=1]")
    assert state(coverage, Strength.WEAK) == (State.NOT_RUN, "it struck there, and was always answered")
    assert state(coverage, device="cuda") == (State.NOT_RUN, "it never struck there")
    assert coverage.share("cpu")[0] == 1


def test_one_red_cell_makes_a_cell_of_the_space_red(result: Make) -> None:
    red = result(Verdict.MISSED, exposures=(MET,), id="red")
    assert state(coverage_of([result(exposures=(MET,)), red])) == (State.FAIL, "red")


def test_a_known_gap_is_shown_as_one(result: Make) -> None:
    gap = result(Verdict.MISSED, exposures=(MET,), known_gap="Nobody looks there.", gap_verdict=Verdict.MISSED)
    assert state(coverage_of([gap]))[0] is State.KNOWN_GAP


def test_marks_that_nothing_hit_are_unexplained_unless_a_reason_excuses_them(result: Make) -> None:
    names = set(MARKS) - set(MARK_GAPS)
    first = min(names)
    coverage = coverage_of([result(marks=(first,))])
    assert set(coverage.unexplained) == names - {first}
    assert coverage.taken == (1, len(names))


def test_a_mark_that_no_cpu_hits_counts_where_a_device_hit_it(result: Make) -> None:
    names = set(MARKS) - set(MARK_GAPS)
    late = min(MARK_GAPS)
    assert coverage_of([result(marks=(late,))]).taken == (1, 1 + len(names))


def test_it_holds_at_95_percent_with_every_mark(result: Make) -> None:
    empty = coverage_of([])
    plants = [cell.plant for cell in empty.cells if cell.plant.device == "cpu" and cell.state is State.NOT_RUN]
    reply = {Strength.STRONG: Reply.COUNTED, Strength.WEAK: Reply.SILENT}
    met = [replace(MET, kind=p.kind, phase=p.phase, topology=p.topology, reply=reply[p.strength]) for p in plants]
    enough = len(plants) - len(plants) // 20
    assert coverage_of([result(exposures=tuple(met[:enough]), marks=tuple(MARKS))]).holds
    assert not coverage_of([result(exposures=tuple(met[: enough - 1]), marks=tuple(MARKS))]).holds
    assert not coverage_of([result(exposures=tuple(met))]).holds
