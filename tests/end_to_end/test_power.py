"""Breaking the code turns the harness red: each sabotage below is seen, by the oracle and under the verdict that are named.

A sabotage patches real code in this process and a whole cell is recorded with it, control run and all.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch

from firedrill.oracles.oracle import Answer
from firedrill.runner.result import CellResult
from firedrill.runner.verdict import Verdict
from firedrill.scenario.cell import Cell
from tolaria.env import capsule
from tolaria.env.capsule import CapsuleHost
from tolaria.governor import governor as governing
from tolaria.governor import rollback
from tolaria.governor.arena import Arena
from tolaria.governor.config import GovernorConfig
from tolaria.governor.detectors import DETECTORS
from tolaria.governor.detectors.detector import Limits
from tolaria.governor.detectors.non_finite import NonFinite
from tolaria.governor.governor import Governor, Response
from tolaria.governor.ladder import Ladder
from tolaria.governor.recovery import Recovery
from tolaria.governor.rollback import Done
from tolaria.governor.snapshots import Snapshot, SnapshotRing
from tolaria.governor.verdict import Standing
from tolaria.governor.verdict import Verdict as GovernorVerdict
from tolaria.lifecycle import seed
from tolaria.policy.learned import LearnedPolicy
from tolaria.ppo import buffer as buffering
from tolaria.ppo.buffer import RolloutBuffer
from tolaria.ppo.row import Row
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.governor_events import PenaltyDelivered, RolledBack, Rung, SnapshotTrusted, Work
from tolaria.telemetry.growth_events import StageChanged
from tolaria.telemetry.history import History
from tolaria.vitals import Vitals

Patch = pytest.MonkeyPatch
Wrapper = Callable[..., Any]


def wrap(patch: Patch, owner: object, name: str, around: Wrapper) -> None:
    """Replace a function or method; `around` is handed the real one first, then the arguments."""
    real = getattr(owner, name)
    # A plain function, because a method must find its `self`.
    patch.setattr(owner, name, lambda *args, **kwargs: around(real, *args, **kwargs))


def always(patch: Patch, owner: object, name: str, answer: Any) -> None:
    """Replace a function or method by one that does nothing and answers always the same."""
    patch.setattr(owner, name, lambda *_, **__: answer)


# Restoring.


EVERY_DETECTOR = tuple(build(Limits(GovernorConfig(), 1.0, 1.5, 1.0)) for build in DETECTORS.values())


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


# Topology.


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


# Snapshots.


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


# Noticing.


def blind(*detectors: type) -> Callable[[Patch], None]:
    def sabotage(patch: Patch) -> None:
        for detector in detectors:
            always(patch, detector, "alarm", None)

    return sabotage


def nan_is_repaired(patch: Patch) -> None:
    def around(real: Wrapper, self: Governor, verdict: GovernorVerdict, vitals: Vitals, governed: CapsuleHost, *rest: Any) -> Any:
        if verdict.standing is not Standing.COLLAPSED:
            return real(self, verdict, vitals, governed, *rest)
        with torch.no_grad():
            for tensor in governed.stable_tensors().values():
                torch.nan_to_num_(tensor, 0.0, 0.0, 0.0)
        return Response()

    wrap(patch, Governor, "enforce", around)


def the_budget_is_ignored(patch: Patch) -> None:
    def around(real: Wrapper, self: Governor, config: Any, *rest: Any) -> None:
        real(self, replace(config, budget=1000), *rest)

    wrap(patch, Governor, "__init__", around)


def an_ease_skips_nothing(patch: Patch) -> None:
    wrap(patch, CapsuleHost, "ease", lambda real, self, factor, steps, _: real(self, factor, steps, 0))


def an_ease_says_that_it_skipped(patch: Patch) -> None:
    wrap(
        patch, CapsuleHost, "ease", lambda real, self, factor, steps, skip: replace(real(self, factor, steps, skip - 1), skipped_batches=0)
    )


def a_recovery_is_not_judged(patch: Patch) -> None:
    always(patch, Recovery, "alarm", None)


def a_rollback_names_another_rung(patch: Patch) -> None:
    always(patch, Ladder, "climb", Rung.OLDER)


def told(kind: type[Event], times: int) -> Callable[[Patch], None]:
    def sabotage(patch: Patch) -> None:
        def around(real: Wrapper, self: History, event: Event) -> None:
            for _ in range(times if isinstance(event, kind) else 1):
                real(self, event)

        wrap(patch, History, "emit", around)

    return sabotage


def a_prune_is_not_told(patch: Patch) -> None:
    def around(real: Wrapper, self: History, event: Event) -> None:
        if not (isinstance(event, StageChanged) and event.initiator == "governor"):
            real(self, event)

    wrap(patch, History, "emit", around)


# The penalty.


def the_penalty_is_dropped(patch: Patch) -> None:
    wrap(patch, Governor, "enforce", lambda real, *args: replace(real(*args), penalty=None))


def rewards_are_clipped(patch: Patch) -> None:
    wrap(patch, RolloutBuffer, "_numbers", lambda real, self, columns: real(self, columns).clamp_min(-1.0))


def the_penalty_comes_twice(patch: Patch) -> None:
    def around(real: Wrapper, self: RolloutBuffer, env: int, row: Row) -> None:
        real(self, env, row)
        if row.penalized:
            real(self, env, replace(row, fresh=True))

    wrap(patch, RolloutBuffer, "remember", around)


def the_penalty_ends_nothing(patch: Patch) -> None:
    always(patch, Row, "__post_init__", None)
    wrap(patch, Row, "death", lambda real, *args: replace(real(*args), terminated=False))
    wrap(patch, RolloutBuffer, "remember", lambda _, self, env, row: self._rows[env].append(row))


def values_are_expected_after_death(patch: Patch) -> None:
    def around(real: Wrapper, **given: Any) -> torch.Tensor:
        advantages: torch.Tensor = real(**given | {"terminated": torch.zeros_like(given["terminated"])})
        return advantages

    wrap(patch, buffering, "gae", around)


def a_rollback_leaves_a_hook_behind(patch: Patch) -> None:
    def around(real: Wrapper, self: CapsuleHost, facts: dict[str, Any]) -> None:
        real(self, facts)
        self.host.register_forward_hook(lambda *_: None)

    wrap(patch, CapsuleHost, "settle", around)


@dataclass(frozen=True, slots=True)
class Proof:
    """Under this sabotage the cell of the scenario gets the verdict; where an oracle is named, it is one that answers FAIL."""

    sabotage: Callable[[Patch], None]
    scenario: str
    verdict: Verdict
    oracle: str = ""


WRONG = Verdict.WRONG_RECOVERY
PROOFS: Mapping[str, Proof] = {
    "momentum is kept": Proof(momentum_is_kept, "nan-weight", WRONG, "optimizer_reset"),
    "first moments are kept": Proof(momentum_is_kept, "nan-weight-adam", WRONG, "optimizer_reset"),
    "second moments are forgotten": Proof(optimizers_are_forgotten, "nan-weight-adam", WRONG, "optimizer_reset"),
    "a policy that restores is not kept": Proof(optimizers_are_forgotten, "nan-weight-twice", WRONG, "optimizer_reset"),
    "optimizers work on the snapshot": Proof(optimizers_work_on_the_snapshot, "nan-weight-twice", WRONG, "state_restored"),
    "the same, unchecked": Proof(optimizers_work_on_the_snapshot_unchecked, "nan-weight-twice", WRONG, "optimizer_reset"),
    "one tensor is skipped": Proof(one_tensor_is_skipped, "nan-weight", WRONG, "state_restored"),
    "restored in half precision": Proof(restored_in_half_precision, "nan-weight", WRONG, "state_restored"),
    "nothing is rewound": Proof(nothing_is_rewound, "nan-weight", WRONG, "state_restored"),
    "counters stay in the future": Proof(lambda patch: always(patch, CapsuleHost, "settle", None), "nan-weight", WRONG, "twin"),
    "the data stream is wound back": Proof(the_data_stream_is_wound_back, "nan-weight", WRONG, "twin"),
    "a bystander is restored too": Proof(a_bystander_is_restored_too, "nan-weight", WRONG, "bystanders_untouched"),
    "seeds are not pruned": Proof(seeds_are_not_pruned, "nan-weight", Verdict.FAIL_STOP),
    "a fossil stays, unchecked": Proof(topology_is_wrong_and_unchecked, "young-fossil", WRONG, "keys_matched"),
    "pruned by nobody": Proof(pruned_by_nobody, "nan-weight", WRONG, "lawful"),
    "a cooldown too short": Proof(cooldown_lasts(3), "nan-weight", WRONG, "lawful"),
    "a cooldown too long": Proof(cooldown_lasts(7), "nan-weight", WRONG, "lawful"),
    "snapshots alias the host": Proof(snapshots_alias_the_host, "nan-weight", WRONG, "state_restored"),
    "snapshots leave out buffers": Proof(snapshots_leave_out_buffers, "batch-norm-statistics", Verdict.FAIL_STOP),
    "snapshots leave out buffers, unchecked": Proof(buffers_are_left_out_unchecked, "batch-norm-statistics", WRONG, "state_restored"),
    "suspicion freezes nothing": Proof(suspicion_freezes_nothing, "explosion-on-snapshot-step", Verdict.LOST_WORK, "recovered"),
    "poisoned snapshots are published": Proof(poisoned_snapshots_are_published, "nan-weight", Verdict.SILENT_CORRUPTION, "clean"),
    "NaN is noticed late": Proof(blind(NonFinite), "nan-weight", Verdict.LATE, "detected"),
    "NaN is not noticed": Proof(blind(*map(type, EVERY_DETECTOR)), "nan-weight", Verdict.SILENT_CORRUPTION, "detected"),
    "an explosion is not noticed": Proof(blind(*map(type, EVERY_DETECTOR)), "explosion-on-snapshot-step", Verdict.MISSED, "detected"),
    "a lobotomy is not noticed": Proof(blind(*map(type, EVERY_DETECTOR)), "lobotomy", Verdict.MISSED, "detected"),
    "NaN is repaired": Proof(nan_is_repaired, "nan-weight", Verdict.MISSED, "detected"),
    "the budget is ignored": Proof(the_budget_is_ignored, "nan-weight-persistent", Verdict.LIVELOCK),
    "an ease skips nothing": Proof(an_ease_skips_nothing, "bad-window", Verdict.FAIL_STOP, "climbed"),
    "an ease says nothing of what it skips": Proof(an_ease_says_that_it_skipped, "bad-window", WRONG, "twin"),
    "a recovery is not judged": Proof(a_recovery_is_not_judged, "dead-without-its-seed", Verdict.RECOVERED, "climbed"),
    "a rollback names another rung": Proof(a_rollback_names_another_rung, "nan-weight", WRONG, "told"),
    "a rollback is told twice": Proof(told(RolledBack, 2), "nan-weight", WRONG, "told"),
    "a rollback is not told": Proof(told(RolledBack, 0), "nan-weight", WRONG, "told"),
    "a prune is not told": Proof(a_prune_is_not_told, "nan-weight", WRONG, "lawful"),
    "the penalty is not told": Proof(told(PenaltyDelivered, 0), "nan-weight", WRONG, "penalized"),
    "the penalty is dropped": Proof(the_penalty_is_dropped, "penalty", WRONG, "penalized"),
    "the penalty is halved": Proof(
        lambda patch: wrap(patch, rollback, "_restore", lambda real, *args: 0.5 * real(*args)), "penalty", WRONG, "penalized"
    ),
    "the penalty is clipped": Proof(rewards_are_clipped, "penalty", WRONG, "penalized"),
    "the penalty comes twice": Proof(the_penalty_comes_twice, "penalty", WRONG, "penalized"),
    "the penalty ends nothing": Proof(the_penalty_ends_nothing, "penalty", WRONG, "penalized"),
    "a rollback leaves a hook behind": Proof(a_rollback_leaves_a_hook_behind, "nan-weight-four-times", WRONG, "frugal"),
    "memory survives death": Proof(lambda patch: always(patch, LearnedPolicy, "begin_life", None), "penalty", WRONG, "penalized"),
    "values are expected after death": Proof(values_are_expected_after_death, "penalty", WRONG, "penalized"),
}


@pytest.mark.parametrize("name", sorted({proof.scenario for proof in PROOFS.values()}))
def test_unbroken_code_is_green(name: str, cell_of: Callable[[str], Cell], judged: Callable[[Cell], CellResult]) -> None:
    result = judged(cell_of(name))
    assert result.passed, result.reason
    assert [result.verdict] == list(result.expected)


@pytest.mark.parametrize("proof", PROOFS.values(), ids=PROOFS.keys())
def test_broken_code_is_red(proof: Proof, monkeypatch: Patch, cell_of: Callable[[str], Cell], judged: Callable[[Cell], CellResult]) -> None:
    cell = cell_of(proof.scenario)
    proof.sabotage(monkeypatch)
    result = judged(cell)
    assert result.verdict is proof.verdict, f"{result.verdict}: {result.reason}"
    assert not result.passed
    assert not proof.oracle or proof.oracle in {finding.oracle for finding in result.findings if finding.answer is Answer.FAIL}
