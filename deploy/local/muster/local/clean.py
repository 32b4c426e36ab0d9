"""`python -m muster.local.clean`: removes the running state. Needs no environment: the standard library is enough."""

import shutil
import sys
from pathlib import Path

from muster.local.unprivileged import remove_abandoned_places
from muster.local.var import InUseError, Lock, folder

# What Muster makes in the folder of running state. Nothing else is removed: MUSTER_VAR may name any folder.
_OURS = (
    *("kafka", "kafka.[0-9]", "postgres", "caddy", "log"),
    *("ports.json", "secrets.json", "people.json", "run.json", "demo.json", "chaos.json", ".*.json.*"),
    "lock",
)


def clean(var: Path) -> str | None:
    """Remove the running state in `var`, and PostgreSQL's data where that is elsewhere; None, or why not."""
    if not (var / "lock").exists():
        return None  # nothing of ours
    lock = Lock(var)
    try:
        lock.acquire()
    except InUseError as error:
        return str(error)
    try:
        for found in (path for pattern in _OURS for path in var.glob(pattern)):
            shutil.rmtree(found) if found.is_dir() else found.unlink()
        remove_abandoned_places("postgres")
        if not any(var.iterdir()):
            var.rmdir()
    finally:
        lock.release()
    return None


def main() -> int:
    """The command line; the exit code."""
    try:
        problem = clean(folder())
    except OSError as error:
        problem = str(error)
    if problem:
        print(f"make clean: {problem}", file=sys.stderr)
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
