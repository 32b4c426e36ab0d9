"""Folders for servers whose data nobody needs after a run: in memory where there is room, since half of what a fresh
database costs is the files that a disk makes for it.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from muster.local.process import is_alive

_MEMORY: Final = Path("/dev/shm")
_MEMINFO: Final = Path("/proc/meminfo")
# What a run writes stays far below; what else runs here needs memory too.
_ROOM_OCTETS_MIN: Final = 3 << 30


@contextlib.contextmanager
def scratch(prefix: str) -> Iterator[Path]:
    """A folder that an unprivileged PostgreSQL can reach too, removed after the block.

    `prefix` is the caller's own. Folders of it that were left by runs which were killed with -9 are removed as well:
    their names hold the process id.
    """
    _remove_abandoned(prefix)
    path = Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-", dir=_parent()))
    path.chmod(0o711)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _parent() -> Path:
    """Where TMPDIR says, if it says anything; else memory, if that has room; else where temporary files go."""
    if not os.environ.get("TMPDIR") and _has_room():
        return _MEMORY
    return Path(tempfile.gettempdir())


def _has_room() -> bool:
    """Whether memory is served as a folder, and enough of it is free."""
    if not os.access(_MEMORY, os.W_OK | os.X_OK):
        return False
    return min(shutil.disk_usage(_MEMORY).free, _available_octets()) >= _ROOM_OCTETS_MIN


def _available_octets() -> int:
    """Memory that can be had without swapping, as the kernel estimates it; 0 where it does not say."""
    if not _MEMINFO.exists():
        return 0
    for line in _MEMINFO.read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) * 1024
    return 0


def _remove_abandoned(prefix: str) -> None:
    for parent in {_MEMORY, Path(tempfile.gettempdir())}:
        for folder in parent.glob(f"{prefix}*-*"):
            pid = folder.name.removeprefix(prefix).split("-")[0]
            if pid.isdecimal() and not is_alive(int(pid)):
                shutil.rmtree(folder, ignore_errors=True)
