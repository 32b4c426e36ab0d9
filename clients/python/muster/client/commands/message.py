"""`muster message`: a message to a number or customer, or to some, and what became of it."""

import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import typer

from muster.client.api import Connection, Muster
from muster.client.commands.arguments import MessageId
from muster.client.commands.dialogue import Yes, ask, counted, end_partly, said_when_left
from muster.client.commands.output import AsJson, show, show_rows
from muster.client.commands.texts import text_from_stdin
from muster.client.errors import ApiError

app = typer.Typer(no_args_is_help=True, help="Single messages and reminders: send one, ask what became of it.")
OPEN = ("queued", "submitting", "accepted", "unknown")
POLL_S = 0.3


@app.command("send")
def send(
    text: Annotated[str, typer.Argument(help="the text, as it stands; - for standard input")],
    to: Annotated[
        list[str] | None, typer.Option(help="a mobile number as people write it; up to 100 times, for one message each")
    ] = None,
    customer_id: Annotated[int | None, typer.Option("--customer", help="or the id of a customer")] = None,
    message_class: Annotated[
        Literal["factual", "marketing"], typer.Option("--class", help="marketing needs a customer's consent")
    ] = "factual",
    kind: Annotated[Literal["single", "reminder"], typer.Option(help="what it is in the report")] = "single",
    send_by: Annotated[str | None, typer.Option(help="when it is too late, such as 2026-12-24T17:00:00+11:00")] = None,
    sender: Annotated[
        str | None, typer.Option(help="by this one of the business's senders; that of its settings unless said")
    ] = None,
    key: Annotated[str | None, typer.Option(help="idempotency key: the same one sends once")] = None,
    wait_s: Annotated[
        float, typer.Option("--wait", min=0, max=86_400, help="wait so many seconds at most for its end")
    ] = 0,
    yes: Yes = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Send a message, after asking. Its id is for `muster message status`. To several numbers it is sent with one
    request, which says what became of each, and ends with 5 where some were refused, 1 where all were; --wait is for
    one."""
    asked = {"customer_id": customer_id, "send_by": send_by, "kind": kind, "sender": sender}
    given: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    text = text_from_stdin() if text == "-" else text
    numbers = to or []
    if len(numbers) > 1 and wait_s:
        raise typer.BadParameter("one message is waited for, not several", param_hint="--wait")
    whom = counted(len(numbers), "number") if len(numbers) > 1 else f"customer {customer_id}"
    ask(f"Text {numbers[0] if len(numbers) == 1 else whom}, for credits?", yes=yes)
    with Muster(Connection.from_environment()) as muster:
        if len(numbers) > 1:
            each = [{"text": text, "to": number, "class": message_class, **given} for number in numbers]
            _show_each(numbers, muster.messages(each, key=key)["messages"], as_json=as_json)
            return
        given |= {"to": numbers[0]} if numbers else {}
        taken = muster.message(text, key=key, message_class=message_class, **given)
        show(_ended(muster, taken["id"], wait_s) if wait_s else dict(taken), as_json=as_json)


@app.command("status")
def status(message_id: MessageId, as_json: AsJson = False) -> None:  # noqa: FBT002
    """What became of a message, by the id that its send was answered with."""
    with Muster(Connection.from_environment()) as muster:
        show(dict(muster.message_status(message_id)), as_json=as_json)


@app.command("stop")
def stop(
    message_id: MessageId,
    reason: Annotated[str, typer.Option(help="why, for the audit log")] = "",
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Do not send one message, if it has not begun to leave; exit 1 where it is too late."""
    with Muster(Connection.from_environment()) as muster:
        show(muster.stop_message(message_id, reason), as_json=as_json)


def _show_each(numbers: Sequence[str], answers: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """Exit 5 where some were refused, 1 where all were."""
    rows = [
        {"to": number, **answer} if as_json else {"to": number, **answer, "problem": _why(answer)}
        for number, answer in zip(numbers, answers, strict=True)
    ]
    show_rows(rows, ("to", "state", "id", "parts", "credits", "problem"), as_json=as_json)
    end_partly(sum("problem" in answer for answer in answers), len(answers), "number", "refused")


def _why(answer: Mapping[str, Any]) -> str:
    problem = answer.get("problem", {})
    return str(problem.get("detail", problem.get("title", "")))


def _ended(muster: Muster, message_id: str, wait_s: float) -> dict[str, Any]:
    """The message when nothing more is to be expected of it, or as it stands when the time is over."""
    until = time.monotonic() + wait_s
    with said_when_left(f"It is on its way. What becomes of it: muster message status {message_id}"):
        while True:
            try:
                found = dict(muster.message_status(message_id))
                if found["status"] not in OPEN or time.monotonic() >= until:
                    return found
            except ApiError as refused:  # the report hears of it a moment later
                if refused.status != 404 or time.monotonic() >= until:
                    raise
            time.sleep(POLL_S)
