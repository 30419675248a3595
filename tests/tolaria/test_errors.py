import pytest

from tolaria.errors import CheckpointDamaged, ConfigError, RollbackFailed, TolariaError


def test_a_config_error_says_where_what_was_found_and_what_was_expected() -> None:
    assert str(ConfigError("governor.window", 2, "at least 5 steps")) == "governor.window: found 2, expected at least 5 steps"


@pytest.mark.parametrize("error", [ConfigError("a", 1, "b"), RollbackFailed(), CheckpointDamaged()], ids=lambda error: type(error).__name__)
def test_every_error_is_caught_as_one_of_ours(error: Exception) -> None:
    assert isinstance(error, TolariaError)
