"""A scenario in words: what is trained, what strikes when, what must hold, and with what verdict."""

import inspect
from dataclasses import fields

from firedrill.faults.chance import Chance
from firedrill.faults.target import Pick, Target
from firedrill.faults.when import When
from firedrill.oracles.oracle import Oracle
from firedrill.scenario.cell import cells, parameters
from firedrill.scenario.scenario import PlannedFault, Scenario
from firedrill.scenario.subject import Subject


def explain(scenario: Scenario) -> str:
    """The whole scenario as a text of short paragraphs."""
    lines = [scenario.id, "", scenario.because, "", f"Trained: {_subject(scenario.subject)}"]
    lines += [f"  {_line(move.step, move.env)}: {move.op.value} {move.slot} {move.blueprint}".rstrip() for move in scenario.subject.script]
    lines += ["", "Strikes:" if scenario.faults else "Strikes: nothing; this is a run without faults."]
    for planned in scenario.faults:
        lines.append(f"  {planned.number}. {_fault(planned, scenario.subject.envs)}")
        lines.append(f"     {planned.fault.realism.capitalize()}. {_doc(type(planned.fault))}")
    lines += ["", "Must hold:"]
    width = max(len(_oracle(oracle)) for oracle in scenario.oracles)
    lines += [f"  {_oracle(oracle):{width}}  {_doc(type(oracle))}" for oracle in scenario.oracles]
    lines += ["", f"Verdict: {' or '.join(scenario.verdicts)}"]
    if scenario.known_gap:
        lines.append(f"Known gap, so red for now: {scenario.known_gap.verdict}, {scenario.known_gap.reason}")
    budget = scenario.budget
    lines += [f"Budget: {_count(budget.rollbacks, 'rollback')}, {budget.wall:g} s of wall time", "", "Cells:"]
    lines += [f"  {cell.id}" for cell in cells(scenario)]
    return "\n".join(lines)


def _subject(subject: Subject) -> str:
    hosts = _count(subject.envs, "host")
    return (
        f"{hosts} on {subject.task} for {_count(subject.steps, 'step')} of {subject.batches_per_step} batches, "
        f"controller {subject.policy}, optimizer {subject.optimizer}, seed {subject.seed}, "
        f"governor {'on' if subject.governor.enabled else 'OFF'}."
    )


def _fault(planned: PlannedFault, envs: int) -> str:
    given = ", ".join(f"{name} {value}" for name, value in parameters(planned.fault).items())
    target = f" on {_target(planned.target)}" if planned.target else ""
    strikes = planned.declared_strikes(envs)
    often = "at least once" if strikes is None else _count(strikes, "time")
    return f"{planned.fault.kind}{f' ({given})' if given else ''}{target} at {_moment(planned.at)}: {often} in all."


def _moment(at: When) -> str:
    if at.event:
        later = f", {_count(at.plus_steps, 'step')} after" if at.plus_steps else ", from there on"
        begin = f"occurrence {at.occurrence} of {at.event}{later}"
    elif at.condition:
        begin = f"{_count(at.plus_steps + 1, 'step')} after the first with {at.condition}"
    else:
        begin = f"step {at.step}"
    env = "every environment" if at.env == "all" else f"environment {at.env}"
    lasting = "" if at.for_steps == 1 else " and ever after" if at.for_steps == "forever" else f", for {at.for_steps} steps"
    return f"{begin} in {env}, phase {at.phase}{lasting}{_chance(at.chance)}"


def _chance(chance: Chance | None) -> str:
    if chance is None:
        return ""
    often = f"every {chance.mean_steps:g} steps on average" if chance.probability is None else f"with probability {chance.probability:g}"
    return f", {often}, at most {_count(chance.limit, 'time')} in each"


def _target(target: Target) -> str:
    pick = target.pick
    return f"{_elements(pick)} of {target}" if pick else f"all of {target}"


def _elements(pick: Pick) -> str:
    if pick.index is not None:
        return f"element {pick.index}"
    if pick.count is not None:
        return _count(pick.count, "random element")
    return f"a random share of {pick.fraction:g}, at least {pick.at_least},"


def _oracle(oracle: Oracle) -> str:
    given = ", ".join(f"{field.name} {value}" for field in fields(oracle) if (value := getattr(oracle, field.name)) is not None)
    return f"{oracle.kind} ({given})" if given else oracle.kind


def _doc(kind: type) -> str:
    return inspect.cleandoc(kind.__doc__ or "").split("\n\n")[0].replace("\n", " ")


def _line(step: int, env: int | None) -> str:
    return f"step {step}, {'every environment' if env is None else f'environment {env}'}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
