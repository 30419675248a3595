import pytest

from tolaria.environments.named import maker
from tolaria.errors import ConfigError


def test_copies_are_made_of_what_is_known() -> None:
    make = maker("tolaria/TMaze-v0")
    assert make() is not make()


@pytest.mark.parametrize(
    ("name", "near"), [("CartPol-v1", "CartPole-v1"), ("tolaria/Tmaze-v0", "tolaria/TMaze-v0"), ("xyz-v0", "CartPole-v1")]
)
def test_a_name_that_is_not_known_is_answered_with_one_that_is(name: str, near: str) -> None:
    with pytest.raises(ConfigError, match=f"such as .*{near}"):
        maker(name)


def test_what_is_not_installed_is_said() -> None:
    with pytest.raises(ConfigError, match=r"gymnasium says: .*"):
        maker("LunarLander-v3")
