"""Loops that are not ours, by their kinds: which module drives one, and what must be installed for it."""

from importlib import import_module
from importlib.util import find_spec

from firedrill.subjects.drill import Drill
from firedrill.subjects.loop import NotInstalled, Setup
from tolaria.seams import Taps
from tolaria.telemetry.history import History

# Imported when a cell needs one, because a framework takes seconds to load and may be missing. Each has a `train(drill)`.
MODULES = {
    "plain_loop": "firedrill.subjects.plain_loop",
    "lightning": "firedrill.subjects.lightning",
    "transformers": "firedrill.subjects.transformers",
    "loop": "firedrill.subjects.own_loop",
}
# Package and extra of the same name.
FRAMEWORKS = ("lightning", "transformers")


def train_loop(kind: str, setup: Setup, history: History, taps: Taps) -> None:
    """Train to the end, whatever that is; raises what the harness or the description of a loop did wrong."""
    if kind in FRAMEWORKS and find_spec(kind) is None:
        raise NotInstalled(f"{kind} is not installed: pip install 'tolaria[{kind}]' brings it")
    drill = Drill(setup, history, taps)
    ended: Exception | None = None
    try:
        import_module(MODULES[kind]).train(drill)
    except Exception as error:
        if drill.failure is not None or not drill.attached:
            raise
        ended = error
    drill.finish(ended)
