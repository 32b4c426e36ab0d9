"""Points where a test lets the process die or wait: MUSTER_FAILPOINT=dispatch.after_intent:exit.

Settings refuse to start with one armed where MUSTER_PRODUCTION=1. Only failpoints of this service's name are looked at.
"""

import os
import time
from typing import Final

POINTS: Final = ("after_intent", "after_write", "after_response", "before_record")


class Failpoint:
    """What is armed, if anything: `exit`, or `sleep=<seconds>` (blocking: the process is as if stopped), once."""

    def __init__(self, armed: str = "") -> None:
        point, _, act = armed.partition(":")
        service, _, self._point = point.partition(".")
        if service != "dispatch":
            self._point = ""
        elif self._point not in POINTS or not (act == "exit" or act.startswith("sleep=")):
            raise ValueError(f"no such failpoint: {armed!r}")
        self._act = act

    def hit(self, point: str) -> None:
        """Die or wait here if this is the armed point."""
        if point != self._point:
            return
        self._point = ""
        if self._act == "exit":
            os._exit(86)
        time.sleep(float(self._act.removeprefix("sleep=")))
