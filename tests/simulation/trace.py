"""What happened, line by line: two runs of a seed have the same, and the last lines of a failing one are shown."""

from collections import deque
from collections.abc import Callable
from hashlib import blake2b


class Trace:
    """Time, process, what, outcome. `every` gets each line as it comes."""

    def __init__(
        self, time: Callable[[], float], *, kept: int = 400, every: Callable[[str], None] | None = None
    ) -> None:
        self._time = time
        self._digest = blake2b(digest_size=16)
        self._every = every
        self.last: deque[str] = deque(maxlen=kept)
        self.lines = 0

    def add(self, who: str, what: str, outcome: object) -> None:
        """One step."""
        line = f"{self._time():.6f} {who} {what} -> {outcome}"
        self.lines += 1
        self._digest.update(line.encode())
        self.last.append(line)
        if self._every is not None:
            self._every(line)

    @property
    def digest(self) -> str:
        """Of all lines."""
        return self._digest.hexdigest()
