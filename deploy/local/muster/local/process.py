"""Child processes that cannot outlive their parent, and waiting for what they serve."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from muster.local.unprivileged import User

_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>
_PARENT_GONE_EXIT = 125
PAYMENT_TOKEN = "MUSTER_CREDIT_PAYMENT_TOKEN"
_PRIVATE = frozenset({"MUSTER_POSTGRES", PAYMENT_TOKEN})
# Loaded before any fork: the child of a process with threads may not take the loader's lock.
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class PartError(Exception):
    """A part did not come up: says which, why (its last log lines) and where its log is."""


@dataclass(frozen=True)
class Command:
    """How to start one process.

    `death_signal` is what the kernel sends it when the thread that started it is gone (Linux); `stop_signal` asks it
    to end in order. `user` is set only where root must give up its rights first.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    death_signal: signal.Signals = signal.SIGKILL
    stop_signal: signal.Signals = signal.SIGTERM
    user: User | None = None


def die_with_parent(death_signal: signal.Signals) -> None:
    """Have the kernel send `death_signal` to this process when the thread that started it ends; Linux only."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)


def spawn(command: Command, log: Path | None, keep_open: tuple[int, ...] = ()) -> subprocess.Popen[bytes]:
    """Start `command` in a session of its own; it inherits the files of `keep_open`.

    Its output is appended to `log`, or goes where ours goes for None.

    To be called from the main thread: the kernel counts the death of the starting *thread* as the parent's death.
    """
    parent = os.getpid()

    def in_child() -> None:
        # After the change of user, which clears the setting; and the parent may have died before it was made.
        die_with_parent(command.death_signal)
        if os.getppid() != parent:
            os._exit(_PARENT_GONE_EXIT)

    user = command.user
    with log.open("ab") if log else contextlib.nullcontext() as output:
        return subprocess.Popen(
            command.argv,
            env={**_inherited(), **command.env},
            cwd=command.cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if log else None,
            pass_fds=keep_open,
            umask=0o077,  # what parts keep is personal data
            start_new_session=True,  # Ctrl-C on the terminal reaches the supervisor alone, which ends all in order
            user=user.uid if user else None,
            group=user.gid if user else None,
            extra_groups=[] if user else None,
            preexec_fn=in_child,  # noqa: PLW1509 - two system calls, nothing that could take a lock
        )


def _inherited() -> dict[str, str]:
    """Our environment, without what only some parts may know: they are told by their command."""
    return {name: value for name, value in os.environ.items() if name not in _PRIVATE}


def stop(process: subprocess.Popen[bytes], stop_signal: signal.Signals, limit_s: float) -> None:
    """Ask `process` to end and wait; kill it after `limit_s` seconds."""
    if process.poll() is None:
        process.send_signal(stop_signal)
    try:
        process.wait(limit_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def run_to_end(name: str, what: str, command: Command, log: Path, limit_s: float) -> None:
    """Run a command that prepares the part `name`; PartError unless it ends well within the limit."""
    process = spawn(command, log)
    try:
        code = process.wait(limit_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise PartError(failure(name, f"{what} is not done after {limit_s:.0f} s", log)) from None
    if code != 0:
        raise PartError(failure(name, f"{what} ended with code {code}", log))


def wait_until_ready(
    name: str, process: subprocess.Popen[bytes], probe: Callable[[], str | None], log: Path, limit_s: float
) -> None:
    """Poll `probe` (None when ready, else why not) until ready; PartError if the process ends or time is up."""
    deadline = time.monotonic() + limit_s
    while (reason := probe()) is not None:
        if process.poll() is not None:
            raise PartError(failure(name, f"it ended with code {process.returncode}", log))
        if time.monotonic() > deadline:
            raise PartError(failure(name, f"not ready after {limit_s:.0f} s: {reason}", log))
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    """Whether a process has this id."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def failure(name: str, reason: str, log: Path) -> str:
    """The message for a part that did not come up."""
    lines = "".join(f"    {line}\n" for line in last_lines(log))
    return f"{name} did not come up: {reason}\n{lines}  log: {log}"


def last_lines(log: Path, count: int = 12) -> list[str]:
    """The last lines of a log file, [] if there is none."""
    if not log.exists():
        return []
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 16_384))
        return file.read().decode(errors="replace").splitlines()[-count:]
