"""The steps of the demo. Every step is a call of the public API; the carrier and the mail catcher play the world."""

import json
import secrets
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from muster.client import ApiError, Connection, Muster
from muster.client.commands.laws import settled_laws
from muster.laws.result import LAWS
from muster.local.demo.figures import PAGE, Business, disagreements, of_business, of_laws
from muster.local.demo.people import AU, GB, Country, customers_csv, subscriber

OFFER = (
    "Hi {{first_name|there}}, our spring offer is on: 20% off all colours until Friday. Reply to book. STOP to opt out"
)
SECOND = "Hi {{first_name|there}}, last day of our spring offer. STOP to opt out"
REPLIES = ("Yes please, Thursday at 3?", "Who is this?", "Can I bring my daughter?", "Thanks! See you")
COUNTED = ("parts", "credits", "available", "reserved", "consumed", "checked", "violations")
# Of the report's table: time, number, "undelivered", parts and credits, with the lines between them.
OTHER_COLUMNS_WIDTH = 8 + 13 + 11 + 5 + 7 + 19
RECEIPTS_WAIT_S = 60.0
STEP_WAIT_S = 30.0
POLL_S = 0.1
SENT_ENDED = ("closed", "refused", "needs_confirmation")

# In a file or a pipe there is no terminal to ask for its width.
console = Console(width=None if sys.stdout.isatty() else 120)


class DemoFailed(Exception):
    """A step did not come to its end; says which and what was there instead."""


def main(run: dict[str, Any], var: Path) -> int:
    """Play the story on a running Muster and write `demo.json`; 0 if every figure agrees, else 1 with the reasons."""
    started = time.monotonic()
    (var / "demo.json").unlink(missing_ok=True)
    try:
        figures = _play(run)
    except (DemoFailed, ApiError, httpx.HTTPError) as failed:
        console.print(f"[red]The demo failed:[/red] {failed}")
        return 1
    figures["seconds"] = round(time.monotonic() - started, 1)
    (var / "demo.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    wrong = disagreements(figures)
    for sentence in wrong:
        console.print(f"[red]Figures disagree:[/red] {sentence}")
    if not wrong:
        console.print(f"[green]Every figure agrees.[/green] {var / 'demo.json'}, {figures['seconds']} s")
    return 1 if wrong else 0


def _play(run: dict[str, Any]) -> dict[str, Any]:
    with ExitStack() as stack:
        world = httpx.Client(timeout=10.0)
        stack.callback(world.close)
        who = run["operator"]
        operator = stack.enter_context(Muster(Connection(run["url"], who["client_id"], who["client_secret"])))
        carrier = run["carrier"]["control_url"]
        faults = world.get(f"{carrier}/faults").raise_for_status().json()
        stack.callback(lambda: httpx.put(f"{carrier}/faults", json=faults, timeout=10.0))
        world.put(f"{carrier}/faults", json={"undelivered_ratio": 0.02, "receipt_delay_ms": 300}).raise_for_status()
        salon = _open_business(stack, operator, run, "Bright Hair", AU, 10_000)
        barber = _open_business(stack, operator, run, "Fleet Barbers", GB, 1_000)
        for business, country, rows in ((salon, AU, 2_000), (barber, GB, 200)):
            _import(business, country, rows)
            _quote(business)
            _send(business)
        _replies(salon, run, world)
        _second_send(salon, run, world)
        return _account(salon, barber, operator, run, world)


def _open_business(
    stack: ExitStack, operator: Muster, run: dict[str, Any], name: str, country: Country, credits: int
) -> Business:
    """A tenant with a number of its own, an administrator's key, and credits."""
    mark = secrets.token_hex(4)
    sender = f"+{country.prefix}{subscriber(country, 900_000 + secrets.randbelow(4_000_000))}"
    reception = f"reception-{mark}@{name.lower().replace(' ', '-')}.example"
    zone = "Australia/Sydney" if country is AU else "Europe/London"
    settings: dict[str, Any] = {"name": name, "country": country.code, "time_zone": zone, "sender": sender}
    settings |= {"allow_sms_replies": True, "reception_email": reception}
    tenant = operator.post("/v1/tenants", settings)
    key = operator.post("/v1/api-keys", {"tenant_id": tenant["id"], "name": "demo", "role": "admin"})
    caller = stack.enter_context(Muster(Connection(run["url"], key["client_id"], key["client_secret"])))
    reference = f"demo-{mark}"
    topped = _eventually(
        "the top-up", lambda: operator.top_up(tenant["id"], credits, reason="demo", reference=reference)
    )
    console.print(f"[bold]{name}[/bold] ({country.code}) opened, sender {sender}, {topped['available']:,} credits")
    return Business(name, tenant["id"], caller, reception, {}, {}, [])


def _eventually(step: str, call: Callable[[], Any]) -> Any:
    """The answer of a call that may come before its service has heard of the tenant."""
    until = time.monotonic() + STEP_WAIT_S
    while True:
        try:
            return call()
        except ApiError as refused:
            if refused.status not in (404, 409, 503) or time.monotonic() > until:
                raise DemoFailed(f"{step}: {refused}") from refused
        time.sleep(POLL_S)


def _until(step: str, seen: Callable[[], Any], wait_s: float = STEP_WAIT_S) -> Any:
    """What `seen` answers once it is true; DemoFailed names the step where it stays false."""
    until = time.monotonic() + wait_s
    while not (found := seen()):
        if time.monotonic() > until:
            raise DemoFailed(f"{step}: not seen within {wait_s:.0f} s")
        time.sleep(POLL_S)
    return found


def _import(business: Business, country: Country, rows: int) -> None:
    csv = customers_csv(country, rows, seed=rows)
    done = _eventually("the import", lambda: business.caller.import_customers(csv))
    business.imported = {member: done[member] for member in ("rows", "imported", "rejected")}
    console.print(f"[bold]{business.name}[/bold]: its customers, as it has them")
    console.print(
        f"  imported {done['imported']:,} of {done['rows']:,} rows; {done['rejected']} rejected, for example:"
    )
    for error in islice(business.caller.pages(f"/v1/customers/imports/{done['id']}/errors"), 3):
        console.print(f"    row {error['row']}: {error['field']}: {error['message']}")


def _quote(business: Business) -> None:
    business.quote = dict(_quoted(business, OFFER))


def _quoted(business: Business, text: str) -> dict[str, Any]:
    quote: dict[str, Any] = {**business.caller.quote(text)}
    left_out = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in quote["left_out"].items() if count)
    console.print(
        f"  quote: {quote['recipients']:,} recipients, {quote['parts']:,} parts, {quote['credits']:,} credits"
    )
    console.print(f"    left out: {left_out or 'nobody'}")
    return quote


def _send(business: Business) -> None:
    """Confirm the quote, watch the messages leave, then the receipts come in."""
    bulk = business.caller.send(business.quote["id"], key=secrets.token_hex(8))
    business.bulks.append(bulk["id"])
    expected = business.quote["recipients"]
    with _bar() as bar:
        sending, receipts = bar.add_task("sending", total=expected), bar.add_task("receipts", total=expected)

        def everything_has_ended() -> bool:
            seen = business.caller.progress(bulk["id"])
            open_ = seen["queued"] + seen["submitting"]
            ended = seen["recipients"] - open_ - seen["accepted"] - seen["unknown"]
            bar.update(sending, completed=seen["recipients"] - open_)
            bar.update(receipts, completed=ended)
            return bool(ended == expected)

        _until("the receipts", everything_has_ended, RECEIPTS_WAIT_S)
    _until("the end of the send", lambda: business.caller.bulk(bulk["id"])["state"] in SENT_ENDED)
    seen = business.caller.progress(bulk["id"])
    console.print(f"  sent: {seen['delivered']:,} delivered, {seen['undelivered']:,} undelivered")


def _bar() -> Progress:
    columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console)


def _replies(business: Business, run: dict[str, Any], world: httpx.Client) -> None:
    """Customers write back; one writes STOP and is left out of the next quote."""
    sender = business.caller.get("/v1/tenant")["sender"]
    rows = list(islice(business.caller.report(bulk_id=business.bulks[0], status="delivered"), 5))
    texts = (*REPLIES, "STOP")
    console.print(f"[bold]{business.name}[/bold]: {len(texts)} customers write back, one of them STOP")
    for row, text in zip(rows, texts, strict=True):
        sms = {"from": row["number"], "to": sender, "text": text}
        world.post(f"{run['carrier']['control_url']}/inbound", json=sms).raise_for_status()
    _until("the replies", lambda: len(list(business.caller.pages("/v1/replies"))) == len(texts))
    mails = _until("the e-mails to the reception", lambda: _mails(business, run, world, len(texts)))
    _until("the opt-out", lambda: len(list(business.caller.pages("/v1/suppressions"))) == 1)
    for reply in business.caller.pages("/v1/replies"):
        seq = reply["message_id"].rpartition("-")[2]
        console.print(f"  reply: {reply['text']!r}, read as {reply['verdict'].replace('_', '-')}, to message {seq}")
    console.print(f"  {len(mails)} e-mails at {business.reception}, for example: {mails[0]['subject']!r}")


def _mails(business: Business, run: dict[str, Any], world: httpx.Client, count: int) -> list[dict[str, Any]]:
    """The reception's mails once there are `count`, else none."""
    mails = world.get(run["mail_url"]).raise_for_status().json()
    own = [mail for mail in mails if business.reception in mail["to"]]
    return own if len(own) >= count else []


def _second_send(business: Business, run: dict[str, Any], world: httpx.Client) -> None:
    """A second send on a slow carrier, stopped midway: what was unsent comes back as credits."""
    console.print(f"[bold]{business.name}[/bold]: a second send, without the customer who wrote STOP")
    quote = _quoted(business, SECOND)
    if quote["left_out"].get("opted_out", 0) != 1:
        raise DemoFailed(f"the customer who wrote STOP is not left out of the second quote: {quote['left_out']}")
    faults = f"{run['carrier']['control_url']}/faults"
    world.put(faults, json={"response_delay_ms": 1500}).raise_for_status()
    numbers = _still_texted(business)
    before = _taken(numbers, run, world)
    bulk = business.caller.send(quote["id"])
    business.bulks.append(bulk["id"])
    _until("the first messages of the second send", lambda: _taken(numbers, run, world) > before)
    stopped = business.caller.control(bulk["id"], "stop")
    world.put(faults, json={"response_delay_ms": 0}).raise_for_status()
    counts = ", ".join(f"{count:,} {state}" for state, count in stopped["counts"].items() if count)
    console.print(f"  stop, while it was sending: {counts}")
    ended = _until("the end of the stopped send", lambda: _ended(business, bulk["id"]))
    reserved, used, released = (ended[f"credits_{member}"] for member in ("reserved", "used", "released"))
    console.print(f"  of {reserved:,} credits reserved {used:,} were used and {released:,} came back")
    _until("its receipts", lambda: not business.caller.progress(bulk["id"])["accepted"], RECEIPTS_WAIT_S)


def _still_texted(business: Business) -> set[str]:
    """The numbers of the first send without those that opted out: what else goes to the carrier now is for these."""
    opted_out = {suppression["number"] for suppression in business.caller.pages("/v1/suppressions")}
    return {str(row["number"]) for row in business.caller.report(bulk_id=business.bulks[0], limit=PAGE)} - opted_out


def _taken(numbers: set[str], run: dict[str, Any], world: httpx.Client) -> int:
    """How many messages for these numbers the carrier has taken off the wire."""
    stats = world.get(f"{run['carrier']['control_url']}/stats").raise_for_status().json()
    return sum(count for number, count in stats["accepted_by_destination"].items() if number in numbers)


def _ended(business: Business, bulk_id: str) -> dict[str, Any] | None:
    bulk = dict(business.caller.bulk(bulk_id))
    return bulk if bulk["state"] in SENT_ENDED else None


def _show_report(business: Business) -> None:
    rows = list(business.caller.report())
    table = _table(f"SMS Detail Report ({len(rows):,} rows)", "sent", "number", "status", "parts", "credits")
    table.add_column("text", no_wrap=True, max_width=max(len("text"), console.width - OTHER_COLUMNS_WIDTH))
    for row in (*rows[:3], *rows[-3:]):
        cells = (row["number"], row["status"], row["parts"], row["credits"], row["text"])
        table.add_row(_time(row["sent_at"]), *(str(cell) if cell is not None else "" for cell in cells))
    console.print(table)


def _show_statement(business: Business) -> None:
    table = _table("Credit statement", "at", "kind", "credits", "available", "reserved", "consumed")
    for entry in business.caller.pages("/v1/credits/statement"):
        members = ("credits", "available_after", "reserved_after", "consumed_after")
        table.add_row(_time(entry["at"]), entry["kind"], *(f"{entry[member]:,}" for member in members))
    console.print(table)


def _table(title: str, *names: str) -> Table:
    """A table of narrow columns, none of which is cut where the terminal is narrow."""
    table = Table(title=title)
    for name in names:
        table.add_column(name, no_wrap=True, min_width=len(name), justify="right" if name in COUNTED else "left")
    return table


def _time(moment: str | None) -> str:
    """A time of the API, in UTC, without the day: the whole demo is over in seconds."""
    return moment[11:19] if moment else ""


def _account(
    salon: Business, barber: Business, operator: Muster, run: dict[str, Any], world: httpx.Client
) -> dict[str, Any]:
    """Show the report, the statement and the laws, and collect every figure."""
    _show_report(salon)
    _show_statement(salon)
    laws = settled_laws(operator, STEP_WAIT_S)
    table = _table("The laws", "law", "checked", "violations")
    table.add_column("says")
    for law in laws:
        table.add_row(law.name, f"{law.checked:,}", f"{law.violation_count:,}", LAWS[law.name])
    console.print(table)
    mails = world.get(run["mail_url"]).raise_for_status().json()
    return of_business(salon, operator, mails) | of_laws(laws) | {"other": of_business(barber, operator, mails)}
