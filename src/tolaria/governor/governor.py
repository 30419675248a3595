"""The governor of one host: it judges vitals, and it enforces what follows from the verdict.

`judge` reads and returns a verdict. `enforce` acts on it:

    HEALTHY     published snapshots come one step nearer to being trusted; a new one is taken when it is due
    SUSPECT     nothing is snapshotted while an anomaly lasts, so that no diverged weights are blessed
    COLLAPSED   the host is rolled back to a trusted snapshot, as one transaction, and the death penalty is owed; which one,
                and what follows when it happens again, is said by the ladder

The governor owes the penalty and does not deliver it: `enforce` returns it, and the main road hands it to the
buffer's row of the very step. At every instant one complete, verified snapshot exists.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from tolaria.governor.config import GovernorConfig
from tolaria.governor.detectors.detector import Limits
from tolaria.governor.governed import Governed, PlanT
from tolaria.governor.jury import Jury, unheard
from tolaria.governor.ladder import Ladder
from tolaria.governor.rollback import ATTEMPTS, JURY, Done, is_asked, roll_back
from tolaria.governor.snapshots import SnapshotRing
from tolaria.governor.verdict import Standing, Verdict
from tolaria.seams import (
    DETECTOR_ASKED,
    NO_TAPS,
    ROLLED_BACK,
    SNAPSHOT_COPYING,
    SNAPSHOT_TAKEN,
    SNAPSHOT_VERIFYING,
    Observed,
    Taps,
)
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.governor_events import (
    Collapsed,
    Decision,
    Ease,
    EnvironmentRetired,
    Probe,
    Remedy,
    RolledBack,
    Rung,
    SnapshotRefused,
    SnapshotTaken,
    SnapshotTrusted,
    SnapshotWithdrawn,
    Suspected,
    UpdateGated,
)
from tolaria.vitals import Vitals


@dataclass(frozen=True, slots=True)
class Response:
    """What enforcing a verdict came to: a penalty that is owed for a rollback, the slots of seeds that it pruned, retirement."""

    penalty: float | None = None
    pruned: tuple[str, ...] = ()
    retired: bool = False


class Governor:
    """Watches one host. `chance_loss` and `explosion_loss` are the task's, in nats; there is no default for them.

    `prior_loss` is that of a predictor which knows the frequencies of the classes; None where they are all alike.
    """

    def __init__(
        self,
        config: GovernorConfig,
        chance_loss: float,
        explosion_loss: float,
        taps: Taps,
        emit: Callable[[Event], None],
        prior_loss: float | None = None,
    ) -> None:
        limits = Limits(config, chance_loss, explosion_loss, chance_loss if prior_loss is None else prior_loss)
        self._config = config
        self._taps = taps
        self._emit = emit
        self._jury = Jury(config, limits)
        self._snapshots = SnapshotRing(config.snapshots_kept, config.probation, config.digest)
        self._grace = 0
        self.ladder = Ladder(config)
        self._life = 0

    @property
    def snapshots(self) -> SnapshotRing:
        """The published snapshots."""
        return self._snapshots

    @property
    def life(self) -> int:
        """How often this environment has begun anew, by a rollback or by a new host."""
        return self._life

    def begin(self, governed: Governed[PlanT], at: Point) -> None:
        """A new host: forget the old one, and have a good snapshot before the first step."""
        self._snapshots.clear()
        self._jury.begin()
        self._grace = 0
        if self._config.enabled:
            self._take(governed, at, "begin")

    def end_life(self) -> None:
        """The host reached its time limit; the next row belongs to a new life."""
        self._life += 1

    def judge(self, vitals: Vitals, at: Point | None = None) -> Verdict:
        """What is to be said of one step. Reads only: judging twice gives the same verdict. `at` is told to whoever listens."""
        if not self._config.enabled:
            return Verdict.healthy()
        return self._jury.judge(vitals, recovering=self._grace > 0, before=unheard if at is None else self._heard(at))

    def enforce(self, verdict: Verdict, vitals: Vitals, governed: Governed[PlanT], at: Point, fossilized: bool) -> Response:
        """Act on a verdict. `fossilized`: a seed was committed in this step, which is a reason for a snapshot of its own.

        Raises `RollbackFailed` when a collapsed host cannot be restored from any snapshot.
        """
        if not self._config.enabled:
            return Response()
        self._grace = max(0, self._grace - 1)
        self._jury.remember(verdict, vitals)
        if verdict.standing is Standing.HEALTHY:
            # A step of which something was gated vouches for no candidate, and gives none.
            if not vitals.gated:
                self._go_on(governed, at, fossilized)
            return Response()
        assert verdict.alarm is not None
        alarm = verdict.alarm
        if verdict.standing is Standing.SUSPECT:
            self._emit(Suspected(at, alarm.cause, _number(alarm.loss), alarm.threshold, verdict.streak))
            return Response()
        try:
            self._emit(Collapsed(at, alarm.cause, _number(alarm.loss), alarm.threshold, verdict.streak, alarm.evidence))
        finally:
            # The host is rolled back even where nobody can be told why.
            response = self._recover(verdict, governed, at)
        return response

    def gated(self, flagged: int, at: Point) -> None:
        """Read only now: the gate kept the gradient of step `flagged` from the weights. A candidate that came since is withdrawn.

        A candidate becomes a snapshot only when the flags of its steps were read clean.
        """
        withdrawn = self._snapshots.withdraw(flagged)
        self._emit(UpdateGated(at, flagged))
        for number in withdrawn:
            self._emit(SnapshotWithdrawn(at, number, flagged))

    def retire(self, at: Point, reason: str) -> Response:
        """The environment cannot be stepped any more, whatever its host is like. Its last row owes the penalty like any other death."""
        self._life += 1
        self._emit(EnvironmentRetired(at, self.ladder.rollbacks, reason))
        return Response(penalty=self._config.penalty, retired=True)

    def capsule(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """Its whole mutable state, for a checkpoint."""
        tensors, snapshots = self._snapshots.capsule()
        facts = {
            "snapshots": snapshots,
            "jury": self._jury.facts(),
            "grace": self._grace,
            "rollback_steps": self.ladder.facts(),
            "life": self._life,
        }
        return tensors, facts

    def restore(self, tensors: dict[str, torch.Tensor], facts: dict[str, Any]) -> None:
        """Back to what a checkpoint recorded."""
        self._snapshots.restore(tensors, facts["snapshots"])
        self._jury.restore(facts["jury"])
        self._grace = facts["grace"]
        self.ladder.restore(facts["rollback_steps"])
        self._life = facts["life"]

    def _heard(self, at: Point) -> Callable[[str], object]:
        return unheard if self._taps is NO_TAPS else lambda detector: self._taps.pass_through(DETECTOR_ASKED, at, detector)

    def _go_on(self, governed: Governed[PlanT], at: Point, fossilized: bool) -> None:
        try:
            promoted = self._snapshots.age()
        except Exception as error:  # noqa: BLE001 - a digest may fail in any way; what is trusted stays so, the rest is asked again
            self._emit(SnapshotRefused(at, f"not sealed: {type(error).__name__}: {error}"))
            promoted = ()
        for number in promoted:
            self._emit(SnapshotTrusted(at, number))
        for reason in self._snapshots.refused():
            self._emit(SnapshotRefused(at, reason))
        newest = self._snapshots.published[0]
        if fossilized:
            self._take(governed, at, "fossilized")
        elif at.step - newest.step >= self._config.snapshot_every and self._snapshots.has_room():
            self._take(governed, at, "cadence")

    def _take(self, governed: Governed[PlanT], at: Point, reason: str) -> None:
        def before_copy(index: int) -> object:
            return self._taps.pass_through(SNAPSHOT_COPYING, at, index)

        def before_verify(index: int) -> object:
            return self._taps.pass_through(SNAPSHOT_VERIFYING, at, index)

        # Where nobody listens all tensors are copied at once.
        asked = before_copy if is_asked(self._config, self._taps, SNAPSHOT_COPYING) else None
        try:
            facts = governed.facts() | ({JURY: self._jury.facts()} if self._config.rewind else {})
            snapshot = self._snapshots.take(governed.stable_tensors(), facts, at.step, reason, asked, before_verify)
        except Exception as error:
            # Whatever went wrong, the snapshots before it stand and the run goes on.
            if not self._snapshots.published:
                raise
            self._emit(SnapshotRefused(at, f"{type(error).__name__}: {error}"))
            return
        self._emit(SnapshotTaken(at, snapshot.number, snapshot.digest, snapshot.bytes, reason))
        # Of the first one it goes without saying.
        if reason != "begin" and snapshot.is_trusted(self._config.probation):
            self._emit(SnapshotTrusted(at, snapshot.number))
        self._taps.pass_through(SNAPSHOT_TAKEN, at, Observed(snapshot.number, governed, snapshot.tensors))

    def _recover(self, verdict: Verdict, governed: Governed[PlanT], at: Point) -> Response:
        decision = self._decision(verdict, at)
        done = roll_back(self._snapshots, governed, at, self.ladder.relapsed(at.step), self._config, self._taps)
        remedy = self._remedy(done, governed, at)
        self._life += 1
        self._grace = self._config.grace_steps if done.leaned else 0
        self._jury.rolled_back(done.leaned, remedy.probe)
        if self._config.rewind and remedy.probe is None:
            # The steps since the snapshot come again, and must not count twice.
            self._jury.restore(done.snapshot.facts[JURY])
        for move in done.moves:
            self._emit(move)
        self._taps.pass_through(ROLLED_BACK, at, Observed(done.snapshot.number, governed))
        head = done.snapshot
        self._emit(RolledBack(at, head.number, head.step, decision, done.pruned, self._config.optimizer, remedy, done.work, self._life))
        retired = remedy.rung is Rung.RETIRED
        if retired:
            reason = f"{self.ladder.rollbacks} rollbacks within {self._config.budget_window} steps"
            self._emit(EnvironmentRetired(at, self.ladder.rollbacks, reason))
        return Response(penalty=done.penalty, pruned=done.pruned, retired=retired)

    def _remedy(self, done: Done, governed: Governed[PlanT], at: Point) -> Remedy:
        rung = self.ladder.climb(at.step, done.newest)
        probe = _probe(governed) if done.leaned or self._jury.relies_on_probe else None
        if rung is not Rung.EASED:
            return Remedy(rung, None, probe)
        eased = _ease(governed, self._config)
        if isinstance(eased, Ease):
            return Remedy(rung, eased, probe)
        return Remedy(Rung.NEWEST if done.newest else Rung.OLDER, None, probe, eased)

    def _decision(self, verdict: Verdict, at: Point) -> Decision:
        assert verdict.alarm is not None
        known = self._jury.window.statistics()
        return Decision(
            verdict.alarm.cause,
            _number(verdict.alarm.loss),
            verdict.alarm.threshold,
            known.mean if known else None,
            known.spread if known else None,
            verdict.streak,
            self._jury.window.recent,
            tuple(at.step - snapshot.step for snapshot in self._snapshots.published),
        )


def _ease(governed: Governed[PlanT], config: GovernorConfig) -> Ease | str:
    """What the ease came to, or why there is none: the host is restored, and one that cannot be eased goes on as it is."""
    why = ""
    for _ in range(ATTEMPTS):
        try:
            return governed.ease(config.ease_factor, config.budget_window, config.ease_skip)
        except Exception as error:  # noqa: BLE001 - it may fail in any way; what it was is told
            why = f"{type(error).__name__}: {error}"
    return why


def _probe(governed: Governed[PlanT]) -> Probe | None:
    try:
        return governed.probe()
    except Exception:  # noqa: BLE001 - the rollback has happened; a host that cannot answer shows that in its next step
        return None


def _number(loss: float | None) -> float | None:
    """A loss for a report: None where there is no finite value."""
    return loss if loss is not None and math.isfinite(loss) else None
