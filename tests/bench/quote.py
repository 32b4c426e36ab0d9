"""BENCH=quote: what is quoted while people type, over a million customers of one business.

Each person writes a text of their own with two merge fields; every character asks for a quote, whether or not the one
before it was answered by then, and what is measured is how long after the key it is there. Of some customers something
changes meanwhile: that the next quote knows of it is checked.
"""

import asyncio
import random
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import asyncpg

from bench.audience import people
from bench.audience.measure import SENDS_S, frozen, imported, told, used
from bench.audience.memory import Watched
from bench.audience.system import Api, System, running
from bench.send import NotEnded
from bench.single import spread
from muster.kit.outbox import RECORD_BYTES_MAX

TARGETS: Final = {
    "first_ms": 1_500,
    "typed_p99_ms": 50,
    "changed_p99_ms": 50,
    "typed_and_changed_p99_ms": 50,
    "plan_s": 45,
    "memory_last_to_second": 1.1,
    "chunk_share_of_record": 0.8,
}
"""For a million customers on two cores; memory is flat and chunks are well below what the broker takes."""
PEOPLE: Final = 20
KEY_S: Final = 0.3
"""Between two characters: 40 words a minute."""
KEYS: Final = 40
CHANGES: Final = 30
_SHARE_EVERY: Final = 50
"""One customer of so many has the number of the one before."""
_TEXT: Final = "Hi {first_name|there}, 20 % off colour in {suburb|your suburb} this week at Bench. "
_WORDS: Final = "Book at bench.example or call us, we are open until nine. " * 2
_ADVISED: Final = {
    "two_fields": "Hi {first_name|there}, see you in {suburb|town} — Bench",
    "own_number_and_mail": "Hi {first_name|there}, {customer_no} {email}: 20 % off — Bench",
    "last_visit": "Hi {first_name|there} {last_name}, we saw you on {last_visit} — Bench",
    "town": "Hi {first_name|there}, see you in {town|town}, 20 % off for everybody who comes this week at Bench",
}
TOWNS: Final = 20_000
"""Different values of a field that no other is like: each has letters of its own that are not of GSM."""


def measure(customers: int, seed: int) -> dict[str, Any]:
    """All of it on a system of its own, in a folder that is removed."""
    result: dict[str, Any] = {"bench": "quote", "customers": customers, "targets": TARGETS}
    with tempfile.TemporaryDirectory(prefix="muster-bench-") as name:
        folder = Path(name)
        people.write_csv(folder / "people.csv", customers, seed)
        with running(folder) as system:
            tenant_id = uuid4()
            asyncio.run(system.open(tenant_id))
            api = system.api(tenant_id)
            for field, kind in (("visits", "number"), ("last_visit", "date")):
                api.ask("PUT", f"/v1/own-fields/{field}", {"name": field, "kind": kind})
            told("csv", imported(system, tenant_id, folder / "people.csv", "text/csv"))
            asyncio.run(_shared(system.admin_dsn, tenant_id, seed))
            with Watched(system.processes) as memory:
                result["open"] = told("open", opened(system, tenant_id))
                result["typed"] = told("typed", typed(system, tenant_id))
                result["changed"] = told("changed", changed(system, tenant_id))
                result["typed_and_changed"] = told("typed and changed", _both(system, tenant_id))
            result["memory_mb"] = memory.peak
            result["advice"] = told("advice", advised(system, tenant_id))
            result["plan"] = told("plan", planned(system, tenant_id))
            result["chunk"] = told("chunk", longest(system, tenant_id))
    return result


_SHARE: Final = """
UPDATE customer_number n SET number = o.number, number_hash = o.number_hash, country = o.country
FROM customer_number o WHERE n.tenant_id = $1 AND o.tenant_id = $1 AND n.customer_id % $2 = 0 AND o.position = 1
    AND o.customer_id = n.customer_id - 1
"""
_TOWN: Final = """
UPDATE customer c SET own_fields = own_fields || jsonb_build_object('town',
    chr(256 + abs(hashint8(customer_id + $3)) % 80) || chr(900 + customer_id::integer % 50) || 'town')
WHERE c.tenant_id = $1 AND customer_id % 5 = 0 AND $2 > 0
"""


async def _shared(dsn: str, tenant_id: UUID, seed: int) -> None:
    """Let some share numbers, and a fifth live in towns of foreign letters; as old as an import."""
    connection = await asyncpg.connect(dsn, command_timeout=600.0)
    try:
        await connection.execute("SET session_replication_role = replica")
        await connection.execute(_SHARE, tenant_id, _SHARE_EVERY)
        await connection.execute(_TOWN, tenant_id, TOWNS, seed)
        await connection.execute("VACUUM ANALYZE customer, customer_number")
        # Of what an import leaves to be written nothing is measured.
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()


def _asked(text: str, **audience: Any) -> dict[str, Any]:
    return {"text": text, "audience": {"all": True, **audience}}


def opened(system: System, tenant_id: UUID) -> dict[str, Any]:
    """The first quote of the audience, and twenty at once of an audience that nobody has asked for yet."""
    with used(system) as cpu:
        first, quoted = system.api(tenant_id).timed("POST", "/v1/quotes", _asked(_TEXT))
    together = _at_once(system, tenant_id, _asked(_TEXT, exclude={"tags": ["wedding"]}))
    return {
        "first_ms": round(first * 1e3),
        "cpu_s": {name: round(s, 2) for name, s in cpu.items()},
        "twenty_at_once": together,
        **{name: quoted[name] for name in ("customers", "recipients", "left_out")},
    }


def _at_once(system: System, tenant_id: UUID, asked: dict[str, Any]) -> dict[str, int]:
    """Milliseconds until each of PEOPLE has an answer, and how many were told to ask again, as is who waits for a
    connection for too long."""
    refused: list[str] = []

    def ask(_: int) -> None:
        try:
            system.api(tenant_id).ask("POST", "/v1/quotes", asked)
        except NotEnded as busy:
            refused.append(str(busy))

    began = time.perf_counter()
    _by_people(ask)
    return {"ms": round((time.perf_counter() - began) * 1e3), "refused": len(refused)}


def _by_people(work: Callable[[int], Any], people_count: int = PEOPLE) -> None:
    """Let each of them work at the same time; what one meets ends the bench."""
    failed: list[Exception] = []

    def run(who: int) -> None:
        try:
            work(who)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(who,), daemon=True) for who in range(people_count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise NotEnded(f"{len(failed)} of {people_count} people: {failed[0]}")


# -- typing -----------------------------------------------------------------------------------------------------------


def typed(system: System, tenant_id: UUID) -> dict[str, Any]:
    """Twenty people, each of whom types a character every 0.3 s; and as many at the same pace who look at a quote that
    there is, which is the least that an answer takes."""
    took: list[float] = []
    with used(system) as cpu:
        _by_people(lambda who: took.extend(_types(system.api(tenant_id), who)))
    found = _typed(took, cpu)
    quote_id = system.api(tenant_id).ask("POST", "/v1/quotes", _asked(_TEXT))["id"]
    looked: list[float] = []
    _by_people(lambda who: looked.extend(_each_key(system.api(tenant_id), who, "GET", f"/v1/quotes/{quote_id}")))
    least = spread(looked)
    return {**found, "looked_at_ms": least, "ratio": {p: round(found["ms"][p] / least[p], 2) for p in least}}


def _typed(took: Sequence[float], cpu: dict[str, float]) -> dict[str, Any]:
    return {
        "ms": spread(took),
        "quotes": len(took),
        "cpu_ms_per_quote": {name: round(s / len(took) * 1e3, 2) for name, s in cpu.items()},
    }


def _types(api: Api, who: int) -> list[float]:
    """Seconds from each key to its quote."""
    words = f"{_TEXT}{chr(65 + who)}: {_WORDS}"
    return _each_key(api, who, "POST", "/v1/quotes", lambda key: _asked(words[: len(_TEXT) + key]))


def _each_key(
    api: Api, who: int, method: str, path: str, body: Callable[[int], dict[str, Any] | None] = lambda _: None
) -> list[float]:
    chance = random.Random(who)
    began = time.perf_counter() + KEY_S * chance.random()
    took = []
    for key in range(KEYS):
        due = began + KEY_S * key
        time.sleep(max(0.0, due - time.perf_counter()))
        api.ask(method, path, body(key))
        took.append(time.perf_counter() - due)
    return took


def changed(system: System, tenant_id: UUID, pause_s: float = 0.0) -> dict[str, Any]:
    """A quote right after somebody changed: each second time by an opt-out, which is one recipient less."""
    api = system.api(tenant_id)
    # Each has a number of their own, or shares it with somebody who is texted at it no more either.
    some = api.ask("GET", f"/v1/customers?limit={4 * CHANGES}&query=consent+is+express+and+not+opted_out+is+yes")[
        "items"
    ]
    chosen = [one for one in some if one["mobiles"]][:CHANGES]
    took, exact, text = [], 0, _TEXT
    before = api.ask("POST", "/v1/quotes", _asked(text))["recipients"]
    for at, one in enumerate(chosen):
        if at % 2:
            api.ask("POST", "/v1/suppressions", {"number": one["mobiles"][0]["number"]})
        else:
            api.ask("PATCH", f"/v1/customers/{one['id']}", {"first_name": "Wilhelmina"})
        seconds, quoted = api.timed("POST", "/v1/quotes", _asked(text))
        took.append(seconds)
        exact += before - quoted["recipients"] == at % 2
        before = quoted["recipients"]
        time.sleep(pause_s)
    if exact != len(chosen):
        raise NotEnded(f"{len(chosen) - exact} of {len(chosen)} changes were not in the next quote")
    return {"ms": spread(took), "changes": len(took)}


def _both(system: System, tenant_id: UUID) -> dict[str, Any]:
    """Twenty people who type while somebody changes now and then: for each of them the next quote is another."""
    took: list[float] = []
    found: dict[str, Any] = {}

    def work(who: int) -> None:
        if who == PEOPLE:
            found.update(changed(system, tenant_id, KEYS * KEY_S / CHANGES))
        else:
            took.extend(_types(system.api(tenant_id), who))

    with used(system) as cpu:
        _by_people(work, PEOPLE + 1)
    return {**_typed(took, cpu), "changed_ms": found["ms"]}


# -- advice -----------------------------------------------------------------------------------------------------------


def advised(system: System, tenant_id: UUID) -> dict[str, Any]:
    """Texts whose fields have many values: the first quote, those after it, and whether they are advised."""
    api, found = system.api(tenant_id), dict[str, Any]()
    for name, text in _ADVISED.items():
        try:
            first, quoted = api.timed("POST", "/v1/quotes", _asked(text))
        except NotEnded as refused:
            found[name] = {"refused": str(refused)}  # as a count that takes too long is
            continue
        again = [api.timed("POST", "/v1/quotes", _asked(f"{text}{'!' * typed}"))[0] for typed in range(10)]
        advice = quoted["advice"]
        found[name] = {
            "first_ms": round(first * 1e3),
            "again_ms": spread(again),
            "advised": advice is not None and len(advice["costly"]) + len(advice["what_if"]),
        }
        told(f"  {name}", found[name])
    return found


# -- planning ---------------------------------------------------------------------------------------------------------

_LARGEST: Final = """
SELECT max(octet_length(value)) AS bytes, count(*) AS chunks FROM outbox
WHERE tenant_id = $1 AND correlation = $2::uuid::text AND type = 'BulkRecipientsAttached'
"""


def planned(system: System, tenant_id: UUID) -> dict[str, Any]:
    """A personal text for everybody, until all of it is said."""
    with Watched(system.processes) as memory:
        found = frozen(system, tenant_id, {"all": True}, _TEXT)
    quarters = memory.quarters
    flat = round(quarters[-1] / quarters[min(1, len(quarters) - 1)], 3)
    return {
        **found,
        "memory_mb": memory.peak,
        "memory_quarters_mb": quarters,
        "memory_last_to_second": flat,
    }


def longest(system: System, tenant_id: UUID) -> dict[str, Any]:
    """The largest record of recipients whose texts are as long as they may be, of the letters that take most room."""
    found = {}
    for name, letter, characters in (("gsm7", "é", 153 * 255), ("ucs2", "字", 67 * 255)):
        # A text of their own for each, and not by a name: one with a letter that GSM does not have would need more
        # parts than there may be.
        field = "{customer_no|there}"
        text = f"Bench {field} {letter * (characters - 60)} Reply STOP to opt out"
        api = system.api(tenant_id)
        asked = {"text": text, "audience": {"query": "tag is wedding and visits at least 38 and suburb is kew"}}
        quoted = api.ask("POST", "/v1/quotes", asked)
        bulk = api.ask("POST", "/v1/bulk-sms", {"quote_id": quoted["id"]}, Idempotency_Key=str(uuid4()))
        row = asyncio.run(_largest(system.admin_dsn, tenant_id, UUID(bulk["id"])))
        found[name] = {
            "parts": max(map(int, quoted["by_parts"])),
            "recipients": quoted["recipients"],
            "chunks": row["chunks"],
            "bytes": row["bytes"],
            "share_of_record": round(row["bytes"] / RECORD_BYTES_MAX, 3),
        }
    return {**found, "record_bytes_max": RECORD_BYTES_MAX}


async def _largest(dsn: str, tenant_id: UUID, bulk_id: UUID) -> Any:
    connection = await asyncpg.connect(dsn, command_timeout=60.0)
    ends = time.monotonic() + SENDS_S
    try:
        while True:
            step = await connection.fetchval(
                "SELECT step FROM plan WHERE tenant_id = $1 AND bulk_id = $2", tenant_id, bulk_id
            )
            if step == "done":
                return await connection.fetchrow(_LARGEST, tenant_id, bulk_id)
            if time.monotonic() > ends or step == "waiting":
                raise NotEnded(f"send {bulk_id} is at its step {step} after {SENDS_S:g} s")
            await asyncio.sleep(0.1)
    finally:
        await connection.close()
