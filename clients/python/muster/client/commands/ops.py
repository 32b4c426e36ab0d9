"""`muster ops`: what an operator decides about events that could not be applied, about sends that wait too long,
and for whom nothing may leave."""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import quote

import typer

from muster.client.api import Connection, Muster
from muster.client.commands.arguments import BulkId, TenantId
from muster.client.commands.dialogue import Yes, ask
from muster.client.commands.output import AsJson, show, show_rows

app = typer.Typer(no_args_is_help=True, help="For operators: dead letters, halted consumers, stuck sends, suspensions.")
letters = typer.Typer(no_args_is_help=True, help="Events that a service could not apply.")
app.add_typer(letters, name="dead-letters")


class Service(StrEnum):
    """Whose events they are."""

    TENANT = "tenant"
    CUSTOMER = "customer"
    CREDIT = "credit"
    DISPATCH = "dispatch"
    REPLY = "reply"
    REPORT = "report"


class Books(StrEnum):
    """Who keeps books of sends."""

    CUSTOMER = "customer"
    CREDIT = "credit"
    DISPATCH = "dispatch"
    REPORT = "report"


class State(StrEnum):
    """What has become of a letter."""

    WAITING = "waiting"
    REPLAYED = "replayed"
    DROPPED = "dropped"


class Wait(StrEnum):
    """What a stuck send waits for."""

    PARKED = "parked"
    PAUSED = "paused"
    REQUEST = "request"
    CREDITS = "credits"
    CHUNKS = "chunks"
    OUTCOMES = "outcomes"
    SETTLEMENT = "settlement"


class Action(StrEnum):
    """What can be done about it."""

    UNPARK = "unpark"
    END = "end"
    GIVE_UP_CHUNKS = "give_up_chunks"
    SAY_TOTALS = "say_totals"


Whose = Annotated[Service, typer.Argument(help="of which service")]
LetterId = Annotated[str, typer.Argument(help="its id, as `muster ops dead-letters list` shows it")]
OneService = Annotated[Service | None, typer.Option(help="of this service only")]
Most = Annotated[int | None, typer.Option(min=0, help="0: no limit; as for all unless said")]
Reason = Annotated[str, typer.Option(help="why, for the audit log")]


def _rows(
    muster: Muster, services: Sequence[StrEnum], below: str, **query: str | int | None
) -> Iterator[dict[str, Any]]:
    for one in services:
        for row in muster.pages(f"/v1/ops/{one}/{below}", **query):
            yield {"service": str(one), **row}


@letters.command("list")
def list_letters(
    service: OneService = None,
    state: Annotated[State, typer.Option(help="what has become of them")] = State.WAITING,
    topic: Annotated[str | None, typer.Option(help="from this topic only")] = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Dead letters of all services or one, newest first."""
    with Muster(Connection.from_environment(operator=True)) as muster:
        rows = _rows(muster, _of(service), "dead-letters", state=str(state), topic=topic)
        columns = ("service", "id", "parked_at", "type", "topic", "partition", "offset", "attempts", "reason")
        show_rows(rows, columns, as_json=as_json)


@letters.command("show")
def show_letter(service: Whose, letter_id: LetterId, as_json: AsJson = False) -> None:  # noqa: FBT002
    """One of them: where it stood, why it is there, and the ids that it holds; no numbers, no texts."""
    with Muster(Connection.from_environment(operator=True)) as muster:
        show(muster.get(_path(service, letter_id)), as_json=as_json)


@letters.command("replay")
def replay_letter(service: Whose, letter_id: LetterId, reason: Reason, as_json: AsJson = False) -> None:  # noqa: FBT002
    """Apply it as its consumer would, once; exit 1 where it still cannot be applied."""
    with Muster(Connection.from_environment(operator=True)) as muster:
        show(muster.post(_path(service, letter_id) + "/replay", {"reason": reason}), as_json=as_json)


@letters.command("drop")
def drop_letter(
    service: Whose,
    letter_id: LetterId,
    reason: Reason,
    yes: Yes = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Give it up: it is never applied, and what it holds is forgotten."""
    ask(f"Give up the dead letter {letter_id} of {service}, for good?", yes=yes)
    with Muster(Connection.from_environment(operator=True)) as muster:
        show(muster.post(_path(service, letter_id) + "/drop", {"reason": reason}), as_json=as_json)


@app.command()
def consumers(
    service: OneService = None,
    halted: Annotated[bool, typer.Option("--halted", help="only what is halted")] = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """How far each service has read each partition, and what is halted and why."""
    with Muster(Connection.from_environment(operator=True)) as muster:
        rows = _rows(muster, _of(service), "consumers", halted="true" if halted else None)
        columns = ("service", "topic", "partition", "next_offset", "updated_at", "halted", "loss_accepted", "reason")
        show_rows(rows, columns, as_json=as_json)


@app.command()
def resume(
    service: Whose,
    topic: Annotated[str, typer.Argument(help="as `muster ops consumers` shows it")],
    reason: Reason,
    partition: Annotated[int | None, typer.Option(help="this one only; all that are halted unless said")] = None,
    accept_loss: Annotated[  # noqa: FBT002
        bool, typer.Option("--accept-loss", help="what the log does not hold any more is lost")
    ] = False,
    yes: Yes = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Read on where a consumer is halted; asks first where that accepts a loss."""
    if accept_loss:
        ask(f"Give up what {topic} does not hold any more, for good?", yes=yes)
    body = {"topic": topic, "partition": partition, "reason": reason, "accept_loss": accept_loss}
    with Muster(Connection.from_environment(operator=True)) as muster:
        show(muster.post(f"/v1/ops/{service}/consumers/resume", body), as_json=as_json)


@app.command()
def stuck(
    waits_for: Annotated[Wait | None, typer.Option(help="only sends that wait for this")] = None,
    older_than_s: Annotated[
        int | None,
        typer.Option(min=0, help="waiting longer than these seconds; as each kind of wait is given unless said"),
    ] = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Sends of all tenants that wait longer than they should, for what and since when."""
    with Muster(Connection.from_environment(operator=True)) as muster:
        wait = str(waits_for) if waits_for else None
        rows = muster.pages("/v1/ops/dispatch/stuck", waits_for=wait, older_than_s=older_than_s)
        columns = ("tenant_id", "bulk_id", "waits_for", "since", "state", "parked", "chunks", "chunks_arrived", "held")
        show_rows(rows, columns, as_json=as_json)


@app.command()
def resolve(
    tenant_id: TenantId,
    bulk_id: BulkId,
    action: Annotated[Action, typer.Argument(help="what to do; docs/runbook.md says when")],
    reason: Reason,
    yes: Yes = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Do something about a send that waits too long: let it go on, end it, give up chunks, or say its totals again.
    Asks first where that is for good."""
    path = "/".join(quote(one, safe="") or "-" for one in (tenant_id, bulk_id))
    if action in (Action.END, Action.GIVE_UP_CHUNKS):
        what = "End" if action is Action.END else "Give up the missing part of"
        ask(f"{what} the send {bulk_id} of {tenant_id}, for good?", yes=yes)
    with Muster(Connection.from_environment(operator=True)) as muster:
        body = {"action": str(action), "reason": reason}
        show(muster.post(f"/v1/ops/dispatch/bulks/{path}/resolution", body), as_json=as_json)


@app.command()
def sums(
    service: Annotated[Books | None, typer.Option(help="as this service knows them; as all four unless said")] = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """What each send comes to, as each service that keeps books of it has it; what `muster laws` compares."""
    with Muster(Connection.from_environment(operator=True)) as muster:
        rows = _rows(muster, [service] if service else list(Books), "bulks")
        columns = ("service", "tenant_id", "bulk_id", "recipients", "reserved", "used", "released", "held", "closed")
        show_rows(rows, columns, as_json=as_json)


@app.command()
def suspend(tenant_id: TenantId, reason: Reason, as_json: AsJson = False) -> None:  # noqa: FBT002
    """Let nothing leave for a tenant any more, and give it no tokens; what is queued waits until its send_by."""
    _decide(f"tenants/{quote(tenant_id, safe='') or '-'}/suspend", reason, as_json=as_json)


@app.command()
def reinstate(tenant_id: TenantId, reason: Reason, as_json: AsJson = False) -> None:  # noqa: FBT002
    """End a suspension: what is queued goes on where it was."""
    _decide(f"tenants/{quote(tenant_id, safe='') or '-'}/reinstate", reason, as_json=as_json)


@app.command()
def suspensions(as_json: AsJson = False) -> None:  # noqa: FBT002
    """Tenants that are suspended now, since when and why."""
    with Muster(Connection.from_environment(operator=True)) as muster:
        rows = muster.pages("/v1/ops/dispatch/suspensions")
        show_rows(rows, ("tenant_id", "since", "user_id", "reason"), as_json=as_json)


@app.command("stop-platform")
def stop_platform(reason: Reason, as_json: AsJson = False) -> None:  # noqa: FBT002
    """Let nothing leave for anybody, on any carrier; what is queued waits until its send_by."""
    _decide("platform/stop", reason, as_json=as_json)


@app.command("start-platform")
def start_platform(reason: Reason, as_json: AsJson = False) -> None:  # noqa: FBT002
    """Let sends go on where they were; tenants that are suspended stay so."""
    _decide("platform/start", reason, as_json=as_json)


@app.command()
def platform(as_json: AsJson = False) -> None:  # noqa: FBT002
    """Whether the platform is stopped, since when and why."""
    with Muster(Connection.from_environment(operator=True)) as muster:
        show(muster.get("/v1/ops/dispatch/platform"), as_json=as_json)


@app.command()
def limits(tenant_id: TenantId, as_json: AsJson = False) -> None:  # noqa: FBT002
    """How much a business may send, and where most of what was counted went."""
    with Muster(Connection.from_environment(operator=True)) as muster:
        _show_limits(muster.get(_limits_path(tenant_id)), as_json=as_json)


@app.command("set-limits")
def set_limits(
    tenant_id: TenantId,
    reason: Reason,
    range_hourly: Most = None,
    prefix_hourly: Most = None,
    plan_range: Most = None,
    daily: Most = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Set all limits of one business anew: what is not said is as for all, 0 is no limit."""
    given = {"range_hourly": range_hourly, "prefix_hourly": prefix_hourly, "plan_range": plan_range, "daily": daily}
    with Muster(Connection.from_environment(operator=True)) as muster:
        _show_limits(muster.put(_limits_path(tenant_id), {**given, "reason": reason}), as_json=as_json)


def _show_limits(limits: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show(limits, as_json=True)
        return
    each = {
        name: ("no limit" if now is None else f"{now:,}") + (", as for all" if limits["own"][name] is None else "")
        for name, now in limits["now"].items()
    }
    show({**limits, "now": None, "own": None, "busiest": None} | each, as_json=False)
    if limits["busiest"]:
        show_rows(limits["busiest"], ("scope", "begins", "since", "messages"), as_json=False)


def _of(service: Service | None) -> Sequence[Service]:
    return [service] if service else list(Service)


def _limits_path(tenant_id: str) -> str:
    return f"/v1/ops/customer/tenants/{quote(tenant_id, safe='') or '-'}/limits"


def _decide(below: str, reason: str, *, as_json: bool) -> None:
    with Muster(Connection.from_environment(operator=True)) as muster:
        show(muster.post(f"/v1/ops/dispatch/{below}", {"reason": reason}), as_json=as_json)


def _path(service: Service, letter_id: str) -> str:
    return f"/v1/ops/{service}/dead-letters/{quote(letter_id, safe='') or '-'}"
