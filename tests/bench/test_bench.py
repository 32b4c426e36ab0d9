"""The benches' own parts: what they are asked for, whom they stand beside, and what they count."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from socket import create_server
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.audience import people
from bench.cpu import cpu_s, less
from bench.numbers import disagreements
from bench.peers import PeersFailed, ratios, run_peers
from bench.run import broken, marginal
from bench.wanted import Refused, Wanted
from muster.customer.domain.files.reading import Block, Opened, Options, read, rows_of
from muster.customer.importer.guess import guess_encoding


def test_nothing_asked_for_is_a_send_to_fifty_thousand_at_our_own_carrier() -> None:
    assert Wanted.read({}) == Wanted("send", (50_000,), 10, 200, 4, 1, None, ())
    assert Wanted.read({"BENCH": "", "BENCH_RECIPIENTS": "", "BENCH_CARRIER": "", "PEERS": ""}) == Wanted.read({})


@pytest.fixture
def listener() -> Iterator[str]:
    with create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_sizes_a_carrier_and_peers_are_read(listener: str) -> None:
    wanted = Wanted.read({"BENCH_RECIPIENTS": "20000,200000", "BENCH_CARRIER": listener, "PEERS": "sh -c 'echo 1'"})

    assert wanted.sizes == (20_000, 200_000)
    assert wanted.carrier is not None
    assert f"{wanted.carrier[0]}:{wanted.carrier[1]}" == listener
    assert wanted.peers == ("sh", "-c", "echo 1")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BENCH", "sends"),
        *(("BENCH_RECIPIENTS", value) for value in ("x", "0", "-5", "1.5", "20000,", "1000001", "²")),
        *(("BENCH_STOPS", value) for value in ("x", "0", "101", "-1")),
        *(("BENCH_TENANTS", value) for value in ("1", "1001", "2.5")),
        *(("BENCH_CONNECTIONS", value) for value in ("0", "1001")),
        *(("BENCH_PER_REQUEST", value) for value in ("0", "101")),
        *(("BENCH_STORIES", value) for value in ("sunny", "slow,sunny")),
        ("BENCH_TRACES", "/no/such/folder"),
        *(("BENCH_CUSTOMERS", value) for value in ("999", "1000001", "1e6")),
        ("SEED", "-1"),
        *(("BENCH_CARRIER", value) for value in ("127.0.0.1", "127.0.0.1:", ":2775", "127.0.0.1:x", "127.0.0.1:70000")),
        ("BENCH_CARRIER", "127.0.0.1:1"),
        ("PEERS", "no-such-program --at all"),
        ("PEERS", "'unclosed"),
    ],
)
def test_a_value_that_will_not_do_is_refused_by_its_name(name: str, value: str) -> None:
    with pytest.raises(Refused, match=f"^{name}: "):
        Wanted.read({name: value})


def test_make_bench_ends_with_2_and_a_word_for_a_wrong_value() -> None:
    program = [sys.executable, "-m", "tests.bench.run"]
    root = Path(__file__).resolve().parents[2]

    done = subprocess.run(
        program, env={**os.environ, "BENCH": "sends"}, cwd=root, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout) == (2, "")
    benches = "send, single, stop, fair, accounts, finish, ledger, audience, quote, parts"
    assert done.stderr == f"BENCH: there is no bench 'sends', only {benches}\n"


def test_the_lines_of_json_that_peers_print_are_theirs() -> None:
    script = 'echo noise; echo \'{"peer": "a", "msgs_per_s": 10}\'; echo 5; echo \'{"limit": 1}\''

    assert run_peers(("sh", "-c", script)) == [{"peer": "a", "msgs_per_s": 10}, {"limit": 1}]
    assert run_peers(()) == []


@pytest.mark.parametrize(
    ("script", "why"), [("exit 3", "ended with code 3"), ("echo hello", "no line of JSON"), ("sleep 60", "not ended")]
)
def test_peers_that_do_not_end_well_are_told(script: str, why: str) -> None:
    with pytest.raises(PeersFailed, match=why):
        run_peers(("sh", "-c", script), timeout_s=0.2 if "sleep" in script else 10.0)


def test_we_stand_beside_each_peer_that_says_its_rate_and_its_cpu() -> None:
    ours = {"sms_per_s": 20_000, "cpu_us_per_sms": 100.0}
    peers: list[dict[str, Any]] = [
        {"peer": "kannel", "msgs_per_s": 10_000, "cpu_s_per_1000": 0.2, "config": {"per_request": 100}},
        {"peer": "floor", "smsc_per_s": 40_000, "us_per_sms": 50, "config": {}},
        {"peer": "limit", "msgs_per_s": 100_000},
        {"something": "else"},
    ]

    assert ratios(ours, peers) == {
        "ratios": {"kannel 100": {"rate": 2.0, "cpu": 0.5}, "floor": {"rate": 0.5, "cpu": 2.0}}
    }
    assert ratios(ours, []) == {}


def test_each_further_sms_is_set_against_those_of_the_smallest_run() -> None:
    runs = [{"recipients": 20, "cpu_us_per_sms": 100.0}, {"recipients": 200, "cpu_us_per_sms": 110.0}]

    assert marginal(runs) == {"marginal_us_per_sms": 111.1, "marginal_ratio": 1.111}
    assert marginal(runs[:1]) == {}


@pytest.mark.parametrize(("violations", "checked", "code"), [(0, 5, 0), (1, 5, 1), (0, 0, 1)])
def test_a_law_that_is_broken_or_was_checked_on_nothing_ends_a_bench_with_1(
    violations: int, checked: int, code: int
) -> None:
    assert broken([{"recipients": 5, "laws": {"once": violations}, "laws_checked": {"once": checked}}]) == code


# The kernel tells times in ticks of 10 ms, user's and system's each cut off: a sum of several is some ticks short.
BUSY = "import time\nwhile time.process_time() < 0.3: pass\n"


def test_what_a_dead_process_has_used_stays_counted() -> None:
    before, _ = cpu_s({}, ())
    subprocess.run([sys.executable, "-c", BUSY], check=True)

    after, _ = cpu_s({}, ())

    assert after - before > 0.2


def test_what_is_left_out_is_not_in_the_sum_but_has_its_own_figure() -> None:
    with subprocess.Popen([sys.executable, "-c", BUSY + "print(flush=True)\ninput()"], stdin=-1, stdout=-1) as world:
        before, _ = cpu_s({"carrier": world.pid}, ("carrier",))
        assert world.stdout is not None
        world.stdout.readline()
        after, each = cpu_s({"carrier": world.pid}, ("carrier",))
        world.communicate(b"\n")

    assert after - before < 0.1
    assert each["carrier"] > 0.2


def test_a_restarted_process_has_used_what_its_new_one_used() -> None:
    assert less({"a": 3.0, "b": 1.0}, {"a": 1.0, "b": 5.0}) == {"a": 2.0, "b": 1.0}


def test_random_and_mutated_numbers_of_forty_countries_are_what_phonenumbers_says_they_are() -> None:
    assert disagreements(6_000, seed=20_261_127) == []


def test_the_same_people_are_in_the_file_and_in_the_workbook(tmp_path: Path) -> None:
    people.write_csv(tmp_path / "people.csv", 250, seed=1)
    people.write_workbook(tmp_path / "people.xlsx", 250, seed=1)

    found = []
    for name in ("people.csv", "people.xlsx"):
        with (tmp_path / name).open("rb") as file:
            opened, *blocks = read(file, Options(), guess_encoding)
            assert isinstance(opened, Opened)
            text = b"".join(block.text for block in blocks if isinstance(block, Block))
            found.append((opened.header, list(rows_of(text, opened.separator))))
    assert found[0] == found[1]
    assert len(found[0][1]) == 250
