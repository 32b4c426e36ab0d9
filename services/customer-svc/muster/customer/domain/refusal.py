"""Why something was not taken."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Refusal:
    """A "no" that names the input at fault. `message` is for the person who gave it and repeats no personal data.

    more: figures that go with it, by name.
    """

    field: str
    code: str
    message: str
    more: Mapping[str, Any] = dataclasses.field(default_factory=dict)
