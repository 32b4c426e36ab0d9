"""A carrier account: what is agreed with a carrier, and how it is spoken to."""

from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Smpp:
    """The profile of an SMPP account."""

    host: str
    port: int
    system_id: str
    system_type: str = ""
    tls: bool = False
    response_timeout_s: float = 20.0
    enquire_link_s: float = 30.0


# What a kind of account is described by; a new kind adds its own.
Options: TypeAlias = Smpp


@dataclass(frozen=True, slots=True)
class Account:
    """One account as its sender has adopted it. `window`: parts unanswered at once; `parts_per_second` 0: as fast as
    the carrier answers."""

    name: str
    kind: str
    options: Options
    secret: str = field(default="", repr=False)
    window: int = 1000
    parts_per_second: int = 0
    reference_bits: int = 8
