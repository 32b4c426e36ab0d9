"""A carrier that is far slower than what people send: what waits, waits in the database, and nobody's memory grows."""

import re
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chaos.nemesis import Chaos, eventually, must
from chaos.registry import row
from chaos.rows.senders import SENDER, sums_of
from chaos.storm import one_more_send, open_tenant, tenant_balances, until_ended

BACKLOG = 200_000
IMPORTED_AT_ONCE = 10_000
PROCESSES = (SENDER, "dispatch.worker.0", "dispatch.api.0", "customer.worker.0")
LIMITED = (SENDER, "dispatch.worker.0")
ROOM = 64 << 20
GROWN_MAX_MIB = 60
SMALL = 10
SMALL_S_MAX = 60.0
_WAITING = """
SELECT (SELECT count(*) FROM attempt WHERE bulk_id = $1::text::uuid AND state <> 2) AS chunks,
    (SELECT count(*) FROM attempt WHERE bulk_id = $1::text::uuid AND state = 1) AS leased,
    requested AND arrived = chunks AND reserved > 0 AS is_there
FROM saga WHERE bulk_id = $1::text::uuid
"""


@row("31b", "a slow carrier before a backlog of 200,000 messages, in little memory", fires=BACKLOG // 1_200)
def backlog_is_no_ones_memory(chaos: Chaos) -> None:
    """Processes hold what they have claimed; a small send of somebody else goes out beside it; a stop ends it."""
    tenant = open_tenant(chaos, 1, credits=2 * BACKLOG)
    for _ in range(BACKLOG // IMPORTED_AT_ONCE):
        tenant.numbers += tenant.business.customers(IMPORTED_AT_ONCE)
    chaos.carrier_does(response_delay_ms=2_000)  # a window of 100 each 2 s
    before, ended = memory_mib(chaos, "VmRSS"), codes(chaos)
    bulk_id = one_more_send(chaos, tenant)
    eventually(lambda: (found := chaos.sql("dispatch", _WAITING, bulk_id)) and found[0]["is_there"], "it waits", 300)
    with little_memory(chaos):
        eventually(lambda: chaos.accepted(tenant.numbers).total() > 500, "the carrier takes some of it")
        small_s = beside_it(chaos)
        waiting = chaos.sql("dispatch", _WAITING, bulk_id)[0]
        after = memory_mib(chaos, "VmRSS")
    chaos.fired["chunks that waited"] += waiting["chunks"]
    held = ", ".join(f"{name} {before[name]} then {after[name]} MiB" for name in PROCESSES)
    counted = f"{waiting['chunks']} chunks wait, {waiting['leased']} of them leased"
    print(f"row 31b: {counted}; {SMALL} messages beside them took {small_s:.1f} s; {held}", flush=True)
    must(codes(chaos) == ended, f"nobody ended for want of memory: {codes(chaos)}")
    must(waiting["leased"] <= 4, f"a slow carrier slows its claim alone: {waiting}")
    grown = {name: after[name] - before[name] for name in PROCESSES}
    must(max(grown.values()) < GROWN_MAX_MIB, f"memory is flat, MiB more than before: {grown}")
    must(small_s < SMALL_S_MAX, f"a small send does not wait for a large one: {small_s:.1f} s")
    chaos.patiently(lambda: tenant.business.ask.control(bulk_id, "stop"), "a stop is answered")
    until_ended(chaos, tenant, bulk_id)
    sums = sums_of(chaos, bulk_id)
    must(sums["stopped"] > BACKLOG // 2, f"what was unsent is stopped: {sums}")
    chaos.check_when_quiet(lambda: tenant_balances(chaos, tenant))


def beside_it(chaos: Chaos) -> float:
    """How long a small send of another business takes until the carrier has all of it."""
    other = open_tenant(chaos, SMALL, credits=SMALL)
    began = time.monotonic()
    one_more_send(chaos, other)
    eventually(lambda: chaos.accepted(other.numbers).total() == SMALL, "the small send is out", 2 * SMALL_S_MAX)
    took_s = time.monotonic() - began
    chaos.check_when_quiet(lambda: tenant_balances(chaos, other))
    return took_s


@contextmanager
def little_memory(chaos: Chaos) -> Iterator[None]:
    """Let those who handle the backlog have hardly more address space than they have; whoever takes it ends."""
    sizes, before = memory_mib(chaos, "VmSize"), {}
    for name in LIMITED:
        pid = chaos.stack.pid(name)
        before[pid] = resource.prlimit(pid, resource.RLIMIT_AS)
        resource.prlimit(pid, resource.RLIMIT_AS, ((sizes[name] << 20) + ROOM, before[pid][1]))
    yield
    for pid, limits in before.items():
        resource.prlimit(pid, resource.RLIMIT_AS, limits)


def memory_mib(chaos: Chaos, which: str) -> dict[str, int]:
    """What each process holds, or has addressed."""
    found = {}
    for name in PROCESSES:
        status = Path(f"/proc/{chaos.stack.pid(name)}/status").read_text()
        found[name] = int(re.search(rf"{which}:\s+(\d+)", status)[1]) >> 10  # type: ignore[index]
    return found


def codes(chaos: Chaos) -> dict[str, int]:
    """How often each process has ended so far."""
    return {name: len(chaos.stack.supervisor.codes.get(name, [])) for name in PROCESSES}
