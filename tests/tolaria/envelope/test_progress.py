import io
import os
import signal

import pytest
from rich.console import Console

from tolaria.envelope.progress import Progress, progress
from tolaria.interruption import Interruption


def test_without_a_terminal_a_line_tells_of_each_tenth() -> None:
    told = io.StringIO()
    seen = Progress(Console(file=told), Interruption(lambda: None))
    with seen.shown():
        assert list(seen.follow("strikes", range(40), 40)) == list(range(40))
    lines = told.getvalue().splitlines()
    assert len(lines) == 10
    assert (lines[0], lines[-1]) == ("strikes: 4 of 40", "strikes: 40 of 40")
    assert not seen.interrupted


def test_the_item_in_which_somebody_interrupts_is_the_last_one_of_all_work(capsys: pytest.CaptureFixture[str]) -> None:
    done = []
    with progress() as seen:
        for item in seen.follow("strikes", range(40), 40):
            if item == 2:
                os.kill(os.getpid(), signal.SIGINT)
            done.append(item)
        assert list(seen.follow("more", range(3), 3)) == []
    assert done == [0, 1, 2]
    assert seen.interrupted
    assert "stopping after this one" in capsys.readouterr().err
