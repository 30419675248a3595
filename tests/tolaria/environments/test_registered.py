import subprocess
import sys
import warnings

import gymnasium
import pytest
from gymnasium.utils.env_checker import check_env

from tolaria.environments import ENVIRONMENTS, registered


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_gymnasium_makes_and_accepts_every_environment(name: str) -> None:
    assert name in registered.NAMES
    env = gymnasium.make(name)
    with warnings.catch_warnings():
        # Ours have one way to be made, and the checker says that it looked at no other.
        warnings.filterwarnings("ignore", message=".*not able to test alternative render modes.*")
        check_env(env.unwrapped, skip_render_check=True)
    env.close()


def test_the_name_of_a_module_finds_them_too() -> None:
    code = "import gymnasium; print(gymnasium.make('tolaria.environments.registered:tolaria/TMaze-v0', corridor=3).unwrapped.corridor)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "3\n"
