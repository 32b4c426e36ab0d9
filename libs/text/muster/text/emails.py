"""E-mail addresses: those that can stand in a header as they are."""

import re
from typing import Final

EMAIL_CHARS_MAX: Final = 254
# Nothing that a header could be made of (CR, LF, NUL, encoded words), no comments, no quoted local parts, no two dots.
EMAIL: Final = (
    r"[A-Za-z0-9!#$%&'*+/=^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=^_`{|}~-]+)*"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}"
)
_EMAIL: Final = re.compile(EMAIL)
_LOCAL_CHARS_MAX: Final = 64


def is_email(text: str) -> bool:
    """Whether a text is an address such as reception@salon.example."""
    return len(text) <= EMAIL_CHARS_MAX and text.find("@") <= _LOCAL_CHARS_MAX and bool(_EMAIL.fullmatch(text))
