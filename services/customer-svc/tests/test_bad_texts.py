"""What people paste and programs send by mistake: each is refused with the place where it is wrong, and nothing is
stored."""

import json
import time
from typing import Any
from uuid import uuid4

from muster.kit import clock
from muster.text import count_parts

ROWS = "Ana,Smith,0412000001,yes\nBo,Lee,0412000002,yes\n"
FAMILY = "👩🏽‍❤️‍💋‍👨🏿👨🏻‍👩🏼‍👧🏽‍👦🏾"

BAD: list[tuple[str, str, int | None]] = [
    ("Hi \x00", "control_character", 3),
    ("Hi \x1b[1m", "control_character", 3),
    ("Hi \x9b", "control_character", 3),
    ("Hi \ud83d there", "unpaired_surrogate", 3),
    ("Hi \ude00", "unpaired_surrogate", 3),
    ("Hi \u0378", "unassigned_character", 3),
    ("Hi \U000e0fff", "unassigned_character", 3),
    ("Ha" + "\u0301" * 31, "too_many_marks", 2),
    ("Hi \u202edlrow", "direction_override", 3),
    ("Hi \u202d", "direction_override", 3),
    ("x" * 100_000, "too_long", None),
    ("x" * 39_016, "too_long", None),
    ("é’" * 9_000, "too_long", None),
    ("{a}" * 10_000, "too_many_fields", 300),
    (" ".join(f"{{f{at}|}}" for at in range(21)), "too_many_fields", None),
    ("Hi {print(1)}", "merge_syntax", 3),
    ("Hi {__class__}", "merge_syntax", 3),
    ("Hi {first_name.__class__}", "merge_syntax", 3),
    ("Hi {first_name[0]}", "merge_syntax", 3),
    ("Hi {first_name!r}", "merge_syntax", 3),
    ("Hi {constructor}", "unknown_field", 3),
    ("Hi {len}", "unknown_field", 3),
    ("Hi {first_name", "merge_syntax", 3),
    ("Hi {{first_name}", "merge_syntax", 3),
    ("Hi first_name}", "merge_syntax", 13),
    ("Hi {first_name {last_name}}", "merge_syntax", 3),
    ("{> offer} {first_name}", "merge_syntax", 0),
    ("{% include 'offer' %}", "merge_syntax", 0),
    ("{template:offer}", "merge_syntax", 0),
    ("", "empty", None),
    (" \n\t ", "empty", None),
]


async def post(salon: Any, path: str, body: Any) -> Any:
    """As a program does that escapes what is no ASCII, halves of surrogate pairs too."""
    content = json.dumps(body).encode("ascii")
    key = {"Idempotency_Key": str(uuid4())}
    return await salon.ask("POST", path, content, Content_Type="application/json", **key)


STORED = ("quote", "bulk", "plan", "template", "schedule", "idempotency")


async def test_a_text_that_nobody_could_mean_is_refused_with_its_place_by_every_door_and_nothing_is_stored(
    salon: Any,
) -> None:
    await salon.load(ROWS)
    before = await salon.counts(*STORED)
    for text, code, position in BAD:
        doors = [("/v1/quotes", {"text": text, "audience": {"all": True}})]
        if code not in ("merge_syntax", "unknown_field", "too_many_fields"):  # a single message has no fields
            doors.append(("/v1/messages", {"to": "0412000001", "text": text}))
        if code != "unknown_field":  # a warning there, and a value may come later
            doors.append(("/v1/templates", {"name": "offer", "text": text}))
        for path, body in doors:
            answer = await post(salon, path, body)
            told = answer.json()
            where = (path, text[:40], told)
            assert answer.status_code == 422, where
            assert told["errors"][0]["field"] == "text", where
            assert told["errors"][0]["code"] == code, (where, told)
            assert position is None or told["position"] == position, (where, told)
            assert len(answer.content) < 2_000, where
    assert await salon.counts(*STORED) == before


async def test_a_text_that_changed_by_one_character_since_its_quote_is_not_sent(salon: Any) -> None:
    await salon.load(ROWS)
    quote = await salon.quote("Hi {first_name}, 20% off ")
    before = await salon.counts(*STORED)
    for text, position, shown in (
        ("Hi {first_name}, 30% off", 17, "says here: …st_name}, 20% off"),
        ("Hi {first_name}, 20% of", 23, "off"),
        ("Hi {first_name}, 20% off!", 24, "says here: nothing more"),
        ("Salon: Hi {first_name}, 20% off\nReply STOP to opt in", 50, "opt out"),
        ("", 0, "Hi"),
    ):
        answer = await post(salon, "/v1/bulk-sms", {"quote_id": quote["id"], "text": text})
        told = answer.json()
        assert (answer.status_code, told["errors"][0]["field"]) == (422, "text"), told
        assert (told["code"], told["position"]) == ("text_changed", position), told
        assert shown in told["detail"]
    assert await salon.counts(*STORED) == before
    written, leaves = {"text": "Hi {first_name}, 20% off "}, {"text": (await salon.quote("Bye"))["text"]}
    assert await salon.send(quote["id"], **written)
    other = await salon.quote("Bye")
    assert await salon.send(other["id"], **leaves)


async def test_a_quote_that_expired_was_used_or_is_anothers_is_not_sent_and_says_so(salon: Any) -> None:
    await salon.load(ROWS)
    one, used = await salon.quote("Hi"), await salon.quote("Hi")
    bulk_id = await salon.send(used["id"])
    before = await salon.counts(*STORED)

    async def refused(quote_id: str, by: str = "admin") -> tuple[int, str, Any]:
        answer = await salon.ask("POST", "/v1/bulk-sms", {"quote_id": quote_id}, by=by, Idempotency_Key=str(uuid4()))
        told = answer.json()
        return answer.status_code, told["code"], told.get("bulk_id") or told.get("expires_at")

    assert await refused(used["id"]) == (409, "quote_used", bulk_id)
    assert await refused(one["id"], "other") == (404, "not_found", None)
    assert await refused(str(uuid4())) == (404, "not_found", None)
    two_days_ns = 2 * 24 * 3600 * 10**9
    with clock.replaced(lambda: time.time_ns() + two_days_ns, time.monotonic):
        status, code, expired_at = await refused(one["id"])
    assert (status, code, bool(expired_at)) == (409, "quote_expired", True)
    assert await salon.counts(*STORED) == before


async def test_a_family_of_emoji_at_a_boundary_is_quoted_and_planned_as_it_is_cut(salon: Any) -> None:
    """Never inside a surrogate pair, wherever it stands."""
    await salon.load(ROWS)
    assert len(FAMILY.encode("utf-16-be")) // 2 >= 25
    for before in (40, 45, 57, 66, 67, 120):
        text = "x" * before + FAMILY
        quote = await salon.quote(text, **{"class": "factual"})
        assert quote["parts"] == 2 * count_parts(text)[1]
        await salon.send(quote["id"])
    await salon.plan()
    planned = [one.message for one in await salon.said("BulkRecipientsAttached")]
    assert {(chunk.text[0], part) for chunk in planned for part in chunk.parts} == {
        ("x" * before + FAMILY, count_parts("x" * before + FAMILY)[1]) for before in (40, 45, 57, 66, 67, 120)
    }
