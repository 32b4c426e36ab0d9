"""What a text costs over an audience, exactly: each distinct rendering counted once."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from muster.customer.domain.merge_text import MergeText
from muster.customer.domain.refusal import Refusal
from muster.customer.domain.tariff import Destination, Tariff
from muster.text import Encoding, TextRefused, count_parts
from muster.text.segments import ReferenceBits

_MEMO_ENTRIES_MAX: Final = 100_000


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


class Altered(Renderer):
    """What each recipient would get if this were made of their text."""

    def __init__(self, text: MergeText, change: Callable[[str], str]) -> None:
        super().__init__(text)
        self._change = change

    def _words(self, joined: str) -> str:
        return self._change(self._text.render(joined))


class Shortened(Renderer):
    """What each recipient would get without the last `fewer` characters of what was written; behind those stays, in
    each variant, a footer that was added by rule."""

    def __init__(self, text: MergeText, footers: Sequence[str], fewer: int) -> None:
        super().__init__(text)
        self._footers, self._fewer = footers, fewer

    def _words(self, joined: str) -> str:
        text = self._text.render(joined)
        end = len(text) - len(self._footers[self._text.variant_of(joined)])
        return text[: end - self._fewer] + text[end:]


class Verbatim(Renderer):
    """Texts that stand where merge values would: each recipient's own, as it is."""

    def __init__(self) -> None:
        self._memo = {}

    def _words(self, joined: str) -> str:
        return joined


@dataclass(frozen=True, slots=True)
class ValueClass:
    """So many recipients of one country whose merge values cost the same as `joined`; customer_id: one of them, 0 where
    nobody is known."""

    country: str
    joined: str
    recipients: int
    customer_id: int = field(default=0, compare=False)


@dataclass(slots=True)
class Price:
    """What a send comes to. The three tables count recipients. shortest, dearest: whose message is so."""

    recipients: int = 0
    parts: int = 0
    credits: int = 0
    by_encoding: dict[str, int] = field(default_factory=dict)
    by_parts: dict[str, int] = field(default_factory=dict)
    by_country: dict[str, int] = field(default_factory=dict)
    shortest: ValueClass | None = field(default=None, compare=False)
    dearest: ValueClass | None = field(default=None, compare=False)
    _short: tuple[int, int] = field(default=(0, 0), compare=False)
    _dear: tuple[int, int] = field(default=(0, 0), compare=False)

    def add(self, rendering: Rendering, group: ValueClass, destination: Destination) -> None:
        """Count the recipients of a class, who all get this rendering's parts."""
        recipients, length = group.recipients, len(rendering.text)
        if self.shortest is None or (rendering.parts, length) < self._short:
            self.shortest, self._short = group, (rendering.parts, length)
        dear = rendering.parts * destination.credits_per_part, length
        if dear > self._dear:
            self.dearest, self._dear = group, dear
        self.recipients += recipients
        self.parts += recipients * rendering.parts
        self.credits += recipients * rendering.parts * destination.credits_per_part
        _count(self.by_encoding, rendering.encoding.name, recipients)
        _count(self.by_parts, str(rendering.parts), recipients)
        _count(self.by_country, destination.country, recipients)


def _count(counts: dict[str, int], key: str, recipients: int) -> None:
    counts[key] = counts.get(key, 0) + recipients


def too_many_parts(parts: int, parts_max: int) -> Refusal | None:
    """Why a message of so many parts is none of a business that has set itself a limit."""
    if parts <= parts_max:
        return None
    message = f"The longest message has {parts} parts; this business has set its limit to {parts_max}."
    return Refusal("text", "too_many_parts", message, {"parts": parts, "limit": parts_max})


def price(renderer: Renderer, classes: Iterable[ValueClass], tariff: Tariff) -> Price | Refusal:
    """The exact sum over all recipients, or why the text of some of them cannot be sent."""
    total = Price()
    for group in classes:
        destination = tariff.destination(group.country)
        try:
            rendering = renderer.render(group.joined, destination.reference_bits)
        except TextRefused as refused:
            return Refusal("text", refused.code, str(refused))
        total.add(rendering, group, destination)
    return total
