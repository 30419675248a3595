"""Executing decisions: every change of a stage goes through the one table, and every one is told."""

from dataclasses import replace

from tolaria.env.attribution import accuracy_of_coalitions, contributions, search_alpha
from tolaria.env.config import AttributionConfig
from tolaria.env.shapley import shapley
from tolaria.env.training import BLENDED, HostTraining
from tolaria.host.blueprints import BLUEPRINTS
from tolaria.lifecycle.action import Action, Op
from tolaria.lifecycle.gates import GateConfig, deviations, refusal
from tolaria.lifecycle.seed import SlotState
from tolaria.lifecycle.stage import Stage
from tolaria.seeding import derive_seed, stream
from tolaria.telemetry.event import Point
from tolaria.telemetry.growth_events import ActionRefused, AlphaSearched, FossilMeasured, SeedsValued, StageChanged


class GrowingHost(HostTraining):
    """A host in training whose slots a controller may change."""

    attribution: AttributionConfig = AttributionConfig()

    @property
    def blueprints(self) -> tuple[str, ...]:
        """Names of the blueprints that fit the host."""
        return tuple(name for name, blueprint in BLUEPRINTS.items() if blueprint.family == self.task.family)

    def apply(self, action: Action, gates: GateConfig, at: Point) -> bool:
        """Execute a decision if its gate is open; a closed gate is an answer, told as `ActionRefused`."""
        if action.op is Op.WAIT:
            return True
        why_not = refusal(self.host.slot_states(), action.op, action.slot, gates)
        if why_not is None and action.op is Op.GERMINATE and action.blueprint not in self.blueprints:
            why_not = f"the task has no blueprint {action.blueprint!r}"
        if why_not is not None:
            self.emit(ActionRefused(at, action.op.value, action.slot, why_not))
            return False
        if action.op is Op.GERMINATE:
            self.germinate(action, at, "decision", "policy")
        elif action.op is Op.ADVANCE:
            self.advance(action.slot, at, "decision", "policy")
        elif action.op is Op.RETARGET:
            state = self.state(action.slot)
            self._become(state.retargeted(action.alpha_target, action.alpha_speed, action.alpha_curve), at, "decision", "policy")
        elif action.op is Op.FOSSILIZE:
            self._settle_alpha(action.slot, gates, at)
            self.fossilize(action.slot, at, "decision", "policy")
        elif action.alpha_speed and self.state(action.slot).alpha > 0.0:
            self._become(self.state(action.slot).fading(action.alpha_speed, action.alpha_curve), at, "fading", "policy")
        else:
            self.prune(action.slot, at, "decision", "policy")
        return True

    def germinate(self, action: Action, at: Point, reason: str, initiator: str) -> None:
        """Let a seed grow; raises `IllegalMove` when the table has no such move, and changes nothing then."""
        before = self.state(action.slot)
        after = self.host.germinate(
            action.slot,
            action.blueprint,
            seed=derive_seed(self.seed, "seed", action.slot, before.generation + 1),
            blend=action.blend,
            steps=action.tempo,
            target=action.alpha_target,
            curve=action.alpha_curve,
        )
        self._tell(before, after, at, reason, initiator)

    def advance(self, slot: str, at: Point, reason: str, initiator: str) -> None:
        """Bring a seed to its next stage; raises `IllegalMove` when the table has no such move, and changes nothing then."""
        self._become(self.state(slot).advanced(), at, reason, initiator)

    def prune(self, slot: str, at: Point, reason: str, initiator: str) -> None:
        """Remove a seed; raises `IllegalMove` when the table has no such move, and changes nothing then."""
        before = self.state(slot)
        self.host.slot(slot).detach_seed(before.pruned())
        self.renew_optimizers()
        self._tell(before, self.state(slot), at, reason, initiator)

    def fossilize(self, slot: str, at: Point, reason: str, initiator: str) -> None:
        """Commit a seed for good; raises `IllegalMove` when the table has no such move, and changes nothing then."""
        after = self.state(slot).fossilized()
        self.host.slot(slot).freeze()
        self._become(after, at, reason, initiator)

    def tick(self, at: Point) -> None:
        """One step passes: seeds age along their ramps, resting slots come nearer to DORMANT, spoiled isolated and faded seeds go."""
        for slot in self.spoiled_seeds():
            self.prune(slot, at, "not finite", "environment")
        for state in self.host.slot_states().values():
            self._become(state.ticked(), at, "elapsed", "time")
            if self.state(state.slot).faded:
                self.prune(state.slot, at, "faded", "policy")

    def measure_seeds(self, at: Point, fossils: bool = False) -> None:
        """Write each live seed's magnitude, and where it is blended its contribution, into its slot; those of `fossils` too if asked.

        Right after the vitals, whose answers are taken for those of the host as it is.
        """
        hits, self.hits = self.hits, None
        for slot in self.live_slots():
            # A seed that came here after the last batch has not been fed yet.
            if slot.state.stage is Stage.TRAINING and slot.features is not None:
                slot.state = replace(slot.state, magnitude=slot.magnitude(slot.features))
        asked = BLENDED | {Stage.FOSSILIZED} if fossils else BLENDED
        slots = [slot.slot_id for slot in self.slots() if slot.state.stage in asked]
        if not slots:
            return
        for slot_id, effect in contributions(self.host, self.split("validation"), slots, hits).items():
            state = replace(self.state(slot_id), contribution=effect.mean, contribution_error=effect.error)
            self.host.slot(slot_id).state = state
            if state.stage is Stage.FOSSILIZED:
                self.emit(FossilMeasured(at, slot_id, state.generation, effect.mean, effect.error))

    def value_seeds(self, at: Point) -> SeedsValued | None:
        """Shapley values of every seed that takes part in the host's output; None where there is none. Changes nothing."""
        players = [slot.slot_id for slot in self.slots() if slot.strength > 0.0]
        if not players:
            return None
        worth = accuracy_of_coalitions(self.host, self.split("validation"), players)
        found = shapley(players, worth, stream(self.seed, "shapley"), self.attribution.shapley_pairs)
        values = tuple(found.values[slot] for slot in players)
        return SeedsValued(at, tuple(players), values, found.nobody, found.everybody, found.exact)

    def state(self, slot: str) -> SlotState:
        """What is known of a slot."""
        return self.host.slot(slot).state

    def _settle_alpha(self, slot: str, gates: GateConfig, at: Point) -> None:
        """Hold the seed at the strength that serves best, before it is committed at it."""
        state = self.state(slot)
        if state.alpha == 0.0 or not self.attribution.commit_alphas:
            return
        shares = self.attribution.commit_alphas
        found = search_alpha(self.host, self.split("validation"), slot, shares, deviations(gates.commit_confidence))
        self.emit(AlphaSearched(at, slot, state.generation, found.alphas, found.losses, found.chosen))
        if found.chosen != state.alpha:
            self._become(state.held_at(found.chosen), at, "searched", "environment")

    def _become(self, after: SlotState, at: Point, reason: str, initiator: str) -> None:
        before = self.state(after.slot)
        self.host.slot(after.slot).state = after
        if after.stage is not before.stage:
            self.renew_optimizers()
            self._tell(before, after, at, reason, initiator)

    def _tell(self, before: SlotState, after: SlotState, at: Point, reason: str, initiator: str) -> None:
        """Emit the change of a slot from one record to the next."""
        blueprint = after.blueprint or before.blueprint
        self.emit(StageChanged(at, after.slot, after.generation, blueprint, before.stage, after.stage, reason, initiator))
