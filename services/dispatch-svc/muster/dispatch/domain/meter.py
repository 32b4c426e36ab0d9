"""How fast a carrier takes parts, by what it took lately: the ground of promised finishes."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

# Long enough for a carrier that throttles to show what it takes on the whole, short enough to follow a change.
_SEEN_S: Final = 15.0
# A carrier changes while it is watched: its receipts begin to come, others join it.
_HALF_LIFE_S: Final = 4.0
_SURE_S_MIN: Final = 2.5
_EVEN_S_MIN: Final = 1.5
# The weight of a doubtful second where there are no others, by traces of real sends, and by how much such a rate may be
# wrong.
_DOUBTFUL: Final = 0.25
_DOUBT: Final = 0.5
_ODD_S_MIN: Final = 4.5
_REFUSED_MAX: Final = 0.25
# As many seconds' worth of an account's rate may be written at once: a sum over some seconds is short by up to that.
_AT_ONCE_S: Final = 0.5


class Sample(NamedTuple):
    """What became final within some time. `odd`: it does not go on like this; `doubtful`: perhaps it does not."""

    at: float
    parts: int
    seconds: float
    odd: bool
    doubtful: bool = False


class Taken(NamedTuple):
    """What a carrier takes; 0 where it is too soon to say. `doubt`: by which share of it that may be wrong."""

    parts_per_second: float
    doubt: float


NOTHING: Final = Taken(0.0, 1.0)


@dataclass(slots=True)
class Meter:
    """The parts a second that a carrier takes, by what it took lately. Times are monotonic s; hears of `parts` with a
    final outcome, and of those `refused` for their rate, which do not count.

    A time in which the queue ran empty (`hungry`) says little of what the carrier could take, nor does one in which it
    refused a good part, before the sender has found its rate: they count only while there is no other. Doubtful is the
    first second, in which all that was saved up is written and nothing is in the way, and any in which messages of a
    send are `arriving`: whoever takes them in is busy too, and there may be too few of them. Those count only until
    there are a few others, and what is told from them is in doubt.
    """

    parts: int = 0
    refused: int = 0
    hungry: bool = False
    arriving: bool = False
    _at: float = 0.0
    _first: bool = True
    _samples: "deque[Sample]" = field(default_factory=deque)

    def take(self, now: float, limit: int) -> Taken:
        """The rate as it is now; NOTHING where nothing was taken lately, or it is too soon to say. `limit`: the
        account's, 0 for none."""
        if self.hungry and not self.parts:
            self._samples.clear()  # at rest: what comes is another matter
            self._first = True
        elif self._at:
            odd = self.hungry or self.refused > _REFUSED_MAX * self.parts
            self._samples.append(Sample(now, self.parts, now - self._at, odd, self._first or self.arriving))
            self._first = self._first and not self.parts
        self._at, self.parts, self.refused, self.hungry, self.arriving = now, 0, 0, False, False
        while self._samples and self._samples[0].at < now - _SEEN_S:
            self._samples.popleft()
        return rate_of(self._samples, limit)


def rate_of(samples: Iterable[Sample], limit: int) -> Taken:
    """Parts a second after these samples, the latest of which count most; NOTHING while they are too few to say.
    `limit`: what the account may take, 0 for none."""
    every = list(samples)
    even = [one for one in every if not one.odd]
    if _seconds(even) >= _EVEN_S_MIN and _as_it_may(even, limit):
        return Taken(float(limit), 0.0)
    sure = [one for one in even if not one.doubtful]
    if _seconds(sure) >= _SURE_S_MIN:
        return Taken(_weighted(sure), _unevenness(sure))
    if _seconds(even) >= _EVEN_S_MIN:
        return Taken(_weighted(even), max(_DOUBT, _unevenness(even)))
    if _seconds(every) >= _ODD_S_MIN:
        return Taken(float(limit), 0.0) if _as_it_may(every, limit) else Taken(_weighted(every), _unevenness(every))
    return NOTHING


def _seconds(samples: list[Sample]) -> float:
    return sum(one.seconds for one in samples)


def _weighted(samples: list[Sample]) -> float:
    last = samples[-1].at
    weights: list[float] = [
        0.5 ** ((last - one.at) / _HALF_LIFE_S) * (_DOUBTFUL if one.doubtful else 1) for one in samples
    ]
    parts = sum(weight * one.parts for weight, one in zip(weights, samples, strict=True))
    return parts / sum(weight * one.seconds for weight, one in zip(weights, samples, strict=True))


def _unevenness(samples: list[Sample]) -> float:
    """By how much the later half of the samples differs from the earlier one, as a share of the larger."""
    half = len(samples) // 2
    rates = [sum(one.parts for one in some) / (_seconds(some) or 1.0) for some in (samples[:half], samples[half:])]
    return (max(rates) - min(rates)) / (max(rates) or 1.0)


def _as_it_may(samples: list[Sample], limit: int) -> bool:
    """Whether no less is taken than the account may take, but for what a sum may be short by."""
    return 0 < limit * (_seconds(samples) - _AT_ONCE_S) <= sum(one.parts for one in samples)
