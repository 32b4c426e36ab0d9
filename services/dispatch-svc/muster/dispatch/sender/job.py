"""An attempt that this sender has leased, in memory: what to write next, and what became of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from muster.dispatch.domain.fairness import urgency
from muster.dispatch.domain.slots import Slot
from muster.dispatch.events import CLASS_MARKETING, MARKETING, Recipients, read_recipients, read_texts
from muster.dispatch.handlers.outcomes import Change
from muster.dispatch.store.chunks import Home
from muster.dispatch.store.claims import Claimed
from muster.dispatch.store.suppressions import Barred
from muster.kit import clock, spans
from muster.kit.spans import About, Kind, Of, Span
from muster.smpp import Accepted, NotSent, Outcome, Rejected, Unknown

# ESME_RINVMSGLEN: what is said of a text whose parts are not those that were paid for.
ERROR_LENGTH: Final = 1
_SCOPE_OTHER: Final = 2
_NEVER_JOINED: Final = -1


@dataclass(frozen=True, slots=True)
class Window:
    """What is written at once: these slots; the order of the attempt is done below `upto` then."""

    upto: int
    slots: list[int]


class Outgoing(NamedTuple):
    """A message that goes out whole: its slots, the digits of its number, its text; `complete` if these are all of its
    slots."""

    slots: list[int]
    number: int
    text: str
    complete: bool


class Job:
    """One leased attempt. `cursor` and `written_upto` count its order; `slots` are those of the whole chunk."""

    __slots__ = (
        "_starts",
        "carrier_ids",
        "claimed",
        "counter",
        "cursor",
        "dirty_at",
        "errors",
        "held",
        "home",
        "in_flight",
        "kept",
        "leaving",
        "left_out",
        "limited",
        "marked",
        "order",
        "owners",
        "recipients",
        "resend",
        "since",
        "slots",
        "span",
        "stored",
        "submitted",
        "texts",
        "throttled",
        "written_upto",
    )

    def __init__(self, claimed: Claimed) -> None:
        self.claimed = claimed
        self.span = _span(claimed)
        self.recipients: Recipients = read_recipients(claimed.plain)
        parts = self.recipients.parts
        self.slots = bytearray(claimed.slots)
        self.stored = claimed.slots
        self.order: Sequence[int] = range(len(self.slots)) if claimed.order is None else claimed.order
        self.cursor = self.written_upto = claimed.intent_upto
        # The slots of a retry are queued anew by each claim: what an earlier lease knew of holds says nothing of them.
        self.counter = claimed.joined_counter if claimed.order is None else _NEVER_JOINED
        self.carrier_ids = claimed.carrier_ids.split("\n") if claimed.carrier_ids else [""] * len(self.slots)
        self.errors: dict[int, int] = {}
        self.in_flight = 0
        self.submitted = False
        self.throttled = self.held = self.marked = False
        self.dirty_at: float | None = None
        self.leaving = ""
        self.since = clock.monotonic()
        # Whether its tenant has a rate, which all senders share.
        self.limited = False
        single = len(parts) == len(self.slots)
        self.owners: Sequence[int] = (
            range(len(parts)) if single else [at for at, count in enumerate(parts) for _ in range(count)]
        )
        self._starts: list[int] | None = None if single else _starts(parts)
        self.texts = read_texts(claimed.personal)
        # What the link has made of it for all windows.
        self.kept: object = None
        self.home = self._home()
        # What this attempt sends again though it may have been taken: it stays unknown until the carrier takes it.
        self.left_out = set[int]()
        self.resend = self._unknown_slots() if claimed.why == "again" else set[int]()
        self._queue_retries()
        self._stop_unpaid()
        self._stop_erased()

    def _home(self) -> Home:
        claimed = self.claimed
        return Home(
            key=claimed.key.chunk,
            # What is said of it, and later of its receipts, follows from this lease.
            about=replace(claimed.about, traceparent=self.span.traceparent),
            recipients=self.recipients,
            slots=claimed.slots,
            said=claimed.said,
            done=False,
            carrier_ids=claimed.carrier_ids,
            receipts=claimed.receipts,
            receipts_said=claimed.receipts_said,
            submitted_at=None,
            again=claimed.again,
        )

    def _unknown_slots(self) -> set[int]:
        return {slot for slot in self.order[self.cursor :] if self.slots[slot] == Slot.UNKNOWN}

    def _queue_retries(self) -> None:
        """Slots of a retry are stored as queued before its first intent: after a crash those that an intent covers must
        not look like ones that were certainly not sent."""
        if self.claimed.order is not None:
            for slot in self.order[self.cursor :]:
                if self.slots[slot] == Slot.RETRY:
                    self.slots[slot] = Slot.QUEUED
                    self.marked = True

    def _stop_unpaid(self) -> None:
        if self.claimed.upto > self.claimed.reserved:
            self._end(
                {at for at, upto in enumerate(self.recipients.uptos) if upto > self.claimed.reserved}, Slot.CREDITS
            )

    def _stop_erased(self) -> None:
        """Whoever was taken out of the chunk has no number: that may be heard before the erasure itself is."""
        gone = {at for at, number in enumerate(self.texts.numbers) if not number}
        if gone:
            self._end(gone, Slot.SUPPRESSED)
            self._leave_out(frozenset(self.recipients.hashes[at] for at in gone))

    def _end(self, positions: set[int], to: Slot) -> bool:
        """End what is unwritten of these messages; whether that was anything. `marked` until it is stored."""
        found = False
        for slot in self.order[self.cursor :]:
            if self.slots[slot] == Slot.QUEUED and self.owners[slot] in positions:
                self.slots[slot] = to
                found = self.marked = True
        return found

    # -- what to write ------------------------------------------------------------------------------------------------

    @property
    def changed(self) -> bool:
        """Whether anything is to be recorded."""
        return self.slots != self.stored

    @property
    def more(self) -> bool:
        """Whether there is anything left to write."""
        return self.cursor < len(self.order) and not self.leaving

    @property
    def left(self) -> int:
        """Slots that were not looked at yet."""
        return len(self.order) - self.cursor

    @property
    def finished(self) -> bool:
        """Whether nothing is on the wire, nor to be written by this lease."""
        return not self.in_flight and not self.more

    @property
    def waits(self) -> bool:
        """Whether what is finished of it may wait to be recorded: nobody has asked to have it back, and it is known
        since when it waits."""
        return not self.leaving and self.dirty_at is not None

    @property
    def scope(self) -> int:
        """Which suppressions and holds reach these messages: of at least this scope."""
        return MARKETING if self.claimed.about.message_class == CLASS_MARKETING else _SCOPE_OTHER

    @property
    def urgency(self) -> tuple[bool, int]:
        """What goes before it, of its tenant's messages: what is smaller."""
        return urgency(self.claimed.about.kind, self.claimed.about.lane)

    def hashes_left(self) -> list[bytes]:
        """The numbers that are still to be written to."""
        left = (slot for slot in self.order[self.cursor :] if self.slots[slot] == Slot.QUEUED or slot in self.resend)
        positions = {self.owners[slot] for slot in left}
        return [self.recipients.hashes[position] for position in sorted(positions)]

    def hashes_under_way(self) -> set[bytes]:
        """The numbers that were written to, and of which it is not stored yet what became of that."""
        open_states = (Slot.QUEUED, Slot.UNKNOWN)
        slots = (slot for slot in self.order[: self.cursor] if self.slots[slot] in open_states)
        written = (slot for slot in slots if self.stored[slot] != Slot.UNKNOWN or slot in self.resend)
        positions = {self.owners[slot] for slot in written}
        return {self.recipients.hashes[position] for position in positions}

    def bar(self, barred: Barred, counter: int) -> None:
        """Leave out who may not be texted any more, or not now."""
        self.counter = counter
        if barred.suppressed or barred.held:
            hashes = self.recipients.hashes
            self._end({at for at, one in enumerate(hashes) if one in barred.suppressed}, Slot.SUPPRESSED)
            self.held |= self._end({at for at, one in enumerate(hashes) if one in barred.held}, Slot.RETRY)
            self._leave_out(barred.suppressed | barred.held)

    def _leave_out(self, barred: frozenset[bytes]) -> None:
        """What was to be sent again to these stays as unknown as it was."""
        hashes, left = self.recipients.hashes, self.order[self.cursor :] if self.resend else ()
        self.left_out |= {slot for slot in left if slot in self.resend and hashes[self.owners[slot]] in barred}
        self.resend -= self.left_out

    def window(self, limit: int, most: int, messages: int) -> Window:
        """The next slots to write, whole messages, at most `messages` of them and `limit` slots, though the first
        message may have more; one of more parts than the `most` that may ever be unanswered is cut."""
        chosen: list[int] = []
        at, order, states, resend = self.cursor, self.order, self.slots, self.resend
        end_of_all = len(order)
        if self._starts is None:
            limit = min(limit, messages)
        elif messages < limit:
            end_of_all = self._end_of(messages)
        while at < end_of_all:
            end = at + 1 if self._starts is None else min(self._message_end(at), at + most)
            group = [
                slot
                for slot in order[at:end]
                if states[slot] == Slot.QUEUED or (slot in resend and states[slot] == Slot.UNKNOWN)
            ]
            if chosen and len(chosen) + len(group) > limit:
                break
            chosen += group
            at = end
            if len(chosen) >= limit:
                break
        return Window(upto=at, slots=chosen)

    def _end_of(self, messages: int) -> int:
        """Where so many messages end."""
        at = self.cursor
        for _ in range(messages):
            if at < len(self.order):
                at = self._message_end(at)
        return at

    def messages_in(self, window: Window) -> int:
        """How many messages a window has."""
        slots = window.slots
        return len(slots) if self._starts is None else len({self.owners[slot] for slot in slots})

    def first_parts(self) -> int:
        """How many parts the next message has that are still to be looked at."""
        return 1 if self._starts is None else self._message_end(self.cursor) - self.cursor

    def _message_end(self, at: int) -> int:
        owner = self.owners[self.order[at]]
        while at < len(self.order) and self.owners[self.order[at]] == owner:
            at += 1
        return at

    def outgoing(self, window: Window) -> list[Outgoing]:
        """The messages of a window, for a carrier that takes them whole. One of which not every slot is there cannot go
        out whole: others of its parts have gone another way."""
        texts, index = self.texts, self.texts.index
        found: dict[int, list[int]] = {}
        for slot in window.slots:
            found.setdefault(self.owners[slot], []).append(slot)
        return [
            Outgoing(
                slots=slots,
                number=texts.numbers[at],
                text=texts.texts[index[at] if index else 0],
                complete=len(slots) == self.recipients.parts[at],
            )
            for at, slots in found.items()
        ]

    def part(self, slot: int) -> int:
        """Which part of its message a slot is, counted from 0."""
        return 0 if self._starts is None else slot - self._starts[self.owners[slot]]

    def reference(self, slot: int) -> int:
        """What the parts of a slot's message have in common."""
        claimed = self.claimed
        return (claimed.reference_base + self.recipients.seq[self.owners[slot]]) % (1 << claimed.reference_bits)

    def reject(self, slot: int, error: int) -> None:
        """This part cannot be written at all; one that is sent again may have been taken before."""
        if slot in self.resend:
            return
        self.slots[slot] = Slot.REJECTED
        self.errors[self.owners[slot]] = error

    # -- what became of it --------------------------------------------------------------------------------------------

    def take(self, slot: int, outcome: Outcome) -> None:
        """What became of one part that was written (or not, after all). One that is sent again is known only once it is
        taken: nobody knows of the first time."""
        if slot in self.resend and not isinstance(outcome, Accepted):
            return
        match outcome:
            case Accepted(carrier_id):
                self.slots[slot] = Slot.ACCEPTED
                self.carrier_ids[slot] = carrier_id
            case Rejected(status):
                self.slots[slot] = Slot.REJECTED
                self.errors[self.owners[slot]] = status
            case NotSent():
                self.slots[slot] = Slot.RETRY
                self.throttled = True
            case Unknown():
                self.slots[slot] = Slot.UNKNOWN

    def position(self, slot: int) -> int:
        """Whose message a slot belongs to."""
        return self.owners[slot]

    def change(self, *, leased: bool, again: bool = False) -> Change:
        """What there is to record now; `leased` where its lease does not end with that, `again` where what is unknown
        is sent once more after it."""
        ids = "\n".join(self.carrier_ids) if any(self.carrier_ids) else None
        return Change(
            home=self.home,
            after=bytes(self.slots),
            errors=self.errors,
            carrier_ids=ids,
            submitted=self.submitted,
            leased=leased,
            again=again or (leased and self.home.again),
            resent=frozenset(slot for slot in self.resend if self.slots[slot] == Slot.ACCEPTED),
        )

    def unanswered(self) -> None:
        """Whether a change was stored is not known: what is said next has a version above what may have been said."""
        self.home = replace(self.home, said=self.home.said + 1)

    def recorded(self, change: Change, said: int) -> None:
        """`change` is stored; what came meanwhile is still to be."""
        self.stored = change.after
        self.home = Home(
            key=self.home.key,
            about=self.home.about,
            recipients=self.recipients,
            slots=change.after,
            said=said,
            done=False,
            carrier_ids=change.carrier_ids,
            receipts=self.home.receipts,
            receipts_said=self.home.receipts_said,
            submitted_at=None,
            again=change.again,
        )
        self.submitted = self.marked = False

    def retries(self) -> list[int]:
        """Slots to be tried again by another attempt."""
        return [slot for slot, state in enumerate(self.slots) if state == Slot.RETRY]

    def unknowns(self) -> list[int]:
        """Slots of which nobody knows whether the carrier took them."""
        return [slot for slot, state in enumerate(self.slots) if state == Slot.UNKNOWN]


def _span(claimed: Claimed) -> Span:
    key, about = claimed.key, claimed.about
    said: About = {
        Of.BULK: str(key.chunk.bulk_id),
        Of.CHUNK: key.chunk.chunk,
        Of.ATTEMPT: key.attempt,
        Of.ACCOUNT: about.account,
        Of.PARTS: len(claimed.slots),
    }
    return spans.begin("dispatch chunk", Kind.CLIENT, parent=about.traceparent, about=said)


def _starts(parts: bytes) -> list[int]:
    starts, at = [], 0
    for count in parts:
        starts.append(at)
        at += count
    return starts
