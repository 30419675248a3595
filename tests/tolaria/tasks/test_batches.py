import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tolaria.tasks.batches import BatchStream

sizes = st.integers(1, 30)


@given(sizes, sizes, st.integers(0, 2**40), st.integers(1, 4))
def test_every_epoch_holds_every_sample_once(num_samples: int, batch_size: int, seed: int, epochs: int) -> None:
    batches = BatchStream(num_samples, batch_size, seed)
    drawn: list[int] = []
    while len(drawn) < epochs * num_samples:
        batch = batches.next().tolist()
        assert len(batch) == batch_size
        drawn += batch
    for epoch in range(epochs):
        assert sorted(drawn[epoch * num_samples : (epoch + 1) * num_samples]) == list(range(num_samples))


@given(sizes, sizes, st.integers(0, 2**40), st.integers(0, 10))
def test_a_stream_goes_on_from_its_position(num_samples: int, batch_size: int, seed: int, drawn: int) -> None:
    batches, other = BatchStream(num_samples, batch_size, seed), BatchStream(num_samples, batch_size, seed)
    for _ in range(drawn):
        batches.next()
    other.seek(batches.position)
    assert other.position == batches.position
    for _ in range(3):
        assert other.next().tolist() == batches.next().tolist()


@given(sizes, sizes, st.integers(0, 20))
def test_the_position_counts_samples(num_samples: int, batch_size: int, drawn: int) -> None:
    batches = BatchStream(num_samples, batch_size, 0)
    for _ in range(drawn):
        batches.next()
    assert batches.position == divmod(drawn * batch_size, num_samples)


def test_a_batch_runs_on_into_the_next_epoch() -> None:
    batches = BatchStream(5, 3, 0)
    first, second = batches.next().tolist(), batches.next().tolist()
    assert sorted(first + second[:2]) == [0, 1, 2, 3, 4]
    assert batches.position == (1, 1)


def test_epochs_and_seeds_are_ordered_differently() -> None:
    batches = BatchStream(50, 50, 0)
    first, second = batches.next().tolist(), batches.next().tolist()
    assert first != second
    assert first != BatchStream(50, 50, 1).next().tolist()


def test_the_global_generator_is_left_alone() -> None:
    before = torch.random.get_rng_state()
    BatchStream(10, 4, 0).next()
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("position", [(-1, 0), (0, -1), (0, 5)])
def test_a_position_outside_the_stream_is_refused(position: tuple[int, int]) -> None:
    batches = BatchStream(5, 3, 0)
    with pytest.raises(AssertionError):
        batches.seek(position)
    assert batches.position == (0, 0)


@pytest.mark.parametrize("skipped", [0, 1, 4, 11])
def test_what_is_skipped_is_as_if_it_had_been_drawn(skipped: int) -> None:
    drawn, batches = BatchStream(10, 4, 0), BatchStream(10, 4, 0)
    drawn.next()
    batches.next()
    for _ in range(skipped):
        drawn.next()
    batches.skip(skipped)
    assert (batches.number, batches.position) == (1 + skipped, drawn.position)
    assert torch.equal(batches.next(), drawn.next())
