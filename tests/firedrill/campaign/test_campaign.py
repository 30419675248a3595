import time
from collections.abc import Callable
from dataclasses import replace

from firedrill.campaign.campaign import Campaign, planted_cells, sees_canary
from firedrill.runner.executors.local import Local
from firedrill.runner.result import CellResult
from firedrill.runner.verdict import Verdict
from firedrill.scenario.cell import Cell
from firedrill.scenario.token import token_of

Make = Callable[..., CellResult]


def silent(_result: CellResult) -> None:
    """Nobody watches."""


def test_a_campaign_sees_the_planted_bug_and_runs_are_the_same_bytes_beside_one_another(small: Cell, two: Local) -> None:
    campaign = Campaign(two, silent)
    campaign.run([small, replace(small, id="again")])
    campaign.look_for_canary()
    assert [result.verdict for result in campaign.results] == [Verdict.RECOVERED, Verdict.RECOVERED]
    assert campaign.results[0].history_digest == campaign.results[1].history_digest != ""
    assert campaign.red == []
    assert campaign.canary is not None
    assert campaign.canary.verdict is Verdict.WRONG_RECOVERY


def test_after_its_time_no_cell_begins(small: Cell, one: Local) -> None:
    campaign = Campaign(one, silent, deadline=time.monotonic() - 1.0)
    campaign.run([small])
    assert (campaign.results, campaign.out_of_time, campaign.complete) == ([], True, False)


def test_what_is_finished_is_kept_when_somebody_interrupts(small: Cell, one: Local) -> None:
    def interrupt(_result: CellResult) -> None:
        raise KeyboardInterrupt

    campaign = Campaign(one, interrupt)
    campaign.run([small, replace(small, id="never")])
    assert (campaign.interrupted, campaign.complete) == (True, False)
    assert [result.id for result in campaign.results] == [small.id]


def test_a_cell_in_which_nothing_struck_gives_way_to_another(small: Cell, one: Local) -> None:
    (fault,) = small.scenario.faults
    late = replace(fault, at=replace(fault.at, step=None, event="rolled_back", occurrence=9))
    idle = replace(small, id="idle", scenario=replace(small.scenario, faults=(late,)))
    campaign = Campaign(one, silent)
    campaign.run([idle], lambda cell, _result: small if cell.id == "idle" else None)
    assert campaign.idle == 1
    assert [result.id for result in campaign.results] == [small.id]


def test_the_bug_is_planted_only_where_it_would_show(small: Cell, result: Make) -> None:
    token = token_of(small)
    restoring = replace(small.scenario.subject, governor=replace(small.scenario.subject.governor, optimizer="restore"))
    keeps = token_of(replace(small, scenario=replace(small.scenario, subject=restoring)))
    results = [result(rollbacks=0, token=token), result(token=keeps), result(Verdict.MISSED, token=token), result(token=token)]
    (planted,) = planted_cells(results)
    assert planted.scenario.subject.kind == "canary"


def test_only_the_oracle_of_the_bug_has_seen_it(result: Make) -> None:
    assert sees_canary(result(Verdict.WRONG_RECOVERY, (("optimizer_reset", "momentum"),)))
    assert not sees_canary(result(Verdict.WRONG_RECOVERY, (("clean", "restored"),)))
