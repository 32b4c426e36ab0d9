"""Server-sent events as Muster says them: an id, a name and a line of data each."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `name` is "" for a sign of life. `retry_s`: after how long to come back, where that was said."""

    name: str
    data: str = ""
    id: str = ""
    retry_s: float | None = None


class Events:
    """Lines of a stream on their way to become events. One that is cut off is none."""

    def __init__(self) -> None:
        self._fields: dict[str, str] = {}

    def read(self, line: str) -> Event | None:
        """The event that this line is the last of."""
        if line:
            name, _, value = line.partition(":")
            self._fields[name] = value.removeprefix(" ")
            return None
        fields, self._fields = self._fields, {}
        if not fields:
            return None
        retry = fields.get("retry", "")
        retry_s = int(retry) / 1000 if retry.isascii() and retry.isdigit() else None
        return Event(fields.get("event", ""), fields.get("data", ""), fields.get("id", ""), retry_s)
