from pathlib import Path

from firedrill.runner.assess import result_of
from firedrill.runner.folder import COUNTERFACTUAL, FAULTED, digest_of, told_ending
from firedrill.runner.verdict import End, Ending, Verdict
from firedrill.scenario.cell import Cell


def test_what_was_recorded_is_judged(small: Cell, recorded: Path) -> None:
    result = result_of(small, recorded, told_ending(recorded), 1.23456)
    assert (result.verdict, result.passed, result.rollbacks, result.penalties) == (Verdict.RECOVERED, True, 1, 1)
    assert (result.seconds, result.history_digest) == (1.235, digest_of(recorded / FAULTED))
    assert not (recorded / COUNTERFACTUAL).exists()


def test_a_folder_with_nothing_in_it_is_judged_by_how_the_cell_ended(small: Cell, tmp_path: Path) -> None:
    result = result_of(small, tmp_path, Ending(End.DIED, "killed by signal 9"), 0.1)
    assert (result.verdict, result.reason, result.passed) == (Verdict.CRASHED, "killed by signal 9", False)
