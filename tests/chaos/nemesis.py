"""What a row has in its hands: the running product, what breaks it, and what counts that it did break."""

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import httpx
from e2e_world import World

from chaos.databases import Databases
from chaos.proxy import Proxies
from muster.client import ApiError, Connection, Muster
from muster.kit.failpoint import EXIT_CODE
from muster.local.stack import Stack

T = TypeVar("T")
POLL_S = 0.1
DATABASES = ("tenant", "customer", "credit", "dispatch", "reply", "report")
# What a client meets while something is dead on purpose; anything else that it meets is a finding.
AWAY = (httpx.TransportError, OSError)
AWAY_STATUS = frozenset({429, 502, 503, 504})
_TERMINATE = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()
    AND pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory')
"""


class Broken(AssertionError):
    """A row did not find what must hold."""


def must(condition: object, says: str) -> None:
    """Broken with the sentence unless it holds."""
    if not condition:
        raise Broken(says)


def eventually(seen: Callable[[], T], says: str, within_s: float = 180.0) -> T:
    """What `seen` answers once that is true; Broken with the sentence and the last answer where it stays false."""
    until = time.monotonic() + within_s
    while not (found := seen()):
        if time.monotonic() > until:
            raise Broken(f"not within {within_s:g} s: {says}; last: {found!r}")
        time.sleep(POLL_S)
    return found


class Chaos:
    """One running product. Rows run in a thread; the stack and the proxies live on the loop of the main thread."""

    def __init__(self, stack: Stack, proxies: Proxies, loop: asyncio.AbstractEventLoop, *, seed: int, full: bool):
        self.stack = stack
        self.proxies = proxies
        self.full = full
        self.random = random.Random(seed)
        self.fired: Counter[str] = Counter()
        self.bulks: set[str] = set()
        self._loop = loop
        self._frozen: set[int] = set()
        self._afterwards: list[Callable[[], None]] = []
        self._duplicates = 0
        self.carrier_forgot = False
        self._seen: Counter[str] = Counter()
        self._databases = Databases()
        who = stack.run["operator"]
        self.http = httpx.Client(timeout=60)
        self.world = World(
            stack, Muster(Connection(stack.run["url"], who["client_id"], who["client_secret"])), self.http
        )
        self.carrier_habits: dict[str, Any] = self.world.carrier("GET", "/faults")

    @property
    def operator(self) -> Muster:
        """The operator's client."""
        return self.world.operator

    @property
    def var(self) -> Path:
        """The folder of running state."""
        return self.stack.var

    def run(self, work: Coroutine[Any, Any, T], limit_s: float = 120.0) -> T:
        """Run a coroutine on the loop (Kafka clients, the stack) and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(limit_s)

    def begin(self) -> None:
        """Count from zero: a row begins."""
        self.fired.clear()
        self._afterwards.clear()
        for proxy in self.proxies:
            proxy.fired.clear()
        self._duplicates = self.carrier("GET", "/stats?destinations=0")["duplicates"]
        self.carrier_forgot = False

    def all_fired(self) -> Counter[str]:
        """What fired since the row began, that of the proxies too."""
        at_proxies = {f"{what} {proxy.name}": n for proxy in self.proxies for what, n in proxy.fired.items()}
        return self.fired + Counter(at_proxies)

    def check_when_quiet(self, check: Callable[[], None]) -> None:
        """Have something checked when all faults are healed and nothing is on its way any more."""
        self._afterwards.append(check)

    def afterwards(self) -> None:
        """What the row asked to be checked, and that the carrier took no text twice for one number."""
        for check in self._afterwards:
            check()
        twice = self.carrier("GET", "/stats?destinations=0")["duplicates"] - self._duplicates
        must(twice == 0, f"nobody gets it twice: the carrier took {twice} texts a second time")

    # -- processes ----------------------------------------------------------------------------------------------------

    def services(self, *roles: str) -> list[str]:
        """The names of the services' processes, of these roles or of all."""
        names = [name for name in self.stack.supervisor.pids() if name.split(".")[0] in DATABASES]
        return [name for name in names if not roles or name.split(".")[1] in roles]

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to a part that runs; its process id."""
        pid = self.stack.pid(name)
        must(is_our_child(pid), f"{name} runs, and can be sent {number.name}")
        os.kill(pid, number)
        self.fired[f"{number.name} {name}"] += 1
        return pid

    def until_ended(self, name: str, pid: int, within_s: float = 120.0) -> None:
        """Wait until that process of a part is gone."""
        eventually(lambda: not Path(f"/proc/{pid}").exists() or _is_zombie(pid), f"{name} ({pid}) ends", within_s)

    def until_started(self, name: str, pid: int) -> None:
        """Wait until a part whose process was `pid` has another one, which may only just start."""
        eventually(lambda: self.stack.pid(name) != pid, f"{name} is started again")

    def until_ready(self, *names: str, within_s: float = 180.0) -> None:
        """Wait until these parts serve (again)."""
        until = time.monotonic() + within_s
        for name in names:
            try:
                self.run(self.stack.wait_ready(name), max(0.1, until - time.monotonic()))
            except TimeoutError as error:
                raise Broken(f"not within {within_s:g} s: {name} is ready") from error

    def crash(self, name: str) -> None:
        """kill -9, and wait until it serves again."""
        pid = self.kill(name)
        self.until_ended(name, pid)
        self.until_ready(name)

    def keep_dead(self, name: str) -> None:
        """kill -9, and leave it dead until `revive`."""
        self.stack.supervisor.hold(name)
        if name == "carrier":  # what it counted goes with it
            self.carrier_forgot, self._duplicates = True, 0
        self.until_ended(name, self.kill(name))

    def revive(self, *names: str) -> None:
        """Start what was kept dead, and wait until it serves."""
        for name in names:
            self.stack.supervisor.release(name)
        self.until_ready(*names)

    def freeze(self, name: str) -> int:
        """SIGSTOP a part; its process id, for `thaw`."""
        pid = self.kill(name, signal.SIGSTOP)
        self._frozen.add(pid)
        return pid

    def thaw(self, pid: int) -> None:
        """SIGCONT."""
        self._frozen.discard(pid)
        os.kill(pid, signal.SIGCONT)

    # -- failpoints ---------------------------------------------------------------------------------------------------

    def arm(self, **failpoints: str) -> None:
        """Start parts again with a failpoint each, armed when this returns: `arm(**{"credit.api.0": "…:exit@3"})`."""
        killed = {}
        for name, failpoint in failpoints.items():
            self.stack.arm(name, MUSTER_FAILPOINT=failpoint)
            killed[name] = self.stack.pid(name)
            os.kill(killed[name], signal.SIGKILL)
        for name, pid in killed.items():
            self.until_ended(name, pid)
        self.until_ready(*failpoints)

    def until_fired(self, name: str, within_s: float = 180.0) -> None:
        """Wait until a part has died by the failpoint that was armed, and serves again without one."""
        seen = eventually(lambda: max(0, self._died_of_it(name) - self._seen[name]), f"{name} fires", within_s)
        self._seen[name] += seen
        self.fired[f"failpoint {name}"] += seen
        self.until_ready(name)

    def _died_of_it(self, name: str) -> int:
        return self.stack.supervisor.codes.get(name, []).count(EXIT_CODE)

    def until_stopped(self, name: str, within_s: float = 180.0) -> int:
        """Wait until a part has stopped itself by an armed `stop`; its process id, for `thaw`."""
        pid = self.stack.pid(name)
        eventually(lambda: _state(pid) == "T", f"{name} stops itself", within_s)
        self._frozen.add(pid)
        self.fired[f"SIGSTOP {name}"] += 1
        return pid

    # -- what is outside ----------------------------------------------------------------------------------------------

    def sql(self, database: str, query: str, *values: Any) -> list[dict[str, Any]]:
        """Rows of a database, as the superuser."""
        server, _, _ = self.stack.run["postgres"].rpartition("/")
        return self.run(self._databases.fetch(f"{server}/{database}", query, values))

    def terminate_backends(self, database: str) -> int:
        """End the database's connections that hold an advisory lock, a relay's and a sender's; how many there were."""
        ended = len(self.sql(database, _TERMINATE, database))
        self.fired[f"backends of {database}"] += ended
        return ended

    def carrier(self, method: str, path: str, **options: Any) -> Any:
        """Ask the simulator's control port; patient with one that is starting."""
        return self.patiently(lambda: self.world.carrier(method, path, **options), "the carrier answers", 60.0)

    def carrier_does(self, **habits: Any) -> None:
        """Change how the carrier behaves, until the row ends."""
        self.carrier("PUT", "/faults", json=habits)

    def accepted(self, numbers: list[str]) -> Counter[str]:
        """How often the carrier took something for each of these numbers."""
        counted = self.carrier("GET", "/stats")["accepted_by_destination"]
        return Counter({number: counted[number] for number in numbers if number in counted})

    def patiently(self, ask: Callable[[], T], says: str, within_s: float = 180.0) -> T:
        """What `ask` answers, asked again while what answers is away. Refusals of any other kind are raised."""
        until = time.monotonic() + within_s
        while True:
            try:
                return ask()
            except ApiError as refused:
                if refused.status not in AWAY_STATUS:
                    raise
                last: Exception = refused
            except AWAY as error:
                last = error
            if time.monotonic() > until:
                raise Broken(f"not within {within_s:g} s: {says}; last: {last!r}")
            time.sleep(POLL_S)

    def heal(self) -> None:
        """End all faults that are still on."""
        for pid in list(self._frozen):
            self._frozen.discard(pid)
            if Path(f"/proc/{pid}").exists():
                os.kill(pid, signal.SIGCONT)
        self.proxies.heal()
        for name in self.stack.supervisor.pids():
            self.stack.supervisor.release(name)
        self.until_ready(*self.stack.supervisor.pids(), within_s=180)
        self.carrier("PUT", "/faults", json=self.carrier_habits)
        self.carrier("POST", "/resume")

    def close(self) -> None:
        """Give the connections back."""
        for caller in (*self.world.opened, self.world.operator):
            caller.close()
        self.http.close()
        self._databases.close()


def is_our_child(pid: int) -> bool:
    """Whether this is a process that we started: its number may be another's, once it was waited for."""
    return _status(pid)[1:2] == [str(os.getpid())]


def _state(pid: int) -> str:
    return (_status(pid) or [""])[0]


def _status(pid: int) -> list[str]:
    """State, parent and so on of a process; [] where there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _is_zombie(pid: int) -> bool:
    return _state(pid) in ("Z", "")
