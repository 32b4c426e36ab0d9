"""What a text costs over an audience, exactly: each distinct rendering counted once."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from muster.customer.domain.refusal import Refusal
from muster.customer.domain.tariff import Destination, Tariff
from muster.text import (
    Dearer,
    Encoding,
    MissingField,
    Template,
    TemplateError,
    TextRefused,
    count_parts,
    dearer_characters,
)
from muster.text.merge import clean_value
from muster.text.segments import ReferenceBits

SEPARATOR: Final = "\x1f"  # joins the merge values of one customer; no stored value can hold it
TEXT_CHARACTERS_MAX: Final = 39_015  # 255 parts of 153
MERGE_FIELDS_MAX: Final = 20
_MEMO_ENTRIES_MAX: Final = 100_000
_FIELD: Final = re.compile(r"\{\{.*?\}\}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class MergeText:
    """A text with its merge fields: distinct names in order, and those without a fallback."""

    text: str
    template: Template
    fields: tuple[str, ...]
    required: tuple[str, ...]

    @classmethod
    def read(cls, text: str) -> "MergeText | Refusal":
        """The parsed text, or why it cannot be sent to anybody."""
        refusal = unusable(text)
        if refusal is not None:
            return refusal
        try:
            template = Template.parse(text)
        except TemplateError as error:
            return Refusal("text", "merge_syntax", str(error))
        fields = tuple(dict.fromkeys(field.name for field in template.fields))
        if len(fields) > MERGE_FIELDS_MAX:
            return Refusal("text", "too_many_fields", f"A text has at most {MERGE_FIELDS_MAX} different merge fields.")
        required = dict.fromkeys(field.name for field in template.fields if field.fallback is None)
        return cls(text, template, fields, tuple(required))

    @classmethod
    def literal(cls, text: str) -> "MergeText | Refusal":
        """A text without merge fields, in which braces are braces."""
        return unusable(text) or cls(text, Template((text,)), (), ())

    @property
    def dearer(self) -> tuple[Dearer, ...]:
        """The characters of the text itself, without what stands in its fields, that make it dearer."""
        return dearer_characters(_FIELD.sub(lambda field: " " * len(field[0]), self.text) if self.fields else self.text)

    def render(self, joined: str) -> str:
        """The text for one customer, whose merge values are joined in the order of `fields`.

        Raises ValueError if a required value is blank: such a customer was to be left out before.
        """
        rendered = self.template.render(
            dict(zip(self.fields, joined.split(SEPARATOR), strict=True)) if self.fields else {}
        )
        if isinstance(rendered, MissingField):
            raise ValueError(f"a customer without {rendered.name} was not left out")
        return rendered


def unusable(text: str) -> Refusal | None:
    """Why nobody could be sent this text, whatever the route."""
    if len(text) > TEXT_CHARACTERS_MAX:
        return Refusal("text", "too_long", f"A text has at most {TEXT_CHARACTERS_MAX} characters.")
    if clean_value(text) or (not text.isprintable() and any("\ud800" <= c <= "\udfff" for c in text)):
        return None  # halves of surrogate pairs are refused by their own name, when parts are counted
    return Refusal("text", "empty", "The text is empty.")


@dataclass(frozen=True, slots=True)
class Rendering:
    """One distinct text, how it is encoded, and its parts."""

    text: str
    encoding: Encoding
    parts: int


class Renderer:
    """Renders a text for merge values, each distinct combination once while it is remembered. Raises TextRefused."""

    def __init__(self, text: MergeText) -> None:
        self._text = text
        self._memo: dict[tuple[str, int], Rendering] = {}

    def render(self, joined: str, reference_bits: ReferenceBits) -> Rendering:
        """The rendering of these merge values on a route with references of so many bits."""
        key = (joined, reference_bits)
        known = self._memo.get(key)
        if known is None:
            if len(self._memo) >= _MEMO_ENTRIES_MAX:
                self._memo.clear()
            text = self._words(joined)
            known = self._memo[key] = Rendering(text, *count_parts(text, reference_bits))
        return known

    def _words(self, joined: str) -> str:
        return self._text.render(joined)


class Verbatim(Renderer):
    """Texts that stand where merge values would: each recipient's own, as it is."""

    def __init__(self) -> None:
        self._memo = {}

    def _words(self, joined: str) -> str:
        return joined


@dataclass(frozen=True, slots=True)
class ValueClass:
    """So many recipients of one country whose merge values cost the same as `joined`."""

    country: str
    joined: str
    recipients: int


@dataclass(slots=True)
class Price:
    """What a send comes to. The three tables count recipients."""

    recipients: int = 0
    parts: int = 0
    credits: int = 0
    by_encoding: dict[str, int] = field(default_factory=dict)
    by_parts: dict[str, int] = field(default_factory=dict)
    by_country: dict[str, int] = field(default_factory=dict)

    def add(self, rendering: Rendering, recipients: int, destination: Destination) -> None:
        """Count `recipients` who all get this rendering's parts."""
        self.recipients += recipients
        self.parts += recipients * rendering.parts
        self.credits += recipients * rendering.parts * destination.credits_per_part
        _count(self.by_encoding, rendering.encoding.name, recipients)
        _count(self.by_parts, str(rendering.parts), recipients)
        _count(self.by_country, destination.country, recipients)


def _count(counts: dict[str, int], key: str, recipients: int) -> None:
    counts[key] = counts.get(key, 0) + recipients


def price(text: MergeText, classes: Iterable[ValueClass], tariff: Tariff) -> Price | Refusal:
    """The exact sum over all recipients, or why the text of some of them cannot be sent."""
    renderer, total = Renderer(text), Price()
    for group in classes:
        destination = tariff.destination(group.country)
        try:
            rendering = renderer.render(group.joined, destination.reference_bits)
        except TextRefused as refused:
            return Refusal("text", refused.code, str(refused))
        total.add(rendering, group.recipients, destination)
    return total
