"""What the law wants said in each marketing message, and is added where its text does not say it: whom it is from, and
how to get no more of them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, field, replace
from enum import StrEnum
from typing import Final

from muster.customer.domain.content import has_link, names, offers_way_out, says_stop
from muster.customer.domain.links import PLACEHOLDER
from muster.customer.domain.merge_reader import excerpt, mistake
from muster.customer.domain.refusal import Refusal
from muster.customer.domain.senders import is_number

NOTICE_CHARACTERS_MAX: Final = 100
BUSINESS: Final = "{business}"
LINK: Final = "{link}"
IDENTITY: Final = f"{BUSINESS}: "
REPLY: Final = "Reply STOP to opt out"
BY_LINK: Final = f"Opt out: {LINK}"
_BRACE: Final = re.compile("[{}]")
_BRACES: Final = str.maketrans("{}", "()")


class What(StrEnum):
    """What was added to a text."""

    IDENTITY = "identity"
    WAY_OUT = "way_out"


@dataclass(frozen=True, slots=True)
class Notices:
    """The words of a business: before a text, and behind it for a sender that can be replied to and one that cannot."""

    identity: str = IDENTITY
    reply: str = REPLY
    by_link: str = BY_LINK

    def or_shorter(self, short: "Notices") -> "Notices":
        """The same, with fewer words where those say it in fewer."""
        return Notices(*(min(pair, key=len) for pair in zip(astuple(self), astuple(short), strict=True)))


ENGLISH: Final = "en"
WORDS: Final = {
    ENGLISH: Notices(),
    "de": Notices(reply="Abmelden mit STOP", by_link=f"Abmelden: {LINK}"),
    "es": Notices(reply="Responda STOP para darse de baja", by_link=f"Darse de baja: {LINK}"),
    "fr": Notices(reply="STOP pour vous désabonner", by_link=f"Désabonnement: {LINK}"),
    "it": Notices(reply="Rispondi STOP per disiscriverti", by_link=f"Disiscriviti: {LINK}"),
    "nl": Notices(reply="Antwoord STOP om je af te melden", by_link=f"Afmelden: {LINK}"),
    "pt": Notices(reply="Responda STOP para sair", by_link=f"Descadastrar: {LINK}"),
}
"""What is said by default in each language, in characters that make nothing dearer. STOP is read in all of them."""
_SHORT: Final = WORDS | {ENGLISH: Notices(reply="STOP to end", by_link=f"Opt out {LINK}")}


@dataclass(frozen=True, slots=True)
class Wordings:
    """What a business says by rule. language: that of its country, in which its `own` words are; None: it has chosen
    none. others: its words in other languages, by tag."""

    language: str = ENGLISH
    own: Notices | None = None
    others: Mapping[str, Notices] = field(default_factory=dict)

    def of(self, language: str) -> Notices:
        """The words for a text in a language ("": in the business's): its own, as the language is spoken somewhere
        before as it is anywhere; else those by default; else, in a language without any, those of the business."""
        others = {tag.lower(): words for tag, words in self.others.items()}
        tag = (language or self.language).lower()
        root = tag.split("-")[0]
        found = others.get(tag) or others.get(root)
        if found is None and root == self.language:
            found = self.own
        return found or WORDS.get(root) or self.own or WORDS.get(self.language) or Notices()

    @property
    def replies(self) -> tuple[str, ...]:
        """The business's own words for how to opt out, in all languages."""
        return tuple(words.reply for words in (self.own, *self.others.values()) if words is not None)

    @property
    def shorter(self) -> "Wordings":
        """The same, with fewer words in the business's language where fewer would do."""
        own = self.of(self.language)
        return replace(self, own=own.or_shorter(_SHORT.get(self.language, own)))


@dataclass(frozen=True, slots=True)
class Added:
    """Words that were added to a text."""

    what: What
    text: str


@dataclass(frozen=True, slots=True)
class Noticed:
    """A text as it leaves, and what was added to it."""

    text: str
    added: tuple[Added, ...] = ()


def judge_notices(notices: Notices, language: str = ENGLISH) -> list[Refusal]:
    """Why these words, of a language, would not do what they are for."""
    refusals = []
    for named, text in (("identity", notices.identity), ("reply", notices.reply), ("by_link", notices.by_link)):
        if len(text) > NOTICE_CHARACTERS_MAX:
            refusals.append(Refusal(named, "too_long", f"at most {NOTICE_CHARACTERS_MAX} characters"))
        elif not text.isprintable() or _BRACE.search(text.replace(BUSINESS, "").replace(LINK, "")):
            refusals.append(Refusal(named, "not_plain", "plain words on one line, without merge fields"))
    if BUSINESS not in notices.identity:
        refusals.append(Refusal("identity", "without_business", f"must say {BUSINESS}, where the name of it goes"))
    usual = WORDS.get(language.lower().split("-")[0], Notices())
    if not (offers_way_out(notices.reply) or says_stop(notices.reply)):
        refusals.append(Refusal("reply", "without_way_out", f'must say how to opt out, such as "{usual.reply}"'))
    said = notices.by_link.replace(LINK, "").strip()
    foreign = not language.lower().startswith(ENGLISH)
    if LINK not in notices.by_link or not (offers_way_out(said) or (foreign and said)):
        why = f'must say {LINK} and what it is for, such as "{usual.by_link}"'
        refusals.append(Refusal("by_link", "without_link", why))
    return refusals


def with_notices(text: str, own: str, business: str, sender: str, notices: Notices, url: str) -> Noticed:
    """A marketing text with what it lacks. own: what everybody is told by it, without what fields say; url: where links
    lead, without a slash at its end.

    A text that names the business, or is sent by its name, is not told whom it is from; one that says how to opt out is
    not told again, unless nobody can do so: a sender that is a name gets no replies.
    """
    added = []
    if not names(business, own) and not names(business, sender):
        added.append(Added(What.IDENTITY, notices.identity.replace(BUSINESS, business.translate(_BRACES).strip())))
        text = added[-1].text + text
    words = notices.reply if is_number(sender) else notices.by_link.replace(LINK, url + PLACEHOLDER)
    if not _has_way_out(own, sender) and words not in own:
        added.append(Added(What.WAY_OUT, words))
        text = f"{text.rstrip()}\n{words}"
    return Noticed(text, tuple(added))


def changed_since(given: str, quoted: str, added: Iterable[Mapping[str, str]]) -> Refusal | None:
    """Where a text is not what was quoted, as it leaves or as it was written; None where it is. added: what of it is
    there by rule, as its quote says it."""
    words = {one["what"]: one["text"] for one in added}
    written = quoted.removeprefix(words.get(What.IDENTITY, ""))
    if What.WAY_OUT in words:
        written = written.removesuffix(f"\n{words[What.WAY_OUT]}")
    if given == quoted or given.rstrip() == written.rstrip():
        return None
    meant, position = max(((one, _alike(given, one)) for one in (written, quoted)), key=lambda one: one[1])
    was = excerpt(meant, position) if position < len(meant) else "nothing more"
    why = f"this is not what was quoted, which says here: {was}"
    return mistake(given, "text", position, "text_changed", why)


def _alike(one: str, other: str) -> int:
    return next(
        (at for at, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), min(len(one), len(other))
    )


def _has_way_out(text: str, sender: str) -> bool:
    return offers_way_out(text) and (is_number(sender) or has_link(text))
