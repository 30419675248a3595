"""The main job without faults: a host learns real images while it grows, and the governor leaves it alone."""

from tolaria.seams import NO_TAPS
from tolaria.telemetry.governor_events import Collapsed, Suspected
from tolaria.telemetry.growth_events import StageChanged
from tolaria.telemetry.history import History
from tolaria.telemetry.run_events import RunFinished
from tolaria.train.config import TrainConfig
from tolaria.train.trainer import Trainer


def test_digits_are_learnt_in_half_a_run() -> None:
    history = History()
    trainer = Trainer.tapped(TrainConfig(task="digits", policy="heuristic", envs=1, steps=30, seed=0), history, NO_TAPS)
    assert trainer.train()
    finished = history.events[-1]
    assert isinstance(finished, RunFinished)
    (accuracy,) = finished.test_accuracies
    assert accuracy is not None
    assert accuracy >= 0.95
    assert any(isinstance(event, StageChanged) for event in history.events)
    assert not any(isinstance(event, Suspected | Collapsed) for event in history.events)
