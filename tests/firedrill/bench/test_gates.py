from dataclasses import replace

import pytest

from firedrill.bench.gates import GATES, LIMIT, judge
from firedrill.bench.record import Case
from firedrill.bench.snapshot import AGAINST

CASE = Case("take", 100_000, 30, "hot", 3.0, {"deepcopy of state_dict": 12.0, "StateDictStager": 12.0}, 1.0, 1.0, 1.0, 1.0, 1.0, 7, False)


def test_a_gate_holds_at_its_bound() -> None:
    assert [(one.gate.reference, one.bound, one.value, one.holds) for one in judge([CASE])] == [
        (LIMIT, 3.0, 3.0, True),
        ("deepcopy of state_dict", 12.0, 12.0, True),
        ("StateDictStager", 12.0, 12.0, True),
    ]


def test_slower_than_the_bound_is_a_miss_against_the_limit_and_against_a_peer() -> None:
    slower = replace(CASE, ratio_to_limit=3.01, speedup_vs={"deepcopy of state_dict": 11.99, "StateDictStager": 12.0})
    assert [one.holds for one in judge([slower])] == [False, False, True]


def test_a_gate_that_is_not_reached_while_others_have_the_machine_is_not_missed() -> None:
    slower = replace(CASE, ratio_to_limit=3.01)
    assert [one.is_missed for one in judge([slower])] == [True, False, False]
    assert [one.is_missed for one in judge([replace(slower, contended=True)])] == [False, False, False]


@pytest.mark.parametrize("other", [replace(CASE, op="sealed take"), replace(CASE, params=123)])
def test_what_no_gate_speaks_of_is_not_judged(other: Case) -> None:
    assert judge([other]) == ()


def test_a_record_that_lacks_a_peer_is_judged_by_the_others() -> None:
    older = replace(CASE, speedup_vs={"StateDictStager": 12.0})
    assert [one.gate.reference for one in judge([older])] == [LIMIT, "StateDictStager"]


def test_every_gate_names_what_is_measured() -> None:
    for gate in GATES:
        _, peers = AGAINST[gate.op]
        assert gate.is_at_most or gate.reference in {peer.removeprefix("4 x ") for peer in peers}


def test_the_table_has_the_bounds_that_were_set() -> None:
    bounds = {(gate.op, gate.reference): tuple(gate.bounds.values()) for gate in GATES}
    assert bounds["take", LIMIT] == (3.0, 2.0, 1.25, 1.7)
    assert bounds["restore", "load_state_dict"] == (5.0, 2.5, 1.5, 1.2)
    assert sum(len(each) for each in bounds.values()) == 29
