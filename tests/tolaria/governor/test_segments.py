from collections.abc import Callable
from typing import Any

import pytest
import torch

from tolaria.governor.segments import RUN_BYTES, TRUNK, Segment, layout_of, planned, segment_of
from tolaria.lifecycle.stage import Stage

CPU = torch.device("cpu")
Places = dict[str, set[int]]


@pytest.mark.parametrize(
    ("name", "segment"),
    [
        ("host/blocks.0.weight", TRUNK),
        ("host/slots.s0.seed.0.weight", "slots.s0"),
        ("optimizer/host/slots.s0.seed.0.weight/exp_avg", "slots.s0"),
        ("host/slots.s10.seed.0.weight", "slots.s10"),
        ("model/timeslots.0.weight", TRUNK),
        ("slots", TRUNK),
    ],
)
def test_a_slot_is_a_segment_together_with_its_optimizer_state(name: str, segment: str) -> None:
    assert segment_of(name) == segment


def test_a_layout_comes_apart_into_sorted_segments_that_hold_every_tensor_once() -> None:
    layout = layout_of(
        dict.fromkeys(("host/slots.b.x", "host/a", "host/slots.a.x", "host/slots.b.w", "optimizer/host/a/step"), torch.ones(1))
    )
    assert {key: list(part) for key, part in planned(layout, frozenset()).items()} == {
        "slots.a": ["host/slots.a.x"],
        "slots.b": ["host/slots.b.w", "host/slots.b.x"],
        TRUNK: ["host/a", "optimizer/host/a/step"],
    }


def test_what_lies_in_host_memory_anyway_is_kept_apart_from_what_a_device_copies() -> None:
    layout = layout_of({"a": torch.ones(1), "a/step": torch.ones(1)})
    assert set(planned(layout, frozenset({"a/step"}))) == {TRUNK, f"{TRUNK}@host"}


def test_runs_cover_all_storage_and_end_where_caches_do() -> None:
    sizes = {"a": 1, "b": RUN_BYTES // 4, "c": 5, "d": 7}
    layout = layout_of({name: torch.empty(size) for name, size in sizes.items()} | {"n": torch.empty(3, dtype=torch.int64)})
    segment = Segment.allocate(layout, CPU, pinned=False)
    runs = list(segment.runs())
    assert [names for names, _ in runs] == [("a", "b"), ("c", "d"), ("n",)]
    for _, piece in runs:
        piece.fill_(1)
    assert all(bool((view == 1).all()) for view in segment.views.values())


# In the ring, as a host grows.


def places(world: Any) -> Places:
    """Where the storage of each segment lies, over all published snapshots."""
    found: Places = {}
    for snapshot in world.governor.snapshots.published:
        for key, segment in snapshot.arena.segments.items():
            found.setdefault(key, set()).update(flat.data_ptr() for flat in segment.flats.values())
    return found


def settled(world: Any) -> Places:
    """Every place that is in use while nothing grows; each arena has had its turn by then."""
    found: Places = {}
    for _ in range(40):
        world.live()
        for key, here in places(world).items():
            found.setdefault(key, set()).update(here)
    return found


def unmoved(now: Places, before: Places) -> bool:
    """Whether the segments that were there use no storage that they did not use before."""
    return all(now[key] <= before[key] for key in before)


def test_a_seed_a_fossil_and_a_loss_leave_the_storage_of_the_trunk_and_of_other_slots_where_it_is(new_world: Callable[..., Any]) -> None:
    world = new_world("adam", depth=4, snapshot_every=1)
    world.bring("s0", Stage.FOSSILIZED)
    world.live(fossilized=True)
    before = settled(world)
    assert set(before) == {TRUNK, "slots.s0"}

    world.bring("s1", Stage.TRAINING)
    assert unmoved(settled(world), before)

    world.host.prune("s1", world.at, "test", "policy")
    world.host.renew_optimizers()
    assert unmoved(settled(world), before)

    world.bring("s2", Stage.FOSSILIZED)
    world.live(fossilized=True)
    grown = settled(world)
    assert unmoved(grown, before)
    assert set(grown) == {TRUNK, "slots.s0", "slots.s2"}
