"""The folder of running state: its lock, secrets, ports and `run.json`."""

import fcntl
import json
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from muster.local.ports import BLOCK_SIZE, is_free, reserve_block
from muster.local.process import is_alive

_LEFTOVERS_LIMIT_S = 10.0


class InUseError(Exception):
    """Another Muster runs in this folder."""


def folder() -> Path:
    """The folder that MUSTER_VAR names; `var` where it names none."""
    return Path(os.environ.get("MUSTER_VAR") or "var").resolve()


class Lock:
    """One Muster for each folder.

    The lock is inherited by every child, so that it is free only when the last process of the run before is gone: what
    a starter that was killed with -9 left dying is waited for.
    """

    def __init__(self, var: Path) -> None:
        self._path = var / "lock"
        self.fd = -1

    def acquire(self) -> None:
        """Take the lock; InUseError names who has it."""
        self._path.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
        self.fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + _LEFTOVERS_LIMIT_S
        while not self._try():
            holder = self._path.read_text().strip()
            dead = holder.isdigit() and not is_alive(int(holder))
            if not dead or time.monotonic() > deadline:
                os.close(self.fd)
                raise InUseError(
                    f"another Muster runs in {self._path.parent} (process {holder or '?'}); "
                    "end it first, or choose another folder with MUSTER_VAR"
                )
            time.sleep(0.1)
        os.ftruncate(self.fd, 0)
        os.pwrite(self.fd, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Give the lock back."""
        os.close(self.fd)

    def _try(self) -> bool:
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


class Ports:
    """A port for each name, kept in `ports.json`: the same in the next run, if they are still free then."""

    def __init__(self, var: Path) -> None:
        self._file = var / "ports.json"
        before: dict[str, Any] = read_json(self._file, {"block": None, "ports": {}})
        self._block, self._reservation = reserve_block(before["block"])
        self._before: dict[str, int] = before["ports"] if self._block == before["block"] else {}
        self._ports: dict[str, int] = {}

    def __getitem__(self, name: str) -> int:
        if name not in self._ports:
            self._ports[name] = self._choose(name)
            write_json(self._file, {"block": self._block, "ports": {**self._before, **self._ports}})
        return self._ports[name]

    def close(self) -> None:
        """Let others have the block."""
        self._reservation.close()

    def _choose(self, name: str) -> int:
        taken = {*self._ports.values(), *self._before.values()}
        unused = (port for port in range(self._block + 1, self._block + BLOCK_SIZE) if port not in taken)
        before = [self._before[name]] if name in self._before else []
        for port in (*before, *unused):
            if is_free(port):
                return port
        raise OSError(f"no port for {name}: all {BLOCK_SIZE} from {self._block} are taken")


class Secrets:
    """Random secrets by name, made once for each folder and kept in `secrets.json` (readable by its owner only)."""

    def __init__(self, var: Path) -> None:
        self._file = var / "secrets.json"
        self._secrets: dict[str, str] = read_json(self._file, {})

    def __getitem__(self, name: str) -> str:
        return self.get(name, lambda: secrets.token_hex(32))

    def get(self, name: str, make: Callable[[], str]) -> str:
        """The secret called `name`, made by `make()` at first."""
        if name not in self._secrets:
            self._secrets[name] = make()
            write_json(self._file, self._secrets)
        return self._secrets[name]


def read_json(file: Path, default: Any) -> Any:
    """The content of a JSON file, `default` where there is none."""
    return json.loads(file.read_text()) if file.exists() else default


def write_json(file: Path, content: Any) -> None:
    """Write a JSON file at once (nobody reads half of it), readable by its owner only."""
    made = file.with_name(f".{file.name}.{os.getpid()}")
    with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as output:
        json.dump(content, output, indent=2)
    made.replace(file)
