"""Inbound messages: parts until all are there, and what came whole."""

from dataclasses import astuple, dataclass, replace
from typing import Final
from uuid import UUID

from muster.kit.pg import Tx
from muster.text.national import NO_SHIFTS, Shifts


@dataclass(frozen=True, slots=True)
class PartKey:
    """What the parts of one message share. Numbers are as the carrier gave them."""

    source: str
    destination: str
    reference: int
    total: int


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a message that somebody wrote. shifts: the tables that its header names."""

    key: PartKey
    number: int
    octets: bytes
    data_coding: int
    shifts: Shifts = NO_SHIFTS


# A phone counts its references round: another text under the number of a part that was read begins a new message.
_FORGET_FORMER: Final = """
DELETE FROM inbound_part WHERE account = $1 AND source = $2 AND destination = $3 AND reference = $4 AND total = $5
    AND EXISTS (SELECT FROM inbound_part WHERE account = $1 AND source = $2 AND destination = $3 AND reference = $4
        AND total = $5 AND number = $6 AND body <> $7 AND joined_at IS NOT NULL)
"""
# `body` is hexadecimal: what a person wrote is not text before all of it is there.
_ADD_PART: Final = """
INSERT INTO inbound_part (account, source, destination, reference, total, number, body, data_coding, locking_shift,
    single_shift)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING
"""

_TAKE_WHOLE: Final = """
WITH parts AS (
    SELECT number, body, locking_shift, single_shift FROM inbound_part
    WHERE account = $1 AND source = $2 AND destination = $3 AND reference = $4 AND total = $5 AND joined_at IS NULL
), whole AS (
    SELECT string_agg(body, '' ORDER BY number) AS body, max(locking_shift) AS locking, max(single_shift) AS single
    FROM parts HAVING count(*) = $5
), joined AS (
    UPDATE inbound_part SET joined_at = kit_now()
    WHERE account = $1 AND source = $2 AND destination = $3 AND reference = $4 AND total = $5
        AND EXISTS (SELECT FROM whole)
)
SELECT body, locking, single FROM whole
"""


async def add_part(tx: Tx, account: str, part: Part) -> Part | None:
    """Keep a part; the whole message, as the part that it would have been, when it was the last one missing. One that
    was read already is nothing."""
    key, body = (account, *astuple(part.key)), part.octets.hex()
    await tx.execute(_FORGET_FORMER, *key, part.number, body)
    await tx.execute(_ADD_PART, *key, part.number, body, part.data_coding, *part.shifts)
    whole = await tx.fetchrow(_TAKE_WHOLE, *key)
    if whole is None:
        return None
    return replace(part, octets=bytes.fromhex(whole["body"]), shifts=Shifts(whole["locking"], whole["single"]))


# allow ordered-locks: the parts of an account are joined by the one process that has it
_TAKE_LATE: Final = """
WITH late AS (
    SELECT source, destination, reference, total FROM inbound_part WHERE account = $1 AND joined_at IS NULL
    GROUP BY source, destination, reference, total
    HAVING max(received_at) < kit_now() - make_interval(secs => $2) ORDER BY max(received_at) LIMIT $3
)
UPDATE inbound_part p SET joined_at = kit_now() FROM late
WHERE p.account = $1 AND p.source = late.source AND p.destination = late.destination
    AND p.reference = late.reference AND p.total = late.total AND p.joined_at IS NULL
RETURNING p.source, p.destination, p.reference, p.total, p.number, p.body, p.data_coding,
    p.locking_shift, p.single_shift
"""


async def take_late(tx: Tx, account: str, wait_s: float, limit: int) -> dict[PartKey, list[Part]]:
    """The parts of messages of which nothing came for so long: what there is of them, in order."""
    found: dict[PartKey, list[Part]] = {}
    for row in await tx.fetch(_TAKE_LATE, account, wait_s, limit):
        key = PartKey(row["source"], row["destination"], row["reference"], row["total"])
        shifts = Shifts(row["locking_shift"], row["single_shift"])
        part = Part(key, row["number"], bytes.fromhex(row["body"]), row["data_coding"], shifts)
        found.setdefault(key, []).append(part)
    return {key: sorted(parts, key=lambda part: part.number) for key, parts in found.items()}


_FORGET_JOINED: Final = """
DELETE FROM inbound_part WHERE (account, source, destination, reference, total, number) IN (
    SELECT account, source, destination, reference, total, number FROM inbound_part
    WHERE joined_at < kit_now() - make_interval(secs => $1) FOR UPDATE SKIP LOCKED)
"""


async def forget_joined(tx: Tx, kept_s: float) -> None:
    """Delete the parts that were read so long ago that a carrier does not say them again."""
    await tx.execute(_FORGET_JOINED, kept_s)


_REPEATED: Final = """
SELECT EXISTS (SELECT tenant_id FROM inbound_message WHERE account = $1 AND digest = $2
    AND received_at > kit_now() - make_interval(secs => CASE WHEN session = $3 THEN $4::float8 ELSE $5::float8 END))
"""


async def is_repeated(
    tx: Tx, account: str, digest: bytes, session: int, same_session_s: float, other_session_s: float
) -> bool:
    """Whether the carrier says the same again because it heard no answer: within seconds, or in another session.

    Of any tenant: it is asked before it is known whose number was written to.
    """
    found: bool = await tx.fetchval(_REPEATED, account, digest, session, same_session_s, other_session_s)
    return found


@dataclass(frozen=True, slots=True)
class Message:
    """What came whole. Number and body only where nobody owns the number it was written to."""

    tenant_id: UUID
    inbound_id: UUID
    account: str
    digest: bytes
    session: int
    number_hash: bytes
    verdict: str
    rule: str
    number: str | None
    body: str | None


_ADD: Final = """
INSERT INTO inbound_message (tenant_id, inbound_id, account, digest, session, number_hash, verdict, rule, number, body)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""


async def add(tx: Tx, message: Message) -> None:
    """Store an inbound message."""
    await tx.execute(
        _ADD,
        *(message.tenant_id, message.inbound_id, message.account, message.digest, message.session),
        *(message.number_hash, message.verdict, message.rule, message.number, message.body),
    )


_DROP_OLD: Final = """
DELETE FROM inbound_message WHERE (tenant_id, inbound_id) IN (
    SELECT tenant_id, inbound_id FROM inbound_message
    WHERE tenant_id = '00000000-0000-0000-0000-000000000000' AND received_at < kit_now() - make_interval(days => $1)
    LIMIT $2 FOR UPDATE SKIP LOCKED)
"""


async def drop_old(tx: Tx, kept_days: int, limit: int) -> bool:
    """Forget what was written long ago to numbers that nobody has; whether there may be more."""
    done = await tx.execute(_DROP_OLD, kept_days, limit)
    return int(done.rpartition(" ")[2]) >= limit
