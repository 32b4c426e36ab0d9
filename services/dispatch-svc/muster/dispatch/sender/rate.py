"""How many parts may be written now: the carrier's rate, halved when it says that it is too much."""

from typing import Final

# An unlimited carrier that throttles is not faster than this.
_UNLIMITED: Final = 100_000.0
# A storm is soon over; and some carriers refuse a share of all that they get, at whatever rate.
_RISE_PER_S: Final = 1.25
_RATE_MIN: Final = 20.0
# One storm of refusals is one sign, however many answers it has.
_HALVE_EVERY_S: Final = 0.5
WINDOW_S: Final = 0.5


class Rate:
    """Parts a second, adapting. `parts_per_second` 0 means: as fast as the carrier answers. Times are monotonic s."""

    def __init__(self, parts_per_second: int, now: float) -> None:
        self._ceiling = float(parts_per_second) or _UNLIMITED
        self.current = self._ceiling
        self._saved = self.current * WINDOW_S
        self._at = now
        self._halved_at = now - _HALVE_EVERY_S
        self._sent_at = now
        self._sent = 0.0

    def allowance(self, now: float) -> int:
        """How many parts may be written now; at most half a second's worth."""
        elapsed = max(0.0, now - self._at)
        self._at = now
        self.current = min(self._ceiling, self.current * _RISE_PER_S**elapsed)
        self._saved = min(self._saved + elapsed * self.current, max(1.0, self.current * WINDOW_S))
        return int(self._saved)

    def wait_s(self, parts: int) -> float:
        """How long until so many parts may be written (at most a window's worth)."""
        return max(0.0, (min(parts, self.current * WINDOW_S) - self._saved) / self.current)

    def spend(self, parts: int, now: float) -> None:
        """So many were written."""
        self._saved -= parts
        if now - self._sent_at > 1.0:
            self._sent_at, self._sent = now, 0.0
        self._sent += parts

    def throttled(self, now: float) -> None:
        """The carrier refused some for their rate."""
        if now - self._halved_at < _HALVE_EVERY_S:
            return
        self._halved_at = now
        seen = self._sent / max(now - self._sent_at, 0.1)
        self.current = max(_RATE_MIN, min(self.current, max(seen, _RATE_MIN)) / 2)
        self._saved = min(self._saved, 0.0)
