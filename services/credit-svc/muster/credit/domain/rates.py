"""What a part costs, by country and date. Pure."""

from dataclasses import dataclass
from datetime import datetime

ANY_COUNTRY = "*"


@dataclass(frozen=True, slots=True)
class Rate:
    """Credits for one part to a country (ISO 3166-1 alpha-2, or ANY_COUNTRY for those without one of their own)."""

    country: str
    version: int
    credits_per_part: int
    valid_from: datetime
