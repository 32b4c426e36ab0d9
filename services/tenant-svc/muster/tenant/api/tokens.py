"""POST /v1/token (RFC 6749: by an API key, or by a session) and the JWKS that its tokens are checked with."""

import base64
import binascii
import hmac
import json
from hashlib import sha256
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote

from fastapi import APIRouter, Request, Response

from muster.kit import clock
from muster.kit.auth import Caller, Role, public
from muster.kit.desk import Desk
from muster.kit.http import Model, allow
from muster.kit.pg import Tx
from muster.kit.problems import Problem, unavailable
from muster.tenant import domain, store
from muster.tenant.api.keyring import Keyring, NoSigningKey
from muster.tenant.api.opening import sign
from muster.tenant.domain import Credential
from muster.tenant.domain.sign_in import SEEN_STEP, Account, Session, digest, is_open
from muster.tenant.settings import TenantSettings
from muster.tenant.store import sign_in

router = APIRouter()

_BY_KEY = "client_credentials"
_BY_SESSION = "refresh_token"
_FIELDS = ("grant_type", "client_id", "client_secret", "refresh_token")
_FIELD_CHARS_MAX = 256
_BODY_BYTES_MAX = 8_192
_JWKS_MAX_AGE_S = 60
# Compared with where there is no such client, so that the answer takes as long.
_NOBODY = bytes(32)


class Token(Model):
    """An access token."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - the name of the scheme
    expires_in: int


class ByKey(NamedTuple):
    """A client's credentials, as they came."""

    client_id: str
    client_secret: str


class BySession(NamedTuple):
    """The token of a session, as it came."""

    refresh_token: str


_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["grant_type"],
    "properties": {name: {"type": "string"} for name in _FIELDS},
}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            media_type: {"schema": _SCHEMA} for media_type in ("application/json", "application/x-www-form-urlencoded")
        },
    }
}


@router.post("/v1/token", dependencies=[allow(body_bytes_max=_BODY_BYTES_MAX)], openapi_extra=_BODY)
@public
async def issue_token(request: Request) -> Token:
    """Exchange an API key for a token, or the token of a session (`refresh_token`) for one that lives a minute.
    Credentials by JSON, by form, or by HTTP Basic."""
    asked = _asked(request, await request.body())
    return await (_of_session(request, asked) if isinstance(asked, BySession) else _of_key(request, asked))


async def _of_session(request: Request, asked: BySession) -> Token:
    desk: Desk = request.app.state.desk
    settings: TenantSettings = request.app.state.settings

    async def look_up(tx: Tx) -> tuple[Session, Account] | None:
        now = clock.now()
        session = await sign_in.session_of(tx, digest(asked.refresh_token))
        if session is None or not is_open(session, now, settings.session_idle):
            return None
        if now - session.seen_at > SEEN_STEP:
            await sign_in.note_seen(tx, session.tenant_id, session.session_id)
        account = await sign_in.account(tx, session.tenant_id, session.user_id)
        return (session, account) if account else None

    found = await desk.ask(look_up)
    if found is None:
        raise Problem(400, "invalid_grant", "The session has ended", "Sign in again.", error="invalid_grant")
    session, account = found
    if account.suspended:
        raise suspended()
    return Token(access_token=sign(request, account, session), expires_in=settings.tenant_session_token_s)


async def _of_key(request: Request, asked: ByKey) -> Token:
    desk: Desk = request.app.state.desk
    keyring: Keyring = request.app.state.keyring
    settings: TenantSettings = request.app.state.settings

    async def look_up(tx: Tx) -> Credential | None:
        found = await store.credential(tx, asked.client_id)
        if _holds(found, asked.client_secret) and found and domain.is_use_worth_noting(found, clock.now()):
            await store.note_use(tx, found.tenant_id, found.key_id)
        return found

    credential = await desk.ask(look_up)
    if credential is None or not _holds(credential, asked.client_secret):
        raise _refused()
    if credential.tenant_suspended:
        raise suspended()
    caller = Caller(
        credential.tenant_id,
        str(credential.user_id),
        Role(credential.role),
        credential.client_id,
        country=credential.country,
    )
    try:
        return Token(access_token=keyring.sign(caller, settings.tenant_token_s), expires_in=settings.tenant_token_s)
    except NoSigningKey as error:
        raise unavailable("keys_unavailable", "The signing keys were not read yet.") from error


@router.get("/.well-known/jwks.json", name="jwks")
@public
async def jwks(request: Request, response: Response) -> dict[str, Any]:
    """The public keys of tokens."""
    keyring: Keyring = request.app.state.keyring
    response.headers["Cache-Control"] = f"public, max-age={_JWKS_MAX_AGE_S}"
    try:
        return keyring.jwks()
    except NoSigningKey as error:
        raise unavailable("keys_unavailable", "The signing keys were not read yet.") from error


def _holds(credential: Credential | None, client_secret: str) -> bool:
    given = sha256(client_secret.encode("utf-8", "surrogatepass")).digest()
    is_right = hmac.compare_digest(credential.secret_hash if credential else _NOBODY, given)
    return is_right and credential is not None and domain.may_have_token(credential, clock.now())


def _asked(request: Request, body: bytes) -> ByKey | BySession:
    fields = _fields(request.headers.get("content-type", ""), body)
    unknown = sorted(fields.keys() - set(_FIELDS) - {"scope"})
    if unknown:
        raise _invalid("invalid_request", "is not a field that is known here", unknown[0])
    if fields.get("grant_type") == _BY_SESSION:
        if not fields.get("refresh_token"):
            raise _invalid("invalid_request", "is needed", "refresh_token")
        return BySession(fields["refresh_token"])
    by_header = _by_basic(request.headers.get("authorization", ""))
    if by_header and fields.get("client_secret"):
        raise _invalid("invalid_request", "credentials came twice: by header and by body", "client_secret")
    client_id, client_secret = by_header or (fields.get("client_id", ""), fields.get("client_secret", ""))
    for name, value in (("grant_type", fields.get("grant_type", "")), ("client_id", client_id)):
        if not value:
            raise _invalid("invalid_request", "is needed", name)
    if fields["grant_type"] != _BY_KEY:
        raise _invalid("unsupported_grant_type", f"must be {_BY_KEY} or {_BY_SESSION}", "grant_type")
    if max(len(client_id), len(client_secret)) > _FIELD_CHARS_MAX or "\x00" in client_id:
        raise _refused()
    return ByKey(client_id, client_secret)


def _fields(content_type: str, body: bytes) -> dict[str, str]:
    media_type = content_type.partition(";")[0].strip().lower()
    try:
        if media_type == "application/json":
            fields = json.loads(body)
        elif media_type == "application/x-www-form-urlencoded":
            fields = dict(
                parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=10)
            )
        else:
            raise _unread()
    except json.JSONDecodeError as error:
        message = f"{error.msg} at line {error.lineno} column {error.colno} (character {error.pos})"
        errors = [{"field": "body", "code": "malformed_json", "message": message}]
        raise Problem(422, "malformed_json", "The body is not JSON", message, errors=errors) from error
    except (ValueError, RecursionError) as error:
        raise _invalid("invalid_request", "cannot be read", "body") from error
    if not isinstance(fields, dict) or not all(isinstance(value, str) for value in fields.values()):
        raise _invalid("invalid_request", "must be an object of texts", "body")
    return fields


def _by_basic(header: str) -> ByKey | None:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        client_id, colon, client_secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise _refused() from error
    if not colon:
        raise _refused()
    return ByKey(unquote(client_id), unquote(client_secret))


def _unread() -> Problem:
    detail = "Send application/json or application/x-www-form-urlencoded."
    title = "The body is not of a type that is read here"
    return Problem(415, "unsupported_media_type", title, detail, field="Content-Type")


def _refused() -> Problem:
    problem = Problem(401, "invalid_client", "Client id and secret do not hold", error="invalid_client")
    return problem.with_headers({"WWW-Authenticate": 'Basic realm="muster"'})


def suspended() -> Problem:
    """Said to those alone whose secret holds."""
    detail = "The operator has suspended this business: it gets no tokens, and nothing is sent for it."
    return Problem(403, "tenant_suspended", "This business is suspended", detail, error="unauthorized_client")


def _invalid(code: str, message: str, field: str) -> Problem:
    errors = [{"field": field, "code": code, "message": message}]
    return Problem(400, code, "The request for a token is not valid", f"{field}: {message}", error=code, errors=errors)
