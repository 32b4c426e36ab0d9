"""What keeps pages from being used by others: cookies, forms that only we have made, headers."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from urllib.parse import urlsplit

from cryptography.fernet import Fernet, InvalidToken
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from muster.kit.edge import address_of

_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self';"
    " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {
    b"content-security-policy": _CSP.encode(),
    b"referrer-policy": b"same-origin",
    b"x-frame-options": b"DENY",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_HSTS = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")
_VISIT_S_MAX = 86_400


class Headers:
    """Middleware: the security headers of every answer, errors too."""

    def __init__(self, app: ASGIApp, *, is_secure: bool) -> None:
        self._app = app
        self._added = [*_HEADERS.items(), *((_HSTS,) if is_secure else ())]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *self._added]}
            await send(message)

        await self._app(scope, receive, headed)


class Cookies:
    """The two cookies of a browser: its session, and one for those who have none yet, to which their forms are bound.

    Where browsers come by https their names say that no other host can have set them.
    """

    def __init__(self, *, is_secure: bool) -> None:
        self._is_secure = is_secure
        prefix = "__Host-" if is_secure else ""
        self._session, self._visit = f"{prefix}muster_session", f"{prefix}muster_visit"

    def session(self, request: Request) -> str:
        """The session's token, "" without one."""
        return request.cookies.get(self._session, "")

    def bound(self, request: Request) -> str:
        """What forms of this browser are bound to; "" where it has nothing yet."""
        return self.session(request) or request.cookies.get(self._visit, "")

    def begin_visit(self, response: Response, value: str) -> None:
        """Give a browser without a session what its forms are bound to."""
        self._set(response, self._visit, value, _VISIT_S_MAX)

    def begin_session(self, response: Response, token: str, age_s: int) -> None:
        """Keep a session for as long as it lasts."""
        self._set(response, self._session, token, age_s)

    def end_session(self, response: Response) -> None:
        """Forget it."""
        self._set(response, self._session, "", 0)

    def _set(self, response: Response, name: str, value: str, age_s: int) -> None:
        response.set_cookie(name, value, max_age=age_s, httponly=True, samesite="lax", secure=self._is_secure, path="/")


def new_visit() -> str:
    """A secret for a browser that has none."""
    return secrets.token_urlsafe(24)


def form_token(bound: str) -> str:
    """What each form carries: only who knows the HttpOnly cookie can make it."""
    return hmac.new(bound.encode(), b"muster.console.form", hashlib.sha256).hexdigest()


def is_own_form(bound: str, given: str) -> bool:
    """Whether a form carries what belongs to this browser."""
    return bool(bound) and hmac.compare_digest(form_token(bound), given)


def is_own_origin(headers: Mapping[str, str]) -> bool:
    """Whether a request comes from a page of ours, as far as the browser says where from."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host")


def origin(request: Request) -> dict[str, str]:
    """From where a browser comes, for the API: there guesses are counted by address, and sessions list both."""
    address = address_of(request)
    agent = "".join(c for c in request.headers.get("user-agent", "") if c.isascii() and c.isprintable())
    return {"X-Forwarded-For": address, "User-Agent": agent[:300] or "unknown"} if address.isascii() else {}


def own_path(given: str) -> str:
    """Where to go after signing in: a path of ours, "/" for whatever else was asked for."""
    is_plain = given.startswith("/") and not given.startswith("//") and "\\" not in given
    return given if is_plain and given.isprintable() and given.isascii() and len(given) <= 300 else "/"


def sealed(session: str, text: str) -> str:
    """A text as addresses may hold it: only this session can read it, wherever addresses are kept."""
    return _seal_of(session).encrypt(text.encode()).decode("ascii")


def unsealed(session: str, token: str, age_s_max: int | None = None) -> str | None:
    """The text; None for what no such session has sealed, or not in the last seconds."""
    try:
        return _seal_of(session).decrypt(token, ttl=age_s_max).decode()
    except (InvalidToken, ValueError):
        # A ValueError is for what has other letters than a seal has.
        return None


def _seal_of(session: str) -> Fernet:
    key = hashlib.blake2b(session.encode(), digest_size=32, person=b"console address").digest()
    return Fernet(base64.urlsafe_b64encode(key))
