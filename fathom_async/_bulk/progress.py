"""How far a run has come."""

from collections.abc import Callable

import attrs


@attrs.frozen
class Progress:
    """How far a run has come.

    Attributes:
        queries: Queries in all.
        done: Those that have an outcome.
        failed: Those of them that failed.
        kept: Those of them that were answered from the store.
        requests: Requests that the run sends in all, as far as is known now; retries are not counted.
        answered: Those of them that are over.
        seconds_left: Until the last request is admitted, by the lane's own account.
    """

    queries: int
    done: int = 0
    failed: int = 0
    kept: int = 0
    requests: int = 0
    answered: int = 0
    seconds_left: float = 0.0

    @property
    def is_over(self) -> bool:
        """Whether every query has its outcome."""
        return self.done == self.queries


OnProgress = Callable[[Progress], None]
"""Is called at the start and whenever something is over, in the event loop; it must be quick."""
