"""The shortest and the dearest message of a quote, as those read them who get them."""

from typing import Any
from uuid import UUID

from muster.customer.domain.merge_text import MergeText
from muster.customer.domain.pricing import Price, Renderer, ValueClass
from muster.customer.domain.tariff import Tariff
from muster.customer.store import audience
from muster.kit.pg import Record, Tx


async def examples(tx: Tx, tenant_id: UUID, text: MergeText, total: Price, tariff: Tariff) -> dict[str, Any]:
    """`shortest` and `dearest`, as they are answered; None where the customer has changed since they were counted."""
    shown = {"shortest": total.shortest, "dearest": total.dearest}
    ids = {group.customer_id for group in shown.values() if group is not None}
    people = await audience.named_values(tx, tenant_id, text, sorted(ids))
    return {
        which: None if group is None else _example(text, group, people.get(group.customer_id), tariff)
        for which, group in shown.items()
    }


def _example(text: MergeText, group: ValueClass, person: Record | None, tariff: Tariff) -> dict[str, Any] | None:
    if person is None or text.missing(person["joined"]):
        return None
    destination = tariff.destination(group.country)
    rendering = Renderer(text).render(person["joined"], destination.reference_bits)
    return {
        "customer_id": group.customer_id,
        "name": person["name"],
        "country": group.country,
        "text": rendering.text,
        "encoding": rendering.encoding.name,
        "parts": rendering.parts,
        "credits": rendering.parts * destination.credits_per_part,
    }
