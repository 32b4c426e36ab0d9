"""What the cells of a row say on consent: a tick, a kind of it, or both."""

from dataclasses import dataclass
from typing import Final

from muster.customer.domain.customers import Consent, settle_consent
from muster.customer.domain.import_options import Statement

_YES: Final = frozenset(
    ["yes", "y", "true", "t", "1", "x", "on", "allow", "allowed", "ok", "✓", "✔", "ja", "oui", "si", "sí"]
)
_NO: Final = frozenset(["no", "n", "false", "f", "0", "off", "deny", "denied", "-", "nein", "non"])
_CONSENTS: Final = {
    **{kind.value: kind for kind in Consent},
    "explicit": Consent.EXPRESS,
    "opt-in": Consent.EXPRESS,
    "opted in": Consent.EXPRESS,
    "implied": Consent.INFERRED,
    "no": Consent.NONE,
    "opt-out": Consent.WITHDRAWN,
    "opted out": Consent.WITHDRAWN,
    "unsubscribed": Consent.WITHDRAWN,
}


@dataclass(frozen=True, slots=True)
class Said:
    """given: there is a word on consent at all; weaker: it counts as less than is written; wrong: field, code and
    message of each cell that says nothing that is known."""

    allow: bool | None
    consent: Consent
    given: bool
    weaker: bool = False
    wrong: tuple[tuple[str, str, str], ...] = ()


def read_consent(allow_cell: str, kind_cell: str, stated: Statement | None) -> Said:
    """What both cells together say. Where the importer has stated of what kind the file's consent is, it is of that
    kind for those who allow it."""
    written_allow, written_kind = allow_cell.strip().lower(), kind_cell.strip().lower()
    wrong = []
    allow = True if written_allow in _YES else False if written_allow in _NO else None
    if written_allow and allow is None:
        wrong.append(("allow_bulk_sms", "not_yes_or_no", "Write yes, no, or leave it blank."))
    kind = _CONSENTS.get(written_kind)
    if written_kind and kind is None:
        message = "Write express, inferred, none or withdrawn, or leave it blank."
        wrong.append(("consent", "unknown_consent", message))
    # Without wording and source it is no more than a tick is, which claims no evidence.
    weaker = kind is Consent.EXPRESS and (stated is None or stated.kind is not kind)
    if weaker:
        kind = Consent.INFERRED
    if allow and kind is None and stated is not None:
        kind = stated.kind
    settled = settle_consent(allow_bulk_sms=allow, consent=kind)
    return Said(*settled, given=bool(written_allow or written_kind), weaker=weaker, wrong=tuple(wrong))
