from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import pytest

from firedrill.bench import snapshot
from firedrill.bench.apart import Build, apart
from firedrill.bench.cases import Size
from firedrill.bench.clock import Sample, Spread
from firedrill.bench.snapshot import AGAINST, PROCESSES, WARMUPS, _case, measure, rounds_of

TINY = Size(2_000, 6, 2)


def spread_of(median: float) -> Spread:
    return Spread(median / 2.0, median, median * 4.0, median * 8.0, median, 3, False, (median, median * 2.0, median * 99.0))


def test_every_operation_is_a_case_in_every_mode_and_every_round_is_told() -> None:
    told: list[int] = []
    record = measure([TINY], ["hot", "train"], lambda: told.append(1))
    assert [(case.mode, case.op) for case in record.cases] == [(mode, op) for mode in ("hot", "train") for op in AGAINST]
    assert len(told) == rounds_of([TINY], ["hot", "train"]) == 2 * 2 * (1 + WARMUPS)
    assert {case.samples for case in record.cases} == {2}
    assert all(case.ratio_to_limit > 0.0 and case.p10 <= case.median <= case.p99 for case in record.cases)
    assert record.machine["threads"] == "1"
    assert "torch" in record.versions


def test_the_rounds_of_a_size_are_shared_by_several_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []

    @contextmanager
    def noted(builds: Mapping[str, Build]) -> Iterator[dict[str, Callable[[], Sample]]]:
        begun.append(len(builds))
        with apart(builds) as timed:
            yield timed

    monkeypatch.setattr(snapshot, "apart", noted)
    record = measure([replace(TINY, rounds=PROCESSES + 2)], ["hot"], lambda: None)
    assert len(begun) == PROCESSES
    assert {case.samples for case in record.cases} == {PROCESSES + 2}


def test_a_ratio_is_to_the_faster_limit_and_a_speedup_is_of_rounds() -> None:
    spreads = {
        "restore": spread_of(3.0),
        "memmove back, one piece": spread_of(2.0),
        "memmove back, tensors": spread_of(1.5),
        "load_state_dict": replace(spread_of(1.0), seconds=(12.0, 18.0, 3000.0)),
    }
    case = _case("restore", TINY, "hot", spreads)
    assert (case.ratio_to_limit, case.speedup_vs) == (2.0, {"load_state_dict": 4.0})
    assert (case.p10, case.median, case.mean, case.p99) == (1.5, 3.0, 12.0, 24.0)


def test_four_loads_are_what_four_rollbacks_are_held_against() -> None:
    spreads = {"roll back 4 of 16": spread_of(2.0), "memmove of 4, one piece": spread_of(1.0), "4 x load_state_dict": spread_of(10.0)}
    assert _case("roll back 4 of 16", TINY, "hot", spreads).speedup_vs == {"load_state_dict": pytest.approx(5.0)}
