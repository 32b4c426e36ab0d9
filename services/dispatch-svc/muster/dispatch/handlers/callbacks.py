"""What HTTP carriers say by call, once it is known to be theirs: each call has its effect once."""

import hashlib
from collections.abc import Sequence
from typing import Final

from muster.dispatch.domain.http.model import Ended, Written
from muster.dispatch.handlers import inbound
from muster.dispatch.handlers.inbound import Heard
from muster.dispatch.settings import DispatchSettings
from muster.dispatch.store import callbacks as store
from muster.dispatch.store import inbound as parts
from muster.dispatch.store.inbound import Part, PartKey
from muster.kit.pg import Tx
from muster.text import decode

_UCS2: Final = 8
# A carrier that signs no time can be made to say the same again for as long as its secret lives.
_TOLD_AGAIN_S: Final = 400 * 24 * 3600.0


async def take(
    tx: Tx, settings: DispatchSettings, account: str, call: bytes, ended: Sequence[Ended], written: Sequence[Written]
) -> bool:
    """Keep receipts for the account's sender, and store what people wrote, holds included; False where the call was
    taken before."""
    if not await store.see(tx, account, _digest(account, call)):
        return False
    await store.keep(tx, account, ended)
    for source in sorted({one.source for one in written}):
        await store.lock_writer(tx, account, source)
    for one in written:
        await _take(tx, settings, account, one)
    return True


async def _take(tx: Tx, settings: DispatchSettings, account: str, written: Written) -> None:
    text: str | None = written.text
    if written.part is not None:
        key = PartKey(written.source, written.destination, written.part.reference, written.part.total)
        octets = written.text.encode("utf-16-be")
        whole = await parts.add_part(tx, account, Part(key, written.part.number, octets, _UCS2))
        text = None if whole is None else decode(whole.octets, _UCS2)
    if text is not None:
        digest = _digest(account, written.key.encode())
        ends = (account, written.source, written.destination)
        await inbound.take(tx, settings, Heard(*ends, text, digest, 0, _TOLD_AGAIN_S, _TOLD_AGAIN_S))


def _digest(account: str, what: bytes) -> bytes:
    return hashlib.blake2b(account.encode() + b"\0" + what, digest_size=16).digest()
