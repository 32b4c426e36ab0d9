"""RFC 9457 problem documents. Raised only at the edge (api.py); the domain returns values, also for "no"."""

from collections.abc import Mapping
from typing import Any, Final

MEDIA_TYPE = "application/problem+json"

_CODE: Final = {"type": "string", "pattern": "^[a-z][a-z0-9_]*$"}
_SCHEMA: Final = {
    "title": "Problem",
    "description": "Why nothing came of a request (RFC 9457). Some codes have further members: their limit, a place.",
    "type": "object",
    "required": ["type", "title", "status", "code"],
    "properties": {
        "type": {"type": "string", "pattern": "^urn:muster:problem:[a-z][a-z0-9_]*$", "description": "names the code"},
        "title": {"type": "string", "minLength": 1, "description": "the same for all problems of a kind; for people"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599, "description": "that of the answer"},
        "code": {**_CODE, "description": "for programs; it does not change"},
        "detail": {"type": "string", "description": "what is wrong this time, and what to do; for people"},
        "errors": {
            "type": "array",
            "description": "each field at fault",
            "items": {
                "type": "object",
                "required": ["field", "code", "message"],
                "properties": {
                    "field": {"type": "string", "description": "with dots: audience.list, or the name of a header"},
                    "code": _CODE,
                    "message": {"type": "string", "description": "for people; it never repeats what was given"},
                },
                "additionalProperties": False,
            },
        },
        "request_id": {"type": "string", "description": "with 500: what to name when you ask us about it"},
    },
}
COMPONENTS: Final = {
    "schemas": {"Problem": _SCHEMA},
    "responses": {
        "Problem": {
            "description": "A problem (RFC 9457)",
            "headers": {
                "X-Request-Id": {"description": "names the request", "schema": {"type": "string"}},
                "X-Trace-Id": {"description": "names its trace", "schema": {"type": "string"}},
            },
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
    },
}
"""What the OpenAPI document of each service has of problems."""

ANSWER: Final[Mapping[int | str, dict[str, Any]]] = {
    "default": {"$ref": "#/components/responses/Problem", "description": "A problem (RFC 9457)"}
}
"""What each operation answers when it goes wrong."""


class Problem(Exception):
    """An answer of 4xx or 5xx: {"type": "urn:muster:problem:<code>", "title", "status", "code", "detail", **members}.

    `headers` are sent with it. Raising it rolls the request's transaction back.
    """

    def __init__(self, status: int, code: str, title: str, detail: str | None = None, **members: Any) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code
        self.title = title
        self.detail = detail
        self.members = members
        self.headers: dict[str, str] = {}

    def with_headers(self, headers: Mapping[str, str]) -> "Problem":
        """The same problem, sent with `headers` too."""
        self.headers.update(headers)
        return self

    def document(self) -> dict[str, Any]:
        """The JSON object that is sent."""
        known = {
            "type": f"urn:muster:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "code": self.code,
        }
        detail = {} if self.detail is None else {"detail": self.detail}
        return {**known, **detail, **self.members}


def not_found(kind: str) -> Problem:
    """404, the same for what never was and for what belongs to another tenant. `kind`: "bulk-sms", "user" ..."""
    return Problem(404, "not_found", "Not found", f"There is no such {kind}.", kind=kind)


def conflict(code: str, title: str, detail: str | None = None, **members: Any) -> Problem:
    """409: what is asked does not fit what is."""
    return Problem(409, code, title, detail, **members)


def unprocessable(field: str, code: str, message: str, **members: Any) -> Problem:
    """422 that names one field (dotted: "audience.list") and says what is wrong with it."""
    error = {"field": field, "code": code, "message": message}
    return Problem(422, code, "The request is not valid", f"{field}: {message}", errors=[error], **members)


def unprocessable_all(errors: list[dict[str, Any]]) -> Problem:
    """422 for several fields: each error has "field", "code" and "message"."""
    detail = "; ".join(f"{error['field']}: {error['message']}" for error in errors[:3])
    more = f"; and {len(errors) - 3} more" if len(errors) > 3 else ""
    return Problem(422, "not_valid", "The request is not valid", detail + more, errors=errors)


def unauthorized(reason: str) -> Problem:
    """401: no token, or none that is valid. `reason` is a short code, for people who integrate."""
    problem = Problem(401, "unauthorized", "A valid token is needed", f"Token refused: {reason}.", reason=reason)
    return problem.with_headers({"WWW-Authenticate": 'Bearer error="invalid_token"'})


def forbidden(detail: str, **members: Any) -> Problem:
    """403: the caller's role may not do this."""
    return Problem(403, "forbidden", "Not allowed", detail, **members)


def unavailable(code: str, detail: str, retry_after_s: int = 1) -> Problem:
    """503: it may work in `retry_after_s` seconds; nothing was changed, or the idempotency key will tell."""
    problem = Problem(503, code, "Not available right now", detail)
    return problem.with_headers({"Retry-After": str(retry_after_s)})
