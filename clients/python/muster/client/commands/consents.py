"""`muster customers consent|consents|evidence` and `muster suppressions`: who may be texted, and the proof of it."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode

import typer

from muster.client.api import Connection, Muster
from muster.client.commands.dialogue import end_partly
from muster.client.commands.held import all_held, as_csv, as_json_file
from muster.client.commands.output import AsJson, show, show_rows
from muster.client.paths import segment

app = typer.Typer(no_args_is_help=True, help="Suppressions: numbers that may not be texted.")

CustomerId = Annotated[int, typer.Argument(help="as `muster customers find` shows it")]
SuppressionId = Annotated[str, typer.Argument(metavar="ID", help="as `muster suppressions list` shows it")]
RequestId = Annotated[str, typer.Argument(metavar="ID", help="as `muster suppressions requests` shows it")]
Scope = Annotated[Literal["marketing", "all"], typer.Option(help="which messages are stopped")]
Wording = Annotated[str, typer.Option(help="the words that were agreed to or said")]
How = Annotated[str, typer.Option(help="such as: at the desk, web form")]
At = Annotated[str | None, typer.Option(help="when it was given, such as 2026-12-24T17:00:00+11:00; now unless said")]
Address = Annotated[str, typer.Option(help="IP, e-mail address or number it came from")]
GivenBy = Annotated[str, typer.Option(help="who gave it, where that is not the customer")]
Reason = Annotated[str, typer.Option(help="why, kept with it")]
Own = Annotated[
    Literal["person", "form", "reply", "link"],
    typer.Option(help="person: said to somebody of the business; form: typed by themselves"),
]

_AT_ONCE: Final = 10_000
_LIST: Final = "a number a line, or a CSV with a column Mobile or Phone; - for standard input"
# What the column of numbers may be called, in any case.
_CALLED: Final = frozenset(
    [
        "mobile",
        "mobiles",
        "mobile number",
        "mobile phone",
        "phone",
        "phone number",
        "cell",
        "number",
        "numbers",
        "msisdn",
    ]
)
_MEDIA_TYPES: Final = {".json": "application/json", ".csv": "text/csv", ".txt": "text/plain"}
_WORDS: Final = ("version", "kind", "number", "at", "source", "how", "wording", "recorded_by")


def record(
    customer_id: CustomerId,
    kind: Annotated[Literal["express", "inferred", "none", "withdrawn"], typer.Argument(help="what was said")],
    source: Annotated[
        Literal["person", "form", "reply", "link", "complaint", "api"], typer.Option(help="where it comes from")
    ] = "person",
    wording: Wording = "",
    how: How = "",
    at: At = None,
    given_by: GivenBy = "",
    address: Address = "",
    number: Annotated[str | None, typer.Option(help="only this number of theirs")] = None,
    scope: Scope = "marketing",
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Keep a word on a customer's consent; a withdrawal stops their numbers at once."""
    given = {"at": at, "number": number}
    word = {"kind": kind, "source": source, "wording": wording, "how": how, "given_by": given_by, "address": address}
    body = {**word, "scope": scope, **{name: value for name, value in given.items() if value is not None}}
    with Muster(Connection.from_environment()) as muster:
        show(muster.post(f"/v1/customers/{customer_id}/consents", body), as_json=as_json)


def history(customer_id: CustomerId, as_json: AsJson = False) -> None:  # noqa: FBT002
    """Every word on a customer's consent, from the first."""
    with Muster(Connection.from_environment()) as muster:
        show_rows(muster.pages(f"/v1/customers/{customer_id}/consents"), _WORDS, as_json=as_json)


def evidence(
    customer_id: CustomerId,
    file: Annotated[Path, typer.Argument(dir_okay=False, help="a name that ends in .json, .csv or .txt (to print)")],
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Write the file that proves a customer's consent: all words, their chain of hashes, and what stopped the
    numbers."""
    _save(f"/v1/customers/{customer_id}/consents/evidence", file, _MEDIA_TYPES)
    show({"file": str(file)}, as_json=as_json)


def export(
    customer_id: CustomerId,
    file: Annotated[Path, typer.Argument(dir_okay=False, help="a name that ends in .json or .csv")],
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Write all that is held on one person, by every service, to hand over to them."""
    if file.suffix.lower() not in (".json", ".csv"):
        raise typer.BadParameter(f"{file} must end in .json, .csv", param_hint="FILE")
    with Muster(Connection.from_environment()) as muster:
        held = all_held(muster, customer_id)
    content = as_csv(held) if file.suffix.lower() == ".csv" else as_json_file(held)
    _write(file, content)
    show({"file": str(file)}, as_json=as_json)


def _save(path: str, file: Path, media_types: Mapping[str, str]) -> None:
    media_type = media_types.get(file.suffix.lower())
    if media_type is None:
        raise typer.BadParameter(f"{file} must end in {', '.join(media_types)}", param_hint="FILE")
    with Muster(Connection.from_environment()) as muster, muster.download(path, media_type) as answer:
        content = answer.read()
    _write(file, content)


def _write(file: Path, content: bytes) -> None:
    try:
        file.write_bytes(content)
    except OSError as error:
        raise typer.BadParameter(f"cannot write {file}: {error.strerror}", param_hint="FILE") from error


@app.command("list")
def suppressions(
    number: Annotated[str | None, typer.Option(help="only this one")] = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Numbers that may not be texted."""
    columns = ("id", "number", "customer_id", "scope", "source", "reason", "changed_at")
    with Muster(Connection.from_environment()) as muster:
        show_rows(muster.pages("/v1/suppressions", number=number), columns, as_json=as_json)


@app.command("show")
def show_suppression(suppression_id: SuppressionId, as_json: AsJson = False) -> None:  # noqa: FBT002
    """All that was ever said of a number."""
    columns = ("version", "suppressed", "scope", "source", "reason", "wording", "at", "recorded_by", "recorded_at")
    with Muster(Connection.from_environment()) as muster:
        show_rows(muster.pages(f"/v1/suppressions/{segment(suppression_id)}"), columns, as_json=as_json)


@app.command("add")
def add(
    number: Annotated[str, typer.Argument(help="as people write it")],
    scope: Scope = "all",
    source: Annotated[Literal["person", "complaint"], typer.Option(help="who asked for it")] = "person",
    reason: Reason = "",
    wording: Wording = "",
    at: At = None,
    address: Address = "",
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Text this number no more."""
    body = {"number": number, "scope": scope, "source": source, "reason": reason, "wording": wording}
    with Muster(Connection.from_environment()) as muster:
        given = {**body, "address": address, **({"at": at} if at else {})}
        show(muster.post("/v1/suppressions", given), as_json=as_json)


@app.command("upload")
def upload(
    file: Annotated[typer.FileText, typer.Argument(encoding="utf-8-sig", errors="replace", help=_LIST)],
    scope: Scope = "all",
    reason: Reason = "",
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Text none of these numbers any more; lines that are no number are named; exit 5 where some are none, 1
    where all are."""
    total: dict[str, Any] = {"rows": 0, "suppressed": 0, "already": 0, "repeated": 0, "rejected": 0}
    errors: list[dict[str, Any]] = []
    with Muster(Connection.from_environment()) as muster:
        for first, numbers in _slices(file):
            query = urlencode({"scope": scope, "reason": reason})
            done = muster.post(f"/v1/suppressions/uploads?{query}", numbers)
            errors += [{**error, "row": first + error["row"]} for error in done["errors"]]
            total = {name: count + done[name] for name, count in total.items()}
    show(total, as_json=as_json)
    if errors:
        show_rows(errors, ("row", "code", "message"), as_json=as_json)
    end_partly(total["rejected"], total["rows"], "line", "left out")


def _slices(lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """As many numbers as one request takes, one of each line, and how many lines stand before them."""
    numbers = _numbers(iter(lines))
    before = 0
    while some := list(islice(numbers, _AT_ONCE)):
        if any(number.strip() for number in some):
            yield before, some
        before += len(some)


def _numbers(lines: Iterator[str]) -> Iterator[str]:
    """What stands in each line in the column that the first one calls Mobile or the like, else in the first column."""
    first = next(lines, "")
    rows = csv.reader(chain([first], lines), delimiter=max(",;\t", key=first.count))
    header = next(rows, [])
    column = next((at for at, cell in enumerate(header) if cell.strip().lower() in _CALLED), None)
    at = column or 0
    for row in chain([[]] if column is not None else [header], rows):  # a header counts as a line, and says no number
        yield row[at] if at < len(row) else ""


@app.command("lift")
def lift(
    suppression_id: SuppressionId,
    source: Own,
    wording: Wording,
    how: How = "",
    at: At = None,
    address: Address = "",
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Let a number be texted again by the person's own later word."""
    body = {"source": source, "wording": wording, "how": how, "address": address, **({"at": at} if at else {})}
    with Muster(Connection.from_environment()) as muster:
        show(muster.post(f"/v1/suppressions/{segment(suppression_id)}/lift", body), as_json=as_json)


@app.command("correct")
def correct(suppression_id: SuppressionId, reason: Reason, as_json: AsJson = False) -> None:  # noqa: FBT002
    """Take back what was entered or uploaded by mistake; what the person asked for is lifted by their own word only."""
    with Muster(Connection.from_environment()) as muster:
        muster.delete(f"/v1/suppressions/{segment(suppression_id)}?{urlencode({'reason': reason})}")
        show({"id": suppression_id, "corrected": True}, as_json=as_json)


@app.command("requests")
def requests(
    state: Annotated[Literal["waiting", "applied", "dismissed", "any"], typer.Option(help="only these")] = "waiting",
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Withdrawals by e-mail, letter or phone that somebody must apply, what is due first first."""
    columns = ("id", "due_on", "days_left", "overdue", "channel", "address", "wording", "state")
    with Muster(Connection.from_environment()) as muster:
        rows = muster.pages("/v1/suppressions/requests", state=None if state == "any" else state)
        show_rows(rows, columns, as_json=as_json)


@app.command("request")
def request(
    channel: Annotated[Literal["email", "letter", "phone", "person", "other"], typer.Argument(help="how it came")],
    wording: Annotated[str, typer.Argument(help="what was written or said")],
    address: Address = "",
    received_at: Annotated[str | None, typer.Option(help="when, such as 2026-12-24T17:00:00+11:00")] = None,
    scope: Scope = "marketing",
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Keep a withdrawal of which nobody knows yet whose it is; the law says by when it must be applied."""
    body = {"channel": channel, "wording": wording, "address": address, "scope": scope}
    with Muster(Connection.from_environment()) as muster:
        given = {**body, **({"received_at": received_at} if received_at else {})}
        show(muster.post("/v1/suppressions/requests", given), as_json=as_json)


@app.command("apply")
def apply(
    request_id: RequestId,
    customer_id: Annotated[int | None, typer.Option(help="whose it is: all of their numbers are stopped")] = None,
    number: Annotated[str | None, typer.Option(help="the number that is stopped")] = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Apply a withdrawal that waits."""
    given = {"customer_id": customer_id, "number": number}
    body = {name: value for name, value in given.items() if value is not None}
    with Muster(Connection.from_environment()) as muster:
        show(muster.post(f"/v1/suppressions/requests/{segment(request_id)}/apply", body), as_json=as_json)


@app.command("dismiss")
def dismiss(request_id: RequestId, reason: Reason, as_json: AsJson = False) -> None:  # noqa: FBT002
    """It is no withdrawal, or nobody's who is texted."""
    with Muster(Connection.from_environment()) as muster:
        path = f"/v1/suppressions/requests/{segment(request_id)}/dismiss"
        show(muster.post(path, {"reason": reason}), as_json=as_json)


@app.command("undeliverable")
def undeliverable(
    after_sends: Annotated[
        int | None, typer.Option(help="leave a number out after so many sends that it failed for good; 0: never")
    ] = None,
    rule: Annotated[bool, typer.Option("--rule", help="show after how many sends that is")] = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Numbers that are left out because messages to them failed for good; with --after-sends, say after how many."""
    path = "/v1/suppressions/undeliverable"
    with Muster(Connection.from_environment()) as muster:
        if rule and after_sends is None:
            show(muster.get(f"{path}/rule"), as_json=as_json)
            return
        if after_sends is not None:
            show(muster.put(f"{path}/rule", {"failures": after_sends}), as_json=as_json)
            return
        columns = ("id", "number", "customer_id", "failures", "last_failed_at", "since")
        show_rows(muster.pages(path), columns, as_json=as_json)


@app.command("alive")
def alive(
    number_id: Annotated[str, typer.Argument(metavar="ID", help="as `muster suppressions undeliverable` shows it")],
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """The number is alive: text it again, and count anew."""
    with Muster(Connection.from_environment()) as muster:
        muster.delete(f"/v1/suppressions/undeliverable/{segment(number_id)}")
        show({"id": number_id, "alive": True}, as_json=as_json)
