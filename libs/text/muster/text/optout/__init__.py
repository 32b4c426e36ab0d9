"""What a reply asks for: to be left alone, to be texted again, help, or none of these.

Free text is read as people write it, since "any reasonable wording" opts out (47 CFR 64.1200(a)(10)); negations are
understood; a
doubtful reply is UNCLEAR, so that a person decides while the number is paused. A wrong OPT_OUT costs a customer's
message, a
missed one breaks the law, hence the doubt falls on the side of not texting.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from muster.text.optout.rules import (
    ANSWERS,
    COURTESY,
    EVERYTHING,
    HELP,
    MARKETING,
    OBJECTS,
    OPT_IN,
    RULES,
    SPAM,
    STRONG,
    WEAK,
    Verdict,
)
from muster.text.optout.words import Words, read_words, squeeze

Scope = Literal["marketing", "all"]

_COMPACT_MAX: Final = 16  # letters of a keyword, spelled with blanks or points between them
# Phones send "Liked “…”" for a reaction, quoting our own opt-out wording.
_REACTION: Final = re.compile(
    r"\s*(?:liked|loved|disliked|laughed at|emphasi[sz]ed|questioned|reacted \S{1,8} to|removed an? [a-z ]{1,20} from)"
    r"\s+(?:[\"“„«‘']|an? (?:image|attachment|photo|video))",
    re.IGNORECASE,
)
_FOOTER: Final = re.compile(
    r"\b(?:reply|text|txt|send)\s+[\"'“‘]?(?:stop|end|quit|cancel|no)[\"'”’]?\s+(?:to|2)"
    r"\s+(?:opt[ -]?out|unsubscribe|end|stop|cancel|quit)\b",
    re.IGNORECASE,
)
# UNCLEAR outranks what only looks like an ordinary word of opting in; an opt-out outranks everything.
_PRECEDENCE: Final = (Verdict.OPT_OUT, Verdict.UNCLEAR, Verdict.OPT_IN, Verdict.HELP)


@dataclass(frozen=True, slots=True)
class Reading:
    """Verdict, the name of the rule that decided, and how far it reaches.

    scope: for OPT_OUT "all" when the words mean every message ("STOPALL", "never contact me"), else "marketing";
    "all" for OPT_IN
    (lifts whatever there is) and UNCLEAR (holds whatever there is); "marketing" without meaning for NONE and HELP.
    """

    verdict: Verdict
    rule: str
    scope: Scope


def read_reply(text: str) -> Reading:
    """Reads the first 1,000 characters of an inbound message. Total: any string has a reading."""
    if _REACTION.match(text[:64]):
        return _reading(Verdict.NONE, "reaction")
    words = read_words(_FOOTER.sub(" ", text[:1_000]) if len(text) > 40 else text)
    if not words.clauses:
        return _reading(Verdict.NONE, "empty")
    found = _by_compact(words) or _by_keywords(words.clauses) or _by_clauses(words)
    verdict, rule = found or (Verdict.NONE, "ordinary")
    return _reading(verdict, rule, words if verdict is Verdict.OPT_OUT else None)


_Found = tuple[Verdict, str]


def _reading(verdict: Verdict, rule: str, words: Words | None = None) -> Reading:
    if words is not None:
        return Reading(verdict, rule, _scope(words))
    return Reading(verdict, rule, "all" if verdict in {Verdict.OPT_IN, Verdict.UNCLEAR} else "marketing")


def _scope(words: Words) -> Scope:
    if MARKETING.search(words.plain):
        return "marketing"
    everything = words.compact == squeeze("stopall") or any(EVERYTHING.search(clause) for clause in words.clauses)
    return "all" if everything else "marketing"


def _by_compact(words: Words) -> _Found | None:
    """The whole message is one keyword, however it is spelled: "S.T.O.P", "un subscribe", "STOOOP"."""
    # YES is exact: "yesss" and "yes please" answer something else.
    if re.sub(r"[\W_]", "", words.plain) == "yes":
        return Verdict.OPT_IN, "keyword"
    if len(words.compact) > _COMPACT_MAX:
        return None
    if words.compact in STRONG | WEAK:
        return Verdict.OPT_OUT, "keyword"
    if words.compact in OPT_IN:
        return Verdict.OPT_IN, "keyword"
    return (Verdict.HELP, "keyword") if words.compact in HELP else None


def _by_keywords(clauses: Iterable[str]) -> _Found | None:
    """Nothing but keywords and courtesy: "Stop. Thank you"."""
    words = {word for clause in clauses for word in clause.split() if not word.isdigit()}
    rest = words - STRONG - WEAK - OPT_IN - HELP - COURTESY - ANSWERS - OBJECTS
    if rest:
        return None
    if words & (STRONG | WEAK):
        if words & OPT_IN:
            return Verdict.UNCLEAR, "contradiction"
        doubtful = not words & STRONG and bool(words & (ANSWERS | OBJECTS))
        return None if doubtful else (Verdict.OPT_OUT, "keyword")
    if words & (ANSWERS | OBJECTS):
        return None
    if words & OPT_IN:
        return Verdict.OPT_IN, "keyword"
    return (Verdict.HELP, "keyword") if words & HELP else None


def _by_clauses(words: Words) -> _Found | None:
    if {" dont ", " no dont "} & set(words.clauses) and any(STRONG & set(clause.split()) for clause in words.clauses):
        return Verdict.UNCLEAR, "contradiction"  # "Don't. Stop." is either
    found = [reading for clause in words.clauses if (reading := _by_clause(clause)) is not None]
    for verdict in _PRECEDENCE:
        for reading in found:
            if reading[0] is verdict:
                return reading
    if SPAM.search(words.plain):
        return Verdict.UNCLEAR, "spam"
    return found[0] if found else None


def _by_clause(clause: str) -> _Found | None:
    words = frozenset(clause.split())
    if words & STRONG and not words - STRONG - COURTESY - ANSWERS - OBJECTS:
        return Verdict.OPT_OUT, "keyword_sentence"
    for rule in RULES:
        if rule.pattern.search(clause):
            return rule.verdict, rule.name
    if words & WEAK and not words - WEAK - COURTESY - ANSWERS - OBJECTS:
        return Verdict.UNCLEAR, "weak_keyword_sentence"
    return None


__all__ = ["Reading", "Scope", "Verdict", "read_reply"]
