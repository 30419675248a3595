from pathlib import Path

import pytest

from firedrill.campaign.plants import Plant, Strength, cell_of, space, why_not
from firedrill.faults import FAULTS
from firedrill.runner.cell import run
from firedrill.runner.exposure import Reply, Topology, exposures_of
from firedrill.runner.plan import config_of
from firedrill.scenario.needs import ON_CUDA

SENSIBLE = [plant for plant in space("cpu") if not why_not(plant)]
# Every fault at every seam once, in the topology in which most can happen.
ONE_EACH = {(plant.kind, plant.phase): plant for plant in SENSIBLE if plant.topology in {Topology.BLENDED, Topology.BARE}}


def test_every_fault_of_the_table_is_planted_at_every_seam_of_its_own() -> None:
    assert {(plant.kind, plant.phase) for plant in SENSIBLE} == {
        (kind, phase)
        for kind, fault in FAULTS.items()
        for phase in fault.phases
        if not fault.aside and not fault.loops_only and kind not in ON_CUDA
    }


@pytest.mark.parametrize("plant", ONE_EACH.values(), ids=lambda plant: plant.name)
def test_a_plant_is_a_scenario_that_the_door_lets_in(plant: Plant) -> None:
    cell = cell_of(plant)
    planted = cell.scenario.faults[-1]
    assert (planted.fault.kind, planted.at.phase, cell.device) == (plant.kind, plant.phase, "cpu")


def test_names_are_different() -> None:
    assert len({plant.name for plant in SENSIBLE}) == len(SENSIBLE)


def test_what_cannot_be_planted_has_a_reason() -> None:
    plant = Plant("lifecycle.prune", "step_begun", "cpu", Topology.FOSSIL, Strength.WEAK)
    assert why_not(plant) == "only a seed that grows can be pruned"


def test_a_reply_belongs_to_one_strength() -> None:
    assert Strength.WEAK.replies | Strength.STRONG.replies == set(Reply)
    assert not Strength.WEAK.replies & Strength.STRONG.replies


def test_what_strikes_right_after_a_rollback_meets_growing_seeds_only_where_they_come_back() -> None:
    plants = {plant.topology: plant for plant in space("cpu") if (plant.kind, plant.phase) == ("tensor.set", "rolled_back")}
    governors = {topology: cell_of(plant).scenario.subject.governor.live_seeds for topology, plant in plants.items()}
    assert {topology for topology, live_seeds in governors.items() if live_seeds == "restore"} == {Topology.GROWING, Topology.BLENDED}


def test_a_stale_snapshot_strikes_first_where_its_seed_has_come_to_rest(tmp_path: Path) -> None:
    (plant,) = (plant for plant in SENSIBLE if (plant.kind, plant.topology) == ("snapshot.stale", Topology.RESTING))
    cell = cell_of(plant)
    events, _ = run(cell, config_of(cell), tmp_path / "faulted.jsonl", cell.scenario.faults)
    assert [found.topology for found in exposures_of(events, cell.scenario.faults)] == [Topology.RESTING]
