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


@pytest.mark.parametrize("name", [":", ":X-v0", "a:b:X-v0", ".:X-v0", "a b:X-v0"])
def test_a_name_that_names_no_module_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="or MODULE:NAME with a module that can be imported"):
        maker(name)


def test_a_module_that_cannot_be_imported_is_told_of() -> None:
    with pytest.raises(ConfigError, match=r"gymnasium says: No module named 'nosuch'\."):
        maker("nosuch:X-v0")


def test_a_module_is_imported_first() -> None:
    assert maker("tolaria.environments.registered:tolaria/TMaze-v0")().unwrapped.spec is not None


def test_what_is_not_installed_is_said() -> None:
    with pytest.raises(ConfigError, match=r"gymnasium says: .*"):
        maker("LunarLander-v3")
