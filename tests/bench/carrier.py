"""What the carrier of a bench has seen: our simulator says so, of another our sender's own records do."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import httpx

SUBMITS = "muster_submits_total"


@dataclass(slots=True)
class Seen:
    """Submits so far and when the first and the last came, in seconds of this host's clock."""

    submits: int
    first_s: float
    last_s: float


class Carrier(Protocol):
    """Somebody who counts submits."""

    def reset(self) -> None:
        """Count from zero."""

    def seen(self, bulk_id: str) -> Seen:
        """What came since the reset, of the one send there was since then."""


class Simulator:
    """Our simulator, which counts and takes the time itself."""

    def __init__(self, control_url: str) -> None:
        self._control = httpx.Client(base_url=control_url, timeout=10.0)

    def reset(self) -> None:
        """Count from zero."""
        self._control.post("/reset").raise_for_status()

    def seen(self, bulk_id: str) -> Seen:
        """What the simulator has counted."""
        stats: Mapping[str, Any] = self._control.get("/stats", params={"destinations": 0}).raise_for_status().json()
        return Seen(stats["submits"], stats["t_first"] or 0.0, stats["t_last"] or 0.0)


class OwnCount:
    """A carrier that tells us nothing: our sender's count, and its intents, each of which is committed just before its
    window is written. Asked when all is over, so that asking costs the measured nothing."""

    def __init__(self, metrics_url: str, postgres: str) -> None:
        self._metrics = httpx.Client(timeout=10.0)
        self._url = metrics_url
        self._dispatch = urlunsplit(urlsplit(postgres)._replace(path="/dispatch"))
        self._start = 0

    def reset(self) -> None:
        """Count from zero."""
        self._start = self._count()

    def seen(self, bulk_id: str) -> Seen:
        """What the sender has written."""
        first_s, last_s = asyncio.run(self._times(bulk_id))
        return Seen(self._count() - self._start, first_s, last_s)

    async def _times(self, bulk_id: str) -> tuple[float, float]:
        connection = await asyncpg.connect(self._dispatch, timeout=10.0, command_timeout=30.0)
        try:
            row = await connection.fetchrow(
                "SELECT min((i->>1)::float8) AS first_s, max((i->>1)::float8) AS last_s "
                "FROM attempt a CROSS JOIN jsonb_array_elements(a.intents) AS i WHERE a.bulk_id = $1",
                bulk_id,
            )
        finally:
            await connection.close()
        assert row is not None
        return row["first_s"] or 0.0, row["last_s"] or 0.0

    def _count(self) -> int:
        text = self._metrics.get(self._url).raise_for_status().text
        return sum(int(float(line.split()[-1])) for line in text.splitlines() if line.startswith(SUBMITS))
