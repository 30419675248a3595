import sys

import pytest
import torch

from tolaria.governor.pages import ALIGNMENT, HUGE_FROM, HUGE_PAGE, SHARED_FROM, SharedPages, prefaulted, raw_bytes

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


# Pages that the arenas of one state share.


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
