"""Two carrier accounts with a sender each, of which one fails: the other goes on, and nobody gets it by both."""

from collections.abc import Iterator
from contextlib import contextmanager

from chaos.nemesis import Chaos, eventually, must
from chaos.proxy import BLACKHOLE, Proxy
from chaos.registry import row
from chaos.rows.carriers import receipts_in_every_way
from chaos.rows.senders import SENDER, WINDOW, sums_of, until_left, wake
from chaos.storm import Tenant, one_more_send, open_tenant, tenant_balances, until_ended
from muster.client import ApiError

ACCOUNT, OTHER = "smpp", "east"
_BOTH = (ACCOUNT, OTHER)
OTHER_SENDER = "dispatch.sender.1"
RECIPIENTS = 4_000  # eight chunks, drawn by weight: both accounts get some
_SUMS = """
SELECT account, sum(accepted)::int AS accepted, sum(unknown)::int AS unknown FROM chunk
WHERE bulk_id = $1::text::uuid GROUP BY account
"""


@contextmanager
def two_accounts(chaos: Chaos) -> Iterator[Proxy]:
    """A second account at the same carrier, under a name of its own; what stands before the first one."""
    chaos.run(chaos.stack.add("dispatch", "sender", 1))
    known, operator = chaos.stack.run["carrier"], chaos.operator

    async def between() -> int:
        return chaos.proxies.between("dispatch", "east", known["port"])

    smpp = {"host": "127.0.0.1", "port": chaos.run(between()), "system_id": OTHER, "enquire_link_s": 3.0}
    smpp |= {"response_timeout_s": 5.0}
    try:
        operator.carrier(OTHER)
        operator.control_carrier(OTHER, "open")
    except ApiError as refused:
        must(refused.status == 404, f"{refused}")
        body = {"account": OTHER, "smpp": smpp, "password": known["password"], "parts_window": WINDOW}
        operator.create_carrier(body)
    operator.change_route("default", {"accounts": [{"account": name} for name in (ACCOUNT, OTHER)]})
    until_well(chaos)
    yield chaos.proxies["dispatch", "carrier"]
    until_well(chaos)
    operator.change_route("default", {"accounts": [{"account": ACCOUNT}]})
    operator.control_carrier(OTHER, "close")
    chaos.run(chaos.stack.supervisor.end(OTHER_SENDER))
    chaos.until_ready(SENDER)


def until_well(chaos: Chaos) -> None:
    """Wait until both are connected and get all of their share."""

    def are_well() -> bool:
        both = [chaos.patiently(lambda name=name: chaos.operator.carrier(name), "it is shown") for name in _BOTH]
        return all(one["standing"]["connections"] and one["health"]["share"] == 100 for one in both)

    eventually(are_well, "both accounts are well")


def by_account(chaos: Chaos, bulk_id: str, what: str) -> dict[str, int]:
    """How many messages of a send have become this, by account."""
    found = {row["account"]: row[what] for row in chaos.sql("dispatch", _SUMS, bulk_id)}
    return {name: found.get(name, 0) for name in _BOTH}


def once_each(chaos: Chaos, tenant: Tenant, bulk_id: str, unknown_max: int) -> None:
    """Each has one end, nobody got it twice, and what is unknown is bounded; both accounts have sent."""
    until_ended(chaos, tenant, bulk_id)
    sums, reached, count = sums_of(chaos, bulk_id), chaos.accepted(tenant.numbers), len(tenant.numbers)
    accepted = by_account(chaos, bulk_id, "accepted")
    print(f"  accepted by account: {accepted}, unknown: {by_account(chaos, bulk_id, 'unknown')}", flush=True)
    must(set(reached.values()) == {1}, f"nobody gets it twice: {reached.most_common(2)}")
    must(sums["accepted"] + sums["unknown"] == count, f"each has one end: {sums}")
    must(sums["accepted"] <= reached.total() <= count, f"accepted is what the carrier took, {reached.total()}: {sums}")
    must(sums["unknown"] <= unknown_max, f"of each account at most what was on the wire is unknown: {sums}")
    must(all(accepted.values()), f"both accounts have sent: {accepted}")
    chaos.check_when_quiet(lambda: tenant_balances(chaos, tenant))


@row("5b", "kill -9 of the senders of two accounts in one send, before and after an intent", fires=2)
def both_die_around_an_intent(chaos: Chaos) -> None:
    """Each account's begun chunks go on by it, the others by whichever is there; nobody gets it by both."""
    with two_accounts(chaos):
        tenant = open_tenant(chaos, RECIPIENTS)
        chaos.arm(**{SENDER: "dispatch.before_intent:exit@3", OTHER_SENDER: "dispatch.after_intent:exit@4"})
        until_well(chaos)
        bulk_id = one_more_send(chaos, tenant)
        for name in (SENDER, OTHER_SENDER):
            chaos.until_fired(name)
        until_left(chaos, bulk_id)
        once_each(chaos, tenant, bulk_id, 2 * WINDOW)


@row("8c", "a sender asleep between intent and write, until the rest of its send has gone by another account", fires=1)
def sleeps_through_a_failover(chaos: Chaos) -> None:
    """Its account is passed over; awake again it writes nothing of what it intended, and ends what it had begun."""
    with two_accounts(chaos):
        tenant = open_tenant(chaos, RECIPIENTS)
        chaos.arm(**{SENDER: "dispatch.after_intent:stop@2"})
        until_well(chaos)
        bulk_id = one_more_send(chaos, tenant)
        pid = chaos.until_stopped(SENDER)
        eventually(lambda: sum(by_account(chaos, bulk_id, "accepted").values()) >= RECIPIENTS - 500, "the rest goes")
        before = chaos.accepted(tenant.numbers)
        must(chaos.operator.carrier(ACCOUNT)["health"]["why"] == "down", "its account is passed over")
        wake(chaos, pid)
        once_each(chaos, tenant, bulk_id, 2 * WINDOW)
        after = chaos.accepted(tenant.numbers)
        must(before <= after, "what was sent stays sent")
        must(sums_of(chaos, bulk_id)["unknown"] > 0, "what it had intended is unknown, and was never written")


@row("8d", "the carrier drops one of two accounts with a full window", fires=1)
def one_of_two_is_dropped(chaos: Chaos) -> None:
    """Its window alone is unknown; the other account is not touched by it."""
    with two_accounts(chaos) as first:
        tenant = open_tenant(chaos, RECIPIENTS)
        chaos.carrier_does(response_delay_ms=4_000, receipt_loss=1.0)
        bulk_id = one_more_send(chaos, tenant)
        eventually(lambda: chaos.accepted(tenant.numbers).total() == 2 * WINDOW, "both windows are full")
        first.cut()
        eventually(lambda: first.fired["cut"], "the connection is cut")
        chaos.carrier_does(response_delay_ms=20)
        once_each(chaos, tenant, bulk_id, WINDOW)
        unknown = by_account(chaos, bulk_id, "unknown")
        must(unknown == {ACCOUNT: WINDOW, OTHER: 0}, f"one whole window is unknown: {unknown}")


@row("9b", "one of two carriers falls silent in the middle of a send", fires=2)
def one_of_two_is_silent(chaos: Chaos) -> None:
    """What waits goes by the other account; what it had comes late or never, and nobody gets it twice."""
    with two_accounts(chaos) as first:
        tenant = open_tenant(chaos, 2 * RECIPIENTS)
        chaos.carrier_does(response_delay_ms=150)
        bulk_id = one_more_send(chaos, tenant)
        eventually(lambda: min(by_account(chaos, bulk_id, "accepted").values()) > WINDOW, "both send")
        first.use(BLACKHOLE)
        health = lambda: chaos.operator.carrier(ACCOUNT)["health"]["share"]  # noqa: E731
        eventually(lambda: health() == 0, "the silent one is passed over")
        chaos.fired["passed over"] += 1
        sent = by_account(chaos, bulk_id, "accepted")[OTHER]
        eventually(lambda: by_account(chaos, bulk_id, "accepted")[OTHER] > sent + 500, "the other one goes on")
        first.heal()
        once_each(chaos, tenant, bulk_id, 5 * WINDOW)


@row("12b", "receipts early, twice, reordered, alien and in other bases, of two accounts at once", fires=2_000)
def receipts_of_two_accounts(chaos: Chaos) -> None:
    """Each account's receipts find its own messages."""
    sent = "SELECT count(*) AS n FROM chunk WHERE account = $1 AND accepted > 0"
    with two_accounts(chaos):
        before = chaos.sql("dispatch", sent, OTHER)[0]["n"]
        receipts_in_every_way(chaos, 2_000)
        must(chaos.sql("dispatch", sent, OTHER)[0]["n"] > before, "the other account has sent some of it")
