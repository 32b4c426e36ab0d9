"""A new message: whom it is for, what it says, and what that comes to as one types."""

import asyncio
from collections.abc import Awaitable
from dataclasses import replace

from starlette.responses import Response

from muster.console.client import ApiProblem, Json
from muster.console.draft import Draft
from muster.console.nav import SENDERS
from muster.console.quoted import shown
from muster.console.routing import Pages
from muster.console.strings import has
from muster.console.visit import Errors, Visit

pages = Pages()

_CHOICES_MAX = 100
# Where nothing is written yet, whom it would go to is told by a text that says next to nothing.
_NOTHING_YET = "…"
_FIELDS = {
    "audience.query": "query",
    "audience.saved_search": "saved",
    "audience.list": "list_name",
    "audience.tag": "tag",
    "audience.exclude.messaged_in_days": "not_days",
    "audience.exclude.tags": "not_tags",
    "audience.exclude.lists": "not_lists",
    "template_id": "text",
}


@pages.get("/compose", SENDERS)
async def show(visit: Visit) -> Response:
    return await _form(visit, Draft(), [])


@pages.post("/compose", SENDERS)
async def check(visit: Visit) -> Response:
    """The button Check; without scripts also those that use a template or replace what is dear."""
    draft = Draft.of(visit)
    act = visit.text("do")
    if act == "template":
        found = [one for one in (await _choices(visit))["templates"] if one["id"] == draft.template]
        return await _form(visit, replace(draft, text=found[0]["text"]) if found else draft, [])
    if act == "plain":
        return await _form(visit, replace(draft, text=await _plain(visit, draft)), [])
    if act == "edit":
        return await _form(visit, draft, [])
    if not draft.text.strip():
        return await _form(visit, draft, [("text", visit.t("compose.text_needed"))])
    try:
        quote = await visit.api.post("/v1/quotes", await _asked(visit, draft))
    except ApiProblem as problem:
        if problem.status not in (400, 404, 409, 422):
            raise
        return await _form(visit, draft, _errors(visit, problem))
    return visit.go(f"/check/{quote['id']}")


@pages.post("/compose/figures", SENDERS)
async def figures(visit: Visit) -> Response:
    """What the message comes to now: a piece of the page."""
    draft = Draft.of(visit)
    is_empty = not draft.text.strip()
    asked = replace(draft, text=_NOTHING_YET) if is_empty else draft
    try:
        quote = await visit.api.post("/v1/quotes", await _asked(visit, asked))
    except ApiProblem as problem:
        if problem.status not in (400, 404, 409, 422):
            raise
        return visit.page("compose_piece.html", quote=None, errors=_errors(visit, problem))
    told = shown(quote, is_empty=is_empty)
    return visit.page("compose_piece.html", errors=[], characters=len(draft.text), **told)


async def _plain(visit: Visit, draft: Draft) -> str:
    """The text with each offered replacement made."""
    quote = await visit.api.post("/v1/quotes", draft.asked([]))
    costly = (quote.get("advice") or {}).get("costly", [])
    text = draft.text
    for one in (one for group in costly if group["where"] == "text" for one in group["characters"]):
        if one["replacement"] is not None:
            text = text.replace(one["text"], one["replacement"])
    return text


async def _form(visit: Visit, draft: Draft, errors: Errors) -> Response:
    status = 422 if errors else 200
    return visit.page("compose.html", status=status, draft=draft, errors=errors, **await _choices(visit))


async def _choices(visit: Visit) -> dict[str, list[Json]]:
    """What can be chosen among; what is not to be had now is not offered."""
    templates, lists, searches, senders, own = await asyncio.gather(
        _templates(visit),
        _items(visit.api.get("/v1/lists", limit=_CHOICES_MAX)),
        _items(visit.api.get("/v1/searches", limit=_CHOICES_MAX)),
        _items(visit.api.get("/v1/senders", standing="active", limit=_CHOICES_MAX)),
        _items(visit.api.get("/v1/own-fields")),
    )
    return {"templates": templates, "lists": lists, "searches": searches, "senders": senders, "own_fields": own}


async def _asked(visit: Visit, draft: Draft) -> Json:
    """What a quote is asked with; templates are looked at only where one was chosen."""
    return draft.asked(await _templates(visit) if draft.template else [])


async def _templates(visit: Visit) -> list[Json]:
    return await _items(visit.api.get("/v1/templates", limit=_CHOICES_MAX))


async def _items(asked: Awaitable[Json]) -> list[Json]:
    try:
        return list((await asked)["items"])
    except ApiProblem as problem:
        if problem.status == 401:
            raise
        return []


def _errors(visit: Visit, problem: ApiProblem) -> Errors:
    """Each error at the field of the form that it is about."""
    found = []
    for one in problem.errors:
        field, message = str(one.get("field", "")), str(one.get("message", ""))
        name = next((name for path, name in _FIELDS.items() if field.startswith(path)), field)
        if has(help_ := f"compose.help_{one.get('code')}"):
            message = f"{message} {visit.t(help_)}"
        if field == "audience" and one.get("code") == "audience_empty" and problem.document.get("left_out"):
            message = _nobody(visit, problem.document["left_out"])
        elif field == "audience":
            message = visit.t("compose.audience_wrong", message=message)
        found.append((name if name in ("text", *_FIELDS.values()) else "", message))
    return found or [("", problem.says)]


def _nobody(visit: Visit, left_out: Json) -> str:
    """Why nobody of an audience gets it, in the words of the list beside it, and what would let them."""
    reasons = [
        (visit.t(f"reason.{word}", n=n) if has(f"reason.{word}") else word, n) for word, n in left_out.items() if n
    ]
    said = ", ".join(visit.t("compose.reason", n=n, reason=reason) for reason, n in reasons)
    help_ = visit.t("compose.help_no_consent") if left_out.get("no_consent") else ""
    return f"{visit.t('compose.nobody', reasons=said)} {help_}".strip()
