"""`muster schedule`: sends that start by the clock."""

import json
from typing import Annotated, Any, Literal
from urllib.parse import quote

import typer

from muster.client.api import Connection, Muster
from muster.client.commands.arguments import ScheduleId
from muster.client.commands.audiences import Exclude, To, audience
from muster.client.commands.bulk import Template, TemplateVersion, words_of
from muster.client.commands.output import AsJson, show, show_rows
from muster.client.commands.texts import text_from_stdin

app = typer.Typer(no_args_is_help=True, help="Sends at a time, or again and again.")

Once = Annotated[str, typer.Option(help="a time on the wall, such as 2026-12-24T10:00")]
Cron = Annotated[str, typer.Option(help="minute, hour, day of the month, month, weekday, such as '0 10 * * MON#2'")]
Rule = Annotated[
    str,
    typer.Option(
        "--when",
        help='the `when` of the API as JSON, such as {"repeat": {"frequency": "monthly", "by_day": ["-1fr"], …',
    ),
]
Holidays = Annotated[
    str, typer.Option("--except-holidays", help="not on the public holidays of these: AU-NSW, or NZ,AU-NSW")
]
LocalTime = Annotated[
    bool | None,
    typer.Option("--local-time/--same-moment", help="text each recipient at that time of their own time zone"),
]
Sender = Annotated[
    str | None, typer.Option(help="by this one of the business's senders; that of its settings unless said")
]
Class = Annotated[
    Literal["marketing", "factual"] | None,
    typer.Option("--class", help="marketing keeps to hours and needs consent to it; a new schedule is marketing"),
]
Partial = Annotated[
    Literal["nothing", "first_n"] | None,
    typer.Option(help="where credits are short: send nothing, or to the first whom they cover"),
]
SendWithin = Annotated[int | None, typer.Option(help="minutes after its time in which a start may leave")]
LateMax = Annotated[int | None, typer.Option(help="minutes that a start may be late before it is missed")]
Zone = Annotated[str, typer.Option(help="an IANA name, such as Australia/Sydney; the business's own unless said")]


def _when(once: str, cron: str, rule: str, zone: str, holidays: str) -> dict[str, Any]:
    """When it starts: one of the three, its zone, and on which public holidays not."""
    if [once, cron, rule].count("") != 2:
        raise typer.BadParameter("give one of --once, --cron and --when")
    given: dict[str, Any] = {"once": once} if once else {"cron": cron}
    if rule:
        try:
            given = json.loads(rule)
        except (ValueError, RecursionError) as wrong:
            raise typer.BadParameter(f"not JSON: {wrong}", param_hint="--when") from wrong
        if not isinstance(given, dict):
            raise typer.BadParameter("a JSON object is needed", param_hint="--when")
    more = {"time_zone": zone, "except_holidays": [one.strip() for one in holidays.split(",")] if holidays else []}
    return {**given, **{name: value for name, value in more.items() if value}}


def _said(**given: Any) -> dict[str, Any]:
    """The fields of the API that were given."""
    words = {"message_class": "class"}
    return {words.get(name, name): value for name, value in given.items() if value is not None}


@app.command("add")
def add(
    name: Annotated[str, typer.Option(help="what it is called")],
    credits_max: Annotated[int, typer.Option(help="the ceiling of each start, in credits")],
    text: Annotated[
        str | None, typer.Argument(help="the text, with merge fields; - for standard input; or give --template")
    ] = None,
    template: Template = None,
    template_version: TemplateVersion = None,
    tag: Annotated[str | None, typer.Option(help="only customers with this tag")] = None,
    to: To = None,
    exclude: Exclude = None,
    once: Once = "",
    cron: Cron = "",
    rule: Rule = "",
    zone: Zone = "",
    holidays: Holidays = "",
    above: Annotated[
        Literal["skip", "first_n"],
        typer.Option(help="above the ceiling: leave the start out, or send to the first whom it covers"),
    ] = "skip",
    partial: Partial = None,
    send_within: SendWithin = None,
    late_max: LateMax = None,
    local_time: LocalTime = None,
    sender: Sender = None,
    message_class: Class = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Keep a schedule. Each start is quoted, planned and reserved when its time has come."""
    written, pinned = words_of(text, template, template_version)
    body = {
        "name": name,
        "when": _when(once, cron, rule, zone, holidays),
        "audience": audience(to, exclude, tag),
        "credits_max": credits_max,
        "above_credits_max": above,
        **_said(
            text=written,
            **pinned,
            partial=partial,
            send_within_minutes=send_within,
            late_max_minutes=late_max,
            local_time=local_time,
            sender=sender,
            message_class=message_class,
        ),
    }
    with Muster(Connection.from_environment()) as muster:
        _show(muster.add_schedule(body), as_json=as_json)


@app.command("change")
def change(
    schedule_id: ScheduleId,
    name: Annotated[str | None, typer.Option(help="what it is called")] = None,
    text: Annotated[str | None, typer.Option(help="another text, with merge fields; - for standard input")] = None,
    template: Template = None,
    template_version: TemplateVersion = None,
    tag: Annotated[str | None, typer.Option(help="only customers with this tag; all: everyone")] = None,
    to: To = None,
    exclude: Exclude = None,
    credits_max: Annotated[int | None, typer.Option(help="the ceiling of each start, in credits")] = None,
    above: Annotated[Literal["skip", "first_n"] | None, typer.Option(help="what happens above the ceiling")] = None,
    partial: Partial = None,
    send_within: SendWithin = None,
    late_max: LateMax = None,
    local_time: LocalTime = None,
    sender: Sender = None,
    message_class: Class = None,
    once: Once = "",
    cron: Cron = "",
    rule: Rule = "",
    zone: Zone = "",
    holidays: Holidays = "",
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Change what is named; the rest stays, and so does what was started."""
    changes = _said(
        name=name,
        text=text_from_stdin() if text == "-" else text,
        template_id=template,
        template_version=template_version,
        audience=audience(to, exclude, None if tag == "all" else tag) if tag or to or exclude else None,
        credits_max=credits_max,
        above_credits_max=above,
        partial=partial,
        send_within_minutes=send_within,
        late_max_minutes=late_max,
        local_time=local_time,
        sender=sender,
        message_class=message_class,
        when=_when(once, cron, rule, zone, holidays) if any((once, cron, rule, zone, holidays)) else None,
    )
    if not changes:
        raise typer.BadParameter("say what is to change; --help lists what can")
    with Muster(Connection.from_environment()) as muster:
        _show(muster.patch(f"/v1/schedules/{quote(schedule_id, safe='')}", changes), as_json=as_json)


@app.command("preview")
def preview(
    schedule_id: Annotated[str, typer.Argument(help="a schedule that is kept; else give when")] = "",
    once: Once = "",
    cron: Cron = "",
    rule: Rule = "",
    zone: Zone = "",
    holidays: Holidays = "",
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """The next ten starts of a schedule, or of one that is not kept yet."""
    with Muster(Connection.from_environment()) as muster:
        asked = None if schedule_id else _when(once, cron, rule, zone, holidays)
        found = muster.preview_schedule(schedule_id) if asked is None else muster.preview_when(asked)
        show_rows(found["starts"], ("wall", "at", "shift"), as_json=as_json)


@app.command("list")
def list_schedules(
    state: Annotated[str | None, typer.Option(help="active, paused, ended or archived")] = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Every schedule, newest first; archived ones where they are asked for."""
    with Muster(Connection.from_environment()) as muster:
        rows = ({**one, "next_at": (one["next"] or {}).get("at")} for one in muster.pages("/v1/schedules", state=state))
        show_rows(rows, ("id", "name", "state", "next_at", "credits_max"), as_json=as_json)


@app.command("show")
def show_schedule(schedule_id: ScheduleId, as_json: AsJson = False) -> None:  # noqa: FBT002
    """One schedule as it stands."""
    with Muster(Connection.from_environment()) as muster:
        _show(muster.schedule(schedule_id), as_json=as_json)


@app.command("history")
def history(schedule_id: ScheduleId, as_json: AsJson = False) -> None:  # noqa: FBT002
    """What became of each start: its send, or why nothing was sent."""
    with Muster(Connection.from_environment()) as muster:
        show_rows(muster.schedule_starts(schedule_id), ("wall", "outcome", "bulk_id", "detail"), as_json=as_json)


@app.command("pause")
def pause(schedule_id: ScheduleId, as_json: AsJson = False) -> None:  # noqa: FBT002
    """Start nothing of it until it is resumed."""
    with Muster(Connection.from_environment()) as muster:
        _show(muster.control_schedule(schedule_id, "pause"), as_json=as_json)


@app.command("resume")
def resume(schedule_id: ScheduleId, as_json: AsJson = False) -> None:  # noqa: FBT002
    """Go on from now."""
    with Muster(Connection.from_environment()) as muster:
        _show(muster.control_schedule(schedule_id, "resume"), as_json=as_json)


@app.command("skip")
def skip(
    schedule_id: ScheduleId,
    wall: Annotated[str, typer.Argument(help="the time on the wall, such as 2026-12-24T10:00")],
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Leave out the next start, named by its time on the wall."""
    with Muster(Connection.from_environment()) as muster:
        _show(muster.control_schedule(schedule_id, "skip", {"wall": wall}), as_json=as_json)


@app.command("archive")
def archive(schedule_id: ScheduleId, as_json: AsJson = False) -> None:  # noqa: FBT002
    """Start nothing more of it, and keep its history."""
    with Muster(Connection.from_environment()) as muster:
        muster.archive_schedule(schedule_id)
        show({"id": schedule_id, "archived": True}, as_json=as_json)


def _show(schedule: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show(schedule, as_json=True)
        return
    following = schedule["next"] or {}
    last = schedule["occurrences"][:1]
    told = {"next": following.get("wall"), "last": f"{last[0]['wall']} {last[0]['outcome']}" if last else ""}
    hidden = {"occurrences", "next", "when", "audience"}
    shown = {name: value for name, value in schedule.items() if name not in hidden}
    show({**shown, "when": schedule["when"], "audience": schedule["audience"], **told}, as_json=False)
