"""Server-sent events as Muster says them: an id, a name and a line of data each."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `name` is "" for a sign of life. `retry_s`: after how long to come back, where that was said."""

    name: str
    data: str = ""
    id: str = ""
    retry_s: float | None = None


def read_events(lines: Iterable[str]) -> Iterator[Event]:
    """The events of a stream, each when its last line has come; one that is cut off is none."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        elif fields:
            retry = fields.get("retry", "")
            yield Event(
                fields.get("event", ""),
                fields.get("data", ""),
                fields.get("id", ""),
                int(retry) / 1000 if retry.isascii() and retry.isdigit() else None,
            )
            fields = {}
