"""What a word on consent does: it is kept, it holds of the customer or the number, and a withdrawal stops the number
for everybody at once, in this transaction and by an event."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from muster.customer import events
from muster.customer.domain.consent import Source, Word, judge
from muster.customer.domain.customers import Consent
from muster.customer.domain.refusal import Refusal
from muster.customer.domain.suppression import Scope, Wish, decide, judge_correction, judge_lift
from muster.customer.store import consents, customers, suppressions, withdrawals
from muster.customer.store.suppressions import Version
from muster.kit import clock
from muster.kit.outbox import emit
from muster.kit.pg import Tx

# What a suppression is said to come from; a withdrawal by another way was told to somebody of the business.
_STOPPING: Final = frozenset((Source.PERSON, Source.FORM, Source.REPLY, Source.LINK, Source.COMPLAINT, Source.UPLOAD))
_CHANGED: Final = ("allow_bulk_sms", "consent", "consent_evidence")
RECORDER: Final = "muster"
"""Who has recorded what no person has."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A word that was kept, with the suppressions that it has made or lifted."""

    suppressions: Sequence[Version] = ()


async def record(
    tx: Tx, tenant_id: UUID, customer_id: int, word: Word, by: str, *, number_hash: bytes | None, scope: Scope
) -> Recorded | Refusal | None:
    """Keep a word on one number of a customer, or on all of them; None where there is no such customer or number."""
    hashes = {row["number_hash"] for row in await consents.numbers_of(tx, tenant_id, customer_id)}
    if number_hash is not None:
        hashes &= {number_hash}
    before = {one: await suppressions.lock_suppression(tx, tenant_id, one) for one in sorted(hashes)}
    now = await consents.lock_standing(tx, tenant_id, customer_id)
    if now is None or (number_hash is not None and not hashes):
        return None
    if number_hash is not None:
        now = await consents.standing_of_number(tx, tenant_id, customer_id, number_hash) or now
    refusal = judge(now, word, clock.now())
    if refusal is not None:
        return refusal
    if number_hash is None:
        await consents.say_of_all(tx, tenant_id, customer_id, word, by)
        await customers.keep_change(tx, tenant_id, customer_id, list(_CHANGED), by)
    else:
        await consents.say_of_numbers(tx, tenant_id, [number_hash], word, by, only=customer_id)
    if word.kind is Consent.WITHDRAWN:
        return Recorded(await stop(tx, tenant_id, sorted(hashes), word, by, scope))
    lifted = [one for one, state in before.items() if state.suppressed and not judge_lift(state, word, clock.now())]
    return Recorded([await _lift(tx, tenant_id, one, word, by) for one in lifted])


async def lock_numbers(tx: Tx, tenant_id: UUID, *customer_ids: int) -> None:
    """Before customers are locked who may withdraw: numbers are locked before those who have them, in one order."""
    rows = [row for one in customer_ids for row in await consents.numbers_of(tx, tenant_id, one)]
    for number_hash in sorted({bytes(row["number_hash"]) for row in rows}):
        await suppressions.lock_suppression(tx, tenant_id, number_hash)


async def stop(
    tx: Tx, tenant_id: UUID, hashes: Sequence[bytes], word: Word, by: str, scope: Scope = Scope.MARKETING
) -> list[Version]:
    """Suppress the numbers of a customer whose withdrawal is kept, for all who have them."""
    source = word.source if word.source in _STOPPING else Source.PERSON
    versions = []
    for number_hash in sorted(hashes):
        wish = _wish(word, by, scope, suppressed=True, source=source)
        version = await apply(tx, tenant_id, number_hash, wish)
        await consents.say_of_numbers(tx, tenant_id, [number_hash], word, by)
        await emit(tx, events.suppression_changed(tenant_id, version))
        versions.append(version)
    await withdrawals.fulfil(tx, tenant_id, hashes, int(scope), by)
    return versions


async def _lift(tx: Tx, tenant_id: UUID, number_hash: bytes, word: Word, by: str) -> Version:
    now = await suppressions.lock_suppression(tx, tenant_id, number_hash)
    wish = _wish(word, by, now.scope, suppressed=False, source=word.source)
    version = await apply(tx, tenant_id, number_hash, wish)
    await emit(tx, events.suppression_changed(tenant_id, version))
    return version


def _wish(word: Word, by: str, scope: Scope, *, suppressed: bool, source: str) -> Wish:
    return Wish(suppressed, scope, source, "", word.how, by, word.given_at, word.wording, word.address)


async def apply(tx: Tx, tenant_id: UUID, number_hash: bytes, wish: Wish) -> Version:
    """The version of a number that fulfils a wish: the one that this inbound message made already, or the next."""
    now = await suppressions.lock_suppression(tx, tenant_id, number_hash)
    known = await suppressions.version_of_inbound(tx, tenant_id, wish.inbound_id) if wish.inbound_id else None
    return known or await suppressions.save_suppression(tx, tenant_id, number_hash, decide(now, wish), wish)


async def fulfil(tx: Tx, tenant_id: UUID, number_hash: bytes, wish: Wish) -> Version:
    """The same where nobody says which customer it was: it is kept as a word of all who have the number."""
    wish = replace(wish, given_at=wish.given_at or clock.now())
    now = await suppressions.lock_suppression(tx, tenant_id, number_hash)
    version = await apply(tx, tenant_id, number_hash, wish)
    if version.version > now.version:
        await consents.say_of_numbers(tx, tenant_id, [number_hash], word_of(wish), wish.by or RECORDER)
    if wish.suppressed:
        await withdrawals.fulfil(tx, tenant_id, [number_hash], int(wish.scope), wish.by or RECORDER)
    return version


async def fulfil_all(tx: Tx, tenant_id: UUID, hashes: Sequence[bytes], wish: Wish) -> list[Version]:
    """The same for thousands of numbers that are to be stopped at once, and said; those that are changed by it.

    Until the transaction ends nobody else changes a suppression of the tenant: it must be short.
    """
    wish = replace(wish, given_at=wish.given_at or clock.now())
    versions = await suppressions.suppress_all(tx, tenant_id, hashes, wish)
    await consents.say_of_numbers(tx, tenant_id, [one.number_hash for one in versions], word_of(wish), wish.by)
    await withdrawals.fulfil(tx, tenant_id, hashes, int(wish.scope), wish.by or RECORDER)
    await emit(tx, *(events.suppression_changed(tenant_id, one) for one in versions))
    return versions


def word_of(wish: Wish) -> Word:
    """What a wish says of consent: that it is withdrawn, or given anew."""
    kind = Consent.WITHDRAWN if wish.suppressed else Consent.EXPRESS
    given_at = wish.given_at or clock.now()
    return Word(kind, given_at, wish.reason, wish.wording, "", wish.address, Source(wish.source))


async def lift(tx: Tx, tenant_id: UUID, number_hash: bytes, word: Word, by: str) -> Version | Refusal | None:
    """Let a number be texted again by the person's own word; None where it is not suppressed."""
    now = await suppressions.lock_suppression(tx, tenant_id, number_hash)
    if not now.suppressed:
        return None
    refusal = judge_lift(now, word, clock.now())
    if refusal is not None:
        return refusal
    version = await _lift(tx, tenant_id, number_hash, word, by)
    await consents.say_of_numbers(tx, tenant_id, [number_hash], word, by)
    return version


async def correct(tx: Tx, tenant_id: UUID, number_hash: bytes, why: str, by: str) -> Version | Refusal | None:
    """Take back a suppression that somebody of the business entered by mistake; None where there is none."""
    now = await suppressions.lock_suppression(tx, tenant_id, number_hash)
    if not now.suppressed:
        return None
    refusal = judge_correction(now)
    if refusal is not None:
        return refusal
    assert now.since is not None, "a version has a time"
    wish = Wish(suppressed=False, scope=now.scope, source="correction", reason=why, by=by)
    version = await apply(tx, tenant_id, number_hash, wish)
    await consents.correct(tx, tenant_id, number_hash, now.since, why, by)
    await emit(tx, events.suppression_changed(tenant_id, version))
    return version
