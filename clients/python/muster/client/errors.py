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

    status: of HTTP. code: for programs, such as `not_found`; title, detail: for people; "" where there was none.
    errors: what is wrong with which member, of a 422. retry_after_s: when it may be asked again, where that was said.
    trace_id: by which logs and traces of Muster are searched for it. path: what was asked for.
    """

    def __init__(
        self,
        status: int,
        problem: Mapping[str, Any],
        retry_after_s: float | None = None,
        trace_id: str = "",
        path: str = "",
    ) -> None:
        self.status = status
        self.problem = dict(problem)
        self.code, self.title, self.detail = (str(problem.get(name) or "") for name in ("code", "title", "detail"))
        self.trace_id, self.path = trace_id, path
        self.retry_after_s = retry_after_s
        super().__init__(f"{status} {': '.join(filter(None, (self.title, self.detail)))}".strip())

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
