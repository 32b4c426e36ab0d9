"""`muster customers import`: a file of customers, looked at first if somebody wants to, with its progress."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from muster.client import shapes
from muster.client.api import Connection, Muster
from muster.client.commands.output import AsJson, show, show_rows

FIGURES = ("id", "state", "rows", "imported", "created", "updated", "unchanged", "rejected")

File = Annotated[
    typer.FileBinaryRead,
    typer.Argument(
        help="a CSV, TSV or XLSX with a header, as First name,Last name,Mobile,Allow Bulk SMS; - for standard input"
    ),
]
Map = Annotated[
    list[str] | None,
    typer.Option("--map", help='what a column holds: "Handy=mobile", "Kd-Nr=customer_no"; "Memo=" leaves one out'),
]
Mode = Annotated[str, typer.Option(help="add_and_update, add, update or replace_list")]
Match = Annotated[str, typer.Option(help="by what a row is a known customer: person, number or field:NAME")]
List = Annotated[str, typer.Option("--list", help="a list that everybody in the file comes onto")]
Consent = Annotated[str, typer.Option(help="of what kind the consent in the file is: express or inferred")]
Wording = Annotated[str, typer.Option(help="the words that people agreed to; express consent needs them")]
Source = Annotated[str, typer.Option(help="where that was: a form, a counter, a web page")]
Preview = Annotated[bool, typer.Option("--preview", help="show what the file is, and change nobody; see `start`")]
Watch = Annotated[bool, typer.Option(help="wait for its end, with a progress bar on a terminal")]
Rejected = Annotated[
    Path | None, typer.Option(help="write the rows that were left out there, to be corrected and imported again")
]


def import_file(
    file: File,
    columns: Map = None,
    mode: Mode = "",
    match: Match = "",
    list_name: List = "",
    consent: Consent = "",
    wording: Wording = "",
    source: Source = "",
    preview: Preview = False,  # noqa: FBT002
    watch: Watch = True,  # noqa: FBT002
    rejected: Rejected = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Import customers from a CSV, TSV or XLSX file; bad rows are left out and listed."""
    options = {
        **{"mode": mode or None, "match": match or None, "list": list_name or None},
        **{"consent": consent or None, "consent_wording": wording or None, "consent_source": source or None},
        "mapping": json.dumps(mapping_of(columns)) if columns else None,
        "preview": "true" if preview else None,
        "file_name": None if file.name == "<stdin>" else Path(file.name).name[:200],
    }
    with Muster(Connection.from_environment()) as muster:
        begun = muster.begin_import(file.read(), **options)
        if watch or preview:
            begun = _watch(muster, begun)
        if preview:
            _show_preview(muster, begun["id"], as_json=as_json)
            return
        _show(muster, begun, rejected, as_json=as_json)


def start(
    import_id: str,
    columns: Map = None,
    mode: Mode = "",
    match: Match = "",
    list_name: List = "",
    consent: Consent = "",
    wording: Wording = "",
    source: Source = "",
    watch: Watch = True,  # noqa: FBT002
    rejected: Rejected = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Import a file that was looked at with `import --preview`; what is said of its columns is remembered."""
    said = {"mode": mode, "match": match, "list": list_name, "consent": consent, "consent_wording": wording}
    body: dict[str, Any] = {name: value for name, value in (said | {"consent_source": source}).items() if value}
    if columns:
        body["mapping"] = mapping_of(columns)
    with Muster(Connection.from_environment()) as muster:
        begun = muster.post(f"/v1/customers/imports/{import_id}/start", body)
        _show(muster, _watch(muster, begun) if watch else begun, rejected, as_json=as_json)


def cancel(import_id: str, as_json: AsJson = False) -> None:  # noqa: FBT002
    """End an import; rows that were taken in stay."""
    with Muster(Connection.from_environment()) as muster:
        ended = muster.post(f"/v1/customers/imports/{import_id}/cancel")
        show(_figures(ended, as_json=as_json), as_json=as_json)


def imports(as_json: AsJson = False) -> None:  # noqa: FBT002
    """Every import, newest first."""
    with Muster(Connection.from_environment()) as muster:
        show_rows(muster.pages("/v1/customers/imports"), (*FIGURES, "created_at"), as_json=as_json)


def mapping_of(columns: list[str]) -> dict[str, str]:
    """What is said of columns, by header; BadParameter for what says nothing."""
    said = {}
    for one in columns:
        header, sign, holds = one.rpartition("=")
        if not sign or not header:
            raise typer.BadParameter(f"'{one}' is not HEADER=FIELD", param_hint="--map")
        said[header] = holds
    return said


def _watch(muster: Muster, begun: shapes.Import) -> shapes.Import:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[more]}"))
    console = Console(stderr=True)
    bar = Progress(*columns, TimeElapsedColumn(), transient=True, console=console, disable=not console.is_terminal)
    standing = begun
    with bar:
        task = bar.add_task(begun["state"], total=begun["bytes"], more="")
        for standing in muster.watch_import(begun["id"]):
            rows = standing["rows_total"] is not None
            done, total = ("rows", "rows_total") if rows else ("bytes_read", "bytes")
            more = f"{standing['rejected']:,} left out" if standing["rejected"] else ""
            figures: Any = standing
            bar.update(task, completed=figures[done], total=figures[total], description=figures["state"], more=more)
    return standing


def _figures(standing: shapes.Import, *, as_json: bool) -> dict[str, Any]:
    return dict(standing) if as_json else {name: value for name, value in standing.items() if name in FIGURES}


def _show(muster: Muster, done: shapes.Import, rejected: Path | None, *, as_json: bool) -> None:
    show(_figures(done, as_json=as_json), as_json=as_json)
    for repair in () if as_json else done["repairs"]:
        where = f"{repair['count']:,} times, first in row {repair['first_row']}"
        typer.echo(f"{repair['column']}: {repair['message']} {where}")
    if not done["rejected"]:
        return
    if rejected is not None:
        with muster.download(f"/v1/customers/imports/{done['id']}/rejected", "text/csv") as answer:
            rejected.write_bytes(answer.read())
        return
    errors = muster.pages(f"/v1/customers/imports/{done['id']}/errors")
    show_rows(errors, ("row", "field", "column", "message"), as_json=as_json)


def _show_preview(muster: Muster, import_id: str, *, as_json: bool) -> None:
    found = muster.get(f"/v1/customers/imports/{import_id}/preview")
    if as_json:
        show({"id": import_id, **found}, as_json=True)
        return
    figures = ("kind", "encoding", "separator", "sheet", "rows_total")
    show({"id": import_id, **{name: found[name] for name in figures if found[name]}}, as_json=False)
    show_rows(found["columns"], ("header", "holds"), as_json=False)
    if found["problem"]:
        typer.echo(found["problem"]["message"])
    show_rows(found["errors"], ("row", "column", "message"), as_json=False)
