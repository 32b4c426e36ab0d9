"""Points where a test lets a process die, wait or be stopped: MUSTER_FAILPOINT=relay.after_ack:exit.

What follows the colon: `exit`, `stop` (SIGSTOP: until somebody sends SIGCONT) or `sleep=<seconds>`, which blocks all of
the process; `@n` behind it means not the first time but the n-th. It happens once. Settings refuse to start with one
armed in production.
"""

import os
import re
import signal
import time
from collections.abc import Collection
from typing import Final

KIT_POINTS: Final = (
    "relay.before_send",
    "relay.after_ack",
    "http.before_answer",
    "consumer.before_commit",
    "consumer.after_commit",
    "loop.stall",
)
EXIT_CODE: Final = 86
_ARMED = re.compile(
    r"(?P<point>[a-z_.]+):(?P<act>exit|stop|sleep=(?P<seconds>\d{1,3}(\.\d{1,3})?))(@(?P<nth>\d{1,6}))?"
)


class Failpoint:
    """What is armed among `points`, if anything. A point of another family (`family.point`) is ignored."""

    def __init__(self, armed: str = "", points: Collection[str] = KIT_POINTS) -> None:
        """ValueError for what none of these points can do."""
        self._point = ""
        family = armed.partition(".")[0]
        if family not in {point.partition(".")[0] for point in points}:
            return
        match = _ARMED.fullmatch(armed)
        if match is None or match["point"] not in points:
            raise ValueError(f"no such failpoint: {armed!r}")
        self._point, self._act = match["point"], match["act"].partition("=")[0]
        self._seconds = float(match["seconds"] or 0)
        self._left = int(match["nth"] or 1)

    def hit(self, point: str) -> None:
        """Die, stop or wait here if this is the armed point, and its time."""
        if point != self._point:
            return
        self._left -= 1
        if self._left > 0:
            return
        self._point = ""
        match self._act:
            case "exit":
                os._exit(EXIT_CODE)
            case "stop":
                os.kill(os.getpid(), signal.SIGSTOP)
            case _:
                time.sleep(self._seconds)


_of_process = Failpoint()


def arm(armed: str) -> None:
    """Arm a point of the kit for this process; ValueError where there is none like it."""
    global _of_process
    _of_process = Failpoint(armed)


def hit(point: str) -> None:
    """A point of the kit: see Failpoint.hit."""
    _of_process.hit(point)
