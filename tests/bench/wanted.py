"""What a bench is asked for by its environment, checked before anything starts."""

import os
import shlex
import shutil
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.finish import STORIES

BENCHES = ("send", "single", "stop", "fair", "accounts", "finish", "ledger", "audience", "quote", "parts")
RECIPIENTS_MAX = 1_000_000
STOPS_MAX = 100
TENANTS_MAX = 1_000
CUSTOMERS_MAX = 1_000_000
ACCOUNTS_MAX = 8
CONNECTIONS_MAX = 1_000
PER_REQUEST_MAX = 100
CONNECT_TIMEOUT_S = 5.0


class Refused(Exception):
    """A value that no bench can run with; says which and why."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """BENCH, BENCH_RECIPIENTS (several are measured one after the other), BENCH_STOPS, BENCH_TENANTS, BENCH_ACCOUNTS,
    SEED, BENCH_CARRIER, PEERS, BENCH_CONNECTIONS, BENCH_PER_REQUEST, BENCH_STORIES, BENCH_TRACES and
    BENCH_CUSTOMERS, as read."""

    bench: str
    sizes: tuple[int, ...]
    stops: int
    tenants: int
    accounts: int
    seed: int
    carrier: tuple[str, int] | None
    peers: tuple[str, ...]
    connections: int = 32
    per_request: int = 1
    stories: tuple[str, ...] = ()
    traces: Path | None = None
    customers: int = CUSTOMERS_MAX

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> "Wanted":
        """Raises Refused for the first value that will not do."""
        bench = environment.get("BENCH") or "send"
        if bench not in BENCHES:
            raise Refused(f"BENCH: there is no bench {bench!r}, only {', '.join(BENCHES)}")
        return cls(
            bench=bench,
            sizes=_sizes(environment.get("BENCH_RECIPIENTS") or "50000"),
            stops=_number(environment, "BENCH_STOPS", 10, 1, STOPS_MAX),
            tenants=_number(environment, "BENCH_TENANTS", 1_000 if bench == "audience" else 200, 2, TENANTS_MAX),
            accounts=_number(environment, "BENCH_ACCOUNTS", 4, 1, ACCOUNTS_MAX),
            seed=_number(environment, "SEED", 1, 0, 2**31),
            carrier=_carrier(environment.get("BENCH_CARRIER", "")),
            peers=_command(environment.get("PEERS", "")),
            connections=_number(environment, "BENCH_CONNECTIONS", 32, 1, CONNECTIONS_MAX),
            per_request=_number(environment, "BENCH_PER_REQUEST", 1, 1, PER_REQUEST_MAX),
            stories=_stories(environment.get("BENCH_STORIES", "")),
            traces=_folder(environment.get("BENCH_TRACES", "")),
            customers=_number(environment, "BENCH_CUSTOMERS", CUSTOMERS_MAX, 1_000, CUSTOMERS_MAX),
        )


def _sizes(written: str) -> tuple[int, ...]:
    sizes = []
    for word in written.split(","):
        size = int(word) if word.strip().isascii() and word.strip().isdigit() else 0
        if not 1 <= size <= RECIPIENTS_MAX:
            raise Refused(
                f"BENCH_RECIPIENTS: {word!r} is not a number of recipients from 1 to {RECIPIENTS_MAX:,} "
                "(several with commas between)"
            )
        sizes.append(size)
    return tuple(sizes)


def _number(environment: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    written = environment.get(name) or str(default)
    number = int(written) if written.isascii() and written.isdigit() else -1
    if not least <= number <= most:
        raise Refused(f"{name}: {written!r} is not a whole number from {least} to {most:,}")
    return number


def _carrier(written: str) -> tuple[str, int] | None:
    if not written:
        return None
    host, _, digits = written.rpartition(":")
    port = int(digits) if digits.isascii() and digits.isdigit() else 0
    if not host or not 1 <= port <= 65535:
        raise Refused(f"BENCH_CARRIER: {written!r} is not host:port of an SMPP server")
    try:
        socket.create_connection((host, port), CONNECT_TIMEOUT_S).close()
    except OSError as error:
        raise Refused(f"BENCH_CARRIER: nobody answers at {written}: {error}") from error
    return host, port


def _command(written: str) -> tuple[str, ...]:
    try:
        words = tuple(shlex.split(written))
    except ValueError as error:
        raise Refused(f"PEERS: {written!r} is not a command: {error}") from error
    if words and shutil.which(words[0]) is None:
        raise Refused(f"PEERS: there is no program {words[0]!r}")
    return words


def _stories(written: str) -> tuple[str, ...]:
    names = tuple(word.strip() for word in written.split(",") if word.strip())
    for name in names:
        if name not in STORIES:
            raise Refused(f"BENCH_STORIES: there is no story {name!r}, only {', '.join(STORIES)}")
    return names


def _folder(written: str) -> Path | None:
    if not written:
        return None
    folder = Path(written)
    if not folder.is_dir():
        raise Refused(f"BENCH_TRACES: {written!r} is not a folder")
    return folder
