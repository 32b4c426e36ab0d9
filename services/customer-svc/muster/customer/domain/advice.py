"""What makes a send dearer than it need be, and what could be done about it: for the same recipients, each priced as
the quote prices them. Nothing is estimated, and nothing is changed unasked."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from muster.customer.domain.merge_text import SEPARATOR, MergeText
from muster.customer.domain.notices import Notices, What
from muster.customer.domain.pricing import Altered, Price, Renderer, Shortened, ValueClass, price
from muster.customer.domain.refusal import Refusal
from muster.customer.domain.tariff import Tariff
from muster.text import (
    PARTS_MAX,
    DearerGroup,
    Encoding,
    TextRefused,
    by_character,
    count_parts,
    encoding_of,
    forcing_characters,
    plain,
    segment,
)
from muster.text.alphabet import EXTENSION_CHARACTERS
from muster.text.dearer import Reason
from muster.text.segments import ReferenceBits, units_over

CLASSES_MAX: Final = 2_000
"""Of more classes it is not looked which of their letters are dear: it would take longer than people wait while they
type."""
LETTERS_MAX: Final = 1_000_000
"""Nor of more characters of all their messages."""
SHOWN_MAX: Final = 20
POSITIONS_SHOWN_MAX: Final = 50
CHARACTERS_SHOWN_MAX: Final = 100
"""A text of thousands of different ones would be answered by megabytes about them."""
EDITS_MAX: Final = 1_000
_NAMED_MAX: Final = 5
# A text of which more than a third would have to go is another text.
_SHORTER_SHARE: Final = 3

_FIRST: Final = "0"
"""As if joined for the first variant."""
_ESCAPED: Final = str.maketrans(dict.fromkeys(EXTENSION_CHARACTERS, ""))


@dataclass(frozen=True, slots=True)
class Edit:
    """A replacement that is offered: at a character of the text, counted from 0, `new` in place of `old`."""

    position: int
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Costly:
    """Characters that cost more, together: parts and credits are what is saved where each is replaced, or left out
    where nothing says the same.

    characters: the first CHARACTERS_SHOWN_MAX of them. where: in the text itself, or in the values of merge fields.
    fields: which. recipients: who pay for them.
    """

    where: Literal["text", "values"]
    reason: Reason
    characters: tuple[DearerGroup, ...]
    fields: tuple[str, ...]
    recipients: int
    parts: int
    credits: int
    message: str


Change = Literal["plain_text", "no_accents", "shorter", "shorter_footer", "other_sender", "later"]


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What the same recipients would come to. edits: of `plain_text`, all of them, or none of more than EDITS_MAX.
    characters: how many fewer, of `shorter`. notices: the words by rule, of `shorter_footer`. sender: of
    `other_sender`. at: when the last of them may be texted, of `later`."""

    change: Change
    recipients: int
    parts: int
    credits: int
    message: str
    edits: tuple[Edit, ...] = ()
    characters: int | None = None
    sender: str | None = None
    at: str | None = None
    notices: Notices | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """A text, its recipients by class, and what they come to. renderer: that has rendered it for them. added: what of
    the text is there by rule, as a quote says it. lettered: the same recipients by the dear letters in their values,
    where these are to be told; the classes, unless given."""

    text: MergeText
    classes: Sequence[ValueClass]
    tariff: Tariff
    renderer: Renderer
    total: Price
    added: Sequence[Mapping[str, str]] = ()
    lettered: Sequence[ValueClass] | None = None

    @property
    def by_letters(self) -> Sequence[ValueClass]:
        """By their dear letters; none of too many."""
        found = self.classes if self.lettered is None else self.lettered
        letters = len(found) * max(len(variant.text) for variant in self.text.variants)
        return found if len(found) <= CLASSES_MAX and letters <= LETTERS_MAX else ()

    @property
    def footers(self) -> list[str]:
        """What stands behind each variant by rule."""
        behind = {one["language"]: f"\n{one['text']}" for one in self.added if one["what"] == What.WAY_OUT}
        return [behind.get(variant.language, "") for variant in self.text.variants]


def costly(case: Case) -> list[Costly]:
    """What costs more than it need, dearest first."""
    # Where the text is UCS-2 by itself an escape costs nothing.
    found = [_of_text(case, "ucs2" if _is_forced(case.text, _FIRST) else "two_septets"), *_of_values(case)]
    return sorted((one for one in found if one is not None), key=lambda one: -one.credits)[:SHOWN_MAX]


def _is_forced(text: MergeText, joined: str) -> bool:
    """Whether a text is UCS-2 whatever its values are."""
    return any(encoding_of(literal) is Encoding.UCS2 for literal in text.literals_for(joined))


def what_ifs(case: Case) -> list[WhatIf]:
    """What the text could come to."""
    plainly = _plain_text(case)
    return [one for one in (plainly, _no_accents(case, plainly), _shorter(case)) if one is not None]


def _plain_text(case: Case) -> WhatIf | None:
    edits = tuple(
        Edit(one.position, one.text, one.replacement)
        for one in case.text.dearer
        if one.reason == "ucs2" and one.replacement is not None and _stands(case.text.text, one.position, one.text)
    )
    if not edits:
        return None
    renderer, shown = Renderer(case.text.rewritten(plain)), edits if len(edits) <= EDITS_MAX else ()
    return _cheaper(case, renderer, "plain_text", "plain characters in the text", shown)


def _no_accents(case: Case, plainly: WhatIf | None) -> WhatIf | None:
    """Where it comes to less than plain characters in the text alone."""
    if Encoding.UCS2.name not in case.total.by_encoding or not case.by_letters:
        return None
    found = _cheaper(
        replace(case, classes=case.by_letters),
        Altered(case.text, plain),
        "no_accents",
        "plain characters in the text and names",
    )
    return None if found is None or (plainly is not None and found.credits >= plainly.credits) else found


def other_sender(case: Case, sender: str) -> WhatIf | None:
    """The same text by another sender; None where it cannot be sent so."""
    total = price(case.renderer, case.classes, case.tariff)
    if isinstance(total, Refusal):
        return None
    return WhatIf("other_sender", total.recipients, total.parts, total.credits, f"by {sender}", sender=sender)


def shorter_footer(case: Case, text: MergeText, added: Sequence[Mapping[str, str]], notices: Notices) -> WhatIf | None:
    """The text with these words by rule, which are fewer; None where that saves nothing. added: what of it is there by
    rule then."""
    words = dict.fromkeys(one["text"].strip() for one in added if one not in case.added)
    if not words:
        return None
    found = _cheaper(case, Renderer(text), "shorter_footer", f"with {_among([repr(word) for word in words])}")
    return None if found is None else replace(found, notices=notices)


def later(total: Price, at: str) -> WhatIf:
    """The same at an hour at which nobody has to wait: credits are those of the destination, at any hour."""
    return WhatIf("later", total.recipients, total.parts, total.credits, "at an hour that suits all of them", at=at)


def _stands(text: str, position: int, character: str) -> bool:
    """Whether it is in the text as it is written: a mark after a field is on the field's last character."""
    return text.startswith(character, position)


def _cheaper(
    case: Case,
    renderer: Renderer,
    change: Change,
    message: str,
    edits: tuple[Edit, ...] = (),
    characters: int | None = None,
) -> WhatIf | None:
    total = price(renderer, case.classes, case.tariff)
    if isinstance(total, Refusal) or total.credits >= case.total.credits:
        return None
    return WhatIf(change, total.recipients, total.parts, total.credits, message, edits, characters)


def _of_text(case: Case, reason: Reason) -> Costly | None:
    groups = (group for group in by_character(case.text.dearer) if group.reason == reason)
    characters = tuple(replace(group, positions=group.positions[:POSITIONS_SHOWN_MAX]) for group in groups)
    if not characters:
        return None
    total = price(Renderer(case.text.rewritten(_without(reason))), case.classes, case.tariff)
    if isinstance(total, Refusal) or total.credits >= case.total.credits:
        return None
    parts, credits = case.total.parts - total.parts, case.total.credits - total.credits
    recipients = sum(group.recipients for group in case.classes if case.text.variant_of(group.joined) == 0)
    message = f"{_listed(characters)} {'cost' if len(characters) > 1 else 'costs'} {_credits(credits)}"
    shown = characters[:CHARACTERS_SHOWN_MAX]
    return Costly("text", reason, shown, (), recipients, parts, credits, message)


def _without(reason: Reason) -> Callable[[str], str]:
    return _plain_or_left_out if reason == "ucs2" else _without_escapes


def _plain_or_left_out(text: str) -> str:
    return plain(text, leave_out=True)


def _without_escapes(text: str) -> str:
    return text.translate(_ESCAPED)


@dataclass(slots=True)
class _Paid:
    """What is paid for some characters in values: by whom, and of how many parts how many would do."""

    fields: dict[str, None] = field(default_factory=dict)
    recipients: int = 0
    parts: int = 0
    credits: int = 0
    changes: set[tuple[int, int]] = field(default_factory=set)


def _of_values(case: Case) -> list[Costly]:
    """By the characters that somebody's values bring together: whoever has two of them pays for both. Where the text is
    UCS-2 by itself, no value makes it so."""
    found: dict[tuple[str, ...], _Paid] = {}
    forced: dict[int, bool] = {}
    for group in case.by_letters:
        destination = case.tariff.destination(group.country)
        rendering = case.renderer.render(group.joined, destination.reference_bits)
        variant = case.text.variant_of(group.joined)
        if variant not in forced:
            forced[variant] = _is_forced(case.text, group.joined)
        if rendering.encoding is Encoding.GSM7 or rendering.parts == 1 or forced[variant]:
            continue
        saved = rendering.parts - _parts(_plain_or_left_out(rendering.text), destination.reference_bits)
        if saved <= 0:
            continue
        characters = tuple(sorted(one.text for one in _forcing(rendering.text)))
        paid = found.setdefault(characters, _Paid())
        paid.fields |= dict.fromkeys(_fields_with(case.text, group.joined, characters))
        paid.recipients += group.recipients
        paid.parts += saved * group.recipients
        paid.credits += saved * group.recipients * destination.credits_per_part
        paid.changes.add((rendering.parts, rendering.parts - saved))
    return [_costly(characters, paid) for characters, paid in found.items()]


def _parts(text: str, reference_bits: ReferenceBits) -> int:
    """One more than there can be for a text that is too long: some replacements are longer than what they replace."""
    try:
        return count_parts(text or " ", reference_bits)[1]
    except TextRefused:
        return PARTS_MAX + 1


def _forcing(text: str) -> list[DearerGroup]:
    return list(by_character(forcing_characters(text)))


def _fields_with(text: MergeText, joined: str, characters: Iterable[str]) -> list[str]:
    values = joined.split(SEPARATOR)[-len(text.fields) :] if text.fields else []
    named = zip(text.fields, values, strict=True)
    return [name for name, value in named if any(character in value for character in characters)]


def _costly(characters: tuple[str, ...], paid: _Paid) -> Costly:
    # Where they stand is another place in each value.
    groups = tuple(replace(group, positions=()) for character in characters for group in _forcing(character))
    where = f" in {_among(list(paid.fields))}" if paid.fields else ""
    make = "make" if len(characters) > 1 else "makes"
    if len(paid.changes) == 1:
        [(now, then)] = paid.changes
        what = f"{make} {_people(paid.recipients)} cost {now} parts and not {then}: {_credits(paid.credits)}"
    else:
        what = f"{make} {_people(paid.recipients)} cost more: {_credits(paid.credits)}"
    message = f"{_listed(groups)}{where} {what}"
    shown = groups[:CHARACTERS_SHOWN_MAX]
    return Costly("values", "ucs2", shown, tuple(paid.fields), paid.recipients, paid.parts, paid.credits, message)


def _shorter(case: Case) -> WhatIf | None:
    """As many characters fewer, of those that somebody wrote, as take a part off at least half of the recipients who
    could have one less."""
    over: Counter[int] = Counter()
    for group in case.classes:
        bits = case.tariff.destination(group.country).reference_bits
        rendering = case.renderer.render(group.joined, bits)
        if rendering.parts > 1:
            over[units_over(segment(rendering.text, bits), bits)] += group.recipients
    fewer = _middle(over)
    written = sum(map(len, case.text.literals_for(_FIRST))) - len(case.footers[0])
    if fewer is None or fewer * _SHORTER_SHARE > written:
        return None
    message = f"{fewer} {'character' if fewer == 1 else 'characters'} fewer"
    return _cheaper(case, Shortened(case.text, case.footers, fewer), "shorter", message, characters=fewer)


def _middle(over: Mapping[int, int]) -> int | None:
    """The least that is enough for half of them."""
    left = sum(over.values()) / 2
    for units in sorted(over):
        left -= over[units]
        if left <= 0:
            return units
    return None


def _listed(groups: Sequence[DearerGroup]) -> str:
    return _among([_shown(group) for group in groups])


def _among(words: Sequence[str]) -> str:
    more = len(words) - _NAMED_MAX
    shown = list(words) if more <= 1 else [*words[:_NAMED_MAX], f"{more} others"]
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def _shown(group: DearerGroup) -> str:
    """A character that can be seen; the name of another."""
    return group.text if group.text.isprintable() and not group.text.isspace() else group.name


def _people(recipients: int) -> str:
    return "1 person" if recipients == 1 else f"{recipients:,} people"


def _credits(credits: int) -> str:
    return "1 credit" if credits == 1 else f"{credits:,} credits"
