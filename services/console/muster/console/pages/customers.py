"""Customers: found by words or conditions as one types, added, and one by one."""

import asyncio
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from muster.console import client
from muster.console.client import ApiProblem, Json
from muster.console.nav import TENANT
from muster.console.routing import Pages
from muster.console.visit import Errors, Visit
from muster.kit.permissions import Permission

pages = Pages()

REFUSED = (*client.REFUSED, 412)
"""Also where somebody else has changed the customer since."""
KEEP = Permission.KEEP_CUSTOMERS.roles
_PAGE = 50
FIELDS = ("first_name", "last_name", "numbers", "tags", "language", "time_zone")


@pages.get("/customers", TENANT)
async def customers(visit: Visit) -> Response:
    found, lists, searches = await asyncio.gather(
        _found(visit), _named(visit, "/v1/lists"), _named(visit, "/v1/searches")
    )
    return visit.page("customers.html", lists=lists, searches=searches, **found)


@pages.post("/customers", TENANT)
async def find(visit: Visit) -> Response:
    return visit.go(_address(visit, visit.text("query").strip()))


@pages.post("/customers/found", TENANT)
async def found_now(visit: Visit) -> Response:
    """Who fits what is written so far: a piece of the page, whose address is that of the search from now on."""
    query = visit.text("query").strip()
    piece = visit.page("customers_found.html", **await _found(visit, query=query))
    piece.headers["HX-Replace-Url"] = _address(visit, query)
    return piece


def _address(visit: Visit, query: str) -> str:
    """Of a search: a name or a number is in no address that somebody else could read."""
    return f"/customers?q={visit.sealed(query)}" if query else "/customers"


@pages.post("/customers/searches", KEEP)
async def save_search(visit: Visit) -> Response:
    """Keep a search under a name."""
    name, query = visit.text("name").strip(), visit.text("query").strip()
    try:
        await visit.api.call("PUT", f"/v1/searches/{quoted(name)}", body={"query": query})
    except ApiProblem as problem:
        if problem.status not in REFUSED:
            raise
        told = await _found(visit, query=query)
        lists, searches = await asyncio.gather(_named(visit, "/v1/lists"), _named(visit, "/v1/searches"))
        errors = visit.wrong(problem, "name", "query")
        return visit.page("customers.html", status=422, **{**told, "errors": errors}, lists=lists, searches=searches)
    return visit.go(f"/customers?saved={quoted(name)}")


@pages.get("/customers/new", KEEP)
async def new(visit: Visit) -> Response:
    return await _form(visit)


@pages.post("/customers/new", KEEP)
async def add(visit: Visit) -> Response:
    body = read_form(visit)
    if visit.text("allow_bulk_sms"):
        body["allow_bulk_sms"] = visit.text("allow_bulk_sms") == "yes"
    try:
        made = await visit.api.post("/v1/customers", body, key=visit.text("key"))
    except ApiProblem as problem:
        if problem.status not in REFUSED:
            raise
        return await _form(visit, errors=visit.wrong(problem, *FIELDS))
    return visit.go(f"/customers/{made['id']}")


async def _form(visit: Visit, *, errors: Errors | None = None) -> Response:
    own = (await visit.api.get("/v1/own-fields"))["items"]
    given = {name: visit.text(name) for name in FIELDS} | {
        f"own.{one['key']}": visit.text(f"own.{one['key']}") for one in own
    }
    status = 422 if errors else 200
    return visit.page(
        "customer_new.html", status=status, given=given, own=own, errors=errors or [], key=visit.new_key()
    )


def read_form(visit: Visit) -> dict[str, Any]:
    """A customer as the API takes one, from the fields of a form; what is written in several lines or with commas is a
    list."""
    body: dict[str, Any] = {
        name: visit.text(name).strip() for name in ("first_name", "last_name", "language", "time_zone")
    }
    body["numbers"] = [line.strip() for line in visit.text("numbers").splitlines() if line.strip()]
    body["tags"] = [tag.strip() for tag in visit.text("tags").split(",") if tag.strip()]
    own = {
        name.removeprefix("own."): value.strip()
        for name, value in visit.form.multi_items()
        if name.startswith("own.") and isinstance(value, str)
    }
    return {**body, "own_fields": own}


async def _found(visit: Visit, *, query: str | None = None) -> dict[str, Any]:
    """A page of who fits, how many do, and what is wrong with the query where something is."""
    asked = {"query": (visit.unsealed("q") if query is None else query) or None, "saved": visit.asked("saved")}
    if asked["query"]:
        asked["saved"] = None
    cursor = visit.asked("cursor")
    shown: dict[str, Any] = {
        **asked,
        "cursor": None,
        "items": [],
        "count": None,
        "errors": [],
        "is_first": cursor is None,
    }
    try:
        found, counted = await asyncio.gather(
            visit.api.get("/v1/customers", limit=_PAGE, cursor=cursor, **asked),
            visit.api.get("/v1/customers/count", **asked),
        )
    except ApiProblem as problem:
        if problem.status not in (400, 404, 422):
            raise
        return {**shown, "errors": [("query", message) for _, message in visit.wrong(problem, "query", "saved")]}
    return {**shown, "items": found["items"], "cursor": found.get("next_cursor"), "count": counted}


async def _named(visit: Visit, path: str) -> list[Json]:
    return list((await visit.api.get(path, limit=200))["items"])


def quoted(name: str) -> str:
    """One segment of a path, whatever it holds."""
    return quote(name, safe="") or "-"
