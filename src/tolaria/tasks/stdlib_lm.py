"""Ten times as much text without a download: the sources of the standard library."""

import sysconfig
import tokenize
from functools import cache
from pathlib import Path

from tolaria.errors import ConfigError
from tolaria.host.host import Host
from tolaria.host.transformer_host import TransformerHost
from tolaria.tasks.task import Task
from tolaria.tasks.text import VOCABULARY, Reading, text_task

CONTEXT = 64


@cache
def stdlib_lm() -> Task:
    """The next character of Python sources, some millions of them, for a transformer that a CPU can just train."""
    return text_task("stdlib_lm", sources(Path(sysconfig.get_path("stdlib"))), Reading(CONTEXT, 16, 128), 16, 0.2, _build_host)


def sources(folder: Path) -> dict[str, str]:
    """The modules that lie directly in a folder, by file name; packages are left out, with their tests and data."""
    found = {}
    for path in sorted(folder.glob("*.py")):
        with tokenize.open(path) as file:
            found[path.name] = file.read()
    if not found:
        raise ConfigError("task stdlib_lm", str(folder), "the sources of the standard library, which this Python came without")
    return found


def _build_host(seed: int) -> Host:
    return TransformerHost(VOCABULARY, CONTEXT, width=64, depth=3, heads=4, seed=seed)
