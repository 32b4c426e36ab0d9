"""Whether a send should pause itself: too many of its last outcomes are refusals or failures. Pure."""

from dataclasses import dataclass
from typing import Final

# The window holds so many times as many outcomes as are needed to judge; then older ones count half.
_WINDOWS: Final = 5


@dataclass(frozen=True, slots=True)
class Limits:
    """Above `percent_max` bad ones among the last outcomes, of which there must be `judged_min`, a send ails."""

    percent_max: int
    judged_min: int


@dataclass(frozen=True, slots=True)
class Health:
    """The last outcomes of a send, older ones weighing less."""

    good: int = 0
    bad: int = 0


def after(health: Health, good: int, bad: int, limits: Limits) -> Health:
    """With these outcomes. A long good past does not hide what happens now: it weighs no more than a window."""
    good, bad = health.good + good, health.bad + bad
    while good + bad > _WINDOWS * limits.judged_min:
        good, bad = good // 2, bad // 2
    return Health(good, bad)


def ails(health: Health, limits: Limits) -> bool:
    """Whether too many of them are bad. A limit of 100 is never exceeded."""
    judged = health.good + health.bad
    return judged >= limits.judged_min and health.bad * 100 > limits.percent_max * judged
