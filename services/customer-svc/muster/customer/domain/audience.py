"""Who is asked for, and why some of them are left out."""

from dataclasses import dataclass
from enum import IntEnum
from uuid import UUID


class Reason(IntEnum):
    """Why a customer of the audience is not texted; the first that holds counts. The numbers are stored.

    NOT_ALLOWED: all numbers are of countries that the business does not send to. UNDELIVERABLE: the number failed for
    good in one send after the other.
    """

    NONE = 0
    JOINED_LATER = 1
    NO_CONSENT = 2
    NOT_TEXTABLE = 3
    OPTED_OUT = 4
    MISSING_FIELD = 5
    DUPLICATE_NUMBER = 6
    OUTSIDE_HOURS = 7
    NOT_ALLOWED = 8
    UNDELIVERABLE = 9

    @property
    def word(self) -> str:
        """The reason as the API writes it."""
        return self.name.lower()


LEFT_OUT = tuple(reason for reason in Reason if reason)


@dataclass(frozen=True, slots=True)
class Again:
    """Those who did not get a send; `failed`: also those of whom a receipt says so."""

    bulk_id: UUID
    failed: bool


@dataclass(frozen=True, slots=True)
class Audience:
    """The customers that a send is for: all, or those that fit each rule given."""

    tag: str | None = None
    search: str | None = None
    customer_ids: tuple[int, ...] | None = None
    again: Again | None = None


def left_out_by_word(counts: dict[Reason, int]) -> dict[str, int]:
    """Each reason with its count, zeros too, so that a reader sees what was looked at."""
    return {reason.word: counts.get(reason, 0) for reason in LEFT_OUT}
