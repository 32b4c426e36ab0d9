"""Where a sender can be let die, wait or be stopped: see the kit's failpoint."""

from typing import Final

from muster.kit import failpoint

POINTS: Final = ("before_intent", "after_intent", "after_write", "after_response", "before_record")


class Failpoint(failpoint.Failpoint):
    """What is armed of the sender's points: MUSTER_FAILPOINT=dispatch.after_intent:exit."""

    def __init__(self, armed: str = "") -> None:
        super().__init__(armed, [f"dispatch.{point}" for point in POINTS])

    def hit(self, point: str) -> None:
        """Die, stop or wait here if this is the armed point, and its time."""
        super().hit(f"dispatch.{point}")
