"""The worlds that are explored, with their bounds: which together have every pair of parts that share anything.

A group is explored in its order, in one process: the second of `both` is made of what was found in the first. The
longest groups come first, so that the cores are busy to the end.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from .both import BothWorld
from .engine import World
from .report import ReportWorld
from .send import PAUSE, RESUME, STOP, SendWorld
from .sender import NEVER, TAKEN, TAKEN_SILENT, THROTTLED, SenderWorld
from .wallet import WalletWorld

STATES_MAX: Final = 6_000_000
_ANY: Final = (0, 1, 2, 3)


def _one(make: Callable[[], World]) -> Callable[[], Iterator[World]]:
    """A group of one world."""

    def group() -> Iterator[World]:
        yield make()

    return group


def _both(**bounds: Any) -> Callable[[], Iterator[World]]:
    """One send of three messages, and then two of them and a wallet that has enough for none, one or both."""

    def group() -> Iterator[World]:
        send = SendWorld((3,), losses=0, offers=_ANY, **bounds)
        yield send
        yield BothWorld(send, tuple(range(7)))

    return group


WHOLE: Final[Mapping[str, Callable[[], Iterator[World]]]] = {
    "both: three in flight, every control": _both(acts=PAUSE | RESUME | STOP, in_flight=3, copies=3, unknown=3),
    "wallet: two in flight, heard once": _one(lambda: WalletWorld(in_flight=2, copies=0, unknown=0)),
    "sender: two crashes or takeovers": _one(lambda: SenderWorld(crashes=2, fates=(TAKEN, TAKEN_SILENT, THROTTLED))),
    "send: two chunks, two in flight": _one(lambda: SendWorld((2, 1), acts=STOP, losses=0, in_flight=2, offers=(3,))),
    "send: pause, resume, stop, an event lost": _one(lambda: SendWorld((3,), losses=1, in_flight=2, unknown=1)),
    "report: three in flight": _one(lambda: ReportWorld(in_flight=3, copies=3)),
}
"""All of it: minutes."""

SMALL: Final[Mapping[str, Callable[[], World]]] = {
    "wallet": lambda: WalletWorld(in_flight=2, copies=0, unknown=0, acts=0),
    "send": lambda: SendWorld((2, 1), acts=STOP, losses=0, in_flight=2, offers=(3,)),
    "chunk": lambda: SendWorld((2,), acts=STOP, losses=0, in_flight=2, offers=(3,)),
    "sender": lambda: SenderWorld(messages=2, window=1, crashes=1, fates=(TAKEN, TAKEN_SILENT, NEVER)),
    "report": lambda: ReportWorld(in_flight=2),
}
"""Where deliberate faults are looked for: breadth first stops at the first that is broken. What is found by an end that
is out of reach is looked for in "chunk": all of the world has to be seen for that."""

TESTED: Final[Mapping[str, Callable[[], Iterator[World]]]] = {
    "both": _both(acts=STOP, in_flight=3, copies=1, unknown=1),
    "send": _one(lambda: SendWorld((2, 1), acts=STOP, losses=0, in_flight=2, unknown=0, offers=(3,))),
    "wallet": _one(SMALL["wallet"]),
    "sender": _one(lambda: SenderWorld(crashes=1, fates=(TAKEN, TAKEN_SILENT))),
    "report": _one(SMALL["report"]),
}
"""What is part of `make test`: a million transitions at least, and the same parts."""
