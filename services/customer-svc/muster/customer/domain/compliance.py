"""What the laws of its recipients' countries ask of a send, judged before it is confirmed.

The laws are data, a file for each country (compliance_of/), with the day from which each rule holds; those of hours are
beside them (hours_of/), since who may not be texted now waits. Information, not advice.
"""

import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any, Final

from muster.customer.domain import hours
from muster.customer.domain.content import has_link, names, offers_way_out, promotions
from muster.customer.domain.links import has_placeholder
from muster.customer.domain.senders import Registration, Sender, is_number

ANY_COUNTRY: Final = "*"
WAY_OUT_DAYS: Final = 30
"""For how long after its last marketing replies to a number still reach the business, also one that gives the number
up: dispatch-svc leases it for as long."""
_FOUND_MAX: Final = 5
_NO_HOURS: Final = "No law that is known here sets hours for messages to this country: the business's own are kept to."


class Status(StrEnum):
    """What a check came to. BLOCKED: nothing is sent unless an admin overrides it."""

    PASSED = "passed"
    WARNING = "warning"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of some countries since a day. classes: of messages, as the API names them; breach: what becomes of a send
    that does not keep to it; absolute: it is the recipients' own right. accepts: kinds of consent.

    days: for how long after a message its way out must work; 0 where no law names days. unregistered: what becomes of a
    sender that is a name and not registered; names: whether there is a register of them.
    """

    check: str
    since: date
    classes: tuple[str, ...]
    source: str
    breach: Status = Status.WARNING
    absolute: bool = False
    accepts: tuple[str, ...] = ()
    days: int = 0
    unregistered: str = ""
    names: bool = True


@dataclass(frozen=True, slots=True)
class Message:
    """A send as the rules see it. day: by the rules of which it is judged.

    business: its name; texts: in each language, as they leave, without what merge fields say; consents: recipients by
    (country, kind of consent, "" where nobody asked); opted_out: how many of the audience are left out for it; waiting:
    by country, how many wait for their hours and until when the last (unix seconds); customary: the business keeps to
    hours that are usual; replies: what it says by rule of how to opt out, in each language.
    """

    day: date
    message_class: str
    business: str
    texts: tuple[str, ...]
    sender: Sender
    consents: Mapping[tuple[str, str], int]
    opted_out: int = 0
    waiting: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    customary: bool = False
    way_out_days: int = WAY_OUT_DAYS
    replies: tuple[str, ...] = ()

    @property
    def ways_out(self) -> bool:
        """Whether each of its texts says how to opt out, in words that are known or the business's own."""
        return all(
            offers_way_out(text) or has_placeholder(text) or any(words in text for words in self.replies)
            for text in self.texts
        )


@dataclass(frozen=True, slots=True)
class Check:
    """What one rule says of a send. recipients: whom it is about; absolute: nobody may override it; found: what in the
    text it goes by, as it stands there."""

    check: str
    country: str
    status: Status
    message: str
    source: str
    recipients: int
    absolute: bool = False
    found: tuple[str, ...] = ()

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        return {
            **{"check": self.check, "country": self.country, "status": self.status.value, "message": self.message},
            **{"source": self.source, "recipients": self.recipients, "absolute": self.absolute},
            "found": list(self.found),
        }

    @classmethod
    def read(cls, plain: Mapping[str, Any]) -> "Check":
        """What `plain` wrote."""
        return cls(**{**plain, "status": Status(plain["status"]), "found": tuple(plain["found"])})


def check_message(message: Message) -> list[Check]:
    """Each rule that holds on its day, for each country of the recipients, those with most of them first."""
    by_country: dict[str, dict[str, int]] = {}
    for (country, kind), recipients in sorted(message.consents.items()):
        by_country.setdefault(country, {})[kind] = recipients
    said, checks = _said(message), []
    for country, kinds in sorted(by_country.items(), key=lambda one: (-sum(one[1].values()), one[0])):
        case = _Case(message, said, country, kinds, sum(kinds.values()))
        held = [rule for rule in rules_of(country, message.day) if message.message_class in rule.classes]
        checks += [_judge(rule, case) for rule in held]
        if message.message_class == "marketing":
            checks.append(_hours(case))
    return checks


@cache
def rules_of(country: str, day: date) -> tuple[Rule, ...]:
    """The newest rule of each check and classes that holds for messages to a country on this day, always in one order
    of the checks."""
    found: dict[tuple[str, tuple[str, ...]], Rule] = {}
    for rule in _rules().get(country) or _rules()[ANY_COUNTRY]:
        if rule.since <= day:
            found[rule.check, rule.classes] = rule
    order = list(_JUDGES)
    return tuple(sorted(found.values(), key=lambda rule: order.index(rule.check)))


def consent_missing(kind: str, country: str, day: date) -> str | None:
    """Why marketing is not sent to somebody of a country by this kind of consent ("": none); None where it may be."""
    if not kind:
        return "marketing needs a customer who consents to it"
    for rule in rules_of(country, day):
        if rule.check == "consent" and rule.breach is Status.BLOCKED and kind not in rule.accepts:
            return f"marketing to {country} needs {' or '.join(rule.accepts)} consent: {rule.source}"
    return None


@cache
def _rules() -> Mapping[str, tuple[Rule, ...]]:
    folder = files("muster.customer.domain").joinpath("compliance_of")
    read = [tomllib.loads(file.read_text(encoding="utf-8")) for file in folder.iterdir() if file.name[-5:] == ".toml"]
    return {country: rules_in(plain["rule"]) for plain in read for country in plain["countries"]}


def rules_in(plain: Iterable[Mapping[str, Any]]) -> tuple[Rule, ...]:
    """The rules of a file, the oldest first; ValueError for a check that nobody can make."""
    made = [
        Rule(
            *(one["check"], one["from"], tuple(one["classes"]), one["source"]),
            breach=Status(one.get("breach", Status.WARNING)),
            absolute=one.get("absolute", False),
            accepts=tuple(one.get("accepts", ())),
            days=one.get("days", 0),
            unregistered=one.get("unregistered", ""),
            names=one.get("names", True),
        )
        for one in plain
    ]
    unknown = [rule.check for rule in made if rule.check not in _JUDGES]
    if unknown:
        raise ValueError(f"no such check: {', '.join(unknown)}")
    return tuple(sorted(made, key=lambda rule: rule.since))


@dataclass(frozen=True, slots=True)
class _Said:
    """What a message says in each of its languages: read once, however many countries it goes to."""

    named: bool
    named_by_sender: bool
    linked: bool
    way_out: bool
    promotions: tuple[str, ...]


def _said(message: Message) -> _Said:
    texts, factual = message.texts, message.message_class != "marketing"
    found = [one for text in texts for one in promotions(text)] if factual else []
    return _Said(
        all(names(message.business, one) for one in texts),
        names(message.business, message.sender.sender),
        all(map(has_link, texts)),
        message.ways_out,
        tuple(dict.fromkeys(found)),
    )


@dataclass(frozen=True, slots=True)
class _Case:
    """A message to the recipients of one country, by the kinds of their consent."""

    message: Message
    said: _Said
    country: str
    kinds: Mapping[str, int]
    recipients: int

    def without(self, accepted: tuple[str, ...]) -> int:
        """Recipients by another consent than these."""
        return sum(count for kind, count in self.kinds.items() if kind not in accepted)


# A breach and what it is in words; None and words where the rule is kept.
_Judged = tuple[Status | None, str]


def _judge(rule: Rule, case: _Case) -> Check:
    breach, words = _JUDGES[rule.check](rule, case)
    found = case.said.promotions[:_FOUND_MAX] if rule.check == "class" else ()
    about = case.without(rule.accepts) if rule.check == "consent" and breach else case.recipients
    status = breach or Status.PASSED
    return Check(rule.check, case.country, status, words, rule.source, about, rule.absolute, found)


def _consent(rule: Rule, case: _Case) -> _Judged:
    asked = " or ".join(rule.accepts)
    shown = ", ".join(f"{kind}: {count:,}" for kind, count in case.kinds.items())
    if not case.without(rule.accepts):
        return None, f"Everybody has given {asked} consent ({shown})."
    return rule.breach, f"Not everybody has given {asked} consent ({shown})."


def _opt_out(_: Rule, case: _Case) -> _Judged:
    out = case.message.opted_out
    return None, f"Whoever has opted out is left out, whatever anybody decides: {out:,} of the audience."


def _identity(rule: Rule, case: _Case) -> _Judged:
    business = case.message.business
    if not business.strip():
        return Status.WARNING, "Your business has no name in its settings, which the text could say."
    if case.said.named:
        return None, f'The text says that it is from "{business}".'
    if not case.said.named_by_sender:
        return rule.breach, f'Neither the text nor the sender says "{business}".'
    registers = [one for one in rules_of(case.country, case.message.day) if one.check == "registration"]
    if any(_registration(one, case)[0] for one in registers):
        return Status.WARNING, f'Only the sender says "{business}", and it may not be shown there.'
    return None, f'The sender says that it is from "{business}".'


def _way_out(rule: Rule, case: _Case) -> _Judged:
    sender, days = case.message.sender.sender, case.message.way_out_days
    if not is_number(sender) and not case.said.linked:
        return rule.breach, f'Nobody can reply to "{sender}", and the text has no link to opt out by.'
    if not case.said.way_out:
        return rule.breach, 'The text does not say how to opt out, such as "Reply STOP to opt out".'
    if case.said.linked or not rule.days:
        return None, "The text says how to opt out."
    if days < rule.days:
        # It works for as long as the business has the number: nobody has broken a law yet.
        words = f"replies reach you for {days} days after it; the law asks for {rule.days}"
        return Status.WARNING, f"The text says how to opt out, but should you give the number up, {words}."
    return None, f"The text says how to opt out, and replies are read for {days} days after it at least."


def _contact(rule: Rule, case: _Case) -> _Judged:
    if case.said.linked:
        return None, "The text has a link: the page behind it must say how and where to reach you."
    return rule.breach, "The text has no link to a page that says how and where to reach you."


def _registration(rule: Rule, case: _Case) -> _Judged:
    sender = case.message.sender
    if is_number(sender.sender):
        return None, "The sender is a number, and no name that would be registered."
    if not rule.names:
        return rule.breach, f'"{sender.sender}" is a name: {rule.unregistered}.'
    if sender.registration is Registration.REGISTERED:
        return None, f'"{sender.sender}" is registered.'
    return rule.breach, f'"{sender.sender}" is not registered: {rule.unregistered}.'


def _class(rule: Rule, case: _Case) -> _Judged:
    if case.message.message_class == "marketing":
        return None, "It is marketing, and held to all that is asked of marketing."
    if not case.said.promotions:
        return None, "It is factual: nothing in the text looks like an offer or a link."
    return rule.breach, "It is said to be factual, and yet the text has what looks like an offer or a link."


_JUDGES: Final[Mapping[str, Callable[[Rule, _Case], _Judged]]] = {
    "consent": _consent,
    "opt_out": _opt_out,
    "identity": _identity,
    "way_out": _way_out,
    "contact": _contact,
    "registration": _registration,
    "class": _class,
}


def _hours(case: _Case) -> Check:
    """Who waits: that was decided when the recipients were judged."""
    rule = hours.rules().get(case.country) or hours.rules()[hours.ANY_COUNTRY]
    customary = case.message.customary
    kept = "the hours of the law" if rule.binding else "the usual hours" if customary else "your own hours"
    count, last = case.message.waiting.get(case.country, (0, 0))
    until = f"{datetime.fromtimestamp(last, UTC):%Y-%m-%d %H:%M} UTC"
    words = f"{count:,} wait for {kept}, the last until {until}." if count else f"Nobody has to wait for {kept}."
    source = rule.source if rule.binding or customary else _NO_HOURS
    return Check("hours", case.country, Status.PASSED, words, source, case.recipients, absolute=rule.binding)
