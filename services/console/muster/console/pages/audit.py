"""Who did what, and when."""

import re
from datetime import date, datetime, time, timedelta
from itertools import groupby
from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from muster.console.routing import Pages
from muster.console.visit import Visit
from muster.kit.acts import Act
from muster.kit.permissions import Permission

pages = Pages()

_PAGE: Final = 50
_ACTS: Final = {kind: list(acts) for kind, acts in groupby(Act, lambda act: act.kind)}
_PAGES: Final = {"bulk-sms": "/sends", "customer": "/customers"}
"""Where what was acted on is shown, by its kind."""
_LONG: Final = re.compile(r"[0-9a-f-]{26,}(?=[0-9a-f-]{6})")


@pages.get("/settings/audit", Permission.READ_AUDIT.roles)
async def acts(visit: Visit) -> Response:
    asked = {name: visit.asked(name) or "" for name in ("user_id", "act", "from", "to")}
    first, last = _day(asked["from"]), _day(asked["to"])
    is_backwards = first is not None and last is not None and first > last
    found = {"items": []} if is_backwards else await visit.api.get("/v1/audit", **_query(visit, asked, first, last))
    users = (await visit.api.get("/v1/users", limit=500))["items"]
    older = {name: value for name, value in asked.items() if value} | {"cursor": found.get("next_cursor")}
    return visit.page(
        "audit.html",
        status=422 if is_backwards else 200,
        wrong=[("to", visit.t("audit.backwards"))] if is_backwards else [],
        acts=found["items"],
        older=f"/settings/audit?{urlencode(older)}" if older["cursor"] else None,
        names={one["id"]: one["name"] for one in users},
        short=_short,
        users=users,
        kinds=_ACTS,
        asked=asked,
        pages=_PAGES if visit.who.role in Permission.READ_SENDS.roles else {},
        is_first=visit.asked("cursor") is None,
    )


def _query(visit: Visit, asked: dict[str, str], first: date | None, last: date | None) -> dict[str, object]:
    days = {"from": _midnight(visit, first), "to": _midnight(visit, last and last + timedelta(days=1))}
    # A bookmark may hold an act that another version knew.
    act = asked["act"] if asked["act"] in Act.__members__.values() else None
    return {"limit": _PAGE, "cursor": visit.asked("cursor"), "user_id": asked["user_id"] or None, "act": act, **days}


def _short(subject_id: str) -> str:
    """An id by its end, in which ids differ: the rest of it is of no use to people."""
    return _LONG.sub("…", subject_id)


def _day(text: str) -> date | None:
    """A day as a date field gives it; None for what is none, or has no day after it."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if date.min < day < date.max else None


def _midnight(visit: Visit, day: date | None) -> str | None:
    return None if day is None else datetime.combine(day, time(), visit.f.zone).isoformat()
