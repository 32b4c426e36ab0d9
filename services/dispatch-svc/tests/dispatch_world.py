"""A send as the tests of dispatch-svc make one: the events of the other services, and a sender against a carrier."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from muster.dispatch.domain.carriers import Account
from muster.dispatch.handlers import HANDLERS, sweeps
from muster.dispatch.handlers.laws import check_laws
from muster.dispatch.handlers.routes import say_platform
from muster.dispatch.sender import Sender
from muster.dispatch.sender.http_link import HttpLink
from muster.dispatch.settings import DispatchSettings
from muster.events.v1 import common_pb2
from muster.events.v1.bulk_pb2 import BulkSmsRequested
from muster.events.v1.credits_pb2 import CreditsReserved
from muster.events.v1.recipients_pb2 import BulkRecipientsAttached
from muster.events.v1.tenants_pb2 import TenantChanged
from muster.kit import clock
from muster.kit.ids import checked_uuid
from muster.kit.pg import Database
from muster.kit.testing import Emitted, apply, facts
from muster.text import number_hash, split

HASH_KEY = bytes(range(32))
ID_KEY = bytes(range(32, 64))
HOUR_MS = 3_600_000
REPLY_NUMBER = "+61400000001"


def hash_of(tenant_id: UUID, number: int) -> bytes:
    """The hash of a number given by its digits."""
    return number_hash(HASH_KEY, 1, tenant_id, f"+{number}")


@dataclass(slots=True)
class Send:
    """A bulk send of one text, in chunks of `chunk_size`."""

    recipients: int
    text: str = "Hello, the salon is open again."
    price: int = 1
    chunk_size: int = 500
    send_by_ms: int = HOUR_MS
    tenant_id: UUID = field(default_factory=uuid4)
    message_class: int = common_pb2.MESSAGE_CLASS_MARKETING
    kind: int = common_pb2.MESSAGE_KIND_BULK
    sender: str = REPLY_NUMBER
    first_number: int = 61_411_000_000
    reference_bits: int = 8
    listed: list[int] = field(default_factory=list)
    bulk_id: UUID = field(init=False)

    def __post_init__(self) -> None:
        self.bulk_id = checked_uuid(ID_KEY, self.tenant_id)

    @property
    def parts(self) -> int:
        """Of each message."""
        return len(split(self.text, 16 if self.reference_bits == 16 else 8))

    @property
    def chunks(self) -> int:
        """How many there are."""
        return -(-self.recipients // self.chunk_size)

    @property
    def credits(self) -> int:
        """For all of it."""
        return self.recipients * self.price * self.parts

    @property
    def numbers(self) -> list[int]:
        """Digits, in the send's order."""
        return self.listed or [self.first_number + at for at in range(self.recipients)]

    def requested(self) -> BulkSmsRequested:
        """What customer-svc says of it."""
        return BulkSmsRequested(
            tenant_id=str(self.tenant_id),
            bulk_id=str(self.bulk_id),
            recipients=self.recipients,
            chunks=self.chunks,
            credits=self.credits,
            send_by_unix_ms=clock.unix_ms() + self.send_by_ms,
        )

    def reserved(self, credits: int | None = None) -> CreditsReserved:
        """What credit-svc says of it."""
        return CreditsReserved(
            tenant_id=str(self.tenant_id),
            bulk_id=str(self.bulk_id),
            credits=self.credits if credits is None else credits,
        )

    def chunk(self, chunk: int) -> BulkRecipientsAttached:
        """One of its chunks, counted from 1."""
        first = (chunk - 1) * self.chunk_size
        numbers = self.numbers[first : first + self.chunk_size]
        each = self.price * self.parts
        return BulkRecipientsAttached(
            tenant_id=str(self.tenant_id),
            bulk_id=str(self.bulk_id),
            chunk=chunk,
            lane=common_pb2.LANE_LARGE,
            message_class=self.message_class,  # type: ignore[arg-type]
            kind=self.kind,  # type: ignore[arg-type]
            route="default",
            country="AU",
            sender=self.sender,
            due_at_unix_ms=clock.unix_ms() - 1000,
            send_by_unix_ms=clock.unix_ms() + self.send_by_ms,
            reference_base=250,
            reference_bits=self.reference_bits,
            text=[self.text],
            encoding=[common_pb2.TEXT_ENCODING_GSM7],
            seq=[first + at + 1 for at in range(len(numbers))],
            number=numbers,
            number_hash=[hash_of(self.tenant_id, number) for number in numbers],
            parts=[self.parts] * len(numbers),
            price=[each] * len(numbers),
            upto=[(first + at + 1) * each for at in range(len(numbers))],
        )


async def hear(db: Database, *messages: Any) -> None:
    """Apply events as the consumer would, each in a transaction of its own."""
    for message in messages:
        await apply(db, HANDLERS[message.DESCRIPTOR.name], message)


async def queue(db: Database, send: Send, credits: int | None = None) -> None:
    """All that makes a send claimable."""
    await hear(db, tenant(send), send.requested(), *(send.chunk(at + 1) for at in range(send.chunks)))
    await hear(db, send.reserved(credits))


def tenant(send: Send, version: int = 1, **members: Any) -> TenantChanged:
    """The tenant of a send."""
    return TenantChanged(tenant_id=str(send.tenant_id), version=version, sender=send.sender, country="AU", **members)


async def said(db: Database, *types: str) -> list[Any]:
    """The facts in the outbox."""
    async with db.worker() as tx:
        found: list[Emitted] = await facts(tx, *types)
    return [one.message for one in found]


async def saga(db: Database, send: Send) -> dict[str, Any]:
    """The row of a send; an empty one before its first fact."""
    async with db.worker() as tx:
        row = await tx.fetchrow(
            "SELECT * FROM saga WHERE tenant_id = $1 AND bulk_id = $2", send.tenant_id, send.bulk_id
        )
    return dict(row) if row else {}


async def left_by_seq(db: Database, send: Send) -> dict[int, int]:
    """How each message was left by the word of the highest version."""
    words: dict[int, tuple[int, int]] = {}
    for fact in await said(db, "SmsDispatched"):
        if fact.bulk_id == str(send.bulk_id):
            for seq, left, version in zip(fact.seq, fact.left, fact.version, strict=True):
                words[seq] = max(words.get(seq, (0, 0)), (version, left))
    return {seq: left for seq, (_, left) in words.items()}


def settings(**members: Any) -> DispatchSettings:
    """Settings of a test."""
    given = {"environment": "development", "hash_key": HASH_KEY.hex(), "bulk_id_key": ID_KEY.hex(), **members}
    return DispatchSettings(**given)


@dataclass(slots=True)
class Running:
    """A sender at work. `kill` leaves everything as it is, as kill -9 would."""

    sender: Sender
    tasks: list[asyncio.Task[object]]

    async def kill(self) -> None:
        """No more turns for any part of it; the carrier sees the connection go."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        link = self.sender.link
        if isinstance(link, HttpLink):
            for connection in list(link._connections):
                connection.close()
            return
        session = link.session
        if session is not None:
            session._drop("killed")
            await session.closed


@asynccontextmanager
async def sending(
    db: Database, conf: DispatchSettings, *, feed: bool = True, account: Account | None = None
) -> AsyncIterator[Running]:
    """A sender process in this one, as main starts it."""
    while await sweeps.recover_account(db, conf.carrier_account, every=True):
        pass
    sender = Sender(db, conf, account or conf.account())
    await sender.load()
    work = [coroutine for _, coroutine in sender.carrier()]
    if feed:
        work.append(sender.feeder.run())
    running = Running(sender, [asyncio.ensure_future(coroutine) for coroutine in work])
    try:
        yield running
        failed = [task for task in running.tasks if task.done() and not task.cancelled() and task.exception()]
        assert not failed, failed[0].exception()
        if not all(task.done() for task in running.tasks):
            await sender.close()
            await sender.link.stop()
    finally:
        await running.kill()


async def closed(db: Database, send: Send) -> bool:
    """Whether a send has come to its end."""
    return (await saga(db, send)).get("state") in ("closed", "refused")


async def receipts(db: Database, send: Send) -> Counter[int]:
    """What receipts said last of each message, counted."""
    last: dict[int, tuple[int, int]] = {}
    for fact in await said(db, "SmsStatusChanged"):
        if fact.bulk_id == str(send.bulk_id):
            for seq, state, version in zip(fact.seq, fact.receipt, fact.version, strict=True):
                assert seq not in last or last[seq][1] == state, "a final word is final"
                last[seq] = max(last.get(seq, (0, 0)), (version, state))
    return Counter(state for _, state in last.values())


async def lefts(db: Database, send: Send) -> Counter[int]:
    """How messages were left, counted."""
    return Counter((await left_by_seq(db, send)).values())


async def money(db: Database, send: Send) -> tuple[int, int, int, int]:
    """reserved, used, released, held."""
    row = await saga(db, send)
    return row["reserved"], row["used"], row["released"], row["held"]


async def assert_laws(db: Database, *, submits: bool = True) -> None:
    """Every law that this database can show holds, and was checked on something."""
    async with db.worker() as tx:
        results = await check_laws(tx)
    assert [(result.law, result.violations) for result in results if result.violations] == []
    assert all(result.checked for result in results if result.law in ("used", "tenant", "bounded"))
    assert sum(result.checked for result in results if result.law == "submit") or not submits


async def sweep(db: Database) -> None:
    """What the worker's timers do."""
    while await sweeps.sweep_ended(db, 50):
        pass
    await sweeps.end_past_send_by(db)


async def platform(db: Database) -> None:
    """The default route, as the worker keeps it."""
    async with db.worker() as tx:
        await say_platform(tx, "smpp", 8, 0)
