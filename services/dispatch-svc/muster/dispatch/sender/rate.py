"""How many parts may be written now: the carrier's rate, lowered when it says that it is too much (domain/aimd.py)."""

from typing import Final

from muster.dispatch.domain import aimd
from muster.dispatch.domain.aimd import UNLIMITED

_WINDOW_S: Final = 0.5
# A carrier that refuses for its rate often counts by the tenth of a second: a burst is refused at a fifth of its limit.
_CAREFUL_S: Final = 0.05
_SAVED_S: Final = 0.1
# Answers are judged together: one alone says nothing of a share.
_JUDGE_S: Final = 0.25
_PROVE_S: Final = 1.0
_SENT_S: Final = 1.0


class Rate:
    """Parts a second, adapting. `parts_per_second` 0 means: as fast as the carrier answers. Times are monotonic s."""

    def __init__(self, parts_per_second: int, now: float) -> None:
        self._pace = aimd.unhindered(parts_per_second)
        self._saved = self.current * _WINDOW_S
        self._at = self._judged_at = self._sent_at = self._proved_at = now
        self._fell_at = float("-inf")
        self._sent_before = self._proven = 0.0
        self._sent = self._answers = self._refused = self._well = 0

    @property
    def current(self) -> float:
        """Parts a second that may be written now."""
        return self._pace.current

    @property
    def limit(self) -> int:
        """The same as people are told it; 0 where there is none."""
        return 0 if self.current >= UNLIMITED else round(self.current)

    @property
    def _careful(self) -> bool:
        """Whether the carrier has refused for its rate, and is not written to as fast as agreed again yet."""
        return self._pace.current < self._pace.ceiling

    @property
    def at_once(self) -> int:
        """So many parts are let gather before they are written: an intent for a few costs as much as one for many."""
        return int(self.current * (_CAREFUL_S if self._careful else _WINDOW_S))

    def allowance(self, now: float) -> int:
        """How many parts may be written now; at most half a second's worth."""
        elapsed = max(0.0, now - self._at)
        self._at = now
        if self._careful:
            self._pace = aimd.risen(self._pace, elapsed)
        if now - self._judged_at >= _JUDGE_S:
            self._judge(now)
        saved_s = _SAVED_S if self._careful else _WINDOW_S
        self._saved = min(self._saved + elapsed * self.current, max(1.0, self.current * saved_s))
        return int(self._saved)

    def spend(self, parts: int, now: float) -> None:
        """So many were written."""
        self._saved -= parts
        elapsed = now - self._sent_at
        if elapsed > _SENT_S:
            self._sent_before = self._sent / elapsed if elapsed < 2 * _SENT_S else 0.0
            self._sent_at, self._sent = now, 0
        self._sent += parts

    def _written(self, now: float) -> float:
        """Parts a second that were written lately."""
        elapsed = now - self._sent_at
        if elapsed < _SENT_S / 2 and self._sent_before:
            return self._sent_before
        return self._sent / max(elapsed, 0.1)

    def answered(self, answers: int, refused: int, written_at: float) -> None:
        """The carrier answered so many of what was written then, and refused some of them for their rate."""
        if written_at >= self._fell_at:  # one storm is one sign: what was written before it was seen says no more
            self._answers += answers
            self._refused += refused

    def _judge(self, now: float) -> None:
        answers, refused = self._answers, self._refused
        self._answers = self._refused = 0
        self._judged_at = now
        if not aimd.is_sign(answers, refused):
            self._prove(answers, now)
            return
        self._fell_at = self._proved_at = now
        self._well = 0
        self._pace = aimd.fallen(self._pace, self._written(now), 1 - refused / answers, self._proven)
        self._saved = min(self._saved, 0.0)

    def _prove(self, answers: int, now: float) -> None:
        self._well += answers
        if now - self._proved_at >= _PROVE_S:
            self._proven = self._well / (now - self._proved_at)
            self._proved_at, self._well = now, 0
