"""What receptions are told of their credits: once for each thing that happened, as letters of ours."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from uuid import UUID, uuid4

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from muster.events.v1.approvals_pb2 import (
    APPROVAL_DECISION_APPROVED,
    APPROVAL_DECISION_WITHDRAWN,
    ApprovalDecided,
    ApprovalRequested,
)
from muster.events.v1.bulk_pb2 import CONTROL_PAUSE, CONTROL_RESUME, BulkSmsControlled
from muster.events.v1.credits_pb2 import AutomaticTopUpFailed, CreditsLow
from muster.events.v1.schedules_pb2 import ScheduledStartDecided
from muster.events.v1.tenants_pb2 import TenantChanged
from muster.kit.consumer import Poison
from muster.kit.mail import HeaderRefused, Postman, Postmark, Relay
from muster.kit.pg import Database
from muster.kit.testing import apply, run_twice
from muster.reply import handlers
from muster.reply.domain import Notice, NoticeKind
from muster.reply.mail import about_credits, compose_notice
from muster.reply.store import emails, notices

MARK = Postmark("replies@muster.example", bytes(32))
LOW = Notice(
    tenant_id=UUID(int=1),
    letter_id=UUID(int=2),
    kind=NoticeKind.CREDITS_LOW,
    since=datetime(2026, 11, 23, 9, 0, tzinfo=UTC),
    recipient="desk@rosa.example",
    threshold=50,
    available=49,
    tenant_name="Salon Rosa",
    time_zone="Australia/Sydney",
)


@pytest.fixture
async def db(service_database: Callable[[str], Awaitable[Database]]) -> Database:
    return await service_database("reply")


async def tenant_with(db: Database, reception: str = "desk@rosa.example", *, closed: bool = False) -> UUID:
    tenant = uuid4()
    settings = {"name": "Salon Rosa", "reception_email": reception, "closed": closed}
    await apply(db, handlers.on_tenant_changed, TenantChanged(tenant_id=str(tenant), version=1, **settings))
    return tenant


def low(tenant: UUID, version: int = 7) -> CreditsLow:
    return CreditsLow(tenant_id=str(tenant), threshold=50, available=49, account_version=version)


async def leased(db: Database) -> list[Notice]:
    async with db.worker() as tx:
        return await notices.lease(tx, 10, 60)


def text_of(notice: Notice) -> tuple[str, str]:
    letter = message_from_bytes(compose_notice(notice, MARK).content, policy=default)
    return str(letter["Subject"]), letter.get_content().replace("\r\n", "\n")


async def test_a_fall_is_told_once_however_often_it_is_heard_and_the_next_one_again(db: Database) -> None:
    tenant = await tenant_with(db)

    await run_twice(db, handlers.on_credits_low, low(tenant), low(tenant), low(tenant, 9))

    found = await leased(db)
    assert [(one.recipient, one.threshold, one.available, one.attempts) for one in found] == [
        ("desk@rosa.example", 50, 49, 1)
    ] * 2
    async with db.worker() as tx:
        assert await emails.pending(tx) == 2


async def test_a_top_up_that_failed_is_told_once(db: Database) -> None:
    tenant, charge = await tenant_with(db), uuid4()
    event = AutomaticTopUpFailed(
        tenant_id=str(tenant), charge_id=str(charge), amount=500, currency="EUR", reason="card\0 declined"
    )

    await run_twice(db, handlers.on_automatic_top_up_failed, event)

    (found,) = await leased(db)
    subject, text = text_of(found)
    assert subject == "An automatic top-up of your SMS credits failed"
    assert "500 EUR" in text
    assert "card declined" in text


async def test_a_send_that_paused_itself_is_told_once_and_what_a_person_did_is_not(db: Database) -> None:
    tenant, bulk = await tenant_with(db), uuid4()
    who = {"tenant_id": str(tenant), "bulk_id": str(bulk)}
    by_itself = BulkSmsControlled(**who, control_version=1, control=CONTROL_PAUSE, reason="error_rate")
    others = (
        BulkSmsControlled(**who, control_version=2, control=CONTROL_RESUME, user_id="mia"),
        BulkSmsControlled(**who, control_version=3, control=CONTROL_PAUSE, user_id="mia"),
    )

    await run_twice(db, handlers.on_bulk_sms_controlled, by_itself, *others)

    (found,) = await leased(db)
    subject, text = text_of(found)
    assert subject == "Your SMS send was paused"
    assert str(bulk) in text


async def test_a_start_of_a_schedule_that_came_to_nothing_is_told_once_and_one_that_was_started_or_skipped_is_not(
    db: Database,
) -> None:
    tenant, schedule, bulk = await tenant_with(db), uuid4(), uuid4()
    who = {"tenant_id": str(tenant), "schedule_id": str(schedule), "name": "Christmas\0 offer", "time_zone": "UTC"}
    missed = ScheduledStartDecided(**who, wall="2026-12-24T10:00", outcome="START_OUTCOME_MISSED", detail="Too late.")
    refused = ScheduledStartDecided(**who, wall="2026-12-25T10:00", outcome="START_OUTCOME_REFUSED", bulk_id=str(bulk))
    others = [
        ScheduledStartDecided(**who, wall="2026-12-24T10:00", outcome=f"START_OUTCOME_{outcome}")
        for outcome in ("STARTED", "SKIPPED")
    ]

    await run_twice(db, handlers.on_scheduled_start_decided, missed, missed, refused, *others)

    one, other = sorted((text_of(notice) for notice in await leased(db)), key=lambda told: str(bulk) in told[1])
    assert one[0] == other[0] == "A scheduled SMS was not sent"
    assert one[1].startswith('"Christmas offer" was to be sent on 2026-12-24 10:00 (UTC). Too late.\n')
    assert str(schedule) in one[1]
    assert f"The send that was refused is {bulk}." in other[1]


async def test_who_approves_is_written_to_once_for_each_request_and_decision(db: Database) -> None:
    tenant, approval = await tenant_with(db), uuid4()
    names = {"tenant_id": str(tenant), "approval_id": str(approval), "subject": 1, "subject_id": str(uuid4())}
    shared = {**names, "credits": 8_400, "expires_at_unix_ms": 1_798_066_800_000, "email": "owner@rosa.example"}
    asked = ApprovalRequested(**shared, recipients=4_200, asked_by="ada")
    other = ApprovalRequested(**{**shared, "approval_id": str(uuid4()), "subject": 3, "name": "Offer", "email": ""})
    approved = ApprovalDecided(**shared, decision=APPROVAL_DECISION_APPROVED, decided_by="mia")

    await run_twice(db, handlers.on_approval_requested, asked, other)
    await run_twice(db, handlers.on_approval_decided, approved)
    await apply(db, handlers.on_approval_decided, ApprovalDecided(**shared, decision=APPROVAL_DECISION_WITHDRAWN))

    told = {notice.recipient + notice.kind: text_of(notice) for notice in await leased(db)}
    assert set(told) == {
        "owner@rosa.exampleapproval_asked", "desk@rosa.exampleapproval_asked", "owner@rosa.exampleapproval_decided",
    }  # fmt: skip
    subject, text = told["owner@rosa.exampleapproval_asked"]
    assert subject == "An SMS send waits for your approval"
    assert text.startswith("A send to 4,200 recipients for up to 8,400 credits waits for an approval, until 2026-12-23")
    assert str(approval) in text
    assert told["desk@rosa.exampleapproval_asked"][1].startswith('A schedule "Offer" for up to 8,400 credits at each')
    assert "was approved by the user mia. It can be sent until" in told["owner@rosa.exampleapproval_decided"][1]


@pytest.mark.parametrize(("reception", "closed"), [("", False), ("desk@rosa.example", True)])
async def test_who_has_no_address_or_is_closed_is_not_written_to(db: Database, reception: str, closed: bool) -> None:
    tenant = await tenant_with(db, reception, closed=closed)

    await apply(db, handlers.on_credits_low, low(tenant), low(uuid4()))

    assert await leased(db) == []


async def test_an_id_that_is_none_is_poison(db: Database) -> None:
    with pytest.raises(Poison):
        await apply(
            db, handlers.on_automatic_top_up_failed, AutomaticTopUpFailed(tenant_id=str(uuid4()), charge_id="x")
        )


def test_the_letter_says_how_many_are_left_and_when_it_is_told_again() -> None:
    subject, text = text_of(LOW)

    assert subject == "Your SMS credits are low"
    assert text.startswith("Salon Rosa has 49 credits left (on 2026-11-23 20:00 (Australia/Sydney)), fewer than the 50")


def test_the_letter_is_the_same_at_each_attempt() -> None:
    assert compose_notice(LOW, MARK) == compose_notice(replace(LOW, attempts=4), MARK)


@pytest.mark.parametrize("recipient", ["", "a@b\r\nBcc: c@d", "=?utf-8?q?a?=@b", "nobody"])
def test_an_address_that_is_none_is_refused(recipient: str) -> None:
    with pytest.raises(HeaderRefused):
        compose_notice(replace(LOW, recipient=recipient, reason="\r\nBcc: x@y"), MARK)


async def test_the_postman_hands_it_to_the_mail_relay_once(db: Database) -> None:
    tenant, kept = await tenant_with(db), list[Envelope]()

    class Keeping:
        async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
            kept.append(envelope)
            return "250 OK"

    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Keeping(), loop=loop), "127.0.0.1", 0)
    async with server:
        relay = Relay(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", "", "", timeout_s=5)
        postman = Postman(db, relay, MARK, about_credits(), at_once=10, lease_s=60, poll_s=0.05)
        await apply(db, handlers.on_credits_low, low(tenant))
        assert [await postman.send_due(), await postman.send_due()] == [1, 0]

    (envelope,) = kept
    assert envelope.rcpt_tos == ["desk@rosa.example"]
    assert b"Subject: Your SMS credits are low" in (envelope.original_content or b"")
