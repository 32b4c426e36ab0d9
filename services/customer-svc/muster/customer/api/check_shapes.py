"""Checks of a send by the laws of its recipients' countries, as the API shows and takes them."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from muster.customer.domain.gate import REASON_CHARACTERS_MAX, Override
from muster.kit.http import Model

OVERRIDES_MAX = 100
CheckWord = Literal["consent", "opt_out", "identity", "way_out", "contact", "registration", "hours", "class"]
Country = Annotated[str, Field(pattern="^[A-Z]{2}$")]


class CheckOut(Model):
    """What one rule of a country says of a send. `blocked`: it is not sent unless an admin overrides the check;
    `absolute`: nobody may, it is the recipients' own right; `found`: what in the text it goes by."""

    check: CheckWord
    country: str
    status: Literal["passed", "warning", "blocked"]
    message: str
    source: str
    recipients: int
    absolute: bool
    found: tuple[str, ...] = ()


class OverrideIn(Model):
    """A check that blocks a send, overridden by an admin. The reason is signed and kept: it names nobody."""

    check: CheckWord
    country: Country
    reason: Annotated[str, Field(min_length=1, max_length=REASON_CHARACTERS_MAX)]

    def override(self) -> Override:
        """As the domain knows it."""
        return Override(self.check, self.country, self.reason)


class SignedChecksOut(Model):
    """The checks of a send as they were signed when it was confirmed. `intact`: what is kept now is what was signed;
    `text`: whether the text that is kept is the one that was checked, null where it is erased."""

    bulk_id: UUID
    signed: dict[str, Any]
    signature: str
    public_key: str
    how: str
    intact: bool
    text: bool | None


class SignedChecksIn(Model):
    """A copy of signed checks, to be verified."""

    signed: Annotated[dict[str, Any], Field(max_length=50)]
    signature: Annotated[str, Field(pattern="^[0-9a-f]{128}$")]


class VerifiedOut(Model):
    """`valid`: the signature is ours, and of this; `kept`: it is what is kept with the send."""

    valid: bool
    kept: bool
