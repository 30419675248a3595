"""How samples of a device become figures, with a clock that is made up; what is sampled needs a device."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from firedrill.bench import figures as known
from firedrill.bench.cases import Size
from firedrill.bench.figures import Figure
from firedrill.bench.on_device import (
    CLONES,
    FLAT,
    LOAD,
    PINNED,
    PUBLISHED_TAKE,
    RESTORE,
    TAKE,
    WARMUPS,
    Samples,
    alternated,
    figures,
    sampled,
    slowdowns,
)

SIZE = Size(100_000_000, 300, 4)
Call = Callable[[], object]


@dataclass
class MadeUp:
    """Seconds are what a call returns, ten times as many for the device and a hundred times until all is done."""

    order: list[str] = field(default_factory=list)

    def kept(self, call: Call) -> float:
        return float(str(call()))

    def worked(self, call: Call) -> float:
        return 10.0 * self.kept(call)

    def lasted(self, call: Call) -> float:
        return 100.0 * self.kept(call)

    def waits(self, call: Call) -> int:
        return 7


def test_every_contestant_is_sampled_once_a_round_by_every_clock_and_the_first_rounds_only_warm_up() -> None:
    called: list[str] = []
    contestants = {name: lambda name=name: [called.append(name), 2.0][1] for name in (TAKE, FLAT)}
    found = sampled(contestants, MadeUp(), 4)
    assert found.kept == {TAKE: [2.0] * 4, FLAT: [2.0] * 4}
    assert found.worked[TAKE] == [20.0] * 4
    assert found.lasted[FLAT] == [200.0] * 4
    assert found.waits == [7] * 4
    assert called.count(FLAT) == 3 * (4 + WARMUPS)
    # Neither of them always comes first.
    assert len({tuple(called[3 * start : 3 * start + 6 : 3]) for start in range(0, 2 * WARMUPS, 2)}) == 2


def samples(**waits: list[int]) -> Samples:
    kept = {TAKE: 20e-6, PUBLISHED_TAKE: 40e-6, CLONES: 300e-6, FLAT: 1.0, PINNED: 1.0, RESTORE: 1.0, LOAD: 1.0}
    worked = {TAKE: 260e-6, PUBLISHED_TAKE: 1.0, CLONES: 1.0, FLAT: 200e-6, PINNED: 1.0, RESTORE: 1.0, LOAD: 1.0}
    lasted = {TAKE: 10.26e-3, PUBLISHED_TAKE: 1.0, CLONES: 1.0, FLAT: 1.0, PINNED: 9.5e-3, RESTORE: 5e-3, LOAD: 10e-3}
    return Samples(*({name: [one] * 3 for name, one in seconds.items()} for seconds in (kept, worked, lasted)), waits.get("waits", [0] * 3))


def test_what_the_host_the_device_and_the_bus_take_are_told_apart() -> None:
    found = {one.name: (round(one.value, 6), one.unit, one.holds) for one in figures(SIZE, samples())}
    assert found == {
        known.KEPT: (20.0, "µs", True),
        known.WAITS: (0.0, "", True),
        known.FASTER: (15.0, "times", None),
        known.WORKED: (1.3, "times", True),
        # 10 ms on the way, after 0.26 ms on the device; a pinned copy in one piece takes 9.5 ms.
        known.ARRIVING: (0.95, "times", True),
        known.PUBLISHED: (40.0, "µs", None),
        known.ARRIVED: (10260.0, "µs", None),
        known.RESTORED: (2.0, "times", None),
    }


def test_one_wait_in_any_round_counts() -> None:
    (waits,) = [one for one in figures(SIZE, samples(waits=[0, 1, 0])) if one.name == known.WAITS]
    assert (waits.value, waits.holds) == (1.0, False)


def test_a_take_that_waits_for_the_device_is_kept_as_long_as_that_is_busy() -> None:
    waiting = samples()
    waiting.kept[TAKE][:] = [10e-3] * 3
    assert next(one.holds for one in figures(SIZE, waiting) if one.name == known.KEPT) is False


def test_blocks_of_training_are_timed_in_one_order_and_then_backwards() -> None:
    trained: list[int] = []

    def block(cadence: int) -> float:
        trained.append(cadence)
        return {0: 1.0, 1: 1.5, 10: 1.02}[cadence]

    found = alternated(block, (0, 1, 10), 2, MadeUp())
    assert trained == [10, 1, 0, 0, 1, 10, 10, 1, 0]
    assert found == {0: [100.0] * 2, 1: [150.0] * 2, 10: [102.0] * 2}
    assert [(one.name, round(one.value, 6), one.unit) for one in slowdowns(SIZE, found)] == [
        (known.SLOWDOWN.format(1), 50.0, "%"),
        (known.SLOWDOWN.format(10), 2.0, "%"),
    ]


@pytest.mark.parametrize("name", known.TARGETS)
def test_every_target_has_a_figure(name: str) -> None:
    blocks = {0: [1.0], 10: [1.0]}
    found: list[Figure] = figures(SIZE, samples()) + slowdowns(SIZE, blocks)
    assert name in {one.name for one in found}
