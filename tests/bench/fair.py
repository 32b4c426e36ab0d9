"""BENCH=fair: many tenants of very different sizes send at once, the largest first.

What is told: for sends of each size, how long after the request their last message left; and how evenly the tenants
that had more to send were served meanwhile (Jain, Chiu and Hawe, 1984: 1 is all alike, 1/n is one for all).
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from itertools import pairwise
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from bench.send import IMPORT_ROWS, LAWS_WAIT_S, NotEnded, bar, csv_of
from muster.client import ApiError, Connection, Muster
from muster.client.commands.laws import settled_laws
from muster.local.stack import Stack

TEXT: Final = "Hello {{first_name}}, this is a text of one part with about a hundred characters in it. STOP to opt out"
SMALL: Final = 10
# Of each hundred tenants so many send to so many; what is left of the recipients is the giant's.
MIX: Final = ((60, SMALL), (25, 100), (10, 1_000), (4, 5_000))
# Who sends to more has several chunks, and can be served more or less than others.
CHUNK: Final = 500
_AT_ONCE: Final = 8
_STILL_MAX_S: Final = 120.0
_LOOK_S: Final = 0.25
_FLOWS_S: Final = 60.0
_INTENTS: Final = """
SELECT a.tenant_id::text, a.chunk, a.attempt, (i.value->>0)::int AS upto, (i.value->>1)::float8 AS at
FROM attempt a CROSS JOIN jsonb_array_elements(a.intents) WITH ORDINALITY AS i (value, n)
ORDER BY a.tenant_id, a.chunk, a.attempt, i.n
"""


class Written(NamedTuple):
    """So many messages of a tenant were about to be written at a time (unix s)."""

    tenant_id: str
    messages: int
    at: float


@dataclass(slots=True)
class Sender:
    """A tenant and its one send."""

    tenant_id: str
    recipients: int
    client: Muster
    requested_s: float = 0.0
    bulk_id: str = ""


def sizes(tenants: int, recipients: int) -> list[int]:
    """How many each tenant sends to, the giant first; NotEnded where nothing is left for a giant."""
    others = [size for share, size in MIX for _ in range(tenants * share // 100)][: tenants - 1]
    others += [SMALL] * (tenants - 1 - len(others))
    giant = recipients - sum(others)
    if giant <= max(others):
        raise NotEnded(f"{tenants} tenants need more than {sum(others) + max(others):,} recipients")
    return [giant, *others]


def measure(stack: Stack, recipients: int, tenants: int) -> dict[str, Any]:
    """Make the tenants, let the giant begin, let all others follow at once, and wait for the last receipt."""
    run = stack.run
    who = run["operator"]
    with Muster(Connection(run["url"], who["client_id"], who["client_secret"])) as operator:
        senders = [made(operator, run["url"], at, size) for at, size in enumerate(sizes(tenants, recipients))]
        try:
            funded(operator, senders, 2)
            _loaded(senders)
            giant, others = senders[0], senders[1:]
            _request(giant)
            _flows(giant)
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                list(pool.map(_request, others))
            _ended(senders)
        finally:
            for sender in senders:
                sender.client.close()
        laws = settled_laws(operator, LAWS_WAIT_S)
    written = asyncio.run(_written(run["postgres"]))
    return result(senders, written) | {
        "laws": {law.name: law.violation_count for law in laws},
        "laws_checked": {law.name: law.checked for law in laws},
    }


def made(operator: Muster, url: str, at: int, recipients: int) -> Sender:
    settings = {
        "name": f"Salon {at}", "country": "AU", "time_zone": "Australia/Sydney", "sender": f"+614880{at:05d}",
        "allow_sms_replies": False, "reception_email": f"desk{at}@salon.example",
    }  # fmt: skip
    tenant = operator.post("/v1/tenants", settings)
    key = operator.post("/v1/api-keys", {"tenant_id": tenant["id"], "name": "bench", "role": "admin"})
    client = Muster(Connection(url, key["client_id"], key["client_secret"]))
    return Sender(tenant["id"], recipients, client)


def funded(operator: Muster, senders: Sequence[Sender], times: int) -> None:
    """Credits for all; the ledger may not have heard of the last tenants yet."""
    until = time.monotonic() + _FLOWS_S
    for sender in senders:
        reference = f"bench-{sender.tenant_id}"
        while True:
            try:
                operator.top_up(sender.tenant_id, times * sender.recipients, reason="bench", reference=reference)
            except ApiError as refused:
                if refused.status != HTTPStatus.NOT_FOUND or time.monotonic() > until:
                    raise
                time.sleep(_LOOK_S)
            else:
                break


def _loaded(senders: Sequence[Sender]) -> None:
    with bar() as shown:
        task = shown.add_task("import", total=sum(sender.recipients for sender in senders))
        for sender in senders:
            for first in range(0, sender.recipients, IMPORT_ROWS):
                rows = min(IMPORT_ROWS, sender.recipients - first)
                sender.client.import_customers(csv_of(first, rows))
                shown.update(task, advance=rows)


def _request(sender: Sender) -> None:
    quote = sender.client.quote(TEXT, {"all": True})
    if quote["recipients"] != sender.recipients:
        raise NotEnded(f"a quote has {quote['recipients']} recipients, not {sender.recipients}")
    sender.requested_s = time.time()
    sender.bulk_id = str(sender.client.send(quote["id"])["id"])


def _flows(giant: Sender) -> None:
    """Wait until the giant's messages leave."""
    until = time.monotonic() + _FLOWS_S
    while not giant.client.progress(giant.bulk_id)["sent"]:
        if time.monotonic() > until:
            raise NotEnded(f"waited {_FLOWS_S:.0f} s for the giant to begin")
        time.sleep(_LOOK_S)


def _ended(senders: Sequence[Sender]) -> None:
    """Wait until every send is closed; NotEnded where nothing moves any more."""
    left, moved, before = list(senders), time.monotonic(), -1
    with bar() as shown:
        task = shown.add_task("send", total=len(senders))
        while left:
            left = [sender for sender in left if sender.client.bulk(sender.bulk_id)["state"] != "closed"]
            giant = senders[0].client.progress(senders[0].bulk_id)["sent"]
            shown.update(task, completed=len(senders) - len(left))
            if (now := giant - len(left)) != before:
                before, moved = now, time.monotonic()
            elif time.monotonic() - moved > _STILL_MAX_S:
                raise NotEnded(f"{len(left)} sends are not closed, and nothing moved for {_STILL_MAX_S:.0f} s")
            time.sleep(_LOOK_S)


async def _written(postgres: str) -> list[Written]:
    """What each tenant was about to write, and when: the intents, each committed just before its window."""
    connection = await asyncpg.connect(
        urlunsplit(urlsplit(postgres)._replace(path="/dispatch")), timeout=10.0, command_timeout=60.0
    )
    try:
        rows = await connection.fetch(_INTENTS)
    finally:
        await connection.close()
    return list(_steps([tuple(row) for row in rows]))


def _steps(rows: Sequence[tuple[str, int, int, int, float]]) -> Iterable[Written]:
    """(tenant, chunk, attempt, upto, at) in order, as what each step added."""
    for before, row in pairwise([("", 0, 0, 0, 0.0), *rows]):
        tenant_id, *_, upto, at = row
        yield Written(tenant_id, upto - (before[3] if before[:3] == row[:3] else 0), at)


def result(senders: Sequence[Sender], written: Sequence[Written]) -> dict[str, Any]:
    """The JSON of the bench."""
    in_order = sorted(written, key=lambda one: one.at)
    last = {one.tenant_id: one.at for one in in_order}
    first = {one.tenant_id: one.at for one in reversed(in_order)}
    waits: dict[int, list[float]] = {}
    for sender in senders:
        waits.setdefault(sender.recipients, []).append(last[sender.tenant_id] - sender.requested_s)
    # From when the last of the large ones was begun, since before there is nothing of it to be served.
    large = [one.tenant_id for one in senders if one.recipients > CHUNK]
    since = max(first[tenant_id] for tenant_id in large)
    busy = [tenant_id for tenant_id in large if last[tenant_id] > since]
    until = min((last[tenant_id] for tenant_id in busy), default=since)
    served = served_between(written, busy, since, until)
    return {
        "bench": "fair",
        "recipients": sum(sender.recipients for sender in senders),
        "tenants": len(senders),
        "last_sms_after_s": {str(size): spread(found) for size, found in sorted(waits.items())},
        "jain": round(jain(list(served.values())), 3) if served else None,
        "jain_tenants": len(served),
        "jain_over_s": round(until - since, 2),
    }


def served_between(written: Iterable[Written], tenants: Iterable[str], since: float, until: float) -> Mapping[str, int]:
    """How many messages of each of these tenants were written while all of them had more to write."""
    served = dict.fromkeys(tenants, 0)
    for one in written:
        if one.tenant_id in served and since < one.at <= until:
            served[one.tenant_id] += one.messages
    return served


def jain(served: Sequence[int]) -> float:
    """How evenly: 1 where all got the same (also nothing), 1/n where one got all."""
    squares = sum(each * each for each in served)
    return sum(served) ** 2 / (len(served) * squares) if squares else 1.0


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """How many, the median, the 99th percentile and the worst."""
    ranked = sorted(seconds)
    return {
        "sends": len(ranked),
        "median": round(ranked[len(ranked) // 2], 2),
        "p99": round(ranked[min(len(ranked) - 1, len(ranked) * 99 // 100)], 2),
        "max": round(ranked[-1], 2),
    }
