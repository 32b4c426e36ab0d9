"""Who was messaged lately: by number, from the frozen membership of sends, so that it costs sending nothing.

A number was messaged by a bulk send, or by a single marketing message, unless it is known that nothing left for it:
rejected, stopped, suppressed. What is under way, or planned and neither refused nor over, counts as sent now.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final
from uuid import UUID

from muster.customer.domain.again import Missed
from muster.customer.domain.audience import Cap
from muster.customer.domain.sends import SEND_BY_MAX
from muster.customer.domain.whys import UNDER_WAY_MS
from muster.kit.pg import Record, Tx


@dataclass(frozen=True, slots=True)
class MessagedSql:
    """The table `messaged` of a statement. few: of the numbers alone that are in its `customer_number`."""

    whole: str
    few: str
    arguments: list[Any]


@dataclass(frozen=True, slots=True)
class Window:
    """Since when messages count, and how many are enough."""

    messages: int
    since: datetime


# Ids begin with their time, and what is sent was asked for at most so long before.
_SENT: Final = f"""
SELECT b.bulk_id, CASE WHEN b.gone THEN b.submitted ELSE {UNDER_WAY_MS} END AS at,
    EXISTS (SELECT FROM not_received r WHERE r.tenant_id = $1 AND r.bulk_id = b.bulk_id AND r.kind = ANY($4)) AS missed
FROM (
    SELECT *, coalesce(nullif(last_submit_ms, 0), (extract(epoch FROM created_at) * 1000)::bigint) AS submitted,
        closed OR accepted + unknown + rejected + stopped + suppressed >= recipients AS gone
    FROM bulk
    WHERE tenant_id = $1 AND bulk_id >= $2 AND NOT test AND (kind = 1 OR message_class = 1) AND recipients IS NOT NULL
        AND credits_refused IS NULL
        AND (phase = 'requested' OR (phase IN ('planning', 'needs_confirmation') AND send_by > kit_now()))
) b
WHERE NOT b.gone OR (b.accepted + b.unknown > 0 AND b.submitted >= $3)
ORDER BY b.bulk_id
"""  # noqa: S608 - a constant

NOTHING_LEFT: Final = (int(Missed.NOT_SENT), int(Missed.SUPPRESSED))


async def sends_since(tx: Tx, tenant_id: UUID, since: datetime) -> list[Record]:
    """The sends that have messaged somebody since then: bulk_id, at (unix ms of the last submit), missed (whether it is
    known of some of its recipients that nothing left for them)."""
    first = UUID(int=(_ms(since - SEND_BY_MAX) << 80))
    return await tx.fetch(_SENT, tenant_id, first, _ms(since), list(NOTHING_LEFT))


_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('messaged/' || $1::uuid::text, 0))"


async def take_turns(tx: Tx, tenant_id: UUID) -> None:
    """Of two sends that leave out who was messaged lately, the second to be frozen knows whom the first has."""
    await tx.execute(_LOCK, tenant_id)


# An erased person's number is 0 where it was; whoever has the same one has been messaged at it all the same.
_NUMBERS: Final = """CASE WHEN 0 = ANY(f.numbers) THEN ARRAY(
        SELECT CASE p.number WHEN 0 THEN coalesce((
            SELECT c.number FROM customer_number c WHERE c.tenant_id = $1
                AND c.number_hash = substring(f.hashes FROM (p.place::integer - 1) * 17 + 1 FOR 17) LIMIT 1), 0)
            ELSE p.number END
        FROM unnest(f.numbers) WITH ORDINALITY AS p (number, place) ORDER BY p.place)
    ELSE f.numbers END"""
# {ids}, {ats}, {missed}: sends, their times, and whether some were missed, as parameters. `before` counts recipients of
# earlier chunks, which hashes tell without being read: with the place in the chunk it is the seq. {looked}: what chunks
# are read at all; {asked}: whose numbers.
_MESSAGED: Final = """sent AS (
    SELECT * FROM unnest({ids}::uuid[], {ats}::bigint[], {missed}::boolean[]) AS s (bulk_id, at, missed)
), membership AS (
    SELECT f.bulk_id, s.at, s.missed, f.chunk, f.numbers, f.hashes, (sum(octet_length(f.hashes))
            OVER (PARTITION BY f.bulk_id ORDER BY f.chunk) - octet_length(f.hashes)) / 17 AS before
    FROM plan_frozen f JOIN sent s USING (bulk_id)
    WHERE f.tenant_id = $1 AND f.bulk_id = ANY({ids}::uuid[]) AND f.reason = 0
), looked AS (
    SELECT f.bulk_id, f.at, f.missed, f.chunk, f.before, {numbers} AS numbers FROM membership f{looked}
), messaged AS (
    SELECT n.number, {recent} AS recent, {capped} AS capped, max(n.at) AS last_at, {count} AS messages
    FROM (
        SELECT m.at, p.number FROM looked m CROSS JOIN LATERAL unnest(m.numbers) AS p (number)
        WHERE NOT m.missed{asked}
        UNION ALL
        SELECT m.at, p.number
        FROM looked m CROSS JOIN LATERAL unnest(m.numbers) WITH ORDINALITY AS p (number, place)
            LEFT JOIN (SELECT DISTINCT r.bulk_id, s.seq FROM not_received r CROSS JOIN LATERAL unnest(r.seqs) AS s (seq)
                       WHERE r.tenant_id = $1 AND r.bulk_id = ANY({ids}::uuid[]) AND r.kind = ANY({kinds}::smallint[])
                           AND (r.bulk_id, r.chunk) IN (SELECT l.bulk_id, l.chunk FROM looked l WHERE l.missed)
                ) gone ON gone.bulk_id = m.bulk_id AND gone.seq = m.before + p.place
        WHERE m.missed AND gone.seq IS NULL{asked}
    ) n GROUP BY n.number HAVING {recent} OR {capped}
), """
# Of a few numbers: the chunks that hold one are found in a pass over the arrays as they lie, 20 ms for a million, where
# to take all numbers out and join them takes half a second. That pass compares each with each, so of more than so many
# the numbers are taken out and looked up by hash. An erased person's 0 may be one of them.
_FEW_MAX: Final = 32
_OF_FEW: Final = "these AS MATERIALIZED (SELECT array_agg(DISTINCT number) AS numbers FROM customer_number), "
_LOOKED: Final = f"""
    WHERE (SELECT CASE WHEN cardinality(t.numbers) > {_FEW_MAX} THEN true ELSE f.numbers && (t.numbers || 0::bigint) END
           FROM these t)"""  # noqa: S608 - a constant
_ASKED: Final = " AND p.number IN (SELECT number FROM customer_number)"
_CASE: Final = "CASE {cases} END"
_ENOUGH: Final = "count(*) FILTER (WHERE n.at >= {since}::bigint)"


def reachable(
    sends: Sequence[Record], recent: datetime | None, caps: Sequence[Window | None]
) -> tuple[datetime | None, list[Window | None]]:
    """Those of these rules that somebody can fall under: a number is in a send once, so fewer sends than a cap has
    messages leave out nobody."""

    def lately(since: datetime) -> int:
        return sum(row["at"] >= _ms(since) for row in sends)

    held = [cap if cap is not None and lately(cap.since) >= cap.messages else None for cap in caps]
    return recent if recent is not None and lately(recent) else None, held


def messaged_sql(
    sends: Sequence[Record], recent: datetime | None, caps: Sequence[Window | None], first: int
) -> MessagedSql:
    """The numbers that were messaged since `recent` or as often as one of the caps, with parameters, the first of which
    is number `first`.

    messages: of the first cap that holds, negative for the second.
    """
    arguments: list[Any] = [
        [row["bulk_id"] for row in sends],
        [row["at"] for row in sends],
        [row["missed"] for row in sends],
        list(NOTHING_LEFT),
    ]

    def value(given: int) -> str:
        arguments.append(given)
        return f"${first + len(arguments) - 1}"

    ids, ats, missed, kinds = (f"${first + place}" for place in range(4))
    is_recent = "false" if recent is None else f"max(n.at) >= {value(_ms(recent))}::bigint"
    held, cases = [], []
    for sign, cap in zip(("", "-"), caps, strict=True):
        if cap is not None:
            count = _ENOUGH.format(since=value(_ms(cap.since)))
            held.append(f"{count} >= {value(cap.messages)}::bigint")
            cases.append(f"WHEN {held[-1]} THEN {sign}({count})")
    made = partial(
        _MESSAGED.format,
        ids=ids,
        ats=ats,
        missed=missed,
        kinds=kinds,
        numbers=_NUMBERS,
        recent=is_recent,
        capped=" OR ".join(held) or "false",
        count=_CASE.format(cases=" ".join(cases)) if cases else "NULL::bigint",
    )
    return MessagedSql(made(looked="", asked=""), _OF_FEW + made(looked=_LOOKED, asked=_ASKED), arguments)


_CAP: Final = "SELECT messages, days, changed_at, changed_by FROM frequency_cap WHERE tenant_id = $1"
_SET_CAP: Final = """
INSERT INTO frequency_cap (tenant_id, messages, days, changed_by) VALUES ($1, $2, $3, $4)
ON CONFLICT (tenant_id) DO UPDATE SET messages = $2, days = $3, changed_by = $4, changed_at = kit_now()
WHERE (frequency_cap.messages, frequency_cap.days) IS DISTINCT FROM ($2, $3) RETURNING true
"""


async def cap_row(tx: Tx, tenant_id: UUID) -> Record | None:
    """The cap of the business, with when and by whom it was set."""
    return await tx.fetchrow(_CAP, tenant_id)


async def cap_of(tx: Tx, tenant_id: UUID) -> Cap | None:
    """How often at most the business texts a number with marketing, where it has said so."""
    row = await cap_row(tx, tenant_id)
    return Cap(row["messages"], row["days"]) if row else None


async def set_cap(tx: Tx, tenant_id: UUID, cap: Cap | None, by: str) -> bool:
    """Say so; None: as often as it likes. False where it was said before."""
    if cap is None:
        return bool(await tx.fetchval("DELETE FROM frequency_cap WHERE tenant_id = $1 RETURNING true", tenant_id))
    return bool(await tx.fetchval(_SET_CAP, tenant_id, cap.messages, cap.days, by))


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
