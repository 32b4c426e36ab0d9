"""What a call may end with beside an answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one member of what was sent: `field` is its path (`messages.3.to`), `code` is for programs."""

    field: str
    code: str
    message: str


class ApiError(Exception):
    """The API said no; `problem` is the RFC 9457 document, or what there was of an answer.

    errors: what is wrong with which member, of a 422. retry_after_s: when it may be asked again, where that was said.
    """

    def __init__(self, status: int, problem: Mapping[str, Any], retry_after_s: float | None = None) -> None:
        self.status = status
        self.problem = dict(problem)
        self.code = str(problem.get("code", ""))
        self.retry_after_s = retry_after_s
        said = ": ".join(text for name in ("title", "detail") if (text := str(problem.get(name) or "")))
        super().__init__(f"{status} {said}".strip())

    @property
    def errors(self) -> tuple[FieldError, ...]:
        """Each wrong member."""
        found = self.problem.get("errors")
        listed = found if isinstance(found, list) else []
        return tuple(
            FieldError(*(str(one.get(name, "")) for name in ("field", "code", "message")))
            for one in listed
            if isinstance(one, Mapping)
        )


class NotConnected(Exception):
    """Where Muster is, or as whom to speak to it, cannot be told."""
