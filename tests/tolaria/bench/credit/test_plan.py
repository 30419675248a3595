from dataclasses import replace

import pytest

from tolaria.bench.credit.cells import Cell, Run
from tolaria.bench.credit.first_update import Fall
from tolaria.bench.credit.plan import DELAY_5, DELAY_20, UNAVOIDABLE, Bar, bars, cells

PLANNED = cells(5)
FALLS = [Fall("shipped", 20, 20), Fall("clear", 20, 0)]


def run_of(cell: Cell, collapses: float = 0.0, germinations: float = 5.0, frozen_at: int | None = None) -> Run:
    """A run that came to so many an episode."""
    counts = [tuple([round(16 * cell.episodes * each)] * cell.updates) for each in (collapses, germinations)]
    return Run(cell, counts[0], counts[1], (), frozen_at, 1.0, 10.0)


def good(cell: Cell) -> Run:
    """A run as it should be."""
    frozen_at = 40 if cell.arm == "terminal -30" else None
    return run_of(cell, 8.0 if cell.arm in {"clear", "truncate"} else 0.0, frozen_at=frozen_at)


def missed(changed: dict[int, Run]) -> list[str]:
    """The claims that do not hold where some runs are otherwise."""
    runs = [changed.get(index, good(cell)) for index, cell in enumerate(PLANNED)]
    return [bar.claim for bar in bars(runs, FALLS, PLANNED) if bar.holds is not True]


def at(question: str, arm: str, seed: int = 0, memory: str = "none") -> int:
    (index,) = (i for i, cell in enumerate(PLANNED) if (cell.question, cell.arm, cell.seed, cell.memory) == (question, arm, seed, memory))
    return index


def test_everything_holds_where_everything_is_as_it_should_be() -> None:
    assert missed({}) == []


def test_there_are_as_many_seeds_as_the_bars_ask_for() -> None:
    asked = [(cell.question, cell.arm, cell.memory) for cell in PLANNED]
    assert asked.count((DELAY_5, "shipped", "none")) == asked.count((DELAY_5, "clear", "lstm")) == 5
    assert asked.count((DELAY_20, "shipped", "none")) == 8
    assert len(set(PLANNED)) == len(PLANNED)


def test_what_is_rare_is_learnt_from_many_episodes_by_every_arm() -> None:
    assert {(cell.question, cell.episodes, cell.large) for cell in PLANNED} == {
        ("delay-5", 1, False),
        ("delay-20", 5, False),
        ("short-trace", 1, False),
        ("unavoidable", 5, True),
    }


def test_a_single_question_can_be_asked() -> None:
    assert {cell.question for cell in cells(1, [DELAY_20])} == {DELAY_20}


@pytest.mark.parametrize(
    ("question", "arm", "memory", "collapses", "words"),
    [
        (DELAY_5, "shipped", "none", 0.0625, ["MLP, delay 5: and in the worst seed"]),
        (DELAY_5, "shipped", "lstm", 1.0, ["LSTM, delay 5: shipped", "LSTM, delay 5: and in the worst seed"]),
        (DELAY_5, "clear", "none", 5.0, ["MLP, delay 5: clear"]),
        (DELAY_5, "truncate", "lstm", 5.0, ["LSTM, delay 5: truncate"]),
        (DELAY_20, "shipped", "none", 0.0625, ["delay 20"]),
    ],
)
def test_one_seed_that_collapses_too_often_or_too_seldom_misses_its_bar(
    question: str, arm: str, memory: str, collapses: float, words: list[str]
) -> None:
    index = at(question, arm, memory=memory)
    found = missed({index: run_of(PLANNED[index], collapses)})
    assert [claim.startswith(word) for claim, word in zip(found, words, strict=True)] == [True] * len(words)


def test_either_of_two_cures_of_conservatism_is_enough_and_none_is_not() -> None:
    frozen = {
        arm: {at(UNAVOIDABLE, arm, seed): run_of(PLANNED[at(UNAVOIDABLE, arm, seed)], 0.0, 1.0) for seed in range(5)}
        for arm in ("continue", "lagrangian")
    }
    assert missed(frozen["continue"]) == missed(frozen["lagrangian"]) == []
    assert len(missed(frozen["continue"] | frozen["lagrangian"])) == 1


def test_a_monitor_that_says_nothing_in_one_run_misses_its_bar() -> None:
    index = at(UNAVOIDABLE, "terminal -30", 3)
    assert len(missed({index: replace(good(PLANNED[index]), frozen_at=None)})) == 1


def test_a_monitor_that_speaks_where_growing_goes_on_misses_its_bar() -> None:
    index = at(UNAVOIDABLE, "lagrangian", 3)
    assert len(missed({index: replace(good(PLANNED[index]), frozen_at=20)})) == 1


def test_one_first_update_that_did_not_help_misses_its_bar() -> None:
    found = bars([good(cell) for cell in PLANNED], [Fall("shipped", 20, 19)], PLANNED)
    assert [bar.found for bar in found if bar.holds is False] == ["19 of 20"]


def test_a_bar_is_open_until_all_of_its_runs_are_made() -> None:
    found = bars([good(cell) for cell in PLANNED[:3]], [], PLANNED)
    assert all(bar.holds is None for bar in found)
    assert Bar("delay 20: shipped at most 0.05 in the worst seed", "not run", None) in found
