"""Embedded PostgreSQL and Kafka, and the fixtures that give them to tests."""

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import asyncpg
import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from muster.local import jars, kafka
from muster.local.kafka import controller_id
from muster.local.postgres import Postgres, run_sql
from muster.local.process import PartError
from muster.local.scratch import scratch
from muster.local.testing import SCRATCH

ROOT = Path(__file__).parents[3]


async def test_a_role_needs_its_password(postgres_server):
    run_sql(postgres_server, "CREATE ROLE careful LOGIN PASSWORD 'right'")
    address = postgres_server.replace("postgres@", "careful:{}@")
    connection = await asyncpg.connect(address.format("right"))
    await connection.close()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(address.format("wrong"))


async def test_each_new_database_is_empty_and_a_template_is_copied(new_database):
    first = new_database()
    run_sql(first, "CREATE TABLE here ()")
    run_sql(new_database(template=first.rsplit("/", 1)[1]), "SELECT FROM here")
    with pytest.raises(asyncpg.UndefinedTableError):
        run_sql(new_database(), "SELECT FROM here")


def test_postgres_runs_unprivileged_from_a_folder_that_others_cannot_enter(tmp_path):
    tmp_path.chmod(0o700)
    server = Postgres(tmp_path / "postgres", password="right", durable=False)
    server.start()
    try:
        run_sql(server.dsn(), "SELECT 1")
        with pytest.raises(asyncpg.InvalidPasswordError):
            run_sql(server.dsn().replace("right", "wrong"), "SELECT 1")
        assert psutil.Process(server._process.pid).uids().effective != 0
        data = server._data()
        assert (os.geteuid() != 0) == data.is_relative_to(tmp_path)
    finally:
        server.stop()
        server.remove()
    assert not data.exists()


def test_a_server_that_cannot_start_says_why_and_where_its_log_is():
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        server = Postgres(Path(folder, "postgres"), durable=False)
        server.prepare()
        data = server._data()
        (data / "PG_VERSION").write_text("9\n")
        with pytest.raises(PartError, match="postgres did not come up: it ended with code 1") as failed:
            server.start()
        assert "data directory was initialized by PostgreSQL version 9" in str(failed.value)
        assert str(server.log) in str(failed.value)
        server.remove()


def test_an_initdb_that_was_killed_is_done_again_and_a_killed_servers_number_may_be_another_process(tmp_path):
    server = Postgres(tmp_path / "postgres", password="right", durable=False)
    server.directory.mkdir()
    killed = server._data().with_name("data.made")
    killed.with_name("password").write_text("right")
    killed.mkdir()
    (killed / "PG_VERSION").write_text("18\n")  # the first file that initdb writes
    user = server._user
    other = subprocess.Popen(["sleep", "600"], user=user.uid if user else None)  # a process PostgreSQL could signal
    try:
        server.prepare()
        (server._data() / "postmaster.pid").write_text(f"{other.pid}\n{server._data()}\n")
        server.start()
        run_sql(server.dsn(), "SELECT 1")
        assert {path.name for path in killed.parent.iterdir()} <= {"data", "owner", "elsewhere", "postgres.log"}
    finally:
        server.stop()
        server.remove()
        other.kill()
        other.wait()


async def test_kafka_serves_names_a_controller_and_makes_no_topic_by_itself(kafka_server):
    host, port = kafka_server.split(":")
    assert controller_id(host, int(port)) >= 0
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_server)
    await admin.start()
    try:
        await admin.create_topics([NewTopic("made-by-test", num_partitions=2, replication_factor=1)])
        assert "made-by-itself" not in await admin.list_topics()
    finally:
        await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=kafka_server, enable_idempotence=True)
    await producer.start()
    await producer.send_and_wait("made-by-test", b"kept")
    await producer.stop()
    consumer = AIOKafkaConsumer(
        "made-by-test", bootstrap_servers=kafka_server, group_id="stores", auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        record = await asyncio.wait_for(consumer.getone(), 120)
    finally:
        await consumer.stop()
    assert record.value == b"kept"


def test_a_jar_that_differs_from_its_known_hash_is_refused(tmp_path):
    for jar in jars.jars().iterdir():
        (tmp_path / jar.name).symlink_to(jar)
    jars._check(tmp_path)
    altered = tmp_path / f"kafka-clients-{jars.KAFKA_VERSION}.jar"
    altered.unlink()
    altered.write_bytes(b"not it")
    with pytest.raises(RuntimeError, match=altered.name):
        jars._check(tmp_path)


def test_the_jars_are_fetched_with_the_certificates_that_the_machine_trusts(tmp_path, monkeypatch):
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    machine = tmp_path / "ca.pem"
    machine.touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(machine))
    seen: list[str | None] = []

    def build(_: str) -> None:
        seen.append(os.environ.get("REQUESTS_CA_BUNDLE"))
        raise ConnectionError("no route to host")

    monkeypatch.setattr("jgo.build", build)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert jars.main([]) == "Kafka's jars could not be fetched: no route to host"
    assert seen == [str(machine)]


def test_the_log_of_kafka_shows_its_errors():
    assert any("log4j-slf4j-impl" in name for name in jars.known_hashes())
    assert "rootLogger.level=warn" in kafka._LOG4J


def test_servers_of_a_test_run_that_is_killed_with_9_end_with_it(tmp_path):
    test = tmp_path / "test_killed.py"
    test.write_text(
        "import os, psutil, pathlib\n"
        "def test_killed(postgres_server, kafka_server):\n"
        "    pids = [str(child.pid) for child in psutil.Process().children(recursive=True)]\n"
        f"    pathlib.Path({str(tmp_path / 'pids')!r}).write_text(' '.join(pids))\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-m", "pytest", "-c", ROOT / "pyproject.toml", "-q", test], check=False)
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert len(pids) > 3
    assert psutil.wait_procs(_alive(pids), timeout=60)[1] == []
    with scratch(SCRATCH):
        pass  # what the killed run left in memory goes when the next folder is made


def _alive(pids: list[int]) -> list[psutil.Process]:
    """Those that have not ended; one may end while it is looked at."""
    alive = []
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            alive.append(psutil.Process(pid))
    return alive
