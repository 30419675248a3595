"""Trusted snapshots of a watched loop on the disk, and the way back from there in another process."""

import warnings
from contextlib import ExitStack
from pathlib import Path

from tolaria.errors import CheckpointDamaged, ConfigError
from tolaria.governor.config import GovernorConfig
from tolaria.governor.rollback import check_usable, roll_back
from tolaria.governor.snapshots import Snapshot, SnapshotRing
from tolaria.integrations.loop_state import LoopState
from tolaria.seams import NO_TAPS
from tolaria.telemetry.event import Point
from tolaria.train import checkpoint, disk
from tolaria.train.manifest import Facts, Tensors

# Nothing is forgotten on the way back: the process ended, and not the model.
WHOLE = GovernorConfig(optimizer="restore")


class Vault:
    """The folder of one loop; nobody else writes into it until `close`, or until the process ends in whatever way."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held = ExitStack()
        try:
            disk.make_folder(folder)
        except (FileExistsError, NotADirectoryError):
            raise ConfigError("guard.persist", str(folder), "a folder, or a place where one can be made") from None
        self._held.enter_context(disk.held(folder))

    def store(self, snapshot: Snapshot) -> None:
        """Bring a snapshot to the disk, under the step at which it was taken; the two newest are kept."""
        sealed = snapshot.sealed()
        facts = {"step": sealed.step, "digest": sealed.digest, "facts": sealed.facts}
        checkpoint.write(self._folder, sealed.step, sealed.tensors, facts)

    def recall(self, state: LoopState) -> int | None:
        """Put a loop back to the newest snapshot that fits it, optimizer and all; returns its step, None where none was ever stored.

        Warns of each newer one that was passed over. Raises `CheckpointDamaged` where there are only such.
        """
        if not checkpoint.places(self._folder):
            return None
        step, remarks = checkpoint.read_newest(self._folder, lambda tensors, facts: _restored(state, tensors, facts))
        for remark in remarks:
            warnings.warn(f"an older snapshot was restored; {remark}", RuntimeWarning, stacklevel=3)
        return step

    def close(self) -> None:
        """Let go of the folder."""
        self._held.close()


def _restored(state: LoopState, tensors: Tensors, facts: Facts) -> int:
    ring = SnapshotRing(2, 0)
    try:
        step: int = facts["step"]
        head = {"number": 0, "step": step, "reason": "begin", "digest": facts["digest"], "facts": facts["facts"], "healthy_steps": 0}
        ring.restore({f"0/{name}": tensor for name, tensor in tensors.items()}, {"taken": 1, "published": [head]})
        check_usable(ring.published[0], state)
        # A rollback leaves a cut of the learning rate as it is; here it comes back with the rest.
        state.rate_scale = facts["facts"]["rate_scale"]
        roll_back(ring, state, Point(step), False, WHOLE, NO_TAPS)
    # It may be wrong in any way, and the older one is waiting.
    except Exception as error:
        raise CheckpointDamaged(f"it does not fit the model: {error}") from error
    return step
