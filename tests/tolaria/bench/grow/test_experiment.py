from collections.abc import Iterable, Iterator
from typing import TypeVar

from tolaria.bench.grow.arms import GROWING, STATIC, Plan
from tolaria.bench.grow.experiment import measure
from tolaria.envelope.progress import unseen

T = TypeVar("T")
PLAN = Plan("spirals_impaired", steps=8, batches_per_step=1, envs=2, updates=1, warm_start=1)


def test_every_arm_is_run_on_every_seed() -> None:
    (sheet,) = measure([PLAN], (1000, 1001), 1, unseen)
    assert sheet.seeds == [1000, 1001]
    assert sheet.arms == [*STATIC, *GROWING]
    assert len(sheet.lessons) == 1
    # A static host has used at least what the dearest of the grown ones has.
    for seed in sheet.seeds:
        spent = max(run.macs for run in sheet.runs if run.seed == seed and run.arm in GROWING)
        assert all(run.curve[-1][0] >= spent for run in sheet.runs if run.seed == seed and run.arm in STATIC)


def test_whoever_stops_early_keeps_what_was_finished() -> None:
    handed_out = []

    def until_five(what: str, items: Iterable[T], total: int) -> Iterator[T]:
        for item in items:
            if len(handed_out) == 5:
                return
            handed_out.append(item)
            yield item

    (sheet,) = measure([PLAN], (1000, 1001), 1, until_five)
    # Two pieces of the first round and three of the second; a fourth had been run when nobody asked for it any more, and is kept.
    assert len(sheet.runs) == 4
    assert sheet.seeds == []
