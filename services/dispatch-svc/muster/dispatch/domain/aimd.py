"""How fast a carrier is written to: additive increase, multiplicative decrease.

Every part that a carrier refuses for its rate is written again later, so a refusal costs both sides; and so does a
carrier that could take more. `tests/test_aimd.py` says by how much of either, for carriers of many kinds.
"""

import math
from typing import Final, NamedTuple

# An unlimited carrier that refuses for its rate is not faster than this.
UNLIMITED: Final = 100_000.0
# With less than this nobody would notice that the carrier takes messages again.
_FLOOR: Final = 20.0
# Some carriers refuse a few of all that they get, at whatever rate: no rate is slow enough for those.
_TOLERATED: Final = 0.02
# A bit below what the carrier took, which is its limit where it has one; never more at once than a storm is worth.
_BELOW: Final = 0.9
_FALL_MAX: Final = 0.25
# A step a second is a tenth of what the carrier took when all was well, and grows by a half for each second of calm:
# around a limit it is small, and after a storm all is as before within seconds.
_STEP: Final = 0.1
_STEP_GROWS_PER_S: Final = 0.5
_STEPS_MAX: Final = 20.0  # from the floor to any ceiling
# What was well is believed for a while: a storm of ten seconds halves the steps.
_FORGET_PER_S: Final = 0.94
_FORGET_S_MAX: Final = 2.0


class Pace(NamedTuple):
    """Parts a second. `current` may be written now, `ceiling` ever; `reach` was taken before the carrier refused some;
    `calm_s` have passed since it last did."""

    current: float
    ceiling: float
    reach: float
    calm_s: float = 0.0

    @property
    def floor(self) -> float:
        """What is written however much is refused."""
        return min(_FLOOR, self.ceiling / 2)


def unhindered(parts_per_second: int) -> Pace:
    """Of an account that has refused nothing yet; 0 parts a second: as fast as it answers."""
    ceiling = float(parts_per_second) or UNLIMITED
    return Pace(ceiling, ceiling, ceiling)


def is_sign(answers: int, refused: int) -> bool:
    """Whether so many refusals among so many answers say that the rate is too high."""
    return refused > answers * _TOLERATED


def risen(pace: Pace, seconds: float) -> Pace:
    """After so much calm. What is added depends on the calm alone, not on how often anybody looks; beyond what the
    carrier was ever known to take, steps grow with the rate."""
    calm_s = pace.calm_s + seconds
    steps = _STEP * (_steps(calm_s) - _steps(pace.calm_s))
    known = max(pace.current, pace.reach)
    current = pace.current + pace.reach * steps
    if current > known:
        beyond = steps - (known - pace.current) / pace.reach
        current = known * math.exp(min(beyond, _STEPS_MAX))
    return pace._replace(current=min(pace.ceiling, current), calm_s=calm_s)


def _steps(calm_s: float) -> float:
    return calm_s + calm_s * calm_s * _STEP_GROWS_PER_S / 2


def fallen(pace: Pace, written: float, taken_share: float, proven: float = 0.0) -> Pace:
    """After refusals: `written` parts a second were, of which this share was taken. `proven`: what was taken a second
    when nothing was refused last."""
    base = min(pace.current, max(written, pace.floor))
    share = min(_BELOW, max(_FALL_MAX, _BELOW * taken_share))
    # The ceiling of an unlimited carrier says nothing: what it took is all that is known.
    is_first = pace.current >= pace.ceiling == UNLIMITED
    known = proven if is_first else pace.reach * _FORGET_PER_S ** min(pace.calm_s, _FORGET_S_MAX)
    return Pace(max(pace.floor, base * share), pace.ceiling, max(pace.floor, base * taken_share, known))
