"""Files of customers: uploaded, looked at with what each column holds, imported, and what was left out given back."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.datastructures import UploadFile
from starlette.responses import Response

from muster.console.client import ApiProblem, Json
from muster.console.nav import TENANT
from muster.console.pages.customers import KEEP, REFUSED
from muster.console.routing import Pages
from muster.console.visit import Errors, Visit

pages = Pages()

_PAGE = 20
_PIECE = 1 << 18
_ERRORS_SHOWN = 50
RUNNING = frozenset({"uploading", "waiting", "reading", "applying"})
MODES = ("add_and_update", "add", "update", "replace_list")
TARGETS = (
    *("mobile", "first_name", "last_name", "full_name", "allow_bulk_sms"),
    *("consent", "consent_date", "language", "tags", "time_zone"),
)
STATED = ("consent", "consent_wording", "consent_source", "consent_date", "mode", "match", "list", "dates")


@pages.get("/customers/import", TENANT)
async def imports(visit: Visit) -> Response:
    return await _list(visit)


@pages.upload("/customers/import", KEEP)
async def upload(visit: Visit) -> Response:
    """Take a file, once for each form, and show what it is before anybody is changed."""
    file = visit.form.get("file")
    if not isinstance(file, UploadFile) or not file.filename:
        return await _list(visit, errors=[("file", visit.t("imports.file_needed"))])
    if not file.size:
        return await _list(visit, errors=[("file", visit.t("imports.file_empty", name=file.filename))])
    try:
        taken = await visit.api.upload(
            "/v1/customers/imports",
            _pieces(file),
            timeout_s=visit.house.settings.console_upload_s_max,
            key=visit.text("key"),
            preview="true",
            file_name=file.filename[:200],
        )
    except ApiProblem as problem:
        if problem.status not in (*REFUSED, 413):
            raise
        return await _list(visit, errors=[("file", message) for _, message in visit.wrong(problem)])
    return visit.go(f"/customers/import/{taken['id']}")


async def _pieces(file: UploadFile) -> AsyncIterator[bytes]:
    while piece := await file.read(_PIECE):
        yield piece


async def _list(visit: Visit, *, errors: Errors | None = None) -> Response:
    found = await visit.api.get("/v1/customers/imports", limit=_PAGE, cursor=visit.asked("cursor"))
    return visit.page(
        "imports.html",
        status=422 if errors else 200,
        imports=found["items"],
        cursor=found.get("next_cursor"),
        errors=errors or [],
        key=visit.new_key(),
        may=visit.who.role in KEEP,
        most_mb=visit.house.settings.console_upload_bytes_max >> 20,
    )


@pages.get("/customers/import/{id}", TENANT)
async def one(visit: Visit) -> Response:
    return await _show(visit)


@pages.get("/customers/import/{id}/progress", TENANT)
async def progress(visit: Visit) -> Response:
    """How far it is: a piece of the page; once there is something else to see, the page itself."""
    found = await visit.api.get(_path(visit))
    if found["state"] not in RUNNING:
        return visit.go(f"/customers/import/{visit.path['id']}")
    return visit.page("import_progress.html", one=found)


@pages.get("/customers/import/{id}/left-out.csv", TENANT)
async def rejected(visit: Visit) -> Response:
    """The rows that were left out, to be corrected and imported again."""
    return await visit.file(f"{_path(visit)}/rejected", "text/csv", "left-out.csv")


@pages.post("/customers/import/{id}/start", KEEP)
async def start(visit: Visit) -> Response:
    """Import it as the form says; `try` only shows what would come of another reading of the columns."""
    mapping = _mapping(visit)
    if visit.text("do") == "try":
        return await _show(visit, mapping=mapping)
    body: dict[str, Any] = {name: visit.text(name).strip() for name in STATED}
    body["match"] = body["match"] or "person"
    try:
        await visit.api.post(f"{_path(visit)}/start", {**body, "mapping": mapping})
    except ApiProblem as problem:
        if problem.status not in REFUSED:
            raise
        return await _show(visit, mapping=mapping, errors=visit.wrong(problem, *STATED))
    return visit.go(f"/customers/import/{visit.path['id']}")


@pages.post("/customers/import/{id}/cancel", KEEP)
async def cancel(visit: Visit) -> Response:
    try:
        await visit.api.post(f"{_path(visit)}/cancel")
    except ApiProblem as problem:
        if problem.status not in REFUSED:
            raise
        return await _show(visit, errors=visit.wrong(problem))
    return visit.go(f"/customers/import/{visit.path['id']}")


async def _show(visit: Visit, *, mapping: dict[str, str] | None = None, errors: Errors | None = None) -> Response:
    found = await visit.api.get(_path(visit))
    wrong = list(errors or [])
    shown: Json | None = None
    if found["state"] == "preview":
        shown, wrong = await _preview(visit, mapping, wrong)
    listed: list[Json] = []
    if found["rejected"]:
        listed = (await visit.api.get(f"{_path(visit)}/errors", limit=_ERRORS_SHOWN))["items"]
    own, lists = await asyncio.gather(visit.api.get("/v1/own-fields"), visit.api.get("/v1/lists", limit=200))
    return visit.page(
        "import.html",
        status=422 if wrong else 200,
        one=found,
        preview=shown,
        listed=listed,
        errors=wrong,
        own=own["items"],
        lists=lists["items"],
        targets=TARGETS,
        modes=MODES,
        may=visit.who.role in KEEP,
    )


async def _preview(visit: Visit, mapping: dict[str, str] | None, wrong: Errors) -> tuple[Json, Errors]:
    """What the file holds, read as `mapping` says; as it was read before, where that cannot be."""
    path = f"{_path(visit)}/preview"
    try:
        return await visit.api.get(path, mapping=json.dumps(mapping) if mapping else None), wrong
    except ApiProblem as problem:
        if problem.status != 422 or not mapping:
            raise
        return await visit.api.get(path), [*wrong, *visit.wrong(problem)]


def _mapping(visit: Visit) -> dict[str, str]:
    """What each column holds, as the form says: `column.<place>` is the header, `holds.<place>` what it holds."""
    found = {}
    for name, header in visit.form.multi_items():
        if name.startswith("column.") and isinstance(header, str):
            holds = visit.text(f"holds.{name.removeprefix('column.')}")
            found[header] = header if holds == "own" else holds
    return found


def _path(visit: Visit) -> str:
    return f"/v1/customers/imports/{visit.path['id']}"
