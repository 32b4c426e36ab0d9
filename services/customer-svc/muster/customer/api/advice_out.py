"""What a quote advises, as it is answered."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from muster.customer.api.notices import NoticesIn
from muster.kit.http import Model


class EditOut(Model):
    """A replacement that is offered and never made unasked: at this character of the text (from 0), `new` in place of
    `old`."""

    position: int
    old: str
    new: str


class CharacterOut(Model):
    """A character that costs more, the first 50 places where it stands in the text (from 0), and what could stand there
    (null: nothing says the same; "": it can be left out)."""

    text: str
    name: str
    reason: str
    replacement: str | None
    positions: list[int]


class CostlyOut(Model):
    """Characters that cost more together, the first 100 of them: parts and credits are what these recipients would pay
    less if each were replaced, or left out where nothing says the same. where: in the text itself, or in values of
    merge fields (which: `fields`). reason: `ucs2`, they turn the message into UCS-2; `two_septets`, each takes the room
    of two."""

    where: Literal["text", "values"]
    reason: str
    characters: list[CharacterOut]
    fields: list[str]
    recipients: int
    parts: int
    credits: int
    message: str


class WhatIfOut(Model):
    """What the same recipients would come to, exactly. `plain_text`: with `edits` made (none are told where there are
    more than 1,000); `no_accents`: as if names had plain characters too; `shorter`: without the last so many
    `characters` of what was written; `shorter_footer`: with these `notices` (`PUT /v1/notices`), which are fewer words;
    `other_sender`: by this one; `later`: at this hour, when nobody has to wait."""

    change: Literal["plain_text", "no_accents", "shorter", "shorter_footer", "other_sender", "later"]
    recipients: int
    parts: int
    credits: int
    message: str
    edits: list[EditOut] = Field(default_factory=list)
    characters: int | None = None
    sender: str | None = None
    at: datetime | None = None
    notices: NoticesIn | None = None


class AdviceOut(Model):
    """What makes the send dearer than it need be, dearest first (the first 20), and what could be done about it."""

    costly: list[CostlyOut]
    what_if: list[WhatIfOut]
