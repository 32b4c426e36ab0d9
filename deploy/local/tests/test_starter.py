"""The starter as a process, with the real Kafka, PostgreSQL, Caddy, carrier and mail catcher."""

import fcntl
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import psutil
import pytest

from muster.local.postgres import run_sql

STARTER = Path(__file__).with_name("starter.py")
END_LIMIT_S = 60
PARTS = {"kafka", "postgres", "caddy", "carrier", "mail"}


def a_folder():
    with tempfile.TemporaryDirectory() as folder:
        # Names as people have them: Kafka takes a comma for a list, and Java no ö in the locale C.
        yield Path(folder, "Żaneta's höme, 2", "var")


@pytest.fixture
def var():
    yield from a_folder()


@pytest.fixture(scope="module")
def running():
    """One starter for the tests that only look at it."""
    for folder in a_folder():
        started = Started(folder)
        yield started
        assert started.end(signal.SIGINT) == 0


class Started:
    """A starter that has come up, with all processes below it at that time."""

    def __init__(self, var: Path) -> None:
        self.var = var
        env = {name: value for name, value in os.environ.items() if name not in ("LANG", "LC_ALL", "LC_CTYPE")}
        command = [sys.executable, STARTER, var]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            said = list(itertools.takewhile(lambda line: "postgres" not in line, lines))
            assert not (var / "run.json").exists(), "who finds it may use what it names"
            said += itertools.takewhile(lambda line: not line.startswith("Ctrl-C"), lines)
        assert (var / "run.json").exists(), "".join(said)
        self.run = json.loads((var / "run.json").read_text())
        self.below = psutil.Process(self.process.pid).children(recursive=True)

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(END_LIMIT_S)


def left_of(processes: list[psutil.Process]) -> list[psutil.Process]:
    return psutil.wait_procs(processes, timeout=END_LIMIT_S)[1]


def test_ctrl_c_ends_everything_and_data_and_ports_are_kept_for_the_next_run(var):
    first = Started(var)
    run_sql(first.run["postgres"], "CREATE TABLE kept ()")
    assert first.end(signal.SIGINT) == 0
    assert left_of(first.below) == []
    assert not (var / "run.json").exists()

    second = Started(var)
    run_sql(second.run["postgres"], "SELECT FROM kept")
    assert second.run["url"] == first.run["url"]
    assert second.end(signal.SIGTERM) == 0
    assert left_of(second.below) == []


def test_kill_9_of_the_starter_leaves_nothing_behind_and_the_next_start_finds_the_data(var):
    first = Started(var)
    names = {process.name() for process in first.below}
    assert {"postgres", "java", "caddy"} <= names
    assert len(first.below) > len(PARTS), "the server's own background processes are looked at too"
    run_sql(first.run["postgres"], "CREATE TABLE kept ()")

    first.end(signal.SIGKILL)
    (var / "run.json").write_text('{"of": "the run that was killed"}')

    second = Started(var)  # does not wait for us to look: what is dying must not be in its way
    assert left_of(first.below) == []
    run_sql(second.run["postgres"], "SELECT FROM kept")
    second.end(signal.SIGINT)


def test_one_folder_is_for_one_run(running):
    refused = subprocess.run([sys.executable, STARTER, running.var], capture_output=True, text=True, timeout=120)
    assert refused.returncode == 1
    assert f"another Muster runs in {running.var} (process {running.process.pid})" in refused.stdout
    assert "MUSTER_VAR" in refused.stdout


def test_two_folders_run_side_by_side(running, var):
    second = Started(var)
    assert not {*running.run["processes"].values()} & {*second.run["processes"].values()}
    assert second.end(signal.SIGINT) == 0
    with urllib.request.urlopen(running.run["url"] + "/robots.txt", timeout=60) as answer:
        assert answer.status == 200


def test_run_json_says_where_everything_is_and_only_its_owner_may_read_it(running):
    run = running.run
    assert set(run) == {
        *("url", "kafka", "postgres", "smtp", "mail_url", "carrier", "operator"),
        *("tenants", "users", "metrics", "processes", "second_operator", "payment_webhook_secret"),
    }
    assert set(run["carrier"]) == {"host", "port", "system_id", "password", "control_url"}
    assert set(run["operator"]) == set(run["second_operator"]) == {"client_id", "client_secret"}
    assert set(run["processes"]) == PARTS
    assert {process.pid for process in running.below} >= set(run["processes"].values())
    assert (running.var / "run.json").stat().st_mode & 0o777 == 0o600
    with urllib.request.urlopen(run["url"] + "/robots.txt", timeout=60) as answer:
        assert b"Disallow" in answer.read()
    with urllib.request.urlopen(run["mail_url"], timeout=60) as answer:
        assert json.load(answer) == []


def test_only_the_ports_of_run_json_are_listened_on_and_only_on_the_loopback(running):
    listening = [
        connection.laddr
        for process in running.below
        if process.is_running()
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    ]
    ports = json.loads((running.var / "ports.json").read_text())["ports"]
    assert {address.port for address in listening} == set(ports.values())
    assert {address.ip.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}


def test_a_part_that_cannot_start_is_named_with_its_log_and_nothing_is_left(var):
    properties = var / "kafka" / "data" / "meta.properties"
    properties.parent.mkdir(parents=True)
    properties.write_text("version=1\ncluster.id=5L6g3nShT-eMCtK--X86sw\nnode.id=7\n")

    failed = subprocess.run([sys.executable, STARTER, var], capture_output=True, text=True, timeout=120)

    assert failed.returncode == 1
    assert "kafka did not come up: it ended with code 1" in failed.stdout
    assert str(var / "log" / "kafka.log") in failed.stdout
    with (var / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # each process of a run holds it


@pytest.mark.parametrize(("given", "why"), [("nonsense", "invalid DSN"), ("postgresql://a:b@127.0.0.1:1", "Connect")])
def test_a_server_that_is_given_and_cannot_be_used_is_named_before_anything_starts(var, given, why):
    env = {**os.environ, "MUSTER_POSTGRES": given}
    failed = subprocess.run([sys.executable, STARTER, var], capture_output=True, text=True, timeout=120, env=env)
    assert failed.returncode == 1
    assert re.search(f"the server that MUSTER_POSTGRES names cannot be used: .*{why}", failed.stdout)
    assert not (var / "log").exists()


def test_a_folder_that_cannot_be_is_named_in_one_line(var):
    var.parent.mkdir(parents=True)
    var.write_text("a file")
    failed = subprocess.run([sys.executable, STARTER, var], capture_output=True, text=True, timeout=120)
    assert failed.returncode == 1
    assert f"cannot go on: [Errno 17] File exists: {str(var)!r}" in failed.stdout
    assert failed.stderr == ""


def test_a_starter_told_to_end_with_its_caller_does_so_in_order_when_that_is_killed_with_9(var):
    caller = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import subprocess as s; s.run({[sys.executable, str(STARTER), str(var), 'with-parent']})",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert caller.stdout is not None
    with caller.stdout as lines:
        assert any(line.startswith("Ctrl-C") for line in lines)
    below = psutil.Process(caller.pid).children(recursive=True)
    caller.kill()
    caller.wait(END_LIMIT_S)
    assert len(below) > len(PARTS)
    assert left_of(below) == []
    assert not (var / "run.json").exists(), "it ended in order"
