"""A sender that dies, sleeps or loses its carrier between intent, write, answer and record."""

import itertools
import json
import time
from datetime import datetime
from functools import partial
from typing import Any

from chaos.nemesis import Chaos, eventually, must
from chaos.proxy import NO_ANSWERS
from chaos.registry import row
from chaos.storm import Tenant, one_more_send, open_tenant, tenant_balances, until_ended

SENDER = "dispatch.sender.0"
WINDOW = 100  # as run.ENV says
GUARD_S = 2.5


@row("5", "kill -9 of a sender in the middle of a chunk, before or after a window's intent", fires=2, short=True)
def dies_around_an_intent(chaos: Chaos) -> None:
    """What is above the intent is sent by whoever comes next; what is at or below it is unknown, and nobody's again."""
    cases = (("before_intent", 0), ("after_intent", WINDOW))
    sends = []
    for point, most in cases:
        tenant = open_tenant(chaos, 600)
        chaos.arm(**{SENDER: f"dispatch.{point}:exit@3"})
        bulk_id = one_more_send(chaos, tenant)
        chaos.until_fired(SENDER)
        until_left(chaos, bulk_id)
        sends.append((tenant, bulk_id, point, most))
    for tenant, bulk_id, point, most in sends:
        until_ended(chaos, tenant, bulk_id)
        sums, reached = sums_of(chaos, bulk_id), chaos.accepted(tenant.numbers)
        must(set(reached.values()) == {1}, f"nobody gets it twice: {reached.most_common(2)}")
        must(reached.total() == sums["accepted"], f"accepted is what the carrier took, {reached.total()}: {sums}")
        must(sums["accepted"] + sums["unknown"] == 600, f"each has one end: {sums}")
        must((sums["unknown"] > 0) == (most > 0) and sums["unknown"] <= most, f"{point} leaves unknown {sums}")
        chaos.check_when_quiet(partial(tenant_balances, chaos, tenant))


@row("6", "kill -9 of a sender after the write, before the response")
def dies_after_the_write(chaos: Chaos) -> None:
    """Unknown; a receipt resolves it; where none comes it is never sent again."""
    chaos.carrier_does(response_delay_ms=1_500, receipt_delay_ms=2_500, receipt_loss=0.5)
    die_with_answers_outstanding(chaos, "dispatch.after_write:exit@2")


@row("7", "kill -9 of a sender after the response, before it is recorded", fires=2)
def dies_before_the_record(chaos: Chaos) -> None:
    """Unknown; a receipt resolves it; where none comes it is never sent again."""
    chaos.carrier_does(receipt_delay_ms=2_500, receipt_loss=0.5)
    die_with_answers_outstanding(chaos, "dispatch.after_response:exit@2", "dispatch.before_record:exit")


def die_with_answers_outstanding(chaos: Chaos, *points: str) -> None:
    """What was written is at the carrier once; of it is unknown what nobody ever heard of. When the sender died the
    next window's intent may just have been committed: that is unknown, and never written."""
    sends = []
    for armed in points:
        tenant = open_tenant(chaos, 500)
        chaos.arm(**{SENDER: armed})
        bulk_id = one_more_send(chaos, tenant)
        chaos.until_fired(SENDER)
        until_left(chaos, bulk_id)
        sends.append((tenant, bulk_id))
    for tenant, bulk_id in sends:
        until_ended(chaos, tenant, bulk_id)
        sums, reached = sums_of(chaos, bulk_id), chaos.accepted(tenant.numbers)
        unwritten = 500 - reached.total()
        must(set(reached.values()) == {1} and unwritten in (0, WINDOW), f"each gets it once: {reached.total()}")
        must(sums["accepted"] + sums["unknown"] == 500, f"each has one end: {sums}")
        must(sums["unknown"] >= unwritten, f"what was never written is unknown: {sums}")
        must(0 < sums["unknown"] < 300, f"of each two one is resolved by its receipt, the rest is unknown: {sums}")
        chaos.check_when_quiet(partial(tenant_balances, chaos, tenant))


def until_left(chaos: Chaos, bulk_id: str) -> None:
    """Wait until nothing of a send is queued or on the wire any more."""
    query = "SELECT arrived = chunks AND done = chunks AND chunks > 0 AS left FROM saga WHERE bulk_id = $1::text::uuid"
    eventually(lambda: (rows := chaos.sql("dispatch", query, bulk_id)) and rows[0]["left"], "all of it has left")


# -- a sender that is stopped, and goes on when the world has moved ----------------------------------------------------


@row("8", "a sender stopped between intent and write, continued after a stop, an opt-out or a takeover", fires=3)
def sleeps_between_intent_and_write(chaos: Chaos) -> None:
    """It writes nothing of what it intended before it slept."""
    sleeps_through_a_stop(chaos)
    sleeps_through_opt_outs(chaos)
    sleeps_through_a_takeover(chaos)


def asleep(chaos: Chaos, tenant: Tenant) -> tuple[str, int]:
    """A send whose sender stopped itself between the intent of its second window and the write; and its process id."""
    chaos.arm(**{SENDER: "dispatch.after_intent:stop@2"})
    bulk_id = one_more_send(chaos, tenant)
    return bulk_id, chaos.until_stopped(SENDER)


def wake(chaos: Chaos, pid: int) -> None:
    """Let it go on when its intent is older than the two seconds for which it would still be good."""
    time.sleep(GUARD_S)  # by the sender's own clock, which cannot be asked while it sleeps
    chaos.thaw(pid)


def sleeps_through_a_stop(chaos: Chaos) -> None:
    """A stop that came while it slept."""
    tenant = open_tenant(chaos, 400)
    bulk_id, pid = asleep(chaos, tenant)
    chaos.patiently(lambda: tenant.business.ask.control(bulk_id, "stop"), "a stop is answered")
    before = chaos.accepted(tenant.numbers).total()
    wake(chaos, pid)
    until_ended(chaos, tenant, bulk_id)
    after = chaos.accepted(tenant.numbers).total()
    must(before == after, f"a stopped send writes nothing any more: {before} at the carrier, then {after}")
    chaos.check_when_quiet(lambda: tenant_balances(chaos, tenant))


def sleeps_through_opt_outs(chaos: Chaos) -> None:
    """Opt-outs that came while it slept."""
    tenant = open_tenant(chaos, 400)
    bulk_id, pid = asleep(chaos, tenant)
    there = chaos.accepted(tenant.numbers)
    out = [number for number in tenant.numbers if number not in there][:40]
    for number in out:
        chaos.patiently(
            lambda number=number: tenant.business.ask.post("/v1/suppressions", {"number": number, "reason": "asked"}),
            "an opt-out is answered",
        )
    held = "SELECT count(*) AS n FROM suppression WHERE tenant_id = $1::text::uuid AND suppressed"
    eventually(lambda: chaos.sql("dispatch", held, tenant.business.id)[0]["n"] == len(out), "opt-outs are heard")
    wake(chaos, pid)
    until_ended(chaos, tenant, bulk_id)
    reached = chaos.accepted(tenant.numbers)
    must(not set(out) & set(reached), "nobody who opted out while it slept is texted")
    must(reached.total() == 400 - len(out), f"everybody else is: {reached.total()}")
    chaos.check_when_quiet(lambda: tenant_balances(chaos, tenant))


def sleeps_through_a_takeover(chaos: Chaos) -> None:
    """Another sender has taken its account, and its chunks, while it slept."""
    tenant = open_tenant(chaos, 400)
    bulk_id, pid = asleep(chaos, tenant)
    chaos.terminate_backends("dispatch")
    other = chaos.run(chaos.stack.add("dispatch", "sender", 1))
    until_ended(chaos, tenant, bulk_id)
    before = chaos.accepted(tenant.numbers)
    wake(chaos, pid)
    chaos.until_ended(SENDER, pid)  # without its account it has nothing to do here
    must(chaos.accepted(tenant.numbers) == before, "who was taken over writes nothing")
    sums = sums_of(chaos, bulk_id)
    must(set(before.values()) == {1}, f"nobody gets it twice: {before.most_common(2)}")
    must(sums["accepted"] + sums["unknown"] == 400, f"each has one end: {sums}")
    must(0 < sums["unknown"] <= 2 * WINDOW, f"what it had on the wire, and had intended, is unknown: {sums}")
    chaos.run(chaos.stack.supervisor.end(other))
    chaos.until_ready(SENDER)
    chaos.check_when_quiet(lambda: tenant_balances(chaos, tenant))


# -- a carrier that goes, or says nothing ------------------------------------------------------------------------------


@row("8b", "the carrier drops the connection with a full window", fires=3)
def carrier_drops_a_full_window(chaos: Chaos) -> None:
    """The whole window is unknown; the sender binds again, with back-off and jitter."""
    tenant = open_tenant(chaos, 500)
    chaos.carrier_does(response_delay_ms=4_000, receipt_loss=1.0)
    bulk_id = one_more_send(chaos, tenant)
    for taken in range(WINDOW, 4 * WINDOW, WINDOW):
        eventually(
            lambda taken=taken: chaos.accepted(tenant.numbers).total() == taken, f"{taken} are at the carrier", 30
        )
        chaos.fired["dropped connections"] += chaos.carrier("POST", "/disconnect")["disconnected"]
    chaos.carrier_does(response_delay_ms=20)
    until_ended(chaos, tenant, bulk_id)
    sums = sums_of(chaos, bulk_id)
    must(sums["unknown"] == 3 * WINDOW, f"three whole windows are unknown: {sums}")
    pauses = rebind_pauses(chaos)[-3:]
    must(len(pauses) == 3 and min(pauses) >= 0.1, f"it waited before it bound again: {pauses}")
    must(len(set(pauses)) == 3, f"never equally long: {pauses}")
    chaos.check_when_quiet(lambda: tenant_balances(chaos, tenant))


def rebind_pauses(chaos: Chaos) -> list[float]:
    """How long the sender was without a bind, each time, by its log."""
    seen = binds_of(chaos, "carrier.unbound", "carrier.bound")
    return [
        (datetime.fromisoformat(bound["time"]) - datetime.fromisoformat(lost["time"])).total_seconds()
        for lost, bound in itertools.pairwise(seen)
        if (lost["event"], bound["event"]) == ("carrier.unbound", "carrier.bound")
    ]


def binds_of(chaos: Chaos, *events: str) -> list[dict[str, Any]]:
    """What the sender's log says of its binds."""
    lines = (chaos.var / "log" / f"{SENDER}.log").read_text().splitlines()
    entries = [json.loads(line) for line in lines if line.startswith("{")]
    return [entry for entry in entries if entry["event"] in events]


@row("9", "the carrier accepts and never answers", fires=2, short=True)
def carrier_never_answers(chaos: Chaos) -> None:
    """After the timeout unknown, and the window is free again; a late answer still counts; silence ends the session."""
    tenant = open_tenant(chaos, 500)
    chaos.carrier_does(receipt_loss=1.0)
    chaos.carrier("POST", "/pause")
    bulk_id = one_more_send(chaos, tenant)
    eventually(lambda: chaos.accepted(tenant.numbers).total() >= 2 * WINDOW, "the window is not leaked", 30)
    chaos.fired["unanswered submits"] = chaos.accepted(tenant.numbers).total()
    proxy = chaos.proxies["dispatch", "carrier"]
    unbound = len(binds_of(chaos, "carrier.unbound"))
    proxy.use(NO_ANSWERS)
    chaos.carrier("POST", "/resume")
    eventually(lambda: proxy.fired["hold"], "answers are swallowed", 30)
    eventually(lambda: len(binds_of(chaos, "carrier.unbound")) > unbound, "the session ends by itself", 30)
    proxy.heal()
    until_ended(chaos, tenant, bulk_id)
    sums, reached = sums_of(chaos, bulk_id), chaos.accepted(tenant.numbers)
    must(set(reached.values()) == {1} and reached.total() == 500, f"each gets it once: {reached.total()}")
    must(sums["unknown"] >= 2 * WINDOW, f"what was never answered is unknown: {sums}")
    chaos.check_when_quiet(lambda: tenant_balances(chaos, tenant))


def sums_of(chaos: Chaos, bulk_id: str) -> dict[str, Any]:
    """What dispatch-svc counts of a send."""
    query = (
        "SELECT accepted, unknown, rejected, stopped, suppressed, held, used FROM saga WHERE bulk_id = $1::text::uuid"
    )
    return chaos.sql("dispatch", query, bulk_id)[0]
