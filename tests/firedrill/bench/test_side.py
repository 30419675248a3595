from collections.abc import Callable, Mapping
from multiprocessing import Pipe

from firedrill.bench.side import WARMUPS, Timing, answer, block


def counting() -> Callable[[], Mapping[str, float]]:
    """A round that takes a second more each time."""
    taken: list[None] = []

    def one_round() -> Mapping[str, float]:
        taken.append(None)
        return {"take": float(len(taken)), "restore": 0.5}

    return one_round


def test_a_block_times_every_operation_so_often_after_rounds_that_only_warm_up() -> None:
    found = block(lambda case: Timing(counting(), ("restore",) if case == "1M" else ()), "1M", 2)
    assert found == {"seconds": {"take": [WARMUPS + 1.0, WARMUPS + 2.0], "restore": [0.5, 0.5]}, "wall": ["restore"]}


def test_an_operation_that_fails_is_told_and_not_raised() -> None:
    here, there = Pipe(duplex=False)
    answer(there, lambda case: {}[case], "no such case", 1)
    assert here.recv() == {"error": "KeyError: 'no such case'"}
