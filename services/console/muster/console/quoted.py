"""A quote as people see it: messages by part with what is dear in them, advice, who is left out."""

from typing import Any

from muster.console.client import Json
from muster.text import Encoding, TextRefused, segment

_EXTENSION = frozenset("^{}\\[~]|€\f")


def shown(quote: Json, *, is_empty: bool = False, is_bill: bool = False) -> dict[str, Any]:
    """What the figures of a quote are drawn from. `phones`: examples as a phone shows them, by part, marked."""
    dear = frozenset(one["text"] for one in quote["dearer"])
    examples = [one for one in (quote.get("shortest"), quote.get("dearest")) if one]
    if len(examples) == 2 and examples[0]["text"] == examples[1]["text"]:
        examples.pop()
    phones = [] if is_empty else [(one, [marked(part, dear) for part in cut(one["text"])]) for one in examples]
    advice = quote.get("advice") or {}
    return {
        "quote": quote,
        "seen": is_seen,
        "is_empty": is_empty,
        "is_bill": is_bill,
        "phones": phones,
        "costly": [] if is_empty else advice.get("costly", []),
        "plain": next((one for one in advice.get("what_if", []) if one["change"] == "plain_text"), None),
        "left_out": [(reason, count) for reason, count in quote["left_out"].items() if count],
    }


def is_seen(text: str) -> bool:
    """Whether anything of it can be seen where it stands alone; a space without a break cannot."""
    return any(one.isprintable() and not one.isspace() for one in text)


def cut(text: str) -> list[str]:
    """A message as its parts; a sign that a phone joins (a family, a flag) may be cut as the network cuts it."""
    try:
        found = segment(text)
    except TextRefused:
        return [text] if text else []
    parts: list[str] = []
    rest = iter(text)
    for units in found.parts:
        part, left = "", units
        while left > 0:
            character = next(rest)
            part, left = part + character, left - _units(character, found.encoding)
        parts.append(part)
    return parts


def _units(character: str, encoding: Encoding) -> int:
    if encoding is Encoding.GSM7:
        return 2 if character in _EXTENSION else 1
    return 2 if ord(character) > 0xFFFF else 1


def marked(text: str, dear: frozenset[str]) -> list[tuple[str, bool]]:
    """A text as runs, each with whether its characters cost extra."""
    runs: list[tuple[str, bool]] = []
    for character in text:
        is_dear = character in dear
        if runs and runs[-1][1] == is_dear:
            runs[-1] = (runs[-1][0] + character, is_dear)
        else:
            runs.append((character, is_dear))
    return runs
