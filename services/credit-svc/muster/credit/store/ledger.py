"""SQL of the ledger. Batches span tenants and run as the worker; what takes one tenant_id runs in its request."""
# ruff: noqa: S608 - only a column list of this file is joined into statements

from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime
from functools import cache, lru_cache
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from muster.credit.domain.account import Account, Entry, Tenant
from muster.credit.domain.caps import Caps
from muster.credit.domain.reservations import Answer, Batch, Key, Reservation
from muster.credit.domain.top_ups import Granted, TopUp
from muster.kit.pg import Tx, array

# The tenants of a lookup go as a list, and not as the text of one: the planner has to know how many there are.
_ACCOUNT = f"""
{", ".join(Account._fields[:-1])}, cap_daily, cap_monthly, used_on, used_daily, used_monthly,
    time_zone, kit_now() AS now
"""
_OF_ACCOUNT = slice(len(Account._fields) - 1)
_OF_CAPS = slice(len(Account._fields) - 1, len(Account._fields) - 1 + len(Caps._fields))
_ADD_ACCOUNTS = """
INSERT INTO account (tenant_id) SELECT unnest($1::uuid[]) ORDER BY 1 ON CONFLICT (tenant_id) DO NOTHING
"""
_LOCK_ACCOUNTS = f"""
SELECT {_ACCOUNT}
FROM account WHERE tenant_id = ANY($1::uuid[]) ORDER BY tenant_id FOR NO KEY UPDATE
"""


async def lock_accounts(tx: Tx, tenant_ids: Collection[UUID]) -> dict[UUID, Account]:
    """The accounts of these tenants, locked in one order; one that is not there yet is made, empty."""
    wanted = list(set(tenant_ids))
    rows = await tx.fetch(_LOCK_ACCOUNTS, wanted)
    if len(rows) < len(wanted):
        await tx.execute(_ADD_ACCOUNTS, wanted)
        rows = await tx.fetch(_LOCK_ACCOUNTS, wanted)
    return {row["tenant_id"]: _account(row) for row in rows}


_RESERVATIONS = f"""
SELECT {", ".join(Reservation._fields)} FROM reservation
WHERE (tenant_id, bulk_id) IN (SELECT * FROM unnest($1::uuid[], $2::text::uuid[]))
"""


async def reservations(tx: Tx, keys: Collection[Key]) -> dict[Key, Reservation]:
    """What is known of these sends; ask only with their accounts locked."""
    columns = [tenant for tenant, _ in keys], array(bulk for _, bulk in keys)
    found = [_reservation(row) for row in await tx.fetch(_RESERVATIONS, *columns)]
    return {(one.tenant_id, one.bulk_id): one for one in found}


# allow ordered-locks: `lock_accounts` has locked them, in order
_SAVE_ACCOUNTS = """
UPDATE account a
SET granted = v.granted, owed = v.owed, available = v.available, reserved = v.reserved, consumed = v.consumed,
    version = v.version, used_on = v.used_on, used_daily = v.used_daily, used_monthly = v.used_monthly
FROM unnest($1::uuid[], $2::text::bigint[], $3::text::bigint[], $4::text::bigint[], $5::text::bigint[],
    $6::text::bigint[], $7::text::bigint[], $8::text::date[], $9::text::bigint[], $10::text::bigint[])
    AS v (tenant_id, granted, owed, available, reserved, consumed, version, used_on, used_daily, used_monthly)
WHERE a.tenant_id = v.tenant_id
"""


async def _save_accounts(tx: Tx, accounts: Iterable[Account]) -> None:
    if rows := [_account_row(account) for account in accounts]:
        tenant_ids, *others = zip(*rows, strict=True)
        await tx.execute(_SAVE_ACCOUNTS, list(tenant_ids), *map(array, others))


_ADD_ENTRIES = """
INSERT INTO entry (tenant_id, account_version, kind, credits, bulk_id, granted_after, owed_after, available_after,
    reserved_after, consumed_after, reason, reference, actor)
SELECT * FROM unnest($1::text::uuid[], $2::text::bigint[], $3::text::text[], $4::text::bigint[], $5::text::uuid[],
    $6::text::bigint[], $7::text::bigint[], $8::text::bigint[], $9::text::bigint[], $10::text::bigint[],
    $11::text[], $12::text[], $13::text[])
"""


async def _add_entries(tx: Tx, entries: Sequence[Entry]) -> None:
    if entries:
        await tx.execute(_ADD_ENTRIES, *_columns(map(_entry_row, entries), texts=3))


# Of each field of a reservation that is no bigint, its type; a reservation is its row, but for what is held.
_TYPES = {"tenant_id": "uuid", "bulk_id": "uuid", "closed": "boolean", "reserved_on": "date"}
_TEXTS = ("answer", "reason")
_GIVEN = [
    f"${n}::text[]" if name in _TEXTS else f"${n}::text::{_TYPES.get(name, 'bigint')}[]"
    for n, name in enumerate(Reservation._fields, 1)
]
# allow ordered-locks: whoever changes what an account has reserved holds the account
_SAVE_RESERVATIONS = f"""
INSERT INTO reservation (tenant_id, bulk_id, {", ".join(Reservation._fields[2:])}, held)
SELECT v.*, v.reserved - v.used - v.released
FROM unnest({", ".join(_GIVEN)}) AS v ({", ".join(Reservation._fields)})
ON CONFLICT (tenant_id, bulk_id) DO UPDATE
SET held = excluded.held, {", ".join(f"{name} = excluded.{name}" for name in Reservation._fields[2:])}
"""


async def save(tx: Tx, batch: Batch) -> None:
    """Write what a batch left: one statement for each table, however many operations and accounts there are."""
    await _save_accounts(tx, batch.accounts.values())
    await _add_entries(tx, batch.entries)
    if batch.reservations:
        await tx.execute(_SAVE_RESERVATIONS, *_columns(batch.reservations.values(), texts=len(_TEXTS)))


_SAVE_TENANTS = """
INSERT INTO account AS a (tenant_id, tenant_version, closed, parent_id, time_zone)
SELECT * FROM unnest($1::text::uuid[], $2::text::bigint[], $3::text::boolean[], $4::text::uuid[], $5::text[]) ORDER BY 1
ON CONFLICT (tenant_id) DO UPDATE SET tenant_version = excluded.tenant_version, closed = excluded.closed,
    time_zone = excluded.time_zone, parent_id = excluded.parent_id
WHERE a.tenant_version < excluded.tenant_version
"""


async def save_tenants(tx: Tx, tenants: Iterable[Tenant]) -> None:
    """Note what is known of each tenant, at most once each; a version not higher changes nothing."""
    rows = [(one.tenant_id, one.version, one.closed, one.parent_id or "NULL", one.time_zone) for one in tenants]
    await tx.execute(_SAVE_TENANTS, *_columns(rows, texts=1))


_IS_KNOWN = "SELECT EXISTS (SELECT FROM account WHERE tenant_id = $1)"


async def is_known(tx: Tx, tenant_id: UUID) -> bool:
    """Whether this tenant was heard of."""
    return bool(await tx.fetchval(_IS_KNOWN, tenant_id))


_LOCK_ACCOUNT = f"""
SELECT {_ACCOUNT}
FROM account WHERE tenant_id = $1 FOR NO KEY UPDATE
"""


async def lock_account(tx: Tx, tenant_id: UUID) -> Account | None:
    """The account of a tenant, locked; None for a tenant that was never heard of."""
    row = await tx.fetchrow(_LOCK_ACCOUNT, tenant_id)
    return _account(row) if row else None


_ADD_TOP_UP = """
INSERT INTO top_up (tenant_id, top_up_id, account_version, credits, reason, reference, actor, available_after)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""


async def add_top_up(tx: Tx, tenant_id: UUID, grant: TopUp, entry: Entry) -> None:
    """Store a grant with its entry and the account it left."""
    await apply(tx, entry)
    left = entry.account
    key = (tenant_id, grant.top_up_id, left.version, grant.credits)
    await tx.execute(_ADD_TOP_UP, *key, grant.reason, grant.reference, grant.actor, left.available)


_TOP_UP = """
SELECT credits, reason, reference, actor, available_after, reversed_available,
    CASE WHEN reversed_version IS NULL THEN taken_back ELSE credits END AS taken
FROM top_up WHERE tenant_id = $1 AND top_up_id = $2
"""


async def find_top_up(tx: Tx, tenant_id: UUID, top_up_id: UUID) -> Granted | None:
    """A grant that was made; ask only with its account locked."""
    row = await tx.fetchrow(_TOP_UP, tenant_id, top_up_id)
    if row is None:
        return None
    top_up = TopUp(tenant_id, top_up_id, row["credits"], row["reason"], row["reference"], row["actor"])
    return Granted(top_up, row["available_after"], row["reversed_available"], row["taken"])


_MARK_REVERSED = """
UPDATE top_up SET reversed_version = $3, reversed_available = $4, taken_back = $5
WHERE tenant_id = $1 AND top_up_id = $2
"""
_MARK_TAKEN = "UPDATE top_up SET taken_back = $3 WHERE tenant_id = $1 AND top_up_id = $2"


async def save_taken_back(tx: Tx, tenant_id: UUID, granted: Granted, left: Account, entry: Entry | None) -> None:
    """Store what was taken back of a grant, as a whole or in part; `left` is its locked account as it then is."""
    if entry is not None:
        await apply(tx, entry)
    top_up_id = granted.top_up.top_up_id
    if granted.reversed_available is None:
        await tx.execute(_MARK_TAKEN, tenant_id, top_up_id, granted.taken)
    else:
        await tx.execute(_MARK_REVERSED, tenant_id, top_up_id, left.version, left.available, granted.taken)


async def apply(tx: Tx, *entries: Entry) -> None:
    """Store entries of different accounts, which must be locked, with what they leave."""
    await _save_accounts(tx, [entry.account for entry in entries])
    await _add_entries(tx, entries)


_BALANCE = f"""
SELECT {_ACCOUNT} FROM account WHERE tenant_id = $1
"""


async def balance(tx: Tx, tenant_id: UUID) -> Account:
    """The account of a tenant; an empty one where nothing was heard of it yet."""
    row = await tx.fetchrow(_BALANCE, tenant_id)
    return _account(row) if row else Account(tenant_id)


def _columns(rows: Iterable[tuple[Any, ...]], texts: int = 0) -> list[Any]:
    """Rows as columns, of which the last `texts` hold texts."""
    columns = list(zip(*rows, strict=True))
    first_text = len(columns) - texts
    return [*map(array, columns[:first_text]), *map(list, columns[first_text:])]


def _account(row: Any) -> Account:
    caps = Caps(*row[_OF_CAPS])
    return Account._make((*row[_OF_ACCOUNT], caps.at(_today(row["now"], row["time_zone"]))))


@lru_cache(maxsize=1_000)  # the accounts of one statement have one moment and few zones
def _today(now: datetime, time_zone: str) -> date:
    return now.astimezone(_zone(time_zone)).date()


@cache
def _zone(name: str) -> ZoneInfo:
    """tenant-svc takes names of zones alone; one that this machine does not know is UTC."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def _account_row(account: Account) -> tuple[Any, ...]:
    caps = account.caps
    return (
        account.tenant_id,
        account.granted,
        account.owed,
        account.available,
        account.reserved,
        account.consumed,
        account.version,
        caps.today,
        caps.used_daily,
        caps.used_monthly,
    )


def _reservation(row: Any) -> Reservation:
    *others, answer, reason = row
    return Reservation._make((*others, Answer(answer) if answer else None, reason))


def _entry_row(entry: Entry) -> tuple[Any, ...]:
    left = entry.account
    return (
        left.tenant_id,
        left.version,
        entry.kind,
        entry.credits,
        entry.bulk_id or "NULL",
        left.granted,
        left.owed,
        left.available,
        left.reserved,
        left.consumed,
        entry.reason,
        entry.reference,
        entry.actor,
    )
