"""A pytest plugin: real PostgreSQL and real Kafka for tests, each started once a session by the first test that asks.

Fixtures: `postgres_server` (the superuser's DSN), `new_database` (a factory of empty databases), `kafka_server`
(bootstrap address). Both servers are children that the kernel ends with pytest, also when that is killed with -9.
"""

import contextlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

_PREFIX = "muster-test-"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The superuser's DSN of a fresh PostgreSQL 18: postgresql://postgres@127.0.0.1:<port>/postgres."""
    from muster.local.postgres import Postgres

    with _folder() as directory:
        server = Postgres(directory, durable=False)
        server.start()
        try:
            yield server.dsn()
        finally:
            server.stop()
            server.remove()


@pytest.fixture(scope="session")
def new_database(postgres_server: str) -> Callable[..., str]:
    """A factory: `new_database()` makes an empty database and returns the superuser's DSN of it.

    `new_database(template="name")` copies that database instead, to which nobody may be connected.
    """
    from muster.local.postgres import run_sql

    numbers = itertools.count(1)

    def make(template: str = "template0") -> str:
        name = f"test_{next(numbers)}"
        run_sql(postgres_server, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return f"{postgres_server.rsplit('/', 1)[0]}/{name}"

    return make


@pytest.fixture(scope="session")
def kafka_server() -> Iterator[str]:
    """The bootstrap address (host:port) of a fresh one-node Kafka that creates no topics by itself."""
    from muster.local.kafka import Kafka

    with _folder() as directory:
        server = Kafka(directory)
        server.start()
        try:
            yield server.bootstrap
        finally:
            server.stop()


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """A temporary folder that an unprivileged PostgreSQL can reach too, unlike pytest's own."""
    _remove_abandoned()
    path = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
    path.chmod(0o711)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _remove_abandoned() -> None:
    """Remove the folders of runs that were killed with -9: their names hold the process id."""
    from muster.local.process import is_alive

    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        pid = folder.name.removeprefix(_PREFIX).split("-")[0]
        if not is_alive(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)
