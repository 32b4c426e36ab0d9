"""Magic numbers: of a range that is reserved for fiction, so that nobody can ever be texted by one.

+44 7700 900000 to +44 7700 900999 are set aside by Ofcom for drama. No numbering plan knows them, so they are refused
like any number that does not exist, but by a sandbox, where each does what docs/sandbox.md says of it.
"""

import re
from typing import Final

FIRST: Final = 447_700_900_000
LAST: Final = 447_700_900_999

_SEPARATORS: Final = re.compile(r"[\s.()\-]+")
_ABROAD: Final = re.compile(r"(?:\+|00)44(?:0)?(7700900[0-9]{3})")
_AT_HOME: Final = re.compile(r"0?(7700900[0-9]{3})")


def read_magic(written: str, country: str) -> int | None:
    """The digits of the magic number that `written` means to someone in `country`; None where it is none."""
    digits = _SEPARATORS.sub("", written)
    found = _ABROAD.fullmatch(digits) or (_AT_HOME.fullmatch(digits) if country == "GB" else None)
    if len(digits) == len(str(FIRST)) and digits.isascii() and digits.isdigit() and FIRST <= int(digits) <= LAST:
        return int(digits)
    return int("44" + found[1]) if found is not None else None


def is_magic(number: int) -> bool:
    """Whether the digits of a number in E.164 are those of a magic one."""
    return FIRST <= number <= LAST
