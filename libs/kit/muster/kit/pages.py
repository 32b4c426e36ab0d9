"""Cursor pages: `?limit=&cursor=` in, {"items": [...], "next_cursor": "..." | null} out."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel

from muster.kit.problems import Problem, unprocessable

LIMIT_MAX = 500
LIMIT_DEFAULT = 50
_CURSOR_CHARS_MAX = 1_024

Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX, description="how many items at most")]
CursorText = Annotated[str | None, Query(max_length=_CURSOR_CHARS_MAX, description="next_cursor of the page before")]

R = TypeVar("R")
T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    """One page. Where `next_cursor` is null there is no more."""

    items: list[T]
    next_cursor: str | None = None


def page_of(rows: Sequence[R], limit: int, out: Callable[[R], T], place: Callable[[R], Mapping[str, Any]]) -> Page[T]:
    """The page of what was found with `limit + 1`: that one more says that there is a next page.

    `out` makes an item of a row, `place` the position after it.
    """
    shown = rows[:limit]
    more = encode_cursor(place(shown[-1])) if len(rows) > limit else None
    return Page(items=[out(row) for row in shown], next_cursor=more)


def encode_cursor(position: Mapping[str, Any]) -> str:
    """An opaque text for the place after the last item. Values: str, int, bool, None, UUID or datetime."""
    return base64.urlsafe_b64encode(json.dumps(dict(position), default=_text).encode()).decode().rstrip("=")


def decode_cursor(cursor: str, shape: Mapping[str, Callable[[Any], Any]] | None = None) -> dict[str, Any]:
    """The position in `cursor`; with `shape`, exactly its keys, each value made by its function.

    decode_cursor(cursor, {"at": datetime.fromisoformat, "id": UUID}). Problem 422 on rubbish.
    """
    try:
        position = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        if not isinstance(position, dict):
            raise _rubbish()
        if shape is None:
            return position
        if position.keys() != shape.keys():
            raise _rubbish()
        made = {name: make(position[name]) for name, make in shape.items()}
        if not all(map(_is_a_place, made.values())):
            raise _rubbish()
        return made
    except (ValueError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise _rubbish() from error


def _is_a_place(value: object) -> bool:
    """Whether a column can be compared with it: a cursor can be forged."""
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    if isinstance(value, datetime):
        return value.tzinfo is not None and 1 < value.year < 9_999
    return not isinstance(value, str) or value.isprintable()


def _rubbish() -> Problem:
    return unprocessable("cursor", "cursor_not_valid", "is not one that this list gave")


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"not for a cursor: {type(value).__name__}")
