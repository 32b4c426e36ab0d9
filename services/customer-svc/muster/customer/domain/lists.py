"""Lists of customers: their names."""

import re
from enum import StrEnum
from typing import Final

from muster.customer.domain.refusal import Refusal
from muster.text.merge import clean_value

NAME_CHARACTERS_MAX: Final = 100
_IS_A_PATH: Final = re.compile(r"uploads(/.*)?|.*/members(/remove)?", re.IGNORECASE | re.DOTALL)
_QUOTATION_MARKS: Final = frozenset('"“”')


class ListKind(StrEnum):
    """kept: by people; upload: those of a file of numbers or keys."""

    KEPT = "kept"
    UPLOAD = "upload"


def read_name(written: str, field: str = "name") -> str | Refusal:
    """The name of a list as it is kept; names that differ in capitals only are one. A query writes it in quotation
    marks, so that it has none itself."""
    name = clean_value(written)
    if not name:
        return Refusal(field, "empty", "A list needs a name.")
    if len(name) > NAME_CHARACTERS_MAX:
        return Refusal(field, "too_long", f"The name of a list has at most {NAME_CHARACTERS_MAX} characters.")
    if _IS_A_PATH.fullmatch(name):
        told = "A list is not called uploads, and its name does not end with /members: the API calls other things so."
        return Refusal(field, "reserved_name", told)
    if not _QUOTATION_MARKS.isdisjoint(name):
        return Refusal(field, "quotation_mark", "The name of a list has no quotation marks.")
    return name
