"""The advice that goes with a quote."""

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any, Final

from muster.customer.domain.advice import Case, costly, later, other_sender, shorter_footer, what_ifs
from muster.customer.domain.notices import Wordings
from muster.customer.domain.pricing import Renderer
from muster.customer.domain.refusal import Refusal
from muster.customer.handlers.wording import Worded
from muster.customer.store import reference
from muster.customer.store.reference import Tenant
from muster.kit.pg import Tx

_SENDERS_MAX: Final = 5


async def advise(
    tx: Tx,
    tenant: Tenant,
    case: Case,
    sender: str,
    by: Callable[[str, Wordings], Worded | Refusal],
    later_at: str | None,
) -> dict[str, Any]:
    """As it is answered. by: the text as a sender says it in these words by rule; later_at: when nobody has to wait, if
    somebody has to now."""
    found, fewer = what_ifs(case), tenant.wordings.shorter
    said = by(sender, fewer)
    if not isinstance(said, Refusal):
        shorter = shorter_footer(case, *said, fewer.of(fewer.language))
        found += [shorter] if shorter is not None else []
    for other in await reference.other_senders(tx, tenant, sender, _SENDERS_MAX):
        tariff, said = case.tariff.of(other), by(other, tenant.wordings)
        # Another sender may be for other countries, and so for other people: that is another quote.
        if tariff.reach == case.tariff.reach and not isinstance(said, Refusal):
            priced = other_sender(replace(case, text=said[0], renderer=Renderer(said[0]), tariff=tariff), other)
            found += [priced] if priced is not None else []
    if later_at is not None:
        found.append(later(case.total, later_at))
    return {"costly": [asdict(one) for one in costly(case)], "what_if": [asdict(one) for one in found]}
