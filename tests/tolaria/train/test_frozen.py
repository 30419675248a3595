import json

from tolaria.train.frozen import Frozen, GrowthMonitor


def told(monitor: GrowthMonitor, germinations: list[int], deaths: int = 1) -> list[Frozen | None]:
    """What the monitor says to rollouts of 40 rows with so many germinations each."""
    answers = []
    for count in germinations:
        monitor.germinated(count)
        answers.append(monitor.finish_rollout(40, deaths))
    return answers


def test_a_controller_that_stopped_growing_is_reported_once() -> None:
    assert told(GrowthMonitor(20), [8, 10, 6, 0, 0, 0, 0, 0, 0, 0])[:6] == [None] * 6
    found = [answer for answer in told(GrowthMonitor(20), [8, 10, 6, 0, 0, 0, 0, 0, 0, 0]) if answer]
    # 24 germinations in 120 steps, and 6 in the latest 200, episodes of 20 steps.
    assert found == [Frozen(0.6, 4.0)]


def test_one_that_grows_half_as_much_again_and_then_freezes_is_reported_again() -> None:
    answers = told(GrowthMonitor(20), [8, 8, 8, *[0] * 6, *[4] * 6, *[0] * 6])
    assert sum(answer is not None for answer in answers) == 2


def test_one_that_still_grows_a_quarter_is_not_frozen() -> None:
    assert not any(told(GrowthMonitor(20), [12, 12, 12, *[3] * 20]))


def test_one_that_wavers_around_a_fifth_is_reported_once() -> None:
    """Measured once of a controller whose deaths cost 30, in episodes of 40 steps: as good as frozen, and never quite still."""
    monitor = GrowthMonitor(40)
    counts = [344, 347, 339, 74, 90, 78, 104, 75, 57, 40, 69, 47, 44, 47, 50, 95, 95, 82, 96, 107, 112, 79, 62, 68, 57, 52, 53, 43, 37]
    found = []
    for count in counts:
        monitor.germinated(count)
        found.append(monitor.finish_rollout(3200, 1))
    assert [answer is not None for answer in found].count(True) == 1


def test_one_that_learns_which_seeds_to_germinate_is_not_frozen() -> None:
    """Measured once of a controller of real hosts that learnt to leave out the blueprint that killed them."""
    assert not any(told(GrowthMonitor(20), [48, 58, 54, 57, 53, 55, 60, 48, 57, 49, 51, 59, 64, 64, 62, 64, 64, 64]))


def test_one_that_nobody_has_punished_is_idle_and_not_frozen() -> None:
    assert not any(told(GrowthMonitor(20), [8, 8, 8, *[0] * 20], deaths=0))


def test_a_control_run_is_the_measure_where_there_is_one() -> None:
    found = [answer for answer in told(GrowthMonitor(20, control=5.0), [1, 0, 0, 0, 0]) if answer]
    assert found == [Frozen(0.1, 5.0)]


def test_an_empty_rollout_says_nothing() -> None:
    monitor = GrowthMonitor(20)
    assert monitor.finish_rollout(0, 0) is None
    assert monitor.control is None
    told(monitor, [2, 2, 2])
    assert monitor.control == 1.0


def test_it_comes_back_from_its_facts_in_the_middle_of_a_rollout() -> None:
    one, other = GrowthMonitor(20), GrowthMonitor(20)
    told(one, [8, 8, 8, 0, 0, 0])
    one.germinated(3)
    other.restore(json.loads(json.dumps(one.facts())))
    assert told(one, [0, 0, 0, 0]) == told(other, [0, 0, 0, 0])
    assert one.facts() == other.facts()
