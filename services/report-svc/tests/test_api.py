"""The HTTP edge over real PostgreSQL: the report, one message, live progress, and who may see what."""

import csv
import io
from uuid import uuid4

import httpx
import pytest
from report_http import NUMBERS, OTHER, TENANT, by, get, hear
from report_world import ACCEPTED, DELIVERED, TIME_MS, Send

from muster.kit.consumer import halts
from muster.kit.pages import encode_cursor
from muster.kit.pg import Database
from muster.report.store import offsets


async def test_a_message_is_shown_with_its_person_its_end_and_its_replies(
    http: httpx.AsyncClient, sends: tuple[Send, Send]
) -> None:
    found = await get(http, f"/v1/messages/{sends[0].bulk}-1", "staff")

    kept = {
        "number": "+61491570156", "text": "Hello Ann", "customer_id": "901", "status": "delivered", "kind": "bulk",
        "message_class": "factual", "country": "AU", "sender": "Muster", "parts": 1, "credits": 2, "seq": 1,
    }  # fmt: skip
    assert found | kept == found
    assert [(reply["text"], reply["verdict"]) for reply in found["replies"]] == [("STOP", "opt_out")]
    rejected = await get(http, f"/v1/messages/{sends[0].bulk}-2")
    assert (rejected["status"], rejected["carrier_status"], rejected["replies"]) == ("rejected", "0x00000045", [])
    assert (await get(http, f"/v1/messages/{sends[1].bulk}-1"))["number"] is None


async def test_no_status_is_older_than_its_message_though_the_carrier_dates_receipts_to_the_minute(
    db: Database, http: httpx.AsyncClient
) -> None:
    send, sent_ms = Send(TENANT), TIME_MS + 60_000
    await hear(db, send.requested(1), send.dispatched([ACCEPTED], at_ms=sent_ms), send.receipts([DELIVERED]))

    found = await get(http, f"/v1/messages/{send.bulk}-1")

    assert (found["status"], found["status_at"]) == ("delivered", found["sent_at"])


FILTERS: list[tuple[dict[str, str], list[int]]] = [
    ({}, [1, 3, 2, 1]),
    ({"kind": "bulk"}, [3, 2, 1]),
    ({"kind": "reminder"}, [1]),
    ({"kind": "single"}, []),
    ({"status": "delivered"}, [1]),
    ({"status": "rejected"}, [2]),
    ({"status": "accepted"}, [1]),
    ({"number": "+61 491 570 157"}, [2]),
    ({"number": "0491 570 157"}, [2]),
    ({"number": "٠٤٩١ ٥٧٠ ١٥٧"}, [2]),
    ({"number": "61491570157"}, [2]),
    ({"text": "hello"}, [2, 1]),
    ({"text": "100%_"}, [3]),
    ({"text": "%"}, [3]),
    ({"from": "2026-08-01T00:00:00Z"}, [1]),
    ({"to": "2026-08-01T00:00:00+10:00"}, [3, 2, 1]),
    ({"bulk_id": str(uuid4())}, []),
]


async def test_the_report_shows_what_its_filters_fit_newest_first(
    http: httpx.AsyncClient, sends: tuple[Send, Send]
) -> None:
    for params, seqs in FILTERS:
        assert [row["seq"] for row in (await get(http, "/v1/reports/sms", **params))["items"]] == seqs


async def test_pages_hold_every_message_once(http: httpx.AsyncClient, sends: tuple[Send, Send]) -> None:
    found, cursor = [], {}
    while True:
        page = await get(http, "/v1/reports/sms", limit=1, **cursor)
        found += [row["id"] for row in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}

    assert found == [f"{sends[1].bulk}-1", *(f"{sends[0].bulk}-{seq}" for seq in (3, 2, 1))]


BAD = [
    ("kind", "pigeon"),
    ("status", "lost"),
    ("from", "2026-01-01T00:00:00"),
    ("to", "yesterday"),
    ("number", "+6149x"),
    ("number", "+"),
    ("number", "1" * 21),
    ("number", "0491 570"),
    ("text", "x" * 201),
    ("text", "a\0b"),
    ("from", "0001-01-01T00:00:00+23:59"),
    ("to", "9999-12-31T23:59:59-23:59"),
    ("bulk_id", "7"),
    ("limit", "501"),
    ("cursor", "rubbish"),
    ("cursor", encode_cursor({"bulk": 1 << 63, "seq": 1})),
    ("cursor", encode_cursor({"bulk": 1, "seq": 1 << 31})),
    ("cursor", encode_cursor({"bulk": 1.5, "seq": 1})),
]


async def test_a_filter_that_cannot_be_names_its_field(http: httpx.AsyncClient) -> None:
    for field, value in BAD:
        answer = await http.get("/v1/reports/sms", params={field: value}, headers=by("admin"))

        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
        assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_a_time_that_ends_before_it_begins_is_refused(http: httpx.AsyncClient) -> None:
    params = {"from": "2026-08-02T00:00:00Z", "to": "2026-08-01T00:00:00Z"}

    answer = await http.get("/v1/reports/sms", params=params, headers=by("admin"))

    assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (422, ["to"])


async def test_the_report_as_a_file_has_every_message_of_its_pages(
    http: httpx.AsyncClient, sends: tuple[Send, Send], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("muster.report.api.report._LINES_AT_ONCE", 2)
    pages = (await get(http, "/v1/reports/sms", limit=500))["items"]

    file = await http.get("/v1/reports/sms", headers={**by("admin"), "Accept": "text/csv"})

    assert (file.status_code, file.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    rows = list(csv.DictReader(io.StringIO(file.text, newline="")))
    assert len(pages) > 2
    for row, said in zip(rows, pages, strict=True):
        assert (row["id"], row["number"], row["credits"]) == (said["id"], said["number"] or "", str(said["credits"]))


async def test_a_page_goes_on_where_the_last_one_ended_whatever_is_added_meanwhile(
    http: httpx.AsyncClient, db: Database, sends: tuple[Send, Send]
) -> None:
    first = await get(http, "/v1/reports/sms", limit=2)
    newer = Send(TENANT)
    await hear(db, newer.requested(2), newer.dispatched([ACCEPTED, ACCEPTED]))

    rest = await get(http, "/v1/reports/sms", cursor=first["next_cursor"])

    assert [row["id"] for row in rest["items"]] == [f"{sends[0].bulk}-{seq}" for seq in (2, 1)]
    assert rest["next_cursor"] is None


async def test_a_message_that_is_planned_is_queued_until_an_outcome_is_heard(
    http: httpx.AsyncClient, db: Database
) -> None:
    send = Send(TENANT)
    await hear(db, send.recipients(NUMBERS[:2], ["Hello Ann", "Hello Bob"]), send.requested(2))

    found = await get(http, f"/v1/messages/{send.bulk}-2")

    kept = {"status": "queued", "number": "+61491570157", "text": "Hello Bob", "parts": 0, "sent_at": None}
    assert found | kept == found
    await hear(db, send.dispatched([ACCEPTED, ACCEPTED]))
    assert (await get(http, f"/v1/messages/{send.bulk}-2"))["status"] == "accepted"
    assert (await http.get(f"/v1/messages/{send.bulk}-3", headers=by("admin"))).status_code == 404
    assert (await http.get(f"/v1/messages/{send.bulk}-2", headers=by("other"))).status_code == 404


async def test_another_tenant_sees_nothing(http: httpx.AsyncClient, sends: tuple[Send, Send]) -> None:
    assert (await get(http, "/v1/reports/sms", "other"))["items"] == []
    assert (await get(http, "/v1/reports/sms", "other", number=NUMBERS[0]))["items"] == []
    for path in (f"messages/{sends[0].bulk}-1", f"bulk-sms/{sends[0].bulk}/progress"):
        assert (await http.get(f"/v1/{path}", headers=by("other"))).status_code == 404


@pytest.mark.parametrize(
    "message",
    ["x", "x-1", f"{uuid4()}-1", f"{uuid4()}-0", f"{uuid4()}-{1 << 31}", f"{uuid4()}-", f"{uuid4()}-{'9' * 5000}"],
)
async def test_a_message_that_never_was_is_404(http: httpx.AsyncClient, message: str) -> None:
    assert (await http.get(f"/v1/messages/{message}", headers=by("admin"))).status_code == 404


REFUSED = [
    ("reports/sms", "nobody", 401),
    ("reports/sms", "operator", 403),
    (f"messages/{uuid4()}-1", "operator", 403),
    (f"bulk-sms/{uuid4()}/progress", "operator", 403),
    ("ops/report/laws", "admin", 403),
    ("ops/report/bulks", "staff", 403),
]


async def test_who_may_not_is_refused(http: httpx.AsyncClient) -> None:
    for path, caller, status in REFUSED:
        assert (await http.get(f"/v1/{path}", headers=by(caller))).status_code == status


async def test_the_operator_reads_the_sums_of_every_send_page_by_page(
    http: httpx.AsyncClient, sends: tuple[Send, Send]
) -> None:
    first = await get(http, "/v1/ops/report/bulks", "operator", limit=1)
    rest = await get(http, "/v1/ops/report/bulks", "operator", limit=1, cursor=first["next_cursor"])

    found = {item["bulk_id"]: item for item in first["items"] + rest["items"]}
    assert set(found) == {str(send.bulk) for send in sends}
    bulk = found[str(sends[0].bulk)]
    assert bulk | {"recipients": 3, "credits": 2, "accepted": 1, "delivered": 1, "closed": True} == bulk
    assert rest["next_cursor"] is None


async def test_the_operator_sees_how_far_the_report_has_read_without_a_hole(
    http: httpx.AsyncClient, db: Database
) -> None:
    async with db.worker() as tx:
        for topic, first, last in [("sms", 0, 9), ("sms", 12, 20), ("credits", 3, 4)]:
            await offsets.cover(tx, topic, 1, [(first, last)])

    first_page = await get(http, "/v1/ops/report/consumers", "operator", limit=1)
    rest = await get(http, "/v1/ops/report/consumers", "operator", limit=1, cursor=first_page["next_cursor"])
    halted = await get(http, "/v1/ops/report/consumers", "operator", halted=True)

    found = {one["topic"]: one for one in first_page["items"] + rest["items"]}
    assert {topic: one["next_offset"] for topic, one in found.items()} == {"credits": 5, "sms": 10}
    assert found["sms"] | {"group": "report", "partition": 1, "halted": None, "reason": ""} == found["sms"]
    assert (rest["next_cursor"], halted["items"]) == (None, [])


async def test_the_operator_sees_what_the_report_has_halted_also_where_it_has_read_nothing(
    http: httpx.AsyncClient, db: Database
) -> None:
    async with db.worker() as tx:
        await offsets.cover(tx, "credits", 0, [(0, 4)])
        await offsets.cover(tx, "sms", 0, [(0, 4)])
        for topic in ("bulk-progress", "credits"):
            await halts.halt(tx, "report", (topic, 0), halts.HaltKind.LOG_MISMATCH, "another topic")

    halted = await get(http, "/v1/ops/report/consumers", "operator", halted=True)
    every = await get(http, "/v1/ops/report/consumers", "operator")

    assert [(one["topic"], one["halted"], one["reason"]) for one in halted["items"]] == [
        ("bulk-progress", "log_mismatch", "another topic"),
        ("credits", "log_mismatch", "another topic"),
    ]
    assert {one["topic"]: one["next_offset"] for one in every["items"]} == {
        "bulk-progress": None,
        "credits": 5,
        "sms": 5,
    }


async def test_the_laws_hold(http: httpx.AsyncClient, sends: tuple[Send, Send]) -> None:
    laws = (await get(http, "/v1/ops/report/laws", "operator"))["laws"]

    assert {law["law"]: (law["checked"], law["violation_count"]) for law in laws} == {
        "report": (6, 0),
        "tenant": (6, 0),
    }


@pytest.mark.parametrize(
    ("damage", "law"),
    [
        ("UPDATE bulk SET counts[12] = counts[12] + 1", "report"),
        ("DELETE FROM message WHERE seq = 3", "report"),
        ("UPDATE message SET left_state = 1 WHERE seq = 3", "report"),
        ("UPDATE bulk SET recipients = 4 WHERE closed", "report"),
        (f"UPDATE message SET tenant_id = '{OTHER}' WHERE seq = 3", "tenant"),
    ],
)
async def test_damage_is_seen_by_its_law(
    http: httpx.AsyncClient, db: Database, sends: tuple[Send, Send], damage: str, law: str
) -> None:
    async with db.worker() as tx:
        await tx.execute(damage)

    laws = (await get(http, "/v1/ops/report/laws", "operator"))["laws"]

    assert law in [found["law"] for found in laws if found["violation_count"]]
