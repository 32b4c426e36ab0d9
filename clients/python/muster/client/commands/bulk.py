"""`muster send` and `muster bulk`: quote, confirm, watch, stop."""

import json
import time
from datetime import datetime
from typing import Annotated, Any, Literal

import httpx
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from muster.client.api import Connection, Muster
from muster.client.commands import bill
from muster.client.commands.arguments import BulkId
from muster.client.commands.audiences import Exclude, To, audience
from muster.client.commands.checks import Override, checks, overrides, verify
from muster.client.commands.checks import Reason as Overridden
from muster.client.commands.dialogue import Yes, ask, need_answer, said_when_left
from muster.client.commands.output import AsJson, progress_bar, show, show_rows
from muster.client.commands.texts import text_from_stdin
from muster.client.shapes import Quote

app = typer.Typer(no_args_is_help=True, help="Bulk sends: list, show, watch, confirm, stop, pause, resume, again.")
Reason = Annotated[str, typer.Option(help="why, for the audit trail")]
Partial = Annotated[
    Literal["nothing", "first_n"],
    typer.Option(help="where credits are short: send nothing, or to the first whom they cover"),
]
SendBy = Annotated[
    str | None, typer.Option(help="what has not left by then is not sent, such as 2026-12-24T17:00:00+11:00")
]
LocalTime = Annotated[
    str | None, typer.Option(help="not before this in each recipient's own time zone, such as 2026-12-24T10:00")
]
Sender = Annotated[
    str | None, typer.Option(help="by this one of the business's senders; that of its settings unless said")
]
Class = Annotated[
    Literal["marketing", "factual"], typer.Option("--class", help="factual: an appointment, say, and no offer")
]
Words = Annotated[
    str | None,
    typer.Argument(help="the text, with merge fields such as {first_name|there}; - for standard input; or --template"),
]
Template = Annotated[str | None, typer.Option(help="the newest version of this template, by its id")]
TemplateVersion = Annotated[int | None, typer.Option(min=1, help="a version of before, of the --template")]
Watch = Annotated[bool, typer.Option(help="show progress until the send ends")]
app.command("checks")(checks)
app.command("verify")(verify)
ENDED = ("closed", "refused", "needs_confirmation")
UNDER_WAY = ("sending", "paused", "stopping")
POLL_S = 0.3
COLUMNS = ("id", "state", "recipients", "credits_reserved", "credits_used", "credits_released", "created_at")


@app.command("send")
def send(
    text: Words = None,
    named: Annotated[str | None, typer.Option("--text", help="the text, as an option")] = None,
    template: Template = None,
    template_version: TemplateVersion = None,
    quoted: Annotated[
        str | None, typer.Option("--quote", help="this quote, by its id, such as one that was approved")
    ] = None,
    tag: Annotated[str | None, typer.Option(help="only customers with this tag")] = None,
    to: To = None,
    exclude: Exclude = None,
    local_time: LocalTime = None,
    sender: Sender = None,
    message_class: Class = "marketing",
    send_by: SendBy = None,
    partial: Partial = "nothing",
    override: Override = None,
    reason: Overridden = "",
    yes: Yes = False,  # noqa: FBT002
    watch: Watch = True,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Text all customers who allow it: quote, ask, send, and show the progress; exit 1 if it is not sent, 4 where
    credits are missing, 5 where it ends before everybody is texted. Ctrl-C ends the watching: the send goes on, and
    `muster bulk stop` stops it.

    Example: muster bulk send --to all --text "Hi {first_name|there}, we open on Monday" --watch
    """
    if text is not None and named is not None:
        raise typer.BadParameter("give the text once", param_hint="--text")
    text = named if text is None else text
    given = (text, template, template_version, tag, to, exclude, local_time, sender)
    if quoted is not None and any(given):
        raise typer.BadParameter("a quote says what, to whom, when and by which sender", param_hint="--quote")
    written, pinned = (None, {}) if quoted else words_of(text, template, template_version)
    whom, options = audience(to, exclude, tag), pinned | _options(local_time, sender, message_class)
    need_answer(yes=yes)
    terms = _terms(partial, send_by) | overrides(override, reason)
    with Muster(Connection.from_environment()) as muster:
        quote = muster.quoted(quoted) if quoted else muster.quote(written, whom, **options)
        _send(muster, quote, terms, yes=yes, watch=watch, as_json=as_json)


def quote(
    text: Words = None,
    template: Template = None,
    template_version: TemplateVersion = None,
    to: To = None,
    exclude: Exclude = None,
    local_time: LocalTime = None,
    sender: Sender = None,
    message_class: Class = "marketing",
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """What a send would cost, who would get it, and who is left out for which reason; exit 4 where that is more than
    there is. Nothing is sent."""
    written, pinned = words_of(text, template, template_version)
    whom, options = audience(to, exclude), pinned | _options(local_time, sender, message_class)
    with Muster(Connection.from_environment()) as muster:
        found = muster.quote(written, whom, **options)
        bill.show_quote(found, as_json=as_json)
        bill.need_credits(found["id"], bill.missing(found), some=found.get("balance", 0) > 0)


def words_of(text: str | None, template: str | None, version: int | None) -> tuple[str | None, dict[str, Any]]:
    """The text that is sent, or the template and version that it is of: one of the two."""
    if (text is None) == (template is None):
        raise typer.BadParameter("give a text or a --template")
    if template is None and version is not None:
        raise typer.BadParameter("a version is one of a --template", param_hint="--template-version")
    pinned = {"template_id": template, "template_version": version}
    written = text_from_stdin() if text == "-" else text
    return written, {name: value for name, value in pinned.items() if value is not None}


def _options(local_time: str | None, sender: str | None, message_class: str) -> dict[str, str]:
    """What is said of a quote beside its text and its audience."""
    asked = {"local_time": local_time, "sender": sender}
    asked["class"] = None if message_class == "marketing" else message_class
    return {name: value for name, value in asked.items() if value}


def _terms(partial: str, send_by: str | None) -> dict[str, Any]:
    """What is said of a send when its quote is confirmed."""
    return {"partial": partial, **({"send_by": send_by} if send_by else {})}


def _send(muster: Muster, quote: Quote, terms: dict[str, Any], *, yes: bool, watch: bool, as_json: bool) -> None:
    """Show a quote, ask, send it and show how it goes; exit 1 if it is not sent, 4 or 5 as `bill` says."""
    bill.show_quote(quote, as_json=as_json)
    ask(bill.question(muster, quote, terms), yes=yes)
    # A quote is good for one send: whoever sends it again sends it once.
    again = f"To send it, once all the same: muster send --quote {quote['id']}"
    with said_when_left(f"Whether it was taken is not known. {again}"):
        try:
            bulk = muster.send(quote["id"], **terms)
        except httpx.RequestError:
            typer.echo(again, err=True)
            raise
    if watch:
        with said_when_left(_goes_on(bulk["id"])):
            follow(muster, bulk["id"], quote["recipients"])
    ended = dict(muster.bulk(bulk["id"]))
    show(ended, as_json=as_json)
    if ended["state"] == "needs_confirmation":
        how = f"muster bulk confirm {bulk['id']} {ended['credits']}"
        typer.echo(f"Nothing is sent, and no credits are reserved. To agree to the new sum: {how}", err=True)
    bill.end(ended)


def _goes_on(bulk_id: str) -> str:
    return f"It goes on. To stop it: muster bulk stop {bulk_id}"


def follow(muster: Muster, bulk_id: str, recipients: int) -> None:
    """A progress bar of the messages that have left, on standard error, until the send ends."""
    with _bar() as bar:
        task = bar.add_task("planning", total=recipients, more="")
        while (state := muster.bulk(bulk_id)["state"]) not in ENDED:
            bar.update(task, description=state)
            if state in UNDER_WAY:
                for progress in muster.watch(bulk_id):
                    _show_on(bar, task, progress)
                    if progress["state"] in ENDED:
                        break
            time.sleep(POLL_S)


def _bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[more]}"))
    return progress_bar(*columns)


def _show_on(bar: Progress, task: TaskID, progress: Any) -> None:
    counts = {name: progress[name] for name in ("delivered", "failed", "held", "stopped", "suppressed")}
    words = [f"{progress['rate_per_s']:,.0f}/s", *(f"{name} {count:,}" for name, count in counts.items() if count)]
    pace = progress["pace"] or {}
    if finish := pace.get("finish_at"):
        about = "" if pace.get("promised_finish_at") else "about "
        words.append(f"done at {about}{datetime.fromisoformat(finish).astimezone():%H:%M:%S}")
    done = progress["recipients"] - progress["left"]
    bar.update(
        task, completed=done, total=progress["recipients"], description=progress["state"], more=" · ".join(words)
    )


@app.command("list")
def list_bulks(
    schedule: Annotated[str | None, typer.Option(help="only the sends of this schedule, by its id")] = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Every send, newest first."""
    with Muster(Connection.from_environment()) as muster:
        show_rows(muster.pages("/v1/bulk-sms", schedule_id=schedule), COLUMNS, as_json=as_json)


@app.command("show")
def show_bulk(bulk_id: BulkId, as_json: AsJson = False) -> None:  # noqa: FBT002
    """One send as it stands."""
    with Muster(Connection.from_environment()) as muster:
        show(dict(muster.bulk(bulk_id)), as_json=as_json)


@app.command("progress")
def progress(bulk_id: BulkId, as_json: AsJson = False) -> None:  # noqa: FBT002
    """Live numbers of one send."""
    with Muster(Connection.from_environment()) as muster:
        show(dict(muster.progress(bulk_id)), as_json=as_json)


@app.command("watch")
def watch(bulk_id: BulkId, as_json: AsJson = False) -> None:  # noqa: FBT002
    """Watch a send until it has ended and its receipts are in. Ctrl-C ends the watching and nothing else.

    With --json each change is a line.
    """
    with Muster(Connection.from_environment()) as muster:
        last: Any = {}
        with said_when_left(_goes_on(bulk_id)), _bar() as bar:
            task = bar.add_task("", total=None, more="")
            for last in muster.watch(bulk_id):
                _show_on(bar, task, last)
                if as_json:
                    print(json.dumps(last), flush=True)
        if not as_json:
            show(last, as_json=False)


@app.command("again")
def again(
    bulk_id: BulkId,
    failed: Annotated[bool, typer.Option(help="also to those of whom a receipt says that it failed")] = False,  # noqa: FBT002
    send_by: SendBy = None,
    partial: Partial = "nothing",
    override: Override = None,
    reason: Overridden = "",
    yes: Yes = False,  # noqa: FBT002
    watch: Watch = True,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Send a closed send again to those who certainly did not get it: quote, ask, send, and show the progress."""
    terms = _terms(partial, send_by) | overrides(override, reason)
    need_answer(yes=yes)
    with Muster(Connection.from_environment()) as muster:
        quote = muster.again(bulk_id, failed=failed)
        _send(muster, quote, terms, yes=yes, watch=watch, as_json=as_json)


@app.command()
def confirm(
    bulk_id: BulkId,
    credits: Annotated[int, typer.Argument(help="what it costs now, as `muster bulk show` says")],
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Agree to the credits that a send costs now, where that is more than was quoted."""
    with Muster(Connection.from_environment()) as muster:
        show(dict(muster.confirm(bulk_id, credits)), as_json=as_json)


def _control(bulk_id: str, act: str, reason: str, *, as_json: bool) -> None:
    with Muster(Connection.from_environment()) as muster:
        show(muster.control(bulk_id, act, reason), as_json=as_json)


@app.command()
def stop(bulk_id: BulkId, reason: Reason = "", as_json: AsJson = False) -> None:  # noqa: FBT002
    """Stop a send; what was unsent comes back as credits."""
    _control(bulk_id, "stop", reason, as_json=as_json)


@app.command()
def pause(bulk_id: BulkId, reason: Reason = "", as_json: AsJson = False) -> None:  # noqa: FBT002
    """Pause a send; nothing more leaves until it is resumed."""
    _control(bulk_id, "pause", reason, as_json=as_json)


@app.command()
def unknown(
    bulk_id: BulkId,
    answer: Annotated[
        Literal["charge", "release"] | None, typer.Option(help="do so for good, where your rule is to ask")
    ] = None,
    reason: Reason = "",
    yes: Yes = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Messages of a send of which nobody knows whether the carrier took them, and the credits that they hold."""
    with Muster(Connection.from_environment()) as muster:
        if answer:
            ask(f"{answer.capitalize()} what is unknown of this send, for good?", yes=yes)
            show(muster.answer_unknown(bulk_id, answer, reason), as_json=as_json)
        else:
            show_rows(muster.unknown(bulk_id), ("seq", "parts", "credits", "submitted_at"), as_json=as_json)


@app.command()
def resume(bulk_id: BulkId, reason: Reason = "", as_json: AsJson = False) -> None:  # noqa: FBT002
    """Resume a paused send; nobody gets it twice."""
    _control(bulk_id, "resume", reason, as_json=as_json)
