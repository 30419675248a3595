"""A rollback, part by part, beside what somebody would write who kept copies of model and optimizer."""

import statistics

import pytest
import torch

from firedrill.bench.device_timer import DeviceTimer
from firedrill.bench.rollback import BUFFER, COPIED, LOADED, LOADED_CHECKED, PARTS, SIZES, charging, reloading, struck
from tolaria.governor.snapshots import SnapshotRing

ROUNDS = 30


@pytest.mark.parametrize("size", SIZES)
def test_a_rollback_and_its_parts(contest, size: str) -> None:
    ours, theirs = struck(size), struck(size).host
    subjects = {
        "rollback": ours.roll_back,
        BUFFER: charging(),
        LOADED: reloading(theirs, checked=False, copied=False),
        LOADED_CHECKED: reloading(theirs, checked=True, copied=False),
        COPIED: reloading(theirs, checked=False, copied=True),
    }
    contest.alternate(subjects, rounds=ROUNDS)
    for peer in (LOADED, LOADED_CHECKED, COPIED):
        contest.compare("rollback", peer)
    for name in PARTS.values():
        seconds = statistics.median(one.wall for one in ours.parts[name])
        contest.benchmark.extra_info[f"{name}, wall"] = seconds
        contest.say(f"{name}, wall {seconds * 1e6:.0f} microseconds")
    # The penalty is a row of numbers, whatever the host's size.
    assert contest.compare(BUFFER, "rollback").low < 1.0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no GPU")
@pytest.mark.benchmark(timer=DeviceTimer())
def test_what_the_device_works_for_a_take(benchmark) -> None:
    """By events of the device; what keeps the host, and when all has arrived, are figures of `firedrill bench snapshot --device cuda`."""
    live = dict(torch.nn.Linear(2000, 2000, device="cuda").named_parameters())
    ring = SnapshotRing(2, 1, "offload")
    ring.take(live, {}, 0, "begin", None, bool)
    benchmark.pedantic(lambda: ring.take(live, {}, 1, "cadence", None, bool), rounds=20, warmup_rounds=3)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no GPU")
@pytest.mark.benchmark(timer=DeviceTimer())
def test_what_passes_on_the_device_in_a_rollback(benchmark) -> None:
    """By events of the device; how long it lasts beside its peers is told by `firedrill bench rollback --device cuda`."""
    benchmark.pedantic(struck("1M", "cuda").roll_back, rounds=20, warmup_rounds=3)
