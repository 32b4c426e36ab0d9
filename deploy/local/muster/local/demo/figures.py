"""The figures of the demo, each asked from the service that owns it, and whether they agree with one another."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from muster.client import Law, Muster

STATES = ("accepted", "delivered", "undelivered", "rejected", "expired", "stopped", "suppressed", "unknown")
REASONS = ("no_consent", "opted_out", "not_textable", "not_allowed", "duplicate_number")
MONEY = ("reserved", "used", "released", "held")
PAGE = 500


@dataclass(slots=True)
class Business:
    """One tenant of the demo and what was seen of it on the way."""

    name: str
    id: str
    caller: Muster
    reception: str
    imported: dict[str, int]
    quote: dict[str, Any]
    bulks: list[str]


def of_business(business: Business, operator: Muster, mails: list[dict[str, Any]]) -> dict[str, Any]:
    """The figures of one tenant. `mails` is everything the mail catcher has."""
    ask = business.caller
    money = [item for item in operator.pages("/v1/ops/credit/bulks", limit=PAGE) if item["tenant_id"] == business.id]
    # Answers to customers, such as the one that confirms an opt-out, are sends of one message and cost credits too.
    answers = [item["bulk_id"] for item in money if item["bulk_id"] not in business.bulks]
    quote = business.quote
    return {
        "import": business.imported,
        "customers": sum(1 for _ in ask.pages("/v1/customers", limit=PAGE)),
        "left_out": dict.fromkeys(REASONS, 0) | quote["left_out"],
        "quote": {member: quote[member] for member in ("recipients", "parts", "credits")},
        "sends": [of_send(bulk_id, ask, money) for bulk_id in (*business.bulks, *answers)],
        "replies": sum(1 for _ in ask.pages("/v1/replies", limit=PAGE)),
        "opt_outs": sum(1 for _ in ask.pages("/v1/suppressions", limit=PAGE)),
        "emails": sum(1 for mail in mails if business.reception in mail["to"]),
        "report_rows": sum(1 for _ in ask.pages("/v1/reports/sms", limit=PAGE)),
        "ledger": {m: ask.credits()[m] for m in ("granted", "available", "reserved", "consumed")},
    }


def of_send(bulk_id: str, ask: Muster, sums: list[dict[str, Any]]) -> dict[str, int]:
    """One send: its plan from customer-svc, its states from report-svc, its credits from credit-svc.

    credit-svc has no sums of a send that ended before it was asked for credits.
    """
    plan = ask.bulk(bulk_id)
    states = ask.progress(bulk_id)
    money = next((item for item in sums if item["bulk_id"] == bulk_id), dict.fromkeys(MONEY, 0))
    return {
        "recipients": plan["recipients"],
        **{state: states[state] for state in STATES},  # type: ignore[literal-required]
        "parts": plan["parts"],  # type: ignore[typeddict-item]
        **{f"credits_{member}": money[member] for member in MONEY},
    }


def of_laws(laws: list[Law]) -> dict[str, dict[str, int]]:
    """Each law with its violations, and with how much it was checked on."""
    return {
        "laws": {law.name: law.violation_count for law in laws},
        "laws_checked": {law.name: law.checked for law in laws},
    }


def disagreements(figures: dict[str, Any]) -> list[str]:
    """Every figure that disagrees with another, as a sentence; empty where the demo is right."""
    found = [f"first tenant: {wrong}" for wrong in _of_tenant(figures)]
    found += [f"second tenant: {wrong}" for wrong in _of_tenant(figures["other"])]
    found += [f"law {law}: {count} violations" for law, count in figures["laws"].items() if count]
    found += [f"law {law}: nothing was checked" for law, count in figures["laws_checked"].items() if not count]
    for tenant, opt_outs, wrote in (("first", figures["opt_outs"], 1), ("second", figures["other"]["opt_outs"], 0)):
        if opt_outs != wrote:
            found.append(f"{tenant} tenant: {opt_outs} opt-outs, but {wrote} customers wrote STOP")
    if not figures["sends"][1]["stopped"]:
        found.append("the second send was not stopped midway: nothing was left unsent")
    return found


def _of_tenant(figures: dict[str, Any]) -> Iterator[str]:
    read, sends, ledger = figures["import"], figures["sends"], figures["ledger"]
    yield from _equal("rows of the file", read["rows"], "imported + rejected", read["imported"] + read["rejected"])
    yield from _equal("customers", figures["customers"], "imported", read["imported"])
    counted = figures["quote"]["recipients"] + sum(figures["left_out"].values())
    yield from _equal("customers", figures["customers"], "recipients + left out", counted)
    for index, (send, quoted) in enumerate(zip(sends, [figures["quote"]], strict=False), 1):
        yield from _equal(f"recipients of send {index}", send["recipients"], "quoted", quoted["recipients"])
        yield from _equal(f"parts of send {index}", send["parts"], "quoted", quoted["parts"])
        yield from _equal(f"credits reserved for send {index}", send["credits_reserved"], "quoted", quoted["credits"])
    for index, send in enumerate(sends, 1):
        yield from _equal(f"recipients of send {index}", send["recipients"], "its states", sum(send[s] for s in STATES))
        spent = send["credits_used"] + send["credits_released"] + send["credits_held"]
        yield from _equal(f"reserved for send {index}", send["credits_reserved"], "used + released + held", spent)
    yield from _equal("report rows", figures["report_rows"], "recipients", sum(send["recipients"] for send in sends))
    there = ledger["available"] + ledger["reserved"] + ledger["consumed"]
    yield from _equal("granted", ledger["granted"], "available + reserved + consumed", there)
    yield from _equal("consumed", ledger["consumed"], "used by the sends", sum(send["credits_used"] for send in sends))
    yield from _equal("reserved", ledger["reserved"], "held by the sends", sum(send["credits_held"] for send in sends))
    yield from _equal("e-mails to the reception", figures["emails"], "replies", figures["replies"])


def _equal(name: str, value: int, other_name: str, other: int) -> Iterator[str]:
    if value != other:
        yield f"{name} ({value:,}) is not {other_name} ({other:,})"
