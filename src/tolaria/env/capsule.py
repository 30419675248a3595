"""Everything mutable of a host in training, taken apart into tensors and facts, and put together again.

A governor's snapshot leaves experimental seeds out, and a rollback prunes them; the data stream goes on where it is,
because the same batch would strike again. `Recovery` asks for more: `live_seeds` keeps the seeds in the snapshot, and
`rewind` winds back what else goes on. With both, and optimizers restored, a rolled-back host is the one that never
fell, to the last bit. A checkpoint holds all of it, so that a resumed run goes on to the last bit.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from tolaria.env.course import Course, course_from
from tolaria.env.growing import GrowingHost
from tolaria.env.rate_cut import RateCut
from tolaria.host.state import Plan, commit, manifest, prepare
from tolaria.host.state_codec import expect_keys, slot_from_dict, slot_to_dict
from tolaria.lifecycle.seed import SlotState
from tolaria.lifecycle.stage import EXPERIMENTAL, OCCUPIED, Stage
from tolaria.seams import ROLLBACK_PRUNING
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.governor_events import Ease
from tolaria.telemetry.growth_events import SlotRestored, StageChanged

# Optimizer state that carries the direction of past gradients: two policies forget it.
FIRST_MOMENTS = frozenset({"momentum_buffer", "exp_avg"})
FORGETTING = frozenset({"reset", "rewarm"})
# What a snapshot records beside tensors, and what it also records where a rollback rewinds.
FACTS = {"manifest", "batches_stepped", "loss_before"}
REWOUND = {"cursor", "course"}


@dataclass(frozen=True, slots=True)
class RollbackPlan:
    """The topology after a rollback, built aside. `restored` are the slots that go back to a recorded stage first.

    `leaned`: a seed goes that is, or in the snapshot was, blended into the host.
    """

    topology: Plan
    restored: tuple[SlotState, ...]
    pruned: tuple[str, ...]
    leaned: bool

    @property
    def specs(self) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
        """Shape and dtype of every tensor that the host will have, by stable name."""
        return {f"host/{name}": spec for name, spec in self.topology.expected.items()}


class CapsuleHost(GrowingHost):
    """A growing host that can be captured and restored; what the governor and checkpoints work on."""

    # The loss that the next step's progress is measured from; it is part of the state, so it lives with the state.
    loss_before: float = float("nan")
    course: Course = Course()

    def stable_tensors(self) -> dict[str, torch.Tensor]:
        """What a rollback brings back, by name: "host/<name>", then "optimizer/host/<parameter>/<state key>".

        Experimental seeds are among them only where they are to be restored.
        """
        if self.recovery.live_seeds:
            return self.all_tensors()
        tensors = {f"host/{name}": tensor for name, tensor in self.host.stable_tensors().items()}
        return tensors | self._optimizer_tensors(("host",))

    def all_tensors(self) -> dict[str, torch.Tensor]:
        """Live tensors with everything, for a checkpoint."""
        tensors = {f"host/{name}": tensor for name, tensor in self.host.tensors().items()}
        return tensors | self._optimizer_tensors(tuple(self.optimizers))

    def facts(self) -> dict[str, Any]:
        """What of a snapshot is no tensor: topology with every slot's record, counters, the baseline of progress."""
        facts = {"manifest": manifest(self.host), "batches_stepped": dict(self.batches_stepped), "loss_before": self.loss_before}
        return facts | (self._rewound_facts() if self.recovery.rewind else {})

    def prepare(self, facts: dict[str, Any]) -> RollbackPlan:
        """The topology that a rollback to these facts leads to; builds missing fossils aside and changes nothing.

        A live experimental seed is pruned. A fossil that the snapshot does not know goes with its slot back to the
        recorded stage, and is pruned from there if that was experimental. Resting and dormant slots stay as they are:
        their time is not wound back. `Recovery` brings recorded seeds back instead, and slots to what they were.
        """
        expect_keys("facts", facts, FACTS | REWOUND if self.recovery.rewind else FACTS)
        slots = facts["manifest"]["slots"]
        restored: list[SlotState] = []
        pruned: list[str] = []
        leaned = False
        target: dict[str, SlotState] = {}
        for slot_id, live in self.host.slot_states().items():
            recorded = slot_from_dict(slots[slot_id]["state"])
            comes_back = self.recovery.live_seeds and recorded.stage in EXPERIMENTAL
            state = recorded if comes_back else self._before_pruning(live, recorded)
            if (state.stage, state.generation) != (live.stage, live.generation):
                restored.append(state)
            if state.stage in EXPERIMENTAL and not comes_back:
                state = state.pruned()
                pruned.append(slot_id)
            target[slot_id] = state
            # Whoever goes back to before a seed was blended does not miss it, if all that was judged since goes too.
            leant_on = (recorded,) if self.recovery.rewind else (live, recorded)
            blended = any(seen.alpha > 0.0 and seen.stage in OCCUPIED for seen in leant_on)
            leaned = leaned or (blended and not state.occupied)
        planned = {slot_id: slots[slot_id] | {"state": slot_to_dict(state)} for slot_id, state in target.items()}
        return RollbackPlan(prepare(self.host, facts["manifest"] | {"slots": slots | planned}), tuple(restored), tuple(pruned), leaned)

    def _before_pruning(self, live: SlotState, recorded: SlotState) -> SlotState:
        if self.recovery.rewind or live.stage is recorded.stage is Stage.FOSSILIZED:
            return recorded
        if Stage.FOSSILIZED in (live.stage, recorded.stage):
            # Generations are not wound back: the seed to come must not inherit a name.
            return replace(recorded, generation=max(live.generation, recorded.generation))
        return live

    def commit(self, plan: RollbackPlan, at: Point) -> tuple[Event, ...]:
        """Put the planned topology in place; returns the moves that it came to. A second time it comes to none."""
        for slot_id in plan.pruned:
            self.taps.pass_through(ROLLBACK_PRUNING, at, slot_id)
        before = self.host.slot_states()
        commit(plan.topology)
        self.renew_optimizers()
        moves: list[Event] = []
        for recorded in plan.restored:
            live = before[recorded.slot]
            if live != self.state(recorded.slot):
                moves.append(SlotRestored(at, recorded.slot, recorded.generation, live.stage, recorded.stage))
                before[recorded.slot] = recorded
        for slot_id in plan.pruned:
            old, new = before[slot_id], self.state(slot_id)
            if old != new:
                moves.append(StageChanged(at, slot_id, new.generation, new.blueprint, old.stage, new.stage, "rollback", "governor"))
        return tuple(moves)

    def restore_optimizers(self, saved: Mapping[str, torch.Tensor], policy: str) -> None:
        """State of all optimizers from "optimizer/..." tensors. `policy`: "reset", "reset_all", "restore" or "rewarm"."""
        owners = {
            f"host/{name}": (optimizer, parameter)
            for key, optimizer in self.optimizers.items()
            for name, parameter in self._named(key).items()
        }
        before = {parameter: state for optimizer in self.optimizers.values() for parameter, state in optimizer.state.items()}
        for optimizer in self.optimizers.values():
            optimizer.state.clear()
        # Sorted, because the order in which a checkpoint gives tensors back is not that of the run.
        for path in sorted(saved) if policy != "reset_all" else ():
            name, _, field = path.removeprefix("optimizer/").rpartition("/")
            optimizer, parameter = owners[name]
            device = self.device_of(field, parameter)
            # Into the tensor that is there: whoever was bound to it would keep it beside a new one. Never the snapshot's own, because
            # an optimizer works in place.
            live = before.get(parameter, {}).get(field)
            value = live if _fits(live, saved[path], device) else torch.empty_like(saved[path], device=device)
            value.copy_(saved[path])
            if policy in FORGETTING and field in FIRST_MOMENTS:
                value.zero_()
            optimizer.state[parameter][field] = value
        self.rewarming = dict.fromkeys(self.optimizers, 0) if policy == "rewarm" else {}

    def settle(self, facts: dict[str, Any]) -> None:
        """Counters and baseline back to a snapshot's, and where it rewinds the data and the episode too."""
        self.batches_stepped = {key: facts["batches_stepped"][key] for key in self.optimizers}
        self.loss_before = facts["loss_before"]
        if self.recovery.rewind:
            self._rewind(facts)

    def ease(self, factor: float, steps: int, skip_steps: int) -> Ease:
        """Cut the learning rate for so many steps, and skip the data of as many as are told to."""
        batches = self.config.batches_per_step
        stepped = self.batches_stepped["host"]
        # First what may fail, so that a second attempt does not cut twice.
        self.batches.skip(skip_steps * batches)
        self.rate_cut = self.rate_cut.deepened(factor, stepped, steps * batches)
        return Ease(self.rate_cut.at(stepped), skip_steps * batches)

    def checkpoint_facts(self) -> dict[str, Any]:
        """Facts of a snapshot, and what a rollback does not wind back: the data, the episode, how a learning rate is lowered."""
        lowered = {"rewarming": dict(self.rewarming), "rate_cut": asdict(self.rate_cut)}
        return self.facts() | self._rewound_facts() | lowered

    def resume(self, tensors: Mapping[str, torch.Tensor], facts: dict[str, Any]) -> None:
        """Become exactly what a checkpoint recorded, experimental seeds and all."""
        commit(prepare(self.host, facts["manifest"]))
        self.renew_optimizers()
        with torch.no_grad():
            for name, tensor in self.host.tensors().items():
                tensor.copy_(tensors[f"host/{name}"])
        self.restore_optimizers({name: tensor for name, tensor in tensors.items() if name.startswith("optimizer/")}, "restore")
        self.batches_stepped = dict(facts["batches_stepped"])
        self.loss_before = facts["loss_before"]
        self.rewarming = dict(facts["rewarming"])
        self.rate_cut = RateCut(**facts["rate_cut"])
        self._rewind(facts)

    def _rewound_facts(self) -> dict[str, Any]:
        return {"cursor": list(self.batches.position), "course": self.course.facts()}

    def _rewind(self, facts: dict[str, Any]) -> None:
        epoch, cursor = facts["cursor"]
        self.batches.seek((epoch, cursor))
        self.course = course_from(facts["course"])

    def _optimizer_tensors(self, keys: tuple[str, ...]) -> dict[str, torch.Tensor]:
        tensors = {}
        for key in keys:
            state = self.optimizers[key].state
            for name, parameter in self._named(key).items():
                for field, value in state.get(parameter, {}).items():
                    if isinstance(value, torch.Tensor):
                        tensors[f"optimizer/host/{name}/{field}"] = value
        return tensors

    def _named(self, key: str) -> dict[str, torch.nn.Parameter]:
        mine = {id(parameter) for group in self.optimizers[key].param_groups for parameter in group["params"]}
        return {name: parameter for name, parameter in self.host.named_parameters() if id(parameter) in mine}


def _fits(live: torch.Tensor | None, saved: torch.Tensor, device: torch.device) -> bool:
    return live is not None and (live.shape, live.dtype, live.device) == (saved.shape, saved.dtype, device)
