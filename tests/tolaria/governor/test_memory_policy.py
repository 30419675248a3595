import pytest

from tolaria.governor.memory_policy import Placement, placement

# A state of 10, four copies of it in the host, a device of 100 of which 10 are the reserve.
STATE, ARENAS, DEVICE = 10, 4, 100


@pytest.mark.parametrize(
    ("device_free", "wanted", "mirrors"),
    [
        (100, Placement.TWO_MIRRORS, 2),
        (30, Placement.TWO_MIRRORS, 2),
        (29, Placement.ONE_MIRROR, 1),
        (20, Placement.ONE_MIRROR, 1),
        (19, Placement.PINNED, 0),
        (0, Placement.PINNED, 0),
    ],
)
def test_what_is_free_beyond_a_tenth_of_the_device_decides_on_mirrors(device_free: int, wanted: Placement, mirrors: int) -> None:
    found = placement(STATE, ARENAS, device_free, DEVICE, host_free=1000)
    assert (found, found.mirrors) == (wanted, mirrors)


@pytest.mark.parametrize(("host_free", "wanted"), [(45, Placement.TWO_MIRRORS), (44, Placement.PARAMETERS_ONLY)])
def test_optimizer_state_is_left_out_where_the_host_cannot_hold_every_copy(host_free: int, wanted: Placement) -> None:
    assert placement(STATE, ARENAS, DEVICE, DEVICE, host_free) is wanted


def test_without_optimizer_state_no_copy_is_kept_on_the_device() -> None:
    assert Placement.PARAMETERS_ONLY.mirrors == 0
