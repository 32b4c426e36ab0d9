"""Who reads a stream of events just now: a limit for each tenant and for all."""

from collections import Counter
from typing import Final
from uuid import UUID

from muster.kit.problems import Problem, unavailable

_RETRY_S: Final = 5


class Readers:
    """Counts the streams that are open."""

    def __init__(self, *, tenant_max: int, all_max: int) -> None:
        self._tenant_max = tenant_max
        self._all_max = all_max
        self._open: Counter[UUID] = Counter()

    def check(self, tenant_id: UUID) -> None:
        """Problem where one more is too many."""
        if self._open[tenant_id] >= self._tenant_max:
            detail = f"At most {self._tenant_max} streams of events at once."
            problem = Problem(429, "too_many_streams", "Too many streams", detail, limit=self._tenant_max)
            raise problem.with_headers({"Retry-After": str(_RETRY_S)})
        if self._open.total() >= self._all_max:
            raise unavailable("too_many_streams", "Too many streams of events are open.", _RETRY_S)

    def enter(self, tenant_id: UUID) -> None:
        """A stream begins."""
        self._open[tenant_id] += 1

    def leave(self, tenant_id: UUID) -> None:
        """A stream has ended, however it did."""
        self._open -= Counter((tenant_id,))
