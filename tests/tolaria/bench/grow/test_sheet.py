from collections.abc import Callable
from dataclasses import replace

import pytest

from tolaria.bench.grow.arms import GROWING, LARGE, SMALL
from tolaria.bench.grow.sheet import Sheet, told

MakeSheet = Callable[..., Sheet]


def test_only_seeds_with_every_arm_count(make_sheet: MakeSheet) -> None:
    sheet = make_sheet()
    assert sheet.seeds == [1000, 1001, 1002]
    part = replace(sheet, runs=tuple(run for run in sheet.runs if (run.arm, run.seed) != ("ppo", 1001)))
    assert part.seeds == [1000, 1002]
    assert part.accuracies("heuristic") == pytest.approx([0.6, 0.62])


def test_at_equal_macs_a_static_host_has_the_accuracy_it_had_when_it_had_used_as_many(make_sheet: MakeSheet) -> None:
    sheet = make_sheet()
    # 150 are the third step of the small host, which costs 50 a step; of the large one, with 200, the first is the first that is enough.
    assert sheet.at_equal_macs(SMALL, "random")[0] == pytest.approx(0.32)
    assert sheet.at_equal_macs(LARGE, "random")[0] == pytest.approx(0.6)
    assert sheet.at_equal_macs(LARGE, "heuristic")[0] == pytest.approx(0.9)
    assert sheet.at_equal_macs(SMALL, "schedule")[0] == pytest.approx(0.5)
    differences = {(arm, against): found for arm, against, found in sheet.differences()}
    assert differences["heuristic", "static-large, equal MACs"].mean == pytest.approx(-0.3)
    assert differences["heuristic", "static-small, equal epochs"].mean == pytest.approx(0.3)
    assert differences["ppo", "heuristic"].mean == pytest.approx(0.1)
    assert {arm for arm, _ in differences} == set(GROWING)


@pytest.mark.parametrize(("large", "is_open"), [(0.9, True), (0.531, True), (0.529, False), (0.4, False)])
def test_the_regime_gate_asks_for_three_points_over_a_small_host_with_ten_times_the_epochs(
    large: float, is_open: bool, make_sheet: MakeSheet
) -> None:
    sheet = make_sheet(large)
    assert sheet.patient()[0] == pytest.approx(0.5)
    assert sheet.regime.mean == pytest.approx(large - 0.5)
    assert sheet.in_regime is is_open
    assert ("regime gate: open" in "\n".join(told(sheet))) is is_open


def test_a_reward_that_pays_the_worse_controller_is_found(make_sheet: MakeSheet) -> None:
    assert make_sheet().misordered == []
    sheet = make_sheet(heuristic=(0.6, 300, 0.04, -0.02))
    assert set(sheet.misordered) == {("heuristic", "random"), ("heuristic", SMALL)}
    assert any("reward gate: CLOSED, heuristic is more accurate than" in line for line in told(sheet))


def test_a_dear_rent_makes_waiting_the_best(make_sheet: MakeSheet) -> None:
    sheet = make_sheet()
    assert list(sheet.by_return()) == ["schedule", "heuristic", SMALL, "random"]
    # Nine times the rent more: 0.30 - 0.36, 0.20 - 0.18 and 0.05 - 0.09.
    dear = sheet.by_return(10.0)
    assert list(dear) == [SMALL, "heuristic", "random", "schedule"]
    assert dear["schedule"] == pytest.approx(-0.06)


def test_the_table_is_told_whoever_wins(make_sheet: MakeSheet) -> None:
    losing = make_sheet(ppo=(0.1, 300, -0.3, -0.02))
    lines = told(losing)
    assert any(line.startswith("ppo - static-small, equal epochs") and line.endswith("worse") for line in lines)
    assert any(line.startswith("heuristic - static-small, equal epochs") and line.endswith("better") for line in lines)
    # Where a seed's points are equal in all arms, a difference has no spread.
    assert any("-20.0 [-20.0, -20.0]" in line for line in lines)


def test_a_task_of_which_nothing_is_finished_says_so(make_sheet: MakeSheet) -> None:
    assert told(replace(make_sheet(), runs=())) == ["spirals: no seed was run with every arm"]
