"""Letters to receptions: our headers alone whatever a customer writes, each reply once, over a real SMTP server."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from hypothesis import given
from hypothesis import strategies as st

from muster.events.v1.recipients_pb2 import SmsReceived
from muster.events.v1.tenants_pb2 import TenantChanged
from muster.kit import clock
from muster.kit.mail import HeaderRefused, Postman, Postmark, Relay
from muster.kit.pg import Database
from muster.kit.testing import apply, eventually
from muster.reply import handlers
from muster.reply.domain import Forward, Line, Verdict
from muster.reply.mail import compose, replies, reply_address
from muster.reply.store import emails

MARK = Postmark("replies@muster.example", bytes(32))
NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
HEADERS = {
    *("From", "To", "Subject", "Date", "Message-ID", "References", "In-Reply-To", "Reply-To", "Auto-Submitted"),
    *("MIME-Version", "Content-Type", "Content-Transfer-Encoding"),
}
FORWARD = Forward(
    tenant_id=UUID(int=1),
    inbound_id=UUID(int=2),
    recipient="desk@rosa.example",
    tenant_name="Salon Rosa",
    time_zone="Australia/Sydney",
    number="+61400000001",
    number_hash=bytes(17),
    text="See you at ten",
    received_at=NOW,
    verdict=Verdict.ORDINARY,
    doubtful=False,
    attempts=1,
    conversation=(Line(NOW, "Hello, Ann", outgoing=True),),
)


def opened(content: bytes) -> EmailMessage:
    return cast(EmailMessage, message_from_bytes(content, policy=default))


def test_a_letter_says_who_wrote_what_and_what_was_said_before() -> None:
    letter = opened(compose(FORWARD, MARK).content)

    body = letter.get_content().replace("\r\n", "\n")
    assert letter["Subject"] == "SMS reply from +61400000001"
    assert letter["To"] == "desk@rosa.example"
    assert letter["Auto-Submitted"] == "auto-generated"
    assert "+61400000001 wrote on 2026-11-23 20:00 (Australia/Sydney):\n\nSee you at ten\n" in body
    assert "Salon Rosa:\nHello, Ann" in body


@pytest.mark.parametrize(
    ("verdict", "mark", "note"),
    [
        (Verdict.OPT_OUT, "(opt-out)", "read as an opt-out"),
        (Verdict.UNCLEAR, "(please read)", "the number is paused"),
    ],
)
def test_opt_outs_and_unclear_replies_are_marked(verdict: Verdict, mark: str, note: str) -> None:
    letter = opened(compose(replace(FORWARD, verdict=verdict), MARK).content)

    assert letter["Subject"].endswith(mark)
    assert note in letter.get_content()


def test_letters_of_one_number_are_one_thread_and_each_reply_has_its_own_id_at_every_attempt() -> None:
    first = opened(compose(FORWARD, MARK).content)
    again = opened(compose(replace(FORWARD, attempts=4), MARK).content)
    other = opened(compose(replace(FORWARD, inbound_id=UUID(int=3)), MARK).content)

    assert first.as_bytes() == again.as_bytes()
    assert first["Message-ID"] != other["Message-ID"]
    assert first["References"] == other["References"]


def test_the_address_for_answers_depends_on_the_tenant_the_reply_and_the_key() -> None:
    addresses = {
        reply_address(UUID(int=1), UUID(int=2), MARK),
        reply_address(UUID(int=3), UUID(int=2), MARK),
        reply_address(UUID(int=1), UUID(int=4), MARK),
        reply_address(UUID(int=1), UUID(int=2), replace(MARK, key=b"other")),
    }
    assert len(addresses) == 4
    assert all(len(address.partition("@")[0]) <= 64 for address in addresses)


HOSTILE = [
    "=?utf-8?q?hi=0ABcc=3A_evil=40x?=",
    "hi\r\nBcc: evil@x.example\r\n\r\nbody",
    "\u2028Bcc: evil@x.example",
    "\u202etxt\x00\x1b[31m",
    ".\r\nQUIT\r\n",
    "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16") * 40,
    "x" * 1_000_000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_never_reaches_a_header(text: str) -> None:
    hostile = replace(FORWARD, text=text, tenant_name=text[:50], number=text[:50], time_zone=text[:20])
    letter = opened(compose(hostile, MARK).content)

    assert set(letter.keys()) == HEADERS
    assert letter["Subject"] == "SMS reply from a customer"
    assert "\n".join(text[:100].splitlines())[:50] in "\n".join(letter.get_content().splitlines())


@given(text=st.text(), name=st.text(max_size=40))
def test_whatever_is_written_the_headers_are_ours_and_one_line_each(text: str, name: str) -> None:
    plain = opened(compose(replace(FORWARD, text="", tenant_name=""), MARK).content)

    letter = opened(compose(replace(FORWARD, text=text, tenant_name=name, conversation=()), MARK).content)

    assert letter.items() == plain.items()


@pytest.mark.parametrize(
    "recipient",
    ["", "no address", "a@b\r\nBcc: c@d", "=?utf-8?q?a?=@b.example", "a@b, c@d", "<a@b>", "ä@b.example", "a@-b"],
)
def test_a_recipient_that_is_no_address_is_refused(recipient: str) -> None:
    with pytest.raises(HeaderRefused):
        compose(replace(FORWARD, recipient=recipient), MARK)


class Catcher:
    """An SMTP server that keeps letters, or answers as it is told."""

    def __init__(self) -> None:
        self.letters: list[EmailMessage] = []
        self.answer = "250 OK"
        self.breaks_at = ""
        self.port = 0

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.breaks_at and self.breaks_at in str(opened(cast(bytes, envelope.content))["Message-ID"]):
            server.transport.abort()
        elif self.answer.startswith("250"):
            self.letters.append(opened(cast(bytes, envelope.content)))
        return self.answer

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("nobody@"):
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"


@pytest.fixture
async def catcher() -> AsyncIterator[Catcher]:
    catcher = Catcher()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(catcher, enable_SMTPUTF8=False, loop=loop), "127.0.0.1", 0)
    catcher.port = server.sockets[0].getsockname()[1]
    try:
        yield catcher
    finally:
        server.close()


@pytest.fixture
async def db(service_database: Callable[[str], Awaitable[Database]]) -> Database:
    return await service_database("reply")


def postman(db: Database, port: int) -> Postman[Forward]:
    relay = Relay(f"127.0.0.1:{port}", "", "", timeout_s=5)
    return Postman(db, relay, MARK, replies(handlers.told), at_once=10, lease_s=60, poll_s=0.05)


async def reply(db: Database, text: str, reception: str = "desk@rosa.example") -> tuple[UUID, UUID]:
    tenant, inbound = uuid4(), uuid4()
    settings = {"allow_sms_replies": True, "reception_email": reception, "name": "Salon Rosa"}
    await apply(db, handlers.on_tenant_changed, TenantChanged(tenant_id=str(tenant), version=1, **settings))
    event = SmsReceived(
        tenant_id=str(tenant),
        inbound_id=str(inbound),
        number="+61400000001",
        number_hash=tenant.bytes + b"1",
        text=text,
        received_at_unix_ms=clock.unix_ms(),
    )
    await apply(db, handlers.on_sms_received, event)
    return tenant, inbound


async def state(db: Database, ids: tuple[UUID, UUID]) -> dict[str, Any]:
    async with db.worker() as tx:
        found = await emails.find(tx, *ids)
    assert found is not None
    return found


async def test_each_reply_goes_out_once(db: Database, catcher: Catcher) -> None:
    first, second = await reply(db, "See you at ten"), await reply(db, "STOP")

    counts = [await postman(db, catcher.port).send_due() for _ in range(3)]

    assert counts == [2, 0, 0]
    assert [letter["Subject"] for letter in catcher.letters] == [
        "SMS reply from +61400000001",
        "SMS reply from +61400000001 (opt-out)",
    ]
    assert [(await state(db, ids))["state"] for ids in (first, second)] == ["sent", "sent"]


async def make_due(db: Database) -> None:
    async with db.worker() as tx:
        await tx.execute("UPDATE email SET due_at = kit_now() WHERE tenant_id IS NOT NULL")


async def test_a_letter_that_the_relay_puts_off_is_tried_again_and_given_up_in_the_end(
    db: Database, catcher: Catcher
) -> None:
    ids = await reply(db, "See you")
    catcher.answer = "451 later"

    for attempt in (1, 2):
        assert await postman(db, catcher.port).send_due() == 1
        assert await postman(db, catcher.port).send_due() == 0, "it must pause"
        assert (await state(db, ids))["attempts"] == attempt
        await make_due(db)
    async with db.worker() as tx:
        await tx.execute("UPDATE inbound_message SET received_at = received_at - interval '3 days'")
    await postman(db, catcher.port).send_due()

    assert await state(db, ids) == {"state": "failed", "attempts": 3, "error": "SMTP 451"}


async def test_a_relay_that_is_down_loses_nothing_and_each_letter_goes_out_once_when_it_is_back(
    db: Database, catcher: Catcher
) -> None:
    replies = [await reply(db, text) for text in ("See you", "STOP")]
    for _ in range(20):
        assert await postman(db, 1).send_due() == 2
        assert {(await state(db, ids))["state"] for ids in replies} == {"due"}
        await make_due(db)

    await postman(db, catcher.port).send_due()
    await postman(db, catcher.port).send_due()

    assert len(catcher.letters) == 2


async def test_a_letter_at_which_the_connection_breaks_keeps_no_other(db: Database, catcher: Catcher) -> None:
    broken, others = await reply(db, "a"), [await reply(db, text) for text in ("b", "c")]
    catcher.breaks_at = f"<{broken[1].hex}@muster.example>"

    await postman(db, catcher.port).send_due()
    await postman(db, catcher.port).send_due()

    assert [(await state(db, ids))["state"] for ids in others] == ["sent", "sent"]
    assert (await state(db, broken))["state"] == "due"


async def test_letters_that_a_killed_worker_had_in_hand_go_out_when_its_lease_ends(
    db: Database, catcher: Catcher
) -> None:
    await reply(db, "See you")
    async with db.worker() as tx:
        assert len(await emails.lease(tx, 10, 60)) == 1
    assert await postman(db, catcher.port).send_due() == 0

    await make_due(db)
    await postman(db, catcher.port).send_due()

    assert len(catcher.letters) == 1


async def test_one_bad_recipient_does_not_keep_the_letters_of_others(db: Database, catcher: Catcher) -> None:
    refused, broken = await reply(db, "a", "nobody@rosa.example"), await reply(db, "b", "a@b\r\nBcc: c@d")
    good = await reply(db, "c")

    await postman(db, catcher.port).send_due()

    assert [(await state(db, ids))["error"] for ids in (refused, broken, good)] == ["SMTP 550", "header To", ""]
    assert [(await state(db, ids))["state"] for ids in (refused, broken, good)] == ["failed", "failed", "sent"]
    assert len(catcher.letters) == 1


async def test_two_postmen_share_the_queue(db: Database, catcher: Catcher) -> None:
    for number in range(25):
        await reply(db, f"reply {number}")

    await asyncio.gather(*(postman(db, catcher.port).send_due() for _ in range(4)))

    assert len(catcher.letters) == 25
    assert len({letter["Message-ID"] for letter in catcher.letters}) == 25


async def test_a_postman_at_work_sends_what_is_queued_and_ends_when_told(db: Database, catcher: Catcher) -> None:
    man = postman(db, catcher.port)
    work = asyncio.create_task(man.run())
    await reply(db, "See you")
    man.wake()

    async def caught() -> bool:
        return bool(catcher.letters)

    await eventually(caught)
    await man.stop()
    await work

    assert len(catcher.letters) == 1
