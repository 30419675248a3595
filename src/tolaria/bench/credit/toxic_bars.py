"""What the toxic task has to show, and its part of the table and of the file."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from statistics import fmean

from tolaria.bench.credit.arms import SHIPPED
from tolaria.bench.credit.plan import Bar
from tolaria.bench.credit.toxic import ARMS, CLEAR, CONTROL, ToxicCell, ToxicRun

TOXIC_SHARE_MAX = 0.02
GOOD_PART_MIN = 0.5
# One blueprint of three is toxic. Whoever still takes it half as often as by chance has not learnt to avoid it.
UNLEARNT_SHARE_MIN = 1.0 / 6.0


def toxic_cells(seeds: int) -> list[ToxicCell]:
    """Every arm of one seed before the next seed."""
    return [ToxicCell(arm, seed) for seed in range(seeds) for arm in ARMS]


def toxic_bars(runs: Sequence[ToxicRun], seeds: int) -> list[Bar]:
    """Whether the shipped penalty teaches to avoid what is toxic and to go on growing, and whether forgetting does not."""
    by_arm = {arm: [run for run in runs if run.cell.arm == arm] for arm in ARMS}
    shares = {arm: [run.toxic_share for run in found] for arm, found in by_arm.items()}
    return [
        _bar(
            "toxic: shipped germinates at most 2 % toxic seeds in every seed",
            shares[SHIPPED],
            seeds,
            all(share is not None and share <= TOXIC_SHARE_MAX for share in shares[SHIPPED]),
        ),
        _growing(by_arm[SHIPPED], by_arm[CONTROL], seeds),
        _bar(
            "toxic: clear does not learn to, at least 1 of 6 in every seed",
            shares[CLEAR],
            seeds,
            all(share is not None and share >= UNLEARNT_SHARE_MIN for share in shares[CLEAR]),
        ),
    ]


def toxic_told(runs: Sequence[ToxicRun]) -> Iterator[str]:
    """Lines for a terminal: a table of the arms."""
    yield f"{'toxic task':<12} {'seeds':>5} {'toxic share':>12} {'worst':>7} {'good':>7} {'rollbacks':>10} {'CPU s':>6}"
    for arm in ARMS:
        found = [run for run in runs if run.cell.arm == arm]
        if not found:
            continue
        # Where nothing grew there is no share; NaN says so and is not overlooked.
        shares = [float("nan") if run.toxic_share is None else run.toxic_share for run in found]
        yield (
            f"{arm:<12} {len(found):>5} {fmean(shares):>12.3f} {max(shares):>7.3f} {_good(found):>7.2f} "
            f"{fmean(run.rollbacks_an_episode for run in found):>10.2f} {fmean(run.cpu_s for run in found):>6.0f}"
        )
    yield "in the last tenth of the updates; toxic share of all germinations, good germinations and rollbacks an episode of 20 steps"
    yield ""


def toxic_values(runs: Sequence[ToxicRun]) -> list[dict[str, object]]:
    """Every run with its counts by update, for a file."""
    return [
        {
            **asdict(run),
            "toxic_share": run.toxic_share,
            "good_an_episode": run.good_an_episode,
            "rollbacks_an_episode": run.rollbacks_an_episode,
        }
        for run in sorted(runs, key=lambda run: (list(ARMS).index(run.cell.arm), run.cell.seed))
    ]


def _growing(shipped: list[ToxicRun], control: list[ToxicRun], seeds: int) -> Bar:
    claim = "toxic: shipped germinates at least half as many good seeds as the control without a penalty seeds of any kind"
    if not shipped or not control:
        return Bar(claim, "not run", None)
    # Its good ones alone would ask too little: without a penalty hardly any are left.
    ours, theirs = _good(shipped), fmean(run.seeds_an_episode for run in control)
    reached = ours >= GOOD_PART_MIN * theirs > 0.0
    return Bar(
        claim, f"{ours:.3g} of {theirs:.3g}, {_good(control):.3g} of them good", reached if len(shipped) == len(control) == seeds else None
    )


def _bar(claim: str, shares: list[float | None], seeds: int, reached: bool) -> Bar:
    if not shares:
        return Bar(claim, "not run", None)
    told = ", ".join("nothing grew" if share is None else f"{share:.3g}" for share in shares)
    return Bar(claim, told, reached if len(shares) == seeds else None)


def _good(runs: Sequence[ToxicRun]) -> float:
    return fmean(run.good_an_episode for run in runs)
