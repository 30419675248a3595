import sys

import pytest
import torch

from tolaria.governor.pages import ALIGNMENT, HUGE_FROM, HUGE_PAGE, prefaulted, raw_bytes

CPU = torch.device("cpu")


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
