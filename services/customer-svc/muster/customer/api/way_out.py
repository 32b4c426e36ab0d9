"""GET /o/{token}: the page behind the link of a message, by which its recipient gets no more: one tap, nothing to type.

What only looks at a link, as mail scanners and previews do, changes nothing: the tap is a POST, which works without
scripts.
"""

import base64
import hashlib
from html import escape
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse

from muster.customer import events
from muster.customer.api.common import settings_of
from muster.customer.domain.links import TOKEN_CHARACTERS
from muster.customer.domain.suppression import Scope, Wish
from muster.customer.handlers import consents as handlers
from muster.customer.store import links as store
from muster.customer.store.links import Texted
from muster.kit import metrics
from muster.kit.auth import public
from muster.kit.desk import Desk
from muster.kit.outbox import emit

router = APIRouter(prefix="/o", default_response_class=HTMLResponse)

Token = Annotated[str, Path(description=f"{TOKEN_CHARACTERS} letters and digits, from a message")]
_SOURCE: Final = "link"
_BUTTON: Final = "Stop these texts"
_STYLE: Final = """
:root{color-scheme:light dark}
body{font:1.125rem/1.5 system-ui,sans-serif;max-width:28rem;margin:0 auto;padding:12vh 1.25rem}
h1{font-size:1.5rem;line-height:1.25;margin:0 0 1rem;overflow-wrap:anywhere}
button{font:inherit;font-weight:600;width:100%;min-height:3.25rem;border:0;border-radius:.5rem;
background:#14532d;color:#fff;cursor:pointer}
button:focus-visible{outline:3px solid #60a5fa;outline-offset:2px}
"""
_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        f"style-src 'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}
_PAGES: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "a page for people"},
    404: {"description": "a page that says the link is not known"},
}


@router.get("/{token}", responses=_PAGES)
@public
async def show_way_out(token: Token, request: Request) -> HTMLResponse:
    """The page of one recipient: who texts them, and the one button that ends it. Nothing changes by looking at it."""
    found = await _found(request, token)
    if found is None:
        return _unknown()
    _, texted = found
    return _ended(texted) if texted.stopped else _offered(texted)


@router.post("/{token}", responses=_PAGES)
@public
async def take_way_out(token: Token, request: Request) -> HTMLResponse:
    """Text this number no more with marketing: what is queued for it does not leave either. Again changes nothing."""
    found = await _found(request, token)
    if found is None:
        return _unknown()
    tenant_id, texted = found
    if not texted.stopped:
        wish = Wish(suppressed=True, scope=Scope.MARKETING, source=_SOURCE, wording=_BUTTON)
        async with request.app.state.db.request(tenant_id) as tx:
            version = await handlers.fulfil(tx, tenant_id, texted.number_hash, wish)
            await emit(tx, events.suppression_changed(tenant_id, version))
        metrics.ways_out.labels("taken").inc()
    return _ended(texted)


async def _found(request: Request, token: str) -> tuple[UUID, Texted] | None:
    """The business and the recipient of a link. One that was made up is known as such without asking the database."""
    place = settings_of(request).links.read(token)
    if place is None:
        metrics.ways_out.labels("unknown").inc()
        return None
    desk: Desk = request.app.state.desk
    send = await desk.ask(lambda tx: store.send_of(tx, place.send))
    if send is None:
        return None
    tenant_id, bulk_id = send
    async with request.app.state.db.request(tenant_id) as tx:
        texted = await store.texted(tx, tenant_id, bulk_id, place.chunk, place.nth)
    return None if texted is None else (tenant_id, texted)


def _offered(texted: Texted) -> HTMLResponse:
    business = escape(texted.business)
    said = f"<p>{business} texts you news and offers. One tap, and that ends.</p>"
    return _page(f"Stop texts from {business}?", f'{said}<form method="post"><button>{_BUTTON}</button></form>')


def _ended(texted: Texted) -> HTMLResponse:
    business = escape(texted.business)
    said = f"<p>{business} sends you no more news and offers by text. You need do nothing else.</p>"
    return _page("You get no more of these texts", said)


def _unknown() -> HTMLResponse:
    said = "<p>Please open the link again as it stands in your message: a character of it may be missing.</p>"
    return _page("This link is not known", said, status=404)


def _page(title: str, content: str, status: int = 200) -> HTMLResponse:
    """title and content: HTML."""
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{title}</h1>{content}</main></body></html>"
    )
    return HTMLResponse(page, status, headers=_HEADERS)
