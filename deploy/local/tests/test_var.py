import socket

from muster.local.var import Ports, Secrets


def test_ports_stay_the_same_for_the_next_run_unless_somebody_took_one(tmp_path):
    first = Ports(tmp_path)
    before = {name: first[name] for name in ("a", "b")}
    assert len(set(before.values())) == 2
    with socket.create_server(("127.0.0.1", before["b"])):
        second = Ports(tmp_path)
        assert second["a"] == before["a"]
        assert second["b"] != before["b"]


def test_ports_are_below_those_that_outgoing_connections_take(tmp_path):
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        lowest = int(file.read().split()[0])
    assert Ports(tmp_path)["a"] < lowest


def test_secrets_are_made_once_and_only_their_owner_may_read_them(tmp_path):
    first = Secrets(tmp_path)["hash_key"]
    assert len(bytes.fromhex(first)) == 32
    assert Secrets(tmp_path)["hash_key"] == first != Secrets(tmp_path)["bulk_id_key"]
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600
