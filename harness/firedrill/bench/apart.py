"""Contestants in processes of their own, of which one works at a time."""

import multiprocessing
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from multiprocessing.connection import Connection

import torch

from firedrill.bench.clock import Sample
from firedrill.bench.interleave import Contestant

# Builds what a process times; it is sent there, so it is a function of a module, or a partial of one.
Build = Callable[[], Mapping[str, Contestant]]


@contextmanager
def apart(builds: Mapping[str, Build]) -> Iterator[dict[str, Callable[[], Sample]]]:
    """Whatever these build, by its name, to be sampled from here; the processes end with the context."""
    # One that forks has loaded torch and done nothing else: all begin alike, with untouched memory.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["firedrill.bench.cases"])
    with ExitStack() as stack:
        found: dict[str, Callable[[], Sample]] = {}
        for name, build in builds.items():
            here, there = context.Pipe()
            process = context.Process(target=_serve, args=(there, build), name=name, daemon=True)
            process.start()
            there.close()
            stack.callback(process.join)
            stack.callback(here.close)
            names: tuple[str, ...] = here.recv()
            found |= {each: partial(_sampled, here, each) for each in names}
        yield found


def _sampled(connection: Connection, name: str) -> Sample:
    connection.send(name)
    taken: Sample = connection.recv()
    return taken


def _serve(connection: Connection, build: Build) -> None:
    torch.set_num_threads(1)
    contestants = build()
    connection.send(tuple(contestants))
    while True:
        try:
            name = connection.recv()
        except EOFError:
            return
        connection.send(contestants[name].sampled())
