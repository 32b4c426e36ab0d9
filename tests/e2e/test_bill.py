"""The quote is the bill, for random audiences and texts on real processes: what was quoted, planned, reserved and used
is what two carriers received, part for part and octet for octet.

The seeds are the same in each run. `BILL_SENDS=200 BILL_SEED=1000 pytest tests/e2e/test_bill.py` tries others; a seed
that fails is repeated by `BILL_SENDS=1 BILL_SEED=…`.
"""

import asyncio
import json
import os
import secrets
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from bill_cases import KINDS, PROBES, RATES, WIDE, Case, cases, written
from e2e_world import Business, World, eventually

from muster.client import ApiError
from muster.events.v1.recipients_pb2 import BulkRecipientsAttached
from muster.text import Encoding
from muster.text.segments import encode_parts

pytestmark = pytest.mark.e2e

SENDS = int(os.environ.get("BILL_SENDS", "5"))
SEED = int(os.environ.get("BILL_SEED", "1"))
PEOPLE_MAX = 50
AT_ONCE = 6
PARTS_MAX = 12
TOPICS = ("bulk-recipients", "bulk-recipients-small")
CODINGS = {Encoding.GSM7: 0, Encoding.UCS2: 8}


@dataclass(frozen=True, slots=True)
class Message:
    """What one number was planned to get, and what a part of it costs."""

    text: str
    encoding: int
    parts: int
    price: int
    reference: int
    bits: int
    country: str

    @property
    def octets(self) -> list[str]:
        """Each part as it has to leave, with its header, in hexadecimal."""
        _, payloads = encode_parts(self.text, self.bits)
        if len(payloads) == 1:
            return [payloads[0].hex()]
        head = f"050003{self.reference:02x}" if self.bits == 8 else f"060804{self.reference:04x}"
        return [f"{head}{len(payloads):02x}{at:02x}{one.hex()}" for at, one in enumerate(payloads, 1)]


def test_random_quotes_are_the_bill_part_for_part(world: World) -> None:
    business, name = shop(world)
    with wide_carrier(world) as other:
        until_priced(business, name)
        for first in range(SEED, SEED + SENDS, AT_ONCE):
            batch = [*cases(first, min(AT_ONCE, SEED + SENDS - first), PEOPLE_MAX)]
            sent = [(case, *confirmed(business, case, name)) for case in batch]
            ended = [closed(business, case, bulk_id) for case, _, bulk_id in sent]
            planned = asyncio.run(plans(world.run["kafka"], {bulk_id for _, _, bulk_id in sent}))
            received = by_number(world.carrier("GET", "/messages?limit=10000"), other("/messages?limit=10000"))
            for (case, quote, bulk_id), bulk in zip(sent, ended, strict=True):
                wrong = judged(quote, bulk, planned[bulk_id], received)
                wrong += report_differs(business, bulk_id, planned[bulk_id])
                assert not wrong, f"{case.again}: {wrong[:5]}"
    account = business.ask.credits()
    assert account["granted"] == account["available"] + account["consumed"]


def test_a_send_of_which_two_people_became_dearer_comes_back_and_reserves_nothing(world: World) -> None:
    business = world.business(credits=100)
    numbers = business.customers(5)
    quote = business.ask.quote("Hi {first_name}. STOP to opt out")
    people = [*business.ask.pages("/v1/customers")]
    for one, name in zip(people, ("A" * 160, "Zoő" * 30), strict=False):
        business.ask.patch(f"/v1/customers/{one['id']}", {"first_name": name})
    bulk_id = business.ask.send(quote["id"])["id"]

    eventually(lambda: business.state(bulk_id) == "needs_confirmation")
    problem = business.ask.bulk(bulk_id)["problem"]
    account = business.ask.credits()
    assert (quote["credits"], problem["credits"], problem["difference"]) == (5, 7, 2)
    assert (account["reserved"], account["available"], sum(world.stats(numbers).values())) == (0, 100, 0)

    business.ask.confirm(bulk_id, problem["credits"])
    assert business.ended(bulk_id)["credits_used"] == 7
    assert sum(world.stats(numbers).values()) == 7


def closed(business: Business, case: Case, bulk_id: str) -> dict[str, Any]:
    """A send that has ended, and not for want of a plan that fits its quote."""
    eventually(lambda: business.state(bulk_id) in ("closed", "refused", "needs_confirmation"))
    bulk = business.ask.bulk(bulk_id)
    assert bulk["state"] == "closed", f"{case.again}: {bulk['problem']}"
    return business.ended(bulk_id)


def judged(
    quote: Mapping[str, Any], bulk: Mapping[str, Any], plan: Mapping[str, Message], received: Mapping[str, Any]
) -> list[str]:
    """What is not the same in a quote, what became of its send, its plan and what the carriers took."""
    messages = [*plan.values()]
    summed = {
        "recipients": len(plan),
        "parts": sum(one.parts for one in messages),
        "credits": sum(one.price for one in messages),
    }
    told = {
        "by_country": Counter(one.country for one in messages),
        "by_parts": Counter(str(one.parts) for one in messages),
        "by_encoding": Counter(Encoding(one.encoding).name for one in messages),
    }
    wrong = [
        f"{name} quoted {quote[name]}, planned {sums}" for name, sums in (summed | told).items() if quote[name] != sums
    ]
    wrong += [
        f"{name} of the send: {bulk[name]}, planned {sums}" for name, sums in summed.items() if bulk[name] != sums
    ]
    paid = {name: bulk[f"credits_{name}"] for name in ("quoted", "reserved", "used", "released", "held")}
    whole = quote["credits"]
    if paid != {"quoted": whole, "reserved": whole, "used": whole, "released": 0, "held": 0}:
        wrong.append(f"quoted {whole} credits, {paid}")
    if quote["left_out"] != bulk["left_out"]:
        wrong.append(f"left out by the quote {quote['left_out']}, by the plan {bulk['left_out']}")
    wrong += [
        f"{number} was planned to pay {one.price}"
        for number, one in plan.items()
        if one.price != one.parts * RATES[one.country]
    ]
    for number, one in plan.items():
        got = received.get(number, [])
        if [(message["text"], message["octets"], message["data_coding"]) for message in got] != [
            (one.text, one.octets, CODINGS[Encoding(one.encoding)])
        ]:
            wrong.append(f"{number} was planned to get {one}, the carrier took {got}")
    return wrong


def report_differs(business: Business, bulk_id: str, plan: Mapping[str, Message]) -> list[str]:
    """Rows of the report that say another text, number of parts or price than was planned, or that are not there."""
    rows = {row["number"]: (row["text"], row["parts"], row["credits"]) for row in business.ask.report(bulk_id=bulk_id)}
    planned = {number: (one.text, one.parts, one.price) for number, one in plan.items()}
    return [f"the report of {number}: {rows.get(number)}" for number in planned if rows.get(number) != planned[number]]


def shop(world: World) -> tuple[Business, str]:
    """A business that texts several countries, by a number and by a name; the name."""
    settings = {"countries": ["*"], "countries_max": ["*"], "parts_max": PARTS_MAX}
    business = world.business(credits=100_000 * max(SENDS, 1), **settings)
    name = f"Z{secrets.token_hex(4)}"
    eventually(lambda: given(world, business, name))
    for country, credits in RATES.items():
        world.operator.put("/v1/rates", {"country": country, "credits_per_part": credits})
    for key, kind in KINDS.items():
        business.ask.put(f"/v1/own-fields/{key}", {"name": key, "kind": kind})
    return business, name


def until_priced(business: Business, name: str) -> None:
    """Wait until customer-svc has heard of all rates, of the route with wide references and of the name; and let
    somebody have a value of each own field."""
    probes = [[*("Ana", "Smith", number, "yes", "", "probe"), *("Rex", "2026-05-01", "1", "x")] for number in PROBES]
    assert business.ask.import_customers(written(probes))["imported"] == len(RATES)
    long = {"text": "a" * 306, "audience": {"tag": "probe"}, "class": "factual"}
    credits = sum(rate * (3 if country == WIDE else 2) for country, rate in RATES.items())
    eventually(lambda: business.ask.post("/v1/quotes", long)["credits"] == credits)
    eventually(lambda: may_send_by(business, name))


def may_send_by(business: Business, name: str) -> bool:
    """Whether customer-svc has heard that the name is the business's."""
    try:
        business.ask.quote("Hi", {"tag": "probe"}, sender=name)
    except ApiError as refused:
        if refused.code != "not_own_sender":
            raise
        return False
    return True


def given(world: World, business: Business, name: str) -> bool:
    """Whether the business has the sender now: dispatch-svc may hear of a tenant later than others do."""
    try:
        world.operator.post("/v1/senders", {"tenant_id": business.id, "sender": name, "reason": "test"})
    except ApiError as refused:
        if refused.status != 404:
            raise
        return False
    return True


@contextmanager
def wide_carrier(world: World) -> Iterator[Any]:
    """A second carrier, whose references have 16 bits and to which one country leads; asks its control port."""
    known = world.run["carrier"]
    command = [sys.executable, "-m", "muster.client", "carrier", "simulate", "--max-seconds", "3600"]
    env = {**os.environ, "MUSTER_CARRIER_PASSWORD": known["password"]}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            at = json.loads(process.stdout.readline())
            smpp = {"host": at["host"], "port": at["port"], "system_id": known["system_id"]}
            body = {"account": "wide", "smpp": smpp, "password": known["password"], "reference_bits": 16}
            world.operator.create_carrier(body)
            world.operator.create_route({"route": "wide", "accounts": [{"account": "wide"}], "countries": [WIDE]})
            eventually(lambda: world.operator.carrier("wide")["standing"]["connections"])
            yield lambda path: world.http.get(at["control_url"] + path).raise_for_status().json()
            world.operator.delete_route("wide")
            world.operator.control_carrier("wide", "close")
        finally:
            process.terminate()


def confirmed(business: Business, case: Case, name: str) -> tuple[dict[str, Any], str]:
    """A case as it was quoted, and its send. A text above the business's limit of parts is filled up less."""
    done = business.ask.import_customers(case.file)
    # Of two who share a number and have one name there is one.
    assert done["imported"] + done["rejected"] == len(case.rows)
    business.ask.post("/v1/suppressions", {"number": case.rows[0][2], "scope": "all"})
    business.ask.put("/v1/notices", case.notices)
    options = {"class": case.message_class} | ({"sender": name} if case.by_name else {})
    for filled in (1, 0.5, 0.25, 0):
        text, more = worded(business, case.worded(filled))
        asked = partial(business.ask.quote, text, {"tag": case.tag}, **options, **more)
        try:
            asked()
            # What was counted a moment ago is known: whoever changes meanwhile is judged anew.
            change_some(business, case)
            quote = asked()
        except ApiError as refused:
            if refused.code != "too_many_parts" or not filled:
                raise
        else:
            return dict(quote), business.ask.send(quote["id"])["id"]
    raise AssertionError("the last one is sent or refused")


def change_some(business: Business, case: Case) -> None:
    """One has another name, one allows no texts any more, one has an odd pet."""
    changes: list[dict[str, Any]] = [
        {"first_name": "Zoő Łukasz"},
        {"allow_bulk_sms": False},
        {"own_fields": {"pet": "🐕‍🦺 [dog]", "due": "2026-11-30"}},
    ]
    for row, change in zip(case.rows[1:-1], changes, strict=False):
        for one in business.ask.get("/v1/customers", search=row[2])["items"]:
            business.ask.patch(f"/v1/customers/{one['id']}", change)


def worded(business: Business, texts: dict[str, str]) -> tuple[str | None, dict[str, Any]]:
    """A text, or the template that has it in several languages."""
    first, *others = texts.values()
    if not others:
        return first, {}
    variants = {language: text for language, text in texts.items() if language}
    made = business.ask.post("/v1/templates", {"name": "bill", "text": first, "variants": variants})
    return None, {"template_id": made["id"]}


async def plans(kafka: str, sends: set[str]) -> dict[str, dict[str, Message]]:
    """What was planned for each number of these sends, as it was published."""
    consumer = AIOKafkaConsumer(*TOPICS, bootstrap_servers=kafka, auto_offset_reset="earliest", group_id=None)
    await consumer.start()
    found: dict[str, dict[str, Message]] = {bulk_id: {} for bulk_id in sends}
    try:
        partitions = [TopicPartition(name, at) for name in TOPICS for at in consumer.partitions_for_topic(name) or ()]
        ends = await consumer.end_offsets(partitions)
        while any([await consumer.position(at) < end for at, end in ends.items()]):
            for record in (part for parts in (await consumer.getmany(timeout_ms=200)).values() for part in parts):
                chunk = BulkRecipientsAttached.FromString(record.value)
                if chunk.bulk_id in sends:
                    found[chunk.bulk_id] |= messages_of(chunk)
    finally:
        await consumer.stop()
    return found


def messages_of(chunk: BulkRecipientsAttached) -> dict[str, Message]:
    """What each number of a chunk gets."""
    at = chunk.text_index or [0] * len(chunk.number)
    rows = zip(chunk.number, chunk.seq, at, chunk.parts, chunk.price, strict=True)
    return {
        f"+{number}": Message(
            chunk.text[index],
            chunk.encoding[index],
            parts,
            price,
            (chunk.reference_base + seq) % 2**chunk.reference_bits,
            chunk.reference_bits,
            chunk.country,
        )
        for number, seq, index, parts, price in rows
    }


def by_number(*taken: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """What carriers took, by number."""
    found: dict[str, list[dict[str, Any]]] = {}
    for message in (one for each in taken for one in each):
        found.setdefault(message["to"], []).append(message)
    return found
