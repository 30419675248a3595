from firedrill.scenario.explain import explain
from firedrill.scenario.load import load

from .conftest import Write


def test_an_explanation_says_what_strikes_when_and_what_must_hold(write: Write) -> None:
    text = explain(load(write()))
    assert "A weight that becomes NaN must be noticed and undone." in text
    assert "2 hosts on spirals for 16 steps" in text
    assert (
        "tensor.set (value nan) on 1 random element of params: head.* at step 8 in environment 1, phase weights_updated: 1 time in all."
        in text
    )
    assert "     Simulated. Imitates an overflow" in text
    assert "detected (within 1, cause non_finite)" in text
    assert "Verdict: recovered" in text


def test_a_moment_after_an_event_and_a_lasting_one_are_told(write: Write) -> None:
    at = "event: snapshot_taken, occurrence: 2, plus_steps: 1, env: all, for_steps: forever"
    text = explain(load(write(("step: 8, env: 1", at))))
    assert (
        "at occurrence 2 of snapshot_taken, 1 step after in every environment, phase weights_updated and ever after: at least once" in text
    )


def test_a_scenario_without_faults_says_so(write: Write) -> None:
    path = write()
    text = path.read_text()
    begin, end = text.index("faults:"), text.index("expect:")
    path.write_text(text[:begin] + text[end:])
    assert "this is a run without faults" in explain(load(path))


def test_what_really_happens_is_told_from_what_is_simulated(write: Write) -> None:
    fault = 'do: tensor.set\n    target: {params: "head.*", pick: {count: 1}}\n    with: {value: nan}'
    assert "     Real. Imitates the kernel that is out of memory" in explain(load(write((fault, "do: proc.sigkill"))))
