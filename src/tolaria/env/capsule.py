"""Everything mutable of a host in training, taken apart into tensors and facts, and put together again.

A governor's snapshot leaves experimental seeds out, and a rollback prunes them; the data stream goes on where it is,
because the same batch would strike again. A checkpoint holds all of it, so that a resumed run goes on to the last bit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from tolaria.env.growing import GrowingHost
from tolaria.host.state import Plan, commit, manifest, prepare
from tolaria.host.state_codec import slot_from_dict, slot_to_dict
from tolaria.lifecycle.seed import SlotState
from tolaria.lifecycle.stage import EXPERIMENTAL, Stage
from tolaria.seams import ROLLBACK_PRUNING
from tolaria.telemetry.event import Point
from tolaria.telemetry.growth_events import SlotRestored

# Optimizer state that carries the direction of past gradients: the reset policy forgets it.
FIRST_MOMENTS = frozenset({"momentum_buffer", "exp_avg"})


@dataclass(frozen=True, slots=True)
class RollbackPlan:
    """The topology after a rollback, built aside. `restored` are the slots that go back to a recorded stage first."""

    topology: Plan
    restored: tuple[SlotState, ...]
    pruned: tuple[str, ...]

    @property
    def specs(self) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
        """Shape and dtype of every tensor that the host will have, by stable name."""
        return {f"host/{name}": spec for name, spec in self.topology.expected.items()}


class CapsuleHost(GrowingHost):
    """A growing host that can be captured and restored; what the governor and checkpoints work on."""

    # The loss that the next step's progress is measured from; it is part of the state, so it lives with the state.
    loss_before: float = float("nan")

    def stable_tensors(self) -> dict[str, torch.Tensor]:
        """Live tensors without experimental seeds: "host/<name>", then "optimizer/host/<parameter>/<state key>"."""
        tensors = {f"host/{name}": tensor for name, tensor in self.host.stable_tensors().items()}
        return tensors | self._optimizer_tensors(("host",))

    def all_tensors(self) -> dict[str, torch.Tensor]:
        """Live tensors with everything, for a checkpoint."""
        tensors = {f"host/{name}": tensor for name, tensor in self.host.tensors().items()}
        return tensors | self._optimizer_tensors(tuple(self.optimizers))

    def facts(self) -> dict[str, Any]:
        """What of a snapshot is no tensor: topology with every slot's record, counters, the baseline of progress."""
        return {
            "manifest": manifest(self.host),
            "batches_stepped": dict(self.batches_stepped),
            "loss_before": self.loss_before,
        }

    def prepare(self, facts: dict[str, Any]) -> RollbackPlan:
        """The topology that a rollback to these facts leads to; builds missing fossils aside and changes nothing.

        A live experimental seed is pruned. A fossil that the snapshot does not know goes with its slot back to the
        recorded stage, and is pruned from there if that was experimental. Resting and dormant slots stay as they are:
        their time is not wound back.
        """
        restored: list[SlotState] = []
        pruned: list[str] = []
        target: dict[str, SlotState] = {}
        for slot_id, live in self.host.slot_states().items():
            recorded = slot_from_dict(facts["manifest"]["slots"][slot_id]["state"])
            state = live
            if Stage.FOSSILIZED in (live.stage, recorded.stage):
                state = recorded
                if live.stage is not recorded.stage:
                    restored.append(recorded)
            if state.stage in EXPERIMENTAL:
                state = state.pruned()
                pruned.append(slot_id)
            target[slot_id] = state
        slots = {slot_id: facts["manifest"]["slots"][slot_id] | {"state": slot_to_dict(state)} for slot_id, state in target.items()}
        return RollbackPlan(prepare(self.host, facts["manifest"] | {"slots": slots}), tuple(restored), tuple(pruned))

    def commit(self, plan: RollbackPlan, at: Point) -> tuple[str, ...]:
        """Put the planned topology in place and tell of it; returns the slots that were pruned. May be repeated."""
        for slot_id in plan.pruned:
            self.taps.pass_through(ROLLBACK_PRUNING, at, slot_id)
        before = self.host.slot_states()
        commit(plan.topology)
        self.renew_optimizers()
        for recorded in plan.restored:
            live = before[recorded.slot]
            self.emit(SlotRestored(at, recorded.slot, recorded.generation, live.stage, recorded.stage))
            before[recorded.slot] = recorded
        for slot_id in plan.pruned:
            self.tell(before[slot_id], self.state(slot_id), at, "rollback", "governor")
        return plan.pruned

    def restore_optimizers(self, saved: Mapping[str, torch.Tensor], policy: str) -> None:
        """State of the host's optimizer from "optimizer/host/..." tensors. `policy`: "reset", "reset_all" or "restore"."""
        self._restore_optimizer("host", saved, policy)

    def settle(self, facts: dict[str, Any]) -> None:
        """Counters and baseline back to a snapshot's."""
        self.batches_stepped["host"] = facts["batches_stepped"]["host"]
        self.loss_before = facts["loss_before"]

    def checkpoint_facts(self) -> dict[str, Any]:
        """Facts of a snapshot, and what a rollback does not wind back: the place in the data stream."""
        return self.facts() | {"cursor": list(self.batches.position)}

    def resume(self, tensors: Mapping[str, torch.Tensor], facts: dict[str, Any]) -> None:
        """Become exactly what a checkpoint recorded, experimental seeds and all."""
        commit(prepare(self.host, facts["manifest"]))
        self.renew_optimizers()
        with torch.no_grad():
            for name, tensor in self.host.tensors().items():
                tensor.copy_(tensors[f"host/{name}"])
        for key in self.optimizers:
            self._restore_optimizer(key, tensors, "restore")
        self.batches_stepped = dict(facts["batches_stepped"])
        self.loss_before = facts["loss_before"]
        epoch, cursor = facts["cursor"]
        self.batches.seek((epoch, cursor))

    def _optimizer_tensors(self, keys: tuple[str, ...]) -> dict[str, torch.Tensor]:
        tensors = {}
        for key in keys:
            state = self.optimizers[key].state
            for name, parameter in self._named(key).items():
                for field, value in state.get(parameter, {}).items():
                    if isinstance(value, torch.Tensor):
                        tensors[f"optimizer/{key}/{name}/{field}"] = value
        return tensors

    def _restore_optimizer(self, key: str, saved: Mapping[str, torch.Tensor], policy: str) -> None:
        optimizer = self.optimizers[key]
        optimizer.state.clear()
        if policy == "reset_all":
            return
        for name, parameter in self._named(key).items():
            prefix = f"optimizer/{key}/{name}/"
            # Clones: an optimizer works in place, and must never work on the snapshot itself.
            state = {field.removeprefix(prefix): tensor.clone() for field, tensor in saved.items() if field.startswith(prefix)}
            for field in FIRST_MOMENTS & state.keys() if policy == "reset" else ():
                state[field].zero_()
            if state:
                optimizer.state[parameter] = state

    def _named(self, key: str) -> dict[str, torch.nn.Parameter]:
        mine = {id(parameter) for group in self.optimizers[key].param_groups for parameter in group["params"]}
        return {name: parameter for name, parameter in self.host.named_parameters() if id(parameter) in mine}
