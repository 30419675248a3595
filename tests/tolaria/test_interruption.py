import os
import signal

import pytest

from tolaria.interruption import interruptible


def test_the_first_time_is_a_wish_and_the_second_is_done() -> None:
    told = []
    with interruptible(lambda: told.append("heard")) as interruption:
        assert not interruption.is_requested()
        os.kill(os.getpid(), signal.SIGINT)
        assert interruption.is_requested()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert told == ["heard"]


def test_the_handler_of_before_comes_back_also_after_an_error() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ZeroDivisionError), interruptible(lambda: None):
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGINT) is before
