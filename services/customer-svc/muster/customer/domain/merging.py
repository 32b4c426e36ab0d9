"""Two records of one person made one: nothing that was known is lost; of two words on consent the stricter holds."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from muster.customer.domain.customers import MOBILES_MAX, NUMBERS_MAX, Consent, Customer, Mobile, OtherNumber
from muster.customer.domain.refusal import Refusal

MERGED_MAX: Final = 1_000
"""Customers who may be merged into one, those included who were merged into them before."""

_STRICTEST_FIRST: Final = (Consent.WITHDRAWN, Consent.NONE, Consent.INFERRED, Consent.EXPRESS)
_ALLOWED_LEAST_FIRST: Final[tuple[bool | None, ...]] = (False, None, True)


def stricter(kept: Customer, gone: Customer) -> bool:
    """Whether the consent of the one who goes is stricter than that of the one who is kept."""
    return _strictness(gone) < _strictness(kept)


def _strictness(customer: Customer) -> tuple[int, int]:
    return _STRICTEST_FIRST.index(customer.consent), _ALLOWED_LEAST_FIRST.index(customer.allow_bulk_sms)


def merged(kept: Customer, gone: Customer) -> Customer | Refusal:
    """The one who is kept, with the numbers and tags of both; where they have no name, language, time zone or own field
    they take the other's. Neither a tick nor a kind of consent becomes more than it was with both."""
    mobiles: Mapping[int, Mobile] = {one.number: one for one in (*gone.mobiles, *kept.mobiles)}
    others: Mapping[tuple[int, str], OtherNumber] = {
        (one.number, one.kind): one for one in (*gone.others, *kept.others)
    }
    if len(mobiles) > MOBILES_MAX or len(mobiles) + len(others) > NUMBERS_MAX:
        message = f"Both together have more than {MOBILES_MAX} mobiles or {NUMBERS_MAX} numbers."
        return Refusal("customer_id", "too_many_numbers", message)
    first = dict.fromkeys((*(one.number for one in kept.mobiles), *mobiles))
    first_others = dict.fromkeys((*((one.number, one.kind) for one in kept.others), *others))
    return replace(
        kept,
        first_name=kept.first_name or ("" if kept.last_name else gone.first_name),
        last_name=kept.last_name or ("" if kept.first_name else gone.last_name),
        mobiles=tuple(mobiles[number] for number in first),
        others=tuple(others[key] for key in first_others),
        consent=min(kept.consent, gone.consent, key=_STRICTEST_FIRST.index),
        allow_bulk_sms=min(kept.allow_bulk_sms, gone.allow_bulk_sms, key=_ALLOWED_LEAST_FIRST.index),
        language=kept.language or gone.language,
        tags=tuple(dict.fromkeys((*kept.tags, *gone.tags))),
        own_fields={**gone.own_fields, **kept.own_fields},
        time_zone=kept.time_zone or gone.time_zone,
    )
