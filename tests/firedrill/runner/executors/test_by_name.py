import pytest

from firedrill.conduct import Conduct
from firedrill.runner.executors import by_name
from firedrill.runner.executors.executor import CannotExecute
from firedrill.runner.executors.local import Local


def test_the_command_line_offers_the_executors_of_the_table() -> None:
    assert set(Conduct.__annotations__["executor"].__args__) == set(by_name.EXECUTORS)


def test_by_default_a_machine_runs_a_cell_a_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 7)
    opened = by_name.executor_of("local", None)
    assert isinstance(opened, Local)
    assert opened.jobs == 7


def test_no_cell_at_a_time_is_refused() -> None:
    with pytest.raises(CannotExecute, match="--jobs 0"):
        by_name.executor_of("local", 0)


def test_what_is_not_installed_is_named_with_the_extra_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_jobs: int | None) -> Local:
        raise ModuleNotFoundError("No module named 'ray'", name="ray")

    monkeypatch.setitem(by_name.EXECUTORS, "ray", missing)
    with pytest.raises(CannotExecute, match=r"--executor ray needs ray, which is not installed: pip install 'tolaria\[ray\]'"):
        by_name.executor_of("ray", 2)
