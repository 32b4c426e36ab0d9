"""What a text says, as far as it matters to the law: whom it is from, how to get no more, and whether it promotes."""

import re
import unicodedata
from typing import Final

_LINK: Final = re.compile(
    # Of an address without a scheme the last labels are enough: without a bound "a.a.a…" takes a minute.
    r"https?://\S+|\bwww\.\S+|\b[a-z0-9][a-z0-9-]{0,62}(?:\.[a-z0-9-]{1,63}){0,8}"
    r"\.(?:com|net|org|info|biz|co|io|app|shop|store|link|ly|me|au|nz|uk|us|ca|ie|de|fr|eu)\b(?!@)(?:/\S*)?",
    re.IGNORECASE,
)
_WAY_OUT: Final = re.compile(
    # A way is named: to answer with a word, or a word for getting out.
    r"\b(?:reply|txt|text|send|sms|answer|respond)\b.{0,20}?\b(?:stop|end|quit|cancel|optout|out|no|unsub(?:scribe)?)\b"
    r"|\bSTOP\b(?=.{0,10}\b(?:to|2)\b)|\bstop\s*(?:=|to)\s*(?:end|opt|unsub|leave|quit)"
    r"|\bopt[\s-]?out\b|\bunsub(?:scribe)?\b|\boptout\b"
    # In German, French, Italian, Dutch, Spanish and Portuguese.
    r"|\b(?:abmeld|abbestell|d[eé]sabonn|d[eé]sinscri|disiscri|disdir|afmeld|uitschrij|descadastr)\w*"
    r"|\b(?:dar(?:se|me|te)?\s+de\s+baja|af\s+te\s+melden|cancelar\s+(?:a\s+)?(?:inscri|subscri|suscri)\w+)"
    r"|\b(?-i:STOP)\s+(?:para|pour|per|om|zum|au)\b|\b(?:responda|env[ií][ae]|r[eé]pondez|rispondi|antwoord)\s+(?-i:STOP)\b",
    re.IGNORECASE,
)
_STOP: Final = re.compile(r"\bSTOP\b")
_PROMOTION: Final = re.compile(
    r"\b\d{1,3}\s?%(?:\s?off)?|[$£€]\s?\d+(?:[.,]\d+)?\s?off\b"
    r"|\b(?:special\s+offer|offers?|discount(?:s|ed)?|sale|save\s+(?:up\s+to\s+)?[$£€]?\d+|promo(?:tion|code|\s+code)?"
    r"|voucher|coupon|half\s+price|free\s+(?!(?:at|on|to|from|of|for|until|till|between|now|again|in|and|or)\b)\w+|buy\s+(?:one|now|1)|deals?|limited\s+time|book\s+now|order\s+now"
    r"|shop\s+now|gift\s+card|bargain|cashback)\b",
    re.IGNORECASE,
)


def has_link(text: str) -> bool:
    """Whether a text has an address that can be opened."""
    return _LINK.search(text) is not None


def offers_way_out(text: str) -> bool:
    """Whether a text says how to get no more of these."""
    return _WAY_OUT.search(text) is not None


def says_stop(text: str) -> bool:
    """Whether a text names the word that is read as an opt-out in every language."""
    return _STOP.search(text) is not None


def promotions(text: str) -> list[str]:
    """What in a text offers something, or leads somewhere, as it stands there, in order."""
    found = [*_LINK.finditer(text), *_PROMOTION.finditer(text)]
    return list(dict.fromkeys(one[0].strip() for one in sorted(found, key=lambda one: one.start())))


def names(business: str, text: str) -> bool:
    """Whether a text has the name of a business, however it is spaced, cased and accented; one without letters and
    digits as it is."""
    name = _letters(business)
    return name in _letters(text) if name else bool(business.strip()) and business.strip() in text


def _letters(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).casefold()
    return "".join(character for character in plain if character.isalnum())
