"""Senders that are restarted one after the other, as a new version is rolled out, while a send goes on."""

import itertools
import signal

from chaos.nemesis import Chaos, eventually, must
from chaos.registry import row
from chaos.rows.senders import sums_of
from chaos.storm import one_more_send, open_tenant, tenant_balances, until_ended

SENDERS = ("dispatch.sender.0", "dispatch.sender.1")
RECIPIENTS = 6_000
RESTARTS = 4
# What a slow and busy machine may need; elsewhere it is below a second (docs/carriers.md).
PAUSE_S_MAX = 10.0


@row("30b", "SIGTERM of each sender in turn, in the middle of a send", fires=RESTARTS)
def rolls_through_a_send(chaos: Chaos) -> None:
    """Each drains its window and leaves the account to the next: nothing is unknown, and the send hardly pauses."""
    other = chaos.run(chaos.stack.add("dispatch", "sender", 1))
    tenant = open_tenant(chaos, RECIPIENTS)
    chaos.carrier_does(response_delay_ms=250)
    bulk_id = one_more_send(chaos, tenant)
    for turn in range(1, RESTARTS + 1):
        reached = RECIPIENTS * turn // (RESTARTS + 2)
        eventually(lambda reached=reached: chaos.accepted(tenant.numbers).total() >= reached, f"{reached} are out")
        name = owner(chaos)
        ended = len(codes_of(chaos, name))
        chaos.until_ended(name, chaos.kill(name, signal.SIGTERM))
        codes = eventually(lambda name=name, ended=ended: codes_of(chaos, name)[ended:], f"{name} has ended")
        must(codes == [0], f"{name} ended in order: {codes}")
        chaos.until_ready(name)
    until_ended(chaos, tenant, bulk_id)
    sums, times = sums_of(chaos, bulk_id), submit_times(chaos, set(tenant.numbers))
    must(sums["unknown"] == 0 and sums["accepted"] == RECIPIENTS, f"all are accepted, none is unknown: {sums}")
    pauses = sorted((later - earlier for earlier, later in itertools.pairwise(times)), reverse=True)[:RESTARTS]
    print(f"row 30b: the longest pauses between submits: {', '.join(f'{pause:.2f} s' for pause in pauses)}", flush=True)
    must(pauses[0] < PAUSE_S_MAX, f"the longest pause is below {PAUSE_S_MAX:g} s: {pauses}")
    chaos.run(chaos.stack.supervisor.end(other))
    chaos.until_ready("dispatch.sender.0")
    chaos.check_when_quiet(lambda: tenant_balances(chaos, tenant))


def codes_of(chaos: Chaos, name: str) -> list[int]:
    """The exit codes of a part so far."""
    return list(chaos.stack.supervisor.codes.get(name, []))


def owner(chaos: Chaos) -> str:
    """The sender process that has the account: the one that is bound."""
    return eventually(lambda: next((name for name in SENDERS if is_bound(chaos, name)), ""), "a sender is bound")


def is_bound(chaos: Chaos, name: str) -> bool:
    """By what the process itself shows."""
    shown = chaos.patiently(lambda: chaos.http.get(chaos.stack.run["metrics"][name]).text, f"{name} shows its metrics")
    return "\nmuster_carrier_bound 1.0" in shown


def submit_times(chaos: Chaos, numbers: set[str]) -> list[float]:
    """When the carrier accepted each message to these numbers, in order."""
    messages = chaos.carrier("GET", "/messages?limit=10000")
    return [one["at"] for one in messages if one["to"] in numbers]
