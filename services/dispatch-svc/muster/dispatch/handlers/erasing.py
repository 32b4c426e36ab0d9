"""Takes people who were erased out of what dispatch-svc holds: chunks that are not done, what carriers said."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID

from muster.dispatch import events
from muster.dispatch.settings import DispatchSettings
from muster.dispatch.store import personal
from muster.kit import erasure
from muster.kit.pg import Tx
from muster.kit.settings import secret
from muster.text import number_hash

_CHUNKS: Final = 20
_NUMBERS: Final = 5_000
_FIRST: Final = (UUID(int=0), 0)


def blank_by(settings: DispatchSettings) -> erasure.Blank:
    """How it is done with the keys of these settings."""
    keyed = (bytes.fromhex(secret(settings.hash_key, "hash_key")), settings.hash_generation)
    return partial(blank, partial(number_hash, *keyed))


async def blank(hashed: Callable[[UUID, str], bytes], tx: Tx, tenant_id: UUID, gone: erasure.Gone) -> None:
    """Blank what is of before these erasures. Nobody of them is sent anything more: the claim looks at the same hashes
    by the same time."""
    await _blank_chunks(tx, tenant_id, gone)
    for table in personal.LOOSE:
        await _forget_loose(tx, table, partial(hashed, tenant_id), gone)


async def _blank_chunks(tx: Tx, tenant_id: UUID, gone: erasure.Gone) -> None:
    after, at = _FIRST, erasure.unix_ms(gone)
    while rows := await personal.chunks_with(tx, tenant_id, list(gone), after, _CHUNKS):
        for row in rows:
            half = events.without_people(row["bulk_id"], row["plain"], row["personal"], at)
            if half is not None:
                await personal.replace_personal(tx, tenant_id, row["bulk_id"], row["chunk"], half)
        after = rows[-1]["bulk_id"], rows[-1]["chunk"]


async def _forget_loose(tx: Tx, table: str, hashed: Callable[[str], bytes], gone: erasure.Gone) -> None:
    after = ""
    while numbers := await personal.loose_numbers(tx, table, after, _NUMBERS):
        found: dict[str, datetime] = {}
        for number in numbers:
            erased_at = gone.get(hashed(events.e164(number)))
            if erased_at is not None:
                found[number] = erased_at
        if found:
            await personal.forget_loose(tx, table, found)
        after = numbers[-1]
