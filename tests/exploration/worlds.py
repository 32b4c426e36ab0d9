"""The worlds that are explored, with their bounds: which together have every pair of parts that share anything."""

from collections.abc import Callable, Mapping
from typing import Final

from .engine import World
from .report import ReportWorld
from .send import STOP, SendWorld
from .sender import NEVER, TAKEN, TAKEN_SILENT, THROTTLED, SenderWorld
from .wallet import WalletWorld

STATES_MAX: Final = 4_000_000

WHOLE: Final[Mapping[str, Callable[[], World]]] = {
    "wallet": lambda: WalletWorld(in_flight=2, copies=1, unknown=0),
    "wallet, three in flight": lambda: WalletWorld(in_flight=3, copies=1, unknown=0, acts=0, crashes=False),
    "send": lambda: SendWorld((2, 1), acts=STOP, losses=0, in_flight=2, offers=(3,)),
    "send, three in flight": lambda: SendWorld((3,), acts=STOP, losses=0, in_flight=3),
    "send, paused, events lost": lambda: SendWorld((3,), losses=1, in_flight=2, unknown=0),
    "sender": lambda: SenderWorld(crashes=2, fates=(TAKEN, TAKEN_SILENT, THROTTLED)),
    "report": lambda: ReportWorld(in_flight=3),
}
"""All of it: minutes."""

TESTED: Final[Mapping[str, Callable[[], World]]] = {
    "wallet": lambda: WalletWorld(in_flight=2, copies=0, unknown=0),
    "wallet, three in flight": lambda: WalletWorld(in_flight=3, copies=0, unknown=0, acts=0, crashes=False),
    "send": lambda: SendWorld((2, 1), acts=STOP, losses=0, in_flight=2, unknown=0, offers=(3,)),
    "sender": lambda: SenderWorld(crashes=1, fates=(TAKEN, TAKEN_SILENT)),
    "report": lambda: ReportWorld(in_flight=2),
}
"""What is part of `make test`: a million transitions at least, and the same parts."""

SMALL: Final[Mapping[str, Callable[[], World]]] = {
    "wallet": lambda: WalletWorld(in_flight=2, copies=0, unknown=0, acts=0),
    "send": lambda: SendWorld((2, 1), acts=STOP, losses=0, in_flight=2, offers=(3,)),
    "sender": lambda: SenderWorld(messages=2, window=1, crashes=1, fates=(TAKEN, TAKEN_SILENT, NEVER)),
    "report": lambda: ReportWorld(in_flight=2),
}
"""Where deliberate faults are looked for: breadth first stops at the first that is broken."""
