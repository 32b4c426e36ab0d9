"""What the carrier of a bench has seen: our simulator by its control address, another by our sender's own count."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

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

    def look(self) -> Seen:
        """What was seen since the reset. Called often while a bench runs."""


class Simulator:
    """Our simulator, which counts and takes the time itself."""

    def __init__(self, control_url: str) -> None:
        self._control = httpx.Client(base_url=control_url, timeout=10.0)

    def reset(self) -> None:
        """Count from zero."""
        self._control.post("/reset").raise_for_status()

    def look(self) -> Seen:
        """What the simulator has counted."""
        stats: Mapping[str, Any] = self._control.get("/stats", params={"destinations": 0}).raise_for_status().json()
        return Seen(stats["submits"], stats["t_first"] or 0.0, stats["t_last"] or 0.0)


class OwnCount:
    """A carrier that tells us nothing: our sender's metric, watched while the bench runs."""

    def __init__(self, metrics_url: str) -> None:
        self._metrics = httpx.Client(timeout=10.0)
        self._url = metrics_url
        self.reset()

    def reset(self) -> None:
        """Count from zero."""
        self._start = self._count()
        self._seen = Seen(0, 0.0, 0.0)

    def look(self) -> Seen:
        """What the sender has counted, with the times of the looks at which the count moved."""
        now, count = time.time(), self._count() - self._start
        if count > self._seen.submits:
            self._seen = Seen(count, self._seen.first_s or now, now)
        return self._seen

    def _count(self) -> int:
        text = self._metrics.get(self._url).raise_for_status().text
        return sum(int(float(line.split()[-1])) for line in text.splitlines() if line.startswith(SUBMITS))
