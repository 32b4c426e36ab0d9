"""An API that answers as docs/openapi.json says it does, and holds what it is asked to the same document."""

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
from jsonschema import Draft202012Validator

from muster.local.routes import SERVICES

_FILE: Final = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"
DOCUMENT: Final = json.loads(_FILE.read_text(encoding="utf-8"))
ID: Final = "01a22255-0000-7000-8000-000000000001"
_SAMPLES: Final = (
    "a-text",
    "AUD",
    "AU",
    "MO",
    "09:00",
    "2026-12-01",
    "2026-12-01T09:00",
    "kim@salon.example",
    "ab" * 64,
)
_TEXTS: Final = {"uuid": ID, "date-time": "2026-12-01T09:00:00Z", "date": "2026-12-01"}
# By name: a page is the last one, nothing went wrong, and what the document leaves open is what services say.
_NAMED: Final[dict[str, Any]] = {
    **{
        "next_cursor": None,
        "problem": None,
        "errors": [],
        "valid": True,
        "kept": True,
        "report": f"/v1/messages/{ID}-1",
    },
    "accepted": 1,
    "signed": {
        **{"class": "marketing", "sender": "Salon", "recipients": 1, "credits": 1, "checks": [], "overrides": []},
        **{"quoted_at": "", "confirmed_at": "", "confirmed_by": ID, "role": "admin"},
    },
}
_BY_ROUTE: Final[dict[str, dict[str, Any]]] = {
    "GET /v1/customers/{customer_id}/export": {"customer": None, "consents": [], "sends": [], "suppressions": []},
    "POST /v1/carriers/{account}/tests": {"outcome": "queued"},
} | {f"GET /v1/ops/{service}/laws": {"laws": []} for service in SERVICES}
# Of several values: that with which nothing more is waited for.
_ENDED: Final = ("done", "closed", "accepted", "delivered")


def routes() -> Iterator[tuple[str, str]]:
    """The verb and the path of each route."""
    for path, item in DOCUMENT["paths"].items():
        for verb in item:
            yield verb.upper(), path


_PATTERNS: Final = [
    (verb, path, re.compile(re.sub(r"\{\w+\}", "[^/]+", path)))
    for verb, path in sorted(routes(), key=lambda one: one[1].count("{"))
]


def route_of(verb: str, path: str) -> tuple[str, str]:
    """The route that a call is for; of several that of the fewest parameters."""
    for other, known, pattern in _PATTERNS:
        if other == verb and pattern.fullmatch(path):
            return other, known
    raise LookupError(f"{verb} {path} is no route of the document")


def example(schema: Any, name: str = "") -> Any:
    """A value that a schema allows: every member is there, a list has one item, a number is as small as can be."""
    if name in _NAMED:
        return _NAMED[name]
    if reference := schema.get("$ref"):
        return example(DOCUMENT["components"]["schemas"][reference.rpartition("/")[2]], name)
    if kinds := schema.get("anyOf"):
        return example(next(one for one in kinds if one.get("type") != "null"), name)
    if "const" in schema:
        return schema["const"]
    if values := schema.get("enum"):
        return next((one for one in _ENDED if one in values), values[0])
    match schema.get("type"):
        case "object":
            return {key: example(one, key) for key, one in schema.get("properties", {}).items()}
        case "array":
            return [example(schema.get("items", {}), name)] * max(1, schema.get("minItems", 1))
        case "integer" | "number":
            return math.ceil(schema.get("minimum", 0))
        case "boolean":
            return False
        case "null":
            return None
    if pattern := schema.get("pattern"):
        return next(one for one in _SAMPLES if re.search(pattern, one))
    return _TEXTS.get(schema.get("format", ""), "a text"[: schema.get("maxLength")])


class Answering:
    """Answers every call by the document; `asked` are the routes that were asked, `wrong` what broke its word."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.wrong: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        verb, path = route_of(request.method, request.url.raw_path.decode().partition("?")[0])
        self.asked.append((verb, path))
        operation = DOCUMENT["paths"][path][verb.lower()]
        self._hold(f"{verb} {path}", operation, request)
        status, answer = next((int(code), one) for code, one in operation["responses"].items() if code[0] == "2")
        kinds = answer.get("content", {})
        wanted = request.headers.get("Accept", "*/*")
        if wanted in kinds and wanted != "application/json":
            return httpx.Response(status, content=b"a,b\r\n1,2\r\n")
        if "application/json" not in kinds:
            return httpx.Response(status)
        said = example(kinds["application/json"]["schema"])
        special = _BY_ROUTE.get(f"{verb} {path}", {})
        return httpx.Response(status, json={**said, **special} if isinstance(said, dict) else special)

    def _hold(self, route: str, operation: Any, request: httpx.Request) -> None:
        """To the members of the query that are known and needed, and to the schema of the body."""
        known = {one["name"]: one for one in operation.get("parameters", ()) if one.get("in") == "query"}
        given = set(request.url.params.keys())
        self.wrong += [f"{route}: {name} is no member of the query" for name in sorted(given - set(known))]
        needed = {name for name, one in known.items() if one.get("required")}
        self.wrong += [f"{route}: {name} is missing in the query" for name in sorted(needed - given)]
        kinds = operation.get("requestBody", {}).get("content", {})
        if request.headers.get("Content-Type") == "application/json" and "application/json" in kinds:
            schema = {**kinds["application/json"]["schema"], "components": DOCUMENT["components"]}
            body = json.loads(request.content)
            # Where there may be no body, null is none.
            if body is None and not operation["requestBody"].get("required"):
                return
            found = Draft202012Validator(schema).iter_errors(body)
            self.wrong += [f"{route}: {error.json_path} {error.message}" for error in found]


def is_example_of(schema: Any, value: Any) -> bool:
    """Whether the document allows a value."""
    return bool(Draft202012Validator({**schema, "components": DOCUMENT["components"]}).is_valid(value))
