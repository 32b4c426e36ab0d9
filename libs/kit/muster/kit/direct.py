"""Routes that are called often enough for FastAPI's model layer to be the dearest part of them.

    router = APIRouter(prefix="/v1", route_class=DirectRoute)

    @router.post("/messages", status_code=202, response_model=MessageOut, openapi_extra=documented(MessageIn))
    async def send_message(request: Request, caller: Annotated[Caller, requires(Permission.SEND)]) -> Response: ...

The endpoint reads the body itself and gives a Response; its permission holds, and is seen, as anywhere.
Where its path has no parameters the edge calls it straight away (`straight`): what lies between them in FastAPI costs
twice what such a route does.
"""

import json
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, TypeVar

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from muster.kit.auth import Guard
from muster.kit.idempotency import HEADER, KEY_SCHEMA

M = TypeVar("M", bound=BaseModel)
Handlers = Mapping[int | type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]]


class DirectRoute(APIRoute):
    """A route whose endpoint takes the request and its caller, and nothing else that FastAPI would have to solve."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Called by FastAPI, once."""
        dependencies = self.dependant.dependencies
        guard = dependencies[0].call if len(dependencies) == 1 else None
        if not isinstance(guard, Guard) or self.body_field is not None:
            raise TypeError(f"{self.name} takes a request and a caller: what else it needs, it reads itself")
        endpoint = self.endpoint

        async def handle(request: Request) -> Response:
            response: Response = await endpoint(request, await guard.caller_of(request))
            return response

        return handle


def straight(routers: Iterable[APIRouter], handlers: Handlers) -> dict[tuple[str, str], ASGIApp]:
    """By method and path: what answers requests to the direct routes of these routers. `handlers`: of exceptions."""
    return {
        (method, route.path): _Straight(route, handlers)
        for router in routers
        for route in router.routes
        if isinstance(route, DirectRoute) and "{" not in route.path
        for method in route.methods or ()
    }


class _Straight:
    """A direct route as an application of its own."""

    def __init__(self, route: DirectRoute, handlers: Handlers) -> None:
        self._route = route
        self._handle = route.get_route_handler()
        self._handlers = handlers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = self._route
        request = Request(scope, receive, send)
        try:
            response = await self._handle(request)
        except Exception as error:
            handler = next((self._handlers[kind] for kind in type(error).__mro__ if kind in self._handlers), None)
            if handler is None:
                raise
            response = await handler(request, error)
        await response(scope, receive, send)


def documented(*models: type[BaseModel]) -> dict[str, Any]:
    """What OpenAPI says of such a route's body, which is as one of these, and of its idempotency key."""
    schemas = [_inline(model.model_json_schema()) for model in models]
    schema = schemas[0] if len(schemas) == 1 else {"oneOf": schemas}
    return {
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "parameters": [{"name": HEADER, "in": "header", "required": False, "schema": KEY_SCHEMA}],
    }


def _inline(schema: Any, known: Mapping[str, Any] | None = None) -> Any:
    """The schema with what it refers to in its place: a part of a larger document has no definitions of its own."""
    if isinstance(schema, list):
        return [_inline(one, known) for one in schema]
    if not isinstance(schema, dict):
        return schema
    known = known or schema.get("$defs", {})
    if "$ref" in schema:
        return _inline(known[schema["$ref"].rpartition("/")[2]], known)
    return {name: _inline(value, known) for name, value in schema.items() if name != "$defs"}


async def body_of(request: Request) -> bytes:
    """The body of a request, which `request.body()` gives too from then on; ClientDisconnect where it breaks off."""
    message = await request.receive()
    if message["type"] != "http.request":
        raise ClientDisconnect
    raw: bytes = message.get("body", b"")
    while message.get("more_body", False):
        message = await request.receive()
        if message["type"] != "http.request":
            raise ClientDisconnect
        raw += message.get("body", b"")
    request._body = raw  # where Starlette keeps it
    return raw


def read_body(model: type[M], request: Request, raw: bytes) -> M:
    """A body read by its model, with every word that FastAPI would have had about it; for what a quicker reader of the
    route's own has refused."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json" and not content_type.endswith("+json"):
        raise RequestValidationError([_wrong("model_attributes_type", ("body",), "must be JSON")], body=raw)
    if not raw:
        raise RequestValidationError([_wrong("missing", ("body",), "is needed")], body=None)
    try:
        given = json.loads(raw)
    except json.JSONDecodeError as error:
        wrong = _wrong("json_invalid", ("body", error.pos), "JSON decode error")
        raise RequestValidationError([{**wrong, "ctx": {"error": error.msg}}], body=error.doc) from error
    except (ValueError, RecursionError) as error:
        raise HTTPException(400) from error
    try:
        return model.model_validate(given)
    except ValidationError as error:
        found = [{**one, "loc": ("body", *one["loc"])} for one in error.errors()]
        raise RequestValidationError(found, body=given) from error


def _wrong(kind: str, place: tuple[str | int, ...], message: str) -> dict[str, Any]:
    return {"type": kind, "loc": place, "msg": message, "input": None}
