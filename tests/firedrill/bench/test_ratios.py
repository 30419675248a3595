import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from firedrill.bench.clock import Sample
from firedrill.bench.ratios import Measured, in_turns, measured, others_had_the_machine, ratios_of, write_json
from firedrill.runner.result import ForeignResults

ALONE, BESIDE_OTHERS = Sample(cpu=1.0, wall=1.05), Sample(cpu=1.0, wall=1.5)


def test_a_ratio_is_of_sums_and_lies_in_its_interval() -> None:
    found = measured("a / b", [Sample(2.0, 9.0), Sample(4.0, 9.0)], [Sample(1.0, 1.0), Sample(2.0, 2.0)], 2.5, at_most=True)
    assert found.value == 2.0
    assert found.low <= found.value <= found.high
    assert found.seconds == {"above": (2.0, 4.0), "below": (1.0, 2.0)}
    assert (found.reached, found.missed) == (True, False)


def test_it_can_be_of_the_wall_clock() -> None:
    found = measured("a / b", [Sample(2.0, 9.0)], [Sample(1.0, 3.0)], 2.5, at_most=False, clock="wall")
    assert found.value == 3.0


def test_what_a_device_worked_is_the_other_clock_than_the_wall() -> None:
    found = measured("a / b", [Sample(2.0, 9.0)], [Sample(1.0, 3.0)], None, at_most=False, clock="device")
    assert (found.value, found.clock) == (2.0, "device")


@pytest.mark.parametrize(("at_most", "reached"), [(True, False), (False, True)])
def test_a_bound_is_an_upper_or_a_lower_one(at_most: bool, reached: bool) -> None:
    found = measured("a / b", [ALONE], [Sample(0.5, 0.5)], 1.5, at_most=at_most)
    assert found.reached is reached
    assert found.missed is not reached


def test_a_missed_bound_of_a_wall_clock_that_others_have_held_up_is_undecided() -> None:
    missed = measured("a / b", [BESIDE_OTHERS], [BESIDE_OTHERS], 1.7, at_most=False, clock="wall")
    assert (missed.undecided, missed.missed) == (True, False)
    by_cpu = replace(missed, clock="cpu")
    assert (by_cpu.undecided, by_cpu.missed) == (False, True)
    quiet = replace(missed, contended=False)
    assert (quiet.undecided, quiet.missed) == (False, True)


def test_others_have_the_machine_where_a_busy_process_waits() -> None:
    assert others_had_the_machine([BESIDE_OTHERS])
    assert not others_had_the_machine([ALONE, ALONE])


def test_nothing_that_was_not_promised_can_be_missed() -> None:
    found = measured("a / b", [ALONE], [ALONE], None, at_most=True)
    assert (found.reached, found.missed, found.undecided) == (None, False, False)


def test_nobody_always_comes_first() -> None:
    order: list[str] = []

    def contestant(name: str) -> Sample:
        order.append(name)
        return ALONE

    samples = in_turns({"a": lambda: contestant("a"), "b": lambda: contestant("b")}, 2, lambda: None)
    assert order == ["a", "b", "b", "a"]
    assert {name: len(taken) for name, taken in samples.items()} == {"a": 2, "b": 2}


def test_it_is_written_with_what_it_was_to_reach(tmp_path: Path) -> None:
    found = Measured("a / b", 2.0, 1.9, 2.1, 1.7, at_most=False, clock="cpu", contended=False)
    write_json(tmp_path / "ratios.json", {"cores": "2"}, {"torch": "2"}, [found])
    read = json.loads((tmp_path / "ratios.json").read_text())
    assert (read["schema"], read["machine"]) == ("firedrill.ratios/1.1", {"cores": "2"})
    assert (read["ratios"][0]["value"], read["ratios"][0]["bound"], read["ratios"][0]["reached"]) == (2.0, 1.7, True)


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    found = measured("a / b", [ALONE, ALONE], [ALONE, BESIDE_OTHERS], 1.7, at_most=False)
    path = tmp_path / "ratios.json"
    write_json(path, {"cores": "2"}, {"torch": "2"}, [replace(found, params=100_000)])
    document = json.loads(path.read_text())
    assert ratios_of(document, path) == (replace(found, params=100_000),)
    # What the minor version before wrote has no sizes.
    del document["ratios"][0]["params"]
    assert ratios_of(document | {"schema": "firedrill.ratios/1.0"}, path) == (found,)


@pytest.mark.parametrize(
    "document",
    [
        {"schema": "firedrill.bench/1.1", "ratios": []},
        {"schema": "firedrill.ratios/1.9", "ratios": []},
        {"schema": "firedrill.ratios/1.1"},
        {"schema": "firedrill.ratios/1.1", "ratios": ["torn"]},
        {"schema": "firedrill.ratios/1.1", "ratios": [{"seconds": {}, "name": "a"}]},
    ],
)
def test_what_is_no_file_of_ratios_is_refused_by_name(document: dict[str, Any]) -> None:
    with pytest.raises(ForeignResults, match=r"ratios\.json: "):
        ratios_of(document, Path("ratios.json"))
