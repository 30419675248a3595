"""Where the copies of a state on a device are kept, by how much memory there is."""

from enum import StrEnum

# This part of the device stays free for what training allocates later, and this part of the host for everybody else.
RESERVE = 0.10


class Placement(StrEnum):
    """From the fastest to the last resort. What is copied on the device first is untorn at once, and leaves it later."""

    TWO_MIRRORS = "two buffers on the device, then pinned memory"
    ONE_MIRROR = "one buffer on the device, then pinned memory"
    PINNED = "pinned memory only"
    PARAMETERS_ONLY = "pinned memory only, without optimizer state"

    @property
    def mirrors(self) -> int:
        """How many copies the device itself holds."""
        return {Placement.TWO_MIRRORS: 2, Placement.ONE_MIRROR: 1}.get(self, 0)

    def with_mirrors(self, left: int) -> "Placement":
        """What it has come to where the device had no room for all of its mirrors when they were needed."""
        return self if left >= self.mirrors else Placement.ONE_MIRROR if left else Placement.PINNED


def placement(state_bytes: int, pinned_bytes: int, device_free: int, device_total: int, host_free: int) -> Placement:
    """For a state of so many bytes, whose copies in the host take so many in all.

    A second buffer saves a take from waiting for the transfer before it. Where the host cannot hold whole states, optimizer
    state is left out; a rollback then begins it anew.
    """
    if pinned_bytes > (1.0 - RESERVE) * host_free:
        return Placement.PARAMETERS_ONLY
    spendable = device_free - RESERVE * device_total
    if spendable >= 2 * state_bytes:
        return Placement.TWO_MIRRORS
    return Placement.ONE_MIRROR if spendable >= state_bytes else Placement.PINNED


def pinned_size(bytes_asked: int) -> int:
    """What the allocator of pinned memory takes for so many bytes: the next power of two, which may be nearly twice as much."""
    return 1 << (bytes_asked - 1).bit_length() if bytes_asked else 0
