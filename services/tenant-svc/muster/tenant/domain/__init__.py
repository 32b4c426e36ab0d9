"""What a tenant, a user and an API key may be. Pure: values in, values out, also for "no"."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import cache
from uuid import UUID
from zoneinfo import available_timezones

from muster.text import PARTS_MAX, is_region
from muster.text.emails import is_email
from muster.text.merge import clean_value

NAME_CHARS_MAX = 200
SENDER_NAME_CHARS_MAX = 11
NO_QUIET_HOURS = (0, 0)
ALL_COUNTRIES = "*"
COUNTRIES_MAX = 250
HOLIDAYS_MAX = 10
CLOSED_DAYS_MAX = 400
PARTS_PER_SECOND_MAX = 100_000
CLOSED_DAYS_AHEAD_MAX = timedelta(days=5 * 366)
TENANT_ROLES = ("admin", "manager", "staff")
LAST_USED_STEP_S = 60

# What a machine is set to, which is no name of a zone.
_NO_TIME_ZONES = frozenset({"localtime", "posixrules", "Factory"})
_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")
# ISO 3166-1, or 3166-2 with it.
_CALENDAR = re.compile(r"[A-Z]{2}(?:-[A-Z0-9]{1,3})?")
_SENDER_NAME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 &_.-]{1,11}")
_ENCODED_WORD = "=?"
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]")


class UnknownRule(StrEnum):
    """What becomes of messages of which nobody knows whether the carrier took them."""

    CHARGE = "charge"
    RELEASE = "release"
    ASK = "ask"


class FailedRule(StrEnum):
    """What becomes of the credits of messages that the carrier took and a receipt says have failed."""

    CHARGE = "charge"
    RELEASE = "release"


@dataclass(frozen=True, slots=True)
class Settings:
    """What a tenant decides. Quiet hours are minutes after midnight in its time zone; equal: none.

    `countries`: those that it sends to, its own alone where none is said. `countries_max`: what the operator lets it
    choose among besides its own. `customary_hours`: its marketing also keeps to what is usual in a recipient's country
    where no law asks for it. `holidays`: public holidays of a country (AU) or a part of one (AU-NSW) on which it sends
    no marketing, and `closed_days` others. `parts_per_second`: what the operator lets it send, over all carriers; 0 for
    no limit. `parts_max`: of how many parts a message of its may be.
    """

    name: str
    country: str
    time_zone: str
    sender: str
    allow_sms_replies: bool
    reception_email: str
    quiet_from_minute: int
    quiet_to_minute: int
    unknown_rule: UnknownRule
    at_least_once: bool
    closed: bool = False
    failed_rule: FailedRule = FailedRule.CHARGE
    parent_id: UUID | None = None
    suspended: bool = False
    countries: tuple[str, ...] = ()
    countries_max: tuple[str, ...] = ()
    customary_hours: bool = False
    holidays: tuple[str, ...] = ()
    closed_days: tuple[date, ...] = ()
    parts_per_second: int = 0
    parts_max: int = PARTS_MAX


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant as it is now; `version` counts its changes."""

    tenant_id: UUID
    version: int
    settings: Settings
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Member:
    """A user: a person with an e-mail address, or a machine without."""

    tenant_id: UUID
    user_id: UUID
    email: str | None
    name: str
    role: str
    active: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key with its user's role, without its secret."""

    tenant_id: UUID
    key_id: UUID
    user_id: UUID
    client_id: str
    name: str
    role: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the audit log. Ids only."""

    tenant_id: UUID
    event_id: UUID
    at: datetime
    act: str
    user_id: str
    role: str
    subject_kind: str
    subject_id: str
    service: str
    reason: str


@dataclass(frozen=True, slots=True)
class Asked:
    """Which acts: by whom, of what kind, on what, not before and before when. None: whichever."""

    user_id: str | None = None
    act: str | None = None
    subject_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Wrong:
    """Why a field cannot be what was given."""

    field: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Credential:
    """What is known of a client id when it asks for a token."""

    tenant_id: UUID
    user_id: UUID
    key_id: UUID
    client_id: str
    secret_hash: bytes
    role: str
    active: bool
    tenant_closed: bool
    tenant_suspended: bool
    country: str
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key pair that signs tokens; `private_key` is None where it cannot be unsealed any more."""

    kid: str
    public_key: bytes
    private_key: bytes | None
    created_at: datetime


def check_settings(settings: Settings) -> list[Wrong]:
    """What is wrong with these settings; [] if nothing is."""
    found = (
        check_name(settings.name),
        _check_country(settings.country),
        _check_time_zone(settings.time_zone),
        _check_sender(settings.sender),
        _check_reception(settings),
        _check_countries(settings),
        _check_holidays(settings.holidays),
    )
    return [wrong for wrong in found if wrong]


def check_parent(
    tenant_id: UUID, parent_id: UUID | None, parent: Tenant | None, *, same_kind: bool = True
) -> Wrong | None:
    """Whether a tenant can be the sub-account of that one: of another that is there and is no sub-account itself.

    `same_kind`: both are sandboxes, or neither is: their credits never mix.
    """
    if parent_id is None:
        return None
    if parent_id == tenant_id:
        return Wrong("parent_id", "parent_is_itself", "must be another tenant")
    if parent is None:
        return Wrong("parent_id", "parent_not_known", "is no tenant")
    if not same_kind:
        return Wrong("parent_id", "sandbox_stays_alone", "must be a sandbox for a sandbox, and none for any other")
    if parent.settings.parent_id is not None:
        return Wrong("parent_id", "parent_is_a_sub_account", "is a sub-account itself")
    return None


def check_member(name: str, email: str | None, role: str) -> list[Wrong]:
    """What is wrong with a user of a tenant; [] if nothing is."""
    found = [check_name(name), check_email("email", email) if email is not None else None]
    if role not in TENANT_ROLES:
        found.append(Wrong("role", "role_not_known", f"must be one of {', '.join(TENANT_ROLES)}"))
    return [wrong for wrong in found if wrong]


def is_last_admin(member: Member, active_admins: int) -> bool:
    """Whether nobody would be left to administer the tenant without this user."""
    return member.role == "admin" and member.active and active_admins <= 1


def check_email(field: str, email: str) -> Wrong | None:
    """An address that can stand in a header as it is, or why not."""
    if _UNPRINTABLE.search(email) or _ENCODED_WORD in email:
        return Wrong(field, "email_not_safe", "must not hold line breaks, control characters or =?")
    if not is_email(email):
        return Wrong(field, "email_not_valid", "is not an e-mail address such as reception@salon.example")
    return None


def may_have_token(credential: Credential, now: datetime) -> bool:
    """Whether a client id with the right secret gets a token now."""
    in_time = credential.expires_at is None or credential.expires_at > now
    return in_time and credential.revoked_at is None and credential.active and not credential.tenant_closed


def is_use_worth_noting(credential: Credential, now: datetime) -> bool:
    """Whether `last_used_at` is old enough to be written again: not at each token."""
    last = credential.last_used_at
    return last is None or now - last > timedelta(seconds=LAST_USED_STEP_S)


def signer(keys: Sequence[SigningKey], now: datetime, lead: timedelta) -> SigningKey | None:
    """The key that signs now: the newest that was published for `lead`, else the oldest; None without any."""
    usable = sorted((key for key in keys if key.private_key is not None), key=lambda key: key.created_at)
    published = [key for key in usable if now - key.created_at >= lead]
    return published[-1] if published else next(iter(usable), None)


def is_new_key_due(keys: Sequence[SigningKey], now: datetime, life: timedelta) -> bool:
    """Whether the newest key that can sign is older than `life`, or there is none."""
    usable = [key.created_at for key in keys if key.private_key is not None]
    return not usable or now - max(usable) >= life


def retired(keys: Sequence[SigningKey], now: datetime, trust: timedelta) -> list[str]:
    """The kids that can be forgotten: a younger key has been signing for `trust`, longer than any token lives."""
    signing = [key.created_at for key in keys if key.private_key is not None and key.created_at <= now - trust]
    return [key.kid for key in keys if signing and key.created_at < max(signing)]


def check_name(name: str) -> Wrong | None:
    """Why this cannot be the name of a tenant or a user."""
    if not clean_value(name) or len(name) > NAME_CHARS_MAX or _UNPRINTABLE.search(name):
        return Wrong("name", "name_not_valid", f"must be 1 to {NAME_CHARS_MAX} characters without line breaks")
    return None


def _check_country(country: str) -> Wrong | None:
    if not is_region(country):
        return Wrong("country", "country_not_valid", "must be an ISO 3166 code of two capitals, such as AU")
    return None


def _check_countries(settings: Settings) -> Wrong | None:
    for field in ("countries", "countries_max"):
        for country in getattr(settings, field):
            if country != ALL_COUNTRIES and not is_region(country):
                return Wrong(field, "country_not_valid", f"{country} is no ISO 3166 code, such as AU, nor * for all")
    free = {*settings.countries_max, settings.country}
    beyond = [country for country in settings.countries if country not in free]
    if beyond and ALL_COUNTRIES not in free:
        message = f"{beyond[0]} is not among those that the operator allows: {', '.join(sorted(free))}"
        return Wrong("countries", "country_not_allowed", message)
    return None


def check_closed_days(days: Sequence[date], today: date) -> Wrong | None:
    """Whether these are days that a business may be closed on, as of a day."""
    too_far = [day for day in days if day > today + CLOSED_DAYS_AHEAD_MAX]
    if too_far:
        return Wrong("closed_days", "too_far", f"{too_far[0]} is more than five years from now")
    return None


def _check_holidays(calendars: Sequence[str]) -> Wrong | None:
    for name in calendars:
        country, _, part = name.partition("-")
        parts = _parts_of(country) if _CALENDAR.fullmatch(name) else None
        if parts is None:
            message = f"{name} is no country whose public holidays are known, such as AU, nor a part of one: AU-NSW"
            return Wrong("holidays", "holidays_not_known", message)
        if part and part not in parts:
            known = ", ".join(f"{country}-{one}" for one in parts) or "none"
            return Wrong("holidays", "holidays_not_known", f"{name} is no part of {country}; known are: {known}")
    return None


@cache
def _parts_of(country: str) -> tuple[str, ...] | None:
    from holidays import list_supported_countries  # a quarter of a second: only who asks pays for it

    parts = list_supported_countries(include_aliases=False).get(country)
    return None if parts is None else tuple(part for part in parts if _CALENDAR.fullmatch(f"{country}-{part}"))


def _check_time_zone(name: str) -> Wrong | None:
    if name in _time_zones():
        return None
    return Wrong("time_zone", "time_zone_not_known", "must be an IANA name such as Australia/Sydney")


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones()) - _NO_TIME_ZONES


def _check_sender(sender: str) -> Wrong | None:
    if _NUMBER.fullmatch(sender) or (_SENDER_NAME.fullmatch(sender) and sender == sender.strip()):
        return None
    message = f"must be a number in E.164 (+61400000000) or a name of 1 to {SENDER_NAME_CHARS_MAX} letters and digits"
    return Wrong("sender", "sender_not_valid", message)


def _check_reception(settings: Settings) -> Wrong | None:
    if settings.reception_email:
        return check_email("reception_email", settings.reception_email)
    if settings.allow_sms_replies:
        return Wrong("reception_email", "missing", "is needed where SMS replies are allowed: they are forwarded there")
    return None
