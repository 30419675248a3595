import random
from dataclasses import replace

from firedrill.compare.compared import Change, Compared, MetricClass
from firedrill.compare.facts import CellFacts, Facts
from firedrill.compare.sampled import compare_sampled


def seeds(base: Facts, cell: CellFacts, losses: list[float | None]) -> Facts:
    """One scenario with as many seeds as there are logarithms of losses."""
    return replace(base, cells={f"nan-weight[cpu,seed={seed}]": replace(cell, log_loss=loss) for seed, loss in enumerate(losses)})


def drawn(base: Facts, cell: CellFacts, missed: int, of: int) -> Facts:
    """A campaign in which so many cells were missed."""
    cells = {f"fuzz/{i}": replace(cell, generated=True, log_loss=None, verdict="missed" if i < missed else "recovered") for i in range(of)}
    return replace(base, cells=cells)


def by_metric(found: list[Compared]) -> dict[str, Change]:
    return {compared.metric: compared.change for compared in found}


def test_a_loss_that_rose_for_every_seed_is_a_regression(base: Facts, cell: CellFacts) -> None:
    rng = random.Random(0)
    before = [rng.gauss(-2.0, 0.3) for _ in range(12)]
    after = [loss + 0.1 + rng.gauss(0.0, 0.02) for loss in before]
    found = compare_sampled(seeds(base, cell, before), seeds(base, cell, after))
    assert [(compared.subject, compared.kind, compared.change) for compared in found] == [
        (subject, MetricClass.SEEDED, Change.REGRESSION) for subject in ("all cells on cpu", "nan-weight on cpu")
    ]
    assert "over 12 seeds" in found[0].detail
    assert set(by_metric(compare_sampled(seeds(base, cell, after), seeds(base, cell, before))).values()) == {Change.IMPROVED}


def test_noise_alone_is_no_regression(base: Facts, cell: CellFacts) -> None:
    rng = random.Random(1)
    reds = 0
    for _ in range(40):
        before, after = ([rng.gauss(-2.0, 0.3) for _ in range(10)] for _ in range(2))
        found = compare_sampled(seeds(base, cell, before), seeds(base, cell, after))
        reds += any(compared.change is Change.REGRESSION for compared in found)
    assert reds <= 1


def test_the_same_losses_are_unchanged_and_few_seeds_prove_nothing(base: Facts, cell: CellFacts) -> None:
    many: list[float | None] = [-2.0 - 0.1 * i for i in range(9)]
    assert by_metric(compare_sampled(seeds(base, cell, many), seeds(base, cell, many))) == {"last loss": Change.UNCHANGED}
    assert compare_sampled(seeds(base, cell, many[:7]), seeds(base, cell, [0.0] * 7)) == []
    # A loss that is not finite is no number to average; that it is so is a verdict's business.
    assert compare_sampled(seeds(base, cell, many), seeds(base, cell, [None] * 9)) == []


def test_a_rate_that_rose_is_a_regression_and_one_more_in_a_hundred_is_not(base: Facts, cell: CellFacts) -> None:
    calm = drawn(base, cell, 2, 100)
    found = {compared.metric: compared for compared in compare_sampled(calm, drawn(base, cell, 20, 100))}
    assert found["missed"].change is Change.REGRESSION
    assert found["missed"].base.startswith("2 of 100 [")
    assert found["false alarms"].change is Change.UNCHANGED
    assert by_metric(compare_sampled(calm, drawn(base, cell, 3, 100)))["missed"] is Change.UNCHANGED
