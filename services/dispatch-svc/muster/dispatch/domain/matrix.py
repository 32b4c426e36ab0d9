"""The whole of the saga, state by fact, as data. `saga.advance` looks up here where a send goes and what is said.

A situation is a state with what decides within it; a `Heard` is a fact with what makes it differ for this send. Each
row has one cell for each situation, in the order of `Situation`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from muster.dispatch.domain.bulk import State


class Situation(StrEnum):
    """Where a send is, as far as facts are answered differently there."""

    WAITING = "waiting"
    WAITING_PAUSED = "waiting, paused"
    WAITING_STOPPED = "waiting, to end"
    SENDING = "sending"
    PAUSED = "paused"
    ENDING = "ending"
    CLOSED = "closed"
    CLOSED_UNPAID = "closed, no credits"
    WITHDRAWN = "withdrawn"
    REFUSED = "refused"


class Heard(StrEnum):
    """What a fact is to this send."""

    REQUESTED = "requested"
    REQUESTED_LAST = "requested, and all is done"
    REQUESTED_AGAIN = "requested again"
    REQUESTED_OTHERWISE = "requested with other figures"
    REQUESTED_FEWER = "requested for fewer chunks than came"
    WITHDRAWN = "withdrawn"
    WITHDRAWN_REQUESTED = "withdrawn though requested"
    RESERVED = "credits reserved"
    RESERVED_LAST = "credits reserved, and all is done"
    RESERVED_AGAIN = "credits reserved again"
    RESERVED_OTHERWISE = "other credits reserved"
    REFUSED = "credits refused"
    ARRIVED = "chunks arrived"
    ARRIVED_AGAIN = "chunks arrived again"
    ARRIVED_BEYOND = "more chunks than requested"
    DONE = "chunks done"
    DONE_LAST = "the last chunks done"
    DONE_AGAIN = "chunks done again"
    MOVED = "a lease or an unknown ended"
    MOVED_LAST = "a lease or an unknown ended, and all is done"
    SUMMED_EARLY = "sums, while it goes on"
    SUMMED_SAME = "sums as they were"
    SUMMED = "new sums"
    SUMMED_LAST = "sums with nothing open or held"
    SUMMED_WRONG = "sums that cannot be"
    SUMMED_WRONG_LAST = "sums that cannot be, nothing open or held"
    SETTLED = "totals settled"
    SETTLED_UNSAID = "totals settled that were never said"
    STOP = "a person stops it"
    PAUSE = "a person pauses it"
    RESUME = "a person resumes it"
    SEND_BY = "its time is over"
    SEND_BY_AGAIN = "its time is over, again"
    SWEPT = "nothing is queued any more"
    UNPARKED = "the operator lets it go on"
    UNPARKED_AGAIN = "the operator lets it go on, not parked"
    ENDED = "the operator ends it"
    GIVEN_UP = "the operator gives up missing chunks"
    GIVEN_UP_LAST = "the operator gives them up, all else is done"
    GIVEN_UP_AGAIN = "the operator gives them up, none is waited for"


class Says(StrEnum):
    """What follows from a fact."""

    SUM = "adds up"
    TOTALS = "says totals"
    CLOSED = "says closed"
    STOP = "says stopped"
    PAUSE = "says paused"
    RESUME = "says resumed"


@dataclass(frozen=True, slots=True)
class Cell:
    """What a fact does in a situation. `to`: where the send is then, None where it stays; `takes`: whether the fact's
    figures are kept; `parks` and `ignored`: why. A send that is parked already is not parked again."""

    to: Situation | None = None
    says: tuple[Says, ...] = ()
    takes: bool = True
    parks: str = ""
    ignored: str = ""


Row = tuple[Cell | None, ...]

_W, _Q, _X, _S, _P, _E, _C, _N, _V, _R = Situation
_OPEN: Final = (_W, _Q, _S, _P)

STATE_OF: Final[Mapping[Situation, State]] = {
    _W: State.WAITING,
    _Q: State.WAITING,
    _X: State.WAITING,
    _S: State.SENDING,
    _P: State.PAUSED,
    _E: State.SENDING,
    _C: State.CLOSED,
    _N: State.CLOSED,
    _V: State.CLOSED,
    _R: State.REFUSED,
}


def _ignored(why: str) -> Cell:
    return Cell(takes=False, ignored=why)


def _go(to: Situation, *says: Says) -> Cell:
    return Cell(to, says)


def _park(why: str, to: Situation | None = None, *says: Says, takes: bool = False) -> Cell:
    return Cell(to, says, takes=takes, parks=why)


def _parked(why: str, *says: Says, takes: bool = False, but: Mapping[Situation, Cell | None] | None = None) -> Row:
    """Parked everywhere, but in a few situations. A send that would go on is paused until the operator has looked."""
    row: list[Cell | None] = []
    for at in Situation:
        paused = (*says, Says.PAUSE) if at in _OPEN else says
        row.append(but[at] if but and at in but else _park(why, None, *paused, takes=takes))
    return tuple(row)


_T: Final = Cell()  # taken, and no more
_SUM: Final = Cell(says=(Says.SUM,))
_TOTALS: Final = Cell(says=(Says.TOTALS,))
_SAID: Final = Cell(says=(Says.CLOSED,))
_D: Final = _ignored("duplicate")
_L: Final = _ignored("late: it has ended")
_B: Final = _ignored("it is ending already")
_Y: Final = _ignored("it goes on")
_U: Final = _ignored("late: it ended without credits")
___: Final = None  # cannot be

_AFTER_WITHDRAWAL: Final = _park("requested after it was withdrawn")
_WRONG: Final = "the sums of its chunks contradict what was reserved or said"
_NOT_REQUESTED: Final = "withdrawn after it was requested"
_REFUSED_TOO: Final = "refused after it was reserved"
_RESERVED_TOO: Final = "reserved after it was refused"

# fmt: off
MATRIX: Final[Mapping[Heard, Row]] = {
    #                    waiting  paused   to end   sending  paused   ending   closed  unpaid  withdrawn refused
    Heard.REQUESTED:       (_T,    _T,    _T,      _T,      _T,      _T,      _SUM,   _SUM,   _AFTER_WITHDRAWAL, _SUM),
    Heard.REQUESTED_LAST:  (_SUM,  _SUM,  _SUM,    _SUM,    _SUM,    _SUM,    _SUM,   _SUM,   _AFTER_WITHDRAWAL, _SUM),
    Heard.REQUESTED_AGAIN: (_D,    _D,    _D,      _D,      _D,      _D,      _D,     _D,     ___,    _D),
    Heard.REQUESTED_OTHERWISE: _parked("requested twice with different figures", but={_V: ___}),
    Heard.REQUESTED_FEWER: _parked(
        "requested for fewer chunks than came", Says.SUM, takes=True, but={_V: _AFTER_WITHDRAWAL}),
    Heard.WITHDRAWN: _parked(_NOT_REQUESTED, but={_W: _go(_V), _Q: _go(_V), _X: _go(_V), _N: _L, _V: _D}),
    Heard.WITHDRAWN_REQUESTED: _parked(_NOT_REQUESTED, but={_V: ___}),
    Heard.RESERVED: (
        _go(_S), _go(_P), _go(_E, Says.SUM), ___, ___, ___, ___, _go(_C, Says.SUM), _go(_C, Says.SUM),
        _park(_RESERVED_TOO, _C, Says.SUM, takes=True)),
    Heard.RESERVED_LAST: (
        _go(_S, Says.SUM), _go(_P, Says.SUM), _go(_E, Says.SUM), ___, ___, ___, ___, _go(_C, Says.SUM),
        _go(_C, Says.SUM), _park(_RESERVED_TOO, _C, Says.SUM, takes=True)),
    Heard.RESERVED_AGAIN:  (___,   ___,   ___,     _D,      _D,      _D,      _D,     ___,    ___,    ___),
    Heard.RESERVED_OTHERWISE: _parked(
        "reserved twice with different credits", but=dict.fromkeys((_W, _Q, _X, _N, _V, _R))),
    Heard.REFUSED: _parked(_REFUSED_TOO, but={
        _W: _go(_R, Says.SUM), _Q: _go(_R, Says.SUM), _X: _go(_R, Says.SUM), _N: _U, _V: _L, _R: _D}),
    Heard.ARRIVED:         (_T,    _T,    _T,      _T,      _T,      _T,      _T,     _T,     _T,     _T),
    Heard.ARRIVED_AGAIN:   (_D,    _D,    _D,      _D,      _D,      _D,      _D,     _D,     _D,     _D),
    Heard.ARRIVED_BEYOND: _parked("more chunks came than were requested", takes=True, but={_V: ___}),
    Heard.DONE:            (_T,    _T,    _SUM,    _T,      _T,      _SUM,    _SUM,   _SUM,   _SUM,   _SUM),
    Heard.DONE_LAST:       (_SUM,  _SUM,  _SUM,    _SUM,    _SUM,    _SUM,    _SUM,   _SUM,   _SUM,   _SUM),
    Heard.DONE_AGAIN:      (_D,    _D,    _D,      _D,      _D,      _D,      _D,     _D,     _D,     _D),
    Heard.MOVED:           (_Y,    _Y,    _SUM,    _Y,      _Y,      _SUM,    _SUM,   _SUM,   _SUM,   _SUM),
    Heard.MOVED_LAST:      (_SUM,  _SUM,  _SUM,    _SUM,    _SUM,    _SUM,    _SUM,   _SUM,   _SUM,   _SUM),
    Heard.SUMMED_EARLY:    (_Y,    _Y,    ___,     _Y,      _Y,      ___,     ___,    ___,    ___,    ___),
    Heard.SUMMED_SAME:     (_D,    _D,    _D,      _D,      _D,      _D,      _D,     _D,     _D,     _D),
    Heard.SUMMED:          (_T,    _T,    _T,      _TOTALS, _TOTALS, _TOTALS, _SAID,  _SAID,  _T,     _T),
    Heard.SUMMED_LAST: (
        ___, ___, _go(_N, Says.CLOSED), _go(_C, Says.CLOSED), _go(_C, Says.CLOSED), _go(_C, Says.CLOSED),
        ___, ___, ___, ___),
    Heard.SUMMED_WRONG: _parked(_WRONG, Says.TOTALS, takes=True, but={
        **dict.fromkeys((_W, _Q, _X, _N, _V, _R)), _C: _park(_WRONG, None, Says.CLOSED, takes=True)}),
    Heard.SUMMED_WRONG_LAST: tuple(
        _park(_WRONG, _C, Says.CLOSED, takes=True) if at in (_S, _P, _E) else ___ for at in Situation),
    Heard.SETTLED:         (_T,    _T,    _T,      _T,      _T,      _T,      _T,     _T,     _T,     _T),
    Heard.SETTLED_UNSAID: _parked("settled a version that was never said"),
    Heard.STOP: (
        _go(_X, Says.STOP, Says.SUM), _go(_X, Says.STOP, Says.SUM), _B, _go(_E, Says.STOP, Says.SUM),
        _go(_E, Says.STOP, Says.SUM), _B, _L, _L, _L, _L),
    Heard.PAUSE:  (_go(_Q, Says.PAUSE), _D, _B, _go(_P, Says.PAUSE), _D, _B, _L, _L, _L, _L),
    Heard.RESUME: (_D, _go(_W, Says.RESUME), _B, _D, _go(_S, Says.RESUME), _B, _L, _L, _L, _L),
    Heard.SEND_BY: (
        _go(_X, Says.SUM), _go(_X, Says.SUM), _SUM, _go(_E, Says.SUM), _go(_E, Says.SUM), _SUM, _L, _L, _L, _L),
    Heard.SEND_BY_AGAIN:   (___,   ___,   _D,      ___,     ___,     _D,      _L,     _L,     _L,     _L),
    Heard.SWEPT:           (_T,    _T,    _T,      _T,      _T,      _T,      _T,     _T,     _T,     _T),
    Heard.UNPARKED: tuple(
        Cell(says={_W: (Says.RESUME,), _S: (Says.RESUME,), _Q: (Says.PAUSE,), _P: (Says.PAUSE,)}.get(at, ()))
        for at in Situation),
    Heard.UNPARKED_AGAIN:  (_D,    _D,    _D,      _D,      _D,      _D,      _D,     _D,     _D,     _D),
    Heard.ENDED: (
        _go(_X, Says.STOP, Says.SUM), _go(_X, Says.STOP, Says.SUM), _SUM, _go(_E, Says.STOP, Says.SUM),
        _go(_E, Says.STOP, Says.SUM), _SUM, _L, _L, _L, _L),
    Heard.GIVEN_UP:        (_T,    _T,    _SUM,    _T,      _T,      _SUM,    _L,     _L,     ___,     _L),
    Heard.GIVEN_UP_LAST:   (_T,    _T,    _SUM,    _SUM,    _SUM,    _SUM,    _L,     _L,     ___,     _L),
    Heard.GIVEN_UP_AGAIN:  (_D,    _D,    _D,      _D,      _D,      _D,      _L,     _L,     _L,     _L),
}
# fmt: on

_COLUMN: Final = {at: column for column, at in enumerate(Situation)}


def cell_of(at: Situation, heard: Heard) -> Cell | None:
    """What the matrix says; None for what cannot be."""
    return MATRIX[heard][_COLUMN[at]]


def changes(at: Situation) -> dict[Situation, list[Heard]]:
    """Where a send may go from here, and on hearing what."""
    found: dict[Situation, list[Heard]] = {}
    for heard in Heard:
        cell = cell_of(at, heard)
        if cell is not None and cell.to not in (None, at):
            assert cell.to is not None
            found.setdefault(cell.to, []).append(heard)
    return found
