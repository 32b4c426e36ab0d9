"""What erasing a person means: on which grounds, within which time, and how what has no id of theirs is told to be
about them."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

WITHIN: Final = timedelta(hours=1)
"""What is promised for every database, outbox and dead letter; topics forget by themselves, within three days."""

HOLDERS: Final = ("dispatch", "reply", "report")
"""The other services that hold what a person was sent or wrote; each confirms."""

_NOT_DIGITS: Final = re.compile(r"\D+")
# So many digits at the end of a number tell it from any other of the same country, however it is written.
_TAIL: Final = 8
_NAME_LETTERS_MIN: Final = 2


class Ground(StrEnum):
    """Why a person is erased; none is in anybody's own words, which might name them."""

    ASKED = "asked"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    NO_LONGER_NEEDED = "no_longer_needed"
    OBJECTED = "objected"
    UNLAWFUL = "unlawful"
    LEGAL_DUTY = "legal_duty"


@dataclass(frozen=True, slots=True)
class Traces:
    """What a person is found by where no id is: digits of their numbers, and their names."""

    numbers: tuple[int, ...] = ()
    first_name: str = ""
    last_name: str = ""

    def as_json(self) -> dict[str, Any]:
        """As it is stored until the person is gone."""
        return {"numbers": list(self.numbers), "first_name": self.first_name, "last_name": self.last_name}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "Traces":
        """What `as_json` wrote."""
        return cls(tuple(plain["numbers"]), plain["first_name"], plain["last_name"])

    @property
    def tails(self) -> tuple[str, ...]:
        """The ends of their numbers."""
        return tuple(str(number)[-_TAIL:] for number in self.numbers if number >= 10 ** (_TAIL - 1))

    @property
    def names(self) -> tuple[str, str] | None:
        """Both names, folded; None where one of them is none."""
        both = (self.first_name.casefold().strip(), self.last_name.casefold().strip())
        return both if all(len(name) >= _NAME_LETTERS_MIN for name in both) else None

    def in_text(self, text: str) -> bool:
        """Whether it holds one of the numbers, however it is written."""
        digits = _NOT_DIGITS.sub("", text)
        return any(tail in digits for tail in self.tails)

    def in_cells(self, cells: Iterable[str]) -> bool:
        """Whether a row of a file is about them: a number in a cell, or both names in cells."""
        row = list(cells)
        folded = {cell.casefold().strip() for cell in row}
        named = self.names is not None and (set(self.names) <= folded or " ".join(self.names) in folded)
        return named or any(self.in_text(cell) for cell in row)


@dataclass(frozen=True, slots=True)
class Frozen:
    """The recipients of a chunk of a plan, a list for each column; `joined` None where the text has no fields."""

    customer_ids: list[int]
    numbers: list[int]
    hashes: list[bytes]
    joined: list[str] | None


def without(frozen: Frozen, customer_ids: Collection[int], hashes: Collection[bytes]) -> Frozen | None:
    """The same without number, id and merge values of these people; None where none of them is in it any more."""
    people = zip(frozen.customer_ids, frozen.hashes, frozen.numbers, strict=True)
    places = {at for at, (one, own, number) in enumerate(people) if number and (one in customer_ids or own in hashes)}
    if not places:
        return None
    return Frozen(
        [0 if at in places else one for at, one in enumerate(frozen.customer_ids)],
        [0 if at in places else one for at, one in enumerate(frozen.numbers)],
        frozen.hashes,
        None if frozen.joined is None else ["" if at in places else one for at, one in enumerate(frozen.joined)],
    )
