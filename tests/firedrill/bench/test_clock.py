import pytest

from firedrill.bench.clock import PROCESS, THREAD, Sample, process_sample, sample, spread


def test_percentiles_are_of_cpu_time() -> None:
    found = spread([Sample(float(cpu), 1000.0) for cpu in range(101)])
    assert (found.p10, found.median, found.mean, found.p99, found.wall_median, found.samples) == (10.0, 50.0, 50.0, 99.0, 1000.0, 101)


@pytest.mark.parametrize(("wall", "contended"), [(1.0, False), (1.24, False), (1.26, True)])
def test_a_sample_is_contended_where_the_wall_runs_ahead(wall: float, contended: bool) -> None:
    assert Sample(1.0, wall).contended is contended


def test_a_few_microseconds_of_clock_reading_are_no_contention() -> None:
    assert not Sample(1e-6, 15e-6).contended


@pytest.mark.parametrize(("ahead", "contended"), [(2, False), (3, True)])
def test_a_case_is_contended_where_more_than_a_fifth_of_its_samples_is(ahead: int, contended: bool) -> None:
    assert spread([Sample(1.0, 2.0)] * ahead + [Sample(1.0, 1.0)] * (10 - ahead)).contended is contended


def test_the_wall_clock_is_the_outer_one() -> None:
    called: list[int] = []
    taken = sample(lambda: called.append(sum(range(1000))))
    assert len(called) == 1
    assert 0.0 < taken.cpu <= taken.wall + 1e-4


def test_nothing_has_no_percentiles() -> None:
    with pytest.raises(AssertionError, match="nothing was sampled"):
        spread([])


def test_a_process_is_timed_with_all_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.thread_time", lambda: pytest.fail("one thread is not all"))
    assert process_sample(lambda: sum(range(100_000))).cpu > 0.0
    assert (PROCESS.sample, THREAD.sample) == (process_sample, sample)
