"""How many recipients a chunk has: what fits into one record and can be numbered."""

from typing import Any

import pytest

from muster.customer import planner
from muster.customer.domain import planning
from muster.kit.outbox import RECORD_BYTES_MAX


def people(count: int) -> str:
    return "".join(f"Ana{at},Smith,04{12_000_000 + at:08d},yes\n" for at in range(count))


async def test_a_chunk_of_very_long_texts_is_as_small_as_a_record_is(salon: Any) -> None:
    await salon.load(people(50))
    quote = await salon.quote("Hello {{first_name}} " + "é" * 38_000)
    assert quote["by_parts"] == {"249": 50}
    bulk_id = await salon.send(quote["id"])

    await salon.plan()

    chunks = [fact.message for fact in await salon.said("BulkRecipientsAttached")]
    assert [len(chunk.seq) for chunk in chunks] == [19, 19, 12]
    assert max(chunk.ByteSize() for chunk in chunks) <= RECORD_BYTES_MAX
    assert (await salon.bulk(bulk_id))["state"] == "waiting"


async def test_texts_that_grew_beyond_a_record_since_the_quote_are_not_sent(
    salon: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await salon.load(people(10))
    bulk_id = await salon.send((await salon.quote("Hello {{first_name}} " + "é" * 38_000))["id"])
    monkeypatch.setattr(planner, "_chunk_max", lambda *_: 1_000)
    monkeypatch.setattr(planning, "_CHUNK_TEXT_BYTES_MAX", 500_000)

    await salon.plan()

    shown = await salon.bulk(bulk_id)
    assert (shown["state"], shown["problem"]["code"]) == ("refused", "texts_grew")
    assert await salon.said("BulkRecipientsAttached") == []


def test_a_chunk_has_no_more_parts_than_can_be_numbered_and_no_more_text_than_a_record_takes() -> None:
    def sizes(*parts: int, recipients: int = 100_000, personal: bool) -> list[int]:
        return [planning.recipients_max(recipients, count, personal=personal) for count in parts]

    assert sizes(1, 32, 33, 255, personal=False) == [1_000, 1_000, 992, 128]
    assert sizes(1, 4, 5, 10, 255, personal=True) == [1_000, 1_000, 980, 490, 19]
    assert sizes(1, 9, 10, 255, recipients=39_999, personal=True) == [500, 500, 490, 19]
