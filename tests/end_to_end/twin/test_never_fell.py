"""A rolled-back run is the run that never fell: to the last bit of its state, at every later step of its episode."""

from typing import Any

import pytest

from tolaria.governor.verdict import Standing
from tolaria.lifecycle.stage import Stage
from tolaria.telemetry.governor_events import RolledBack

Drill = Any

FALLS = (
    "nan weight",
    "inf weight",
    "nan loss",
    "nan gradient",
    "nan statistics",
    "nan momentum",
    "exponent bit",
    "explosion",
    "lobotomy",
    "pruned",
)
LAGS = (0, 1, 2, 5)
OPTIMIZERS = ("sgd", "adamw")
STAGES = (Stage.DORMANT, Stage.TRAINING, Stage.BLENDING, Stage.FOSSILIZED)


def test_there_are_320_cells() -> None:
    assert len(FALLS) * len(LAGS) * len(OPTIMIZERS) * len(STAGES) == 320


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("lag", LAGS)
@pytest.mark.parametrize("name", FALLS)
def test_a_rolled_back_run_is_the_run_that_never_fell(drill: Drill, name: str, lag: int, optimizer: str, stage: Stage) -> None:
    run, struck = drill.fallen(name, lag, optimizer, stage)
    (rolled_back,) = (event for event in run.history.events if isinstance(event, RolledBack))
    assert struck.stages == [stage]
    assert rolled_back.at.step == drill.fell + lag
    assert struck.verdicts[0].standing is Standing.COLLAPSED or not drill.falls[name].noticed
    assert 0 < run.envs.envs[0].course.step < drill.fell
    assert drill.differences(run, optimizer, stage) == []
    assert len([event for event in run.history.events if isinstance(event, RolledBack)]) == 1
