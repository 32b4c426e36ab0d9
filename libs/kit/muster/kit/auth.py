"""Who may call what: every route either names its permission with `requires`, or is `public`, and a test sees which.

For example, a route for those who may send:

    @router.post("/v1/quotes")
    async def quote(body: Ask, caller: Annotated[Caller, requires(Permission.SEND)], tx: Annotated[Tx, tenant_tx]): ...

`caller` comes from the token alone; `tx` is the caller's tenant's.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar, cast
from uuid import UUID
from weakref import WeakValueDictionary

from fastapi import Depends, FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from muster.kit import metrics, observe
from muster.kit.edge import exchange
from muster.kit.permissions import Permission
from muster.kit.pg import Database, Tx
from muster.kit.problems import forbidden, not_found, unauthorized, unavailable
from muster.kit.query import refuse_unknown
from muster.kit.tokens import Caller, Fetch, Keys, KeysUnavailable, Role, TokenRefused, Verifier

__all__ = [
    "PUBLIC",
    "Begin",
    "Caller",
    "Fetch",
    "Keys",
    "Permission",
    "Role",
    "TokenRefused",
    "Tx",
    "Verifier",
    "public",
    "requires",
    "route_permissions",
    "slow_tenant_tx",
    "slow_turn",
    "tenant_tx",
    "tx_of_tenant",
]

PUBLIC: Final = "public"

_bearer = HTTPBearer(auto_error=False, bearerFormat="JWT", scheme_name="token", description="from POST /v1/token")
_PUBLIC_MARK = "__muster_public__"

Begin = Callable[[UUID], AbstractAsyncContextManager[Tx]]
F = TypeVar("F", bound=Callable[..., Any])


async def _authenticated(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Caller:
    return await _verified(request, credentials.credentials if credentials is not None else None)


async def _verified(request: Request, token: str | None) -> Caller:
    if token is None:
        metrics.tokens_refused.labels("none").inc()
        raise unauthorized("none")
    verifier: Verifier = request.app.state.verifier
    try:
        caller = await verifier.verify(token)
    except TokenRefused as refused:
        metrics.tokens_refused.labels(refused.reason).inc()
        raise unauthorized(refused.reason) from refused
    except KeysUnavailable as error:
        raise unavailable("keys_unavailable", "The issuer's keys are not to be had yet.") from error
    observe.about_also(tenant_id=str(caller.tenant_id), user_id=caller.user_id)
    return caller


@dataclass(frozen=True)
class Guard:
    """The dependency that lets those pass who have a permission, who then hear what they ask for in vain: a filter of
    which nobody knows would give more than was asked for. Seen by `route_permissions`."""

    permission: Permission

    async def __call__(self, request: Request, caller: Annotated[Caller, Depends(_authenticated)]) -> Caller:
        """The caller; 401 without a valid token, 403 with another role, 422 for a query parameter that is not known."""
        if caller.role not in self.permission.roles:
            allowed = sorted(self.permission.roles)
            raise forbidden(
                f"This needs the role {' or '.join(allowed)}; yours is {caller.role}.",
                roles=allowed,
                permission=self.permission.key,
            )
        if request.scope["query_string"]:
            refuse_unknown(request)
        return caller

    async def caller_of(self, request: Request) -> Caller:
        """The same, straight from the request, where FastAPI solves no dependencies."""
        scheme, _, token = (exchange(request).header(b"authorization") or "").partition(" ")
        return await self(request, await _verified(request, token if token and scheme.lower() == "bearer" else None))


def requires(permission: Permission) -> Any:
    """A dependency that gives the Caller to routes: `caller: Annotated[Caller, requires(Permission.SEND)]`."""
    return Depends(Guard(permission))


def public(endpoint: F) -> F:
    """Mark a route that is meant for everyone. Put it below the router's decorator."""
    setattr(endpoint, _PUBLIC_MARK, True)
    return endpoint


async def _tenant_tx(request: Request, caller: Annotated[Caller, Depends(_authenticated)]) -> AsyncIterator[Tx]:
    db: Database = request.app.state.db
    async with db.request(caller.tenant_id) as tx:
        yield tx


# The scope makes the transaction end before the answer leaves: "201" is never said of what was not committed.
tenant_tx: Any = Depends(_tenant_tx, scope="function")
"""The transaction of the request, under the caller's tenant: `tx: Annotated[Tx, tenant_tx]`."""


_slow: Final[WeakValueDictionary[UUID, asyncio.Semaphore]] = WeakValueDictionary()


@asynccontextmanager
async def slow_turn(request: Request, tenant_id: UUID) -> AsyncIterator[None]:
    """A turn of a tenant at what may take long, to be had before a connection: those of one tenant have half of them at
    most, and other tenants do not wait with them."""
    most = max(1, request.app.state.settings.app_pool_max // 2)
    async with _slow.setdefault(tenant_id, asyncio.Semaphore(most)):
        yield


async def _slow_tenant_tx(request: Request, caller: Annotated[Caller, Depends(_authenticated)]) -> AsyncIterator[Tx]:
    db: Database = request.app.state.db
    async with slow_turn(request, caller.tenant_id), db.request(caller.tenant_id) as tx:
        yield tx


slow_tenant_tx: Any = Depends(_slow_tenant_tx, scope="function")
"""As `tenant_tx`, for routes that may take long, such as those that count an audience."""


async def _tx_of_tenant(request: Request, caller: Annotated[Caller, Depends(_authenticated)]) -> Begin:
    db: Database = request.app.state.db

    def begin(tenant_id: UUID) -> AbstractAsyncContextManager[Tx]:
        if caller.role is not Role.OPERATOR and tenant_id != caller.tenant_id:
            raise not_found("tenant")
        return db.request(tenant_id)

    return begin


tx_of_tenant: Any = Depends(_tx_of_tenant)
"""For operator routes on a named tenant: `begin: Annotated[Begin, tx_of_tenant]`, `async with begin(tenant) as tx:`."""


def route_permissions(app: FastAPI) -> dict[tuple[str, str], Permission | str | None]:
    """(method, path as it is documented) -> its permission, PUBLIC, or None for a route that nobody thought about."""
    found: dict[tuple[str, str], Permission | str | None] = {}
    for context in iter_route_contexts(app.routes):
        permission = _permission(context)
        for method in sorted(context.methods or ()):
            found[method, (context.path or "").replace(":path}", "}")] = permission
    return found


def _permission(context: Any) -> Permission | str | None:
    guards = _guards(cast(Dependant | None, getattr(context, "dependant", None)))
    if getattr(context.endpoint, _PUBLIC_MARK, False):
        return PUBLIC if not guards else None
    return guards[0] if len(guards) == 1 else None


def _guards(dependant: Dependant | None) -> list[Permission]:
    if dependant is None:
        return []
    own = [dependant.call.permission] if isinstance(dependant.call, Guard) else []
    return own + [permission for inner in dependant.dependencies for permission in _guards(inner)]
