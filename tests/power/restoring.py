"""Governors that restore something else than the snapshot, or something beside it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from power.patching import Patch, Wrapper, always, wrap

from tolaria.env import capsule
from tolaria.env.capsule import CapsuleHost
from tolaria.governor import governor as governing
from tolaria.governor import rollback
from tolaria.governor.governor import Governor
from tolaria.governor.rollback import Done
from tolaria.governor.snapshots import Snapshot, SnapshotRing
from tolaria.lifecycle import seed
from tolaria.telemetry.event import Point
from tolaria.telemetry.governor_events import Work


def momentum_is_kept(patch: Patch) -> None:
    wrap(patch, CapsuleHost, "restore_optimizers", lambda real, self, saved, _: real(self, saved, "restore"))


def optimizers_are_forgotten(patch: Patch) -> None:
    wrap(patch, CapsuleHost, "restore_optimizers", lambda real, self, saved, _: real(self, saved, "reset_all"))


def optimizers_work_on_the_snapshot(patch: Patch) -> None:
    def around(real: Wrapper, self: CapsuleHost, saved: Mapping[str, torch.Tensor], policy: str) -> None:
        real(self, saved, policy)
        for name, parameter in self._named("host").items():
            if parameter in self.optimizers["host"].state:
                self.optimizers["host"].state[parameter]["momentum_buffer"] = saved[f"optimizer/host/{name}/momentum_buffer"]

    wrap(patch, CapsuleHost, "restore_optimizers", around)


def optimizers_work_on_the_snapshot_unchecked(patch: Patch) -> None:
    optimizers_work_on_the_snapshot(patch)
    always(patch, Snapshot, "is_intact", True)


def one_tensor_is_skipped(patch: Patch) -> None:
    def around(real: Wrapper, snapshot: Snapshot, governed: CapsuleHost, *rest: Any) -> float:
        skipped = governed.host.get_parameter("head.bias")
        before = skipped.detach().clone()
        penalty: float = real(snapshot, governed, *rest)
        with torch.no_grad():
            skipped.copy_(before)
        return penalty

    wrap(patch, rollback, "_restore", around)


def restored_in_half_precision(patch: Patch) -> None:
    def around(real: Wrapper, snapshot: Snapshot, governed: CapsuleHost, *rest: Any) -> float:
        penalty: float = real(snapshot, governed, *rest)
        with torch.no_grad():
            for parameter in governed.host.parameters():
                parameter.copy_(parameter.half())
        return penalty

    wrap(patch, rollback, "_restore", around)


def nothing_is_rewound(patch: Patch) -> None:
    wrap(patch, governing, "roll_back", lambda _, ring, *__: Done(ring.trusted()[0], True, (), (), False, Work(1, 1), -10.0))


def the_data_stream_is_wound_back(patch: Patch) -> None:
    def around(real: Wrapper, self: CapsuleHost, facts: dict[str, Any]) -> None:
        real(self, facts)
        self.batches.seek((0, 0))

    wrap(patch, CapsuleHost, "settle", around)


def a_bystander_is_restored_too(patch: Patch) -> None:
    hosts: dict[int, CapsuleHost] = {}

    def beginning(real: Wrapper, self: Governor, governed: CapsuleHost, at: Point) -> None:
        hosts[at.env or 0] = governed
        real(self, governed, at)

    def around(real: Wrapper, ring: SnapshotRing, governed: CapsuleHost, *rest: Any) -> Any:
        done = real(ring, governed, *rest)
        with torch.no_grad():
            for name, tensor in hosts[0].stable_tensors().items():
                if name in done.snapshot.tensors:
                    tensor.copy_(done.snapshot.tensors[name])
        return done

    wrap(patch, Governor, "begin", beginning)
    wrap(patch, governing, "roll_back", around)


def seeds_are_not_pruned(patch: Patch) -> None:
    def around(real: Wrapper, plan: Any) -> None:
        real(replace(plan, placements=tuple(place for place in plan.placements if place.seed is not None or place.slot.seed is None)))

    wrap(patch, capsule, "commit", around)


def topology_is_wrong_and_unchecked(patch: Patch) -> None:
    seeds_are_not_pruned(patch)
    always(patch, rollback, "check_layout", None)


def pruned_by_nobody(patch: Patch) -> None:
    wrap(patch, capsule, "StageChanged", lambda real, *fields: real(*fields[:-1], ""))


def cooldown_lasts(steps: int) -> Callable[[Patch], None]:
    def sabotage(patch: Patch) -> None:
        patch.setattr(seed, "EMBARGO_STEPS", steps)

    return sabotage


def a_rollback_leaves_a_hook_behind(patch: Patch) -> None:
    def around(real: Wrapper, self: CapsuleHost, facts: dict[str, Any]) -> None:
        real(self, facts)
        self.host.register_forward_hook(lambda *_: None)

    wrap(patch, CapsuleHost, "settle", around)


def seeds_lose_their_optimizers(patch: Patch) -> None:
    def around(real: Wrapper, self: CapsuleHost, saved: Mapping[str, torch.Tensor], policy: str) -> None:
        real(self, saved, policy)
        for key in [key for key in self.optimizers if key != "host"]:
            del self.optimizers[key]

    wrap(patch, CapsuleHost, "restore_optimizers", around)


def parameters_are_replaced(patch: Patch) -> None:
    def around(real: Wrapper, self: CapsuleHost, facts: dict[str, Any]) -> None:
        real(self, facts)
        self.host.head.bias = torch.nn.Parameter(self.host.head.bias.detach().clone())

    wrap(patch, CapsuleHost, "settle", around)


def a_second_rollback_is_half_done(patch: Patch) -> None:
    restored: set[int] = set()

    def around(real: Wrapper, snapshot: Snapshot, governed: CapsuleHost, *rest: Any) -> float:
        penalty: float = real(snapshot, governed, *rest)
        if snapshot.number in restored:
            with torch.no_grad():
                governed.host.get_parameter("head.weight").zero_()
        restored.add(snapshot.number)
        return penalty

    wrap(patch, rollback, "_restore", around)


def the_oldest_snapshot_is_restored(patch: Patch) -> None:
    wrap(patch, rollback, "_candidates", lambda real, *args: tuple(reversed(real(*args))))


def momentum_comes_back(patch: Patch) -> None:
    """The buffers are zero right after the rollback, and somebody still has the old ones."""
    old: dict[int, dict[Any, torch.Tensor]] = {}

    def around(real: Wrapper, self: CapsuleHost, saved: Mapping[str, torch.Tensor], policy: str) -> None:
        state = self.optimizers["host"].state
        old[id(self)] = {p: torch.full_like(p, 3.0) for p in state}
        real(self, saved, policy)

    def stepping(real: Wrapper, self: CapsuleHost, key: str, *rest: Any, **named: Any) -> None:
        if key == "host":
            for parameter, buffer in old.pop(id(self), {}).items():
                self.optimizers[key].state[parameter]["momentum_buffer"] = buffer
        real(self, key, *rest, **named)

    wrap(patch, CapsuleHost, "restore_optimizers", around)
    wrap(patch, CapsuleHost, "_step", stepping)


def nothing_is_learnt_any_more(patch: Patch) -> None:
    """A rate that was cut for the collapse and never comes back."""
    fallen: set[int] = set()

    def settling(real: Wrapper, self: CapsuleHost, facts: dict[str, Any]) -> None:
        real(self, facts)
        fallen.add(id(self))

    wrap(patch, CapsuleHost, "settle", settling)
    wrap(patch, CapsuleHost, "learning_rate", lambda real, self, key: 0.0 if id(self) in fallen else real(self, key))
