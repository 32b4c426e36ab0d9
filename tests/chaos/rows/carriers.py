"""Carriers that say what they should not, refuse half of what they get, or tell of ends in every way there is."""

import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

from chaos.nemesis import Chaos, eventually, must
from chaos.registry import row
from chaos.rows.senders import SENDER, binds_of, sums_of
from chaos.storm import Tenant, one_more_send, open_tenant, tenant_balances, until_ended
from muster.local.carrier.behaviour import Behaviour
from muster.local.carrier.options import CarrierOptions
from muster.smpp import ReceiptState

MEMORY_MAX_KIB = 60_000
STORM_S = 4.0
ENDS = {
    ReceiptState.DELIVERED: "delivered",
    ReceiptState.UNDELIVERABLE: "undelivered",
    ReceiptState.EXPIRED: "expired",
}
_RATE = re.compile(r"^muster_carrier_parts_per_second (\S+)$", re.MULTILINE)


# -- what is no answer -------------------------------------------------------------------------------------------------


@row("10", "repeated, stray and vendor answers, generic_nack, cut PDUs; then lengths 0, 15 and 2^32-1", fires=400)
def carrier_says_odd_things(chaos: Chaos) -> None:
    """The session lives through what is a PDU, and ends by itself at what is none; nobody gets anything twice."""
    before, memory = counts(chaos), memory_kib(chaos, SENDER)
    tenant = open_tenant(chaos, 1_500)
    chaos.carrier_does(odd_ratio=0.6)
    unbound = len(binds_of(chaos, "carrier.unbound"))
    sums, reached = sent(chaos, tenant)
    must(len(binds_of(chaos, "carrier.unbound")) == unbound, "the session lives through all that is a PDU")
    must(sums["accepted"] == 1_500 == reached.total(), f"each has its own answer: {sums}, {reached.total()}")

    other = open_tenant(chaos, 1_500)
    chaos.carrier_does(odd_ratio=0.3, garbage_every=250, response_delay_ms=50)
    sums, reached = sent(chaos, other)
    after = counts(chaos)
    must(set(reached.values()) == {1} and reached.total() == 1_500, f"each gets it once: {reached.total()}")
    must(sums["accepted"] + sums["unknown"] == 1_500, f"each has one end: {sums}")
    must(after["garbage"] - before["garbage"] >= 4, "each kind of garbage was said")
    must(len(binds_of(chaos, "carrier.unbound")) >= unbound + 4, "the session ends where no PDU can be read any more")
    chaos.fired["odd PDUs"] += after["odd"] - before["odd"]
    chaos.fired["garbage"] += after["garbage"] - before["garbage"]
    grown = memory_kib(chaos, SENDER) - memory
    must(grown < MEMORY_MAX_KIB, f"memory is bounded: {grown} KiB more than before")
    for one in (tenant, other):
        chaos.check_when_quiet(lambda one=one: tenant_balances(chaos, one))


def sent(chaos: Chaos, tenant: Tenant) -> tuple[dict[str, Any], Counter[str]]:
    """One send to its end: what dispatch-svc counts of it, and how often the carrier took something for each number."""
    bulk_id = one_more_send(chaos, tenant)
    until_ended(chaos, tenant, bulk_id)
    return sums_of(chaos, bulk_id), chaos.accepted(tenant.numbers)


def counts(chaos: Chaos) -> dict[str, Any]:
    """What the carrier has counted."""
    return dict(chaos.carrier("GET", "/stats?destinations=0"))


def memory_kib(chaos: Chaos, name: str) -> int:
    """What a process holds."""
    status = Path(f"/proc/{chaos.stack.pid(name)}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1])  # type: ignore[index]


# -- a storm of refusals -----------------------------------------------------------------------------------------------


@row("11", "throttling storm: half of the answers are RTHROTTLED or RMSGQFUL", fires=150)
def carrier_throttles(chaos: Chaos) -> None:
    """The rate falls and recovers; nothing is lost, nobody gets it twice, no credit leaks."""
    tenant = open_tenant(chaos, 5_000)
    before = counts(chaos)["throttled"]
    chaos.carrier_does(response_delay_ms=100)
    bulk_id = one_more_send(chaos, tenant)
    eventually(lambda: chaos.accepted(tenant.numbers).total() > 1_000, "the send is on")
    rates: list[tuple[float, int]] = []
    began = time.monotonic()
    for status in ("throttled", "queue_full"):
        chaos.carrier_does(throttle_ratio=0.5, throttle_status=status)
        until = time.monotonic() + STORM_S / 2
        while time.monotonic() < until:
            rates.append((time.monotonic() - began, rate_of(chaos)))
            time.sleep(0.2)
    chaos.carrier_does(throttle_ratio=0.0)
    fallen = min((rate for _, rate in rates if rate), default=0)
    calm = time.monotonic()
    until_ended(chaos, tenant, bulk_id)
    ended_s = time.monotonic() - calm
    chaos.fired["throttled"] += counts(chaos)["throttled"] - before
    sums, reached = sums_of(chaos, bulk_id), chaos.accepted(tenant.numbers)
    print(f"row 11: {fallen} parts/s at the least in the storm, all had left {ended_s:.1f} s after it", flush=True)
    must(0 < fallen < 1_000, f"the rate falls: {rates}")
    must(sums["accepted"] == 5_000 and set(reached.values()) == {1}, f"nothing is lost: {sums}, {reached.total()}")
    eventually(lambda: (rate := rate_of(chaos)) == 0 or rate > 5 * fallen, "the rate recovers")
    chaos.check_when_quiet(lambda: tenant_balances(chaos, tenant))


def rate_of(chaos: Chaos) -> int:
    """Parts a second that the sender writes at most now; 0: without a limit."""
    shown = chaos.patiently(lambda: chaos.http.get(chaos.stack.run["metrics"][SENDER]).text, "the sender shows metrics")
    found = _RATE.search(shown)
    must(found, "the sender shows its rate")
    assert found is not None
    return round(float(found[1]))


# -- receipts ----------------------------------------------------------------------------------------------------------


@row("12", "receipts early, twice, reordered, alien, in other bases, in three forms of dates", fires=600)
def receipts_in_every_way(chaos: Chaos, recipients: int = 400) -> None:
    """Each message has the end that its receipt said, and keeps it."""
    before = counts(chaos)
    ends = {"undelivered_ratio": 0.2, "expired_ratio": 0.1}
    forms = (
        {"id_format": "hex", "receipt_id_format": "dec", "date_digits": 12, "receipt_format": "text"},
        {"id_format": "dec", "receipt_id_format": "hex", "date_digits": 14, "receipt_format": "both"},
        {"id_format": "dec", "receipt_id_format": "same", "date_digits": 10, "receipt_format": "tlv"},
    )
    told = []
    for form in forms:
        tenant = open_tenant(chaos, recipients)
        chaos.carrier_does(
            **form, **ends, receipt_duplicate=0.3, receipt_reorder=0.3, receipt_alien=0.3, receipt_delay_ms=0,
            response_delay_ms=150,
        )  # fmt: skip
        bulk_id = one_more_send(chaos, tenant)
        until_ended(chaos, tenant, bulk_id)
        told.append((tenant, bulk_id, expected(tenant, ends)))
        eventually(lambda told=told[-1]: ends_of(chaos, *told[:2]) == told[2], "each has the end that was told")
    after = counts(chaos)
    for what in ("receipts_repeated", "receipts_reordered", "receipts_alien"):
        chaos.fired[what] += after[what] - before[what]
    time.sleep(2.0)  # what comes again, comes by then
    for tenant, bulk_id, wanted in told:
        must(ends_of(chaos, tenant, bulk_id) == wanted, "ends are final")
        chaos.check_when_quiet(lambda tenant=tenant: tenant_balances(chaos, tenant))


def expected(tenant: Tenant, ends: dict[str, float]) -> dict[str, str]:
    """How the message to each number ends, by what the carrier makes of it."""
    behaviour = Behaviour(CarrierOptions(**ends))
    return {number: ENDS[behaviour.state_of(number.removeprefix("+"))] for number in tenant.numbers}


def ends_of(chaos: Chaos, tenant: Tenant, bulk_id: str) -> dict[str, str]:
    """How the message to each number ended, by the report."""
    read = lambda: list(tenant.business.ask.report(bulk_id=bulk_id, limit=500))  # noqa: E731
    rows = chaos.patiently(read, "the report is shown")
    must(len({row["number"] for row in rows}) == len(rows), f"one row for each: {len(rows)}")
    return {row["number"]: row["status"] for row in rows}
