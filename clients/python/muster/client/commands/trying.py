"""`muster test`: what a customer would get, sent to oneself first."""

from typing import Annotated, Any

import typer

from muster.client.api import Connection, Muster
from muster.client.commands.audiences import Exclude, To, audience
from muster.client.commands.bulk import Class, Sender, Template, TemplateVersion, Words, words_of
from muster.client.commands.dialogue import Yes, ask, end_partly
from muster.client.commands.output import AsJson, show, show_rows

app = typer.Typer(no_args_is_help=True, help="Send oneself what a customer would get: send, numbers, own, add, remove.")

COLUMNS = ("number", "name", "user_id", "id")
MESSAGES = ("to", "state", "parts", "credits", "id", "why")


@app.command("send")
def send(
    text: Words = None,
    template: Template = None,
    template_version: TemplateVersion = None,
    quote: Annotated[str | None, typer.Option(help="what this quote would send, by its id")] = None,
    to: To = None,
    exclude: Exclude = None,
    sender: Sender = None,
    message_class: Class = "marketing",
    customer: Annotated[int | None, typer.Option(min=1, help="as this customer would get it; else the first")] = None,
    number: Annotated[
        list[str] | None, typer.Option(help="to this number that is kept for tests, not to one's own; several times")
    ] = None,
    yes: Yes = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Send a test, for its credits, after asking; exit 5 if it was not taken for some numbers, 1 if for none."""
    said: dict[str, Any] = {"quote_id": quote, "customer_id": customer, "to": number}
    if quote is None:
        written, pinned = words_of(text, template, template_version)
        said |= pinned | {"text": written, "sender": sender, "message_class": message_class}
        said |= {"audience": audience(to, exclude)} if to or exclude else {}
    elif text is not None or template is not None or to or exclude or sender is not None:
        raise typer.BadParameter("a quote says what, to whom and by which sender", param_hint="--quote")
    ask(f"Send a test to {', '.join(number) if number else 'your own number'}, for credits?", yes=yes)
    with Muster(Connection.from_environment()) as muster:
        answer = muster.send_test(**{name: value for name, value in said.items() if value is not None})
    if as_json:
        show(answer, as_json=True)
    else:
        show({name: answer[name] for name in ("text", "customer_id", "sender", "credits")}, as_json=False)
        show_rows(map(_with_why, answer["messages"]), MESSAGES, as_json=False)
    end_partly(answer["refused"], len(answer["messages"]), "number", "refused")


@app.command("numbers")
def numbers(as_json: AsJson = False) -> None:  # noqa: FBT002
    """Numbers that tests may go to: the business's, and those of its people."""
    with Muster(Connection.from_environment()) as muster:
        show_rows(muster.test_numbers(), COLUMNS, as_json=as_json)


@app.command("own")
def own(
    number: Annotated[str, typer.Argument(help="one's own mobile number")],
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Say which number is one's own: tests go there."""
    with Muster(Connection.from_environment()) as muster:
        show_rows(muster.set_own_number(number), COLUMNS, as_json=as_json)


@app.command("add")
def add(
    number: Annotated[str, typer.Argument(help="a mobile number of the business")],
    name: Annotated[str, typer.Option(help="whose or which it is")] = "",
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Let all who send also send tests to a number, as an admin."""
    with Muster(Connection.from_environment()) as muster:
        show_rows(muster.add_test_number(number, name), COLUMNS, as_json=as_json)


@app.command("remove")
def remove(
    test_number: Annotated[str, typer.Argument(metavar="ID", help="as `muster test numbers` shows it")],
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Send no more tests to a number."""
    with Muster(Connection.from_environment()) as muster:
        muster.remove_test_number(test_number)
        show({"id": test_number, "removed": True}, as_json=as_json)


def _with_why(message: dict[str, Any]) -> dict[str, Any]:
    return {**message, "why": message.get("problem", {}).get("detail", "")}
