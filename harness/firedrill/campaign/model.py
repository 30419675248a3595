"""The governor and the lives of slots once more, in plain numbers: what a state machine compares the real ones with.

It is written from the promises and imports nothing of what it is compared with. A host's weights are a mere number here, the
step that they come from; whether real weights are those of the snapshot that this model names is for the comparison to see.
"""

from dataclasses import dataclass, field, replace

GROWN = {
    ("dormant", "germinate"): "germinated",
    ("germinated", "advance"): "training",
    ("training", "advance"): "blending",
    ("blending", "advance"): "holding",
    ("holding", "retarget"): "blending",
    ("holding", "fossilize"): "fossilized",
    ("germinated", "prune"): "pruned",
    ("training", "prune"): "pruned",
    ("blending", "prune"): "pruned",
    ("holding", "prune"): "pruned",
}
# What time does to an empty slot, and after how many steps.
RESTED = {"pruned": ("embargoed", 1), "embargoed": ("resetting", 5), "resetting": ("dormant", 1)}
EXPERIMENTAL = frozenset({"germinated", "training", "blending", "holding"})
# So often one snapshot is tried.
TRIES = 2
# A host that lost a seed it leaned on is compared with what it was right after, until so many steps were clean; so many steps
# in a row that are far worse than that are a collapse.
CLEAN_ENOUGH = 10
WORSE_IN_A_ROW = 2


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot: `leaning` says that the host hears its seed."""

    stage: str = "dormant"
    generation: int = 0
    waited: int = 0
    leaning: bool = False

    def moved(self, move: str) -> "Slot | None":
        """After a move, or None where there is no such move."""
        after = GROWN.get((self.stage, move))
        if after is None:
            return None
        return Slot(after, self.generation + (move == "germinate"), 0, self.leaning and move != "prune")

    def ticked(self) -> "Slot":
        """One step later."""
        if self.stage in RESTED:
            after, dwell = RESTED[self.stage]
            if self.waited + 1 < dwell:
                return replace(self, waited=self.waited + 1)
            return Slot(after, self.generation)
        return replace(self, leaning=self.leaning or self.stage == "blending")


@dataclass(frozen=True, slots=True)
class Kept:
    """A snapshot: its number, its step, how many healthy steps came since, and the slots as they stood."""

    number: int
    step: int
    first: bool
    slots: dict[str, Slot]
    healthy: int = 0


@dataclass(frozen=True, slots=True)
class Settings:
    """What the model needs of a governor's configuration."""

    every: int
    kept: int
    probation: int
    strikes: int
    budget: int
    budget_window: int
    relapse: int
    grace: int


@dataclass(frozen=True, slots=True)
class Said:
    """What one step came to. `restored` is the number of a snapshot, `taken` that of a new one; `stopped`: nothing could be restored."""

    standing: str
    taken: int | None = None
    refused: bool = False
    restored: int | None = None
    attempts: int = 0
    pruned: frozenset[str] = frozenset()
    retired: bool = False
    stopped: bool = False


@dataclass(slots=True)
class Model:
    """One environment."""

    settings: Settings
    slots: dict[str, Slot]
    step: int = 0
    ring: list[Kept] = field(default_factory=list)
    taken: int = 0
    streak: int = 0
    grace: int = 0
    life: int = 0
    clean: int = 0
    compared: bool = False
    worse: int = 0
    rollbacks: list[int] = field(default_factory=list)

    def begin(self) -> None:
        """There is a good snapshot before the first step."""
        self._take(first=True)

    def move(self, slot: str, move: str) -> bool:
        """Make a move; False where there is none and nothing changed."""
        after = self.slots[slot].moved(move)
        if after is None:
            return False
        self.slots[slot] = after
        return True

    def healthy(self, committed: bool, copying_fails: bool) -> Said:
        """A step without an alarm. `committed`: a seed was committed in it; `copying_fails`: whoever takes a snapshot now gets an error."""
        self._tick()
        self.grace = max(0, self.grace - 1)
        self.streak = self.worse = 0
        self.clean += 1
        self.compared = self.compared and self.clean < CLEAN_ENOUGH
        self.ring = [replace(snapshot, healthy=snapshot.healthy + 1) for snapshot in self.ring]
        due = self.step - self.ring[0].step >= self.settings.every and self._has_room()
        if not (committed or due):
            return Said("healthy")
        if copying_fails:
            return Said("healthy", refused=True)
        return Said("healthy", taken=self._take())

    def exploded(self, failures: int) -> Said:
        """A step with a loss far too high; so many copies of a rollback fail, if one comes."""
        self._tick()
        recovering = self.grace > 0
        self.grace = max(0, self.grace - 1)
        self.streak += not recovering
        self.worse += self.compared
        if self.worse >= WORSE_IN_A_ROW or (not recovering and self.streak >= self.settings.strikes):
            return self._recover(failures)
        return Said("suspect")

    def poisoned(self, failures: int) -> Said:
        """A step after which something is not finite, which is a collapse always."""
        self._tick()
        self.grace = max(0, self.grace - 1)
        return self._recover(failures)

    def trusted(self) -> list[Kept]:
        """The snapshots that a rollback may use, newest first."""
        return [snapshot for snapshot in self.ring if snapshot.first or snapshot.healthy >= self.settings.probation]

    def _tick(self) -> None:
        self.slots = {name: slot.ticked() for name, slot in self.slots.items()}
        self.step += 1

    def _has_room(self) -> bool:
        return len(self.ring) < self.settings.kept or len(self.trusted()) > 1

    def _take(self, first: bool = False) -> int:
        if len(self.ring) == self.settings.kept:
            trusted = self.trusted()
            # The oldest that can be spared; the newest trusted one never can, and then the youngest candidate gives way.
            self.ring.remove(trusted[-1] if len(trusted) > 1 else self.ring[0])
        self.ring.insert(0, Kept(self.taken, self.step, first, dict(self.slots)))
        self.taken += 1
        return self.ring[0].number

    def _recover(self, failures: int) -> Said:
        recent = [step for step in self.rollbacks if self.step - step < self.settings.budget_window]
        candidates = self.trusted()
        if self.rollbacks and self.step - self.rollbacks[-1] <= self.settings.relapse:
            candidates = [*candidates[1:], candidates[0]]
        if failures >= TRIES * len(candidates):
            return Said("collapsed", stopped=True)
        chosen = candidates[failures // TRIES]
        self.ring = [snapshot for snapshot in self.ring if snapshot.number <= chosen.number]
        pruned: set[str] = set()
        leaned = False
        # An attempt that failed has rewound the topology already; what it took away is gone, unless a later one brings it back.
        for tried in candidates[: failures // TRIES + 1]:
            taken, restored, has_leaned = self._rewind(tried)
            pruned = pruned - restored | taken
            leaned = leaned or has_leaned
        self.rollbacks = [*recent, self.step]
        self.streak = self.worse = 0
        self.life += 1
        self.grace = self.settings.grace if leaned else 0
        self.compared = self.compared or leaned
        self.clean = 0 if leaned else self.clean
        retired = len(self.rollbacks) >= self.settings.budget
        return Said("collapsed", restored=chosen.number, attempts=failures + 1, pruned=frozenset(pruned), retired=retired)

    def _rewind(self, chosen: Kept) -> tuple[set[str], set[str], bool]:
        """Commits since the snapshot are undone, and whatever still grows is pruned; slots that rest go on resting.

        The slots that were pruned, those that are as the snapshot has them again, and whether anything was leaned on.
        """
        pruned: set[str] = set()
        restored: set[str] = set()
        leaned = False
        for name, live in self.slots.items():
            saved = chosen.slots[name]
            state = live
            if "fossilized" in {live.stage, saved.stage}:
                state = replace(saved, generation=max(live.generation, saved.generation))
                restored.add(name)
            if state.stage in EXPERIMENTAL:
                state = Slot("pruned", state.generation)
                pruned.add(name)
            leaned = leaned or ((live.leaning or saved.leaning) and state.stage != "fossilized")
            self.slots[name] = state
        return pruned, restored, leaned
