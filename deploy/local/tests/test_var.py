import socket
from pathlib import Path

import pytest

from muster.local.ports import free_port
from muster.local.var import Ports, Secrets


@pytest.fixture
def ports():
    opened: list[Ports] = []

    def make(var: Path) -> Ports:
        opened.append(Ports(var))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


def test_ports_stay_the_same_for_the_next_run_unless_somebody_took_one(tmp_path, ports):
    first = ports(tmp_path)
    before = {name: first[name] for name in ("a", "b")}
    assert len(set(before.values())) == 2
    first.close()
    with socket.create_server(("127.0.0.1", before["b"])):
        second = ports(tmp_path)
        assert second["a"] == before["a"]
        assert second["b"] not in before.values()


def test_two_that_choose_at_once_never_choose_the_same_port_even_from_the_same_past(tmp_path, ports):
    first = ports(tmp_path)
    chosen = {first[name] for name in "abc"}
    second = ports(tmp_path)
    assert not chosen & {second[name] for name in "abc"}


def test_ports_are_below_those_that_outgoing_connections_take(tmp_path, ports):
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        lowest = int(file.read().split()[0])
    assert ports(tmp_path)["a"] < lowest
    assert free_port() < lowest


def test_secrets_are_made_once_and_only_their_owner_may_read_them(tmp_path):
    first = Secrets(tmp_path)["hash_key"]
    assert len(bytes.fromhex(first)) == 32
    assert Secrets(tmp_path)["hash_key"] == first != Secrets(tmp_path)["bulk_id_key"]
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600
