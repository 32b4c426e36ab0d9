"""What a quote advises, for people."""

from collections.abc import Mapping
from typing import Any, Final

from muster.client.commands.output import show_rows

_EDITS_SHOWN_MAX: Final = 5
_COLUMNS: Final = ("what costs more", "write instead")
_WHAT_IF: Final = ("what if", "parts", "credits", "how")
_EXAMPLES: Final = ("message", "for", "parts", "credits", "text")


def show_examples(quote: Mapping[str, Any]) -> None:
    """The shortest and the dearest message as those read it who get it; one line where that is the same person's."""
    found = {which: quote.get(which) for which in ("shortest", "dearest")}
    if found["shortest"] == found["dearest"]:
        found = {"both": found["shortest"]}
    rows = [(which, _who(one), one["parts"], one["credits"], one["text"]) for which, one in found.items() if one]
    if rows:
        show_rows([dict(zip(_EXAMPLES, row, strict=True)) for row in rows], _EXAMPLES, as_json=False)


def _who(example: Mapping[str, Any]) -> str:
    return f"{example['name']} ({example['customer_id']}, {example['country']})".strip()


def show_advice(advice: Mapping[str, Any] | None) -> None:
    """What makes a send dearer, and what it would come to otherwise. Nothing where there is nothing to say."""
    costly, what_if = (advice or {}).get("costly"), (advice or {}).get("what_if")
    if costly:
        rows = [dict(zip(_COLUMNS, (one["message"], _instead(one)), strict=True)) for one in costly]
        show_rows(rows, _COLUMNS, as_json=False)
    if what_if:
        show_rows([_row(one) for one in what_if], _WHAT_IF, as_json=False)


def _row(what: Mapping[str, Any]) -> dict[str, Any]:
    return dict(zip(_WHAT_IF, (what["message"], what["parts"], what["credits"], _how(what)), strict=True))


def _instead(costly: Mapping[str, Any]) -> str:
    """Of each character that something says the same as, what."""
    known = [(one["text"], one["replacement"]) for one in costly["characters"] if one["replacement"] is not None]
    return ", ".join(f"{old} \N{RIGHTWARDS ARROW} {new or 'nothing'}" for old, new in known)


def _how(what: Mapping[str, Any]) -> str:
    if what["at"] is not None:
        return f"at {what['at']}"
    edits = what["edits"]
    shown = [
        f"{one['position'] + 1}: {one['old']} \N{RIGHTWARDS ARROW} {one['new']}" for one in edits[:_EDITS_SHOWN_MAX]
    ]
    more = len(edits) - len(shown)
    return ", ".join([*shown, f"and {more} more"] if more else shown)
