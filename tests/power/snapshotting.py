"""Governors whose snapshots are not what they should be."""

from collections.abc import Mapping
from typing import Any

import torch
from power.noticing import EVERY_DETECTOR, blind
from power.patching import Patch, Wrapper, always, wrap

from tolaria.env.capsule import CapsuleHost
from tolaria.governor import rollback
from tolaria.governor.arena import Arena, Bound
from tolaria.governor.governor import Governor
from tolaria.governor.snapshots import Snapshot, SnapshotRing
from tolaria.governor.verdict import Standing
from tolaria.governor.verdict import Verdict as GovernorVerdict
from tolaria.telemetry.event import Point
from tolaria.telemetry.governor_events import SnapshotTrusted
from tolaria.vitals import Vitals


def snapshots_alias_the_host(patch: Patch) -> None:
    def around(real: Wrapper, self: SnapshotRing, tensors: Mapping[str, torch.Tensor], *rest: Any) -> Snapshot:
        snapshot: Snapshot = real(self, tensors, *rest)
        snapshot.arena.views.update({name: tensor.detach() for name, tensor in tensors.items()})
        return snapshot

    wrap(patch, SnapshotRing, "take", around)


def snapshots_leave_out_buffers(patch: Patch) -> None:
    def around(real: Wrapper, self: CapsuleHost) -> dict[str, torch.Tensor]:
        return {name: tensor for name, tensor in real(self).items() if "running_" not in name}

    wrap(patch, CapsuleHost, "stable_tensors", around)


def buffers_are_left_out_unchecked(patch: Patch) -> None:
    snapshots_leave_out_buffers(patch)
    always(patch, rollback, "check_layout", None)


def suspicion_freezes_nothing(patch: Patch) -> None:
    def around(
        real: Wrapper, self: Governor, verdict: GovernorVerdict, vitals: Vitals, governed: CapsuleHost, at: Point, *rest: Any
    ) -> Any:
        response = real(self, verdict, vitals, governed, at, *rest)
        if verdict.standing is Standing.SUSPECT:
            for number in self._snapshots.age():
                self._emit(SnapshotTrusted(at, number))
            self._take(governed, at, "cadence")
        return response

    wrap(patch, Governor, "enforce", around)


def poisoned_snapshots_are_published(patch: Patch) -> None:
    blind(*map(type, EVERY_DETECTOR))(patch)
    always(patch, Arena, "nonfinite", ())


def snapshots_are_torn(patch: Patch) -> None:
    """Half of the tensors are those of the snapshot that was kept there before."""

    def around(real: Wrapper, self: Arena, bound: Bound, before_copy: Any) -> None:
        kept = {name: self.views[name].clone() for name in list(bound.names)[::2]}
        real(self, bound, before_copy)
        with torch.no_grad():
            for name, tensor in kept.items():
                self.views[name].copy_(tensor)

    wrap(patch, Arena, "copy_in", around)


def bytes_are_not_checked(patch: Patch) -> None:
    always(patch, Snapshot, "is_intact", True)


def candidates_are_trusted(patch: Patch) -> None:
    wrap(patch, SnapshotRing, "trusted", lambda _, self: self.published)


def snapshots_of_a_lost_future_are_kept(patch: Patch) -> None:
    always(patch, SnapshotRing, "drop", None)
