"""deliver_sm: receipts and what people write. Both are answered only after they are committed."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final, NamedTuple

from muster.dispatch import events
from muster.dispatch.domain import receipts as domain
from muster.dispatch.domain.receipts import Receipt
from muster.dispatch.domain.slots import Slot
from muster.dispatch.events import ChunkKey
from muster.dispatch.sender.book import WAITING_MAX, Book, Place, ReceiptHome
from muster.dispatch.sender.dates import Dates
from muster.dispatch.sender.fitting import UNKNOWN_KEPT, fits, only_message
from muster.dispatch.sender.inbound import Inbox
from muster.dispatch.sender.link import Report
from muster.dispatch.sender.resolver import Resolver
from muster.dispatch.sender.shared import Shared
from muster.dispatch.store import queue, refunds
from muster.dispatch.store import receipts as store
from muster.dispatch.store.receipts import UnknownPart, WaitingReceipt
from muster.kit import clock, metrics, observe, spans
from muster.kit.outbox import Fact, emit
from muster.kit.pg import RETRIABLE, Tx
from muster.kit.settings import secret
from muster.kit.spans import Kind, Of
from muster.smpp import (
    Deliver,
    Delivered,
    ReceiptState,
    SomeNotTaken,
    id_candidates,
    normalise_id,
    read_receipt,
)
from muster.smpp import Receipt as CarrierReceipt
from muster.text import number_hash

log = observe.logger(__name__)

_STATES: Final = {
    ReceiptState.DELIVERED: Receipt.DELIVERED,
    ReceiptState.EXPIRED: Receipt.EXPIRED,
    ReceiptState.DELETED: Receipt.UNDELIVERED,
    ReceiptState.UNDELIVERABLE: Receipt.UNDELIVERED,
    ReceiptState.REJECTED: Receipt.REJECTED,
    ReceiptState.SKIPPED: Receipt.UNDELIVERED,
}
JOIN_EVERY_S: Final = 0.5
# Who was submitted at the time of a receipt that fits: what fits may differ by two minutes, twice.
_AROUND: Final = timedelta(minutes=5)
_REBUILD_PAGE: Final = 500

Said = tuple[int, Receipt, str, int]


class Match(NamedTuple):
    """A receipt, and the unknown parts that it resolves."""

    receipt: WaitingReceipt
    parts: list[UnknownPart]


class TakenOver(Exception):
    """Another process writes receipts of this account: this one must not go on."""


class Deliveries:
    """Takes what the carrier delivers, in batches."""

    def __init__(self, shared: Shared, book: Book, resolver: Resolver, inbox: Inbox) -> None:
        self._shared = shared
        self._settings = shared.settings
        self._book = book
        self._resolver = resolver
        self._inbox = inbox
        # Whether a receipt that resolves an unknown message is about all parts of it.
        self.whole = False
        # What is said of a chunk follows what was said before: one transaction at a time.
        self._storing = asyncio.Lock()
        self._dates = Dates()
        # Chunks whose receipts were written in a transaction that was not answered: it may have been committed.
        self._unsure: dict[ChunkKey, ReceiptHome] = {}
        self.broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def load(self) -> None:
        """Fill the book from the chunks of the last hour, and with the receipts that wait."""
        settings, after = self._settings, None
        while True:
            async with self._shared.db.worker() as tx:
                account = self._shared.account.name
                page = await store.recent(tx, account, settings.dispatch_ids_kept_s, after, _REBUILD_PAGE)
            for home in page:
                self._book.load(home)
            if len(page) < _REBUILD_PAGE:
                break
            after = page[-1]
        async with self._shared.db.worker() as tx:
            kept_s = settings.dispatch_waiting_kept_s
            for one in await store.waiting(tx, self._shared.account.name, kept_s, WAITING_MAX):
                self._book.wait(one)

    async def on_deliver(self, batch: list[Delivered]) -> None:
        """Store a batch. When there are many, the next ones are let gather while these wait for their answer: a
        transaction costs as much for ten receipts as for a thousand. Behind a full batch they have gathered already."""
        began = clock.monotonic()
        read = [(deliver, read_receipt(deliver)) for deliver in batch]
        receipts = [Report(receipt, one.source, one.destination) for one, receipt in read if receipt is not None]
        # Receipts first: all of a batch comes again if they fail, which does no harm to receipts, but a person's words
        # would be heard twice.
        if receipts:
            await self.on_reports(receipts)
        words = [deliver for deliver, receipt in read if receipt is None and isinstance(deliver, Deliver)]
        refused = await self._inbox.take(words)
        if refused:
            raise SomeNotTaken(refused)
        settings = self._settings
        if len(receipts) >= settings.dispatch_receipts_linger_min and len(batch) < settings.dispatch_delivers_batch_max:
            await asyncio.sleep(max(0.0, settings.dispatch_receipts_linger_s - (clock.monotonic() - began)))

    async def on_reports(self, reports: Sequence[Report]) -> None:
        """Store receipts: of messages that are known, and those that wait for theirs."""
        found: dict[ReceiptHome, list[tuple[int, Receipt, str, int]]] = defaultdict(list)
        known: list[tuple[str, str]] = []
        waiting: list[WaitingReceipt] = []
        for report in reports:
            receipt = report.receipt
            state = _STATES.get(receipt.state)
            if state is None:
                continue  # not its end yet
            place = self._book.usual(receipt.id) or self._place(receipt.id, receipt.number)
            if place is not None:
                plain, (home, slot) = place
                found[home].append((slot, state, receipt.error, self._dates.unix_ms(receipt.done_digits)))
                known.append((plain, receipt.id))
            elif receipt.id and not self._book.is_final(receipt.id):
                waiting.append(self._waiting(report, state))
        await self._store(found, waiting)
        metrics.receipts.labels("yes").inc(len(known))
        metrics.receipts.labels("not yet").inc(len(waiting))
        for plain, receipt_id in known:
            self._book.done(plain, receipt_id)
        for one in waiting:
            self._book.wait(one)

    async def on_answers(self, answers: Sequence[tuple[ChunkKey, int, CarrierReceipt]]) -> None:
        """What the carrier said, being asked how parts ended whose receipts never came: as if these had come now."""
        if not answers:
            return
        found: dict[ReceiptHome, list[Said]] = defaultdict(list)
        async with self._storing:  # what is read here is stored before anybody else stores
            async with self._shared.db.worker() as tx:
                homes = {home.key: home for home in await store.homes(tx, {key for key, _, _ in answers})}
            for key, slot, said in answers:
                place = self._book.home_of(homes[key])
                found[place].append((slot, _STATES[said.state], said.error, self._dates.unix_ms(said.done_digits)))
            await self._store_next(found)
        for _, _, said in answers:
            self._book.done(normalise_id(said.id), said.id)

    def _place(self, receipt_id: str, number: str) -> tuple[str, Place] | None:
        """The message of a receipt; where the id is written in another base, only if the number is the same."""
        for plain, place, sure in self._book.find(receipt_id):
            home = place.home
            if sure or self._hash(home, number) == home.hashes[home.owners[place.slot]]:
                return plain, place
        return None

    def _hash(self, home: ReceiptHome, number: str) -> bytes:
        settings = self._settings
        key = bytes.fromhex(secret(settings.hash_key, "hash_key"))
        return number_hash(key, settings.hash_generation, home.key.tenant_id, events.e164(number))

    def _waiting(self, report: Report, state: Receipt) -> WaitingReceipt:
        receipt = report.receipt
        return WaitingReceipt(
            carrier_id=normalise_id(receipt.id),
            state=state,
            error=receipt.error,
            done_at=self._dates.time(receipt.done_digits) or clock.now(),
            submitted_at=self._dates.time(receipt.submit_digits),
            number=events.e164(report.number).removeprefix("+"),
            sender=events.normal_sender(report.sender),
        )

    # -- storing ------------------------------------------------------------------------------------------------------

    async def _store(
        self, found: dict[ReceiptHome, list[Said]], waiting: Sequence[WaitingReceipt], joined: Sequence[str] = ()
    ) -> None:
        """One transaction for all: receipts of chunks with what is said of them, and those that wait."""
        async with self._storing:
            await self._store_next(found, waiting, joined)

    async def _store_next(
        self, found: dict[ReceiptHome, list[Said]], waiting: Sequence[WaitingReceipt] = (), joined: Sequence[str] = ()
    ) -> None:
        if self._unsure:
            await self._look_again()
        try:
            await self._store_alone(found, waiting, joined)
        except RETRIABLE:
            self._unsure.update({home.key: home for home in found})
            raise

    async def _store_alone(
        self, found: dict[ReceiptHome, list[Said]], waiting: Sequence[WaitingReceipt], joined: Sequence[str]
    ) -> None:
        news = [(home, *_applied(home, said)) for home, said in found.items()]
        news = [one for one in news if one[1] != one[0].receipts]
        account = self._shared.account.name
        parents = {home.key: home.traceparent for home, _, _ in news}
        with spans.steps("hear receipts", Kind.CONSUMER, parents, {Of.ACCOUNT: account}) as following:
            async with self._shared.db.worker() as tx:
                if news:
                    mine = await store.save(tx, [(home.key, receipts, home.said + 1) for home, receipts, _ in news])
                    if len(mine) < len(news):
                        self._give_up()
                    await refunds.add_due(tx, [home.key for home, after, _ in news if _fails_more(home, after)])
                    await emit(tx, *_facts(news, following))
                await store.keep_waiting(tx, account, waiting)
                await store.drop_waiting(tx, account, joined)
        for home, receipts, _ in news:
            if home.control_version is not None:
                self._shared.judge.received(home.key, home.control_version, home.receipts, receipts)
            home.receipts = receipts
            home.said += 1
            self._book.forget_if_complete(home)

    async def _look_again(self) -> None:
        """What became of writes that were not answered: each is there, or it is not."""
        async with self._shared.db.worker() as tx:
            there = await store.homes(tx, list(self._unsure))
        for now in there:
            home = self._unsure[now.key]
            if now.receipts_said > home.said + 1:
                self._give_up()
            home.receipts, home.said = now.receipts or home.receipts, now.receipts_said
            self._book.forget_if_complete(home)
        self._unsure.clear()

    def _give_up(self) -> None:
        error = TakenOver("receipts of this account are written by somebody else")
        if not self.broken.done():
            self.broken.set_exception(error)
        raise error

    async def until_broken(self) -> None:
        """Raises TakenOver when somebody else writes receipts of this account."""
        await self.broken

    # -- joining ------------------------------------------------------------------------------------------------------

    async def join(self) -> None:
        """Early receipts whose id has come; receipts of ids that left memory; receipts that resolve an unknown."""
        book, account = self._book, self._shared.account.name
        await self._join_early()
        due = book.take_due()
        if due:
            async with self._shared.db.worker() as tx:
                candidates = [candidate for one in due for candidate in id_candidates(one.carrier_id)]
                places = await store.find_ids(tx, account, candidates)
                homes = {home.key: home for home in await store.homes(tx, [key for key, _ in places.values()])}
                for carrier_id, (key, slot) in places.items():
                    book.add(carrier_id, book.home_of(homes[key]), slot)
                resolved = await self._match(tx, due)
            for receipt, parts in resolved:
                for part in parts:
                    self._resolver.add(part.key, part.slot, Slot.ACCEPTED, receipt.carrier_id)
            if resolved:
                await self._resolver.flush()
                await self.adopt([(part.key, part.slot, one.carrier_id) for one, parts in resolved for part in parts])
            await self._join_early()
        await self._turn()

    async def _join_early(self) -> None:
        book = self._book
        found: dict[ReceiptHome, list[Said]] = defaultdict(list)
        joined = []
        for one in book.take_early():
            place = self._place(one.carrier_id, one.number)
            if place is not None:
                plain, (home, slot) = place
                done_ms = round(one.done_at.timestamp() * 1000)
                found[home].append((slot, Receipt(one.state), one.error, done_ms))
                joined.append((one.carrier_id, plain))
        if joined:
            await self._store(found, (), [carrier_id for carrier_id, _ in joined])
        for carrier_id, plain in joined:
            book.waits_no_more(carrier_id)
            book.done(plain, carrier_id)

    async def _match(self, tx: Tx, due: Sequence[WaitingReceipt]) -> list[Match]:
        """Receipts that exactly one unknown message fits, by account, number, sender and time, while nothing else is
        under way to that number: it might be of that."""
        settings, shared = self._settings, self._shared
        tenants = await store.tenants_with_unknown(tx, self._shared.account.name)
        if not tenants:
            return []
        # Asked before what is unknown is: what another wrote is either in his lease or unknown by then.
        others = await store.homes(tx, await queue.written_by_others(tx, self._shared.account.name, shared.owner))
        under_way = {one for home in others for one in home.recipients.hashes}
        under_way.update(one for job in shared.jobs.values() for one in job.hashes_under_way())
        # One whose message is known, in whichever base its id is written, resolves no other.
        waiting = [
            one
            for one in due
            if one.carrier_id not in shared.trial_ids and self._place(one.carrier_id, one.number) is None
        ]
        key = bytes.fromhex(secret(settings.hash_key, "hash_key"))
        pairs = (
            (number_hash(key, settings.hash_generation, tenant, "+" + one.number), one)
            for one in waiting
            for tenant in tenants
        )
        hashes = {number: one for number, one in pairs if number not in under_way}
        parts = await store.unknown_parts(tx, self._shared.account.name, list(hashes))
        fitting: dict[str, list[UnknownPart]] = defaultdict(list)
        for part in parts:
            one = hashes[part.number_hash]
            if fits(one, part):
                fitting[one.carrier_id].append(part)
        by_id = {one.carrier_id: one for one in waiting}
        chosen = [(by_id[carrier_id], only_message(some)) for carrier_id, some in fitting.items()]
        matches = [Match(one, parts if self.whole else parts[:1]) for one, parts in chosen if parts]
        return await self._of_nothing_known(tx, matches)

    async def _of_nothing_known(self, tx: Tx, chosen: Sequence[Match]) -> list[Match]:
        """Those whose id no message has. One that had its receipt before this process began has left memory, and the
        carrier may repeat that: it is known again from here on."""
        if not chosen:
            return []
        long_ago = clock.now() - UNKNOWN_KEPT
        since = min(parts[0].submitted_at - _AROUND if one.submitted_at else long_ago for one, parts in chosen)
        ids = {candidate for one, _ in chosen for candidate in id_candidates(one.carrier_id)}
        for home in await store.with_ids(tx, self._shared.account.name, since, ids):
            kept = self._book.home_of(home)
            for slot, carrier_id in enumerate((home.carrier_ids or "").split("\n")):
                if normalise_id(carrier_id) in ids:
                    self._book.add(carrier_id, kept, slot)
        return [match for match in chosen if self._place(match.receipt.carrier_id, match.receipt.number) is None]

    async def adopt(self, resolved: Sequence[tuple[ChunkKey, int, str]]) -> None:
        """The ids of parts that were unknown are known from now on."""
        async with self._shared.db.worker() as tx:
            homes = {home.key: home for home in await store.homes(tx, {key for key, _, _ in resolved})}
        for key, slot, carrier_id in resolved:
            self._book.add(carrier_id, self._book.home_of(homes[key]), slot)

    async def _turn(self) -> None:
        leaving = self._book.turn()
        if leaving:
            async with self._shared.db.worker() as tx:
                await store.keep_ids(tx, self._shared.account.name, leaving)


def _applied(home: ReceiptHome, said: Sequence[Said]) -> tuple[bytes, list[Said]]:
    """(receipts afterwards, what there is to say of messages): (seq, state, error, time)."""
    receipts = bytearray(home.receipts)
    words: dict[int, Said] = {}
    for slot, state, error, done_ms in said:
        if home.single:  # nearly all, and then a receipt is the whole word on a message
            if not receipts[slot]:
                receipts[slot] = state
                words[slot] = (home.seq[slot], state, error, done_ms)
            continue
        if not domain.apply(receipts, [(one, state) for one in home.is_about(slot)]):
            continue
        at, after = home.message(slot, receipts)
        merged = domain.merged(after)
        known = words[at][1] if at in words else domain.merged(home.message(slot, home.receipts)[1])
        # The word of the part that decides, with its error, and not of the one that came last.
        if merged is state and merged is not known:
            words[at] = (home.seq[at], merged, error, done_ms)
    return bytes(receipts), list(words.values())


def _fails_more(home: ReceiptHome, after: bytes) -> bool:
    return domain.failures(after) > domain.failures(home.receipts)


def _facts(news: Sequence[tuple[ReceiptHome, bytes, list[Said]]], following: Mapping[ChunkKey, str]) -> list[Fact]:
    return [
        events.status_changed(home.key, home.lane, home.said + 1, said, following[home.key])
        for home, _, said in news
        if said
    ]
