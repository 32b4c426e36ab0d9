"""What a file looks like before anybody is changed by it."""

import csv
from dataclasses import asdict
from itertools import islice
from typing import Any, Final
from uuid import UUID

import orjson

from muster.customer.domain.customers import NumberReader
from muster.customer.domain.files.reading import is_row, rows_of
from muster.customer.domain.import_columns import read_header, target_of
from muster.customer.domain.import_options import ImportOptions
from muster.customer.domain.import_repairs import TOLD
from muster.customer.domain.importing import ImportRow, RowError, RowReader
from muster.customer.domain.refusal import Refusal
from muster.customer.importer.blocks import storable, today_at_most
from muster.customer.importer.reading import problem_of
from muster.customer.store import fields
from muster.customer.store import import_files as files
from muster.events import is_sandbox
from muster.kit.pg import Record, Tx
from muster.text.merge import clean_value

_SHOWN_ROWS: Final = 10
_READ_ROWS: Final = 200
_SHOWN_ERRORS: Final = 50


async def preview(tx: Tx, tenant_id: UUID, job: Record, options: ImportOptions, country: str) -> dict[str, Any] | None:
    """Kind, columns, first rows, and what is wrong with the first hundreds; None where the file is not at hand."""
    block = await files.block_of(tx, tenant_id, job["import_id"], 1) if job["file"] else None
    if block is None:
        return None
    file = orjson.loads(job["file"])
    header = tuple(map(clean_value, file["header"]))
    said = {clean_value(name): target for name, target in options.mapping.items()}
    shown = {
        **{name: file[name] for name in ("kind", "encoding", "separator", "sheet")},
        "rows_total": job["rows_total"],
        "columns": [{"header": one, "holds": target_of(one, said)} for one in header],
        "rows": [],
        "errors": [],
        "rows_read": 0,
        "rejected": 0,
        "without_mobile": [],
        "repairs": [],
        "problem": None,
    }
    # No hash is kept of what is only looked at: any key does.
    numbers = NumberReader(tenant_id, country, b"", 0, is_sandbox(tenant_id))
    kinds = await fields.kinds_of_fields(tx, tenant_id)
    columns = read_header(header, options.mapping, options.key_field)
    if isinstance(columns, Refusal):
        shown["problem"] = problem_of(columns)
    reader = None if isinstance(columns, Refusal) else RowReader(columns, numbers, options, kinds, today_at_most())
    _first_rows(shown, block, file["separator"], reader)
    return shown


def _first_rows(shown: dict[str, Any], block: Record, separator: str, reader: RowReader | None) -> None:
    records = rows_of(block["content"], separator)
    errors: list[RowError] = []
    for number, cells in enumerate(islice(records, _READ_ROWS), block["first_row"]):
        if isinstance(cells, csv.Error) or is_row(cells):
            if len(shown["rows"]) < _SHOWN_ROWS:
                shown["rows"].append({"row": number, "cells": storable(cells, records.taken)})
            found = reader.read(number, cells) if reader else []
            shown["rows_read"] += 1
            if not isinstance(found, ImportRow):
                errors += found
                shown["rejected"] += bool(found)
            elif not found.customer.mobiles:
                shown["without_mobile"].append(number)
        records.taken.clear()
    shown["errors"] = [asdict(one) for one in errors[:_SHOWN_ERRORS]]
    repairs = reader.repairs.values() if reader else ()
    shown["repairs"] = [{**asdict(one), "message": TOLD[one.code]} for one in repairs]
