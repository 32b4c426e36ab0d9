"""A gatherer as the API process has one."""

from functools import partial
from typing import Any

from muster.customer.domain.links import Links
from muster.customer.domain.notices import WORDS
from muster.customer.gatherer import Gatherer
from muster.customer.handlers import messages
from muster.kit.pg import Database

KEY = "00" * 32
LINK_URL = "https://muster.example"
SECRETS = messages.Secrets(bytes.fromhex(KEY), 1, bytes.fromhex(KEY), LINK_URL)
LINKS = Links(SECRETS.bulk_id_key)


def plain(text: str) -> str:
    """What was written of a marketing message of the salon, without what it says by rule."""
    text = text.removeprefix("Salon: ")
    ends = (f"\n{words.reply}" for words in WORDS.values())
    return next((text.removesuffix(end) for end in ends if text.endswith(end)), text)


def gatherer_of(db: Database, take: Any = messages.take, waiting_max: int = 1_000) -> Gatherer:
    return Gatherer(
        db, partial(take, secrets=SECRETS), wait_ms=1, wait_ms_max=50, group_max=500, waiting_max=waiting_max
    )
