"""Real text without a download: the reference of the language that every CPython brings for its `help`."""

from functools import cache
from pydoc_data.topics import topics

from tolaria.host.host import Host
from tolaria.host.transformer_host import TransformerHost
from tolaria.tasks.task import Task
from tolaria.tasks.text import VOCABULARY, Reading, text_task

CONTEXT = 32


@cache
def pydoc_lm() -> Task:
    """The next character of Python's own manual, about 400,000 of them, for a small transformer."""
    return text_task("pydoc_lm", topics, Reading(CONTEXT, 32, 128), 16, 0.2, _build_host)


def _build_host(seed: int) -> Host:
    return TransformerHost(VOCABULARY, CONTEXT, width=32, depth=2, heads=4, seed=seed)
