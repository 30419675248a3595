"""Whether the tests notice a mutant: a fork of this process runs them with the changed text in place of one module.

Nothing is written: the text is given to the import system from memory. What takes long to import is imported once, before the
fork; after it whatever knows the changed module is forgotten, so that every trial imports just that anew.
"""

import gc
import importlib.abc
import importlib.machinery
import importlib.util
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import CodeType, ModuleType

import hypothesis
import pytest

# What decides whether tests are run at all; a mutant cannot have caused it.
NO_TESTS = 5
EXAMPLES = 50
PLUGINS = ("pytest_timeout", "no:cacheprovider", "no:faulthandler", "no:unraisableexception")
OPTIONS = ("-x", "-q", "--tb=no", *(word for name in PLUGINS for word in ("-p", name)))
# hypothesis is imported before pytest could rewrite its asserts, of which nobody here wants to read more.
UNWRITTEN = ("-W", "ignore::pytest.PytestAssertRewriteWarning")


@dataclass(frozen=True, slots=True)
class Trial:
    """A text to stand in for a module while tests run, one group of files after the other, until one of them fails.

    `knowing` are the modules that import the changed one, however indirectly.
    """

    module: str
    path: Path
    code: str
    tests: tuple[tuple[str, ...], ...]
    knowing: frozenset[str]


def survivors(trials: Sequence[Trial], limit_s: float, jobs: int) -> Iterator[tuple[Trial, bool]]:
    """Run each trial and say whether all its tests passed; one that takes longer than the limit was noticed."""
    fork = multiprocessing.get_context("fork")
    # What was imported here is no garbage, and the forks need not look through it.
    gc.freeze()
    waiting, running = list(reversed(trials)), dict[Trial, tuple[BaseProcess, float]]()
    while waiting or running:
        while waiting and len(running) < jobs:
            trial = waiting.pop()
            begun = fork.Process(target=_run, args=(trial,))
            begun.start()
            running[trial] = begun, time.monotonic() + limit_s
        wait([process.sentinel for process, _ in running.values()], timeout=0.5)
        for trial, (process, deadline) in list(running.items()):
            if process.is_alive() and time.monotonic() < deadline:
                continue
            process.kill()
            process.join()
            del running[trial]
            if process.exitcode == NO_TESTS:
                raise RuntimeError(f"{trial.tests} hold no tests")
            yield trial, process.exitcode == 0


def _run(trial: Trial) -> None:
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    for name in {trial.module, *trial.knowing} & sys.modules.keys():
        del sys.modules[name]
    sys.meta_path.insert(0, _Finder(trial))
    # The same few examples for every mutant, none kept for later runs; the smallest failing one is of no interest.
    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
    hypothesis.settings.register_profile("mutation", max_examples=EXAMPLES, derandomize=True, database=None, deadline=None, phases=phases)
    hypothesis.settings.load_profile("mutation")
    # Loading the plugins of whatever is installed takes longer than most of the tests.
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    for group in trial.tests:
        status = int(pytest.main([*OPTIONS, *UNWRITTEN, *group]))
        if status:
            sys.exit(status)


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, trial: Trial) -> None:
        self._trial = trial

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._trial.module:
            return None
        loader = _Loader(fullname, str(self._trial.path), self._trial.code)
        return importlib.util.spec_from_file_location(fullname, self._trial.path, loader=loader)


class _Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, fullname: str, path: str, code: str) -> None:
        super().__init__(fullname, path)
        self._code = code

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._code, self.path, "exec")
