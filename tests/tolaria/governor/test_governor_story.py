"""What a governor tells, owes and keeps, word for word, on a host of one number."""

import json
import math
from collections.abc import Callable
from typing import Any

import pytest

from tolaria.errors import ConfigError
from tolaria.governor.config import GovernorConfig
from tolaria.governor.governor import Governor, Response
from tolaria.governor.jury import unheard
from tolaria.governor.verdict import Verdict
from tolaria.seams import NO_TAPS, ROLLBACK_COPYING, SNAPSHOT_COPYING, Observed, Seam, Taps
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.governor_events import (
    Collapsed,
    Decision,
    EnvironmentRetired,
    Remedy,
    RolledBack,
    Rung,
    SnapshotRefused,
    SnapshotTaken,
    SnapshotTrusted,
    SnapshotWithdrawn,
    Suspected,
    UpdateGated,
    Work,
)
from tolaria.vitals import Vitals

# `Story` of the conftest.
Story = Any
NewStory = Callable[..., Any]
NEWEST = Remedy(Rung.NEWEST, None, None)


def at(step: int) -> Point:
    return Point(step, 4)


def remedies(story: Story) -> list[Remedy]:
    return [event.remedy for event in story.events if isinstance(event, RolledBack)]


def steps(story: Story) -> list[int]:
    return [snapshot.step for snapshot in story.governor.snapshots.published]


class Listener:
    """Taps that note what passes, and lower the penalty by one; they listen at all seams, or at one only."""

    def __init__(self, only: Seam[Any] | None = None) -> None:
        self.heard: list[tuple[str, Point, object]] = []
        self._only = only

    def hears(self, seam: Seam[Any]) -> bool:
        return self._only in (None, seam)

    def pass_through(self, seam: Seam[Any], at: Point, value: Any) -> Any:
        self.heard.append((seam.name, at, value))
        return value - 1.0 if seam.name == "penalty_owed" else value


def test_a_life_is_told_from_its_first_snapshot_to_its_rollback(new_story: NewStory) -> None:
    story = new_story(snapshot_every=2, probation=1)
    responses = [story.tell(1), story.tell(2), story.tell(3), story.tell(4, loss=9.0), story.tell(5, good=False)]
    assert responses == [Response()] * 4 + [Response(-10.0)]
    second, first = story.governor.snapshots.published
    decision = Decision("non_finite", 0.25, None, 0.25, 0.0, 1, (0.25, 0.25, 0.25, 9.0, 0.25), (3, 5))
    assert story.events == [
        SnapshotTaken(at(0), 0, first.digest, 4, "begin"),
        SnapshotTaken(at(2), 1, second.digest, 4, "cadence"),
        SnapshotTrusted(at(3), 1),
        Suspected(at(4), "loss_explosion", 9.0, 3.0, 1),
        Collapsed(at(5), "non_finite", 0.25, None, 1, "not finite: buffers"),
        RolledBack(at(5), 1, 2, decision, (), "reset", NEWEST, Work(1, 4), 1),
    ]


def test_nothing_is_known_of_losses_when_the_first_step_is_lost(new_story: NewStory) -> None:
    story = new_story(optimizer="restore", penalty=-2.5)
    assert story.tell(1, good=False) == Response(-2.5)
    (told,) = (event for event in story.events if isinstance(event, RolledBack))
    assert told.decision == Decision("non_finite", 0.25, None, None, None, 1, (0.25,), (1,))
    assert (told.optimizer_policy, story.host.policies) == ("restore", ["restore"])


def test_moves_and_pruned_seeds_are_told_before_the_rollback_itself(new_story: NewStory) -> None:
    story = new_story()
    story.host.seeds = ("s0", "s1")
    assert story.tell(1, good=False) == Response(-10.0, ("s0", "s1"))
    assert [type(event) for event in story.events] == [SnapshotTaken, Collapsed, Event, Event, RolledBack]
    assert story.events[2:4] == [Event(Point(1, 0)), Event(Point(1, 1))]
    assert story.events[4].pruned == ("s0", "s1")


def test_seams_are_passed_in_the_order_of_the_work(new_story: NewStory) -> None:
    taps = Listener()
    story = new_story(taps)
    assert story.tell(1, good=False).penalty == -11.0
    host = story.host
    (snapshot,) = story.governor.snapshots.published
    assert taps.heard == [
        ("snapshot_copying", at(0), 0),
        ("snapshot_verifying", at(0), 0),
        ("snapshot_taken", at(0), Observed(0, host, snapshot.tensors)),
        ("rollback_copying", at(1), 0),
        ("penalty_owed", at(1), -10.0),
        ("rolled_back", at(1), Observed(0, host)),
    ]


def test_every_detector_is_announced_with_its_step_to_whoever_listens(new_story: NewStory) -> None:
    taps = Listener()
    story = new_story(taps, detectors=("non_finite", "loss_explosion"))
    taps.heard.clear()
    story.governor.judge(Vitals(1, 0.25, 0.25, 0.9, None), at(1))
    assert taps.heard == [("detector_asked", at(1), "non_finite"), ("detector_asked", at(1), "loss_explosion")]


@pytest.mark.parametrize(("taps", "nobody"), [(NO_TAPS, True), (Listener(), False)])
def test_the_jury_calls_nobody_before_a_detector_where_nobody_listens(
    new_story: NewStory, monkeypatch: pytest.MonkeyPatch, taps: Taps, nobody: bool
) -> None:
    story, told = new_story(taps), list[bool]()

    def watched(vitals: Vitals, recovering: bool, before: Callable[[str], object]) -> Verdict:
        told.append(before is unheard)
        return Verdict.healthy()

    monkeypatch.setattr(story.governor._jury, "judge", watched)
    story.governor.judge(Vitals(1, 0.25, 0.25, 0.9, None), at(1))
    assert told == [nobody]


@pytest.mark.parametrize(
    ("taps", "digest", "at_once"),
    [
        (NO_TAPS, "always", True),
        (Listener(), "always", False),
        (Listener(SNAPSHOT_COPYING), "offload", False),
        (Listener(ROLLBACK_COPYING), "offload", True),
    ],
)
def test_all_tensors_are_copied_at_once_where_nobody_listens(
    new_story: NewStory, monkeypatch: pytest.MonkeyPatch, taps: Taps, digest: str, at_once: bool
) -> None:
    story = new_story(taps, digest=digest)
    ring, asked = story.governor.snapshots, []
    take = ring.take

    def watched(*arguments: Any) -> Any:
        asked.append(arguments[4] is None)
        return take(*arguments)

    monkeypatch.setattr(ring, "take", watched)
    story.tell(1, fossilized=True)
    assert asked == [at_once]


# When a snapshot is taken, and when none is.


def test_a_snapshot_that_is_due_waits_until_there_is_room(new_story: NewStory) -> None:
    story = new_story(snapshot_every=1, snapshots_kept=2, probation=3)
    for step in (1, 2, 3):
        story.tell(step)
    assert steps(story) == [1, 0]
    story.tell(4)
    assert steps(story) == [4, 1]


def test_a_fossil_has_its_snapshot_whether_one_is_due_or_not(new_story: NewStory) -> None:
    story = new_story(snapshot_every=100)
    story.tell(1, fossilized=True)
    assert [(event.at.step, event.reason) for event in story.events] == [(0, "begin"), (1, "fossilized")]


def test_a_snapshot_that_needs_no_probation_is_told_to_be_trusted_when_it_is_taken(new_story: NewStory) -> None:
    story = new_story(snapshot_every=1, probation=0)
    story.tell(1)
    told = [(type(event), event.at, event.snapshot) for event in story.events]
    assert told == [(SnapshotTaken, at(0), 0), (SnapshotTaken, at(1), 1), (SnapshotTrusted, at(1), 1)]


def test_a_gated_step_vouches_for_no_candidate_and_gives_none(new_story: NewStory) -> None:
    story = new_story(snapshot_every=1, probation=2)
    story.tell(1)
    for step in (2, 3, 4):
        assert story.tell(step, gated=True) == Response()
    assert steps(story) == [1, 0]
    assert story.governor.snapshots.published[0].healthy_steps == 0


def test_candidates_since_a_flagged_step_are_withdrawn_and_each_is_told(new_story: NewStory) -> None:
    story = new_story(snapshot_every=1, snapshots_kept=4, probation=5)
    for step in (1, 2, 3):
        story.tell(step)
    story.events.clear()
    story.governor.gated(2, at(3))
    assert story.events == [UpdateGated(at(3), 2), SnapshotWithdrawn(at(3), 3, 2), SnapshotWithdrawn(at(3), 2, 2)]
    assert steps(story) == [1, 0]


def test_a_digest_that_fails_is_told_and_the_next_snapshot_is_taken_all_the_same(
    new_story: NewStory, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = new_story(snapshot_every=1)
    story.events.clear()

    def broken() -> tuple[int, ...]:
        raise OSError("no memory for a digest")

    monkeypatch.setattr(story.governor.snapshots, "age", broken)
    story.tell(1)
    assert story.events[0] == SnapshotRefused(at(1), "not sealed: OSError: no memory for a digest")
    assert [type(event) for event in story.events[1:]] == [SnapshotTaken]


def test_what_was_dropped_on_arrival_is_told_once(new_story: NewStory, monkeypatch: pytest.MonkeyPatch) -> None:
    story = new_story()
    story.events.clear()
    reasons = iter([("NotFinite: snapshot 1: w", "NotFinite: snapshot 2: w"), ()])
    monkeypatch.setattr(story.governor.snapshots, "refused", lambda: next(reasons))
    story.tell(1)
    story.tell(2)
    assert story.events == [SnapshotRefused(at(1), "NotFinite: snapshot 1: w"), SnapshotRefused(at(1), "NotFinite: snapshot 2: w")]


def test_a_snapshot_that_cannot_be_taken_is_refused_where_there_is_another_and_an_error_where_there_is_none(
    new_story: NewStory, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = new_story(snapshot_every=1)
    story.host.number.fill_(math.inf)
    monkeypatch.setattr(story.host, "facts", dict)
    story.events.clear()
    story.tell(1)
    assert story.events == [SnapshotRefused(at(1), "NotFinite: not finite: host/number")]
    with pytest.raises(Exception, match="not finite: host/number"):
        story.governor.begin(story.host, at(2))


# The end, and what a checkpoint keeps.


def test_the_budget_ends_an_environment_and_its_last_row_owes_the_penalty(new_story: NewStory) -> None:
    story = new_story(budget=2, budget_window=30)
    assert [story.tell(step, good=False) for step in (1, 2)] == [Response(-10.0), Response(-10.0, retired=True)]
    assert story.events[-1] == EnvironmentRetired(at(2), 2, "2 rollbacks within 30 steps")
    assert (remedies(story)[-1].rung, story.governor.life) == (Rung.RETIRED, 2)


def test_an_environment_that_cannot_be_stepped_is_retired_like_any_other_death(new_story: NewStory) -> None:
    story = new_story(penalty=-4.0)
    story.tell(1, good=False)
    assert story.governor.retire(at(2), "it hangs") == Response(-4.0, retired=True)
    assert (story.events[-1], story.governor.life) == (EnvironmentRetired(at(2), 1, "it hangs"), 2)


def test_lives_are_counted_from_nought_by_time_limits_too(new_story: NewStory) -> None:
    story = new_story()
    lives = [story.governor.life]
    for _ in range(3):
        story.governor.end_life()
        lives.append(story.governor.life)
    assert lives == [0, 1, 2, 3]


def test_a_governor_that_has_not_begun_knows_nothing() -> None:
    tensors, facts = Governor(GovernorConfig(), 1.0, 1.5, NO_TAPS, print).capsule()
    jury = {"window": {"clean": [], "recent": [], "best": None}, "streaks": {}, "probe": None}
    snapshots: dict[str, Any] = {"taken": 0, "published": []}
    assert (tensors, facts) == ({}, {"snapshots": snapshots, "jury": jury, "grace": 0, "rollback_steps": [], "life": 0})


def test_a_new_host_has_no_grace_of_the_old_one(new_story: NewStory) -> None:
    story = new_story()
    story.host.seeds = ("s0",)
    story.tell(1, good=False)
    story.governor.begin(story.host, at(2))
    assert story.governor.capsule()[1]["grace"] == 0


def test_a_host_is_restored_also_where_nobody_can_be_told_why(new_story: NewStory, monkeypatch: pytest.MonkeyPatch) -> None:
    story = new_story()
    story.host.number.fill_(5.0)

    def deaf(event: Event) -> None:
        if isinstance(event, Collapsed):
            raise OSError("no sink")

    monkeypatch.setattr(story.governor, "_emit", deaf)
    with pytest.raises(OSError, match="no sink"):
        story.tell(1, good=False)
    assert story.host.number.item() == 0.0


def test_a_governor_that_is_switched_off_keeps_nothing_says_nothing_and_owes_nothing(new_story: NewStory) -> None:
    story = new_story(enabled=False)
    vitals = Vitals(1, math.nan, math.nan, 0.1, None, ("parameters",))
    assert story.governor.judge(vitals) == Verdict.healthy()
    assert story.tell(1, good=False, fossilized=True) == Response()
    assert (story.events, story.governor.snapshots.published) == ([], ())


def test_a_rollback_that_rewinds_forgets_what_was_judged_since(new_story: NewStory) -> None:
    story = new_story(rewind=True, snapshot_every=2, probation=0)
    for step in (1, 2):
        story.tell(step)
    kept = story.governor.capsule()[1]["jury"]
    assert set(story.governor.snapshots.published[0].facts) == {"value", "jury"}
    story.tell(3, loss=0.2)
    story.tell(4, good=False)
    assert story.governor.capsule()[1]["jury"] == kept
    # What the governor recorded of itself is none of the host's business.
    assert story.host.settled == [{"value": 0}]


def test_a_rollback_that_rewinds_does_not_bring_back_what_a_probe_stands_for(new_story: NewStory) -> None:
    story = new_story(rewind=True, snapshot_every=1, probation=0)
    story.tell(1)
    story.host.seeds = ("s0",)
    story.tell(2, good=False)
    jury = story.governor.capsule()[1]["jury"]
    assert (jury["probe"], jury["window"]["clean"]) == ({"loss": 0.4, "mutual_information": 0.8}, [])


def test_a_rollback_that_does_not_rewind_records_nothing_of_the_jury(new_story: NewStory) -> None:
    story = new_story()
    assert story.governor.snapshots.published[0].facts == {"value": 0}
    story.tell(1)
    story.tell(2, good=False)
    assert len(story.governor.capsule()[1]["jury"]["window"]["clean"]) == 1


def test_a_restored_governor_goes_on_from_what_its_checkpoint_holds(new_story: NewStory) -> None:
    story, again = new_story(), new_story()
    story.host.seeds = ("s0",)
    for step, good in ((1, True), (2, False), (3, True)):
        story.tell(step, good)
    tensors, facts = story.governor.capsule()
    assert set(facts) == {"snapshots", "jury", "grace", "rollback_steps", "life"}
    assert (facts["grace"], facts["rollback_steps"], facts["life"]) == (2, [2], 1)
    again.governor.restore(tensors, json.loads(json.dumps(facts)))
    assert again.governor.capsule()[1] == facts
    assert again.tell(4, good=False) == story.tell(4, good=False)
    assert again.events[-1] == story.events[-1]


def test_the_prior_loss_of_a_task_is_its_chance_loss_unless_it_says_otherwise() -> None:
    Governor(GovernorConfig(), 1.0, 1.5, NO_TAPS, print, None)
    with pytest.raises(ConfigError, match="prior_loss"):
        Governor(GovernorConfig(), 1.0, 1.5, NO_TAPS, print, 0.0)


def test_the_settings_of_the_ring_are_those_of_the_governor(new_story: NewStory) -> None:
    story = new_story(snapshot_every=1, snapshots_kept=2, probation=1, digest="offload")
    for step in (1, 2):
        story.tell(step)
    taken = [(event.snapshot, event.digest != "") for event in story.events if isinstance(event, SnapshotTaken)]
    # The first one of a life is trusted at once, and what is trusted is sealed.
    assert taken == [(0, True), (1, False), (2, False)]
    assert steps(story) == [2, 1]
