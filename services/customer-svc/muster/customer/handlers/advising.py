"""The advice that goes with a quote."""

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any, Final

from muster.customer.domain.advice import Case, costly, later, other_sender, what_ifs
from muster.customer.domain.merge_text import MergeText
from muster.customer.domain.pricing import Renderer
from muster.customer.domain.refusal import Refusal
from muster.customer.store import reference
from muster.customer.store.reference import Tenant
from muster.kit.pg import Tx

_SENDERS_MAX: Final = 5


async def advise(
    tx: Tx,
    tenant: Tenant,
    case: Case,
    sender: str,
    by: Callable[[str], MergeText | Refusal],
    last_starts_at: str | None,
) -> dict[str, Any]:
    """As it is answered. by: the text as another sender says it; last_starts_at: when the last of them may be texted,
    if somebody has to wait."""
    found = what_ifs(case)
    for other in await reference.other_senders(tx, tenant, sender, _SENDERS_MAX):
        tariff, text = case.tariff.of(other), by(other)
        # Another sender may be for other countries, and so for other people: that is another quote.
        if tariff.reach == case.tariff.reach and isinstance(text, MergeText):
            priced = other_sender(replace(case, text=text, renderer=Renderer(text), tariff=tariff), other)
            found += [priced] if priced is not None else []
    if last_starts_at is not None:
        found.append(later(case.total, last_starts_at))
    return {"costly": [asdict(one) for one in costly(case)], "what_if": [asdict(one) for one in found]}
