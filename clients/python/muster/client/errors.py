"""What a call may end with beside an answer."""

from collections.abc import Mapping
from typing import Any


class ApiError(Exception):
    """The API said no; `problem` is the RFC 9457 document, or what there was of an answer."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.problem = dict(problem)
        self.code = str(problem.get("code", ""))
        said = ": ".join(text for name in ("title", "detail") if (text := str(problem.get(name) or "")))
        super().__init__(f"{status} {said}".strip())


class NotConnected(Exception):
    """Where Muster is, or as whom to speak to it, cannot be told."""
