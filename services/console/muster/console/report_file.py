"""The messages of a report as a CSV, page by page of the API: as much memory for a million as for a hundred.

The API has a CSV of its own, for programs: moments in UTC, and without the mark that spreadsheets need. Here it is for
people, so that moments are by the clock of the business; and a file of many minutes outlives what is away for a moment,
which one answer of the API does not.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from typing import Any, Final

from muster.console.client import Api, ApiProblem, Json
from muster.console.visit import Visit
from muster.text.cells import csv_lines

PAGE: Final = 500
"""Messages of one page; the most that the API gives at once."""

COLUMNS: Final = (
    *("id", "number", "text", "status", "sent_at", "status_at", "parts", "credits", "country", "sender"),
    *("carrier_status", "customer_id", "erased", "replies"),
)
_TRIES: Final = 5
_WAIT_S_MAX: Final = 30
# Spreadsheets take a file without it for one of an old code page, and show names and quotes wrongly.
_MARK: Final = "\ufeff"


async def lines(visit: Visit, asked: dict[str, Any], first: Json) -> AsyncIterator[str]:
    """The file, beginning with the page that is there already. Where it cannot be finished it breaks off, so that a
    browser says that the download has failed."""
    yield _MARK + ",".join(COLUMNS) + "\r\n"
    page = first
    while True:
        yield csv_lines(_row(visit, one) for one in page["items"])
        if not page.get("next_cursor"):
            return
        page = await _next(visit, {**asked, "cursor": page["next_cursor"]})


async def _next(visit: Visit, asked: dict[str, Any]) -> Json:
    """A further page, with a token that still holds; what is away for a moment is asked again."""
    for tried in range(1, _TRIES + 1):
        try:
            access = await visit.house.sessions.enter(visit.house.cookies.session(visit.request))
            return await Api(visit.house.http, access.token if access else "").get("/v1/reports/sms", **asked)
        except ApiProblem as problem:
            if tried == _TRIES or (problem.status != 429 and problem.status < 500):
                raise
            await asyncio.sleep(min(max(1, problem.retry_after_s), _WAIT_S_MAX))
    raise AssertionError("the last try returns or raises")


def _row(visit: Visit, message: Json) -> Iterable[object]:
    replies = " | ".join(one["text"] or "" for one in message["replies"])
    at = {name: _moment(visit, message[name]) for name in ("sent_at", "status_at")}
    values = {**message, **at, "replies": replies, "erased": "yes" if message["erased"] else ""}
    return (values[name] for name in COLUMNS)


def _moment(visit: Visit, value: str | None) -> str:
    """As a clock of the business shows it, to the second, with its offset."""
    return datetime.fromisoformat(value).astimezone(visit.f.zone).isoformat(timespec="seconds") if value else ""
