import math
import time
from pathlib import Path

import pytest

from firedrill.conduct import Conduct, opened
from firedrill.screen import Refused


def test_the_time_budget_becomes_a_moment_after_which_no_cell_begins() -> None:
    with opened(Conduct(jobs=3)) as stage:
        assert (stage.deadline, stage.executor.jobs, stage.keep) == (math.inf, 3, None)
    before = time.monotonic()
    with opened(Conduct(time_budget=5.0)) as stage:
        assert before + 5.0 <= stage.deadline <= time.monotonic() + 5.0


def test_what_was_taken_over_is_said_at_the_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with opened(Conduct(), tmp_path / "kept") as stage:
        assert stage.keep is not None
        stage.keep.taken_over = 2
    assert f"2 cells were finished in {tmp_path / 'kept'} already" in capsys.readouterr().out


def test_what_cannot_be_had_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="--jobs 0"), opened(Conduct(jobs=0)):
        pass
    with opened(Conduct(), tmp_path), pytest.raises(Refused, match="another run"), opened(Conduct(), tmp_path):
        pass
