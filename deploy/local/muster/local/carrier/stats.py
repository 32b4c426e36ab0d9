"""What the carrier saw, counted."""

import time
from collections import deque
from itertools import islice
from typing import Any, Final

from muster.smpp import Concat, Submit, Tag, read_concat
from muster.smpp.concat import IE_16_BIT
from muster.smpp.pdu import ESM_UDH
from muster.text import decode

MESSAGES_KEPT: Final = 10_000
# So that a run of any length stays within memory; the oldest half is forgotten beyond it.
DESTINATIONS_KEPT: Final = 1_000_000


def forget_oldest(counts: dict[str, int], kept: int) -> None:
    """Drop the older half of more than `kept`."""
    if len(counts) > kept:
        for name in list(islice(counts, len(counts) // 2)):
            del counts[name]


class Stats:
    """Counters since the start or the last reset, and the last accepted messages."""

    def __init__(self) -> None:
        self.submits = 0
        self.accepted = 0
        self.rejected = 0
        self.throttled = 0
        self.responses = 0
        self.responses_lost = 0
        self.receipts_sent = 0
        self.receipts_acked = 0
        self.receipts_lost = 0
        self.receipts_repeated = 0
        self.receipts_reordered = 0
        self.receipts_refused = 0
        self.receipts_alien = 0
        self.ids_repeated = 0
        self.odd = 0
        self.garbage = 0
        self.receipts_dropped = 0
        self.inbound_sent = 0
        self.inbound_acked = 0
        self.disconnects = 0
        self.binds_refused = 0
        self.queries = 0
        self.queries_lost = 0
        self.queries_failed = 0
        self.enquire_links = 0
        self.enquire_links_sent = 0
        self.unknown_pdus = 0
        self.duplicates = 0
        # Accepted parts of long messages, by how they were told to belong together; and long texts that came whole.
        self.parts_header_8 = 0
        self.parts_header_16 = 0
        self.parts_sar = 0
        self.payloads = 0
        self.t_first = 0.0
        self.t_last = 0.0
        self.by_destination: dict[str, int] = {}
        self.messages: deque[tuple[int, float, Submit]] = deque(maxlen=MESSAGES_KEPT)
        self._seen: set[int] = set()
        self._seen_before: set[int] = set()

    def saw_submits(self, count: int) -> float:
        """Note that some came now; the time of it, in seconds since 1970."""
        now = time.time()
        self.submits += count
        self.t_first = self.t_first or now
        self.t_last = now
        return now

    def accept(self, number: int, now: float, submit: Submit) -> None:
        """Count one that was accepted under id `number`."""
        self.accepted += 1
        destination = submit.destination
        self.by_destination[destination] = self.by_destination.get(destination, 0) + 1
        self.messages.append((number, now, submit))
        # The payload includes the user data header, hence reference and part. Hashes, since a million of them must fit.
        tlvs = submit.tlvs
        if tlvs or submit.esm_class or submit.is_tlv:
            self._count_form(submit)
        reference = (tlvs.get(Tag.USER_MESSAGE_REFERENCE), tlvs.get(Tag.SAR_SEGMENT_SEQNUM)) if tlvs else None
        key = hash((destination, submit.payload, reference))
        if key in self._seen or key in self._seen_before:
            self.duplicates += 1
        self._seen.add(key)
        if len(self._seen) > DESTINATIONS_KEPT:
            self._seen_before, self._seen = self._seen, set()
            forget_oldest(self.by_destination, DESTINATIONS_KEPT)

    def message(self, number: int) -> tuple[float, Submit] | None:
        """When a message was accepted, and it, while it is one of the last; ids rise by one."""
        at = number - self.messages[0][0] if self.messages else -1
        if not 0 <= at < len(self.messages) or self.messages[at][0] != number:
            return None
        return self.messages[at][1:]

    def _count_form(self, submit: Submit) -> None:
        concat, _ = read_concat(submit)
        if submit.is_tlv:
            self.payloads += 1
        elif concat is not None and not submit.esm_class & ESM_UDH:
            self.parts_sar += 1
        elif concat is not None and submit.payload[1] == IE_16_BIT:
            self.parts_header_16 += 1
        elif concat is not None:
            self.parts_header_8 += 1

    def report(self, *, destinations: bool) -> dict[str, Any]:
        """As JSON values; numbers of destinations as E.164."""
        counts: dict[str, Any] = {
            name: value
            for name, value in vars(self).items()
            if not name.startswith("_") and isinstance(value, int | float)
        }
        counts["by_destination_total"] = len(self.by_destination)
        if destinations:
            counts["accepted_by_destination"] = {e164(number): n for number, n in self.by_destination.items()}
        return counts

    def last_messages(self, destination: str | None, limit: int) -> list[dict[str, Any]]:
        """The last accepted messages, oldest first, parts joined; a message of which parts are missing shows `[…]`."""
        joined: dict[object, dict[int, tuple[int, float, Submit, bytes]]] = {}
        for number, at, submit in self.messages:
            if destination is not None and e164(submit.destination) != destination:
                continue
            concat, octets = read_concat(submit)
            key, part = _key(number, submit, concat)
            joined.setdefault(key, {})[part] = (number, at, submit, octets)
        return [_message(key, parts) for key, parts in list(joined.items())[-limit:]]


def _key(number: int, submit: Submit, concat: Concat | None) -> tuple[object, int]:
    if concat is None:
        return (number, 1), 1
    return (submit.source, submit.destination, concat.reference, concat.total), concat.number


def _message(key: object, parts: dict[int, tuple[int, float, Submit, bytes]]) -> dict[str, Any]:
    total = key[-1] if isinstance(key, tuple) and isinstance(key[-1], int) else 1
    number, at, submit, _ = parts[min(parts)]
    # Joined before decoding: a character may be cut by a carrier that counts octets.
    octets = b"".join(parts[part][3] for part in sorted(parts))
    return {
        "id": str(number),
        "at": at,
        "from": submit.source,
        "to": e164(submit.destination),
        "text": decode(octets, submit.data_coding) + ("" if len(parts) == total else "[…]"),
        "parts": total,
        "parts_seen": len(parts),
        "data_coding": submit.data_coding,
        # Each part as it came, with its header.
        "octets": [parts[part][2].payload.hex() for part in sorted(parts)],
    }


def e164(number: str) -> str:
    """Digits with a plus; anything else as it is."""
    return f"+{number}" if number.isascii() and number.isdigit() else number
