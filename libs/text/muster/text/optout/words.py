"""A reply as plain words: what a reader of SMS sees, without what typing, copying or disguise put into it."""

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

CHARACTERS_MAX: Final = 1_000
# NFKD makes up to 18 characters of one; the cut keeps reading linear in the limit above.
_NORMALISED_CHARACTERS_MAX: Final = 4 * CHARACTERS_MAX

# Letters of other scripts that look like Latin ones once case-folded and without marks.
_LOOKALIKES: Final = str.maketrans(
    {
        **dict(zip("авекмнорстухіѕјԛԝһԁөпь", "abekmhopctyxisjqwhdonb", strict=True)),
        **dict(zip("αβεικνορτυχηωγ", "abeikvoptuxnwy", strict=True)),
        **dict(zip("ɑɡıⅼ", "agil", strict=True)),
        "ø": "o",
        "ł": "l",
        "đ": "d",
        "æ": "ae",
        "œ": "oe",
    }
)
_LEET: Final = str.maketrans("013457$@|", "oleastsal")
_SIGNS: Final = str.maketrans({"🛑": " stop ", "’": "'", "‘": "'", "`": "'", "´": "'", "ʼ": "'", "＇": "'"})

_QUOTED_LINE: Final = re.compile(r"^[ \t]*>.*$", re.MULTILINE)
_SIGNATURE: Final = re.compile(
    r"^[ \t]*(?:sent (?:from|via)|get outlook for) [^\n]{0,60}$", re.MULTILINE | re.IGNORECASE
)
# Only a dash between two letters joins words; elsewhere it ends a clause, as other punctuation does.
_CLAUSE_END: Final = re.compile(r"[.!?;:,\n\r()\[\]\"“”«»/|–—…]+|(?<!\w)-|-(?!\w)|\bbut\b")
_WORD: Final = re.compile(r"[^\W_]+")
_LEET_WORD: Final = re.compile(r"[\w$@|]*[0-9$@|][\w$@|]*")

# How people write what the rules know under one name. Applied to " word word word ", in this order.
_PHRASES: Final = tuple(
    (re.compile(rf"\b(?:{written})\b"), meant)
    for written, meant in (
        (r"do not|dnt|don t", "dont"),
        (r"did not|didn t", "didnt"),
        (r"does not|doesn t", "doesnt"),
        (r"can not|cannot|can t", "cant"),
        (r"will not|won t", "wont"),
        (r"would not|wouldn t", "wouldnt"),
        (r"should not|shouldn t", "shouldnt"),
        (r"no longer", "nolonger"),
        (r"any more|any further", "anymore"),
        (r"no further|no anymore|nomore", "no more"),
        (r"stop all", "stopall"),
        (r"un subscribe[ds]?|de ?subscribe", "unsubscribe"),
        (r"opt(?:ed|ing)? (?:me |us |my number |this number )?out", "optout"),
        (r"opt(?:ed|ing)? (?:me |us )?(?:back )?in", "optin"),
        (r"at once|right (?:now|away)|from now on", "now"),
        (r"thank you|thank u|many thanks|thanks a lot", "thanks"),
    )
)
_MEANINGS: Final = {
    word: meant
    for meant, written in {
        "text": "texts txt txts texting txting texted message messages messaging messege messeges mesage"
        " mesages msg msgs msging"
        " sms smss smses mms spam spamming spams notification notifications alert alerts promo promos"
        " promotion promotions"
        " promotional offers ads adverts advertising advertisements advertisement newsletter newsletters marketing"
        " communications communication solicitations",
        "contact": "contacting contacted contacts",
        "bother": "bothering harass harassing annoying annoy pestering pester hassling disturbing disturb bugging",
        "send": "sending sends sned sendin",
        "you": "u ya yous yall",
        "your": "ur yr ure",
        "please": "pls plz plse pleas plees pleese ples plase",
        "thanks": "thx tnx ty thankyou ta cheers thanx thank",
        "want": "wanna wanting wish wishing care",
        "unsubscribe": "unsub unsubscribed unsubscribing unsubscription unsubscribes desubscribe unscribe unsubscibed",
        "optout": "optedout optingout",
        "optin": "optedin",
        "dont": "donot dnt dont",
        "cant": "cannot",
    }.items()
    for word in written.split()
}


def _misspellings(word: str) -> frozenset[str]:
    """One letter missing, or two neighbours changed about."""
    missing = {word[:i] + word[i + 1 :] for i in range(1, len(word))}
    swapped = {word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in range(len(word) - 1)}
    return frozenset(missing | swapped)


_DISGUISED: Final = frozenset({"stop", "stopal", "unsubscribe", "cancel", "optout", "quit"})


@dataclass(frozen=True, slots=True)
class Words:
    """clauses: each as " word word ", in canonical words. compact: all letters in one. plain: the text, folded."""

    plain: str
    compact: str
    clauses: tuple[str, ...]


def fold(text: str) -> str:
    """Case, compatibility forms, marks, invisible characters and lookalikes folded away."""
    decomposed = unicodedata.normalize("NFKD", text).casefold()[:_NORMALISED_CHARACTERS_MAX]
    kept = "".join(c for c in decomposed if unicodedata.category(c) not in {"Cf", "Mn", "Me", "Cs"})
    return kept.translate(_LOOKALIKES)


def squeeze(word: str) -> str:
    """Repeated letters as one: "stooop" is "stop". Rules and replies are both compared squeezed."""
    return re.sub(r"([a-z])\1+", r"\1", word)


_SQUEEZED_MEANINGS: Final = {
    squeeze(word): squeeze(meant)
    for word, meant in (_MEANINGS | dict.fromkeys(_misspellings("unsubscribe"), "unsubscribe")).items()
}


def read_words(text: str) -> Words:
    """The first 1,000 characters of a reply, as words. Linear in their number."""
    shown = _SIGNATURE.sub("", _QUOTED_LINE.sub("", text[:CHARACTERS_MAX].translate(_SIGNS)))
    plain = fold(shown).replace("'", "")
    plain = _LEET_WORD.sub(_unleet, plain)
    clauses = (_clause(part) for part in _CLAUSE_END.split(plain))
    compact = "".join(_WORD.findall(plain))
    return Words(plain, squeeze(compact), tuple(clause for clause in clauses if clause != "  "))


def _unleet(match: re.Match[str]) -> str:
    """Only where it makes a keyword: "st0p" is one, "3pm" is a time."""
    letters = match.group().translate(_LEET)
    return letters if squeeze(letters) in _DISGUISED else match.group()


def _clause(part: str) -> str:
    line = f" {' '.join(_WORD.findall(part))} "
    for written, meant in _PHRASES:
        line = written.sub(meant, line)
    words = [squeeze(word) for word in line.split()]
    return f" {' '.join(_SQUEEZED_MEANINGS.get(word, word) for word in words)} "
