from hypothesis import given, settings
from hypothesis import strategies as st

from tolaria.lifecycle.action import WAIT
from tolaria.policy.noop import NoopPolicy
from tolaria.policy.view import View


def test_nothing_is_ever_grown(any_view: st.SearchStrategy[View]) -> None:
    @settings(deadline=None)
    @given(any_view)
    def holds(view: View) -> None:
        assert NoopPolicy().decide(view) == WAIT

    holds()
