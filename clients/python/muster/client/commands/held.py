"""All that Muster holds on one person, asked from each service that holds something."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from muster.client.api import Muster
from muster.text.cells import csv_lines


def all_held(muster: Muster, customer_id: int) -> dict[str, Any]:
    """What customer-svc exports, with the messages to the person's numbers (report-svc: text, status, parts, credits,
    and what they wrote back) and their replies (reply-svc: text, verdict, and the e-mail to the reception)."""
    held: dict[str, Any] = muster.get(f"/v1/customers/{customer_id}/export")
    held.pop("elsewhere", None)
    numbers = _numbers(held)
    held["messages"] = [row for number in numbers for row in muster.report(number=number)]
    held["replies"] = [row for number in numbers for row in muster.pages("/v1/replies", number=number)]
    return held


def _numbers(held: Mapping[str, Any]) -> list[str]:
    """Those that the customer has, and those at which they were texted or spoke of consent before."""
    own = (held["customer"] or {}).get("numbers", ())
    named = [one.get("number") for part in (own, held["consents"], held["sends"], held["suppressions"]) for one in part]
    return [number for number in dict.fromkeys(named) if number and number.startswith("+")]


def as_json_file(held: Mapping[str, Any]) -> bytes:
    """For programs."""
    return (json.dumps(held, indent=2, ensure_ascii=False) + "\n").encode()


def as_csv(held: Mapping[str, Any]) -> bytes:
    """Rows of section, entry, field and value; no cell is read as a formula."""
    rows: list[tuple[object, ...]] = [("section", "entry", "field", "value")]
    for section, value in held.items():
        for entry, one in enumerate(value if isinstance(value, list) else [value], 1):
            rows += [(section, entry, name, cell) for name, cell in _cells("", one)]
    return csv_lines(rows).encode()


def _cells(name: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        inside: list[tuple[str, object]] = [(str(key), one) for key, one in value.items()]
    elif isinstance(value, list):
        inside = [(str(place), one) for place, one in enumerate(value, 1)]
    else:
        yield name, value
        return
    for key, one in inside:
        yield from _cells(f"{name}.{key}" if name else key, one)
