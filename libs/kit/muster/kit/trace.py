"""Which trace a task belongs to: W3C trace contexts ("traceparent"), from requests to facts and back to log lines.

They are passed on whether or not anything is recorded here (kit/spans.py): who records nothing breaks nobody's trace.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

_FORM: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
# By correlation, "" for what has none of its own. One mapping, set whole.
_followed: ContextVar[Mapping[str, str]] = ContextVar("muster_traces", default={})  # noqa: B039 - is never changed


def current() -> str:
    """The trace context of what this task is doing, "" where it has none or several."""
    return _followed.get().get("", "")


def of(correlation: str) -> str:
    """The context of what this task does about one send, else its own: a batch is about many."""
    followed = _followed.get()
    return followed.get(correlation) or followed.get("", "")


def enter(traceparent: str) -> None:
    """Let this task, and those that it starts, go on with this trace from now on."""
    _followed.set({"": traceparent})


@contextmanager
def follow(parents: Mapping[str, str]) -> Iterator[None]:
    """The same for a while, with a context for each correlation; "": for all else."""
    token = _followed.set(parents)
    try:
        yield
    finally:
        _followed.reset(token)


def valid(text: str | None) -> str:
    """`text` if it is a trace context, else ""."""
    return text if text and _FORM.fullmatch(text) else ""


def trace_id(traceparent: str) -> str:
    """The 32 hexadecimal digits by which a trace is found, "" where there is none."""
    return traceparent[3:35]


def is_recorded(traceparent: str) -> bool:
    """Whether whoever made this context records its trace."""
    return bool(valid(traceparent)) and bool(int(traceparent[-2:], 16) & 1)


def marked(traceparent: str, *, recorded: bool) -> str:
    """The same context with another word on whether it is recorded."""
    return f"{traceparent[:-2]}{int(recorded):02x}"
