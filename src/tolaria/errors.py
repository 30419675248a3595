"""The errors that users of tolaria can meet, named for what happened."""


class TolariaError(Exception):
    """Everything that tolaria raises on purpose derives from this."""


class ConfigError(TolariaError):
    """Someone asked for the impossible: says where, what was found and what was expected."""

    def __init__(self, path: str, found: object, expected: str) -> None:
        super().__init__(f"{path}: found {found!r}, expected {expected}")
        self.path = path
        self.found = found
        self.expected = expected


class RollbackFailed(TolariaError):
    """No snapshot could be trusted or restored; the run stops, because stopped is better than wrong."""


class BudgetSpent(TolariaError):
    """A model was rolled back too often; it holds the last good snapshot, and whoever trains it has to stop."""


class GraphOutdated(TolariaError):
    """Backward through a graph that was built before a rollback; its gradients would belong to weights that are gone."""


class CheckpointDamaged(TolariaError):
    """A checkpoint on disk is incomplete, was changed since it was written, or does not belong to what it is to be restored into."""


class WorkerLost(TolariaError):
    """A process that did a part of the work has died; what it was doing is lost, and nothing that was stored before."""
