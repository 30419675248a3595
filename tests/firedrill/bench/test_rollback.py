import torch

from firedrill.bench.rollback import BUFFER, PARTS, measure, struck


def test_a_rollback_is_a_real_one_and_is_timed_part_by_part() -> None:
    one = struck("0.1M")
    before = one.host.host.head.weight.detach().clone()  # type: ignore[union-attr]
    with torch.no_grad():
        one.host.host.head.weight.fill_(float("nan"))  # type: ignore[union-attr, operator]
    one.roll_back()
    one.roll_back()
    assert torch.equal(one.host.host.head.weight, before)  # type: ignore[union-attr, arg-type]
    assert {name: len(taken) for name, taken in one.parts.items()} == dict.fromkeys(PARTS, 2)


def test_all_parts_and_peers_are_measured_in_turns() -> None:
    ended: list[None] = []
    found = measure("0.1M", 2, lambda: ended.append(None))
    assert len(ended) == 4
    assert [one.name for one in found if "/ rollback" in one.name] == [f"{name} / rollback, 0.1M" for name in (*PARTS, BUFFER)]
    assert len([one.name for one in found if one.name.startswith("rollback /")]) == 3
    assert all(one.value > 0.0 and one.bound is None for one in found)
