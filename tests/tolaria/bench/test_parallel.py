import operator
import signal
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool

import pytest

from tolaria.bench.parallel import in_parallel, keep_all
from tolaria.errors import WorkerLost


def test_one_process_works_in_order_and_keeps_before_it_hands_out() -> None:
    kept: list[int] = []
    found = [(result, list(kept)) for result in in_parallel(abs, [-3, -1, -2], 1, kept.append)]
    assert found == [(3, [3]), (1, [3, 1]), (2, [3, 1, 2])]


def test_whoever_stops_begins_nothing_more() -> None:
    kept: list[int] = []
    working = in_parallel(abs, [-3, -1, -2], 1, kept.append)
    next(working)
    working.close()
    assert kept == [3]


@pytest.mark.slow
def test_several_processes_do_everything_once() -> None:
    kept: list[int] = []
    assert sorted(in_parallel(abs, [-4, -1, -3, -2], 2, kept.append)) == [1, 2, 3, 4]
    assert sorted(kept) == [1, 2, 3, 4]


@pytest.mark.slow
def test_what_is_under_way_when_somebody_stops_is_kept() -> None:
    kept: list[int] = []
    working = in_parallel(abs, [-4, -1, -3, -2, -5, -6], 2, kept.append)
    next(working)
    working.close()
    assert 1 <= len(kept) <= 3


@pytest.mark.slow
def test_an_error_of_the_work_is_not_swallowed() -> None:
    with pytest.raises(TypeError):
        list(in_parallel(operator.neg, ["a", "b"], 2, lambda _: None))


def test_what_failed_does_not_cost_the_results_that_are_ready_with_it() -> None:
    kept: list[int] = []
    failed, ready = Future[int](), Future[int]()
    failed.set_exception(BrokenProcessPool("killed"))
    ready.set_result(3)
    with pytest.raises(BrokenProcessPool):
        keep_all([failed, ready], kept.append)
    assert kept == [3]


@pytest.mark.slow
def test_a_process_that_is_killed_is_told_of_and_what_was_ready_is_kept() -> None:
    kept: list[None] = []
    # Of the signals, one is ignored and the other kills; it is sent when one of the first two was.
    signals = [signal.SIGCHLD, signal.SIGCHLD, signal.SIGKILL, signal.SIGCHLD]
    with pytest.raises(WorkerLost, match="a process ended in the middle of its work"):
        list(in_parallel(signal.raise_signal, signals, 2, kept.append))
    assert 1 <= len(kept) <= 3
