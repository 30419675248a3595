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


def placement(state_bytes: int, arenas: int, device_free: int, device_total: int, host_free: int) -> Placement:
    """For a state of so many bytes, of which the host keeps so many copies.

    A second buffer saves a take from waiting for the transfer before it. Where the host cannot hold whole states, optimizer
    state is left out; a rollback then begins it anew.
    """
    if arenas * state_bytes > (1.0 - RESERVE) * host_free:
        return Placement.PARAMETERS_ONLY
    spendable = device_free - RESERVE * device_total
    if spendable >= 2 * state_bytes:
        return Placement.TWO_MIRRORS
    return Placement.ONE_MIRROR if spendable >= state_bytes else Placement.PINNED
