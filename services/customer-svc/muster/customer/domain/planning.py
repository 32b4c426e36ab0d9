"""Chunks of a plan, rendered from frozen rows only, so that the same rows give the same chunks at any time."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Final

from muster.customer.domain.links import SendLinks
from muster.customer.domain.pricing import Renderer
from muster.customer.domain.tariff import Destination
from muster.text import PARTS_MAX, is_textable

CHUNK_RECIPIENTS_MAX = 500
# A send so large has chunks enough to be spread and shared by, and pays for half as many (ADR 27).
_LARGE_SEND_RECIPIENTS: Final = 40_000
_LARGE_CHUNK_RECIPIENTS_MAX: Final = 1000
# A chunk is one record, of which Kafka takes 2 MiB; what is not text is under 100 octets for each recipient.
_CHUNK_TEXT_BYTES_MAX: Final = 1_500_000
# 153 characters of two octets each in UTF-8, as é and Greek capitals; the rest of GSM and all of UCS-2 come to less.
_PART_BYTES_MAX: Final = 306
# dispatch-svc numbers the parts of a chunk in two octets.
_CHUNK_PARTS_MAX: Final = 32_767


def recipients_max(recipients: int, parts: int, *, personal: bool) -> int:
    """How many recipients a chunk of a send to so many may have, if no message has more parts than that; `personal`:
    each has a text of its own."""
    most = CHUNK_RECIPIENTS_MAX if recipients < _LARGE_SEND_RECIPIENTS else _LARGE_CHUNK_RECIPIENTS_MAX
    return min(most, fitting(parts, personal=personal))


def fitting(parts: int, *, personal: bool) -> int:
    """How many recipients of at most so many parts fit into one record and can be numbered."""
    numbered = _CHUNK_PARTS_MAX // parts
    return min(numbered, _CHUNK_TEXT_BYTES_MAX // (_PART_BYTES_MAX * parts)) if personal else numbered


@dataclass(frozen=True, slots=True)
class FrozenChunk:
    """Recipients of one country as they were frozen; in the send's order. joined is empty without merge fields.

    allowed: when they may be texted, in unix seconds: from, until, from, until ...; empty at any time.
    """

    chunk: int
    country: str
    customer_ids: Sequence[int]
    numbers: Sequence[int]
    hashes: Sequence[bytes]
    joined: Sequence[str]
    allowed: Sequence[int] = ()

    def __len__(self) -> int:
        return len(self.numbers)


@dataclass(frozen=True, slots=True)
class Chunk:
    """What is published for a frozen chunk. text_index is empty where all have text 0. Prices in credits.

    allowed: as of the frozen chunk.
    """

    chunk: int
    destination: Destination
    texts: Sequence[str]
    encodings: Sequence[int]
    seqs: range
    numbers: Sequence[int]
    hashes: Sequence[bytes]
    text_index: Sequence[int]
    parts: Sequence[int]
    prices: Sequence[int]
    uptos: Sequence[int]
    customer_ids: Sequence[int]
    allowed: Sequence[int]


@dataclass(frozen=True, slots=True)
class Totals:
    """Running sums before a chunk: recipients, parts, credits."""

    recipients: int = 0
    parts: int = 0
    credits: int = 0

    def after(self, recipients: int, parts: int, credits: int) -> "Totals":
        """The sums with so much more."""
        return Totals(self.recipients + recipients, self.parts + parts, self.credits + credits)


def strays(frozen: FrozenChunk) -> list[int]:
    """The customers of a chunk whose number is no mobile number of its country: a premium one, or another country's."""
    return [
        customer_id
        for customer_id, number in zip(frozen.customer_ids, frozen.numbers, strict=True)
        if not is_textable(number, frozen.country)
    ]


class TooManyParts(Exception):
    """Somebody's message has more parts than a message of the business may have."""

    def __init__(self, parts: int, limit: int) -> None:
        super().__init__(parts, limit)
        self.parts, self.limit = parts, limit


class ChunkTooLarge(Exception):
    """The texts of a frozen chunk have more parts than it was frozen for: values have become longer since the quote."""


def add_up(
    before: Totals, frozen: FrozenChunk, destination: Destination, renderer: Renderer, parts_max: int = PARTS_MAX
) -> Totals:
    """The sums after this chunk, without making it. ChunkTooLarge if it cannot be one record; TooManyParts if a message
    has more than parts_max."""
    bits = destination.reference_bits
    if frozen.joined:
        counts = [renderer.render(joined, bits).parts for joined in frozen.joined]
        parts, longest = sum(counts), max(counts)
        if len(frozen) > fitting(longest, personal=True):
            raise ChunkTooLarge
    else:
        longest = renderer.render("", bits).parts
        parts = longest * len(frozen)
    if longest > parts_max:
        raise TooManyParts(longest, parts_max)
    return before.after(len(frozen), parts, parts * destination.credits_per_part)


def make_chunk(before: Totals, frozen: FrozenChunk, destination: Destination, renderer: Renderer) -> Chunk:
    """The chunk that follows those which came to `before`."""
    texts, encodings, text_index, parts = _texts(frozen, destination, renderer)
    prices = [count * destination.credits_per_part for count in parts]
    uptos = list(accumulate(prices, initial=before.credits))[1:]
    first = before.recipients + 1
    return Chunk(
        frozen.chunk,
        destination,
        texts,
        encodings,
        range(first, first + len(frozen)),
        frozen.numbers,
        frozen.hashes,
        text_index,
        parts,
        prices,
        uptos,
        frozen.customer_ids,
        frozen.allowed,
    )


def with_links(chunk: Chunk, links: SendLinks) -> Chunk:
    """A chunk whose text has a place for each recipient's own link, with these in it: as long, at the same price."""
    index = chunk.text_index or [0] * len(chunk.numbers)
    texts = links.own(chunk.chunk, [chunk.texts[one] for one in index])
    return replace(
        chunk,
        texts=texts,
        encodings=[chunk.encodings[one] for one in index],
        text_index=range(len(texts)) if len(texts) > 1 else (),
    )


def _texts(
    frozen: FrozenChunk, destination: Destination, renderer: Renderer
) -> tuple[list[str], list[int], list[int], list[int]]:
    """Distinct texts with their encodings; the index and the parts of each recipient."""
    bits = destination.reference_bits
    if not frozen.joined:
        only = renderer.render("", bits)
        return [only.text], [int(only.encoding)], [], [only.parts] * len(frozen)
    index_of: dict[str, int] = {}
    for joined in frozen.joined:
        index_of.setdefault(joined, len(index_of))
    renderings = [renderer.render(joined, bits) for joined in index_of]
    text_index = [index_of[joined] for joined in frozen.joined]
    parts_of = [rendering.parts for rendering in renderings]
    texts = [rendering.text for rendering in renderings]
    encodings = [int(rendering.encoding) for rendering in renderings]
    return texts, encodings, [] if len(texts) == 1 else text_index, [parts_of[index] for index in text_index]
