"""The subject `loop: package.module:factory`: a loop that somebody else wrote, imported and asked to build itself."""

import sys
from importlib import import_module
from pathlib import Path

from firedrill.subjects.drill import Drill, drive
from firedrill.subjects.loop import Factory, Loop, NoLoop
from firedrill.subjects.mechanisms import UNGUARDED


def train(drill: Drill) -> None:
    """Build the loop and step it to the end."""
    drive(built(drill), drill)


def built(drill: Drill) -> Loop:
    """What the factory returns; raises `NoLoop` where that is none."""
    setup = drill.setup
    loop = factory_of(setup.factory)(seed=setup.seed, device=setup.device, guarded=setup.mechanism != UNGUARDED, emit=drill.emit)
    # A protocol may be asked whether its members are there; that is what it is for.
    if not isinstance(loop, Loop):
        missing = sorted(name for name in MEMBERS if name not in dir(loop))
        raise NoLoop(f"{setup.factory} returned a {type(loop).__name__} without {', '.join(missing)}")
    return loop


def factory_of(reference: str) -> Factory:
    """The factory that a scenario names, looked for also where the command was given."""
    module, _, attribute = reference.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    factory: Factory | None = vars(import_module(module)).get(attribute)
    if not callable(factory):
        raise NoLoop(f"{module} has no {attribute} that could be called")
    return factory


MEMBERS = ("model", "optimizer", "scaler", "chance_loss", "batch", "loss", "backward", "step", "validate")
