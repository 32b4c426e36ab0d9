"""How a carrier account fares, by what is counted of it, and what share of its messages it gets because of that. Pure.

An account that is not connected for a while, or of which too many of the last outcomes failed by its own fault, gets
nothing. Once it is connected again, or has rested, it gets a little of what is meant for it, and ever more while all
goes well: what failed under load fails again under a little of it, and costs little then. Each relapse rests longer.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from muster.dispatch.domain.routing import WHOLE

# Shares on the way back, each for a step; then the whole.
_SHARES: Final = (10, 25, 50)
_RELAPSES_MAX: Final = 10
# The window holds so many times as many outcomes as are needed to judge; then older ones count half.
_WINDOWS: Final = 5
# Answers about the message, which any carrier would give (SMPP 3.4, 5.1.3): its length, its type of number, the sender,
# the number, the parameters. In vendors' ranges and beyond it is the carrier's own affair.
_OF_THE_MESSAGE: Final = frozenset(
    (0x01, 0x02, 0x0A, 0x0B, 0x33, 0x40, 0x42, 0x43, 0x48, 0x49, 0x50, 0x51, 0x53, 0x61, 0x62, 0xC1)
)


class Why(StrEnum):
    """Why an account gets less than all of its share."""

    WELL = ""
    DOWN = "down"
    ERRORS = "errors"


@dataclass(frozen=True, slots=True)
class Limits:
    """`down_s`: without a connection for so long it is down. Above `percent_max` failures among the last outcomes, of
    which there must be `judged_min`, it fails. It rests `rest_s`, twice as long after each relapse, at most
    `rest_s_max`; each share on the way back lasts `step_s`. 100 percent are never exceeded."""

    down_s: float
    percent_max: int
    judged_min: int
    rest_s: float
    rest_s_max: float
    step_s: float


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is to be seen of an account at a time in s; the counts are as of carrier_standing."""

    at: float
    connected: bool
    answered: int
    failed: int
    not_taken: int


@dataclass(frozen=True, slots=True)
class Health:
    """How it fares; columns as of carrier_health. Times in s."""

    share: int
    why: Why
    since: float
    relapses: int
    connected: bool
    turned_at: float
    answered: int
    failed: int
    not_taken: int
    good: int = 0
    bad: int = 0
    refused: int = 0


def is_carriers_fault(status: int) -> bool:
    """Whether an SMPP command_status that refuses a message says something of the carrier."""
    return status not in _OF_THE_MESSAGE


def first(seen: Seen) -> Health:
    """An account that nobody has looked at: it is well until it is seen that it is not."""
    counts = (seen.answered, seen.failed, seen.not_taken)
    return Health(WHOLE, Why.WELL, seen.at, 0, seen.connected, seen.at, *counts)


def judge(before: Health, seen: Seen, limits: Limits) -> Health:
    """How it fares after one more look."""
    now = _counted(before, seen, limits)
    if seen.connected != now.connected:
        now = replace(now, connected=seen.connected, turned_at=seen.at)
    if not now.connected and seen.at - now.turned_at >= limits.down_s:
        return now if now.why is Why.DOWN and not now.share else _ill(now, Why.DOWN, seen.at)
    if now.share and _fails(now, limits):
        return _ill(now, Why.ERRORS, seen.at)
    return _mended(now, seen.at, limits) if now.connected else now


def _counted(before: Health, seen: Seen, limits: Limits) -> Health:
    # Counters that fell are those of another database: they begin anew.
    bad = max(0, seen.failed - before.failed)
    refused = max(0, seen.not_taken - before.not_taken)
    good = max(0, seen.answered - before.answered - bad - refused)
    good, bad, refused = before.good + good, before.bad + bad, before.refused + refused
    while good + bad + refused > _WINDOWS * limits.judged_min:
        good, bad, refused = good // 2, bad // 2, refused // 2
    return replace(
        before,
        answered=seen.answered,
        failed=seen.failed,
        not_taken=seen.not_taken,
        good=good,
        bad=bad,
        refused=refused,
    )


def _fails(now: Health, limits: Limits) -> bool:
    """What was not taken is tried again, so it counts only where nothing at all is taken."""
    bad = now.bad + (0 if now.good else now.refused)
    judged = now.good + bad
    return judged >= limits.judged_min and bad * 100 > limits.percent_max * judged


def _ill(now: Health, why: Why, at: float) -> Health:
    """It gets nothing from now on. That it fails while it mends, or just after, is a relapse."""
    relapses = now.relapses + 1 if now.why or now.relapses else 0
    return replace(now, share=0, why=why, since=at, relapses=min(relapses, _RELAPSES_MAX), good=0, bad=0, refused=0)


def _mended(now: Health, at: float, limits: Limits) -> Health:
    if now.why is Why.DOWN and not now.answered and not now.not_taken:
        # A new one, bound for the first time: it was down for want of a connection, and there is nothing to mend.
        return replace(now, share=WHOLE, why=Why.WELL, since=at)
    rest_s = min(limits.rest_s * 2**now.relapses, limits.rest_s_max)
    if now.share == WHOLE:
        # Long enough well, it has no past.
        return replace(now, relapses=0) if now.relapses and at - now.since >= limits.rest_s_max else now
    waited_s = at - max(now.since, now.turned_at)
    if waited_s < (limits.step_s if now.share else rest_s):
        return now
    share = next((share for share in _SHARES if share > now.share), WHOLE)
    why = Why.WELL if share == WHOLE else now.why
    # What it did under a smaller share says little of a larger one, and the outcomes of before its rest say nothing.
    return replace(now, share=share, why=why, since=at, good=0, bad=0, refused=0)
