"""Imported by a fork server that will run many loops: whatever drives one, where its framework is installed, is loaded once."""

from contextlib import suppress
from importlib import import_module

from firedrill.runner.loops import MODULES

for module in MODULES.values():
    with suppress(ImportError):
        import_module(module)
