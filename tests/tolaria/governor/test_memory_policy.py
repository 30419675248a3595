import pytest

from tolaria.governor.memory_policy import Placement, pinned_size, placement

# A state of 10, copies of it that take 40 of the host, a device of 100 of which 10 are the reserve.
STATE, PINNED, DEVICE = 10, 40, 100


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
    found = placement(STATE, PINNED, device_free, DEVICE, host_free=1000)
    assert (found, found.mirrors) == (wanted, mirrors)


@pytest.mark.parametrize(("host_free", "wanted"), [(45, Placement.TWO_MIRRORS), (44, Placement.PARAMETERS_ONLY)])
def test_optimizer_state_is_left_out_where_the_host_cannot_hold_every_copy(host_free: int, wanted: Placement) -> None:
    assert placement(STATE, PINNED, DEVICE, DEVICE, host_free) is wanted


def test_copies_may_take_all_of_the_host_but_a_tenth() -> None:
    assert placement(STATE, 45, DEVICE, DEVICE, host_free=50) is Placement.TWO_MIRRORS


def test_a_placement_is_told_in_words() -> None:
    assert [found.value for found in Placement] == [
        "two buffers on the device, then pinned memory",
        "one buffer on the device, then pinned memory",
        "pinned memory only",
        "pinned memory only, without optimizer state",
    ]


def test_without_optimizer_state_no_copy_is_kept_on_the_device() -> None:
    assert Placement.PARAMETERS_ONLY.mirrors == 0


@pytest.mark.parametrize(
    ("planned", "left", "wanted"),
    [
        (Placement.TWO_MIRRORS, 2, Placement.TWO_MIRRORS),
        (Placement.TWO_MIRRORS, 1, Placement.ONE_MIRROR),
        (Placement.TWO_MIRRORS, 0, Placement.PINNED),
        (Placement.ONE_MIRROR, 0, Placement.PINNED),
        (Placement.PINNED, 0, Placement.PINNED),
        (Placement.PARAMETERS_ONLY, 0, Placement.PARAMETERS_ONLY),
    ],
)
def test_a_mirror_that_found_no_room_is_counted_no_more(planned: Placement, left: int, wanted: Placement) -> None:
    assert planned.with_mirrors(left) is wanted


@pytest.mark.parametrize(("asked", "taken"), [(0, 0), (1, 1), (512, 512), (513, 1024), (6 << 30, 8 << 30)])
def test_pinned_memory_is_counted_as_its_allocator_gives_it(asked: int, taken: int) -> None:
    assert pinned_size(asked) == taken
