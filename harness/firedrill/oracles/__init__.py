"""The table of oracles, by the name that a scenario writes, and the bundles that stand for several."""

from firedrill.oracles.bystanders_untouched import BystandersUntouched
from firedrill.oracles.clean import Clean
from firedrill.oracles.climbed import Climbed
from firedrill.oracles.detected import Detected
from firedrill.oracles.deterministic import Deterministic
from firedrill.oracles.frugal import Frugal
from firedrill.oracles.idempotent import Idempotent
from firedrill.oracles.keys_matched import KeysMatched
from firedrill.oracles.lawful import Lawful
from firedrill.oracles.live import Live
from firedrill.oracles.optimizer_reset import OptimizerReset
from firedrill.oracles.oracle import Oracle
from firedrill.oracles.penalized import Penalized
from firedrill.oracles.quiet import Quiet
from firedrill.oracles.reaches import Reaches
from firedrill.oracles.recovered import Recovered
from firedrill.oracles.state_restored import StateRestored
from firedrill.oracles.told import Told
from firedrill.oracles.transparent import Transparent
from firedrill.oracles.twin import Twin
from firedrill.oracles.undisturbed import Undisturbed
from firedrill.oracles.witnessed import Witnessed

ORACLES: dict[str, type[Oracle]] = {
    "witnessed": Witnessed,
    "detected": Detected,
    "recovered": Recovered,
    "state_restored": StateRestored,
    "keys_matched": KeysMatched,
    "clean": Clean,
    "optimizer_reset": OptimizerReset,
    "penalized": Penalized,
    "bystanders_untouched": BystandersUntouched,
    "lawful": Lawful,
    "told": Told,
    "quiet": Quiet,
    "twin": Twin,
    "reaches": Reaches,
    "climbed": Climbed,
    "frugal": Frugal,
    "transparent": Transparent,
    "deterministic": Deterministic,
    "idempotent": Idempotent,
    "live": Live,
    "undisturbed": Undisturbed,
}

BUNDLES: dict[str, tuple[str, ...]] = {
    "core": ("witnessed", "state_restored", "keys_matched", "clean", "optimizer_reset", "penalized", "lawful", "told"),
}
