"""After any change, what is counted of those who have changed is what is counted of all of them, and what is frozen."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from conftest import Salon

from muster.customer.domain import tally
from muster.customer.domain.audience import Audience, Cap, Exclude, Reason
from muster.customer.domain.fields import Kind
from muster.customer.domain.hours import Business, Hours
from muster.customer.domain.lists import ListKind
from muster.customer.domain.merge_text import MergeText, Style
from muster.customer.domain.query import fields_of
from muster.customer.domain.query_reader import read_query
from muster.customer.domain.refusal import Refusal
from muster.customer.domain.tariff import Reach
from muster.customer.store import audience, lists
from muster.customer.store import hours as hours_store
from muster.customer.store.audience_counts import Counts
from muster.customer.store.audience_rules import RulesSql, Understood
from muster.customer.store.hours import AT_ANY_HOUR, HoursSql, hours_of_customers
from muster.kit import metrics
from muster.kit.pg import Record, Tx

REACH = Reach(("AU", "US"), (), others=False, allowed=("AU", "US", "NZ"))
ANYBODY = "(SELECT customer_id FROM customer ORDER BY md5(customer_id::text || '{salt}') LIMIT 1)"
SOMEBODYS_NUMBER = """SELECT number, country, number_hash FROM customer_number
ORDER BY md5(number::text || customer_id || '{salt}') LIMIT 1"""
SOMEBODY_NEW = f"""
WITH c AS (
    INSERT INTO customer (tenant_id, first_name, last_name, consent, allow_bulk_sms, match_key)
    SELECT tenant_id, 'New', 'N', 'express', true, '' FROM customer LIMIT 1 RETURNING tenant_id, customer_id
)
INSERT INTO customer_number (tenant_id, customer_id, position, number, country, number_hash)
SELECT c.tenant_id, c.customer_id, 1, n.number, n.country, n.number_hash FROM c, ({SOMEBODYS_NUMBER}) n
"""
CHANGES = (
    # A withdrawal is undone by nothing but a word of the person's own.
    "UPDATE customer c SET allow_bulk_sms = true, consent = 'express' WHERE customer_id = {anybody} AND NOT EXISTS ("
    "SELECT FROM consent_version v WHERE v.customer_id = c.customer_id AND v.kind = 'withdrawn')",
    "UPDATE customer SET allow_bulk_sms = false, consent = 'none' WHERE customer_id = {anybody}",
    "UPDATE customer SET archived_at = kit_now() WHERE customer_id = {anybody}",
    "UPDATE customer SET archived_at = NULL WHERE merged_into IS NULL",
    "UPDATE customer SET first_name = 'O''Neil {salt}', tags = '{{vip}}' WHERE customer_id = {anybody}",
    "UPDATE customer SET first_name = '', own_fields = '{{\"visits\": \"3\"}}' WHERE customer_id = {anybody}",
    "DELETE FROM customer WHERE customer_id = {anybody}",
    "DELETE FROM customer_number WHERE position = 1 AND customer_id = {anybody}",
    "INSERT INTO customer_number SELECT tenant_id, {anybody}, 9, number, country, number_hash FROM customer_number "
    "WHERE position = 1 AND customer_id = {anybody} ON CONFLICT DO NOTHING",
    "UPDATE customer_number SET (number, country, number_hash) = (12025550123, 'US', '\\x02') "
    "WHERE customer_id = {anybody}",
    "UPDATE customer_number SET (number, country, number_hash) = (447700900123, 'GB', '\\x03') WHERE customer_id = ("
    "SELECT min(customer_id) FROM customer WHERE allow_bulk_sms AND consent IN ('express', 'inferred')"
    " AND archived_at IS NULL)",
    f"UPDATE customer_number SET (number, country, number_hash) = ({SOMEBODYS_NUMBER}) WHERE customer_id = {{anybody}}",
    "INSERT INTO customer_other_number (tenant_id, customer_id, position, typed, number, country, kind) "
    "SELECT tenant_id, customer_id, 1, '03', 61312345678, 'AU', 'landline' FROM customer "
    "WHERE customer_id = {anybody} ON CONFLICT DO NOTHING",
    "INSERT INTO suppression SELECT DISTINCT tenant_id, number_hash, 1, true, 1, kit_now() FROM customer_number "
    "WHERE customer_id = {anybody} ON CONFLICT DO NOTHING",
    "UPDATE suppression SET suppressed = NOT suppressed",
    "DELETE FROM suppression",
    "INSERT INTO number_consent SELECT DISTINCT tenant_id, customer_id, number_hash, 'withdrawn', kit_now() "
    "FROM customer_number WHERE customer_id = {anybody} ON CONFLICT DO NOTHING",
    "DELETE FROM number_consent WHERE customer_id = {anybody}",
    "INSERT INTO number_failure SELECT DISTINCT tenant_id, number_hash, 3, gen_random_uuid(), kit_now(), kit_now() "
    "FROM customer_number WHERE customer_id = {anybody} ON CONFLICT DO NOTHING",
    "DELETE FROM number_failure",
    "INSERT INTO customer_list_member SELECT tenant_id, list_id, {anybody} FROM customer_list ON CONFLICT DO NOTHING",
    "DELETE FROM customer_list_member WHERE customer_id = {anybody}",
    SOMEBODY_NEW,
    "UPDATE customer SET last_name = last_name || '{salt}'",
    "UPDATE customer_list SET name = name || '{salt}'",
)


# $1: a send to chunks of four people; $2: to whose number this does not divide; $3: some were erased since.
SENT = """
INSERT INTO plan_frozen (tenant_id, bulk_id, reason, chunk, country, customer_ids, numbers, hashes)
SELECT tenant_id, $1, 0, chunk, 'AU', array_agg(customer_id ORDER BY customer_id),
    array_agg(CASE WHEN number % 7 = 0 AND $3 THEN 0 ELSE number END ORDER BY customer_id),
    string_agg(number_hash, '' ORDER BY customer_id)
FROM (SELECT *, (row_number() OVER (ORDER BY customer_id) + 3) / 4 AS chunk
      FROM (SELECT DISTINCT ON (number) * FROM customer_number WHERE number % $2 > 0 ORDER BY number, customer_id) n) n
GROUP BY tenant_id, chunk
"""
# Of each chunk the second and the fourth; a receipt says of the third that it failed, which is one that was sent.
NOT_SENT = """
INSERT INTO not_received (tenant_id, bulk_id, chunk, kind, version, first_seq, seqs)
SELECT $1, $2, c, 1 + n % 2, n, 4 * c - n, ARRAY[4 * c - n] FROM generate_series(1, 5) c, generate_series(0, 2) n
"""
SENDS = "SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::boolean[]) AS s (bulk_id, at, missed)"


class Asks:
    """Audiences of one business, each with its text. sends: what it has sent, which counts for the last of them."""

    def __init__(self, salon: Salon, list_id: Any, sends: Sequence[Record]) -> None:
        self.salon = salon
        style = Style("en", "AU", {"visits": Kind.NUMBER})
        at, zone = datetime.now(UTC), ZoneInfo("UTC")
        words = read_query("not mobile starts 03 or tag is vip", fields_of({}), country="AU", today=at.date())
        assert not isinstance(words, Refusal), words
        exclude = Audience(exclude=Exclude(lists=(list_id,), tags=("vip",)))
        lately = Understood(Audience(exclude=Exclude(messaged_in_days=2)), at, zone, caps=(Cap(2, 9), None))
        self.asks = (
            (Audience(), "Hi", RulesSql()),
            (Audience(), "Hi {{first_name}}", RulesSql()),
            (exclude, "Hi {{first_name}} {{visits|0}}", RulesSql(Understood(exclude, at, zone))),
            (Audience(), "Hi {{last_name}}", RulesSql(Understood(Audience(), at, zone, (words,)))),
            (Audience(search="A"), "Hi {{first_name}} {{last_name}}", RulesSql()),
            (lately.audience, "Hi {{last_name}}", RulesSql(lately, sends)),
        )
        self.texts = [MergeText.read(text, style) for _, text, _ in self.asks]
        now = int(at.timestamp())
        self.hours = Hours(Business("UTC", (1, 2)), now, now + 86_400, marketing=True)

    async def count(self, tx: Tx, which: int, hours: HoursSql = AT_ANY_HOUR) -> audience.Counted:
        """As whoever counts here counts it."""
        asked, _, rules = self.asks[which]
        given: Any = (asked, self.texts[which], REACH)
        return await audience.count_audience(tx, self.salon.tenant_id, *given, marketing=True, hours=hours, rules=rules)

    async def freeze(self, tx: Tx, which: int, snapshot: str, hours: HoursSql) -> audience.Frozen:
        """The membership."""
        asked, _, rules = self.asks[which]
        given: Any = (uuid4(), asked, self.texts[which], REACH)
        at = (snapshot, datetime.now(UTC) + timedelta(days=1))
        more: Any = {"home": "AU", "seen": at, "chunk_max": 500, "hours": hours, "rules": rules}
        return await audience.freeze_audience(tx, self.salon.tenant_id, *given, marketing=True, **more)


def outcomes(which: str) -> float:
    """How many counts of a kind there were."""
    return float(metrics.audience_counts.labels(which)._value.get())


class Undone(Exception):
    """A transaction is to be rolled back."""


class Changing:
    """Makes changes, some of which are under way for a while, and some of which are undone."""

    def __init__(self, salon: Salon, chance: random.Random) -> None:
        self.salon = salon
        self.chance = chance
        self.under_way: list[AsyncExitStack] = []
        self._deck: list[str] = []

    def next(self) -> str:
        """A kind of change, each as often as the others."""
        self._deck = self._deck or self.chance.sample(CHANGES, len(CHANGES))
        return self._deck.pop()

    async def change(self, turn: int) -> str:
        """One or a few, in one transaction."""
        kinds = [self.next() for _ in range(self.chance.choice((1, 1, 3)))]
        # Lists are changed by requests alone, failures by the worker alone.
        by_worker = any("number_failure" in kind for kind in kinds)
        kinds = [kind for kind in kinds if not (by_worker and "customer_list" in kind)]
        db = self.salon.db
        async with db.worker() if by_worker else db.request(self.salon.tenant_id) as tx:
            for kind in kinds:
                await tx.execute(self.filled(kind, turn))
        return "; ".join(kinds)

    def filled(self, kind: str, turn: int) -> str:
        """A change with whom it is about."""
        first, second = (ANYBODY.replace("{salt}", str(self.chance.random())) for _ in range(2))
        return kind.replace("{anybody}", first, 1).replace("{anybody}", second).format(salt=turn)

    async def begin(self, turn: int) -> None:
        """Somebody new, in a transaction that stays open: whoever changes others waits for nobody."""
        stack = AsyncExitStack()
        tx = await stack.enter_async_context(self.salon.db.request(self.salon.tenant_id))
        await tx.execute(self.filled(SOMEBODY_NEW, turn))
        self.under_way.append(stack)

    async def end(self) -> None:
        """End the oldest that is open, one in three by undoing it."""
        stack = self.under_way.pop(0)
        if self.chance.random() < 1 / 3:
            undone = Undone()
            await stack.__aexit__(Undone, undone, None)
        else:
            await stack.aclose()


@asynccontextmanager
async def changing(salon: Salon, seed: int) -> AsyncIterator[Changing]:
    """With nothing left open."""
    made = Changing(salon, random.Random(seed))
    try:
        yield made
    finally:
        while made.under_way:
            await made.end()


async def loaded(salon: Salon) -> Asks:
    """Forty people, of whom some share numbers, some are on a list, and some are in another country."""
    numbers = [f"04120000{i % 17:02d}" if i % 5 else f"+1202555{i:04d}" for i in range(40)]
    await salon.load("".join(f"A{i},S{i % 3},{numbers[i]},{('yes', 'yes', 'no')[i % 3]}\n" for i in range(40)))
    list_id = uuid4()
    async with salon.db.request(salon.tenant_id) as tx:
        await lists.add_list(tx, salon.tenant_id, list_id, "Old", ListKind.KEPT, "ada")
        ids = [row["customer_id"] for row in await tx.fetch("SELECT customer_id FROM customer ORDER BY 1 LIMIT 9")]
        await lists.add_members(tx, salon.tenant_id, list_id, ids)
    return Asks(salon, list_id, await sent(salon))


async def sent(salon: Salon) -> list[Record]:
    """Three sends: two to most, of which one did not leave for some of them, and one lately, to a third."""
    now_ms, day_ms = int(datetime.now(UTC).timestamp() * 1000), 86_400_000
    ids, ats = [uuid4() for _ in range(3)], [now_ms - days * day_ms for days in (7, 5, 0)]
    async with salon.db.worker() as tx:
        for bulk_id, most, erased in zip(ids, (5, 4, 3), (False, False, True), strict=True):
            await tx.execute(SENT, bulk_id, most, erased)
        await tx.execute(NOT_SENT, salon.tenant_id, ids[1])
        return await tx.fetch(SENDS, ids, ats, [False, True, False])


async def test_after_any_changes_what_is_known_is_what_is_counted_anew_and_what_is_frozen(
    salon: Salon, monkeypatch: pytest.MonkeyPatch
) -> None:
    asks, kept, seen, some = await loaded(salon), Counts(), set[int](), outcomes("some")

    async def counted(tx: Tx, which: int, counts: Counts) -> audience.Counted:
        for store in (audience, hours_store):
            monkeypatch.setattr(store, "counts", counts)
        hours = await hours_of_customers(tx, salon.tenant_id, asks.hours) if which == 1 else AT_ANY_HOUR
        found = await asks.count(tx, which, hours)
        # Who counts for long knows of hours that nobody has any more.
        starts = hours.classes.starts if hours.classes else []
        groups = {(*of, starts[at] if starts else at): n for (*of, at), n in found.groups.items()}
        return replace(found, snapshot="", groups=groups)

    async with changing(salon, seed=20261128) as changes:
        for turn in range(30):
            change = await changes.change(turn)
            if changes.chance.random() < 1 / 3 and len(changes.under_way) < 3:
                await changes.begin(turn)
            elif changes.under_way and changes.chance.random() < 1 / 2:
                await changes.end()
            for which in changes.chance.sample(range(len(asks.asks)), 3):
                async with salon.db.request(salon.tenant_id) as tx:
                    found = [await counted(tx, which, one) for one in (kept, kept, Counts())]
                    assert found[0] == found[1] == found[2], (turn, which, change)
                    seen |= set(found[0].left_out)
            which = turn % len(asks.asks)
            async with salon.db.request(salon.tenant_id) as tx:
                hours = await hours_of_customers(tx, salon.tenant_id, asks.hours) if which == 1 else AT_ANY_HOUR
                told = await asks.count(tx, which, hours)
                frozen = await asks.freeze(tx, which, told.snapshot, hours)
            recipients = sum(group.recipients for group in told.classes)
            assert (frozen.recipients, frozen.left_out, frozen.customers) == (
                *(recipients, told.left_out, told.customers),
            ), (turn, which, change)
    assert outcomes("some") - some > 30
    assert seen >= {Reason.NO_CONSENT, Reason.OPTED_OUT, Reason.DUPLICATE_NUMBER, Reason.NOT_ALLOWED}
    assert seen >= {Reason.RECENTLY_MESSAGED, Reason.FREQUENCY_CAP}


class Asked:
    """One text, counted in a process of its own."""

    def __init__(self, asks: Asks, counts: Counts, patch: pytest.MonkeyPatch) -> None:
        self.asks = asks
        patch.setattr(audience, "counts", counts)

    async def count(self) -> int:
        """The recipients."""
        async with self.asks.salon.db.request(self.asks.salon.tenant_id) as tx:
            return sum(group.recipients for group in (await self.asks.count(tx, 1)).classes)


@pytest.fixture
async def asked(salon: Salon, monkeypatch: pytest.MonkeyPatch) -> Asked:
    return Asked(await loaded(salon), Counts(), monkeypatch)


async def test_whoever_asks_at_the_same_time_waits_for_the_one_count(asked: Asked) -> None:
    before = outcomes("run")
    found = await asyncio.gather(*(asked.count() for _ in range(20)))
    assert len(set(found)) == 1
    assert outcomes("run") == before + 1

    some = outcomes("some")
    async with asked.asks.salon.db.worker() as tx:
        await tx.execute(f"UPDATE customer SET first_name = 'Zoe' WHERE customer_id = {ANYBODY}")
    await asyncio.gather(*(asked.count() for _ in range(20)))
    assert (outcomes("run"), outcomes("some")) == (before + 1, some + 1)


async def test_when_many_change_at_once_all_are_counted(asked: Asked) -> None:
    first, before, some = await asked.count(), outcomes("run"), outcomes("some")

    async with asked.asks.salon.db.worker() as tx:
        hundreds = SOMEBODY_NEW.replace("FROM customer LIMIT 1", "FROM customer, generate_series(1, 9)")
        await tx.execute(hundreds.format(salt=0))

    assert await asked.count() in (first, first + 1)
    assert (outcomes("run"), outcomes("some")) == (before + 1, some)


async def test_what_was_asked_for_last_is_kept_and_no_more_than_there_is_room_for(
    salon: Salon, monkeypatch: pytest.MonkeyPatch
) -> None:
    asks, roomy = await loaded(salon), Counts()
    monkeypatch.setattr(audience, "counts", roomy)
    async with salon.db.request(salon.tenant_id) as tx:
        for which in range(5):
            await asks.count(tx, which)
        room = roomy.octets - 1
        counts = Counts(octets_max=room)
        monkeypatch.setattr(audience, "counts", counts)
        for which in range(5):
            await asks.count(tx, which)
            assert 0 < counts.octets <= room
        before = outcomes("run")
        await asks.count(tx, 4)
        assert outcomes("run") == before
        await asks.count(tx, 0)
        assert outcomes("run") == before + 1


async def test_where_there_is_no_room_for_who_they_are_a_change_is_counted_in_full(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tally, "VERDICTS_MAX", 2)
    first, before = await asked.count(), outcomes("run")
    assert await asked.count() == first
    assert outcomes("run") == before

    async with asked.asks.salon.db.worker() as tx:
        await tx.execute(f"DELETE FROM customer WHERE customer_id = {ANYBODY}")

    assert await asked.count() <= first
    assert outcomes("run") == before + 1
