"""The HTTP edge of a service: one FastAPI app, problem documents for everything that goes wrong, strict models."""

import json
import re
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Annotated, Any

import asyncpg
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, Strict
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from muster.kit import observe, problems
from muster.kit.desk import Desk, DeskFull
from muster.kit.direct import straight
from muster.kit.edge import Edge, Exchange, exchange, problem_response, route_template
from muster.kit.pg import RETRIABLE
from muster.kit.problems import Problem
from muster.kit.settings import HttpSettings

__all__ = ["Flag", "Int", "Model", "Moment", "allow", "create_app", "exchange", "problem_response", "route_template"]

log = observe.logger(__name__)

_BIGINT_MAX = 2**63 - 1
_ERRORS_MAX = 100
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

Int = Annotated[int, Strict(), Field(ge=-_BIGINT_MAX - 1, le=_BIGINT_MAX)]
"""A JSON number without a fraction that fits a bigint; "5", 5.0 and true are refused."""

Flag = Annotated[bool, Strict()]
"""true or false; 1 and "yes" are refused."""

_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_MOMENTS = datetime(1900, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


def _only_rfc_3339(given: Any) -> Any:
    if isinstance(given, datetime) or (isinstance(given, str) and _RFC_3339.fullmatch(given)):
        return given
    raise ValueError("must be a time in RFC 3339 with its offset from UTC, such as 2026-11-23T17:00:00+11:00")


def _in_utc(moment: datetime) -> datetime:
    if not _MOMENTS[0] <= moment < _MOMENTS[1]:
        raise ValueError(f"must be from {_MOMENTS[0].year} to {_MOMENTS[1].year - 1}")
    return moment.astimezone(UTC)


Moment = Annotated[AwareDatetime, BeforeValidator(_only_rfc_3339), AfterValidator(_in_utc)]
"""A time as RFC 3339 writes it, in UTC once it is read; numbers, dates and local times are refused."""

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]
Handler = Callable[[Request, Any], Coroutine[Any, Any, Response]]


class Model(BaseModel):
    """What comes in and what goes out as JSON: unknown fields are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False)


class _App(FastAPI):
    """An app whose OpenAPI document says once what each of its operations answers when it goes wrong."""

    def openapi(self) -> dict[str, Any]:
        document = super().openapi()
        for kind, members in problems.COMPONENTS.items():
            document.setdefault("components", {}).setdefault(kind, {}).update(members)
        return document


def create_app(
    service: str, *, routers: Sequence[APIRouter], state: Mapping[str, Any], lifespan: Lifespan | None = None
) -> FastAPI:
    """The app of `service` ("credit"). `state` becomes app.state.

    The kit uses `db` (Database), `verifier` (auth.Verifier) and `settings` (HttpSettings); the desk, by which a request
    hands work to the worker role, is made here. With an empty state the app still gives its OpenAPI document.
    """
    settings: HttpSettings = state.get("settings") or HttpSettings()
    observe.name_service(service)
    development = settings.environment == "development"
    app = _App(
        title=f"Muster: {service}",
        version="1",
        docs_url="/docs" if development else None,
        redoc_url=None,
        openapi_url="/openapi.json" if development else None,
        redirect_slashes=False,
        lifespan=lifespan,
        exception_handlers=_handlers(),
        middleware=[Middleware(Edge, settings=settings, straight=straight(routers, _handlers()))],
        responses=dict(problems.ANSWER),
        generate_unique_id_function=lambda route: route.name,
        # Bodies hold numbers and texts: no instrumentation of the framework's own.
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
    )
    for name, value in state.items():
        setattr(app.state, name, value)
    if "db" in state and "desk" not in state:
        app.state.desk = Desk(state["db"])
    for router in routers:
        app.include_router(router)
    return app


def allow(*, body_bytes_max: int | None = None, timeout_s: float | None = None) -> Any:
    """A dependency that raises the limits of one route: `dependencies=[allow(body_bytes_max=64 << 20)]`.

    For routes that read the body themselves (`request.stream()`): FastAPI reads a declared body before dependencies.
    """

    async def raised(request: Request) -> None:
        exchange(request).allow(body_bytes_max=body_bytes_max, timeout_s=timeout_s)

    return Depends(raised)


_TITLES = {
    400: ("bad_request", "The request cannot be read"),
    404: ("not_found", "Not found"),
    405: ("method_not_allowed", "This path does not know that method"),
    413: ("too_large", "The body is too large"),
    415: ("unsupported_media_type", "The body is not of a type that is read here"),
}


def _handlers() -> dict[int | type[Exception], Handler]:
    """What each exception that reaches the edge is to the client. What is not named here is a 500."""
    busy = (*RETRIABLE, DeskFull, asyncpg.InvalidAuthorizationSpecificationError)
    return {
        Problem: _on_problem,
        HTTPException: _on_http,
        RequestValidationError: _on_not_valid,
        ClientDisconnect: _on_broken_off,
        asyncpg.DataError: _on_bad_value,
        UnicodeEncodeError: _on_bad_value,
        **dict.fromkeys(busy, _on_busy),
    }


async def _on_problem(_: Request, error: Problem) -> Response:
    return problem_response(error)


async def _on_http(request: Request, error: HTTPException) -> Response:
    if error.status_code == 400 and isinstance(error.__cause__, (ValueError, RecursionError)):
        return problem_response(_unreadable(error.__cause__))
    code, title = _TITLES.get(error.status_code, ("http", "The request failed"))
    if error.status_code == 400:
        errors = [{"field": "body", "code": code, "message": f"is not what its Content-Type says: {error.detail}"}]
        return problem_response(Problem(400, code, title, errors=errors))
    if error.status_code == 413:
        return problem_response(_too_large(exchange(request)))
    return problem_response(Problem(error.status_code, code, title).with_headers(error.headers or {}))


def _too_large(asked: Exchange) -> Problem:
    """With the limit, and the size where that was said before the body came."""
    most, size = asked.body_bytes_max, asked.declared_bytes
    says = f"It has {_in_bytes(size)}; at" if size > most else "At"
    more: dict[str, Any] = {"size_bytes": size} if size > most else {}
    return Problem(413, *_TITLES[413], f"{says} most {_in_bytes(most)} are read here.", limit_bytes=most, **more)


def _in_bytes(count: int) -> str:
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if count >= unit:
            return f"{count:,} bytes ({count / unit:.4g} {name})"
    return f"{count:,} bytes"


async def _on_broken_off(_: Request, __: Exception) -> Response:
    """Who hung up hears nothing of it; what is counted is no failure of ours."""
    errors = [{"field": "body", "code": "broken_off", "message": "ended before all of it had come"}]
    return problem_response(Problem(400, *_TITLES[400], errors=errors))


async def _on_busy(request: Request, error: Exception) -> Response:
    if isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError):
        return await _on_bad_value(request, error)  # asyncpg's own DataError: an argument that does not fit its column
    log.warning("http.unavailable", exc_info=error)
    return problem_response(problems.unavailable("unavailable", "Something that is needed does not answer. Try again."))


async def _on_bad_value(request: Request, error: Exception) -> Response:
    log.warning("http.bad_value", exc_info=error)
    message = "holds a character that cannot be stored (NUL, or half of a surrogate pair)"
    fields = [field for field, text in _texts_of(request) if _UNSTORABLE.search(text)]
    if fields:
        errors = [{"field": field, "code": "not_storable", "message": message} for field in fields[:_ERRORS_MAX]]
        return problem_response(problems.unprocessable_all(errors))
    return problem_response(Problem(422, "value_not_storable", "The request is not valid", "A value is out of range."))


def _texts_of(request: Request) -> Iterator[tuple[str, str]]:
    """Every text of a request with the field that it came in."""
    yield from _texts({**request.path_params, **request.query_params})
    # What FastAPI has read already: to ask for the body here may be to wait for ever.
    body = getattr(request, "_body", b"")
    if body and not _no_json(request):
        yield from _texts(json.loads(body))


def _texts(value: Any, field: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield field, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _texts(inner, f"{field}.{name}".lstrip("."))
            yield field, name
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts(inner, f"{field}.{index}")


async def _on_not_valid(request: Request, error: RequestValidationError) -> Response:
    raw = error.errors()
    if raw and raw[0]["type"] == "json_invalid":
        return problem_response(_malformed(raw[0], error.body))
    if isinstance(error.body, bytes) and _no_json(request):
        return problem_response(Problem(415, *_TITLES[415], "Send application/json.", field="Content-Type"))
    return problem_response(problems.unprocessable_all([_error(one) for one in raw[:_ERRORS_MAX]]))


def _malformed(error: Mapping[str, Any], text: Any) -> Problem:
    position = int(error["loc"][-1])
    before = text[:position] if isinstance(text, str) else ""
    line, column = before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1
    message = f"{error['ctx']['error']} at line {line} column {column} (character {position})"
    place = {"line": line, "column": column, "position": position}
    return Problem(
        422, "malformed_json", "The body is not JSON", message, **place,
        errors=[{"field": "body", "code": "malformed_json", "message": message}],
    )  # fmt: skip


def _unreadable(error: Exception) -> Problem:
    """A body that is not even malformed JSON."""
    if isinstance(error, UnicodeDecodeError):
        message = f"is not UTF-8: byte {error.start + 1} is no character"
    elif isinstance(error, RecursionError):
        message = "is nested too deeply"
    else:
        message = "holds a number of too many digits"
    errors = [{"field": "body", "code": "malformed_json", "message": message}]
    return Problem(422, "malformed_json", "The body is not JSON", f"The body {message}.", errors=errors)


def _no_json(request: Request) -> bool:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return media_type != "application/json" and not media_type.endswith("+json")


# What people meet most often, in the words of all other messages here; {…} is the limit that was broken.
_WORDS = {
    "missing": "is needed",
    "string_type": "must be a text",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be a JSON object",
    "float_type": "must be a number",
    "int_parsing": "must be a whole number",
    "uuid_parsing": "must be an id: a UUID, as answers have it",
    "uuid_type": "must be an id: a UUID, as answers have it",
    "literal_error": "must be {expected}",
    "too_long": "is too long; it holds at most {max_length}",
    "too_short": "is too short; it holds at least {min_length}",
    "extra_forbidden": "is not a field that is known here",
    "model_attributes_type": "must be a JSON object",
    "model_type": "must be a JSON object",
    "int_type": "must be a whole number, written without quotes, point or exponent",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "string_too_short": "is too short; its least length is {min_length}",
    "string_too_long": "is too long; its greatest length is {max_length}",
}
_CODES = {"extra_forbidden": "unknown_field", "model_attributes_type": "object_type", "model_type": "object_type"}


def _error(error: Mapping[str, Any]) -> dict[str, Any]:
    """A validation error as field, code and message; never the value that was given."""
    location = [str(part) for part in error["loc"]]
    field = ".".join(location[1:]) or location[0]
    kind = error["type"]
    words = _WORDS.get(kind)
    message = words.format_map(error.get("ctx", {})) if words else error["msg"].removeprefix("Value error, ")
    return {"field": field, "code": _CODES.get(kind, kind), "message": message}
