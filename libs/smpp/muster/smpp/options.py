"""Who binds, the limits of a session, and what it counts."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from muster.smpp.codec import PDU_OCTETS_MAX
from muster.smpp.outcomes import Meaning
from muster.smpp.pdu import BindMode
from muster.smpp.status import status_name


class BindRefused(Exception):
    """The carrier answered the bind with this command_status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"bind refused: {status_name(status)}")
        self.status = status


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """Who binds, and every limit of a session."""

    system_id: str
    password: str = field(repr=False)
    mode: BindMode = BindMode.TRANSCEIVER
    system_type: str = ""
    window: int = 1000
    enquire_link_interval_s: float = 30.0
    response_timeout_s: float = 30.0
    bind_timeout_s: float = 10.0
    deliver_waiting_max: int = 10_000
    deliver_batch_max: int = 1000
    pdu_octets_max: int = PDU_OCTETS_MAX
    codes: Mapping[int, Meaning] = field(default_factory=dict)


@dataclass(slots=True)
class SessionCounts:
    """Since the session began. `late` answered a submit that had timed out, `stray` answered nothing that is known."""

    submitted: int = 0
    accepted: int = 0
    rejected: int = 0
    throttled: int = 0
    unknown: int = 0
    late: int = 0
    stray: int = 0
    malformed: int = 0
    unknown_pdus: int = 0
