import os
import subprocess
import sys
from collections.abc import Callable

from firedrill.campaign.draw import parameters_of
from firedrill.campaign.fuzz import COPYING, case_of, case_seed, struck_only
from firedrill.campaign.plants import CONTROLS
from firedrill.faults import FAULTS
from firedrill.runner.exposure import Exposure, Reply, Topology
from firedrill.runner.result import CellResult
from firedrill.scenario.token import token_of
from tolaria.seeding import stream

Make = Callable[..., CellResult]
CASES = range(12)


def test_a_case_follows_from_two_numbers_in_any_process() -> None:
    program = "from firedrill.campaign.fuzz import case_of; from firedrill.scenario.token import token_of; print(token_of(case_of(7, 3)))"
    env = os.environ | {"PYTHONHASHSEED": "5"}
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=env)
    assert told.stdout.strip() == token_of(case_of(7, 3))


def test_cases_have_seeds_of_their_own() -> None:
    assert len({case_seed(campaign, case) for campaign in (0, 1) for case in range(1000)}) == 2000


def test_no_case_strikes_everybody_picks_at_random_or_switches_the_governor_off() -> None:
    for cell in (case_of(1, case) for case in CASES):
        assert cell.scenario.faults
        for planned in cell.scenario.faults:
            assert 0 not in planned.at.environments(cell.scenario.subject.envs)
            assert planned.fault.kind not in CONTROLS
            assert planned.target is None or planned.target.pick is None or planned.target.pick.index is not None


def test_no_case_strikes_the_first_snapshot_of_a_host() -> None:
    placed = [planned.at for case in (187, 952) for planned in case_of(41, case).scenario.faults if planned.at.phase in COPYING]
    assert placed
    assert all(at.step != 0 for at in placed)


def test_parameters_are_drawn_for_every_fault_of_the_table() -> None:
    for kind, fault in FAULTS.items():
        drawn = [parameters_of(kind, stream(0, kind, number)) for number in range(20)]
        required = {name for name in fault.__dataclass_fields__ if name not in {*drawn[0]}}
        assert required <= {name for name, field in fault.__dataclass_fields__.items() if field.default is not None}


def test_a_case_is_run_again_without_what_never_struck(result: Make) -> None:
    cell = next(cell for cell in (case_of(1, case) for case in CASES) if len(cell.scenario.faults) > 1)
    met = Exposure(1, "x", "y", Topology.BARE, Reply.SILENT, "")
    again = struck_only(cell, result(exposures=(met,)))
    assert again is not None
    assert [planned.fault for planned in again.scenario.faults] == [cell.scenario.faults[1].fault]
    assert again.id == cell.id


def test_where_nothing_struck_nothing_is_run_again(result: Make) -> None:
    assert struck_only(case_of(1, 0), result()) is None
