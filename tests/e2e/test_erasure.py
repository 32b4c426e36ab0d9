"""The whole product forgets a person: nothing of them is found in any table, topic or log, and the books balance."""

import asyncio
import subprocess
import sys
from typing import Any
from uuid import UUID

import pytest
from aiokafka import AIOKafkaProducer
from e2e_world import Business, World, eventually
from traces import Needles, in_databases, in_logs, in_topics, keep_personal_topics

from muster.events.v1.recipients_pb2 import BulkRecipientsAttached

pytestmark = pytest.mark.e2e
NAME, FAMILY, OWN, WRITTEN = "Anastasia", "Brandtner", "poodle Wilhelmina", "Ordinary words of hers"
TEXT = "Hello {{first_name}}. STOP to opt out"
HELD = {
    *("customer.customer.first_name", "customer.customer.own_fields", "customer.customer_number.number"),
    *("customer.plan_frozen.joined", "customer.plan_frozen.numbers", "customer.customer_import_rejected.cells"),
    *("customer.idempotency.answer", "customer.bulk.text", "customer.consent_version.wording"),
    *("dispatch.chunk_body.personal", "dispatch.dead_letter.value", "reply.dead_letter.value"),
    *("reply.sent_chunk.payload", "reply.inbound_message.number", "reply.inbound_message.text"),
    *("report.recipients.numbers", "report.recipients.texts", "report.reply.text", "report.dead_letter.value"),
}
"""Where the search must find her before the erasure, or it would prove nothing."""
SAID = {"bulk-recipients-small", "inbound", "dispatch-dlq", "reply-dlq", "report-dlq"}


def test_an_erased_person_is_found_nowhere_and_the_books_balance(world: World) -> None:
    business = world.business()
    number, other = person(business)
    her = Needles(number, (NAME, FAMILY, OWN, WRITTEN))
    sent = business.send(TEXT)
    business.ended(sent)
    reply(world, business, number, WRITTEN)
    eventually(lambda: any(row["replies"] for row in business.ask.report(number=number)))
    world.faults(throttle_ratio=1.0)
    waiting = business.send(TEXT)
    poison(world, business, number)
    eventually(lambda: in_databases(world.run, her) >= HELD)
    eventually(lambda: in_topics(world.run, her) >= SAID)
    customer = next(one for one in business.ask.pages("/v1/customers") if one["first_name"] == NAME)
    reply(world, business, number, "STOP")
    eventually(lambda: business.ask.quote(TEXT)["left_out"].get("opted_out") == 1)

    erasure = business.ask.post(f"/v1/customers/{customer['id']}/erasure", {"ground": "asked"})
    world.faults(throttle_ratio=0.0)

    eventually(lambda: business.ask.get(f"/v1/erasures/{erasure['id']}")["state"] == "done")
    business.ended(waiting)
    assert in_databases(world.run, her) == set()
    keep_personal_topics(world.run["kafka"], 1_000)
    try:
        eventually(lambda: in_topics(world.run, her) == set())
    finally:
        keep_personal_topics(world.run["kafka"], None)
    assert in_logs(world.stack.var / "log", her) == set()
    report = business.ask.report(bulk_id=sent)
    rows = {(row["erased"], row["number"], row["text"] and row["text"].partition(": ")[2]) for row in report}
    assert rows == {(True, None, None), (False, other, "Hello Bo. STOP to opt out")}
    assert {row["replies"][0]["text"] for row in business.ask.report(bulk_id=sent) if row["replies"]} == {None}
    assert business.progress(sent)["delivered"] == 2
    assert business.progress(waiting)["delivered"] == 1
    came_back = f"First name,Mobile,Allow Bulk SMS\nAna,{number},yes\n"
    assert business.ask.import_customers(came_back.encode())["imported"] == 1
    assert business.ask.quote(TEXT)["left_out"]["opted_out"] == 1
    eventually(lambda: laws(world) == 0)


def person(business: Business) -> tuple[str, str]:
    """Two customers, of whom she is one, with all that customer-svc may hold of her; both numbers."""
    number, other = (f"{business.sender[:-4]}{end}" for end in ("7001", "7002"))
    rows = f"First name,Last name,Mobile,Allow Bulk SMS,Pet\n{NAME},{FAMILY},{number},yes,{OWN}\nBo,,{other},yes,\n"
    done = business.ask.import_customers(f"{rows}{NAME},{FAMILY},12,yes,\n".encode())
    assert (done["imported"], done["rejected"]) == (2, 1)
    her = next(one for one in business.ask.pages("/v1/customers") if one["first_name"] == NAME)
    business.ask.patch(f"/v1/customers/{her['id']}", {"last_name": FAMILY}, key="her")
    words = {"kind": "express", "source": "person", "wording": WRITTEN, "how": "desk"}
    business.ask.post(f"/v1/customers/{her['id']}/consents", words)
    business.ask.post("/v1/messages", {"to": number, "text": f"Dear {NAME}, {OWN} is washed"})
    return number, other


def reply(world: World, business: Business, number: str, text: str) -> None:
    world.carrier("POST", "/inbound", json={"from": number, "to": business.sender, "text": text})


def poison(world: World, business: Business, number: str) -> None:
    """A chunk about her of which nobody can say who gets what: every service that hears it parks it."""
    ids: dict[str, Any] = {"tenant_id": business.id, "bulk_id": str(UUID(int=7)), "chunk": 1}
    chunk = BulkRecipientsAttached(**ids, seq=[1, 2], number=[int(number.removeprefix("+"))], text=[f"Hi {NAME}"])
    headers = [("ce_type", b"BulkRecipientsAttached"), ("tenant", business.id.encode())]

    async def say() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=world.run["kafka"])
        await producer.start()
        try:
            value = chunk.SerializeToString()
            await producer.send_and_wait("bulk-recipients-small", value, key=b"poison", headers=headers)
        finally:
            await producer.stop()

    asyncio.run(say())


def laws(world: World) -> int:
    """The exit code of `muster laws`: 1 where any is broken."""
    command = [sys.executable, "-m", "muster.client", "laws", "--json", "--wait", "0"]
    env = {"MUSTER_VAR": str(world.stack.var), "PATH": ""}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False).returncode
