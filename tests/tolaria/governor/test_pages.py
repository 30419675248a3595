import sys

import pytest
import torch
import xxhash

from tolaria.governor.pages import (
    ALIGNMENT,
    HUGE_FROM,
    HUGE_PAGE,
    SHARED_FROM,
    STREAMED_FROM,
    SharedPages,
    Streamed,
    prefaulted,
    raw_bytes,
    readable,
)

CPU = torch.device("cpu")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only there huge pages are asked for")


def test_large_flats_lie_in_huge_pages_and_stay_where_the_mapping_is_forgotten() -> None:
    flat = prefaulted(HUGE_FROM // 4, torch.float32, CPU)
    assert flat.data_ptr() % (HUGE_PAGE if sys.platform == "linux" else ALIGNMENT) == 0
    assert flat.numel() == HUGE_FROM // 4
    assert not flat.any()
    flat.fill_(3.0)
    assert flat[-16:].clone().tolist() == [3.0] * 16


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.bfloat16, torch.complex64, torch.int64])
def test_every_dtype_may_be_large(dtype: torch.dtype) -> None:
    flat = prefaulted(HUGE_FROM // dtype.itemsize, dtype, CPU)
    assert (flat.dtype, flat.numel()) == (dtype, HUGE_FROM // dtype.itemsize)
    assert not flat.any()


def test_bytes_are_those_of_the_tensor_itself_also_where_it_has_no_dimension() -> None:
    single = torch.tensor(1.0, dtype=torch.bfloat16)
    raw_bytes(single)[:] = bytes(2)
    assert single.item() == 0.0


# Large tensors are copied in another way.


@pytest.mark.parametrize("size", [STREAMED_FROM - 1, STREAMED_FROM, STREAMED_FROM + 13, 3 * STREAMED_FROM + 7])
def test_bytes_of_every_size_are_copied_as_they_are_and_nothing_beside_them(size: int) -> None:
    source = torch.randint(0, 256, (size,), dtype=torch.uint8)
    target = torch.full((size + 2,), 77, dtype=torch.uint8)
    raw_bytes(target[1:-1])[:] = raw_bytes(source)
    assert torch.equal(target[1:-1], source)
    assert target[[0, -1]].tolist() == [77, 77]


@pytest.mark.parametrize("size", [STREAMED_FROM, 4 * STREAMED_FROM])
def test_a_part_of_many_bytes_is_copied_alone(size: int) -> None:
    source, target = torch.ones(size, dtype=torch.uint8), torch.zeros(size, dtype=torch.uint8)
    part, other = slice(64, size // 2), slice(size // 2 + 64, size - 64)
    raw_bytes(target)[part][:] = raw_bytes(source)[part]
    assert target.sum().item() == size // 2 - 64
    assert target[part].all()
    raw_bytes(target)[other] = raw_bytes(source)[other]
    assert target.sum().item() == size - 192
    assert target[other].all()


def test_numbers_that_are_none_keep_every_bit() -> None:
    # Signalling and quiet, of either sign and with a payload; arithmetic would make them one.
    patterns = torch.tensor([0x7F800001, 0x7FC00000, -0x7FFFFF, 0x7FFFFFFF, -1, 0x7F800000], dtype=torch.int32)
    source = patterns.repeat(STREAMED_FROM // 4).view(torch.float32)
    target = torch.zeros_like(source)
    raw_bytes(target)[:] = raw_bytes(source)
    assert torch.equal(target.view(torch.int32), source.view(torch.int32))


def test_only_large_tensors_are_streamed_and_whoever_reads_them_sees_their_bytes() -> None:
    small, large = torch.ones(STREAMED_FROM - 1, dtype=torch.uint8), torch.ones(STREAMED_FROM, dtype=torch.uint8)
    assert not isinstance(raw_bytes(small), Streamed)
    raw = raw_bytes(large)
    assert isinstance(raw, Streamed)
    assert xxhash.xxh3_128(readable(raw)).digest() == xxhash.xxh3_128(bytes(STREAMED_FROM * [1])).digest()


def test_a_tensor_whose_bytes_are_streamed_may_still_be_resized() -> None:
    tensor = torch.ones(STREAMED_FROM, dtype=torch.uint8)
    raw = raw_bytes(tensor)
    tensor.resize_(2 * STREAMED_FROM)
    assert len(raw) == STREAMED_FROM


# Pages that the arenas of one state share.


@LINUX
@pytest.mark.parametrize("size", [SHARED_FROM, HUGE_PAGE // 2, HUGE_FROM - ALIGNMENT])
def test_wherever_a_mapping_begins_there_is_room_for_whole_huge_pages(size: int) -> None:
    # Many at once, because each begins elsewhere.
    kept = [SharedPages(size, 1) for _ in range(40)]
    for shared in kept:
        flat = shared.take(size)
        assert flat is not None
        assert flat.data_ptr() % HUGE_PAGE == 0
        storage = flat.untyped_storage()
        left = storage.data_ptr() + storage.nbytes() - flat.data_ptr()
        assert left >= -(-size // HUGE_PAGE) * HUGE_PAGE


@LINUX
def test_shared_flats_lie_behind_each_other_on_cache_lines_without_touching() -> None:
    shared = SharedPages(SHARED_FROM, 3)
    flats = [prefaulted(SHARED_FROM // 8 + 1, torch.float32, CPU, shared=shared) for _ in range(3)]
    for number, flat in enumerate(flats):
        assert not flat.any()
        flat.fill_(number + 1.0)
    assert [sorted(set(flat.tolist())) for flat in flats] == [[1.0], [2.0], [3.0]]
    assert {flat.data_ptr() % ALIGNMENT for flat in flats} == {0}
    assert len({flat.untyped_storage().data_ptr() for flat in flats}) == 1


@LINUX
def test_there_is_room_for_so_many_copies_and_what_comes_later_has_pages_of_its_own() -> None:
    shared = SharedPages(SHARED_FROM, 2)
    flats = [prefaulted(SHARED_FROM // 4, torch.float32, CPU, shared=shared) for _ in range(3)]
    first, second, third = (flat.untyped_storage().data_ptr() for flat in flats)
    assert first == second != third
    assert third == flats[2].data_ptr()


@pytest.mark.parametrize("state", [0, SHARED_FROM - 1, HUGE_FROM])
def test_states_that_are_tiny_or_large_share_nothing(state: int) -> None:
    assert SharedPages(state, 4).take(64) is None


def test_nothing_is_taken_where_nothing_is_asked_for() -> None:
    assert SharedPages(SHARED_FROM, 1).take(0) is None


@LINUX
def test_the_last_bytes_are_given_out_too() -> None:
    shared = SharedPages(SHARED_FROM, 1)
    assert shared.take(SHARED_FROM + 1) is None
    taken = shared.take(SHARED_FROM)
    assert taken is not None
    assert len(taken) == SHARED_FROM
    assert shared.take(1) is None
