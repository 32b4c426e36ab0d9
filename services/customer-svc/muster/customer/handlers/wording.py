"""Texts as marketing leaves: with what it says by rule."""

from collections.abc import Mapping, Sequence

from muster.customer.domain.merge_text import MergeText, outside_fields
from muster.customer.domain.notices import Wordings, with_notices
from muster.customer.domain.refusal import Refusal
from muster.customer.store.reference import Tenant

Worded = tuple[MergeText, Sequence[Mapping[str, str]]]
"""A text with what is added to it by rule, and what that is, as a quote says it."""


def worded(
    tenant: Tenant, text: MergeText, sender: str, link_url: str, words: Wordings | None = None
) -> Worded | Refusal:
    """A text with what is said by rule where a sender sends it, in each of its languages. words: in these instead of
    the business's."""
    by, wordings = (tenant.name, sender), words or tenant.wordings
    noticed = [
        with_notices(one.text, outside_fields(one.text), *by, wordings.of(one.language), link_url)
        for one in text.variants
    ]
    others = {variant.language: one.text for variant, one in zip(text.variants[1:], noticed[1:], strict=True)}
    read = MergeText.read(noticed[0].text, text.style, others)
    if isinstance(read, Refusal):
        return read
    return read, [
        {"what": said.what.value, "text": said.text, "language": variant.language}
        for variant, one in zip(text.variants, noticed, strict=True)
        for said in one.added
    ]
