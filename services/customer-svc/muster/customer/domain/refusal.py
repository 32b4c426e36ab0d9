"""Why something was not taken."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refusal:
    """A "no" that names the input at fault. `message` is for the person who gave it and repeats no personal data."""

    field: str
    code: str
    message: str
