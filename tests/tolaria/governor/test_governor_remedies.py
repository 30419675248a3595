"""What is done beside restoring, on a host of one number: a host that leaned on a seed is measured, one that keeps falling is eased."""

from collections.abc import Callable
from typing import Any

import pytest

from tolaria.telemetry.governor_events import Ease, Probe, Remedy, RolledBack, Rung, Suspected

# `Story` of the conftest.
Story = Any
NewStory = Callable[..., Any]
NEWEST = Remedy(Rung.NEWEST, None, None)


def remedies(story: Story) -> list[Remedy]:
    return [event.remedy for event in story.events if isinstance(event, RolledBack)]


def test_a_host_that_leaned_on_a_seed_is_measured_and_has_three_steps_of_grace(new_story: NewStory) -> None:
    story = new_story()
    story.host.seeds, story.host.measured = ("s0",), Probe(2.0, 0.8)
    story.tell(1, good=False)
    assert remedies(story) == [Remedy(Rung.NEWEST, None, Probe(2.0, 0.8))]
    grace = [story.governor.capsule()[1]["grace"]]
    for step in (2, 3, 4, 5):
        # An explosion in the first steps of a life.
        story.tell(step, loss=3.5)
        grace.append(story.governor.capsule()[1]["grace"])
    assert grace == [3, 2, 1, 0, 0]
    assert [event.streak for event in story.events if isinstance(event, Suspected)] == [0, 0, 0, 1]


def test_a_rollback_without_a_seed_takes_back_the_grace_of_the_one_before(new_story: NewStory) -> None:
    story = new_story(grace_steps=7)
    story.host.seeds = ("s0",)
    story.tell(1, good=False)
    assert story.governor.capsule()[1]["grace"] == 7
    story.tell(2, good=False)
    # Too little is known of the host still, so that it is measured once more.
    assert (remedies(story)[1].probe, story.governor.capsule()[1]["grace"]) == (Probe(0.4, 0.8), 0)


def test_a_host_that_leaned_on_nothing_is_not_measured(new_story: NewStory) -> None:
    story = new_story()
    story.tell(1, good=False)
    assert (remedies(story), story.governor.capsule()[1]["grace"]) == ([NEWEST], 0)


def test_a_host_that_is_eased_is_told_how_much_for_how_long_and_what_to_leave_out(new_story: NewStory) -> None:
    story = new_story(ease_from=1, ease_factor=0.25, budget_window=30, ease_skip=7)
    story.tell(1, good=False)
    assert story.host.eased == [(0.25, 30, 7)]
    assert remedies(story) == [Remedy(Rung.EASED, Ease(0.25, 7), None)]


def test_a_host_that_leaned_on_a_seed_and_is_eased_has_both(new_story: NewStory, monkeypatch: pytest.MonkeyPatch) -> None:
    story = new_story(ease_from=1)
    story.host.seeds = ("s0",)
    story.tell(1, good=False)
    monkeypatch.setattr(story.host, "ease", lambda *_: 1 / 0)
    story.tell(2, good=False)
    eased, failed = remedies(story)
    assert eased == Remedy(Rung.EASED, Ease(0.5, 10), Probe(0.4, 0.8))
    assert failed == Remedy(Rung.NEWEST, None, Probe(0.4, 0.8), "ZeroDivisionError: division by zero")


@pytest.mark.parametrize(("failures", "remedy"), [(1, Remedy(Rung.EASED, Ease(0.5, 10), None)), (2, None)])
def test_a_host_is_eased_at_the_second_attempt_or_goes_on_as_it_is(
    new_story: NewStory, monkeypatch: pytest.MonkeyPatch, failures: int, remedy: Remedy | None
) -> None:
    story = new_story(ease_from=1)
    tried = []

    def ease(factor: float, steps: int, skip_steps: int) -> Ease:
        tried.append(steps)
        if len(tried) <= failures:
            raise OSError(f"attempt {len(tried)}")
        return Ease(factor, skip_steps)

    monkeypatch.setattr(story.host, "ease", ease)
    story.tell(1, good=False)
    assert remedies(story) == [remedy or Remedy(Rung.NEWEST, None, None, "OSError: attempt 2")]
    assert tried == [40, 40]


def test_where_an_older_snapshot_was_restored_and_easing_failed_the_rung_is_the_older_one(
    new_story: NewStory, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = new_story(snapshot_every=1, probation=0, ease_from=2)
    story.tell(1)
    story.tell(2, good=False)
    monkeypatch.delattr(type(story.host), "ease")
    story.tell(3, good=False)
    failed = "AttributeError: 'Single' object has no attribute 'ease'"
    assert remedies(story) == [NEWEST, Remedy(Rung.OLDER, None, None, failed)]
    assert story.restored == [1, 0]


def test_a_probe_that_fails_is_none_and_the_grace_is_granted_all_the_same(new_story: NewStory, monkeypatch: pytest.MonkeyPatch) -> None:
    story = new_story()
    story.host.seeds = ("s0",)
    monkeypatch.setattr(story.host, "probe", lambda: 1 / 0)
    story.tell(1, good=False)
    assert (remedies(story)[0].probe, story.governor.capsule()[1]["grace"]) == (None, 3)
