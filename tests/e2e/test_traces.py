"""What the whole product tells those who run it, about one send and about nobody in particular."""

import re
from collections.abc import Sequence
from itertools import pairwise

import pytest
from e2e_world import World, eventually

from muster.local.collector import Got

pytestmark = pytest.mark.e2e
Road = Sequence[tuple[str, str]]

CONFIRMED: Road = [("customer", "POST /v1/bulk-sms")]
CHUNK: Road = [
    ("dispatch", "hear BulkRecipientsAttached"),
    ("customer", "say BulkRecipientsAttached"),
    ("customer", "plan publish"),
    *CONFIRMED,
]
SENT: Road = [("dispatch", "dispatch chunk"), *CHUNK]
RESERVED: Road = [
    ("credit", "say CreditsReserved"),
    ("credit", "hear BulkSmsRequested"),
    ("customer", "say BulkSmsRequested"),
    ("customer", "plan add_up"),
    *CONFIRMED,
]
ROADS: dict[str, Road] = {
    "who gets what, in the report": [("report", CHUNK[0][1]), *CHUNK[1:]],
    "credits, in the saga": [("dispatch", "hear CreditsReserved"), *RESERVED],
    "what was sent, in the report": [("report", "hear SmsDispatched"), ("dispatch", "say SmsDispatched"), *SENT],
    "receipts, in the report": [
        ("report", "hear SmsStatusChanged"),
        ("dispatch", "say SmsStatusChanged"),
        ("dispatch", "hear receipts"),
        *SENT,
    ],
}
# Of Australian businesses, as all of these tests have: written in any way that is made of digits alone.
_MOBILE = re.compile(rb"(?<![0-9a-f.-])(?:\+?61|0)4[0-9]{8}(?![0-9a-f-])")
_WORDS = re.compile(rb"@test\.example|\bAna[0-9]+\b|STOP to opt out|Yes please!|Bring a friend")


def leads(spans: Sequence[Got], road: Road) -> str:
    """Where a road breaks off that goes from a span to what it follows from, and on; "" where it does not."""
    at = [one for one in spans if (one.service, one.name) == road[0]]
    for step, above in pairwise(road):
        if not at:
            return " ".join(step)
        follows = {one.parent for one in at} | {span_id for one in at for _, span_id in one.links}
        at = [one for one in spans if one.span_id in follows and (one.service, one.name) == above]
    return "" if at else " ".join(road[-1])


def test_one_trace_leads_from_the_confirmation_of_a_send_to_the_rows_of_its_report(world: World) -> None:
    business = world.business()
    numbers = business.customers(3)
    bulk_id = business.send()
    sent = business.ended(bulk_id)
    collector = world.stack.collector

    def broken() -> dict[str, str]:
        spans = collector.of(sent["trace_id"])
        return {what: step for what, road in ROADS.items() if (step := leads(spans, road))}

    eventually(lambda: not broken(), 30.0, broken)
    spans = collector.of(sent["trace_id"])
    for road in ROADS.values():  # each hop is one that would be missed
        for hop in road:
            assert leads([one for one in spans if (one.service, one.name) != hop], road)
    assert {one.about["muster.bulk_id"] for one in spans if "muster.bulk_id" in one.about} == {bulk_id}
    assert {one.name for one in spans} > {"saga sending", "saga closed", "plan freeze"}
    assert [one for one in spans if one.failed] == []
    told = repr(collector.spans)
    assert [number for number in numbers if number[3:] in told] == []


def test_no_log_of_any_process_names_a_customer_or_says_what_was_written_to_one(world: World) -> None:
    for line in (b'"to": "+61410000012"', b"0410000012 ", b"(61410000012)", b"kim@test.example", b"Hello Ana7."):
        assert personal(line)
    logs = list((world.stack.var / "log").rglob("*.log"))
    assert len(logs) > 10
    assert {path.name: found for path in logs if (found := personal(path.read_bytes()))} == {}


def personal(held: bytes) -> set[bytes]:
    return {*_MOBILE.findall(held), *_WORDS.findall(held)}
