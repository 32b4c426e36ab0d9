"""Sending again to those who certainly did not get it: whether it may be, and by whose word."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from muster.customer.domain.sends import State

# Words on single messages may come after the word that their send is closed; what is not heard by then never is.
PATIENCE_S: Final = 60.0


class Missed(IntEnum):
    """Why somebody did not get a message. The numbers are stored. SUPPRESSED: by then they wanted nothing."""

    NOT_SENT = 1
    FAILED = 2
    SENT_IN_PART = 3
    SUPPRESSED = 4


@dataclass(frozen=True, slots=True)
class Named:
    """Messages of a chunk that one word says were missed. `seqs`: their places in the send; `undelivered`: those of
    them of which the carrier says that they cannot be delivered, and not that they were late."""

    chunk: int
    kind: Missed
    version: int
    seqs: tuple[int, ...]
    undelivered: tuple[int, ...] = ()


def named(
    chunk: int, said: Iterable[tuple[int, Missed, int]], undelivered: frozenset[int] = frozenset()
) -> list[Named]:
    """Those messages together that were missed alike and said at once, from (seq, kind, version)."""
    groups: dict[tuple[Missed, int], list[int]] = {}
    for seq, kind, version in said:
        groups.setdefault((kind, version), []).append(seq)
    return [
        Named(chunk, kind, version, tuple(sorted(seqs)), tuple(sorted(undelivered.intersection(seqs))))
        for (kind, version), seqs in groups.items()
    ]


@dataclass(frozen=True, slots=True)
class Sent:
    """A send that is to be sent again. `unsent`: messages that its totals say were rejected or stopped, `heard`: how
    many of them are known one by one; `closed_s`: how long it has been closed; `is_bulk`: not a single message."""

    state: State
    is_bulk: bool
    planned: bool
    unsent: int
    heard: int
    closed_s: float


class Never(IntEnum):
    """Why a send is not sent again."""

    NOT_BULK = 1
    NOT_CLOSED = 2
    NEVER_PLANNED = 3
    COMING = 4


def why_not(sent: Sent) -> Never | None:
    """Why this send cannot be sent again now; None where it can."""
    if not sent.is_bulk:
        return Never.NOT_BULK
    if sent.state is not State.CLOSED:
        return Never.NOT_CLOSED
    if not sent.planned:
        return Never.NEVER_PLANNED
    return Never.COMING if sent.heard < sent.unsent and sent.closed_s < PATIENCE_S else None
