"""An environment by its name, ours and all that gymnasium knows, with a sentence where it cannot be had."""

import difflib
from collections.abc import Callable
from typing import Any

import gymnasium

from tolaria.environments import registered
from tolaria.errors import ConfigError


def maker(name: str) -> Callable[[], gymnasium.Env[Any, Any]]:
    """What makes copies of the environment; it is made once to see that it can be. Raises `ConfigError`."""

    module, colon, rest = name.partition(":")
    if colon and (":" in rest or not all(part.isidentifier() for part in module.split("."))):
        raise ConfigError("env", name, "a name that gymnasium knows, or MODULE:NAME with a module that can be imported")

    def make() -> gymnasium.Env[Any, Any]:
        return gymnasium.make(name, disable_env_checker=True)

    try:
        make().close()
    except gymnasium.error.UnregisteredEnv as error:
        known = [*registered.NAMES, *gymnasium.registry]
        near = difflib.get_close_matches(name, known, n=3) or ["CartPole-v1", *registered.NAMES]
        raise ConfigError("env", name, f"a name that gymnasium knows, such as {', '.join(near)}") from error
    except (gymnasium.error.Error, ImportError) as error:
        raise ConfigError("env", name, f"an environment that can be made here; gymnasium says: {error}") from error
    return make
