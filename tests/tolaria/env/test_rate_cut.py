from tolaria.env.rate_cut import RateCut


def test_a_rate_is_whole_until_it_is_cut_and_after_the_cut_has_ended() -> None:
    cut = RateCut().deepened(0.5, stepped=100, batches=20)
    assert [RateCut().at(0), cut.at(100), cut.at(119), cut.at(120)] == [1.0, 0.5, 0.5, 1.0]


def test_a_cut_on_top_of_another_multiplies_and_never_ends_sooner() -> None:
    first = RateCut().deepened(0.5, stepped=100, batches=40)
    # A rollback in between has undone sixty batches.
    second = first.deepened(0.5, stepped=40, batches=40)
    assert second == RateCut(0.25, 140)


def test_a_cut_that_has_ended_is_forgotten_by_the_next() -> None:
    assert RateCut(0.5, 100).deepened(0.5, stepped=100, batches=10) == RateCut(0.5, 110)
