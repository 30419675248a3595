from collections.abc import Callable

import pytest
import torch

from firedrill.bench import rollback
from firedrill.bench.clock import Place, Sample
from firedrill.bench.rollback import BUFFER, PARTS, PEERS, measure, struck


def test_a_rollback_is_a_real_one_and_is_timed_part_by_part() -> None:
    one = struck("0.1M")
    before = one.host.host.head.weight.detach().clone()  # type: ignore[union-attr]
    with torch.no_grad():
        one.host.host.head.weight.fill_(float("nan"))  # type: ignore[union-attr, operator]
    one.roll_back()
    one.roll_back()
    assert torch.equal(one.host.host.head.weight, before)  # type: ignore[union-attr, arg-type]
    assert {name: len(taken) for name, taken in one.parts.items()} == dict.fromkeys(PARTS.values(), 2)


def test_all_parts_and_peers_are_measured_in_turns() -> None:
    ended: list[None] = []
    found = measure("0.1M", 2, lambda: ended.append(None))
    assert len(ended) == 4
    assert [one.name for one in found if "/ rollback" in one.name] == [f"{name} / rollback, 0.1M" for name in (*PARTS.values(), BUFFER)]
    assert len([one.name for one in found if one.name.startswith("rollback /")]) == 3
    assert all(one.value > 0.0 and one.bound is None and one.params == 100_000 for one in found)


def test_on_a_device_it_is_also_told_what_that_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(rollback.SIZES, "tiny", 5_000)

    def timed(seconds: float) -> Callable[[Callable[[], object]], Sample]:
        def sampled(call: Callable[[], object]) -> Sample:
            call()
            return Sample(seconds, seconds)

        return sampled

    found = {one.name: (one.value, one.clock) for one in measure("tiny", 2, lambda: None, Place("cpu", timed(2.0), "wall", timed(3.0)))}
    peers = [f"rollback / {peer}, tiny" for peer in PEERS]
    assert [found[name] for name in peers] == [(1.0, "wall")] * 3
    assert [found[f"device works for a {name}"] for name in peers] == [(1.0, "device")] * 3
    assert found["buffer / rollback, tiny"] == (1.0, "wall")
