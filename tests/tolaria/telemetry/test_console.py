import io
import math
from collections.abc import Iterable

import pytest
from rich.console import Console

from tolaria.lifecycle.stage import Stage
from tolaria.telemetry.console import LETTERS, ConsoleSink, describe_remedy, describe_work
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.governor_events import (
    Collapsed,
    Decision,
    Durations,
    Ease,
    EnvironmentRetired,
    PenaltyDelivered,
    Probe,
    Remedy,
    RolledBack,
    Rung,
    Work,
)
from tolaria.telemetry.growth_events import SlotRestored, StageChanged
from tolaria.telemetry.run_events import EpisodeFinished, RunAborted, RunFinished, RunStarted, StepFinished, StorageFailed

STARTED = RunStarted(Point(0), 1, "{}", "", (), ("s0", "s1"), 2.3)
REMEDY = Remedy(Rung.NEWEST, None, None)
DECISION = Decision("explosion", 40.0, 3.5, 1.0, 0.1, 1, (), (2,))
ROLLED_BACK = RolledBack(Point(4, 0), 1, 2, DECISION, ("s0",), "restore", REMEDY, Work(1, 400), 1)


def finished(step: int, env: int, loss: float = 1.5) -> StepFinished:
    return StepFinished(Point(step, env), "wait", "", True, loss, loss, 0.5, None, None)


def moved(to: Stage, step: int = 0) -> StageChanged:
    return StageChanged(Point(step, 0), "s0", 1, "norm", Stage.HOLDING, to, "", "policy")


def shown(events: Iterable[Event], terminal: bool = False, steps_total: int = 10) -> str:
    """All that the sink writes, as the bytes would reach a file or a terminal."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=120, height=30, color_system="standard" if terminal else None, _environ={})
    sink = ConsoleSink(console, steps_total)
    for event in events:
        sink.write(event)
    sink.close()
    return out.getvalue()


def test_without_a_terminal_there_are_no_control_codes() -> None:
    text = shown([STARTED, *(finished(step, 0) for step in range(10)), ROLLED_BACK])
    assert text
    assert "\x1b" not in text
    assert "\r" not in text


def test_without_a_terminal_a_long_run_is_twenty_lines_for_each_environment() -> None:
    text = shown([STARTED, *(finished(step, env) for step in range(1000) for env in (0, 1))], steps_total=1000)
    assert sum(line.startswith("step ") for line in text.splitlines()) == 20
    assert sum(line.startswith("  env 1") for line in text.splitlines()) == 20


def test_a_status_shows_loss_accuracy_stages_rollbacks_and_penalties() -> None:
    text = shown([STARTED, moved(Stage.BLENDING), ROLLED_BACK, PenaltyDelivered(Point(4, 0), -10.0, 4), finished(9, 0)])
    assert "  env 0  step     9  loss   1.5000  accuracy  50.0%  B.  rollbacks 1  penalties 1" in text.splitlines()


def test_a_rollback_shows_the_stage_that_was_restored() -> None:
    restored = SlotRestored(Point(4, 0), "s0", 0, Stage.PRUNED, Stage.DORMANT)
    assert "..  rollbacks" in shown([STARTED, moved(Stage.BLENDING), restored, finished(9, 0)])


def test_a_new_episode_begins_with_empty_slots() -> None:
    ended = EpisodeFinished(Point(8, 0), 0, 8, 1.0, 0, 0.9, 0.9, 100)
    assert "..  rollbacks" in shown([STARTED, moved(Stage.FOSSILIZED), ended, finished(9, 0)])


def test_what_matters_has_a_line_of_its_own() -> None:
    text = shown(
        [
            Collapsed(Point(4, 0), "explosion", 40.0, 3.5, 1, ""),
            Collapsed(Point(5, 1), "nonfinite", None, None, 1, "parameters"),
            ROLLED_BACK,
            moved(Stage.FOSSILIZED, step=6),
            moved(Stage.HOLDING, step=6),
            EnvironmentRetired(Point(7, 0), 3, "budget spent"),
            RunAborted(Point(8), "OSError", "disk full"),
            RunFinished(Point(9), (0.5, None)),
        ]
    )
    assert text.splitlines() == [
        "step 4  env 0  collapse: explosion, loss 40 over 3.5",
        "step 5  env 1  collapse: nonfinite",
        "step 4  env 0  rolled back to step 2, the newest trusted snapshot, pruned s0; 400 bytes",
        "step 6  env 0  fossilized norm in s0",
        "step 7  env 0  retired after 3 rollbacks: budget spent",
        "step 8  aborted by OSError: disk full",
        "step 9  finished, test accuracy 50.0%, retired",
    ]


def test_words_in_brackets_are_shown_as_they_are() -> None:
    assert "step 8  not stored: OSError: full" in shown([StorageFailed(Point(8), "OSError: full")])
    assert "aborted by OSError: [bold]disk[/] full" in shown([RunAborted(Point(8), "OSError", "[bold]disk[/] full")])


def test_a_loss_that_is_no_number_is_shown_as_one() -> None:
    assert "loss      nan" in shown([finished(9, 0, math.nan)])


def test_a_terminal_gets_a_bar_and_its_cursor_back() -> None:
    text = shown([STARTED, finished(3, 0)], terminal=True)
    assert "4/10" in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")


def test_lines_stand_above_the_bar_of_a_terminal() -> None:
    text = shown([STARTED, finished(3, 0), ROLLED_BACK], terminal=True)
    assert text.index("rolled back to step 2") < text.rindex("4/10")


def test_every_stage_has_a_letter() -> None:
    assert set(LETTERS) == set(Stage)


@pytest.mark.parametrize(
    ("remedy", "words"),
    [
        (Remedy(Rung.OLDER, None, None), "an older snapshot"),
        (Remedy(Rung.EASED, Ease(0.25, 50), None), "going on gently, learning rate x 0.25, 50 batches skipped"),
        (Remedy(Rung.OLDER, None, None, "OSError: no"), "an older snapshot, could not be eased: OSError: no"),
        (Remedy(Rung.RETIRED, None, None), "the last that the budget allows"),
        (Remedy(Rung.NEWEST, None, Probe(0.71, 0.2)), "the newest trusted snapshot, loss 0.71 without its seed"),
    ],
)
def test_a_rollback_says_which_rung_it_was(remedy: Remedy, words: str) -> None:
    assert describe_remedy(remedy) == words


def test_a_rollback_says_what_it_took() -> None:
    work = Work(2, 12345, Durations(0.001, 0.002, 0.0, 0.0105, 0.0))
    assert describe_work(work) == "12,345 bytes, 2 attempts, 13.5 ms (choose 1.0, validate 2.0, rebuild 0.0, copy 10.5, settle 0.0)"
