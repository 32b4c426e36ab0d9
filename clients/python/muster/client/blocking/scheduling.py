# Made by generate.py.
"""Schedules: kept, controlled, looked at."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from muster.client.blocking.calls import Calls
from muster.client.paths import segment


class Scheduling(Calls):
    """Schedules."""

    def add_schedule(self, body: Mapping[str, Any], *, key: str | None = None) -> dict[str, Any]:
        """Keep a schedule; repeated with the same key there is one."""
        return cast(dict[str, Any], self.post("/v1/schedules", body, key=key))

    def schedule(self, schedule_id: str) -> dict[str, Any]:
        """A schedule as it stands, with what became of its last starts."""
        return cast(dict[str, Any], self.get(_schedule_path(schedule_id)))

    def schedule_starts(self, schedule_id: str) -> Iterator[dict[str, Any]]:
        """What became of each start of a schedule, the newest first."""
        return self.pages(_schedule_path(schedule_id, "occurrences"))

    def preview_when(self, when: Mapping[str, Any]) -> dict[str, Any]:
        """The next ten starts of a schedule that is not kept yet."""
        return cast(dict[str, Any], self.post("/v1/schedules/preview", {"when": when}))

    def preview_schedule(self, schedule_id: str) -> dict[str, Any]:
        """The next ten starts of a schedule."""
        return cast(dict[str, Any], self.get(_schedule_path(schedule_id, "preview")))

    def control_schedule(self, schedule_id: str, act: str, body: object = None) -> dict[str, Any]:
        """`pause` or `resume` a schedule, or `skip` its next start, which the body names: {"wall": …}."""
        return cast(dict[str, Any], self.post(_schedule_path(schedule_id, act), body))

    def archive_schedule(self, schedule_id: str) -> None:
        """Start nothing more of a schedule; its history stays."""
        self._call("DELETE", _schedule_path(schedule_id))


def _schedule_path(schedule_id: str, *below: str) -> str:
    return "/".join(("/v1/schedules", segment(schedule_id), *below))
