"""What imports look like from outside."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import orjson
from fastapi import Query
from pydantic import Field

from muster.customer.domain.import_options import Consented, ImportOptions, read_options
from muster.customer.domain.import_repairs import TOLD
from muster.customer.domain.refusal import Refusal
from muster.customer.importer.blocks import today_at_most
from muster.kit.http import Model
from muster.kit.pg import Record

ModeWord = Literal["add_and_update", "add", "update", "replace_list"]
ConsentWord = Literal["express", "inferred", ""]
DatesWord = Literal["dmy", "mdy", ""]
StateWord = Literal["uploading", "waiting", "reading", "preview", "applying", "done", "refused", "cancelled", "failed"]

_HOW = "whom it may change: add_and_update, add (new customers only), update (known ones only), replace_list"
_MATCH = "by what a row is a customer who is known: person (names and numbers), number (the first), field:NAME (an own field)"  # noqa: E501
_LIST = "the name of a list that everybody in the file comes onto; replace_list takes all others off it"
_CONSENT = "of what kind the consent is of those who allow SMS, or of all where the file has no word on it"
_WORDING = "the words that people agreed to, kept as evidence; express consent needs them"
_SOURCE = "where that was: a form, a counter, a web page; kept as evidence, and needed where a kind is stated"
_MAPPING_CHARACTERS_MAX = 16_384

_DAY = "the day on which it was given, as 2026-05-01, where the file has no column of it; else it is as of the import"
_DATES = (
    "which comes first in dates such as 1/4/2026: dmy, mdy; not said, rows with a date that could be two are left out"
)

ModeText = Annotated[ModeWord, Query(description=_HOW)]
MatchText = Annotated[str, Query(max_length=80, description=_MATCH)]
ListText = Annotated[str, Query(max_length=200, description=_LIST)]
ConsentText = Annotated[ConsentWord, Query(description=_CONSENT)]
WordingText = Annotated[str, Query(max_length=4_000, description=_WORDING)]
SourceText = Annotated[str, Query(max_length=400, description=_SOURCE)]
ConsentDateText = Annotated[str, Query(max_length=10, description=_DAY)]
DatesText = Annotated[DatesWord, Query(description=_DATES)]
MappingText = Annotated[
    str,
    Query(
        max_length=_MAPPING_CHARACTERS_MAX,
        description='what columns hold, by header, as JSON: {"Handy": "mobile", "Kd-Nr": "customer_no", "Memo": ""}',
    ),
]


class RepairOut(Model):
    """What a spreadsheet had done to the cells of a column, and was undone: how often, and the first row of it."""

    column: str
    code: str
    message: str
    count: int
    first_row: int


class ProblemOut(Model):
    """Why a file was refused as a whole."""

    field: str
    code: str
    message: str


class ImportOut(Model):
    """How an import stands: rows = imported + rejected of rows_total, imported = created + updated + unchanged.

    rows_total: null until the whole file has been read. list_id: the list that the file has filled, once it is done;
    listed: customers who came onto it; removed: those who were taken off it. A `problem` of an import that is done says
    why the list stayed as it was. One that is `failed` was given up on the way, for its `problem`: what was taken in
    stays, and `start` lets it go on from there.
    """

    id: UUID
    state: StateWord
    file_name: str
    mode: str
    match: str
    list: str
    rows: int
    rows_total: int | None
    imported: int
    created: int
    updated: int
    unchanged: int
    rejected: int
    list_id: UUID | None
    listed: int
    removed: int
    bytes: int
    bytes_read: int
    repairs: Sequence[RepairOut]
    problem: ProblemOut | None
    errors_url: str
    rejected_url: str
    created_at: datetime
    finished_at: datetime | None


class ErrorOut(Model):
    """What was wrong in a row (from 1, the first after the header). column: the header as the file writes it."""

    row: int
    field: str
    column: str
    code: str
    message: str


class ColumnOut(Model):
    """A column of a file. holds: first_name, last_name, full_name, mobile, allow_bulk_sms, consent, consent_date,
    language, tags, time_zone, the name of an own field, or "" where it is left out."""

    header: str
    holds: str


class RowOut(Model):
    """A row as the file has it."""

    row: int
    cells: list[str]


class PreviewOut(Model):
    """What a file was found to be, and its first rows. problem: why it cannot be started like this. rows_read: how
    many rows were looked at, 200 at most; rejected: how many of these would be left out; errors: why, the first 50;
    without_mobile: those that would be taken without a mobile number, so that nothing can be sent to them."""

    kind: str
    encoding: str
    separator: str
    sheet: str
    rows_total: int
    columns: list[ColumnOut]
    rows: list[RowOut]
    rows_read: int
    rejected: int
    errors: list[ErrorOut]
    without_mobile: list[int]
    repairs: list[RepairOut]
    problem: ProblemOut | None


class StartIn(Model):
    """How an import that was looked at is to be done; what is left out stays as it was said with the upload."""

    mode: ModeWord | None = None
    match: Annotated[str, Field(max_length=80)] | None = None
    list: Annotated[str, Field(max_length=200)] | None = None
    consent: ConsentWord | None = None
    consent_wording: Annotated[str, Field(max_length=4_000)] | None = None
    consent_source: Annotated[str, Field(max_length=400)] | None = None
    consent_date: Annotated[str, Field(max_length=10)] | None = None
    dates: DatesWord | None = None
    mapping: Annotated[dict[str, Annotated[str, Field(max_length=200)]], Field(max_length=100)] | None = None


def options_from(
    mode: str, match: str, list_name: str, consent: Consented, mapping: str, dates: str = ""
) -> ImportOptions | Refusal:
    """The options of an upload."""
    columns: Any = {}
    if mapping:
        try:
            columns = orjson.loads(mapping)
        except ValueError:
            columns = None
        if not isinstance(columns, dict) or not all(isinstance(value, str) for value in columns.values()):
            return Refusal("mapping", "not_valid", "Write a JSON object of texts by header.")
    return _settled(read_options(mode, match, list_name, consent, columns, dates))


def _settled(options: ImportOptions | Refusal) -> ImportOptions | Refusal:
    if not isinstance(options, Refusal) and options.consent and options.consent.given_on > today_at_most():
        return Refusal("consent_date", "in_the_future", "This day is still to come: nobody has consented on it.")
    return options


def changed(options: ImportOptions, body: StartIn) -> ImportOptions | Refusal:
    """The same, with what somebody says who has looked at the file."""
    given = (body.consent, body.consent_wording, body.consent_source, body.consent_date)
    kind, wording, source, day = (
        old if new is None else new for old, new in zip(consented(options), given, strict=True)
    )
    settled = read_options(
        body.mode or options.mode,
        options.match if body.match is None else body.match,
        options.list if body.list is None else body.list,
        (kind, wording, source, day),
        options.mapping if body.mapping is None else body.mapping,
        options.dates if body.dates is None else body.dates,
    )
    return _settled(settled)


def consented(options: ImportOptions) -> Consented:
    """What was said of consent, as it is written."""
    stated = options.consent
    return (stated.kind.value, stated.wording, stated.source, stated.given_on) if stated else ("", "", "", "")


def import_out(row: Record) -> ImportOut:
    """An import as it is shown."""
    options = orjson.loads(row["options"])
    problem, base = row["problem"], f"/v1/customers/imports/{row['import_id']}"
    return ImportOut(
        id=row["import_id"],
        state=row["state"],
        file_name=row["file_name"],
        mode=options.get("mode", "add_and_update"),
        match=options.get("match", "person"),
        list=options.get("list", ""),
        rows=row["rows"],
        rows_total=row["rows_total"],
        imported=row["created"] + row["updated"] + row["unchanged"],
        **{name: row[name] for name in ("created", "updated", "unchanged", "rejected", "removed", "listed", "list_id")},
        bytes=row["bytes"],
        bytes_read=row["bytes_read"],
        repairs=repairs_out(orjson.loads(row["repairs"])),
        problem=ProblemOut(**orjson.loads(problem)) if problem else None,
        errors_url=f"{base}/errors",
        rejected_url=f"{base}/rejected",
        created_at=row["created_at"],
        finished_at=row["finished_at"] or (row["created_at"] if row["state"] == "done" else None),
    )


def repairs_out(repairs: list[Mapping[str, Any]]) -> list[RepairOut]:
    """Repairs in words."""
    return [RepairOut(message=TOLD[one["code"]], **one) for one in repairs]


def error_out(row: Record) -> ErrorOut:
    """An error as it is shown."""
    return ErrorOut(**{name: row[name] for name in ("row", "field", "column", "code", "message")})
