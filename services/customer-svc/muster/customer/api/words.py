"""A word on consent as the API takes it: of a customer, or to lift a suppression."""

from typing import Annotated, Literal

from pydantic import Field

from muster.customer.domain.consent import (
    ADDRESS_CHARACTERS_MAX,
    HOW_CHARACTERS_MAX,
    WORDING_CHARACTERS_MAX,
    Source,
    Word,
)
from muster.customer.domain.customers import NAME_CHARACTERS_MAX, Consent
from muster.kit import clock
from muster.kit.http import Model, Moment
from muster.text.merge import clean_value

Wording = Annotated[str, Field(max_length=WORDING_CHARACTERS_MAX, description="the words that were agreed to or said")]


class EvidenceIn(Model):
    """When, how, in which words, by whom and from where a word was given."""

    at: Annotated[Moment | None, Field(description="when it was given; now unless said")] = None
    how: Annotated[str, Field(max_length=HOW_CHARACTERS_MAX, description="such as: at the desk, web form")] = ""
    wording: Wording = ""
    given_by: Annotated[
        str, Field(max_length=NAME_CHARACTERS_MAX, description="who gave it, where that is not the customer")
    ] = ""
    address: Annotated[
        str, Field(max_length=ADDRESS_CHARACTERS_MAX, description="IP, e-mail address or number it came from")
    ] = ""
    source: Annotated[
        Literal["person", "form", "reply", "link", "complaint", "api"],
        Field(description="person: said to somebody of the business; form: typed by the customer themselves"),
    ] = "api"

    def word(self, kind: Consent) -> Word:
        """The word of this kind."""
        return Word(
            kind,
            self.at or clock.now(),
            clean_value(self.how),
            clean_value(self.wording),
            clean_value(self.given_by),
            clean_value(self.address),
            Source(self.source),
        )
