"""`muster customers import`: a file of customers, looked at first if somebody wants to, with its progress."""

import io
import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, TaskProgressColumn, TextColumn

from muster.client import shapes
from muster.client.api import Connection, Muster
from muster.client.commands.arguments import ImportId
from muster.client.commands.dialogue import end_partly, said_when_left
from muster.client.commands.exporting import save_as
from muster.client.commands.output import AsJson, progress_bar, show, show_rows
from muster.client.exits import ExitCode
from muster.client.paths import segment

PATH = "/v1/customers/imports"
ERRORS = ("row", "field", "column", "message")
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
Day = Annotated[str, typer.Option("--consent-date", help="the day of that, as 2026-05-01, if no column says it")]
Dates = Annotated[str, typer.Option(help="which comes first in dates such as 1/4/2026: dmy or mdy")]
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
    consent_date: Day = "",
    dates: Dates = "",
    preview: Preview = False,  # noqa: FBT002
    watch: Watch = True,  # noqa: FBT002
    rejected: Rejected = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Import customers from a CSV, TSV or XLSX file; bad rows are left out and listed. Exit 5 where some were left out,
    1 where all were."""
    options = {
        **{"mode": mode or None, "match": match or None, "list": list_name or None},
        **{"consent": consent or None, "consent_wording": wording or None, "consent_source": source or None},
        **{"consent_date": consent_date or None, "dates": dates or None},
        "mapping": json.dumps(mapping_of(columns)) if columns else None,
        "preview": "true" if preview else None,
        "file_name": None if file.name == "<stdin>" else Path(file.name).name[:200],
    }
    # What comes through a pipe cannot be sent again from its start.
    content = file if file.seekable() else io.BytesIO(file.read())
    with Muster(Connection.from_environment()) as muster, Bar() as bar:
        with said_when_left("Whether the file arrived is not known; muster customers imports tells.", bar.stop):
            begun = muster.begin_import(content, sent=bar.sent, **options)
        if watch or preview:
            begun = _watched(muster, begun, bar)
        bar.stop()
        if preview:
            _show_preview(muster, begun["id"], as_json=as_json)
            return
        _show(muster, begun, rejected, as_json=as_json)


def start(
    import_id: ImportId,
    columns: Map = None,
    mode: Mode = "",
    match: Match = "",
    list_name: List = "",
    consent: Consent = "",
    wording: Wording = "",
    source: Source = "",
    consent_date: Day = "",
    dates: Dates = "",
    watch: Watch = True,  # noqa: FBT002
    rejected: Rejected = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Import a file that was looked at with `import --preview`, what is said of its columns is remembered; or let an
    import that failed go on where it was. It ends as an import does."""
    said = {"mode": mode, "match": match, "list": list_name, "consent": consent, "consent_wording": wording}
    said |= {"consent_source": source, "consent_date": consent_date, "dates": dates}
    body: dict[str, Any] = {name: value for name, value in said.items() if value}
    if columns:
        body["mapping"] = mapping_of(columns)
    with Muster(Connection.from_environment()) as muster:
        begun = muster.post(f"{PATH}/{segment(import_id)}/start", body)
        if watch:
            with Bar() as bar:
                begun = _watched(muster, begun, bar)
        _show(muster, begun, rejected, as_json=as_json)


def cancel(import_id: ImportId, as_json: AsJson = False) -> None:  # noqa: FBT002
    """End an import; rows that were taken in stay."""
    with Muster(Connection.from_environment()) as muster:
        ended = muster.post(f"{PATH}/{segment(import_id)}/cancel")
        show(_figures(ended, as_json=as_json), as_json=as_json)


def watch(import_id: ImportId, rejected: Rejected = None, as_json: AsJson = False) -> None:  # noqa: FBT002
    """Wait for the end of an import and show what came of it. It ends as an import does."""
    with Muster(Connection.from_environment()) as muster:
        with Bar() as bar:
            standing = _watched(muster, muster.get(f"{PATH}/{segment(import_id)}"), bar)
        _show(muster, standing, rejected, as_json=as_json)


def left_out(
    import_id: ImportId,
    file: Annotated[
        Path | None,
        typer.Argument(help="write the rows there, with what is wrong with each; they are listed unless said"),
    ] = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Rows that an import, or the upload of a list, left out. What is wrong with each is listed; or they are written to
    a CSV, to be corrected and imported again."""
    with Muster(Connection.from_environment()) as muster:
        if file is None:
            show_rows(muster.pages(f"{PATH}/{segment(import_id)}/errors"), ERRORS, as_json=as_json)
            return
        keep_rejected(muster, import_id, file)
        show({"file": str(file)}, as_json=as_json)


def imports(as_json: AsJson = False) -> None:  # noqa: FBT002
    """Every import, newest first."""
    with Muster(Connection.from_environment()) as muster:
        show_rows(muster.pages(PATH), (*FIGURES, "created_at"), as_json=as_json)


def mapping_of(columns: list[str]) -> dict[str, str]:
    """What is said of columns, by header; BadParameter for what says nothing."""
    said = {}
    for one in columns:
        header, sign, holds = one.rpartition("=")
        if not sign or not header:
            raise typer.BadParameter(f"'{one}' is not HEADER=FIELD", param_hint="--map")
        said[header] = holds
    return said


class Bar:
    """A bar on a terminal: of the upload first, then of the bytes read and the rows applied."""

    def __init__(self) -> None:
        what, more = TextColumn("{task.description}"), TextColumn("{task.fields[more]}")
        self._progress = progress_bar(what, BarColumn(), TaskProgressColumn(), more)
        self._task = self._progress.add_task("uploading", total=None, more="")

    def __enter__(self) -> "Bar":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Take it away."""
        self._progress.stop()

    def sent(self, gone: int, size: int) -> None:
        """So many bytes have gone."""
        self._progress.update(self._task, completed=gone, total=size, more=f"{gone >> 20:,} of {size >> 20:,} MiB")

    def stands(self, standing: shapes.Import | shapes.Upload) -> None:
        """How what is made of the file stands."""
        done, total = "bytes_read", "bytes"
        if standing["rows_total"] is not None:
            done, total = "rows", "rows_total"
        figures: Any = standing
        more = f"{figures[done]:,} of {figures[total]:,} {'rows' if total == 'rows_total' else 'bytes'}"
        more += f", {standing['rejected']:,} left out" if standing["rejected"] else ""
        self._progress.update(
            self._task, completed=figures[done], total=figures[total], description=figures["state"], more=more
        )


def _watched(muster: Muster, begun: shapes.Import, bar: Bar) -> shapes.Import:
    """An import once it has ended. Who ends the command ends no import: it says how to."""
    standing = begun
    how = f"To see its end: muster customers watch {begun['id']}. To end it: muster customers cancel {begun['id']}"
    left = f"It is still being imported. {how}"
    with said_when_left(left, bar.stop):
        for standing in muster.watch_import(begun["id"]):
            bar.stands(standing)
    return standing


def _figures(standing: shapes.Import, *, as_json: bool) -> dict[str, Any]:
    return dict(standing) if as_json else {name: value for name, value in standing.items() if name in FIGURES}


def _show(muster: Muster, done: shapes.Import, rejected: Path | None, *, as_json: bool) -> None:
    """What came of it; exit 1 where somebody has cancelled it, 5 where rows were left out."""
    show(_figures(done, as_json=as_json), as_json=as_json)
    if done["list"] and done["state"] == "done" and not as_json:
        kept = f"{done['listed']:,} came onto the list '{done['list']}', {done['removed']:,} were taken off it."
        typer.echo(done["problem"]["message"] if done["problem"] else kept)
    for repair in () if as_json else done["repairs"]:
        where = f"{repair['count']:,} times, first in row {repair['first_row']}"
        typer.echo(f"{repair['column']}: {repair['message']} {where}")
    if done["rejected"] and rejected is not None:
        keep_rejected(muster, done["id"], rejected)
    elif done["rejected"]:
        show_rows(muster.pages(f"{PATH}/{done['id']}/errors"), ERRORS, as_json=as_json)
    if done["state"] == "cancelled":
        raise typer.Exit(ExitCode.FAILED)
    if done["state"] != "done":
        return
    end_left_out(done["id"], done["rejected"], done["rows"], rejected)
    if done["problem"]:  # everybody was imported, and the list is as it was
        raise typer.Exit(ExitCode.PARTLY)


def keep_rejected(muster: Muster, import_id: str, file: Path) -> None:
    """Write the rows that were left out to a file; it is there when all of it is."""
    save_as(muster, f"{PATH}/{segment(import_id)}/rejected", "text/csv", file, "FILE")


def end_left_out(import_id: str, left: int, rows: int, kept: Path | None) -> None:
    """End the command where rows of a file were left out: 5, or 1 where all of them were. Says how to get them."""
    how = (
        f"they are in {kept}" if kept else f"as a file, to correct them: muster customers left-out {import_id} FILE.csv"
    )
    end_partly(left, rows, "row", "left out", how)


def _show_preview(muster: Muster, import_id: str, *, as_json: bool) -> None:
    found = muster.get(f"{PATH}/{segment(import_id)}/preview")
    if as_json:
        show({"id": import_id, **found}, as_json=True)
        return
    figures = ("kind", "encoding", "separator", "sheet", "rows_total")
    show({"id": import_id, **{name: found[name] for name in figures if found[name]}}, as_json=False)
    show_rows(found["columns"], ("header", "holds"), as_json=False, none="")
    if found["problem"]:
        typer.echo(found["problem"]["message"])
    show_rows(found["errors"], ("row", "column", "message"), as_json=False, none="")
