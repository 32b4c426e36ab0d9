"""Recipients whose messages cost the same, put together whatever the rest of the text is: what a field says of a value
counts, not the value, so that days and numbers of a length are one too.

A name of n letters of the basic alphabet costs what any other does. One with other letters makes its message UCS-2 and
costs what any other of as many does, wherever in it they stand; who is told what could be cheaper is told which they
are. What a part could end in the middle of, as an escape or a pair, stays as it is.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from muster.customer.domain.merge_text import SEPARATOR, MergeText
from muster.customer.domain.pricing import ValueClass
from muster.text.alphabet import BASIC_CHARACTERS, EXTENSION_CHARACTERS

_BASIC: Final = re.escape("".join(sorted(BASIC_CHARACTERS)))
_ALL_BASIC: Final = re.compile(f"[{_BASIC}]*")
_NOT_BASIC: Final = re.compile(f"[^{_BASIC}]")
# Marks that are one with the letter before them, and what takes two units or septets.
_AS_IT_IS: Final = re.compile(f"[\u0300-\u036f\U00010000-\U0010ffff{re.escape(''.join(sorted(EXTENSION_CHARACTERS)))}]")
_PLAIN: Final = "a"
_DEAR: Final = "\u0100"


@dataclass(frozen=True, slots=True)
class Fewer:
    """Classes put together. alike: by which letters of their values are dear; priced: by what they cost alone."""

    alike: Sequence[ValueClass]
    priced: Sequence[ValueClass]


def fewer(text: MergeText, classes: Iterable[ValueClass]) -> Fewer:
    """The same recipients in fewer classes, for this text whatever stands between its fields."""
    values = _Values(text)
    alike = _together((group, values.alike(group.joined)) for group in classes)
    return Fewer(alike, _together((group, values.priced(group.joined)) for group in alike))


def _together(groups: Iterable[tuple[ValueClass, str]]) -> list[ValueClass]:
    counts: Counter[tuple[str, str]] = Counter()
    one_of: dict[tuple[str, str], int] = {}
    for group, joined in groups:
        key = group.country, joined
        counts[key] += group.recipients
        one_of.setdefault(key, group.customer_id)
    return [ValueClass(*key, recipients, one_of[key]) for key, recipients in counts.items()]


class _Values:
    """What was found of the values of one text, each once."""

    def __init__(self, text: MergeText) -> None:
        self._text = text
        self._several = len(text.variants) > 1
        self._known: dict[tuple[int, int, str], str] = {}

    def alike(self, joined: str) -> str:
        """Merge values that cost what these do, with the same dear letters."""
        if not self._text.personal:
            return joined
        values = joined.split(SEPARATOR)
        which = [values.pop(0)] if self._several else []
        variant = int(which[0]) if which else 0
        return SEPARATOR.join([*which, *(self._value(variant, at, value) for at, value in enumerate(values))])

    def priced(self, joined: str) -> str:
        """Merge values that cost what these do, which `alike` gave."""
        return SEPARATOR.join(map(_priced, joined.split(SEPARATOR)))

    def _value(self, variant: int, at: int, value: str) -> str:
        key = variant, at, value
        known = self._known.get(key)
        if known is None:
            said = self._text.said(variant, at, value)
            like = value if said is None else _alike(said)
            # It must be read as what it stands for is.
            same = like is not None and self._text.said(variant, at, like) == like
            known = self._known[key] = like if same and like is not None else value
        return known


def _alike(said: str) -> str | None:
    if _ALL_BASIC.fullmatch(said) is not None:
        return _PLAIN * len(said)
    dear = sorted(_NOT_BASIC.findall(said))
    if _AS_IT_IS.search(said) is not None or any(map(str.isspace, dear)):
        return None
    return "".join(dear) + _PLAIN * (len(said) - len(dear))


_CANONICAL: Final = re.compile(f"[^{_BASIC}]+{_PLAIN}*")


def _priced(value: str) -> str:
    """Of a value with dear letters in front, as `_alike` writes it."""
    if _CANONICAL.fullmatch(value) is None or _AS_IT_IS.search(value) is not None or not value.isprintable():
        return value
    return _DEAR + _PLAIN * (len(value) - 1)
