from tolaria.lifecycle.stage import Stage
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.growth_events import SlotRestored, StageChanged
from tolaria.train.chronicle import compile_chronicle, stage_at


def moved(step: int, generation: int, before: Stage, after: Stage, initiator: str = "policy") -> StageChanged:
    return StageChanged(Point(step, 0), "s0", generation, "norm", before, after, "", initiator)


def test_events_are_sorted_by_environment(eventful_run: list[Event]) -> None:
    environments = compile_chronicle(reversed(eventful_run)).environments
    assert list(environments) == [0, 1]
    assert [len(record.steps) for record in environments.values()] == [24, 10]


def test_a_seed_has_the_steps_of_its_stages_and_its_end(eventful_run: list[Event]) -> None:
    fossil, pruned = compile_chronicle(eventful_run).environments[0].seeds
    assert fossil.stages == [
        (1, Stage.GERMINATED),
        (2, Stage.TRAINING),
        (5, Stage.BLENDING),
        (10, Stage.HOLDING),
        (12, Stage.FOSSILIZED),
    ]
    assert (pruned.stages[-1], pruned.end) == ((17, Stage.PRUNED), "governor: rollback")


def test_the_rest_of_a_slot_is_in_its_lane_and_not_in_the_life_of_a_seed() -> None:
    record = compile_chronicle(
        [
            moved(1, 1, Stage.DORMANT, Stage.GERMINATED),
            moved(3, 1, Stage.GERMINATED, Stage.PRUNED),
            moved(4, 1, Stage.PRUNED, Stage.EMBARGOED, "time"),
            moved(9, 1, Stage.EMBARGOED, Stage.RESETTING, "time"),
            moved(10, 1, Stage.RESETTING, Stage.DORMANT, "time"),
        ]
    ).environments[0]
    assert record.seeds[0].stages == [(1, Stage.GERMINATED), (3, Stage.PRUNED)]
    assert record.lanes["s0"][-3:] == [(4, Stage.EMBARGOED), (9, Stage.RESETTING), (10, Stage.DORMANT)]


def test_a_restored_seed_says_that_a_rollback_put_it_back() -> None:
    events = [moved(1, 1, Stage.DORMANT, Stage.GERMINATED), SlotRestored(Point(5, 0), "s0", 1, Stage.BLENDING, Stage.TRAINING)]
    (seed,) = compile_chronicle(events).environments[0].seeds
    assert (seed.stages[-1], seed.end) == ((5, Stage.TRAINING), "put back by a rollback")


def test_a_lane_tells_the_stage_at_the_end_of_a_step() -> None:
    lane = [(0, Stage.DORMANT), (3, Stage.GERMINATED), (3, Stage.PRUNED), (5, Stage.EMBARGOED)]
    assert [stage_at(lane, step) for step in (0, 2, 3, 4, 9)] == [
        Stage.DORMANT,
        Stage.DORMANT,
        Stage.PRUNED,
        Stage.PRUNED,
        Stage.EMBARGOED,
    ]


def test_the_lanes_are_empty_when_an_episode_ends(eventful_run: list[Event]) -> None:
    lanes = compile_chronicle(eventful_run).environments[0].lanes
    assert [lane[-1] for lane in lanes.values()] == [(24, Stage.DORMANT), (24, Stage.DORMANT)]
