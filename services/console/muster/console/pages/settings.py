"""The settings of the business: each section is read from the API and written back by itself."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from muster.console.client import ApiProblem, Json
from muster.console.nav import TENANT
from muster.console.routing import Pages
from muster.console.visit import Visit
from muster.kit.permissions import Permission

pages = Pages()

Values = dict[str, str]
_REFUSED = (400, 403, 409, 422)
_ON = "yes"


@dataclass(frozen=True)
class Field:
    """An entry of a section. kind: text, email, time, number (empty: none), switch, or choice among `choices`."""

    name: str
    kind: str = "text"
    choices: tuple[str, ...] = ()
    is_needed: bool = False

    def written(self, value: Any) -> str:
        """As a form has it."""
        if self.kind == "switch":
            return _ON if value else ""
        return "" if value is None else str(value)

    def read(self, written: str) -> Any:
        """As the API takes it. What is no number goes as it is, for the API to say so."""
        if self.kind == "switch":
            return written == _ON
        if self.kind != "number":
            return written
        if not written:
            return None
        return int(written) if written.isascii() and written.isdigit() else written


@dataclass(frozen=True)
class Section:
    """A form. `name` is that of its entries in settings.toml, `path` where the API has it, `may` who changes it."""

    name: str
    path: str
    may: Permission
    fields: tuple[Field, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(one.name for one in self.fields)


_RULES = ("charge", "release")
_TENANT = "/v1/tenant"
SECTIONS = (
    Section(
        "business",
        _TENANT,
        Permission.CHANGE_SETTINGS,
        (
            Field("name", is_needed=True),
            Field("sender"),
            Field("time_zone", is_needed=True),
            Field("allow_sms_replies", "switch"),
            Field("reception_email", "email"),
        ),
    ),
    Section(
        "sending",
        _TENANT,
        Permission.CHANGE_SETTINGS,
        (
            Field("quiet_from", "time"),
            Field("quiet_to", "time"),
            Field("customary_hours", "switch"),
            Field("parts_max", "number", is_needed=True),
            Field("failed_rule", "choice", _RULES),
            Field("unknown_rule", "choice", (*_RULES, "ask")),
        ),
    ),
    Section(
        "notices", "/v1/notices", Permission.SET_SENDING_RULES, (Field("identity"), Field("reply"), Field("by_link"))
    ),
    Section(
        "cap",
        "/v1/frequency-cap",
        Permission.SET_SENDING_RULES,
        (Field("messages", "number"), Field("days", "number")),
    ),
    Section(
        "approval",
        "/v1/approval-rule",
        Permission.CHANGE_SETTINGS,
        (Field("credits_above", "number"), Field("recipients_above", "number"), Field("email", "email")),
    ),
    Section(
        "wallet",
        "/v1/credits/settings",
        Permission.CHANGE_SETTINGS,
        (Field("alert_below", "number"), Field("daily_cap", "number"), Field("monthly_cap", "number")),
    ),
)


@pages.get("/settings")
async def settings(visit: Visit) -> Response:
    if visit.who.role not in TENANT:
        return visit.go("/settings/me")
    return await _show(visit, _named(visit.told.get("section", "")))


def _named(name: str) -> Section | None:
    return next((one for one in SECTIONS if one.name == name), None)


@pages.post("/settings/{section}/save", TENANT)
async def save(visit: Visit) -> Response:
    section = _named(visit.path["section"])
    if section is None:
        raise ApiProblem(404, {"code": "not_found"})
    given = {one.name: visit.text(one.name).strip() for one in section.fields}
    before = await visit.api.get(section.path)
    now, was = _values(section, before), _was(visit, section)
    changed = [one for one in section.fields if given[one.name] != was.get(one.name, "")]
    # Somebody else was quicker: what they set is shown beside what is wanted here, and nothing is overwritten unseen.
    others = [
        (one.name, visit.t("settings.changed_meanwhile", value=now[one.name] or "–"))
        for one in changed
        if now[one.name] not in (was.get(one.name, ""), given[one.name])
    ]
    if others:
        return await _show(visit, section, given, errors=others)
    if not changed:
        return visit.tell(visit.t("settings.nothing_changed"), section=section.name)
    try:
        await _write(visit, section, {**now, **{one.name: given[one.name] for one in changed}}, changed, before)
    except ApiProblem as problem:
        if problem.status not in _REFUSED:
            raise
        errors = [
            (_NAMED.get(field, field), message) for field, message in visit.wrong(problem, *section.names, *_NAMED)
        ]
        return await _show(visit, section, given, errors=errors)
    return visit.tell(visit.t("settings.saved"), section=section.name)


_NAMED = {"quiet_hours.from": "quiet_from", "quiet_hours.to": "quiet_to", "quiet_hours": "quiet_from"}


async def _write(visit: Visit, section: Section, values: Values, changed: list[Field], before: Json) -> None:
    body = {one.name: one.read(values[one.name]) for one in section.fields}
    if section.path == _TENANT:
        names = {one.name for one in changed}
        if names & {"quiet_from", "quiet_to"}:
            span = {"from": values["quiet_from"], "to": values["quiet_to"]}
            body["quiet_hours"], names = (span if any(span.values()) else None), names | {"quiet_hours"}
        await visit.api.call("PATCH", section.path, body={name: body[name] for name in body if name in names - _SPLIT})
    elif section.name == "wallet":
        await visit.api.call("PATCH", section.path, body={one.name: body[one.name] for one in changed})
    elif section.name == "cap" and not any(values.values()):
        await visit.api.call("DELETE", section.path)
    elif section.name == "notices":
        await visit.api.call("PUT", section.path, body={**body, "languages": before.get("languages", {})})
    else:
        await visit.api.call("PUT", section.path, body=body)


_SPLIT = {"quiet_from", "quiet_to"}


def _values(section: Section, told: Mapping[str, Any]) -> Values:
    """What a section holds, as its form has it."""
    quiet = told.get("quiet_hours") or {}
    split = {"quiet_from": quiet.get("from"), "quiet_to": quiet.get("to")}
    return {one.name: one.written({**told, **split}.get(one.name)) for one in section.fields}


def _was(visit: Visit, section: Section) -> Values:
    """What the form had when it was shown."""
    try:
        found = json.loads(visit.text("was"))
    except ValueError:
        return {}
    return {name: str(found.get(name, "")) for name in section.names} if isinstance(found, dict) else {}


async def _show(
    visit: Visit,
    section: Section | None = None,
    given: Values | None = None,
    *,
    errors: list[tuple[str, str]] | None = None,
) -> Response:
    paths = list(dict.fromkeys(one.path for one in SECTIONS))
    told = dict(zip(paths, await asyncio.gather(*(visit.api.get(path) for path in paths)), strict=True))
    shown = []
    for one in SECTIONS:
        now = _values(one, told[one.path])
        is_own = one is section
        shown.append(
            {
                "section": one,
                "values": given if is_own and given is not None else now,
                "was": json.dumps(now),
                "errors": [(f"{one.name}.{name}" if name else "", said) for name, said in errors or [] if is_own],
                "notice": visit.told.get("notice", "") if is_own else "",
                "may": visit.who.role in one.may.roles,
                "is_open": is_own,
            }
        )
    return visit.page("settings.html", status=422 if errors else 200, sections=shown, tenant=told[_TENANT])
