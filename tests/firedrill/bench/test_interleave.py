import random

from firedrill.bench.interleave import Contestant, interleave

NAMES = ("a", "b", "c")


def contest(rounds: int, warmups: int) -> tuple[list[str], dict[str, int], list[int]]:
    """What was called, how many samples there are of each, and a mark a round."""
    calls: list[str] = []
    ended: list[int] = []
    contestants = {
        name: Contestant(lambda name=name: calls.append(name), lambda name=name: calls.append(f"before {name}")) for name in NAMES
    }
    timed = {name: contestant.sampled for name, contestant in contestants.items()}
    samples = interleave(timed, rounds, warmups, random.Random(0), lambda: ended.append(len(calls)))
    return calls, {name: len(taken) for name, taken in samples.items()}, ended


def test_every_round_calls_each_once_and_prepares_it_just_before() -> None:
    calls, _, ended = contest(rounds=20, warmups=0)
    assert ended == [6 * number for number in range(1, 21)]
    rounds = [calls[at : at + 6] for at in range(0, 120, 6)]
    assert all(sorted(one[1::2]) == list(NAMES) for one in rounds)
    assert all(one[0::2] == [f"before {name}" for name in one[1::2]] for one in rounds)


def test_the_order_changes_from_round_to_round() -> None:
    calls, _, _ = contest(rounds=20, warmups=0)
    assert len({tuple(calls[at : at + 6]) for at in range(0, 120, 6)}) == 6


def test_warming_up_does_not_count() -> None:
    calls, counts, _ = contest(rounds=3, warmups=2)
    assert counts == {"a": 3, "b": 3, "c": 3}
    assert len(calls) == 30
