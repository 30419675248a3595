"""The table of all events of tolaria, by the name under which they are written."""

import re
from collections.abc import Iterable
from dataclasses import fields

from tolaria.telemetry.event import Event
from tolaria.telemetry.governor_events import (
    Collapsed,
    EnvironmentRetired,
    PenaltyDelivered,
    RolledBack,
    SnapshotRefused,
    SnapshotTaken,
    SnapshotTrusted,
    SnapshotWithdrawn,
    Suspected,
    UpdateGated,
)
from tolaria.telemetry.growth_events import (
    ActionRefused,
    AlphaSearched,
    FossilMeasured,
    RewardExplained,
    SeedsValued,
    SlotRestored,
    StageChanged,
)
from tolaria.telemetry.run_events import (
    EpisodeFinished,
    GrowthFrozen,
    PolicyRestored,
    RolloutFinished,
    RunAborted,
    RunFinished,
    RunStarted,
    StepFinished,
    StorageFailed,
    UpdateFinished,
    WarmStarted,
)

# Every line has these keys, so no event may have such a field.
ENVELOPE = ("seq", "event")


def kind_of(event: type[Event]) -> str:
    """The name of an event on its line: RolledBack is "rolled_back"."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", event.__name__).lower()


def tabulate(events: Iterable[type[Event]]) -> dict[str, type[Event]]:
    """A table of events that the codec can read; `EVENT_KINDS | tabulate(more)` extends one."""
    table: dict[str, type[Event]] = {}
    for event in events:
        assert kind_of(event) not in table, f"two events are called {kind_of(event)}"
        assert not {field.name for field in fields(event)} & set(ENVELOPE), f"{event.__name__} has a field of the envelope"
        table[kind_of(event)] = event
    return table


EVENT_KINDS: dict[str, type[Event]] = tabulate(
    (
        RunStarted,
        StepFinished,
        EpisodeFinished,
        WarmStarted,
        RolloutFinished,
        UpdateFinished,
        PolicyRestored,
        GrowthFrozen,
        StorageFailed,
        RunFinished,
        RunAborted,
        StageChanged,
        SlotRestored,
        ActionRefused,
        AlphaSearched,
        FossilMeasured,
        SeedsValued,
        RewardExplained,
        SnapshotTaken,
        SnapshotTrusted,
        SnapshotRefused,
        SnapshotWithdrawn,
        UpdateGated,
        Suspected,
        Collapsed,
        RolledBack,
        PenaltyDelivered,
        EnvironmentRetired,
    )
)
