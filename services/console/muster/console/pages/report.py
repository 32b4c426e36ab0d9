"""What became of each message of a send: counts, who was left out, what it cost, every message with its replies."""

import asyncio
import json
import zlib
from typing import Any

from starlette.responses import Response, StreamingResponse

from muster.console import report_file
from muster.console.client import ApiProblem, Json
from muster.console.nav import TENANT
from muster.console.routing import Pages
from muster.console.visit import Visit

pages = Pages()

_PAGE = 50
STATUSES = (
    *("delivered", "accepted", "undelivered", "expired", "rejected", "unknown"),
    *("stopped", "suppressed", "submitting", "queued"),
)
"""How a message may stand, as the report's filter takes it."""


@pages.get("/sends/{id}/report", TENANT)
async def report(visit: Visit) -> Response:
    """All messages, or by the query those of one status; the address holds no number and no text."""
    return await _show(visit, {"status": _status(visit.asked("status") or "")})


@pages.post("/sends/{id}/report", TENANT)
async def filtered(visit: Visit) -> Response:
    """The messages that a form asks for, and the pages after the first."""
    return await _show(visit, _filter(visit))


@pages.post("/sends/{id}/report/latest", TENANT)
async def latest(visit: Visit) -> Response:
    """Counts and messages again, where anything of them has changed since `mark`; else 204."""
    found = await _found(visit, _filter(visit))
    if found["mark"] == visit.text("mark"):
        return Response(status_code=204)
    return visit.page("report_rows.html", is_piece=True, **found)


@pages.post("/sends/{id}/report.csv", TENANT)
async def file(visit: Visit) -> Response:
    """The messages that the filter fits, as a file, however many they are."""
    send = await visit.api.get(f"/v1/bulk-sms/{visit.path['id']}")
    asked = {**_filter(visit), "bulk_id": send["id"], "limit": report_file.PAGE}
    # The first page is asked for before the answer begins, so that what is refused is said on a page.
    first = await visit.api.get("/v1/reports/sms", **asked)
    name = f"report-{send['created_at'][:10]}-{send['id'][:8]}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return StreamingResponse(report_file.lines(visit, asked, first), headers=headers, media_type="text/csv")


async def _show(visit: Visit, asked: dict[str, str | None]) -> Response:
    try:
        found = await _found(visit, asked)
    except ApiProblem as problem:
        if problem.status != 422:
            raise
        found = await _found(visit, {"status": asked["status"]})
        errors = visit.wrong(problem, "number", "text")
        return visit.page("report.html", status=422, errors=errors, **{**found, "asked": {**found["asked"], **asked}})
    return visit.page("report.html", errors=[], **found)


async def _found(visit: Visit, asked: dict[str, str | None]) -> dict[str, Any]:
    """All that the page shows. `mark` stands for it: another mark is another page."""
    bulk_id, cursor = visit.path["id"], visit.text("cursor") or None
    send, progress, page = await asyncio.gather(
        visit.api.get(f"/v1/bulk-sms/{bulk_id}"),
        _progress(visit, bulk_id),
        visit.api.get("/v1/reports/sms", bulk_id=bulk_id, limit=_PAGE, cursor=cursor, **asked),
    )
    counts = {name: progress[name] for name in STATUSES if progress.get(name)}
    money = progress.get("credits")
    shown = {"counts": counts, "money": money, "items": page["items"], "left_out": send["left_out"]}
    return {
        "send": send,
        "asked": {"status": None, "number": None, "text": None, **asked},
        "statuses": STATUSES,
        "counts": counts,
        "recipients": progress.get("recipients") or send["recipients"] or 0,
        "money": money,
        "left_out": [(reason, count) for reason, count in (send["left_out"] or {}).items() if count],
        "messages": page["items"],
        "cursor": page.get("next_cursor"),
        "is_first": cursor is None,
        "is_over": bool(progress.get("closed")),
        "mark": f"{zlib.crc32(json.dumps(shown, sort_keys=True).encode()):08x}",
    }


async def _progress(visit: Visit, bulk_id: str) -> Json:
    """{} until the report has heard of the send."""
    try:
        return await visit.api.get(f"/v1/bulk-sms/{bulk_id}/progress")
    except ApiProblem as problem:
        if problem.status != 404:
            raise
        return {}


def _filter(visit: Visit) -> dict[str, str | None]:
    return {
        "status": _status(visit.text("status")),
        "number": visit.text("number").strip() or None,
        "text": visit.text("text").strip() or None,
    }


def _status(given: str) -> str | None:
    return given if given in STATUSES else None
