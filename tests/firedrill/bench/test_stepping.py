from contextlib import ExitStack
from pathlib import Path

import pytest

from firedrill.bench import stepping
from firedrill.bench.clock import Sample
from firedrill.bench.stepping import begun, step_of, warmed_in_turns
from tolaria.train.config import TrainConfig


def test_a_run_is_stepped_with_what_falls_due_and_closed_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[None] = []
    with ExitStack() as held:
        trainer = begun(TrainConfig(task="spirals", envs=1, steps=10, rollout_steps=2, checkpoint_every=3), held, tmp_path / "run")
        monkeypatch.setattr(trainer, "close", lambda: closed.append(None))
        held.callback(trainer.close)
        saved: list[int] = []
        monkeypatch.setattr(trainer, "save", lambda: saved.append(trainer.run.step))
        step = step_of(trainer)
        for _ in range(7):
            step()
    assert (trainer.run.step, saved) == (7, [3, 6])
    assert closed == [None]


def test_the_first_rounds_only_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stepping, "WARMUPS", 3)
    called: list[Sample] = []

    def call() -> Sample:
        called.append(Sample(float(len(called)), 1.0))
        return called[-1]

    assert warmed_in_turns({"a": call}, 2, lambda: None) == {"a": called[3:]}
    assert len(called) == 5
