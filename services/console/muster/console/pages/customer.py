"""One customer: numbers, consent with its history, messages, replies; changed, archived, merged, exported, erased."""

import asyncio
from typing import Any

from starlette.responses import Response

from muster.console.client import ApiProblem, Json
from muster.console.nav import TENANT
from muster.console.pages.customers import FIELDS, KEEP, REFUSED, read_form
from muster.console.routing import Pages
from muster.console.visit import Errors, Visit
from muster.kit.permissions import Permission

pages = Pages()

_MERGE = Permission.MERGE_CUSTOMERS.roles
_ERASE = Permission.ERASE_CUSTOMERS.roles
_SHOWN = 20
_FILES = {"evidence.json": "application/json", "evidence.csv": "text/csv", "evidence.txt": "text/plain"}
_EXPORTS = {"everything.json": "application/json", "everything.csv": "text/csv"}
KINDS = ("express", "inferred", "none", "withdrawn")
GROUNDS = ("asked", "consent_withdrawn", "no_longer_needed", "objected", "unlawful", "legal_duty")


@pages.get("/customers/{id:int}", TENANT)
async def customer(visit: Visit) -> Response:
    return await _show(visit)


@pages.get("/customers/{id:int}/evidence/{file}", TENANT)
async def evidence(visit: Visit) -> Response:
    """The evidence of consent, as a file."""
    return await _file(visit, "consents/evidence", _FILES)


@pages.get("/customers/{id:int}/export/{file}", _ERASE)
async def export(visit: Visit) -> Response:
    """All that is held on the person, as a file."""
    return await _file(visit, "export", _EXPORTS)


async def _file(visit: Visit, below: str, kinds: dict[str, str]) -> Response:
    name = visit.path["file"]
    if name not in kinds:
        raise ApiProblem(404, {"code": "not_found"})
    return await visit.file(f"{_path(visit)}/{below}", kinds[name], f"customer-{visit.path['id']}-{name}")


@pages.get("/customers/{id:int}/edit", KEEP)
async def edit(visit: Visit) -> Response:
    return await _form(visit, await visit.api.get(_path(visit)))


@pages.post("/customers/{id:int}/edit", KEEP)
async def change(visit: Visit) -> Response:
    """Write the form; where somebody else has changed the customer since, both are shown and nothing is written."""
    body = read_form(visit)
    try:
        await visit.api.call("PATCH", _path(visit), body=body, if_match=visit.text("version"))
    except ApiProblem as problem:
        if problem.status not in REFUSED:
            raise
        now = await visit.api.get(_path(visit))
        if problem.status == 412:
            return await _form(visit, now, given=body, others=_differences(now, body))
        return await _form(visit, now, given=body, errors=visit.wrong(problem, *FIELDS))
    return visit.go(f"/customers/{visit.path['id']}")


def _differences(now: Json, wanted: dict[str, Any]) -> list[tuple[str, str]]:
    """What is there now, of what is wanted otherwise."""
    shown = _given(now)
    want = _given({**now, **wanted, "numbers": [{"typed": one} for one in wanted["numbers"]]})
    return [(name, shown[name]) for name in want if shown.get(name, "") != want[name]]


def _given(customer: Json) -> dict[str, str]:
    given = {name: str(customer[name]) for name in ("first_name", "last_name", "language", "time_zone")}
    given["numbers"] = "\n".join(one["typed"] for one in customer["numbers"])
    given["tags"] = ", ".join(customer["tags"])
    return given | {f"own.{key}": str(value) for key, value in customer["own_fields"].items()}


async def _form(
    visit: Visit,
    now: Json,
    *,
    given: dict[str, Any] | None = None,
    errors: Errors | None = None,
    others: Errors | None = None,
) -> Response:
    own = (await visit.api.get("/v1/own-fields"))["items"]
    known = {one["key"] for one in own}
    own += [{"key": key, "name": key, "kind": "text"} for key in now["own_fields"] if key not in known]
    wanted = now if given is None else {**now, **given, "numbers": [{"typed": one} for one in given["numbers"]]}
    return visit.page(
        "customer_edit.html",
        status=409 if others else 422 if errors else 200,
        customer=now,
        given=_given(wanted),
        own=own,
        errors=errors or [],
        others=others or [],
    )


@pages.post("/customers/{id:int}/consent", KEEP)
async def consent(visit: Visit) -> Response:
    """A word on consent; a withdrawal acts at once."""
    names = ("kind", "how", "wording", "given_by", "source")
    body: dict[str, Any] = {name: text for name in names if (text := visit.text(name).strip())}
    if number := visit.text("number"):
        body["number"] = number
    try:
        await visit.api.post(f"{_path(visit)}/consents", body, key=visit.text("key"))
    except ApiProblem as problem:
        if problem.status not in REFUSED:
            raise
        return await _show(visit, errors=visit.wrong(problem, *names))
    entry = "customer.withdrawn" if body.get("kind") == "withdrawn" else "customer.consent_kept"
    return await _show(visit, notice=visit.t(entry))


@pages.post("/customers/{id:int}/archive", KEEP)
async def archive(visit: Visit) -> Response:
    return await _act(visit, "archive", "customer.archived")


@pages.post("/customers/{id:int}/unarchive", KEEP)
async def unarchive(visit: Visit) -> Response:
    return await _act(visit, "unarchive", "customer.unarchived")


@pages.post("/customers/{id:int}/merge", _MERGE)
async def merge(visit: Visit) -> Response:
    """Take another customer into this one."""
    other = visit.text("other").strip()
    body = {"customer_id": int(other) if other.isascii() and other.isdigit() and len(other) < 19 else other}
    return await _act(visit, "merge", "customer.merged", body)


async def _act(visit: Visit, act: str, entry: str, body: dict[str, Any] | None = None) -> Response:
    try:
        await visit.api.post(f"{_path(visit)}/{act}", body)
    except ApiProblem as problem:
        if problem.status not in REFUSED:
            raise
        return await _show(visit, errors=visit.wrong(problem))
    return await _show(visit, notice=visit.t(entry))


@pages.get("/customers/{id:int}/erase", _ERASE)
async def erase_first(visit: Visit) -> Response:
    """What an erasure does, before it is done."""
    return visit.page("customer_erase.html", customer=await visit.api.get(_path(visit)), grounds=GROUNDS)


@pages.post("/customers/{id:int}/erase", _ERASE)
async def erase(visit: Visit) -> Response:
    erasure = await visit.api.post(f"{_path(visit)}/erasure", {"ground": visit.text("ground") or "asked"})
    return visit.go(f"/customers/erasures/{erasure['id']}")


@pages.get("/customers/erasures/{id}", _ERASE)
async def erasure(visit: Visit) -> Response:
    """How far an erasure is."""
    return visit.page("erasure.html", erasure=await visit.api.get(f"/v1/erasures/{visit.path['id']}"))


async def _show(visit: Visit, *, errors: Errors | None = None, notice: str = "") -> Response:
    path = _path(visit)
    found, own, consents, messages, changes = await asyncio.gather(
        visit.api.get(path),
        visit.api.get("/v1/own-fields"),
        visit.api.get(f"{path}/consents", limit=500),
        visit.api.get(f"{path}/messages", limit=_SHOWN, left_out="true"),
        visit.api.get(f"{path}/changes", limit=500),
    )
    return visit.page(
        "customer.html",
        status=422 if errors else 200,
        customer=found,
        own={one["key"]: one for one in own["items"]},
        consents=consents["items"][::-1],
        messages=messages["items"],
        changes=changes["items"][::-1][:_SHOWN],
        replies=await _replies(visit, found),
        kinds=KINDS,
        errors=errors or [],
        notice=notice,
        key=visit.new_key(),
        may_merge=visit.who.role in _MERGE,
        may_erase=visit.who.role in _ERASE,
    )


async def _replies(visit: Visit, found: Json) -> list[Json]:
    """The newest replies from the numbers that can be texted."""
    numbers = [one["number"] for one in found["numbers"] if one["textable"]][:3]
    told = await asyncio.gather(*(visit.api.get("/v1/replies", number=number, limit=5) for number in numbers))
    return sorted((one for page in told for one in page["items"]), key=lambda one: str(one["at"]), reverse=True)[:5]


def _path(visit: Visit) -> str:
    return f"/v1/customers/{visit.path['id']}"
